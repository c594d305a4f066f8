package pool

import (
	"slices"

	"tollgate/edge/routing"
)

// mostEdits is how many times in a row edited may do. Then what requests have left is looked for that still had an endpoint of before.
const mostEdits = 64

// edited does what Sync does where a few endpoints of many have changed, and neither the order of all nor what judges their targets: nothing of
// the others is looked at. It says whether that is so, and needs mu.
func (p *Pools) edited(endpoints []*routing.Endpoint) bool {
	before := *p.current.Load()
	if len(before) != len(endpoints) || p.edits == mostEdits {
		return false
	}
	var changed []int
	for i, e := range endpoints {
		was := before[i]
		if e == was.e {
			continue
		}
		if e.ID != was.e.ID || p.known[e.ID] != was.memory || !slices.EqualFunc(e.Targets, was.e.Targets, judgedAlike) {
			return false
		}
		changed = append(changed, i)
	}
	current := slices.Clone(before)
	for _, i := range changed {
		v := p.newView(endpoints[i])
		v.memory.follow(p.now(), v)
		p.views.Store(v.e, v)
		p.views.Delete(before[i].e)
		current[i] = v
	}
	p.current.Store(&current)
	p.edits++
	return true
}

// judgedAlike says whether two targets have one circuit breaker.
func judgedAlike(a, b *routing.Target) bool {
	return breakerKey(a) == breakerKey(b) && a.Breaker == b.Breaker
}
