package proxy

import (
	"context"
	"errors"
	"io"
	"slices"
	"strings"
	"sync"
	"time"

	eventv1 "tollgate/gen/tollgate/event/v1"
	"tollgate/internal/meter/inject"
)

// firstBytes is how long status and headers wait for the beginning of the body, so that a short
// answer leaves in one piece.
const firstBytes = 2 * time.Millisecond

// relay passes the target's answer on. From here on it is known whether the request costs anything.
func (t *try) relay(ctx context.Context) {
	c, a := t.c, t.answer
	if t.body != nil && t.body.all.Load() {
		c.releaseBody() // nobody needs it again, and the answer may last
		t.returnBody()
	}
	t.end = settlement{status: a.Status, outcome: eventv1.SpendOutcome_SPEND_OUTCOME_TARGET_ERROR}
	if a.Conn != nil {
		a.Length = -1 // whatever it says of a body
	}
	if a.Status >= 200 && a.Status < 300 || a.Conn != nil {
		t.end.outcome = eventv1.SpendOutcome_SPEND_OUTCOME_INTERRUPTED
		t.accepted()
	}
	if t.charged(a) {
		if err := t.charge(ctx, a); err != nil {
			t.withhold(ctx, err)
			return
		}
	}
	if a.Conn != nil {
		t.tunnel(ctx)
		return
	}
	if t.hop != nil && t.relayTranslated(ctx) {
		return
	}
	headers := c.ourHeaders(fromTarget(c.lines, a.Headers))
	if t.strips(a) {
		t.strip = &inject.UsageOnly{}
		a.Length = -1 // it will be shorter than its target says
		headers = slices.DeleteFunc(headers, func(h Header) bool { return strings.EqualFold(h.Name, "content-length") })
	}
	if a.Length < 0 {
		headers = announced(headers, a.Headers)
	}
	c.begin(a.Status, headers, a.Length)
	if a.Length < 0 {
		t.giveLists()
	}
	outcome := t.copyBody(ctx)
	switch outcome { //nolint:exhaustive // nothing is to be done about the others
	case eventv1.SpendOutcome_SPEND_OUTCOME_OK:
		t.whole = true
		c.passTrailers(a)
	case eventv1.SpendOutcome_SPEND_OUTCOME_INTERRUPTED:
		// The answer came while the body was still on its way, and ended with it.
		switch unpaid := t.unpaid(); {
		case unpaid != nil && t.end.metered:
			t.cut(unpaid)
			outcome = eventv1.SpendOutcome_SPEND_OUTCOME_CUT
		case c.body.broken():
			outcome = eventv1.SpendOutcome_SPEND_OUTCOME_CALLER_GONE
		}
	}
	if outcome != eventv1.SpendOutcome_SPEND_OUTCOME_OK {
		c.x.Out.Abort()
	}
	// An answer that is an error stays one, however its body ended.
	if t.end.outcome == eventv1.SpendOutcome_SPEND_OUTCOME_INTERRUPTED {
		t.end.outcome = outcome
	}
}

// returnBody gives the engine back what it has lent, if it is sure that nobody still sends it: neither another attempt nor this one.
func (t *try) returnBody() {
	if c := t.c; !c.shared && c.ask == nil && t == &c.first && c.newest == t && t.request.Over {
		if lent, ok := c.x.Body.(Borrowed); ok {
			lent.Release()
		}
	}
}

// bodyless says whether an answer ends with its headers.
func bodyless(method string, status int) bool {
	return method == "HEAD" || status == 204 || status == 304
}

// copyBody streams the body and says how it ended.
func (t *try) copyBody(ctx context.Context) eventv1.SpendOutcome {
	a := t.answer
	if bodyless(t.c.x.Method, a.Status) || a.Length == 0 {
		return eventv1.SpendOutcome_SPEND_OUTCOME_OK
	}
	if pieces, ok := a.Body.(Pieces); ok {
		return t.copyPieces(ctx, pieces)
	}
	return t.copyRead(ctx)
}

// goesOn is no outcome yet.
const goesOn = eventv1.SpendOutcome_SPEND_OUTCOME_UNSPECIFIED

// copyPieces streams a body that the engine has in pieces. What waits is sent before anything is waited for. Streams that are silent
// are here, so that little is on the stack.
func (t *try) copyPieces(ctx context.Context, pieces Pieces) eventv1.SpendOutcome {
	out, most := &t.c.flusher, max(t.idle(), 0)
	out.out = t.c.x.Out
	for {
		if !pieces.Ready() && out.flush() != nil {
			return untaken(ctx)
		}
		piece, err := pieces.Next(most)
		if len(piece) > 0 {
			if end := t.pass(ctx, out, piece, false); end != goesOn {
				return end
			}
		}
		if err != nil {
			return t.bodyEnd(ctx, out, err)
		}
	}
}

// copyRead streams a body that is read into a buffer.
func (t *try) copyRead(ctx context.Context) eventv1.SpendOutcome {
	c, a := t.c, t.answer
	in := t.begin()
	defer in.leave()
	out := &c.flusher
	out.out = c.x.Out
	if a.Length < 0 {
		// Such a body may be silent for long, and its headers are news.
		if out.flush() != nil {
			return untaken(ctx)
		}
	} else {
		out = &flusher{out: c.x.Out} // which its timer may know of for longer
		out.flushAfter(firstBytes)
		defer out.stop()
	}
	var sent int64
	for {
		read, err := in.next()
		if n := len(read); n > 0 {
			sent += int64(n)
			if end := t.pass(ctx, out, read, sent != a.Length); end != goesOn {
				return end
			}
		}
		if err != nil {
			return t.bodyEnd(ctx, out, err)
		}
	}
}

// pass sends a piece on as far as it is paid for, and says how the answer has ended if it has.
func (t *try) pass(ctx context.Context, out *flusher, read []byte, flush bool) eventv1.SpendOutcome {
	piece, unpaid := t.passable(ctx, read)
	switch {
	case len(piece) > 0 && out.write(piece, unpaid != nil || flush) != nil:
		return untaken(ctx)
	case unpaid == nil:
		return goesOn
	case ctx.Err() != nil:
		return untaken(ctx)
	default:
		t.cut(unpaid)
		return eventv1.SpendOutcome_SPEND_OUTCOME_CUT
	}
}

// bodyEnd says how a body has ended.
func (t *try) bodyEnd(ctx context.Context, out *flusher, err error) eventv1.SpendOutcome {
	if !errors.Is(err, io.EOF) {
		return brokenOff(ctx)
	}
	if t.strip != nil {
		if rest := t.strip.Rest(t.stripped[:0]); len(rest) > 0 && out.write(rest, false) != nil {
			return untaken(ctx)
		}
	}
	return eventv1.SpendOutcome_SPEND_OUTCOME_OK
}

// source is the body of an answer as it is read into a buffer. Only the waiting for the target counts as its silence, not how slowly
// money comes and the caller takes what there is.
type source struct {
	body    io.Reader
	in      buffer
	read    int // of the last piece
	silence silence
}

func (t *try) begin() *source {
	s := &t.source
	*s = source{body: t.answer.Body, in: bufferFor(t.answer.Length), silence: t.listen(), read: -1}
	return s
}

func (s *source) next() ([]byte, error) {
	if s.read >= 0 {
		s.in.after(s.read)
		s.silence.again()
	}
	n, err := s.body.Read(*s.in.buf)
	if s.read = n; n > 0 || err != nil {
		s.silence.stop()
	}
	return (*s.in.buf)[:n], err
}

func (s *source) leave() {
	s.silence.stop()
	s.in.leave()
}

// idle is the longest silence in an answer.
func (c *call) idle() time.Duration {
	if c.endpoint.Idle > 0 {
		return c.endpoint.Idle
	}
	return c.g.cfg.StreamIdle
}

// untaken tells why an answer cannot be written: the caller is gone, or the edge has cut it off, or its
// time was over.
func untaken(ctx context.Context) eventv1.SpendOutcome {
	switch cause := context.Cause(ctx); {
	case errors.Is(cause, ErrCutOff):
		return eventv1.SpendOutcome_SPEND_OUTCOME_ABANDONED
	case errors.Is(cause, errTotal):
		return eventv1.SpendOutcome_SPEND_OUTCOME_INTERRUPTED
	default:
		return eventv1.SpendOutcome_SPEND_OUTCOME_CALLER_GONE
	}
}

// brokenOff tells who ended an answer in the middle.
func brokenOff(ctx context.Context) eventv1.SpendOutcome {
	if ctx.Err() == nil {
		return eventv1.SpendOutcome_SPEND_OUTCOME_INTERRUPTED
	}
	return untaken(ctx)
}

// flusher sends each piece on at once, and the headers too if the first piece is late.
type flusher struct {
	out Responder

	mu    sync.Mutex // held around every use of out while the timer may fire
	timer *time.Timer
	begun bool // something was sent; the timer has nothing to do any more
}

func (f *flusher) flushAfter(d time.Duration) {
	f.timer = time.AfterFunc(d, func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		if !f.begun {
			f.begun = true
			_ = f.out.Flush() // the next write finds out
		}
	})
}

// stop ends the timer: after it, nothing but the caller's goroutine uses the answer.
func (f *flusher) stop() {
	if f.timer.Stop() {
		return
	}
	f.mu.Lock() // it has fired and may be at work
	f.begun = true
	f.mu.Unlock()
}

func (f *flusher) flush() error { return f.out.Flush() }

// write sends p, and flushes unless it was the last piece, which the end of the answer does.
func (f *flusher) write(p []byte, flush bool) error {
	if f.timer != nil {
		f.mu.Lock()
		f.begun = true
		f.mu.Unlock()
	}
	if _, err := f.out.Write(p); err != nil {
		return err
	}
	if flush {
		if err := f.out.Flush(); err != nil {
			return err
		}
	}
	return nil
}
