package rpc_test

import (
	"context"
	"strconv"
	"sync"
	"testing"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/types/known/durationpb"

	controlv1 "tollgate/gen/tollgate/control/v1"
	"tollgate/gen/tollgate/control/v1/controlv1connect"
)

// counter is an object in a setting of which writers count. From get comes its number and etag; set writes another number.
type counter struct {
	kind string
	get  func(context.Context) (n int, etag string, err error)
	set  func(ctx context.Context, n int, etag string) error
}

func number(text string) int {
	n, _ := strconv.Atoi(text)
	return n
}

// counters are one object of every kind that has an etag.
func counters(w *world) []counter {
	endpoint, model, adapter, key, team := w.newEndpoint(), w.newModel(), w.adapter(w.name("adp")), w.newKey(), w.newTeam()
	budget := w.newBudget()
	admin := connect.WithInterceptors(withToken{})
	settings := controlv1connect.NewSettingsServiceClient(w.http, w.url, admin)
	people, who := controlv1connect.NewPersonServiceClient(w.http, w.url, admin), w.person(controlv1.Role_ROLE_VIEWER)
	limit := must[*controlv1.CreateLimitResponse](w.t)(w.limits.CreateLimit(w.t.Context(), &controlv1.CreateLimitRequest{Limit: &controlv1.Limit{
		Name: w.name("limit"), Scope: &controlv1.Limit_Everything{Everything: true}, Kind: controlv1.LimitKind_LIMIT_KIND_REQUESTS,
	}})).GetLimit()
	return []counter{
		{"endpoint", func(ctx context.Context) (int, string, error) {
			r, err := w.endpoints.GetEndpoint(ctx, &controlv1.GetEndpointRequest{Endpoint: endpoint.GetId()})
			return number(r.GetEndpoint().GetDescription()), r.GetEndpoint().GetEtag(), err
		}, func(ctx context.Context, n int, etag string) error {
			_, err := w.endpoints.UpdateEndpoint(ctx, &controlv1.UpdateEndpointRequest{
				Endpoint: &controlv1.Endpoint{Id: endpoint.GetId(), Description: strconv.Itoa(n), Etag: etag}, UpdateMask: mask("description"),
			})
			return err
		}},
		{"model", func(ctx context.Context) (int, string, error) {
			r, err := w.models.GetModel(ctx, &controlv1.GetModelRequest{Model: model.GetId()})
			n := 0
			if a := r.GetModel().GetAliases(); len(a) == 1 {
				n = number(a[0])
			}
			return n, r.GetModel().GetEtag(), err
		}, func(ctx context.Context, n int, etag string) error {
			_, err := w.models.UpdateModel(ctx, &controlv1.UpdateModelRequest{
				Model: &controlv1.Model{Id: model.GetId(), Aliases: []string{strconv.Itoa(n)}, Etag: etag}, UpdateMask: mask("aliases"),
			})
			return err
		}},
		{"adapter", func(ctx context.Context) (int, string, error) {
			r, err := w.adapters.GetAdapter(ctx, &controlv1.GetAdapterRequest{Adapter: adapter.GetId()})
			return int(r.GetAdapter().GetTimeout().GetSeconds()) - 10, r.GetAdapter().GetEtag(), err
		}, func(ctx context.Context, n int, etag string) error {
			_, err := w.adapters.UpdateAdapter(ctx, &controlv1.UpdateAdapterRequest{
				Adapter: &controlv1.Adapter{Id: adapter.GetId(), Timeout: durationpb.New(time.Duration(10+n) * time.Second), Etag: etag}, UpdateMask: mask("timeout"),
			})
			return err
		}},
		{"key", func(ctx context.Context) (int, string, error) {
			r, err := w.keys.GetKey(ctx, &controlv1.GetKeyRequest{Key: key.GetId()})
			return number(r.GetKey().GetDescription()), r.GetKey().GetEtag(), err
		}, func(ctx context.Context, n int, etag string) error {
			_, err := w.keys.UpdateKey(ctx, &controlv1.UpdateKeyRequest{Key: key.GetId(), Description: strconv.Itoa(n), UpdateMask: mask("description"), Etag: etag})
			return err
		}},
		{"team", func(ctx context.Context) (int, string, error) {
			r, err := w.teams.GetTeam(ctx, &controlv1.GetTeamRequest{Team: team})
			return number(r.GetTeam().GetDescription()), r.GetTeam().GetEtag(), err
		}, func(ctx context.Context, n int, etag string) error {
			_, err := w.teams.UpdateTeam(ctx, &controlv1.UpdateTeamRequest{Team: team, Description: strconv.Itoa(n), UpdateMask: mask("description"), Etag: etag})
			return err
		}},
		{"budget", func(ctx context.Context) (int, string, error) {
			r, err := w.budgets.GetBudget(ctx, &controlv1.GetBudgetRequest{Budget: budget.GetId()})
			return int(r.GetBudget().GetAmount().GetUnits()) - 5, r.GetBudget().GetEtag(), err
		}, func(ctx context.Context, n int, etag string) error {
			_, err := w.budgets.UpdateBudget(ctx, &controlv1.UpdateBudgetRequest{Budget: budget.GetId(), Amount: usd(int64(5+n), 0), Etag: etag})
			return err
		}},
		{"limit", func(ctx context.Context) (int, string, error) {
			r, err := w.limits.GetLimit(ctx, &controlv1.GetLimitRequest{Limit: limit.GetId()})
			return int(r.GetLimit().GetAmount()), r.GetLimit().GetEtag(), err
		}, func(ctx context.Context, n int, etag string) error {
			_, err := w.limits.UpdateLimit(ctx, &controlv1.UpdateLimitRequest{Limit: limit.GetId(), Amount: new(int64(n)), Etag: etag})
			return err
		}},
		{"settings", func(ctx context.Context) (int, string, error) {
			r, err := settings.GetSettings(ctx, &controlv1.GetSettingsRequest{})
			return number(r.GetSettings().GetName()), r.GetSettings().GetEtag(), err
		}, func(ctx context.Context, n int, etag string) error {
			_, err := settings.UpdateSettings(ctx, &controlv1.UpdateSettingsRequest{
				Settings: &controlv1.Settings{Name: strconv.Itoa(n), Etag: etag}, UpdateMask: mask("name"),
			})
			return err
		}},
		{"person", func(ctx context.Context) (int, string, error) {
			r, err := people.GetPerson(ctx, &controlv1.GetPersonRequest{Person: who.id})
			return number(r.GetPerson().GetName()), r.GetPerson().GetEtag(), err
		}, func(ctx context.Context, n int, etag string) error {
			_, err := people.UpdatePerson(ctx, &controlv1.UpdatePersonRequest{Person: who.id, Name: new(strconv.Itoa(n)), Etag: etag})
			return err
		}},
	}
}

// Guarantee: of writers that write at the same time with the etags that they have read, none loses what another has written, of any
// kind of object: every write that was accepted is in the result and in the history, and every other one is told to read again.
func TestWritersLoseNothing(t *testing.T) {
	t.Parallel()
	const writers, each = 4, 3
	w := newWorld(t)
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	for _, c := range counters(w) {
		var before int
		_, first, err := c.get(ctx)
		if err != nil {
			t.Fatal(c.kind, err)
		}
		if err := w.pool.QueryRow(ctx, `SELECT count(*) FROM control.audit WHERE kind = $1 AND action = 'update'`, c.kind).Scan(&before); err != nil {
			t.Fatal(err)
		}
		var all sync.WaitGroup
		for range writers {
			all.Go(func() {
				for done := 0; done < each; {
					n, etag, err := c.get(ctx)
					if err == nil {
						err = c.set(ctx, n+1, etag)
					}
					switch {
					case err == nil:
						done++
					case connect.CodeOf(err) != connect.CodeAborted || failureOf(err).Reason != "stale_etag":
						t.Errorf("%s: %v", c.kind, err)
						return
					}
				}
			})
		}
		all.Wait()
		n, _, err := c.get(ctx)
		var after int
		if err := w.pool.QueryRow(ctx, `SELECT count(*) FROM control.audit WHERE kind = $1 AND action = 'update'`, c.kind).Scan(&after); err != nil {
			t.Fatal(err)
		}
		if err != nil || n != writers*each || after-before != writers*each {
			t.Errorf("%s: counted to %d, with %d entries, of %d writes: %v", c.kind, n, after-before, writers*each, err)
		}
		if err := c.set(ctx, 1, first); failureOf(err).Reason != "stale_etag" && first != "" {
			t.Errorf("%s, with the first etag: %v", c.kind, err)
		}
	}
}

// Guarantee: whoever watches changes through a connection that breaks again and again is told of each once, in order.
func TestChangesThroughBreaks(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	w.newSecret() // after 0 means from now on
	const changes = 25
	names := make(chan string, changes)
	at := w.revision()
	var writer sync.WaitGroup
	writer.Go(func() {
		for range changes {
			name := w.name("team")
			if _, err := w.teams.CreateTeam(ctx, &controlv1.CreateTeamRequest{Name: name}); err != nil {
				t.Error(err)
				return
			}
			names <- name
		}
	})
	for told := 0; told < changes; {
		broken, leave := context.WithCancel(ctx)
		m := next(t, w.watching(broken, at))
		for _, c := range m.GetChanges() {
			if want := <-names; c.GetName() != want {
				t.Fatalf("told of %s, not of %s", c.GetName(), want)
			}
			told++
		}
		at = m.GetRevision()
		leave()
	}
	writer.Wait()
}
