// Package mailbox hands the newest value from a fast sender to a slow
// receiver: there is no queue to grow, and a value that is already out of date
// is never delivered. It suits whole states such as snapshots; it is not for
// events, each of which matters.
package mailbox

import "sync"

// Box keeps at most one value: the one put last. Make it with New.
type Box[T any] struct {
	mu sync.Mutex // held by senders, so that of two Puts the later one wins
	ch chan T
}

// New makes an empty box.
func New[T any]() *Box[T] { return &Box[T]{ch: make(chan T, 1)} }

// Put never waits for a receiver. It replaces a value nobody has taken yet and
// reports whether there was one.
func (b *Box[T]) Put(v T) (replaced bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	select {
	case <-b.ch:
		replaced = true
	default:
	}
	// Room is certain: only Put sends, and the lock is held.
	b.ch <- v
	return replaced
}

// C delivers what is in the box. It is never closed.
func (b *Box[T]) C() <-chan T { return b.ch }
