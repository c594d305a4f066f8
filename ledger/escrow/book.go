package escrow

import (
	"maps"
	"slices"

	"tollgate/internal/contract"
	"tollgate/internal/money"
)

// Book is a set of account-windows with their leases, and the incarnations that hold them. It may
// be all there is, or what one transaction has loaded. It is not safe for concurrent use.
type Book struct {
	Accounts map[contract.Window]Account
	Leases   map[contract.Window]map[int64]Lease
	Incs     map[int64]Incarnation
}

// NewBook makes an empty book.
func NewBook() *Book {
	return &Book{
		Accounts: map[contract.Window]Account{},
		Leases:   map[contract.Window]map[int64]Lease{},
		Incs:     map[int64]Incarnation{},
	}
}

// Clone is a copy that shares nothing.
func (b *Book) Clone() *Book {
	c := &Book{
		Accounts: maps.Clone(b.Accounts),
		Leases:   make(map[contract.Window]map[int64]Lease, len(b.Leases)),
		Incs:     maps.Clone(b.Incs),
	}
	for w, leases := range b.Leases {
		c.Leases[w] = maps.Clone(leases)
	}
	return c
}

func (b *Book) put(w contract.Window, inc int64, a Account, l Lease) {
	b.Accounts[w] = a
	leases := b.Leases[w]
	if leases == nil {
		leases = map[int64]Lease{}
		b.Leases[w] = leases
	}
	leases[inc] = l
}

// Open makes an account-window exist.
func (b *Book) Open(w contract.Window, limit money.Nanos, version int64) {
	if _, ok := b.Accounts[w]; !ok {
		b.Accounts[w] = Account{Limit: limit, Version: version}
	}
}

// OpenDay makes a window of a rolling period exist, of which so many days count together. Number is that
// of its day, as DayOf has it.
func (b *Book) OpenDay(w contract.Window, limit money.Nanos, version int64, days uint32, number int64) {
	if _, ok := b.Accounts[w]; !ok {
		b.Accounts[w] = Account{Limit: limit, Version: version, Days: days, Day: number}
	}
}

// SetLimit changes what an account-window may cost, or ends it. What edges already hold stays with
// them: only they can give it back.
func (b *Book) SetLimit(w contract.Window, limit money.Nanos, version int64, closed bool) {
	if a, ok := b.Accounts[w]; ok {
		a.Limit, a.Version, a.Closed = limit, version, closed
		b.Accounts[w] = a
	}
}

// Spent is what was settled and booked on an account-window.
func (b *Book) Spent(w contract.Window) money.Nanos {
	sum := b.Accounts[w].Elsewhere
	for _, l := range b.Leases[w] {
		sum = add(sum, l.Consumed)
	}
	return sum
}

// Recall asks an incarnation to give back what it has not spent.
type Recall struct {
	Window contract.Window
	Inc    int64
	Edge   string
}

// holders are the incarnations that might give something back, in the order of their numbers. One that
// is lost does not hear.
func (b *Book) holders(w contract.Window, but int64) []int64 {
	var out []int64
	for inc, l := range b.Leases[w] {
		if inc != but && l.Unspent() > 0 && b.Incs[inc].State == Live {
			out = append(out, inc)
		}
	}
	slices.Sort(out)
	return out
}

// Holders lists whom a recall of an account-window would go to.
func (b *Book) Holders(w contract.Window) []Recall {
	var out []Recall
	for _, inc := range b.holders(w, 0) {
		out = append(out, Recall{w, inc, b.Incs[inc].Edge})
	}
	return out
}
