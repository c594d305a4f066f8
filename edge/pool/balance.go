package pool

import (
	"cmp"
	"math/bits"
	"sync/atomic"

	eventv1 "tollgate/gen/tollgate/event/v1"
)

// members are what a choice is among: the targets of an endpoint, or its credentials.
type members struct {
	policy eventv1.BalancePolicy
	all    []member
	valid  uint64 // bits of those that can be used at all; for credentials
}

type member struct {
	weight, priority uint32
	inFlight         *atomic.Int64
}

func (m *members) add(weight, priority uint32, inFlight *atomic.Int64) {
	m.all = append(m.all, member{max(weight, 1), priority, inFlight})
}

// bitsOf are the bits of n members.
func bitsOf(n int) uint64 {
	if n >= 64 {
		return ^uint64(0)
	}
	return 1<<n - 1
}

// choose is one of those whose bit is in among, which is not empty.
func (m *members) choose(among uint64, random func() uint64) int {
	first := bits.TrailingZeros64(among)
	if among&(among-1) == 0 {
		return first
	}
	switch m.policy {
	case eventv1.BalancePolicy_BALANCE_POLICY_WEIGHTED:
		return m.byWeight(m.foremost(among), random)
	case eventv1.BalancePolicy_BALANCE_POLICY_LEAST_IN_FLIGHT:
		return m.byWeight(m.leastBusy(m.foremost(among)), random)
	default:
		return first
	}
}

// foremost are those of the lowest priority number.
func (m *members) foremost(among uint64) (best uint64) {
	lowest := ^uint32(0)
	for rest := among; rest != 0; rest &= rest - 1 {
		i := bits.TrailingZeros64(rest)
		switch priority := m.all[i].priority; {
		case best == 0 || priority < lowest:
			lowest, best = priority, 1<<i
		case priority == lowest:
			best |= 1 << i
		}
	}
	return best
}

// leastBusy are those with the fewest attempts in flight for their weight.
func (m *members) leastBusy(among uint64) (best uint64) {
	var flying, weight int64
	for rest := among; rest != 0; rest &= rest - 1 {
		i := bits.TrailingZeros64(rest)
		f, w := m.all[i].inFlight.Load(), int64(m.all[i].weight)
		switch {
		case best == 0 || f*weight < flying*w:
			flying, weight, best = f, w, 1<<i
		case f*weight == flying*w:
			best |= 1 << i
		}
	}
	return best
}

// byWeight is one of them at random.
func (m *members) byWeight(among uint64, random func() uint64) int {
	var total uint64
	for rest := among; rest != 0; rest &= rest - 1 {
		total += uint64(m.all[bits.TrailingZeros64(rest)].weight)
	}
	at, _ := bits.Mul64(random(), total)
	for rest := among; ; rest &= rest - 1 {
		i := bits.TrailingZeros64(rest)
		weight := uint64(m.all[i].weight)
		if at < weight {
			return i
		}
		at -= weight
	}
}

// likelier orders members by how likely choose takes them now.
func (m *members) likelier() func(a, b int) int {
	byWeight := func(a, b int) int {
		return cmp.Or(cmp.Compare(m.all[a].priority, m.all[b].priority), cmp.Compare(m.all[b].weight, m.all[a].weight))
	}
	switch m.policy {
	case eventv1.BalancePolicy_BALANCE_POLICY_WEIGHTED:
		return byWeight
	case eventv1.BalancePolicy_BALANCE_POLICY_LEAST_IN_FLIGHT:
		flying := make([]int64, len(m.all)) // read once, because an order must not change while it is made
		for i := range m.all {
			flying[i] = m.all[i].inFlight.Load()
		}
		return func(a, b int) int {
			return cmp.Or(
				cmp.Compare(m.all[a].priority, m.all[b].priority),
				cmp.Compare(flying[a]*int64(m.all[b].weight), flying[b]*int64(m.all[a].weight)), byWeight(a, b),
			)
		}
	default:
		return func(int, int) int { return 0 }
	}
}
