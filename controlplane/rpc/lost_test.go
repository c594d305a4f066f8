package rpc_test

import (
	"context"
	"slices"
	"strings"
	"testing"

	"connectrpc.com/connect"

	controlv1 "tollgate/gen/tollgate/control/v1"
	"tollgate/gen/tollgate/control/v1/controlv1connect"
)

// holding is a caller with a credential.
type holding struct{ credential string }

func (h holding) WrapUnary(next connect.UnaryFunc) connect.UnaryFunc {
	return func(ctx context.Context, req connect.AnyRequest) (connect.AnyResponse, error) {
		req.Header().Set("Authorization", "Bearer "+h.credential)
		return next(ctx, req)
	}
}

func (h holding) WrapStreamingClient(next connect.StreamingClientFunc) connect.StreamingClientFunc {
	return func(ctx context.Context, spec connect.Spec) connect.StreamingClientConn {
		conn := next(ctx, spec)
		conn.RequestHeader().Set("Authorization", "Bearer "+h.credential)
		return conn
	}
}

func (holding) WrapStreamingHandler(next connect.StreamingHandlerFunc) connect.StreamingHandlerFunc {
	return next
}

// readerOf is a token that may see the configuration and nothing else.
func readerOf(name string) *controlv1.Token {
	return &controlv1.Token{Name: name, Permissions: []controlv1.Permission{controlv1.Permission_PERMISSION_CONFIG_READ}}
}

// Guarantee: a stream ends when the token that it was begun with is revoked, however long it would have lasted, and one of a caller
// who keeps theirs goes on.
func TestStreamsEndWithTheirRights(t *testing.T) {
	t.Parallel()
	b := setup(t)
	reader := func(name string) connect.ClientOption {
		return connect.WithInterceptors(holding{b.token(readerOf(name))})
	}
	loses, keeps := reader("loses"), reader("keeps")
	watch := func(option connect.ClientOption) *connect.ServerStreamForClient[controlv1.WatchChangesResponse] {
		stream := must[*connect.ServerStreamForClient[controlv1.WatchChangesResponse]](t)(
			controlv1connect.NewSystemServiceClient(b.http, b.url, option).WatchChanges(t.Context(), &controlv1.WatchChangesRequest{}))
		t.Cleanup(func() { _ = stream.Close() })
		if !stream.Receive() {
			t.Fatal(stream.Err())
		}
		return stream
	}
	lost, kept := watch(loses), watch(keeps)
	ask[*controlv1.RevokeTokenResponse](b, token, "TokenService", "RevokeToken", &controlv1.RevokeTokenRequest{Token: "loses"})
	for lost.Receive() {
	}
	if got := connect.CodeOf(lost.Err()); lost.Err() == nil || got != connect.CodeUnauthenticated {
		t.Errorf("the stream of a revoked token ended with %v", lost.Err())
	}
	b.seed()
	for kept.Receive() {
		if slices.ContainsFunc(kept.Msg().GetChanges(), func(c *controlv1.Change) bool { return c.GetName() == "bria" }) {
			return
		}
	}
	t.Errorf("the other stream ended with %v", kept.Err())
}

// Guarantee: somebody who is moved to another team reads no stream as a member of the first one any longer.
func TestStreamsEndWithTheTeam(t *testing.T) {
	t.Parallel()
	b := setup(t)
	ctx := t.Context()
	for _, name := range []string{"red", "blue"} {
		must[*controlv1.CreateTeamResponse](t)(b.teams.CreateTeam(ctx, &controlv1.CreateTeamRequest{Name: name}))
	}
	who := b.person(controlv1.Role_ROLE_MEMBER)
	set := func(team string) {
		must[*controlv1.SetTeamMemberResponse](t)(b.teams.SetTeamMember(ctx, &controlv1.SetTeamMemberRequest{Team: team, Person: who.id, Role: controlv1.TeamRole_TEAM_ROLE_MEMBER}))
	}
	set("red")
	stream := must[*connect.ServerStreamForClient[controlv1.WatchChangesResponse]](t)(
		controlv1connect.NewSystemServiceClient(b.http, b.url, connect.WithInterceptors(holding{who.secret})).WatchChanges(ctx, &controlv1.WatchChangesRequest{}))
	defer func() { _ = stream.Close() }()
	if !stream.Receive() {
		t.Fatal(stream.Err())
	}
	must[*controlv1.RemoveTeamMemberResponse](t)(b.teams.RemoveTeamMember(ctx, &controlv1.RemoveTeamMemberRequest{Team: "red", Person: who.id}))
	set("blue")
	for stream.Receive() {
	}
	if got := connect.CodeOf(stream.Err()); stream.Err() == nil || got != connect.CodeUnavailable || !strings.Contains(stream.Err().Error(), "rights have changed") {
		t.Errorf("the stream ended with %v", stream.Err())
	}
}

// Guarantee: drift tells of objects to nobody who may not see them.
func TestDriftIsSeenByThoseWhoSeeTheObjects(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.apply(files("version: 1\nowner: methods\nkeys: [{name: hidden-key, description: one}]\nteams: [{name: hidden-team}]\nendpoints: [{name: seen, path: /seen, target: \"https://api.example.com\", price: free}]\n"))
	ctx := t.Context()
	over := connect.NewRequest(&controlv1.UpdateKeyRequest{Key: "hidden-key", Description: "two", UpdateMask: mask("description")})
	over.Header().Set("x-tollgate-override", "managed")
	if _, err := connect.NewClient[controlv1.UpdateKeyRequest, controlv1.UpdateKeyResponse](b.http, b.url+controlv1connect.KeyServiceUpdateKeyProcedure,
		connect.WithInterceptors(withToken{})).CallUnary(ctx, over); err != nil {
		t.Fatal(err)
	}
	secret := b.token(readerOf("reader"))
	if got := ask[*controlv1.ListDriftResponse](b, token, "ConfigService", "ListDrift", &controlv1.ListDriftRequest{}); len(got.GetDrift()) != 1 {
		t.Fatalf("the admin sees %v", got)
	}
	if got := ask[*controlv1.ListDriftResponse](b, secret, "ConfigService", "ListDrift", &controlv1.ListDriftRequest{}); len(got.GetDrift()) != 0 {
		t.Errorf("who may see no keys sees %v", got)
	}
}
