package rpc_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"connectrpc.com/connect"

	controlv1 "tollgate/gen/tollgate/control/v1"
	"tollgate/gen/tollgate/control/v1/controlv1connect"
)

// watching is a stream of changes.
func (b *bundle) watching(ctx context.Context, after int64, kinds ...string) *connect.ServerStreamForClient[controlv1.WatchChangesResponse] {
	b.t.Helper()
	stream, err := b.system.WatchChanges(ctx, &controlv1.WatchChangesRequest{AfterRevision: after, Kinds: kinds})
	if err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(func() { _ = stream.Close() })
	return stream
}

func next(t *testing.T, s *connect.ServerStreamForClient[controlv1.WatchChangesResponse]) *controlv1.WatchChangesResponse {
	t.Helper()
	if !s.Receive() {
		t.Fatal(s.Err())
	}
	return s.Msg()
}

func toldOf(m *controlv1.WatchChangesResponse) (all []string) {
	for _, c := range m.GetChanges() {
		all = append(all, c.GetAction()+" "+c.GetKind()+" "+c.GetName())
	}
	return all
}

// Guarantee: who watches is told where they are and then of every change; after a break the stream goes on where it was, without a
// gap; and from a revision that there is not, or is too old, everything has to be read again.
func TestWatchChanges(t *testing.T) {
	t.Parallel()
	b := setup(t)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	secret := func(name string) {
		must[*controlv1.CreateSecretResponse](t)(b.secrets.CreateSecret(ctx, &controlv1.CreateSecretRequest{Name: name, Value: "v"}))
	}
	secret("one")
	s := b.watching(ctx, 0)
	first := next(t, s)
	if len(first.GetChanges()) != 0 || first.GetEpoch() == 0 || first.GetReset_() {
		t.Errorf("first: %v", first)
	}
	at := first.GetRevision() // the hub may not have looked since the first secret
	secret("two")
	var got []string
	for at < 2 {
		m := next(t, s)
		got, at = append(got, toldOf(m)...), m.GetRevision()
	}
	if len(got) == 0 || got[len(got)-1] != "create secret two" {
		t.Errorf("told %q", got)
	}
	cancelled, leave := context.WithCancel(ctx)
	again := b.watching(cancelled, 1)
	if m := next(t, again); fmt.Sprint(toldOf(m)) != "[create secret two]" || m.GetRevision() != 2 {
		t.Errorf("resumed: %v", m)
	}
	leave()
	if m := next(t, b.watching(ctx, 1, "endpoint")); len(m.GetChanges()) != 0 || m.GetRevision() != 2 {
		t.Errorf("of another kind: %v", m)
	}
	if m := next(t, b.watching(ctx, 77)); !m.GetReset_() || m.GetRevision() != 2 {
		t.Errorf("of the future: %v", m)
	}
	if _, err := b.pool.Exec(ctx, `UPDATE control.revision SET n = 30000`); err != nil {
		t.Fatal(err)
	}
	for {
		m := next(t, s)
		if m.GetReset_() && m.GetRevision() == 30000 {
			break
		}
	}
	if m := next(t, b.watching(ctx, 1)); !m.GetReset_() || m.GetRevision() != 30000 {
		t.Errorf("too old: %v", m)
	}
}

// Guarantee: whoever belongs to a team is told of what its own team has and of nothing else, and finds nothing else.
func TestChangesWithinTeams(t *testing.T) {
	t.Parallel()
	b := setup(t)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for _, team := range []string{"mine", "theirs"} {
		must[*controlv1.CreateTeamResponse](t)(b.teams.CreateTeam(ctx, &controlv1.CreateTeamRequest{Name: team}))
	}
	made := must[*controlv1.CreateTokenResponse](t)(controlv1connect.NewTokenServiceClient(b.http, b.url, connect.WithInterceptors(withToken{})).
		CreateToken(ctx, &controlv1.CreateTokenRequest{Token: &controlv1.Token{Name: "t", Team: "mine", Permissions: []controlv1.Permission{
			controlv1.Permission_PERMISSION_KEYS_READ, controlv1.Permission_PERMISSION_MONEY_READ,
		}}}))
	for _, team := range []string{"mine", "theirs"} {
		must[*controlv1.CreateKeyResponse](t)(b.keys.CreateKey(ctx, &controlv1.CreateKeyRequest{Name: "key-of-" + team, Team: team}))
	}
	as := b.as(made.GetSecret())
	m := next(t, as.watching(ctx, 1))
	for len(m.GetChanges()) == 0 {
		m = next(t, as.watching(ctx, 1))
	}
	for _, c := range m.GetChanges() {
		if c.GetName() == "theirs" || c.GetName() == "key-of-theirs" || c.GetKind() == "token" {
			t.Errorf("told of %v", c)
		}
	}
	found := must[*controlv1.SearchResponse](t)(as.search.Search(ctx, &controlv1.SearchRequest{Query: "key-of"}))
	if r := found.GetResults(); len(r) != 1 || r[0].GetName() != "key-of-mine" {
		t.Errorf("found %v", r)
	}
}

// as is the same API for the holder of a token.
func (b *bundle) as(secret string) *bundle {
	c := *b
	with := connect.WithInterceptors(bearing(secret))
	c.system = controlv1connect.NewSystemServiceClient(b.http, b.url, with)
	c.search = controlv1connect.NewSearchServiceClient(b.http, b.url, with)
	c.usage = controlv1connect.NewUsageServiceClient(b.http, b.url, with)
	return &c
}
