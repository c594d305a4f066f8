package pool

import (
	"fmt"
	"math"
	"math/bits"
	"strings"
	"time"

	"tollgate/edge/breaker"
	"tollgate/edge/routing"
	"tollgate/internal/fault"
)

// Pick chooses for the next attempt of a request. The choice is kept in into, which nobody else uses as long as it has not ended;
// nil makes it take memory of its own. The error is a fault that tells why none can be made, or ErrTried.
func (p *Pools) Pick(e *routing.Endpoint, t *Tries, into *Choice) (*Choice, error) {
	v := p.view(e)
	// The credential comes first, because taking it takes nothing: a breaker's only probe must not be
	// spent on an attempt that then has no credential.
	credential := -1
	if len(v.credentials) > 0 {
		ready := v.ready(p, t)
		if ready == 0 {
			return nil, v.noCredential(p, t)
		}
		credential = v.ofCreds.choose(ready, p.rand)
	}
	target, permit, ok := v.pickTarget(p, t)
	if !ok {
		return nil, v.noTarget(t)
	}
	s := &v.targets[target]
	c := into
	if c == nil {
		c = new(Choice)
	}
	*c = Choice{Target: s.spec, target: target, credential: credential, pools: p, view: v, permit: permit}
	s.attempts.Add(1)
	s.inFlight.Add(1)
	if credential >= 0 {
		c.Credential = e.Credentials[credential]
		v.credentials[credential].inFlight.Add(1)
	}
	switch again := t.again(); {
	case again:
		s.retries.Add(1)
	case v.limited:
		v.memory.budget.first(p.now())
	}
	return c, nil
}

// ready are the credentials that may be used.
func (v *view) ready(p *Pools, t *Tries) uint64 {
	ready := v.ofCreds.valid &^ t.credentials
	for rest := ready; rest != 0; rest &= rest - 1 {
		if i := bits.TrailingZeros64(rest); !passed(&v.credentials[i].paused, p) {
			ready &^= 1 << i
		}
	}
	return ready
}

// pickTarget takes the permit of the one that is chosen. Those that are unhealthy or ejected get their
// turn when no other one can be tried: that is better than to refuse.
func (v *view) pickTarget(p *Pools, t *Tries) (int, breaker.Permit, bool) {
	left := bitsOf(len(v.targets)) &^ (t.targets | t.out)
	good := v.good(p, left)
	for _, among := range [2]uint64{good, left &^ good} {
		for among != 0 {
			i := v.ofTargets.choose(among, p.rand)
			if permit, ok := v.targets[i].breaker.Allow(); ok {
				return i, permit, true
			}
			among &^= 1 << i
		}
	}
	return 0, breaker.Permit{}, false
}

// good are those that are neither unhealthy nor ejected.
func (v *view) good(p *Pools, among uint64) uint64 {
	for rest := among; rest != 0; rest &= rest - 1 {
		i := bits.TrailingZeros64(rest)
		if s := v.targets[i].target; s.unhealthy.Load() || !passed(&s.ejected, p) {
			among &^= 1 << i
		}
	}
	return among
}

func (v *view) noTarget(t *Tries) error {
	left := bitsOf(len(v.targets)) &^ (t.targets | t.out)
	if left == 0 {
		return ErrTried
	}
	soonest := time.Duration(math.MaxInt64)
	var why []string
	for i := range v.targets {
		switch bit := uint64(1) << i; {
		case t.out&bit != 0:
			continue
		case left&bit == 0:
			why = append(why, v.targets[i].spec.Host+" failed this request")
			continue
		}
		state, _ := v.targets[i].breaker.Look()
		wait := wholeSeconds(time.Until(state.Until))
		soonest = min(soonest, wait)
		why = append(why, fmt.Sprintf("%s has failed repeatedly and is not tried for %d s", v.targets[i].spec.Host, wait/time.Second))
	}
	if len(why) == 1 {
		host := v.targets[bits.TrailingZeros64(left)].spec.Host
		return fault.New(fault.BreakerOpen, "The target %s has failed repeatedly; it is not tried for %d s.", host, soonest/time.Second).
			WithRetryAfter(soonest)
	}
	return fault.New(fault.UpstreamUnavailable, "All %d targets of endpoint %s are out: %s.", len(why), v.e.Name, strings.Join(why, ", ")).
		WithRetryAfter(soonest)
}

func (v *view) noCredential(p *Pools, t *Tries) error {
	left := v.ofCreds.valid &^ t.credentials
	switch {
	case v.ofCreds.valid == 0:
		return v.e.Credentials[0].Err
	case left == 0:
		return ErrTried
	}
	soonest := time.Duration(math.MaxInt64)
	for ; left != 0; left &= left - 1 {
		until := time.Duration(v.credentials[bits.TrailingZeros64(left)].paused.Load())
		soonest = min(soonest, wholeSeconds(until-p.now()))
	}
	text := "The vendor takes no more requests from endpoint %s with any of its %d credentials for %d s."
	return fault.New(fault.UpstreamThrottled, text, v.e.Name, len(v.credentials), soonest/time.Second).WithRetryAfter(soonest)
}

// wholeSeconds is a time to wait as callers are told it: at least a second.
func wholeSeconds(d time.Duration) time.Duration {
	return max((d + time.Second - 1).Truncate(time.Second), time.Second)
}
