package pool

import (
	"testing"
	"time"

	"tollgate/edge/breaker"
	"tollgate/edge/routing"
)

// Guarantee: a reset lets an endpoint's targets and credentials be tried again at once, says how many it was that could not be,
// and leaves those of others alone.
func TestReset(t *testing.T) {
	t.Parallel()
	endpoint := func(name string) *routing.Endpoint {
		return &routing.Endpoint{
			ID: "ep_" + name, Name: name,
			Targets:     []*routing.Target{{Name: "http://a." + name, Breaker: breaker.Settings{MinEnded: 1}}, {Name: "http://b." + name}},
			Credentials: []*routing.Credential{{Name: "one"}},
			Health:      &routing.Health{}, Outlier: &routing.Outlier{Failures: 1, EjectFor: time.Hour, MaxPercent: 50},
		}
	}
	p := New(nil)
	x, y := endpoint("x"), endpoint("y")
	p.Sync([]*routing.Endpoint{x, y})
	harm := func() {
		for _, e := range []*routing.Endpoint{x, y} {
			v := p.view(e)
			permit, ok := v.targets[0].breaker.Allow()
			if !ok {
				t.Fatal("it was not reset")
			}
			permit.Report(breaker.Failure)
			v.targets[1].ejected.Store(int64(p.now() + time.Hour))
			v.targets[1].unhealthy.Store(true)
			v.credentials[0].paused.Store(int64(p.now() + time.Hour))
		}
	}
	troubled := func(e *routing.Endpoint) (n int) {
		for _, s := range p.Look(e) {
			if s.State != OK {
				n++
			}
		}
		return n
	}
	harm()
	if got := p.Reset("x", ""); got != 4 || troubled(x) != 0 || troubled(y) != 2 {
		t.Errorf("by name: %d changed, %d and %d in trouble", got, troubled(x), troubled(y))
	}
	if got := p.Reset("ep_y", "http://b.y"); got != 2 || troubled(y) != 1 {
		t.Errorf("by id and target: %d changed, %d in trouble", got, troubled(y))
	}
	if got := p.Reset("", ""); got != 2 || troubled(y) != 0 {
		t.Errorf("all: %d changed, %d in trouble", got, troubled(y))
	}
	if got := p.Reset("", ""); got != 0 {
		t.Errorf("%d changed of what is well", got)
	}
	harm()
	if got := p.Reset("nobody", ""); got != 0 || troubled(x) != 2 {
		t.Errorf("another endpoint: %d changed", got)
	}
}
