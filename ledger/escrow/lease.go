package escrow

import "tollgate/internal/money"

// observe takes in what an incarnation says it has seen, returned and spent. A granted total that is
// larger than ours was granted and then lost by the database: believing it is the only safe answer. What
// it has spent beyond what it was given becomes a grant at once and not only when its events arrive, so
// that nobody else is given that money meanwhile. Where nothing was overrun, that changes nothing: an
// edge spends and returns no more together than it has seen granted, at any time.
func observe(a Account, l Lease, q Ask) (_ Account, _ Lease, healed, forced money.Nanos) {
	before := l.Alloc()
	if q.Seen > l.Granted {
		healed = q.Seen - l.Granted
		l.Granted = q.Seen
	}
	l.Returned = max(l.Returned, q.Returned)
	granted := l.Granted
	l = l.normal()
	l.Granted = max(l.Granted, add(q.Consumed, l.Returned))
	forced = l.Granted - granted
	a.Overrun = add(a.Overrun, forced)
	a.Alloc = add(a.Alloc, l.Alloc()-before)
	return a, l, healed, forced
}

// grant sets money aside: what is needed if there is that much, and beyond that at most the active
// incarnations' share of half of what is free. So early grants are large and few, and near the limit
// each is what one request needs, which leaves as little as possible lying around. Where there is less
// than the need, all of it is granted if that helps anybody, and else nothing: an edge could only give
// it back.
//
// The need is counted from the total that the edge has seen, and nothing is granted on top before it
// has seen all that there is, so the same line grants nothing twice.
func grant(a Account, l Lease, q Ask, active int) (Account, Lease, money.Nanos) {
	free := a.Free()
	if a.Closed || free <= 0 {
		return a, l, 0
	}
	need := q.Seen + q.Need - l.Granted
	if need > free && lacking(l, q) > free {
		return a, l, 0
	}
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

// lacking is the least amount that would help an incarnation whose need is not covered.
func lacking(l Lease, q Ask) money.Nanos { return max(1, q.Seen+min(q.Least, q.Need)-l.Granted) }

// settle books what was spent.
func settle(a Account, l Lease, nanos money.Nanos) (_ Account, _ Lease, forced money.Nanos) {
	before := l.Alloc()
	l.Consumed = add(l.Consumed, nanos)
	granted := l.Granted
	l = l.normal()
	forced = l.Granted - granted
	a.Overrun = add(a.Overrun, forced)
	a.Alloc = add(a.Alloc, l.Alloc()-before)
	return a, l, forced
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
