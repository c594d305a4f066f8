package escrow

import (
	"tollgate/internal/money"
)

// Booked is what booking a batch led to.
type Booked struct {
	Verdict Verdict
	// From is the index of the first event that was booked, if any was.
	From int
	// Late says that events followed the one that closed the incarnation.
	Late bool
	// Released says that events came of an incarnation whose money had been released.
	Released bool
	// Forced is what was spent beyond what had been granted.
	Forced money.Nanos
	// Freed are accounts of which something became free.
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
	for _, e := range batch.Events[from:] {
		out.Late = out.Late || inc.State == Closed
		out.Released = out.Released || inc.State == Released
		for _, d := range e.Draws {
			a, l, forced := settle(b.Accounts[d.Window], b.Leases[d.Window][batch.Inc], d.Nanos)
			b.put(d.Window, batch.Inc, a, l)
			out.Forced = add(out.Forced, forced)
		}
		if e.Close {
			inc.State = Closed
			_, out.Freed = b.releaseAll(batch.Inc)
		}
	}
	inc.HWM = batch.Last()
	b.Incs[batch.Inc] = inc
	return out
}
