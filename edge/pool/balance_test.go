package pool_test

import (
	"fmt"
	"testing"

	"tollgate/edge/pool"
	"tollgate/edge/routing"
	eventv1 "tollgate/gen/tollgate/event/v1"
)

// shares counts which target and which credential a thousand attempts get.
func shares(t *testing.T, p *pool.Pools, e *routing.Endpoint) map[string]int {
	t.Helper()
	got := map[string]int{}
	for range 1000 {
		c := pick(t, p, e, &pool.Tries{})
		c.Report(worked)
		c.Done()
		got[c.Target.Host]++
		if c.Credential != nil {
			got[c.Credential.Name]++
		}
	}
	return got
}

func near(got, want int) bool { return got >= want-50 && got <= want+50 }

// Guarantee: those of the lowest priority number share attempts by weight, while any of them can be used;
// then the next ones do. That holds for targets and for credentials, each on its own.
func TestWeights(t *testing.T) {
	t.Parallel()
	for _, policy := range []eventv1.BalancePolicy{weighted, least} {
		e := credentials(endpoint(policy, "a", "b", "c", "d"), weighted, "k", "l", "m")
		e.Health = &routing.Health{}
		e.Targets[0].Priority = 1
		e.Targets[2].Weight = 3
		e.Targets[3].Priority = 7
		e.Credentials[0].Weight, e.Credentials[2].Priority = 4, 1
		p := seeded(e)
		got := shares(t, p, e)
		if got["a"]+got["d"]+got["m"] != 0 || !near(got["b"], 250) || !near(got["c"], 750) || !near(got["k"], 800) || !near(got["l"], 200) {
			t.Errorf("%s: %v", policy, got)
		}
		p.SetHealth(e, 2, false)
		if got := shares(t, p, e); got["b"] != 1000 {
			t.Errorf("%s without c: %v", policy, got)
		}
		p.SetHealth(e, 1, false)
		if got := shares(t, p, e); got["a"] != 1000 {
			t.Errorf("%s without b and c: %v", policy, got)
		}
		order := ""
		for _, s := range p.Look(e) {
			order += s.Target[8:9] + " " + s.State + ", "
		}
		if order != "a ok, d ok, c unhealthy, b unhealthy, " {
			t.Errorf("%s: they would be tried in the order %s", policy, order)
		}
	}
}

// Guarantee: the next attempt goes where the fewest are in flight for the weight, which is from Pick to Done.
func TestLeastInFlight(t *testing.T) {
	t.Parallel()
	e := endpoint(least, "a", "b", "c")
	e.Targets[2].Weight = 2
	p := seeded(e)
	var running []*pool.Choice
	for range 40 {
		c := pick(t, p, e, &pool.Tries{})
		c.Report(worked) // the head is there, the body goes on
		running = append(running, c)
	}
	wantStates(t, p, "a ok 10/0/0/10; b ok 10/0/0/10; c ok 20/0/0/20")
	for _, c := range running {
		if c.Target.Host == "b" {
			c.Done()
		}
	}
	for i := range 10 {
		if c := pick(t, p, e, &pool.Tries{}); c.Target.Host != "b" {
			t.Fatalf("attempt %d goes to %s", i, c.Target.Host)
		}
	}
	if s := p.Look(e); s[0].InFlight != 20 { // all are as busy as their weight says, and the heaviest is likeliest
		t.Errorf("looks at %+v first", s[0])
	}
}

// Guarantee: where none is said, and with FAILOVER, the first that can be used gets all attempts.
func TestFailover(t *testing.T) {
	t.Parallel()
	for _, policy := range []eventv1.BalancePolicy{failover, 0} {
		e := credentials(endpoint(policy, "a", "b"), policy, "k", "l")
		e.Targets[0].Priority = 9 // not for failover
		if got := fmt.Sprint(shares(t, seeded(e), e)); got != "map[a:1000 k:1000]" {
			t.Errorf("%s: %s", policy, got)
		}
	}
}
