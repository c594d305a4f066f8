package escrow

import (
	"maps"
	"slices"

	"tollgate/internal/contract"
	"tollgate/internal/money"
)

// MarkLost notes that an incarnation's machine is believed to be gone. It moves no money: what the
// incarnation holds may have been spent, and stays allocated. It reports whether anything changed.
func (b *Book) MarkLost(inc int64) bool {
	i, ok := b.Incs[inc]
	if !ok || i.State != Live {
		return false
	}
	i.State = Lost
	b.Incs[inc] = i
	return true
}

// Release gives free what a lost incarnation holds, without knowing how much of that was spent. By so
// much a budget may be overspent: its events, should they ever come, are booked as an overrun. All of its
// leases have to be in the book. It returns what became free, and the accounts of which.
func (b *Book) Release(inc int64) (nanos money.Nanos, freed []int64, ok bool) {
	i, ok := b.Incs[inc]
	if !ok || i.State != Lost {
		return 0, nil, false
	}
	i.State = Released
	b.Incs[inc] = i
	nanos, freed = b.releaseAll(inc)
	return nanos, freed, true
}

// Unaccounted is what incarnations that are lost hold of an account-window: it was spent, or it was not.
func (b *Book) Unaccounted(w contract.Window) money.Nanos {
	var sum money.Nanos
	for inc, l := range b.Leases[w] {
		if b.Incs[inc].State == Lost {
			sum = add(sum, l.Unspent())
		}
	}
	return sum
}

// Correct books that something cost more than was settled, or less if nanos is negative. It never fails
// for want of money: what things cost is a fact. It reports whether something became free.
func (b *Book) Correct(w contract.Window, nanos money.Nanos) (freed bool) {
	a, l := b.Accounts[w], b.Leases[w][Corrections]
	l.Consumed = add(l.Consumed, nanos)
	a.Alloc = add(a.Alloc, l.Consumed-l.Granted)
	l.Granted = l.Consumed
	b.put(w, Corrections, a, l)
	return nanos < 0 && !a.Closed
}

// releaseAll gives back what an incarnation that has ended did not spend, and says how much that was and
// of which accounts. All of its leases have to be in the book.
func (b *Book) releaseAll(inc int64) (sum money.Nanos, freed []int64) {
	for _, w := range slices.SortedFunc(maps.Keys(b.Leases), contract.Window.Compare) {
		l, ok := b.Leases[w][inc]
		if !ok {
			continue
		}
		unspent := l.Unspent()
		a, l := release(b.Accounts[w], l)
		b.put(w, inc, a, l)
		if sum = add(sum, unspent); unspent > 0 && !a.Closed {
			freed = append(freed, w.Account)
		}
	}
	slices.Sort(freed)
	return sum, slices.Compact(freed)
}
