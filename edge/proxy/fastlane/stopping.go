package fastlane

import (
	"context"
	"sync"

	"tollgate/edge/proxy"
)

// stopping is how attempts on a connection are broken off, from any goroutine, and why.
type stopping struct {
	mu     sync.Mutex
	active bool
	got    bool  // an answer is there
	cause  error // the first one
	unread proxy.Body
}

func (s *stopping) begin() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.active, s.got, s.cause, s.unread = true, false, nil, nil
}

// note keeps the first cause, and says whether it is that, and which body has to be told.
func (s *stopping) note(cause error) (unread proxy.Body, first bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.active || s.cause != nil {
		return nil, false
	}
	s.cause = cause
	return s.unread, true
}

// reads says that the caller's body is read for the attempt, until it has an answer. What happens to the attempt by then is a
// reason not to wait for the caller any more.
func (s *stopping) reads(body proxy.Body) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.unread = body
	if s.cause != nil {
		body.Interrupt()
	}
}

// answer says that there is an answer. Without ok the attempt was broken off before.
func (s *stopping) answer() (ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.got, s.unread = true, nil
	return s.cause == nil
}

func (s *stopping) answered() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.got
}

// why is the cause, or nil.
func (s *stopping) why() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.cause
}

// end makes all later causes go nowhere. Without ok there was one.
func (s *stopping) end() (ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.active, s.unread = false, nil
	return s.cause == nil
}

// binding ties an attempt to the context that ends it.
type binding struct {
	by    interrupter // nil without one
	stop  func() bool // nil without
	bound interruptible
}

func (b *binding) bind(ctx context.Context, i interruptible) {
	b.bound = i
	if by := interrupterOf(ctx); by != nil && by.onEnd(i) {
		b.by = by
	} else if ctx.Done() != nil {
		b.stop = context.AfterFunc(ctx, i.interrupted)
	}
}

// release unties it. Without ok it was told of the end, or is about to be.
func (b *binding) release() (ok bool) {
	ok = true
	if b.by != nil {
		ok = b.by.offEnd(b.bound)
	}
	if b.stop != nil {
		ok = b.stop()
	}
	*b = binding{}
	return ok
}
