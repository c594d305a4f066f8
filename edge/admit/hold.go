package admit

import (
	"context"
	"errors"
	"math"
	"sync/atomic"

	"tollgate/internal/contract"
	"tollgate/internal/fault"
	"tollgate/internal/money"
)

// fewDraws is how many accounts a request may draw on without memory being allocated for it, and
// MostDraws how many it may draw on at all.
const (
	fewDraws  = 8
	MostDraws = 32
)

// Hold is money set aside for one attempt, in every account that it draws on. It ends exactly once:
// by Settle with what it cost, or by Release. Whoever has one defers Release and lets a Settle before
// it win. The zero value holds nothing; one that has ended may be used again. It must not be copied.
type Hold struct {
	amount int64
	lines  []*line // in order of account
	few    [fewDraws]*line
	done   atomic.Bool
}

// add puts l into lines, which are in order of account, each once.
func add(lines []*line, l *line) []*line {
	at := len(lines)
	for at > 0 && lines[at-1].window.Account >= l.window.Account {
		if at--; lines[at].window.Account == l.window.Account {
			return lines
		}
	}
	lines = append(lines, nil)
	copy(lines[at+1:], lines[at:])
	lines[at] = l
	return lines
}

// take holds amount in every line, or in none.
func take(lines []*line, amount int64) bool {
	// A look first, because holding in one only to put it back makes others miss.
	for _, l := range lines {
		if l.lacks(amount) > 0 {
			return false
		}
	}
	for i, l := range lines {
		if !l.take(amount) {
			for _, held := range lines[:i] {
				held.put(amount)
			}
			return false
		}
	}
	return true
}

// begin fills a hold with what it holds from now on.
func (h *Hold) begin(lines []*line, amount int64) {
	if h.done.Load() {
		h.done.Store(false)
	}
	if h.lines, h.amount = lines, amount; len(lines) == 0 {
		h.amount = 0
	}
}

// Draws are the account-windows that it draws on, in order of account, behind those in into.
func (h *Hold) Draws(into []contract.Draw) []contract.Draw {
	for _, l := range h.lines {
		into = append(into, contract.Draw{Window: l.window, Part: l.sender.part})
	}
	return into
}

// Amount is what was set aside in each of them.
func (h *Hold) Amount() money.Nanos { return money.Nanos(h.amount) }

var errEnded = errors.New("a hold that has ended cannot be extended")

// Extend sets more aside in every account, or in none, and waits for it as Book.Hold does. It fails
// with the same errors, and then holds what it held before. It is not for use beside Settle.
func (h *Hold) Extend(ctx context.Context, more money.Nanos) error {
	switch {
	case h.done.Load():
		return fault.New(fault.InternalError, "The request has ended.").WithCause(errEnded)
	case more <= 0 || len(h.lines) == 0:
		return nil
	case int64(more) <= math.MaxInt64-h.amount && take(h.lines, int64(more)):
		h.amount += int64(more)
		return nil
	}
	return h.BeginExtend(more).wait(ctx)
}

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
