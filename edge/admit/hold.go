package admit

import (
	"sync/atomic"

	"tollgate/internal/contract"
	"tollgate/internal/money"
)

// Hold is money set aside for one attempt, in every account that it draws on. It ends exactly once:
// by Settle with what it cost, or by Release. Whoever has one defers Release and lets a Settle before
// it win.
type Hold struct {
	amount int64
	lines  []*line // in order of account
	few    [4]*line
	done   atomic.Bool
}

// nothing is what a request that costs nothing holds.
var nothing = &Hold{}

// add keeps the lines in order of account, each once.
func (h *Hold) add(l *line) {
	at := len(h.lines)
	for at > 0 && h.lines[at-1].window.Account >= l.window.Account {
		if at--; h.lines[at].window.Account == l.window.Account {
			return
		}
	}
	h.lines = append(h.lines, nil)
	copy(h.lines[at+1:], h.lines[at:])
	h.lines[at] = l
}

// take holds the amount in every line, or in none.
func (h *Hold) take() bool {
	// A look first, because holding in one only to put it back makes others miss.
	if h.lacking() != nil {
		return false
	}
	for i, l := range h.lines {
		if !l.take(h.amount) {
			for _, held := range h.lines[:i] {
				held.put(h.amount)
			}
			return false
		}
	}
	return true
}

// lacking is a line that has too little, or nil.
func (h *Hold) lacking() *line {
	for _, l := range h.lines {
		if l.avail.Load() < h.amount {
			return l
		}
	}
	return nil
}

// Windows are the account-windows that it draws on, in order of account.
func (h *Hold) Windows() []contract.Window {
	if len(h.lines) == 0 {
		return nil
	}
	out := make([]contract.Window, len(h.lines))
	for i, l := range h.lines {
		out[i] = l.window
	}
	return out
}

// Amount is what was set aside in each of them.
func (h *Hold) Amount() money.Nanos { return money.Nanos(h.amount) }

// Settle ends the hold and charges actual, even where that is more than was set aside: the money is
// gone, and hiding that would let a budget be overrun unseen.
func (h *Hold) Settle(actual money.Nanos) {
	if len(h.lines) == 0 || !h.done.CompareAndSwap(false, true) {
		return
	}
	for _, l := range h.lines {
		l.settle(h.amount, max(0, int64(actual)))
	}
}

// Release ends the hold and charges nothing.
func (h *Hold) Release() { h.Settle(0) }

// Remaining is the least that is left of any budget it draws on, as far as this edge knows: the
// limit without what others have spent and what this edge has spent or holds.
func (h *Hold) Remaining() (money.Nanos, bool) {
	least, known := int64(0), false
	for _, l := range h.lines {
		left, ok := l.left()
		if !ok {
			return 0, false
		}
		if !known || left < least {
			least, known = left, true
		}
	}
	return money.Nanos(max(0, least)), known
}
