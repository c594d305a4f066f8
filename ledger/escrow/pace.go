package escrow

import (
	"cmp"
	"maps"
	"slices"
	"time"
)

// Pace is how often edges hear of one account at most, so that a budget that runs out on a thousand edges
// does not make each of them recall all others over and over.
const Pace = 50 * time.Millisecond

// Pacer lets something about each account through once in a while and keeps the rest, without
// repetitions, until then. It is not safe for concurrent use.
type Pacer[T comparable] struct {
	last    map[int64]time.Time
	waiting map[int64]*queue[T]
}

// queue is values without repetitions, in the order in which they came.
type queue[T comparable] struct {
	values []T
	has    map[T]bool
}

func (q *queue[T]) add(values []T) {
	for _, v := range values {
		if !q.has[v] {
			q.has[v] = true
			q.values = append(q.values, v)
		}
	}
}

// NewPacer makes a Pacer that has let nothing through yet.
func NewPacer[T comparable]() *Pacer[T] {
	return &Pacer[T]{map[int64]time.Time{}, map[int64]*queue[T]{}}
}

// Offer returns the values if it is the account's turn, with those that have waited, and else keeps them.
func (p *Pacer[T]) Offer(now time.Time, account int64, values []T) []T {
	q := p.waiting[account]
	if last, ok := p.last[account]; ok && now.Sub(last) < Pace {
		if q == nil {
			q = &queue[T]{has: map[T]bool{}}
			p.waiting[account] = q
		}
		q.add(values)
		return nil
	}
	p.last[account] = now
	if q == nil {
		return values
	}
	delete(p.waiting, account)
	q.add(values)
	return q.values
}

// Due returns what has waited long enough.
func (p *Pacer[T]) Due(now time.Time) []T {
	var out []T
	for _, account := range slices.SortedFunc(maps.Keys(p.waiting), cmp.Compare[int64]) {
		if now.Sub(p.last[account]) >= Pace {
			out = append(out, p.Offer(now, account, nil)...)
		}
	}
	maps.DeleteFunc(p.last, func(account int64, last time.Time) bool {
		return p.waiting[account] == nil && now.Sub(last) >= Pace
	})
	return out
}

// Waits says whether Due has something to do later.
func (p *Pacer[T]) Waits() bool { return len(p.waiting) > 0 || len(p.last) > 0 }
