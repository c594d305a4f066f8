package main

import "sync"

// rotation is a thing in use that is replaced from time to time. The old one is out of use when all who
// took it have given it back.
type rotation[T any] struct {
	mu      sync.Mutex
	present *taken[T]
}

// taken is a thing that somebody uses.
type taken[T any] struct {
	value T
	users sync.WaitGroup
}

func (t *taken[T]) give() { t.users.Done() }

// take takes the present one, for give.
func (r *rotation[T]) take() *taken[T] {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.present.users.Add(1)
	return r.present
}

// replace lets everybody take another one from now on, and returns the one before, if there was one.
func (r *rotation[T]) replace(value T) *taken[T] {
	r.mu.Lock()
	defer r.mu.Unlock()
	before := r.present
	r.present = &taken[T]{value: value}
	return before
}
