package edge_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"google.golang.org/protobuf/proto"

	controlv1 "tollgate/gen/tollgate/control/v1"
	eventv1 "tollgate/gen/tollgate/event/v1"
	"tollgate/internal/contract"
	"tollgate/internal/testenv"
)

// command has the edge do something.
func (b *books) command(cmd *eventv1.EdgeCommand) *eventv1.EdgeReply {
	b.t.Helper()
	data, err := proto.Marshal(cmd)
	if err != nil {
		b.t.Fatal(err)
	}
	reply := new(eventv1.EdgeReply)
	testenv.Eventually(b.t, patience, func() error {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		msg, err := b.Conn.NATS().RequestWithContext(ctx, contract.EdgeCommand("lon-1"), data)
		if err != nil {
			return err
		}
		return proto.Unmarshal(msg.Data, reply)
	})
	return reply
}

func drain(end bool) *eventv1.EdgeCommand {
	return &eventv1.EdgeCommand{Command: &eventv1.EdgeCommand_Drain{Drain: &eventv1.DrainCommand{End: end}}}
}

func (r *running) readiness() int {
	r.tb.Helper()
	resp, err := client.Get("http://" + r.Addr() + "/-/readyz")
	if err != nil {
		r.tb.Fatal(err)
	}
	resp.Body.Close()
	return resp.StatusCode
}

// Guarantee: an edge that is drained says so to balancers and in its heartbeat, goes on serving, and can be told to take requests again;
// a stop drains it all the same.
func TestDrainCommand(t *testing.T) {
	t.Parallel()
	c := newBooks(t)
	upstream := testenv.Vendor(t)
	r := start(t, settings(t, c.Server.URL()))
	c.publish(1, upstream.URL)
	r.ready()
	if got := c.command(drain(false)); got.GetChanged() != 1 || got.GetError() != "" {
		t.Errorf("%v", got)
	}
	if got := c.command(drain(false)); got.GetChanged() != 0 {
		t.Errorf("again: %v", got)
	}
	if status := r.readiness(); status != http.StatusServiceUnavailable {
		t.Errorf("readiness %d of a drained edge", status)
	}
	if status, body, _, err := call(r.Addr(), "/bria/v1", key); err != nil || status != 200 {
		t.Errorf("a drained edge answers %d %s %v", status, body, err)
	}
	draining := func(want bool) {
		testenv.Eventually(t, patience, func() error {
			if h, err := c.heartbeat(); err != nil || h.GetDraining() != want {
				return fmt.Errorf("draining %v, %w", h.GetDraining(), errors.Join(err, errors.New("not yet")))
			}
			return nil
		})
	}
	draining(true)
	if got := c.command(drain(true)); got.GetChanged() != 1 {
		t.Errorf("%v", got)
	}
	if status := r.readiness(); status != http.StatusOK {
		t.Errorf("readiness %d after the drain", status)
	}
	draining(false)
}

// Guarantee: a heartbeat tells how much there is to do, how long the edge itself needs, and where it is reached.
func TestHeartbeatTellsLoad(t *testing.T) {
	t.Parallel()
	c := newBooks(t)
	upstream := testenv.Vendor(t)
	cfg := settings(t, c.Server.URL())
	cfg.Region = "eu-1"
	r := start(t, cfg)
	c.publish(1, upstream.URL)
	r.ready()
	for range 5 {
		if status, body, _, err := call(r.Addr(), "/bria/v1", key); err != nil || status != 200 {
			t.Fatalf("%d %s %v", status, body, err)
		}
	}
	testenv.Eventually(t, patience, func() error {
		h, err := c.heartbeat()
		if err != nil {
			return err
		}
		if h.GetRequests() < 5 || h.GetRequests_10S() < 5 || h.GetOverheadP50Us() <= 0 || h.GetOverheadP99Us() < h.GetOverheadP50Us() ||
			h.GetMemoryBytes() == 0 || h.GetRegion() != "eu-1" || h.GetAdvertised() != "http://"+r.Addr() {
			return fmt.Errorf("%v", h)
		}
		return nil
	})
}

// Guarantee: an edge probes targets by the rules of its own connections, resets what it holds against targets, and says that it does
// not know what it does not know.
func TestOtherCommands(t *testing.T) {
	t.Parallel()
	c := newBooks(t)
	upstream := testenv.Vendor(t)
	r := start(t, settings(t, c.Server.URL()))
	c.publish(1, upstream.URL)
	r.ready()
	probe := func(url string) *controlv1.ProbeResult {
		return c.command(&eventv1.EdgeCommand{Command: &eventv1.EdgeCommand_Probe{Probe: &eventv1.ProbeCommand{Url: url, EndpointId: "ep_1"}}}).GetProbe()
	}
	if got := probe(upstream.URL); !got.GetReached() || got.GetNode() != "lon-1" {
		t.Errorf("%v", got)
	}
	if got := probe("http://169.254.169.254/"); got.GetReached() || got.GetStage() != "address" {
		t.Errorf("%v", got)
	}
	if got := c.command(&eventv1.EdgeCommand{Command: &eventv1.EdgeCommand_ResetBreaker{ResetBreaker: &eventv1.ResetBreakerCommand{Endpoint: "bria"}}}); got.GetError() != "" || got.GetChanged() != 0 {
		t.Errorf("%v", got)
	}
	if got := c.command(&eventv1.EdgeCommand{}); !strings.Contains(got.GetError(), "newer version") {
		t.Errorf("%v", got)
	}
}

// Guarantee: an edge tells of each request that ends, refused ones too, and shows neither key nor query of any.
func TestSeenIsTold(t *testing.T) {
	t.Parallel()
	c := newBooks(t)
	upstream := testenv.Vendor(t)
	stream, err := c.Conn.EnsureStream(t.Context(), jetstream.StreamConfig{Name: contract.StreamSeen, Subjects: []string{contract.SeenSubjects}, Storage: jetstream.MemoryStorage})
	if err != nil {
		t.Fatal(err)
	}
	r := start(t, settings(t, c.Server.URL()))
	c.publish(1, upstream.URL)
	r.ready()
	paths := []string{"/bria/v1?token=" + key, "/nowhere", "/bria/" + key, "/bria/tgk%5F0123456789abcdefghijklmnopqrstuv"}
	want := map[string]string{} // by id: what is to be seen
	for i, path := range paths {
		_, _, h, err := call(r.Addr(), path, key)
		if err != nil {
			t.Fatal(err)
		}
		want[h.Get("X-Tollgate-Request-Id")] = []string{
			"200 bria ci-bot /bria/v1 1 1", "404   /nowhere 0 0", "400 bria ci-bot /… 0 0", "400 bria ci-bot /… 0 0",
		}[i]
	}
	got := map[string]string{}
	testenv.Eventually(t, patience, func() error {
		clear(got)
		info, err := stream.Info(t.Context())
		if err != nil {
			return err
		}
		for seq := info.State.FirstSeq; seq <= info.State.LastSeq && seq > 0; seq++ {
			m, err := stream.GetMsg(t.Context(), seq)
			if err != nil {
				return err
			}
			if strings.Contains(string(m.Data), "0123456789abcdef") {
				t.Fatal("the key is told")
			}
			b := new(eventv1.SeenBatch)
			if err := proto.Unmarshal(m.Data, b); err != nil {
				return err
			}
			for _, s := range b.GetRequests() {
				if s.GetAddress() != "127.0.0.1" || s.GetTime().AsTime().After(time.Now()) {
					t.Errorf("%v", s)
				}
				got[s.GetRequestId()] = fmt.Sprintf("%d %s %s %s %d %d", s.GetStatus(), s.GetEndpoint(), s.GetKey(), s.GetPath(), s.GetAttempts(), s.GetCost().GetUnits())
			}
		}
		if len(got) < len(want) {
			return fmt.Errorf("%d of %d were told", len(got), len(want))
		}
		return nil
	})
	for id, one := range want {
		if got[id] != one {
			t.Errorf("%s: told %q, want %q", id, got[id], one)
		}
	}
}
