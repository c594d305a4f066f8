package fleet_test

import (
	"testing"
	"time"

	"tollgate/controlplane/fleet"
	eventv1 "tollgate/gen/tollgate/event/v1"
	"tollgate/internal/contract"
	"tollgate/internal/testenv"
)

// Guarantee: the moment at which an edge began to serve a revision is known for what came while somebody listened, also where it went
// on from an older one to a newer one at once; and not for what was there before, or is no longer remembered.
func TestReached(t *testing.T) {
	t.Parallel()
	f := fleet.New(nil, 1, testenv.Logger(t))
	at := time.Now()
	beat := func(edge string, epoch, revision int64, started time.Time) time.Time {
		at = at.Add(time.Second)
		f.Observe(&eventv1.Heartbeat{Edge: edge, Epoch: epoch, Revision: revision, StartUnixMs: started.UnixMilli()}, at)
		return at
	}
	check := func(edge string, revision int64, want time.Time) {
		t.Helper()
		if got := f.Reached(edge, revision); !got.Equal(want) {
			t.Errorf("%s was at %d at %s, want %s", edge, revision, got, want)
		}
	}
	old, fresh := at.Add(-time.Hour), at.Add(time.Hour)
	beat("old", 1, 5, old)
	check("old", 5, time.Time{})
	seven := beat("old", 1, 7, old)
	beat("old", 1, 7, old)
	check("old", 6, seven)
	check("old", 7, seven)
	check("old", 8, time.Time{})
	check("nobody", 1, time.Time{})
	first := beat("fresh", 1, 5, fresh)
	check("fresh", 5, first)
	again := beat("fresh", 2, 3, fresh) // a database that was restored begins anew
	check("fresh", 3, again)
	check("fresh", 5, time.Time{})
	for revision := range int64(600) {
		beat("old", 1, 10+revision, old)
	}
	check("old", 10, time.Time{})
	if f.Reached("old", 609).IsZero() || f.Reached("old", 200).IsZero() {
		t.Error("the last are forgotten")
	}

	f.Published(contract.Version{Epoch: 1, Revision: 5}, old)
	f.Published(contract.Version{Epoch: 1, Revision: 7}, at)
	if got := f.PublishTime(5); !got.Equal(old) {
		t.Errorf("5 was published at %s", got)
	}
	if got := f.PublishTime(6); !got.Equal(at) {
		t.Errorf("6 was published at %s", got)
	}
	if got := f.PublishTime(4); !got.IsZero() {
		t.Errorf("4 was published at %s", got)
	}
}

// Guarantee: a clock that is ahead or behind is told by how much, as far as the way of a heartbeat lets one tell, and a right one is
// told as right.
func TestSkew(t *testing.T) {
	t.Parallel()
	conn := connect(t, testenv.NATS(t).URL())
	f := start(t, conn)
	for name, ahead := range map[string]time.Duration{"right": 0, "fast": time.Hour, "slow": -time.Hour} {
		for range 3 { // the first says nothing
			beat(t, conn, contract.Fleet(name), &eventv1.Heartbeat{Edge: name, SentUnixMs: time.Now().Add(ahead).UnixMilli()})
		}
	}
	within := map[string][2]time.Duration{"right": {-time.Minute, time.Minute}, "fast": {59 * time.Minute, time.Hour}, "slow": {-61 * time.Minute, -59 * time.Minute}}
	testenv.Eventually(t, 15*time.Second, func() error {
		for _, n := range f.Nodes(contract.Version{}, time.Now()) {
			if name := n.GetEdge(); (n.Skew == 0) == (name != "right") && name != "right" {
				return errNotYet
			}
		}
		if len(f.Nodes(contract.Version{}, time.Now())) != len(within) {
			return errNotYet
		}
		return nil
	})
	for _, n := range f.Nodes(contract.Version{}, time.Now()) {
		if w := within[n.GetEdge()]; n.Skew < w[0] || n.Skew > w[1] {
			t.Errorf("%s is ahead by %s", n.GetEdge(), n.Skew)
		}
	}
}

// Guarantee: whoever waits is woken by the next heartbeat, and by a revision that is published.
func TestChanged(t *testing.T) {
	t.Parallel()
	f := fleet.New(nil, 1, testenv.Logger(t))
	for name, change := range map[string]func(){
		"heartbeat": func() { f.Observe(&eventv1.Heartbeat{Edge: "a"}, time.Now()) },
		"revision":  func() { f.Published(contract.Version{Epoch: 1, Revision: 1}, time.Now()) },
	} {
		changed := f.Changed()
		select {
		case <-changed:
			t.Errorf("%s: woken before", name)
		default:
		}
		change()
		select {
		case <-changed:
		default:
			t.Errorf("%s: not woken", name)
		}
	}
}
