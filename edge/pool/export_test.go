package pool

import (
	"time"

	"tollgate/edge/breaker"
	"tollgate/edge/routing"
)

// BreakerOf is the breaker of a target.
func BreakerOf(p *Pools, t *routing.Target) *breaker.Breaker { return p.breakers.Of(breakerKey(t)) }

// EjectedUntil is until when a target is ejected; a time that has passed, if it is not.
func EjectedUntil(p *Pools, e *routing.Endpoint, name string) time.Time {
	for _, s := range p.view(e).targets {
		if s.spec.Name == name {
			return p.moment(time.Duration(s.ejected.Load()))
		}
	}
	return time.Time{}
}

// MostEdits is how many changes may go by until all is looked at.
const MostEdits = mostEdits

// Views is of how many endpoints something is kept.
func Views(p *Pools) (n int) {
	p.views.Range(func(_, _ any) bool { n++; return true })
	return n
}
