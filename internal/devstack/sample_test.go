package devstack_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	typemoney "google.golang.org/genproto/googleapis/type/money"
	"google.golang.org/protobuf/types/known/timestamppb"

	controlv1 "tollgate/gen/tollgate/control/v1"
	"tollgate/gen/tollgate/control/v1/controlv1connect"
	"tollgate/internal/cli/localdev"
	"tollgate/internal/contract"
	"tollgate/internal/devstack"
	"tollgate/internal/money"
	"tollgate/internal/testenv"
)

func TestMain(m *testing.M) { os.Exit(testenv.Main(m)) }

// output is what a stack prints, read while it runs.
type output struct {
	mu   sync.Mutex // guards text
	text bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

// running is a stack in this process.
type running struct {
	http *http.Client
	url  string
	stop func()
}

type bearer struct {
	token string
	next  http.RoundTripper
}

func (b bearer) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Header.Set("Authorization", "Bearer "+b.token)
	return b.next.RoundTrip(r)
}

// run starts a stack and returns once it serves.
func run(t *testing.T, o devstack.Options) *running {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	out := &output{}
	o.Host, o.Out, o.Log = "127.0.0.1", out, slog.New(slog.DiscardHandler)
	done := make(chan error, 1)
	go func() { done <- devstack.Run(ctx, o) }()
	transport := &http.Transport{}
	r := &running{stop: sync.OnceFunc(func() {
		transport.CloseIdleConnections()
		cancel()
		if err := <-done; err != nil {
			t.Errorf("the stack ended: %v", err)
		}
	})}
	t.Cleanup(r.stop)
	testenv.Eventually(t, 100*time.Second, func() error {
		select {
		case err := <-done:
			done <- err
			t.Fatalf("the stack did not start: %v", err)
		default:
		}
		if !strings.Contains(out.String(), "Stop with ^C") {
			return errors.New("it is not ready")
		}
		return nil
	})
	raw, err := os.ReadFile(filepath.Join(o.Dir, localdev.Folder, localdev.File))
	if err != nil {
		t.Fatal(err)
	}
	var note localdev.LocalDev
	if err := json.Unmarshal(raw, &note); err != nil {
		t.Fatal(err)
	}
	r.http, r.url = &http.Client{Transport: bearer{note.Token, transport}}, note.Server
	return r
}

func nanos(t *testing.T, m *typemoney.Money) money.Nanos {
	t.Helper()
	n, err := contract.MoneyFromProto(m)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// records are all requests that the ledger keeps.
func (r *running) records(t *testing.T) []*controlv1.RequestRecord {
	t.Helper()
	client := controlv1connect.NewUsageServiceClient(r.http, r.url)
	var all []*controlv1.RequestRecord
	for token := ""; ; {
		page, err := client.ListRequests(t.Context(), &controlv1.ListRequestsRequest{
			Filter: &controlv1.RequestFilter{FromTime: timestamppb.New(time.Now().AddDate(0, 0, -31))}, PageSize: 1000, PageToken: token,
		})
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, page.GetRequests()...)
		if token = page.GetNextPageToken(); token == "" {
			return all
		}
	}
}

// budgets are all budgets and how they stand, by name.
func (r *running) budgets(t *testing.T) (map[string]*controlv1.Budget, map[string]*controlv1.BudgetState) {
	t.Helper()
	list, err := controlv1connect.NewBudgetServiceClient(r.http, r.url).ListBudgets(t.Context(), &controlv1.ListBudgetsRequest{WithStates: true})
	if err != nil || len(list.GetStates()) != len(list.GetBudgets()) {
		t.Fatalf("%d states of %d budgets: %v", len(list.GetStates()), len(list.GetBudgets()), err)
	}
	budgets, states := map[string]*controlv1.Budget{}, map[string]*controlv1.BudgetState{}
	for i, b := range list.GetBudgets() {
		budgets[b.GetName()], states[b.GetName()] = b, list.GetStates()[i]
	}
	return budgets, states
}

// total is the usage of all days and the number of the newest revision.
func (r *running) total(t *testing.T) (usage *controlv1.UsageRow, revision int64) {
	t.Helper()
	got, err := controlv1connect.NewUsageServiceClient(r.http, r.url).QueryUsage(t.Context(), &controlv1.QueryUsageRequest{
		FromDay: time.Now().AddDate(0, 0, -40).UTC().Format(time.DateOnly),
	})
	if err != nil {
		t.Fatal(err)
	}
	nodes, err := controlv1connect.NewSystemServiceClient(r.http, r.url).ListNodes(t.Context(), &controlv1.ListNodesRequest{})
	if err != nil {
		t.Fatal(err)
	}
	return got.GetTotal(), nodes.GetRevision()
}

// covers says whether a budget of the sample data is charged for a request.
func covers(b *controlv1.Budget, r *controlv1.RequestRecord) bool {
	switch b.GetScope().(type) {
	case *controlv1.Budget_Team:
		return b.GetTeam() == r.GetTeam()
	case *controlv1.Budget_Key:
		return b.GetKey() == r.GetKeyName()
	case *controlv1.Budget_Endpoint:
		return b.GetEndpoint() == r.GetEndpointName()
	case *controlv1.Budget_Customer:
		return b.GetCustomer() == r.GetCustomer()
	default:
		return b.GetEverything()
	}
}

// Guarantee: of the sample data, the usage, the sum of the records and what the budgets' windows have spent agree to the
// nano-dollar, also where the ledger has two partitions; budgets stand as the stories of the console need them; and a second start
// adds nothing.
func TestSampleDataAgrees(t *testing.T) {
	t.Parallel()
	o := devstack.Options{Dir: filepath.Join(t.TempDir(), "data"), Edges: 1, Partitions: 2, SampleData: true, DatabaseURL: testenv.PostgresURL(t, nil)}
	r := run(t, o)
	records := r.records(t)
	usage, revision := r.total(t)
	var sum money.Nanos
	unpriced, failed := int64(0), int64(0)
	byID := map[string]bool{}
	budgets, states := r.budgets(t)
	spent := map[string]money.Nanos{}
	for _, rec := range records {
		cost := nanos(t, rec.GetCost())
		sum += cost
		byID[rec.GetRequestId()] = true
		if rec.GetUnpriced() {
			unpriced++
		}
		if rec.GetStatus() >= 400 {
			failed++
		}
		for name, b := range budgets {
			if !rec.GetTime().AsTime().Before(states[name].GetPeriodStart().AsTime()) && covers(b, rec) {
				spent[name] += cost
			}
		}
	}
	if n := int64(len(records)); n < 5_000 || n > 30_000 || n != usage.GetRequests() || len(byID) != len(records) {
		t.Errorf("%d records with %d ids, and usage of %d requests", n, len(byID), usage.GetRequests())
	}
	if want := nanos(t, usage.GetCost()); sum != want || sum == 0 {
		t.Errorf("the records cost %s, and the usage says %s", sum, want)
	}
	if unpriced == 0 || unpriced != usage.GetUnpriced() || failed == 0 || failed != usage.GetFailed() {
		t.Errorf("%d unpriced and %d failed records, and usage says %d and %d", unpriced, failed, usage.GetUnpriced(), usage.GetFailed())
	}
	for name, s := range states {
		if got := nanos(t, s.GetSpent()); got != spent[name] {
			t.Errorf("budget %s has spent %s, and the records of its month cost %s", name, got, spent[name])
		}
		if over := nanos(t, s.GetOverrun()); over != 0 {
			t.Errorf("budget %s has %s that were not granted", name, over)
		}
	}
	for name, want := range map[string]controlv1.BudgetStatus{
		"marketing-month": controlv1.BudgetStatus_BUDGET_STATUS_EXHAUSTED,
		"search-month":    controlv1.BudgetStatus_BUDGET_STATUS_AT_RISK,
		"ops-month":       controlv1.BudgetStatus_BUDGET_STATUS_OK,
	} {
		if states[name].GetStatus() != want {
			t.Errorf("%s stands %s, want %s", name, states[name].GetStatus(), want)
		}
	}
	search := states["search-month"]
	if search.GetRunsOutAfter() == nil || !search.GetRunsOutAfter().AsTime().Before(search.GetPeriodEnd().AsTime()) {
		t.Errorf("the team search runs out at %v, and its month ends at %v", search.GetRunsOutAfter(), search.GetPeriodEnd())
	}

	r.stop()
	again := run(t, o)
	usageAgain, revisionAgain := again.total(t)
	if usageAgain.String() != usage.String() || revisionAgain != revision {
		t.Errorf("a second start made of %v at %d %v at %d", usage, revision, usageAgain, revisionAgain)
	}
	_, after := again.budgets(t)
	spentAgain := map[string]money.Nanos{}
	for name, s := range after {
		spentAgain[name] = nanos(t, s.GetSpent())
	}
	if !maps.Equal(spentAgain, spent) {
		t.Errorf("after a second start budgets have spent %v, before %v", spentAgain, spent)
	}
}

// Guarantee: a start that was broken off before the history was booked is finished by the next, and what was booked is not booked
// again.
func TestSampleDataGoesOn(t *testing.T) {
	t.Parallel()
	o := devstack.Options{Dir: filepath.Join(t.TempDir(), "data"), Edges: 1, SampleData: true, DatabaseURL: testenv.PostgresURL(t, nil)}
	r := run(t, o)
	usage, revision := r.total(t)
	r.stop()
	// As if the process had ended before it noted that it was done.
	path := filepath.Join(o.Dir, "sample.json")
	raw, err := os.ReadFile(path)
	if err != nil || !bytes.Contains(raw, []byte(`"made": true`)) {
		t.Fatalf("%s: %v", raw, err)
	}
	if err := os.WriteFile(path, bytes.Replace(raw, []byte(`"made": true`), []byte(`"made": false`), 1), 0o600); err != nil {
		t.Fatal(err)
	}
	again := run(t, o)
	usageAgain, _ := again.total(t)
	if usageAgain.String() != usage.String() {
		t.Errorf("the second start made of %v %v", usage, usageAgain)
	}
	keys, err := controlv1connect.NewKeyServiceClient(again.http, again.url).ListKeys(t.Context(), &controlv1.ListKeysRequest{})
	if err != nil || len(keys.GetKeys()) != 8 {
		t.Errorf("%d keys at revision %d: %v", len(keys.GetKeys()), revision, err)
	}
}
