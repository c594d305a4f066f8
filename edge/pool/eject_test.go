package pool_test

import (
	"testing"
	"testing/synctest"
	"time"

	"tollgate/edge/pool"
	"tollgate/edge/routing"
)

func ejecting(hosts ...string) *routing.Endpoint {
	e := endpoint(failover, hosts...)
	e.Outlier = &routing.Outlier{Failures: 3, EjectFor: 30 * time.Second, MaxPercent: 50}
	for _, t := range e.Targets {
		t.Breaker.MinEnded = 1 << 30 // out of the way
	}
	return e
}

// Guarantee: failures in a row, and no others, eject a target for its time, twice as long when it goes on at
// once, and as short as at first after it has done well for as long.
func TestEjection(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		e := ejecting("a", "b")
		p := seeded(e)
		for range 5 {
			attempt(t, p, e, broke, 2)
			attempt(t, p, e, worked, 1)
		}
		attempt(t, p, e, pool.Result{}, 9) // abandoned
		wantStates(t, p, "a ok 24/10/0/0; b ok 0/0/0/0")
		outFor := func(want time.Duration) {
			t.Helper()
			if attempt(t, p, e, answered, 3) != "a" || attempt(t, p, e, worked, 1) != "b" {
				t.Error("it was not ejected at three failures")
			}
			if s := p.States()[0]; s.State != pool.Ejected || !s.Until.Equal(time.Now().Add(want)) {
				t.Errorf("%+v at %s", s, time.Now())
			}
			pass(want)
		}
		outFor(30 * time.Second)
		outFor(60 * time.Second)
		outFor(90 * time.Second)
		pass(59 * time.Second)
		outFor(90 * time.Second) // one step down, and one up
		attempt(t, p, e, worked, 1)
		pass(90 * time.Second)
		outFor(30 * time.Second)
	})
}

// Guarantee: no more targets are out than may be, and never all of them; with one target there is nothing to
// eject, and with fewer targets in a new configuration some come back.
func TestEjectionIsBounded(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		hosts   []string
		percent int
		want    int
	}{
		{[]string{"a"}, 100, 0},
		{[]string{"a", "b"}, 100, 1},
		{[]string{"a", "b"}, 10, 1},
		{[]string{"a", "b", "c", "d", "e"}, 50, 2},
		{[]string{"a", "b", "c", "d"}, 100, 3},
	} {
		e := ejecting(tc.hosts...)
		e.Outlier.MaxPercent = tc.percent
		p := seeded(e)
		attempt(t, p, e, broke, 30)
		out := func() (n int) {
			for _, s := range p.Targets() {
				if s.State == pool.Ejected {
					n++
				}
			}
			return n
		}
		if out() != tc.want {
			t.Errorf("%d of %d are out, want %d", out(), len(tc.hosts), tc.want)
		}
		if tc.want > 1 {
			next := ejecting("b", "a")
			p.Sync([]*routing.Endpoint{next})
			wantStates(t, p, "b ejected 3/3/0/0; a ok 3/3/0/0") // a's time would have ended first
		}
	}
}

// Guarantee: what is unhealthy or ejected is tried when nothing else can be, but an open breaker is not.
func TestBetterTriedThanRefused(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		e := ejecting("a", "b", "c")
		e.Health = &routing.Health{}
		e.Targets[2].Breaker.MinEnded = 3
		p := seeded(e)
		attempt(t, p, e, broke, 3) // ejects a
		p.SetHealth(e, 1, false)
		if attempt(t, p, e, broke, 3) != "c" {
			t.Error("c can be used")
		}
		wantStates(t, p, "a ejected 3/3/0/0; b unhealthy 0/0/0/0; c open 3/3/0/0")
		var tries pool.Tries
		for _, want := range []string{"a", "b"} {
			c := pick(t, p, e, &tries)
			if c.Target.Host != want {
				t.Errorf("got %s", c.Target.Host)
			}
			tries.Drop(c)
			c.Done()
		}
		if c, err := p.Pick(e, &tries, nil); err == nil {
			t.Errorf("got %s", c.Target.Host)
		}
		pass(11 * time.Second)
		if attempt(t, p, e, worked, 1) != "c" {
			t.Error("the probe of one that is well otherwise comes first")
		}
		p.SetHealth(e, 1, true)
		if attempt(t, p, e, worked, 1) != "b" {
			t.Error("b is well again")
		}
	})
}
