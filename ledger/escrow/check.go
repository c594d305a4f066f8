package escrow

import (
	"fmt"

	"tollgate/internal/contract"
	"tollgate/internal/money"
)

// The invariants that together keep budgets from being overspent and spend from being lost. G, R and C are
// what the ledger has of one incarnation and account-window: granted, returned and consumed totals; g, r
// and c are what the edge has, h what its requests in flight hold, and ov what they cost beyond what was
// held for them.
//
//	I1  c + h <= g - r + ov          an edge admits from what it holds
//	I2  g <= G                       a grant is durable before it is told
//	I3  r >= R while it lives        an edge lowers what it holds before it says so
//	I4  C is the sum of the events 1..hwm of the incarnation, so C <= c
//	I5  alloc = sum of max(G-R, C)   over all incarnations
//	I6  a grant leaves alloc <= limit; in a rolling period, the sum over every span that the window is in
//	I7  an incarnation that has ended has G-R = C and is granted nothing
//	I8  every attempt has an intent on disk before the first byte goes out
//	I9  events are booked exactly once and in order, in the transaction that moves hwm
//	I10 a settlement charges the windows that were drawn at admission
//
// From I1, I2, I3 and I6: what was truly spent, the sum of c + h, is at most alloc plus what was overrun,
// and alloc is at most the limit. No step uses a clock, the order of messages or a single leader.
//
// Check asserts I5 and I7 of a book, CheckGrants I6 and I7 of a decision, CheckBooked I4 and I9 of a
// booking. I1, I2, I3, I8 and I10 are the edge's; the simulations assert them.

// Check returns the first invariant that a whole book breaks: what is allocated is the sum over the
// leases (I5), no lease has spent more than it holds, nothing was returned that was not granted, and an
// incarnation that has ended holds nothing (I7).
func (b *Book) Check() error {
	for w, a := range b.Accounts {
		sum := a.Elsewhere
		for inc, l := range b.Leases[w] {
			sum += l.Alloc()
			if err := b.checkLease(inc, l); err != nil {
				return fmt.Errorf("%v of incarnation %d %w: %+v", w, inc, err, l)
			}
		}
		if sum != a.Alloc {
			return fmt.Errorf("I5: %v has %d allocated, and its leases add up to %d", w, a.Alloc, sum)
		}
	}
	return nil
}

func (b *Book) checkLease(inc int64, l Lease) error {
	switch {
	case inc == Corrections:
		if l.Returned != 0 || l.Granted != l.Consumed {
			return leaseError("is more than corrections")
		}
	case l.Returned < 0 || l.Consumed < 0 || l.Returned > l.Granted:
		return leaseError("is out of range")
	case l.Consumed > l.Granted-l.Returned:
		return leaseError("is not normal")
	case b.Incs[inc].State.Ended() && l.Granted-l.Returned != l.Consumed:
		return leaseError("has ended and still holds money (I7)")
	}
	return nil
}

type leaseError string

func (e leaseError) Error() string { return string(e) }

// CheckGrants returns an error if an outcome that led from before to b granted money above a limit (I6),
// or to an incarnation that had ended (I7), or if a total went back.
func (b *Book) CheckGrants(before *Book, out Outcome) error {
	r := b.rolling()
	for w, x := range out.Grants {
		a := b.refresh(r, w)
		// Days of a rolling period may have different limits. Each grant keeps to that of its own day.
		for _, v := range r[series{w.Account, w.Gen}] {
			if out.Grants[v] > 0 {
				a.Limit = max(a.Limit, b.Accounts[v].Limit)
			}
		}
		if x > 0 && a.Free() < 0 {
			return fmt.Errorf("I6: %v was granted %d up to %d beside %d, above its limit %d", w, x, a.Alloc, a.Prior, a.Limit)
		}
	}
	for w, leases := range b.Leases {
		for inc, l := range leases {
			old := before.Leases[w][inc]
			if before.Incs[inc].State.Ended() && l != old {
				return fmt.Errorf("I7: %v of incarnation %d, which has ended, changed from %+v to %+v", w, inc, old, l)
			}
			if l.Granted < old.Granted || l.Returned < old.Returned || l.Consumed < old.Consumed {
				return fmt.Errorf("a total of %v of incarnation %d went back: %+v to %+v", w, inc, old, l)
			}
		}
	}
	return nil
}

// CheckBooked returns an error if booking a batch, which led from before to b, did anything but add its
// events that were not booked yet and move the mark to its end (I4, I9).
func (b *Book) CheckBooked(before *Book, batch Batch, out Booked) error {
	was, now := before.Incs[batch.Inc].HWM, b.Incs[batch.Inc].HWM
	var events []Event
	switch out.Verdict {
	case Accepted:
		if next := batch.First + uint64(out.From); next != was+1 || now != batch.Last() {
			return fmt.Errorf("I9: events %d to %d booked on top of %d moved the mark to %d", next, batch.Last(), was, now)
		}
		events = batch.Events[out.From:]
	case Duplicate, Gap:
		if now != was {
			return fmt.Errorf("I9: nothing was booked and the mark moved from %d to %d", was, now)
		}
	}
	sums := map[contract.Window]money.Nanos{}
	for _, e := range events {
		for _, d := range e.Draws {
			sums[d.Window] = add(sums[d.Window], d.Nanos)
		}
	}
	for w, leases := range b.Leases {
		for inc, l := range leases {
			want := before.Leases[w][inc].Consumed
			if inc == batch.Inc {
				want = add(want, sums[w])
			}
			if l.Consumed != want {
				return fmt.Errorf("I4: %v of incarnation %d has %d consumed, want %d", w, inc, l.Consumed, want)
			}
		}
	}
	return nil
}
