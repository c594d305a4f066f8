package pool

import (
	"cmp"
	"slices"
	"time"

	"tollgate/edge/routing"
)

// The states of a target.
const (
	OK        = "ok"
	Open      = "open"      // its breaker is
	HalfOpen  = "half-open" // its breaker is
	Ejected   = "ejected"   // for failures in a row
	Unhealthy = "unhealthy" // by health checks
)

// mostStates is how many targets are told in one heartbeat.
const mostStates = 256

// State is one target of one endpoint.
type State struct {
	Endpoint, Target            string
	State                       string    // "ok", "open", "half-open", "ejected" or "unhealthy"
	Until                       time.Time // when it is tried again; zero if it is not known
	Attempts, Failures, Retries int64
	InFlight                    int64
	SkipVerify                  bool // its certificates are not verified
	Number                      int  // of the target in its endpoint, where one endpoint is looked at
}

// Credential is one credential of one endpoint.
type Credential struct {
	Endpoint, Credential string
	Until                time.Time // when it is used again, if the vendor has asked to wait; zero if it is not paused
	Refused              int64     // answers 401 and 403 since the edge started
	InFlight             int64
}

// States lists the targets that were tried or cannot be, those in trouble first, and no more than 256.
func (p *Pools) States() []State {
	all := p.targets(func(s *State) bool { return s.State != OK || s.Attempts > 0 })
	slices.SortStableFunc(all, func(a, b State) int {
		return cmp.Or(
			cmp.Compare(rank(a.State), rank(b.State)),
			cmp.Compare(a.Endpoint, b.Endpoint), cmp.Compare(a.Target, b.Target),
		)
	})
	return all[:min(len(all), mostStates)]
}

// rank puts what is in trouble first.
func rank(state string) int {
	if state == OK {
		return 1
	}
	return 0
}

// Targets lists every target of every endpoint. Those of one endpoint that differ in the query of
// their URL alone, which nobody is shown, are one of them.
func (p *Pools) Targets() []State { return p.targets(func(*State) bool { return true }) }

// targets lists those that are wanted. Of the others, which may be many, nothing is kept.
func (p *Pools) targets(wanted func(*State) bool) []State {
	var out []State
	var own []State // of one endpoint
	for _, v := range *p.current.Load() {
		own = own[:0]
		for i := range v.targets {
			s := v.state(p, i)
			twin := slices.IndexFunc(own, func(o State) bool { return o.Target == s.Target })
			if twin < 0 {
				own = append(own, s)
				continue
			}
			o := &own[twin]
			if o.State == OK {
				o.State, o.Until = s.State, s.Until
			}
			o.Attempts, o.Failures, o.Retries, o.InFlight = o.Attempts+s.Attempts, o.Failures+s.Failures, o.Retries+s.Retries, o.InFlight+s.InFlight
			o.SkipVerify = o.SkipVerify || s.SkipVerify
		}
		for i := range own {
			if wanted(&own[i]) {
				out = append(out, own[i])
			}
		}
	}
	return out
}

// Credentials lists every credential of every endpoint.
func (p *Pools) Credentials() []Credential {
	var out []Credential
	for _, v := range *p.current.Load() {
		for i, c := range v.credentials {
			s := Credential{Endpoint: v.e.Name, Credential: v.e.Credentials[i].Name, Refused: c.refused.Load(), InFlight: c.inFlight.Load()}
			if !passed(&c.paused, p) {
				s.Until = p.moment(time.Duration(c.paused.Load()))
			}
			out = append(out, s)
		}
	}
	return out
}

// Look lists the targets of an endpoint in the order in which a request would try them now, without
// counting as an attempt. Where chance decides, what is likelier comes first.
func (p *Pools) Look(e *routing.Endpoint) []State {
	v := p.view(e)
	order := make([]int, len(v.targets))
	for i := range order {
		order[i] = i
	}
	good, policy := v.good(p, bitsOf(len(v.targets))), v.ofTargets.likelier()
	slices.SortStableFunc(order, func(a, b int) int {
		return cmp.Or(cmp.Compare(v.turn(a, good), v.turn(b, good)), policy(a, b))
	})
	out := make([]State, len(order))
	for at, i := range order {
		out[at] = v.state(p, i)
		out[at].Number = i
	}
	return out
}

// turn is when a target gets its turn: with the good ones, with those that are tried because it is
// better than to refuse, or not at all.
func (v *view) turn(i int, good uint64) int {
	switch s, closed := v.targets[i].breaker.Look(); {
	case !closed && (!s.HalfOpen || s.Probing):
		return 2
	case good&(1<<i) == 0:
		return 1
	default:
		return 0
	}
}

func (v *view) state(p *Pools, i int) State {
	s := &v.targets[i]
	out := State{
		Endpoint: v.e.Name, Target: s.spec.Name, State: OK, SkipVerify: s.spec.Transport.SkipVerify,
		Attempts: s.attempts.Load(), Failures: s.failures.Load(), Retries: s.retries.Load(), InFlight: s.inFlight.Load(),
	}
	switch b, closed := s.breaker.Look(); {
	case !closed && b.HalfOpen:
		out.State = HalfOpen
	case !closed:
		out.State, out.Until = Open, b.Until
	case s.unhealthy.Load():
		out.State = Unhealthy
	case !passed(&s.ejected, p):
		out.State, out.Until = Ejected, p.moment(time.Duration(s.ejected.Load()))
	}
	return out
}
