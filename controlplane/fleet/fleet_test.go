package fleet_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"

	"tollgate/controlplane/fleet"
	eventv1 "tollgate/gen/tollgate/event/v1"
	"tollgate/internal/bus"
	"tollgate/internal/contract"
	"tollgate/internal/lifecycle"
	"tollgate/internal/testenv"
)

var errNotYet = errors.New("not yet")

func TestMain(m *testing.M) { os.Exit(testenv.Main(m)) }

func connect(t *testing.T, url string) *bus.Conn {
	t.Helper()
	conn, err := bus.Connect(bus.Config{URL: url}, testenv.Logger(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(conn.Close)
	return conn
}

func start(t *testing.T, conn *bus.Conn) *fleet.Fleet {
	t.Helper()
	f := fleet.New(conn, 1, testenv.Logger(t))
	var g lifecycle.Group
	g.Go("fleet", func(ctx context.Context) { _ = f.Run(ctx) })
	t.Cleanup(g.Stop)
	return f
}

// beat publishes a heartbeat until the stream has taken it.
func beat(t *testing.T, conn *bus.Conn, subject string, b *eventv1.Heartbeat) {
	t.Helper()
	raw, err := proto.Marshal(b)
	if err != nil {
		t.Fatal(err)
	}
	testenv.Eventually(t, 10*time.Second, func() error {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err := conn.JetStream().Publish(ctx, subject, raw)
		return err
	})
}

func await(t *testing.T, f *fleet.Fleet, revision int64, want ...string) {
	t.Helper()
	testenv.Eventually(t, 15*time.Second, func() error {
		var got []string
		for _, n := range f.Nodes(contract.Version{Epoch: 1, Revision: revision}, time.Now()) {
			got = append(got, fmt.Sprintf("%s %d %d", n.GetEdge(), n.GetRevision(), n.Status))
		}
		if diff := cmp.Diff(want, got); diff != "" {
			return errors.New(diff)
		}
		return nil
	})
}

// Guarantee: heartbeats are known to a control plane that was there, to one that starts later, and
// to both again after the stream is gone; nobody speaks for another edge.
func TestFollow(t *testing.T) {
	t.Parallel()
	conn := connect(t, testenv.NATS(t).URL())
	first := start(t, conn)
	beat(t, conn, contract.Fleet("b"), &eventv1.Heartbeat{Edge: "b", Epoch: 1, Revision: 1})
	beat(t, conn, contract.Fleet("a"), &eventv1.Heartbeat{Edge: "a", Epoch: 1, Revision: 1})
	beat(t, conn, contract.Fleet("a"), &eventv1.Heartbeat{Edge: "a", Epoch: 1, Revision: 2})
	beat(t, conn, contract.Fleet("c"), &eventv1.Heartbeat{Edge: "a", Epoch: 1, Revision: 9})
	if err := conn.NATS().Publish(contract.Fleet("d"), []byte{0xff}); err != nil {
		t.Fatal(err)
	}
	await(t, first, 2, "a 2 1", "b 1 2")
	second := start(t, connect(t, conn.NATS().ConnectedUrl()))
	await(t, second, 2, "a 2 1", "b 1 2")
	if err := conn.JetStream().DeleteStream(t.Context(), contract.StreamFleet); err != nil {
		t.Fatal(err)
	}
	beat(t, conn, contract.Fleet("a"), &eventv1.Heartbeat{Edge: "a", Epoch: 1, Revision: 3})
	await(t, first, 3, "a 3 1", "b 1 2")
	await(t, second, 3, "a 3 1", "b 1 2")
}

// Guarantee: an edge is live with the newest revision, behind with an older one or of an older
// epoch, silent after ten seconds, and forgotten after a day.
func TestStatus(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	newest := contract.Version{Epoch: 2, Revision: 5}
	for name, c := range map[string]struct {
		serves contract.Version
		after  time.Duration
		want   fleet.Status
	}{
		"newest":       {newest, 0, fleet.Live},
		"ahead":        {contract.Version{Epoch: 2, Revision: 6}, 0, fleet.Live},
		"older":        {contract.Version{Epoch: 2, Revision: 4}, 9 * time.Second, fleet.Behind},
		"other epoch":  {contract.Version{Epoch: 1, Revision: 9}, 0, fleet.Behind},
		"nearly gone":  {newest, 10*time.Second - 1, fleet.Live},
		"silent":       {newest, 10 * time.Second, fleet.Silent},
		"older silent": {contract.Version{}, time.Hour, fleet.Silent},
		"forgotten":    {newest, 24*time.Hour + 1, 0},
	} {
		f := fleet.New(nil, 1, testenv.Logger(t))
		f.Observe(&eventv1.Heartbeat{Edge: "a", Epoch: c.serves.Epoch, Revision: c.serves.Revision}, at)
		f.Observe(&eventv1.Heartbeat{Edge: "a"}, at.Add(-time.Second)) // late, so without effect
		var got fleet.Status
		if nodes := f.Nodes(newest, at.Add(c.after)); len(nodes) == 1 {
			got = nodes[0].Status
		}
		if got != c.want {
			t.Errorf("%s: status %d, want %d", name, got, c.want)
		}
	}
}
