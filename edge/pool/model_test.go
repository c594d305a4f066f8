package pool_test

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"tollgate/edge/breaker"
	"tollgate/edge/pool"
	"tollgate/edge/routing"
	"tollgate/internal/fault"
)

// step is something that happens to a pool.
type step struct {
	What   int // which of the cases in model.do
	Which  int
	Hosts  []int // of a new configuration
	Policy int
	Failed bool
	Pass   time.Duration
}

var anyStep = rapid.Custom(func(t *rapid.T) step {
	return step{
		What: rapid.IntRange(0, 11).Draw(t, "what"), Which: rapid.IntRange(0, 99).Draw(t, "which"),
		Hosts:  rapid.SliceOfNDistinct(rapid.IntRange(0, 4), 1, 5, rapid.ID).Draw(t, "hosts"),
		Policy: rapid.IntRange(0, 3).Draw(t, "policy"), Failed: rapid.Bool().Draw(t, "failed"),
		Pass: time.Duration(rapid.IntRange(1, 20_000).Draw(t, "ms")) * time.Millisecond,
	}
})

// known is what the model knows of a target.
type known struct {
	inFlight, attempts, failures int64
	unhealthy                    bool
	inARow                       int
	out                          time.Time
}

// running is an attempt. It belongs to what was known of its target when it began.
type running struct {
	choice   *pool.Choice
	of       *known
	reported bool
}

// model is a simple pool: it searches lists where the other one counts bits. How long an ejection takes
// is left to TestEjection, and when a breaker opens to its own package; both are read from the pool.
type model struct {
	pool    *pool.Pools
	e       *routing.Endpoint
	targets map[string]*known
	running []*running
	tries   pool.Tries
	dropped map[string]bool
}

const modelFailures = 2 // in a row eject

func (m *model) configure(s step) {
	var hosts []string
	for _, h := range s.Hosts {
		hosts = append(hosts, string(rune('a'+h)))
	}
	policies := []func() *routing.Endpoint{
		func() *routing.Endpoint { return endpoint(0, hosts...) }, func() *routing.Endpoint { return endpoint(failover, hosts...) },
		func() *routing.Endpoint { return endpoint(weighted, hosts...) }, func() *routing.Endpoint { return endpoint(least, hosts...) },
	}
	m.e = policies[s.Policy]()
	m.e.Health = &routing.Health{}
	m.e.Outlier = &routing.Outlier{Failures: modelFailures, EjectFor: 5 * time.Second, MaxPercent: 60}
	for i, t := range m.e.Targets {
		t.Weight, t.Priority = uint32(1+(s.Which+i)%3), uint32((s.Which>>i)%2)
	}
	m.pool.Sync([]*routing.Endpoint{m.e})
	next := map[string]*known{}
	for _, host := range hosts {
		if next[host] = m.targets[host]; next[host] == nil {
			next[host] = &known{}
		}
	}
	m.targets, m.tries, m.dropped = next, pool.Tries{}, map[string]bool{}
}

// tier is when a target gets its turn, by what its breaker says and what the model knows.
func (m *model) tier(host string, breakers map[string]bool) int {
	switch k := m.targets[host]; {
	case m.dropped[host] || breakers[host]:
		return 2
	case k.unhealthy || time.Now().Before(k.out):
		return 1
	default:
		return 0
	}
}

func (m *model) pick() error {
	shut := map[string]bool{} // those whose breaker lets nothing through
	for _, t := range m.e.Targets {
		if s, closed := pool.BreakerOf(m.pool, t).Look(); !closed && (!s.HalfOpen || s.Probing) {
			shut[t.Host] = true
		}
	}
	best := []*routing.Target(nil)
	for tier := 0; tier < 2 && best == nil; tier++ {
		for _, t := range m.e.Targets {
			if m.tier(t.Host, shut) == tier {
				best = append(best, t)
			}
		}
	}
	c, err := m.pool.Pick(m.e, &m.tries, nil)
	if best == nil {
		tried := len(m.dropped) == len(m.e.Targets)
		code := fault.UpstreamUnavailable
		if len(m.e.Targets) == 1 {
			code = fault.BreakerOpen
		}
		if err == nil || tried != errors.Is(err, pool.ErrTried) || !tried && fault.From(err).Code != code {
			return fmt.Errorf("nothing can be tried, got %w", err)
		}
		return nil
	}
	if err != nil {
		return fmt.Errorf("%s can be tried, got %w", best[0].Host, err)
	}
	if !slices.Contains(best, c.Target) {
		return fmt.Errorf("got %s where %d better ones can be tried", c.Target.Host, len(best))
	}
	if why := m.unfair(best, c.Target); why != "" {
		return errors.New(why)
	}
	k := m.targets[c.Target.Host]
	k.attempts++
	k.inFlight++
	m.running = append(m.running, &running{choice: c, of: k})
	return nil
}

// unfair says what the policy of the endpoint forbids of a choice.
func (m *model) unfair(among []*routing.Target, got *routing.Target) string {
	for _, other := range among {
		k, o := m.targets[got.Host], m.targets[other.Host]
		switch m.e.Balance {
		case weighted:
			if other.Priority < got.Priority {
				return "a target of a higher number"
			}
		case least:
			if other.Priority < got.Priority || other.Priority == got.Priority && o.inFlight*int64(got.Weight) < k.inFlight*int64(other.Weight) {
				return fmt.Sprintf("%s is busier than %s", got.Host, other.Host)
			}
		default:
			if other == among[0] && got != other {
				return got.Host + " is not the first"
			}
		}
	}
	return ""
}

func (m *model) report(r *running, failed bool) error {
	result := worked
	if failed {
		result = broke
	}
	r.choice.Report(result)
	if r.reported {
		return nil
	}
	r.reported = true
	k := r.of
	if failed {
		k.failures++
	}
	if m.targets[r.choice.Target.Host] != k || time.Now().Before(k.out) && failed {
		return nil // of a target that is gone, or out already
	}
	if !failed {
		k.inARow = 0
		return nil
	}
	k.inARow++
	out := 0
	for _, other := range m.targets {
		if time.Now().Before(other.out) {
			out++
		}
	}
	n := len(m.targets)
	must := k.inARow >= modelFailures && n > 1 && out < min(max(n*60/100, 1), n-1)
	until := pool.EjectedUntil(m.pool, m.e, r.choice.Target.Name)
	if must != time.Now().Before(until) {
		return fmt.Errorf("%s was ejected until %s, after %d failures with %d out of %d", r.choice.Target.Host, until, k.inARow, out, n)
	}
	if must {
		k.inARow, k.out = 0, until
	}
	return nil
}

func (m *model) do(s step) error {
	var r *running
	if len(m.running) > 0 {
		r = m.running[s.Which%len(m.running)]
	}
	switch {
	case s.What < 4:
		return m.pick()
	case s.What < 7 && r != nil:
		return m.report(r, s.Failed)
	case s.What < 9 && r != nil:
		r.choice.Done()
		r.choice.Done()
		r.of.inFlight--
		m.running = slices.DeleteFunc(m.running, func(other *running) bool { return other == r })
	case s.What == 9:
		i := s.Which % len(m.e.Targets)
		m.pool.SetHealth(m.e, i, !s.Failed)
		m.targets[m.e.Targets[i].Host].unhealthy = s.Failed
	case s.What == 10 && s.Failed:
		m.configure(s)
		for host, k := range m.targets { // some may have come back, never more than must
			k.out = pool.EjectedUntil(m.pool, m.e, "https://"+host+"/v1")
		}
	case s.What == 10 && r != nil && slices.Contains(m.e.Targets, r.choice.Target):
		m.tries.Drop(r.choice)
		m.dropped[r.choice.Target.Host] = true
	case s.What == 11 && s.Failed:
		m.tries, m.dropped = pool.Tries{}, map[string]bool{}
	default:
		pass(s.Pass)
	}
	return nil
}

func (m *model) check() error {
	for _, s := range m.pool.Targets() {
		host := s.Target[len("https://"):][:1]
		if k := m.targets[host]; k == nil || s.Attempts != k.attempts || s.Failures != k.failures || s.InFlight != k.inFlight {
			return fmt.Errorf("%+v, want %+v", s, k)
		}
	}
	return nil
}

// Guarantee: whatever attempts, checks and configurations do, an attempt goes to a target that can be used
// while there is one, then to one that is better tried than not, as the policy says, and is refused
// only when each is tried or shut; and every count is right.
func TestModel(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		first, steps := anyStep.Draw(rt, "first"), rapid.SliceOfN(anyStep, 0, 150).Draw(rt, "steps")
		var problem error
		synctest.Test(t, func(*testing.T) {
			m := &model{pool: seeded(), targets: map[string]*known{}}
			m.configure(first)
			for i, s := range steps {
				err := m.do(s)
				if err == nil {
					err = m.check()
				}
				if err != nil {
					problem = fmt.Errorf("step %d: %w", i, err)
					return
				}
			}
		})
		if problem != nil {
			rt.Fatal(problem)
		}
	})
}

// Guarantee: a choice of a stranger's making reports to the stranger alone.
func TestNewChoice(t *testing.T) {
	t.Parallel()
	e := credentials(endpoint(failover, "a", "b"), failover, "k")
	var got []pool.Result
	c := pool.NewChoice(e, 1, 0, func(r pool.Result) { got = append(got, r) })
	c.Report(worked)
	c.Done()
	if c.Target.Host != "b" || c.Credential.Name != "k" || fmt.Sprint(got) != fmt.Sprint([]pool.Result{worked, {Outcome: breaker.Abandoned}}) {
		t.Errorf("%+v reported %v", c, got)
	}
}

func benchmark(b *testing.B, e *routing.Endpoint) {
	b.Helper()
	p := pool.New(nil)
	p.Sync([]*routing.Endpoint{e})
	b.ReportAllocs()
	for b.Loop() {
		var tries pool.Tries
		c, err := p.Pick(e, &tries, nil)
		if err != nil {
			b.Fatal(err)
		}
		c.Report(worked)
		c.Done()
	}
}

func BenchmarkPick(b *testing.B) {
	b.Run("one", func(b *testing.B) { benchmark(b, endpoint(failover, "a")) })
	b.Run("least of four", func(b *testing.B) { benchmark(b, endpoint(least, "a", "b", "c", "d")) })
	b.Run("with credentials", func(b *testing.B) {
		benchmark(b, credentials(endpoint(weighted, "a", "b"), weighted, "k", "l"))
	})
}
