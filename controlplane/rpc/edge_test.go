package rpc_test

import (
	"context"
	"strings"
	"sync"
	"testing"
	"time"

	"connectrpc.com/connect"
	"github.com/google/go-cmp/cmp"

	"tollgate/controlplane/fleet"
	controlv1 "tollgate/gen/tollgate/control/v1"
	"tollgate/gen/tollgate/control/v1/controlv1connect"
	eventv1 "tollgate/gen/tollgate/event/v1"
	"tollgate/internal/fault"
)

// Command is what edges do in these tests.
func (b *bundle) Command(_ context.Context, edge string, cmd *eventv1.EdgeCommand) (*eventv1.EdgeReply, error) {
	if b.obey != nil {
		return b.obey(edge, cmd)
	}
	return &eventv1.EdgeReply{InFlight: 3, Changed: 1, Probe: &controlv1.ProbeResult{Reached: true}}, nil
}

func (b *bundle) Reached(string, int64) time.Time { return time.Unix(5, 0) }
func (b *bundle) PublishTime(int64) time.Time     { return time.Time{} }
func (b *bundle) Changed() <-chan struct{}        { return nil }
func (b *bundle) edges() controlv1connect.EdgeServiceClient {
	return controlv1connect.NewEdgeServiceClient(b.http, b.url, connect.WithInterceptors(withToken{}))
}

// EdgeSettings are the settings of edges in these tests.
func (b *bundle) EdgeSettings(node, region string) ([]byte, error) {
	return []byte("sealing_key: not-a-real-key\nregion: " + region + "\nname: " + node + "\n"), nil
}

func (b *bundle) joinToken(node string) string {
	b.t.Helper()
	return must[*controlv1.CreateJoinTokenResponse](b.t)(b.edges().CreateJoinToken(b.t.Context(), &controlv1.CreateJoinTokenRequest{Node: node, Region: "eu"})).GetToken()
}

func live(names ...string) (out []fleet.Node) {
	for _, name := range names {
		out = append(out, fleet.Node{Heartbeat: &eventv1.Heartbeat{Edge: name, Revision: 9}, Status: fleet.Live, LastSeen: time.Now()})
	}
	return out
}

// Guarantee: all edges that are heard are asked at the same time, and one that cannot is listed with the reason beside those that
// could; a silent one is asked only by name.
func TestEdgesTogether(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.nodes = live("a", "b", "c")
	b.nodes = append(b.nodes, fleet.Node{Heartbeat: &eventv1.Heartbeat{Edge: "z"}, Status: fleet.Silent})
	var together sync.WaitGroup
	together.Add(3)
	b.obey = func(edge string, _ *eventv1.EdgeCommand) (*eventv1.EdgeReply, error) {
		together.Done()
		together.Wait() // none is asked after another
		if edge == "b" {
			return nil, fault.New(fault.UnavailableErr, "The edge b is away.")
		}
		return &eventv1.EdgeReply{Changed: 2}, nil
	}
	got := must[*controlv1.ResetBreakerResponse](t)(b.edges().ResetBreaker(t.Context(), &controlv1.ResetBreakerRequest{Target: "http://x"}))
	var lines []string
	for _, r := range got.GetResults() {
		lines = append(lines, r.GetNode()+strings.Repeat("+", int(r.GetChanged()))+r.GetError())
	}
	if diff := cmp.Diff([]string{"a++", "bThe edge b is away.", "c++"}, lines); diff != "" {
		t.Error(diff)
	}
	b.obey = nil
	probe := must[*controlv1.ProbeTargetResponse](t)(b.edges().ProbeTarget(t.Context(), &controlv1.ProbeTargetRequest{Url: "http://x", Node: "z"})).GetResults()
	if len(probe) != 1 || probe[0].GetNode() != "z" || !probe[0].GetReached() {
		t.Errorf("%v", probe)
	}
	b.nodes = nil
	if _, err := b.edges().ProbeTarget(t.Context(), &controlv1.ProbeTargetRequest{Url: "http://x"}); failureOf(err).Reason != "unavailable" {
		t.Errorf("without edges: %v", err)
	}
}

// Guarantee: a rollout counts the edges that are heard, and says since when those serve the revision that do.
func TestRollout(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.seed()
	st := must[*controlv1.GetInfoResponse](t)(b.system.GetInfo(t.Context(), &controlv1.GetInfoRequest{}))
	b.nodes = live("ahead", "behind", "restored")
	for i := range b.nodes {
		b.nodes[i].Epoch, b.nodes[i].Revision = st.GetEpoch(), st.GetRevision()
	}
	b.nodes[1].Revision--
	b.nodes[2].Epoch--
	b.nodes = append(b.nodes, fleet.Node{Heartbeat: &eventv1.Heartbeat{Edge: "z"}, Status: fleet.Silent})
	got := must[*controlv1.GetRolloutResponse](t)(b.edges().GetRollout(t.Context(), &controlv1.GetRolloutRequest{}))
	if got.GetRevision() != st.GetRevision() || got.GetLive() != 1 || got.GetTotal() != 3 || !got.GetNodes()[0].GetLive() ||
		got.GetNodes()[0].GetLiveTime().GetSeconds() != 5 || got.GetNodes()[1].GetLiveTime() != nil || got.GetPublishTime() != nil {
		t.Errorf("%v", got)
	}
}

// Guarantee: a join token gives the settings to one edge, once, whoever else tries at the same time, and to nobody who has none; no
// log, no audit and no other answer has it.
func TestJoinOnce(t *testing.T) {
	t.Parallel()
	b := setup(t)
	token := b.joinToken("lon-2")
	open := controlv1connect.NewEdgeServiceClient(b.http, b.url) // without any credential
	got := make(chan error, 8)
	for range cap(got) {
		go func() {
			res, err := open.Join(context.WithoutCancel(t.Context()), &controlv1.JoinRequest{Token: token})
			if err == nil && (res.GetNode() != "lon-2" || !strings.Contains(string(res.GetSettings()), "region: eu")) {
				t.Errorf("%v", res)
			}
			got <- err
		}()
	}
	joined := 0
	for range cap(got) {
		if err := <-got; err == nil {
			joined++
		} else if failureOf(err).Code != connect.CodeUnauthenticated {
			t.Errorf("refused with %v", err)
		}
	}
	if joined != 1 {
		t.Errorf("%d edges have joined", joined)
	}
	expired := b.joinToken("")
	if _, err := b.pool.Exec(t.Context(), `UPDATE control.join_token SET expire_time = clock_timestamp() - interval '1 s' WHERE use_time IS NULL`); err != nil {
		t.Fatal(err)
	}
	for _, bad := range []string{token, expired, "tgj_nothing"} {
		if _, err := open.Join(t.Context(), &controlv1.JoinRequest{Token: bad}); failureOf(err).Code != connect.CodeUnauthenticated {
			t.Errorf("%v", err)
		}
	}
	var audit int
	var all string
	if err := b.pool.QueryRow(t.Context(), `SELECT count(*) FILTER (WHERE action = 'join' AND object_id = 'lon-2'), string_agg(a::text, ' ') FROM control.audit a`).Scan(&audit, &all); err != nil {
		t.Fatal(err)
	}
	if audit != 1 || strings.Contains(all, token[4:]) {
		t.Errorf("%d entries of the audit: %s", audit, all)
	}
}
