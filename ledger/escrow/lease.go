package escrow

import "tollgate/internal/money"

// observe takes in what an incarnation says it has seen and returned. A granted total that is larger
// than ours was granted and then lost by the database: believing it is the only safe answer.
func observe(a Account, l Lease, q Ask) (_ Account, _ Lease, healed money.Nanos) {
	before := l.Alloc()
	if q.Seen > l.Granted {
		healed = q.Seen - l.Granted
		l.Granted = q.Seen
	}
	l.Returned = max(l.Returned, q.Returned)
	l = l.normal()
	a.Alloc = add(a.Alloc, l.Alloc()-before)
	return a, l, healed
}

// grant sets money aside: what is needed if there is that much, and beyond that at most the active
// incarnations' share of half of what is free. So early grants are large and few, and near the limit
// each is what one request needs, which leaves as little as possible lying around.
//
// The need is counted from the total that the edge has seen, and nothing is granted on top before it
// has seen all that there is, so the same line grants nothing twice.
func grant(a Account, l Lease, q Ask, active int) (Account, Lease, money.Nanos) {
	free := a.Free()
	if a.Closed || free <= 0 {
		return a, l, 0
	}
	need := q.Seen + q.Need - l.Granted
	want := q.Want - (l.Granted - l.Returned - q.Used)
	if l.Granted > q.Seen { // what it would like may be on its way
		want = 0
	}
	x := min(free, max(need, min(want, free/money.Nanos(2*max(1, active)))), MaxTotal-l.Granted)
	if x <= 0 {
		return a, l, 0
	}
	l.Granted += x
	a.Alloc += x
	return a, l, x
}

// covered says whether the incarnation will have what it needs once it has seen the granted total.
func covered(l Lease, q Ask) bool { return l.Granted >= q.Seen+q.Need }

// settle books what was spent.
func settle(a Account, l Lease, nanos money.Nanos) (Account, Lease) {
	before := l.Alloc()
	l.Consumed = add(l.Consumed, nanos)
	granted := l.Granted
	l = l.normal()
	a.Overrun = add(a.Overrun, l.Granted-granted)
	a.Alloc = add(a.Alloc, l.Alloc()-before)
	return a, l
}

// release gives back what an incarnation that has ended did not spend. It is exact because all that
// it ever spent has been settled before.
func release(a Account, l Lease) (Account, Lease) {
	before := l.Alloc()
	l.Returned = l.Granted - l.Consumed
	a.Alloc += l.Alloc() - before
	return a, l
}

// Verdict is what becomes of a batch.
type Verdict uint8

// The verdicts.
const (
	// Duplicate: every event of it was booked before.
	Duplicate Verdict = iota
	// Gap: events before it are missing, so none of it can be booked.
	Gap
	// Accepted: events of it were booked.
	Accepted
)

// accept says which events of a batch are new, as an index into it.
func (i Incarnation) accept(b Batch) (from int, v Verdict) {
	switch {
	case b.Last() <= i.HWM:
		return 0, Duplicate
	case b.First > i.HWM+1:
		return 0, Gap
	default:
		return int(i.HWM + 1 - b.First), Accepted
	}
}
