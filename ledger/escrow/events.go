package escrow

import (
	"maps"
	"slices"

	"tollgate/internal/contract"
)

// Booked is what booking a batch led to.
type Booked struct {
	Verdict Verdict
	// From is the index of the first event that was booked, if any was.
	From int
	// Late says that events followed the one that closed the incarnation.
	Late bool
	// Freed is as in Outcome.
	Freed []int64
}

// Apply books a batch: in order, exactly once, and nothing of it if something before it is missing.
func (b *Book) Apply(batch Batch) Booked {
	inc, ok := b.Incs[batch.Inc]
	if !ok {
		inc.Edge = batch.Edge
	}
	from, v := inc.accept(batch)
	out := Booked{Verdict: v, From: from}
	if v != Accepted {
		b.Incs[batch.Inc] = inc
		return out
	}
	var tight []contract.Window
	for _, e := range batch.Events[from:] {
		out.Late = out.Late || inc.Closed
		for _, d := range e.Draws {
			a, l := settle(b.Accounts[d.Window], b.Leases[d.Window][batch.Inc], d.Nanos)
			b.put(d.Window, batch.Inc, a, l)
		}
		if e.Close {
			inc.Closed = true
			tight = b.tight()
			b.releaseAll(batch.Inc)
		}
	}
	inc.HWM = batch.Last()
	b.Incs[batch.Inc] = inc
	out.Freed = b.freed(tight)
	return out
}

// releaseAll gives back what an incarnation that has ended did not spend. All of its leases have to
// be in the book.
func (b *Book) releaseAll(inc int64) {
	for _, w := range slices.SortedFunc(maps.Keys(b.Leases), Compare) {
		if l, ok := b.Leases[w][inc]; ok {
			a, l := release(b.Accounts[w], l)
			b.put(w, inc, a, l)
		}
	}
}

// Compare orders account-windows as they are locked: by account, then in time.
func Compare(v, w contract.Window) int {
	switch {
	case v.Account != w.Account:
		return cmp64(v.Account, w.Account)
	case v.Gen != w.Gen:
		return cmp64(int64(v.Gen), int64(w.Gen))
	default:
		return cmp64(v.Start, w.Start)
	}
}

func cmp64(a, b int64) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	default:
		return 0
	}
}
