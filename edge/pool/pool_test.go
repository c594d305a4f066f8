package pool_test

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"tollgate/edge/breaker"
	"tollgate/edge/pool"
	"tollgate/edge/routing"
	eventv1 "tollgate/gen/tollgate/event/v1"
	"tollgate/internal/fault"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	failover = eventv1.BalancePolicy_BALANCE_POLICY_FAILOVER
	weighted = eventv1.BalancePolicy_BALANCE_POLICY_WEIGHTED
	least    = eventv1.BalancePolicy_BALANCE_POLICY_LEAST_IN_FLIGHT
)

var (
	worked   = pool.Result{Outcome: breaker.Success, Status: 200}
	broke    = pool.Result{Outcome: breaker.Failure}
	answered = pool.Result{Outcome: breaker.Success, Status: 500} // which a breaker does not count
)

func pass(d time.Duration) { <-time.After(d) }

// seeded is a pool whose chances are the same in every run.
func seeded(e ...*routing.Endpoint) *pool.Pools {
	source := rand.New(rand.NewPCG(1, 2))
	var mu sync.Mutex
	p := pool.NewWith(pool.Config{Rand: func() uint64 { mu.Lock(); defer mu.Unlock(); return source.Uint64() }}, nil)
	p.Sync(e)
	return p
}

// endpoint has targets of these hosts.
func endpoint(balance eventv1.BalancePolicy, hosts ...string) *routing.Endpoint {
	e := &routing.Endpoint{ID: "ep_x", Name: "x", Balance: balance}
	for _, host := range hosts {
		name := "https://" + host + "/v1"
		e.Targets = append(e.Targets, &routing.Target{Name: name, Host: host, BreakerKey: name, Weight: 1, Breaker: breaker.DefaultSettings()})
	}
	return e
}

func credentials(e *routing.Endpoint, balance eventv1.BalancePolicy, names ...string) *routing.Endpoint {
	e.CredentialBalance = balance
	for _, name := range names {
		e.Credentials = append(e.Credentials, &routing.Credential{Name: name, Weight: 1})
	}
	return e
}

func pick(t *testing.T, p *pool.Pools, e *routing.Endpoint, tries *pool.Tries) *pool.Choice {
	t.Helper()
	c, err := p.Pick(e, tries, nil)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// attempt makes whole attempts and names the host of the last one.
func attempt(t *testing.T, p *pool.Pools, e *routing.Endpoint, r pool.Result, times int) (host string) {
	t.Helper()
	for range times {
		c := pick(t, p, e, &pool.Tries{})
		c.Report(r)
		c.Done()
		host = c.Target.Host
	}
	return host
}

func states(p *pool.Pools) string {
	var b strings.Builder
	for _, s := range p.Targets() {
		fmt.Fprintf(&b, "%s %s %d/%d/%d/%d; ", strings.TrimSuffix(strings.TrimPrefix(s.Target, "https://"), "/v1"), s.State, s.Attempts, s.Failures, s.Retries, s.InFlight)
	}
	return strings.TrimSuffix(b.String(), "; ")
}

func wantStates(t *testing.T, p *pool.Pools, want string) {
	t.Helper()
	if got := states(p); got != want {
		t.Errorf("states are %s\nwant       %s", got, want)
	}
}

// Guarantee: a request gets the targets one after the other, each once, until it may try all again; and
// what it did is counted at each.
func TestTries(t *testing.T) {
	t.Parallel()
	e := endpoint(failover, "a", "b")
	p := seeded(e)
	var tries pool.Tries
	for _, want := range []string{"a", "b"} {
		c := pick(t, p, e, &tries)
		if c.Target.Host != want || c.Credential != nil {
			t.Errorf("got %s, want %s", c.Target.Host, want)
		}
		tries.DropCredential(c) // it has none
		tries.Drop(c)
		c.Report(answered)
		c.Report(broke) // does not count
		c.Done()
		c.Done() // does not count either
	}
	if _, err := p.Pick(e, &tries, nil); !errors.Is(err, pool.ErrTried) {
		t.Errorf("a third target: %v", err)
	}
	tries.Retry()
	c := pick(t, p, e, &tries)
	if c.Target.Host != "a" {
		t.Errorf("got %s", c.Target.Host)
	}
	wantStates(t, p, "a ok 2/1/1/1; b ok 1/1/1/0")
	c.Done()
	wantStates(t, p, "a ok 2/1/1/0; b ok 1/1/1/0")
}

// Guarantee: a target that a request can't be sent to is never chosen for it, not when all are tried again either; leaving it out is no
// failed attempt, and of those that are out nobody is told.
func TestExclude(t *testing.T) {
	t.Parallel()
	e := endpoint(failover, "a", "b")
	p := seeded(e)
	var tries pool.Tries
	tries.Exclude(0)
	for range 2 {
		c := pick(t, p, e, &tries)
		if c.Target.Host != "b" || c.Number() != 1 {
			t.Errorf("got %s", c.Target.Host)
		}
		tries.Drop(c)
		c.Report(answered)
		c.Done()
		if _, err := p.Pick(e, &tries, nil); !errors.Is(err, pool.ErrTried) {
			t.Errorf("a second target: %v", err)
		}
		tries.Retry()
	}
	wantStates(t, p, "a ok 0/0/0/0; b ok 2/2/1/0")
	var again pool.Tries
	again.Exclude(0)
	for range 40 { // until its breaker opens
		c, err := p.Pick(e, &again, nil)
		if err != nil {
			break
		}
		c.Report(broke)
		c.Done()
	}
	if _, err := p.Pick(e, &again, nil); err == nil || strings.Contains(err.Error(), "a has") || !errors.Is(err, fault.New(fault.BreakerOpen, "")) {
		t.Errorf("refused with %v", err)
	}
}

// Guarantee: an open breaker is said for one target with its host, and for several with all of them;
// the caller learns when the first is tried again, and nothing of what else is in their addresses.
func TestRefusals(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		one, two := endpoint(failover, "api.example.com"), endpoint(failover, "b", "c")
		two.ID, two.Name = "ep_two", "two"
		one.Targets[0].URL = "https://api.example.com/v1?token=hidden"
		p := seeded(one, two)
		attempt(t, p, one, broke, 5)
		pass(1500 * time.Millisecond)
		refused := func(e *routing.Endpoint, tries *pool.Tries, code fault.Code, after time.Duration, parts ...string) {
			t.Helper()
			_, err := p.Pick(e, tries, nil)
			f := fault.From(err)
			if f.Code != code || f.RetryAfter != after || strings.Contains(f.Message, "hidden") || strings.Contains(f.Message, "/v1") {
				t.Errorf("%v, retry after %s", err, f.RetryAfter)
			}
			for _, part := range parts {
				if !strings.Contains(f.Message, part) {
					t.Errorf("%q is not in %s", part, f.Message)
				}
			}
		}
		refused(one, &pool.Tries{}, fault.BreakerOpen, 9*time.Second, "api.example.com", "9 s")

		attempt(t, p, two, broke, 5)
		pass(2 * time.Second)
		if host := attempt(t, p, two, broke, 5); host != "c" {
			t.Errorf("got %s, whose breaker is open", host)
		}
		refused(two, &pool.Tries{}, fault.UpstreamUnavailable, 8*time.Second, "All 2 targets of endpoint two", "b has", "8 s", "c has", "10 s")
		pass(9 * time.Second)
		var tries pool.Tries
		probe := pick(t, p, two, &tries)
		if probe.Target.Host != "b" {
			t.Errorf("the probe goes to %s", probe.Target.Host)
		}
		refused(two, &pool.Tries{}, fault.UpstreamUnavailable, time.Second) // the probe may end any time
		tries.Drop(probe)
		refused(two, &tries, fault.UpstreamUnavailable, time.Second, "b failed this request", "c has")
		probe.Report(worked)
		probe.Done()
		if attempt(t, p, two, worked, 1) != "b" {
			t.Error("the probe did not close the breaker")
		}
	})
}

// Guarantee: a probe is not spent on a target that is then not chosen, nor on an attempt that has no
// credential.
func TestProbesAreNotWasted(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		e := credentials(endpoint(failover, "a", "b"), failover, "k")
		p := seeded(e)
		attempt(t, p, e, broke, 10)
		pass(11 * time.Second)
		c := pick(t, p, e, &pool.Tries{})
		c.Report(pool.Result{Outcome: breaker.Success, Status: 429, RetryAfter: time.Minute})
		c.Done()
		for range 3 {
			if _, err := p.Pick(e, &pool.Tries{}, nil); fault.From(err).Code != fault.UpstreamThrottled {
				t.Fatal(err)
			}
			p.Look(e)
			p.States()
		}
		pass(time.Minute)
		var tries pool.Tries
		tries.Drop(c)
		c = pick(t, p, e, &tries) // b's, which nothing has taken
		if c.Target.Host != "b" {
			t.Errorf("got %s", c.Target.Host)
		}
		c.Done()
	})
}

// Guarantee: a new configuration keeps breakers, counts, marks and pauses of what is still there, whatever
// its number, and forgets what is gone; what was chosen before reports without harm.
func TestSync(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		e := credentials(endpoint(failover, "a", "b", "c"), failover, "k", "l")
		e.Health, e.Outlier = &routing.Health{}, &routing.Outlier{Failures: 1, EjectFor: time.Hour, MaxPercent: 100}
		p := seeded(e)
		p.SetHealth(e, 1, false)
		for range 5 {
			var tries pool.Tries
			c := pick(t, p, e, &tries)
			c.Report(broke)
			c.Done()
		}
		c := pick(t, p, e, &pool.Tries{}) // a and c are ejected, b is unhealthy: all are tried
		c.Report(pool.Result{Outcome: breaker.Success, Status: 429, RetryAfter: time.Minute})
		before := states(p)

		next := credentials(endpoint(failover, "c", "b", "a", "d"), failover, "l", "k")
		next.Health, next.Outlier = &routing.Health{}, e.Outlier
		p.Sync([]*routing.Endpoint{next})
		parts := strings.Split(before, "; ")
		wantStates(t, p, strings.Join([]string{parts[2], parts[1], parts[0], "d ok 0/0/0/0"}, "; "))
		if got := pick(t, p, next, &pool.Tries{}); got.Target.Host != "d" || got.Credential.Name != "l" {
			t.Errorf("got %s with %s", got.Target.Host, got.Credential.Name)
		}
		c.Done()
		p.Sync(nil)
		c.Report(broke)
		c.Done()
		wantStates(t, p, "")
		if len(p.States())+len(p.Credentials()) != 0 {
			t.Errorf("%v, %v", p.States(), p.Credentials())
		}
		p.Sync([]*routing.Endpoint{next})
		wantStates(t, p, "c ok 0/0/0/0; b ok 0/0/0/0; a ok 0/0/0/0; d ok 0/0/0/0")
	})
}

// Guarantee: where one endpoint of several changes, the others keep everything, it keeps what is known of its targets, and what was
// chosen before reports to the same target; however often that happens.
func TestSyncOfOneChange(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		named := func(id string) *routing.Endpoint {
			e := endpoint(failover, "a", "b")
			e.ID, e.Name = id, id
			return e
		}
		all := []*routing.Endpoint{named("ep_1"), named("ep_2"), named("ep_3")}
		p := seeded(all...)
		want := 0
		for range 200 {
			c := pick(t, p, all[1], &pool.Tries{})
			next := named("ep_2")
			all = slices.Clone(all)
			all[1] = next
			p.Sync(all)
			c.Report(pool.Result{Outcome: breaker.Success, Status: 200})
			c.Done()
			attempt(t, p, next, pool.Result{Outcome: breaker.Success, Status: 200}, 1)
			want += 2
		}
		wantStates(t, p, fmt.Sprintf("a ok 0/0/0/0; b ok 0/0/0/0; a ok %d/0/0/0; b ok 0/0/0/0; a ok 0/0/0/0; b ok 0/0/0/0", want))
		if n := pool.Views(p); n > len(all)+pool.MostEdits {
			t.Errorf("%d endpoints are known, of %d", n, len(all))
		}
		if s := p.States(); len(s) != 1 || s[0].Endpoint != "ep_2" {
			t.Errorf("%v", s)
		}
		all = slices.Clone(all)
		all[0] = named("ep_4") // in place of another one
		p.Sync(all)
		p.Sync(all[1:])
		wantStates(t, p, fmt.Sprintf("a ok %d/0/0/0; b ok 0/0/0/0; a ok 0/0/0/0; b ok 0/0/0/0", want))
		if n := pool.Views(p); n != 2 {
			t.Errorf("%d endpoints are known, of 2", n)
		}
	})
}

// Guarantee: an open breaker stays open through changes of anything but what it is judged by.
func TestBreakerSurvivesSync(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		e := endpoint(failover, "a")
		p := seeded(e)
		attempt(t, p, e, broke, 5)
		next, other := endpoint(weighted, "b", "a"), endpoint(failover, "a")
		other.ID, other.Name = "ep_other", "other"
		p.Sync([]*routing.Endpoint{next, other})
		for range 50 {
			if host := attempt(t, p, next, worked, 1); host != "b" {
				t.Fatalf("got %s", host)
			}
		}
		if _, err := p.Pick(other, &pool.Tries{}, nil); fault.From(err).Code != fault.BreakerOpen {
			t.Errorf("another endpoint with the same target: %v", err)
		}
		wantStates(t, p, "b ok 50/0/0/0; a open 5/5/0/0; a open 0/0/0/0")
		s := p.States()
		if len(s) != 3 || s[0].State != pool.Open || s[1].State != pool.Open || time.Until(s[0].Until) != 10*time.Second {
			t.Errorf("%+v", s)
		}
	})
}

// Guarantee: without a health check or a rule of ejection nothing stays out because of one that was.
func TestMarksEndWithTheirRules(t *testing.T) {
	t.Parallel()
	e := endpoint(failover, "a", "b", "c")
	e.Health, e.Outlier = &routing.Health{}, &routing.Outlier{Failures: 1, EjectFor: time.Hour, MaxPercent: 50}
	p := seeded(e)
	attempt(t, p, e, broke, 1)
	p.SetHealth(e, 1, false)
	wantStates(t, p, "a ejected 1/1/0/0; b unhealthy 0/0/0/0; c ok 0/0/0/0")
	p.Sync([]*routing.Endpoint{endpoint(failover, "a", "b", "c")})
	wantStates(t, p, "a ok 1/1/0/0; b ok 0/0/0/0; c ok 0/0/0/0")
}

// Guarantee: targets that differ only in what nobody is shown are told apart, and shown as one.
func TestTwins(t *testing.T) {
	t.Parallel()
	e := endpoint(failover, "a", "a")
	e.Health = &routing.Health{}
	e.Targets[1].Transport.SkipVerify = true
	p := seeded(e)
	p.SetHealth(e, 0, false)
	if c := pick(t, p, e, &pool.Tries{}); c.Target != e.Targets[1] {
		t.Error("the unhealthy one was chosen")
	}
	if s := p.Targets(); len(s) != 1 || s[0].State != pool.Unhealthy || s[0].Attempts != 1 || s[0].InFlight != 1 || !s[0].SkipVerify {
		t.Errorf("%+v", s)
	}
}

// Guarantee: heartbeats get what is in trouble first, and no more than they have room for.
func TestStatesAreCapped(t *testing.T) {
	t.Parallel()
	var all []*routing.Endpoint
	for i := range 300 {
		e := endpoint(failover, fmt.Sprintf("h%03d", i))
		e.ID, e.Name, e.Health = fmt.Sprint(i), fmt.Sprintf("e%03d", i), &routing.Health{}
		all = append(all, e)
	}
	p := seeded(all...)
	if s := p.States(); len(s) != 0 {
		t.Errorf("%d states of targets that were never tried", len(s))
	}
	for _, e := range all {
		attempt(t, p, e, worked, 1)
	}
	p.SetHealth(all[299], 0, false)
	s := p.States()
	if len(s) != 256 || s[0].Endpoint != "e299" || s[0].State != pool.Unhealthy || s[1].Endpoint != "e000" || len(p.Targets()) != 300 {
		t.Errorf("%d states, first %+v", len(s), s[0])
	}
}

// Guarantee: it is safe for concurrent use, and what is in flight is 0 in the end.
func TestConcurrent(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	p := pool.New(slog.New(slog.NewTextHandler(&log, nil)))
	var versions []*routing.Endpoint
	for _, hosts := range [][]string{{"a", "b", "c"}, {"b", "c"}, {"c", "a", "d"}} {
		e := credentials(endpoint(least, hosts...), weighted, "k", "l")
		e.Health, e.Outlier = &routing.Health{}, &routing.Outlier{Failures: 2, EjectFor: time.Millisecond, MaxPercent: 50}
		e.Retry = &routing.Retry{BudgetPercent: 20}
		versions = append(versions, e)
	}
	p.Sync(versions[:1])
	var wg sync.WaitGroup
	for worker := range 8 {
		wg.Go(func() {
			chance := rand.New(rand.NewPCG(uint64(worker), 0))
			for range 500 {
				e := versions[chance.IntN(len(versions))]
				switch chance.IntN(20) {
				case 0:
					p.Sync([]*routing.Endpoint{e})
				case 1:
					p.SetHealth(e, chance.IntN(len(e.Targets)), chance.IntN(2) == 0)
				case 2:
					p.States()
					p.Credentials()
					p.Look(e)
				}
				var tries pool.Tries
				c, err := p.Pick(e, &tries, nil)
				if err != nil {
					continue
				}
				if chance.IntN(3) == 0 {
					c.Report(broke)
					tries.Drop(c)
					p.MayRetry(e)
				} else {
					c.Report(worked)
				}
				c.Done()
			}
		})
	}
	wg.Wait()
	p.Sync(versions[2:])
	for _, s := range p.Targets() {
		if s.InFlight != 0 {
			t.Errorf("%+v", s)
		}
	}
}
