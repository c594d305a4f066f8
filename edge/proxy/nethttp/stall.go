package nethttp

import (
	"sync"
	"time"
)

// stall breaks a stream of HTTP/2 off when one wait for its peer takes too long. The deadlines that
// net/http has for streams end them whether or not anybody waits, which would be the end of every
// answer that is silent for a while. The timer runs on between waits, because a wait is far shorter
// than what it is measured against.
type stall struct {
	mu       sync.Mutex // guards what follows
	breakOff func()
	timer    *time.Timer
	until    time.Time // the wait has to end; zero between waits
	over     bool
}

// begin is the beginning of a wait; 0 is for ever.
func (s *stall) begin(most time.Duration) {
	if most <= 0 {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.until = time.Now().Add(most)
	if s.timer == nil && !s.over {
		s.timer = time.AfterFunc(most, s.check)
	}
}

// end is the end of a wait.
func (s *stall) end() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.until = time.Time{}
}

func (s *stall) check() {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch left := time.Until(s.until); {
	case s.over:
	case s.until.IsZero():
		s.timer = nil // the next wait starts another
	case left > 0:
		s.timer.Reset(left)
	default:
		s.breakOff()
	}
}

// stop follows the end of the exchange. When it returns, nothing is broken off any more.
func (s *stall) stop() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.over = true
	if s.timer != nil {
		s.timer.Stop()
	}
}
