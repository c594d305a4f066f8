package fastlane

import (
	"context"
	"sync"
)

// life is the context of all exchanges of one connection. One for each exchange would cost memory per request and a place that all
// cores write to; it is not needed, because whatever ends an exchange before its time ends the connection too: the caller is gone,
// or the edge stops. So no exchange ever begins in a life that is over, and one that has come to its end owes nothing to its
// context: the stages end what they have begun themselves.
type life struct {
	context.Context
	cancel context.CancelCauseFunc

	mu   sync.Mutex // guards what follows
	over bool
	told interruptible
}

func (l *life) begin() { l.Context, l.cancel = context.WithCancelCause(context.Background()) }

// end ends it. The first cause counts.
func (l *life) end(cause error) {
	l.cancel(cause)
	l.mu.Lock()
	told := l.told
	l.over, l.told = true, nil
	l.mu.Unlock()
	if told != nil {
		told.interrupted()
	}
}

// Value finds the interrupter, and lets package context find what it needs.
func (l *life) Value(key any) any {
	if key == any(interrupterKey) {
		return l
	}
	return l.Context.Value(key)
}

func (l *life) onEnd(i interruptible) (taken bool) {
	l.mu.Lock()
	if l.told != nil {
		l.mu.Unlock()
		return false
	}
	over := l.over
	if !over {
		l.told = i
	}
	l.mu.Unlock()
	if over {
		i.interrupted()
	}
	return true
}

func (l *life) offEnd(i interruptible) (ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.told != i {
		return false
	}
	l.told = nil
	return true
}
