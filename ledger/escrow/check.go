package escrow

import (
	"fmt"
)

// Check returns the first invariant that a whole book breaks: what is allocated is the sum over the
// leases, no lease has spent more than it holds, nothing was returned that was not granted, and a
// closed incarnation holds nothing.
func (b *Book) Check() error {
	for w, a := range b.Accounts {
		sum := a.Elsewhere
		for inc, l := range b.Leases[w] {
			sum += l.Alloc()
			if l.Returned < 0 || l.Consumed < 0 || l.Returned > l.Granted {
				return fmt.Errorf("%v of incarnation %d is out of range: %+v", w, inc, l)
			}
			if l.Consumed > l.Granted-l.Returned {
				return fmt.Errorf("%v of incarnation %d is not normal: %+v", w, inc, l)
			}
			if b.Incs[inc].Closed && l.Granted-l.Returned != l.Consumed {
				return fmt.Errorf("%v of closed incarnation %d still holds money: %+v", w, inc, l)
			}
		}
		if sum != a.Alloc {
			return fmt.Errorf("%v has %d allocated, and its leases add up to %d", w, a.Alloc, sum)
		}
	}
	return nil
}

// CheckGrants returns an error if an outcome that led from before to b granted money above a limit,
// or to an incarnation that had ended.
func (b *Book) CheckGrants(before *Book, out Outcome) error {
	for w, x := range out.Grants {
		if a := b.Accounts[w]; x > 0 && a.Alloc > a.Limit {
			return fmt.Errorf("%v was granted %d up to %d, above its limit %d", w, x, a.Alloc, a.Limit)
		}
	}
	for w, leases := range b.Leases {
		for inc, l := range leases {
			old := before.Leases[w][inc]
			if before.Incs[inc].Closed && l != old {
				return fmt.Errorf("%v of closed incarnation %d changed from %+v to %+v", w, inc, old, l)
			}
			if l.Granted < old.Granted || l.Returned < old.Returned || l.Consumed < old.Consumed {
				return fmt.Errorf("a total of %v of incarnation %d went back: %+v to %+v", w, inc, old, l)
			}
		}
	}
	return nil
}
