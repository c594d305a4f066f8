// Package escrow is the arithmetic of budgets: money is set aside for an edge before the edge may
// spend it, so that no budget is ever overspent, whatever is lost, repeated, reordered or killed.
// It holds the state machines of an account-window, a lease and an incarnation, and a Book of them
// that decides lease lines and books settlements.
//
// Every amount that arrives is cumulative and only ever grows, which makes each function here
// idempotent. Nothing in this package reads a clock, a network or a database: whoever calls it
// makes the outcome durable before telling anybody.
package escrow

import (
	"errors"
	"fmt"

	"tollgate/internal/contract"
	"tollgate/internal/money"
)

// MaxTotal bounds a cumulative amount that an edge may tell. Totals count what was granted and returned
// over and over, so it is large; two of them can be added.
const MaxTotal = money.Max >> 1

// Account is one account in one period.
type Account struct {
	// Limit is what the period may cost.
	Limit money.Nanos
	// Alloc is what edges have spent or could spend: the sum of Lease.Alloc. A grant never takes it
	// above Limit.
	Alloc money.Nanos
	// Overrun is how much of Alloc was spent beyond what had been granted.
	Overrun money.Nanos
	// Elsewhere is what leases that are not in the book have spent. A whole book has none.
	Elsewhere money.Nanos
	// Version is the version of Limit.
	Version int64
	// Closed means that nothing is granted any more. Returns and settlements still count.
	Closed bool
	// Days is how many days count together in a rolling period, and Day the number of this window's
	// day, as DayOf has it. Both are 0 in other periods.
	Days uint32
	Day  int64
	// Prior is what the other windows of a rolling period have taken of the limit: the largest sum over
	// those days that this window shares a span with. The book keeps it, see Prior.
	Prior money.Nanos
}

// Free is what can still be granted. It is negative after the limit was lowered below what is taken. What
// was taken may be as much as a number can hold, and more days of it more than that.
func (a Account) Free() money.Nanos { return a.Limit - add(a.Prior, a.Alloc) }

// Here is how much of the limit this window may take.
func (a Account) Here() money.Nanos { return max(0, a.Limit-a.Prior) }

// Lease is what one incarnation was given of one account-window. All three are totals over its life.
// The lease of Corrections alone may go down and below zero.
type Lease struct {
	Granted, Returned, Consumed money.Nanos
}

// Corrections is the incarnation of the ledger's own lease, on which it books what settlements should
// have cost more or less. Its Granted is its Consumed.
const Corrections int64 = 0

// Alloc is what the lease takes of the limit: what was spent, or could still be.
func (l Lease) Alloc() money.Nanos { return max(l.Granted-l.Returned, l.Consumed) }

// Unspent is what the incarnation has, as far as its settlements tell.
func (l Lease) Unspent() money.Nanos { return max(0, l.Granted-l.Returned-l.Consumed) }

// normal is l after an overrun became a grant: what was spent is a fact and has to be in the books.
// At the end of what a number can hold the books stand still, because an edge whose events could not
// be booked would never get rid of them.
func (l Lease) normal() Lease {
	if l.Consumed > l.Granted-l.Returned {
		l.Returned = min(l.Returned, money.Max-l.Consumed)
		l.Granted = l.Consumed + l.Returned
	}
	return l
}

// add is a+b, or the largest amount.
func add(a, b money.Nanos) money.Nanos {
	sum, err := a.Add(b)
	if err != nil {
		return money.Max
	}
	return sum
}

// IncState is what is known of an incarnation. The numbers are stored.
type IncState uint8

// The states of an incarnation.
const (
	// Live: it may spend what it holds, and ask for more.
	Live IncState = 0
	// Closed: its last event was booked. It spends and gets nothing any more.
	Closed IncState = 1
	// Lost: its machine is believed to be gone. What it holds stays allocated, because it may have been
	// spent; nobody waits for it to give back. It is live again when it is heard.
	Lost IncState = 2
	// Released: what it held was given free without knowing what was spent of it. It gets nothing any
	// more; what it turns out to have spent is booked as an overrun.
	Released IncState = 3
)

// Ended says whether it gets no more money, whatever it says.
func (s IncState) Ended() bool { return s == Closed || s == Released }

// Incarnation is one life of an edge process.
type Incarnation struct {
	// Edge is the name of the edge.
	Edge string
	// HWM is the sequence number of the last event that was booked.
	HWM uint64
	// State is what is known of it.
	State IncState
}

// Ask is a lease line: what an incarnation says about one lease, and what it would like.
type Ask struct {
	Seen     money.Nanos // largest granted total that it has seen
	Returned money.Nanos // returned total
	Used     money.Nanos // consumed total and what requests in flight hold
	Consumed money.Nanos // consumed total
	Need     money.Nanos // what waiting requests need beyond what it has unspent
	Want     money.Nanos // what it would like to have unspent
	Least    money.Nanos // the least of Need that helps any waiting request; 0: anything does
}

// Validate refuses amounts that no correct edge sends. Believing them could not overspend a budget,
// but it could lock one up.
func (q Ask) Validate() error {
	for _, v := range []money.Nanos{q.Seen, q.Returned, q.Used, q.Consumed, q.Need, q.Want, q.Least} {
		if v < 0 || v > MaxTotal {
			return fmt.Errorf("amount %d is out of range", v)
		}
	}
	if q.Returned > q.Seen {
		return fmt.Errorf("returned %s of %s granted", q.Returned, q.Seen)
	}
	return nil
}

// State is why an incarnation holds what it holds.
type State uint8

// The states.
const (
	// Dropped: the incarnation has ended; nothing was done.
	Dropped State = iota
	// Granted: the need is covered.
	Granted
	// Pending: others hold money that they have not spent and are asked to give back.
	Pending
	// Exhausted: there is nothing to give. It implies that nothing was free, so whoever frees
	// something tells all edges.
	Exhausted
	// Unknown: there is no such account-window, or it is over.
	Unknown
)

// Draw is what a settlement charges one account-window.
type Draw struct {
	Window contract.Window
	Nanos  money.Nanos
}

// Event is one settlement. Close ends the incarnation.
type Event struct {
	Draws []Draw
	Close bool
}

// Batch is a run of consecutive events of one incarnation.
type Batch struct {
	Inc    int64
	Edge   string
	First  uint64
	Events []Event
}

// Last is the sequence number of the last event.
func (b Batch) Last() uint64 { return b.First + uint64(len(b.Events)) - 1 }

// Validate refuses what no correct edge sends.
func (b Batch) Validate() error {
	switch {
	case b.Inc <= 0:
		return fmt.Errorf("incarnation %d is not positive", b.Inc)
	case !contract.ValidEdgeName(b.Edge):
		return fmt.Errorf("edge name %q is malformed", b.Edge)
	case b.First == 0 || b.First > 1<<62 || len(b.Events) == 0:
		return errors.New("events are not numbered from 1")
	}
	for i, e := range b.Events {
		for _, d := range e.Draws {
			if d.Nanos < 0 {
				return fmt.Errorf("event %d: amount %d is out of range", b.First+uint64(i), d.Nanos)
			}
		}
	}
	return nil
}
