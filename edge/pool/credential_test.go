package pool_test

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"tollgate/edge/breaker"
	"tollgate/edge/pool"
	"tollgate/edge/routing"
	"tollgate/internal/fault"
)

func told(status int, after time.Duration) pool.Result {
	r := pool.Result{Outcome: breaker.Success, Status: status, RetryAfter: after}
	if status == 503 {
		r.Outcome = breaker.Failure
	}
	return r
}

// use makes one attempt and names the credential it got; empty with the time to wait if there is none.
func use(t *testing.T, p *pool.Pools, e *routing.Endpoint, r pool.Result) (string, time.Duration) {
	t.Helper()
	c, err := p.Pick(e, &pool.Tries{}, nil)
	if err != nil {
		if fault.From(err).Code != fault.UpstreamThrottled {
			t.Fatal(err)
		}
		return "", fault.From(err).RetryAfter
	}
	c.Report(r)
	c.Done()
	return c.Credential.Name, 0
}

// Guarantee: a credential waits as long as the vendor asks, an hour at most, while others are used; when all
// wait, the caller is told when the first is used again. That outlives a new configuration.
func TestRetryAfter(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		e := credentials(endpoint(failover, "a", "b"), failover, "k", "l", "m")
		p := seeded(e)
		for _, step := range []struct {
			r    pool.Result
			want string
		}{{told(429, 20*time.Second), "k"}, {told(503, 30*time.Second), "l"}, {told(503, 0), "m"}, {told(429, 9*time.Hour), "m"}} {
			if got, _ := use(t, p, e, step.r); got != step.want {
				t.Errorf("got %q, want %s", got, step.want)
			}
		}
		next := credentials(endpoint(failover, "a", "b"), failover, "m", "l", "k")
		p.Sync([]*routing.Endpoint{next})
		if got, after := use(t, p, next, worked); got != "" || after != 20*time.Second {
			t.Errorf("got %q, retry after %s", got, after)
		}
		for _, c := range p.Credentials() {
			if until := map[string]time.Duration{"k": 20 * time.Second, "l": 30 * time.Second, "m": time.Hour}[c.Credential]; !c.Until.Equal(time.Now().Add(until)) {
				t.Errorf("%+v", c)
			}
		}
		for _, want := range []string{"k", "l", "m"} {
			pass(map[string]time.Duration{"k": 20 * time.Second, "l": 10 * time.Second, "m": time.Hour}[want])
			if got, _ := use(t, p, next, worked); got != want {
				t.Errorf("got %q, want %s", got, want)
			}
		}
	})
}

// Guarantee: a 429 that names no time pauses for a second, twice as long each further time up to half a
// minute; requests that ran together count once, and one that works starts it over.
func TestPausesGrow(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		e := credentials(endpoint(failover, "a"), failover, "k")
		p := seeded(e)
		for round := range 2 {
			for _, seconds := range []int{1, 2, 4, 8, 16, 30, 30} {
				wait := time.Duration(seconds) * time.Second
				var together []*pool.Choice
				for range 5 {
					together = append(together, pick(t, p, e, &pool.Tries{}))
				}
				for _, c := range together {
					c.Report(told(429, 0))
					c.Done()
				}
				if _, after := use(t, p, e, worked); after != wait {
					t.Errorf("round %d: wait %s, want %s", round, after, wait)
				}
				pass(wait)
			}
			if got, _ := use(t, p, e, worked); got != "k" {
				t.Error("it is still paused")
			}
		}
	})
}

// Guarantee: an endpoint without credentials of its own is never kept from its target by a 429.
func TestNothingToPause(t *testing.T) {
	t.Parallel()
	e := endpoint(failover, "a")
	p := seeded(e)
	if host := attempt(t, p, e, told(429, time.Hour), 10); host != "a" {
		t.Error(host)
	}
}

// Guarantee: a credential that the vendor refuses is counted and goes on; one that cannot be resolved is never
// used; and a request does not get one again that it has dropped.
func TestRefusedCredentials(t *testing.T) {
	t.Parallel()
	e := credentials(endpoint(failover, "a"), failover, "broken", "k", "l")
	unresolved := fault.New(fault.SecretUnresolved, "No secret.")
	e.Credentials[0].Err = unresolved
	p := seeded(e)
	for _, status := range []int{401, 403, 200} {
		if got, _ := use(t, p, e, told(status, time.Minute)); got != "k" {
			t.Errorf("got %q", got)
		}
	}
	if c := p.Credentials()[1]; c.Refused != 2 || !c.Until.IsZero() {
		t.Errorf("%+v", c)
	}
	var tries pool.Tries
	for _, want := range []string{"k", "l"} {
		c := pick(t, p, e, &tries)
		if c.Credential.Name != want || c.Credential != e.Credentials[map[string]int{"k": 1, "l": 2}[want]] {
			t.Errorf("got %s", c.Credential.Name)
		}
		tries.DropCredential(c)
		c.Done()
	}
	if _, err := p.Pick(e, &tries, nil); !errors.Is(err, pool.ErrTried) {
		t.Errorf("a third credential: %v", err)
	}
	next := *e
	next.Credentials = e.Credentials[:1]
	p.Sync([]*routing.Endpoint{&next})
	if _, err := p.Pick(&next, &pool.Tries{}, nil); !errors.Is(err, unresolved) {
		t.Errorf("none that can be used: %v", err)
	}
}
