package proxy

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"

	"go.opentelemetry.io/otel/trace"

	"tollgate/edge/breaker"
	"tollgate/edge/pool"
	"tollgate/edge/routing"
	"tollgate/edge/spool"
	eventv1 "tollgate/gen/tollgate/event/v1"
	metering "tollgate/internal/meter"
	"tollgate/internal/meter/inject"
	"tollgate/internal/money"
)

// Attempt is one request to one target.
type Attempt struct {
	Target        *routing.Target // where and how to connect
	HostHeader    string          // empty for the target's host
	Method        string
	URI           string // what stands in the request line, byte for byte
	Headers       []Header
	Body          Body // nil: there is none
	Length        int64
	EmptyBody     bool
	Continue      bool
	TrailerNames  []string      // of what the caller sends behind the body
	Upgrade       string        // protocol to ask for; empty for none
	HeaderTimeout time.Duration // from the moment nothing but the target is waited for
	// Lent: what All of the body gives is memory that is somebody else's once the exchange has ended.
	Lent bool
	// Over is set by who performs the attempt, before RoundTrip returns: nothing of it is used any more once that has returned
	// and the body of the answer is closed, so that its memory may serve another exchange.
	Over    bool
	Interim func(status int, headers []Header) // gets 1xx answers; not called after RoundTrip returned

	// Memory is for what RoundTrip returns, also of its Headers, if the engine wants it.
	Memory Answer
}

// Arrived is a body that may have come as a whole before the attempt.
type Arrived interface {
	Body
	// All is the whole body, in place of Read. It is nil if it has not come; nobody may change it.
	All() ([]byte, error)
}

// Answer is a target's answer. Its body is closed once.
type Answer struct {
	Status  int
	Headers []Header
	Length  int64 // of the body; -1 unknown
	Body    io.ReadCloser
	// Trailers are what came behind the body, once it was read to its end; nil if none can come.
	Trailers func() []Header
	// Conn is the connection of an answer with status 101, which has no Body then.
	Conn Conn
	// Cancel makes a Read of the body that waits for the target fail; nil if none ever waits. It is not called when the body is
	// closed.
	Cancel func(cause error)
	// Setup is what the connection took that was made for the attempt; zero if it was there before.
	Setup Setup
}

// Setup is how long it took to make a connection.
type Setup struct {
	DNS, Connect, TLS time.Duration
}

// Failure says why an attempt got no answer.
type Failure uint8

// The failures.
const (
	FailConnect  Failure = iota + 1 // no connection
	FailRefused                     // the target resolves to an address that edges do not connect to
	FailTLS                         // no TLS
	FailTimeout                     // no answer in time
	FailAnswer                      // the connection broke, or what came was not an answer
	FailBody                        // the caller's body could not be read
	FailRequest                     // the target cannot be sent what the caller has sent
	FailCanceled                    // the context ended
)

// AttemptError is an attempt without an answer.
type AttemptError struct {
	Failure Failure
	Text    string // for people, about the cause; never a raw error
	Sent    bool   // something of the request may have reached the target
	Whole   bool   // all of it was sent
	Err     error
}

func (e *AttemptError) Error() string { return fmt.Sprintf("attempt: %s: %v", e.Text, e.Err) }

// Unwrap is the cause.
func (e *AttemptError) Unwrap() error { return e.Err }

// try is one attempt of a call, from before its intent until after its settlement.
type try struct {
	*terms                                     // what it is charged by
	hop     *hop                               // the deployment that it goes to; nil but for a request for a model
	place   pool.Choice                        // room for the choice
	lines   []Header                           // room for the headers of the request
	source  source                             // of the answer's body
	passes  func(status int, headers []Header) // interim, made once
	pays    func(p []byte) error               // payForBody, made once
	ctx     context.Context                    //nolint:containedctx // in which its body is paid for
	c       *call
	before  *try // the one that was made before it
	choice  *pool.Choice
	request Attempt
	body    *replay // its view of a body that is kept; nil if it reads the caller's own
	span    trace.Span
	cancel  context.CancelFunc // nil if it ends with the exchange only

	answer   *Answer
	err      error // why there is no answer
	bug      any   // what its goroutine failed with, if it has one
	took     time.Duration
	throttle time.Duration // how long the target does not want to be asked again

	amount   money.Nanos // what it was given to begin with
	meter    meter
	told     *metering.Reading // memory for that of the meter; nil until there was one
	ticket   spool.Ticket
	edits    []metering.Edit   // that are in the body which it sends
	strip    *inject.UsageOnly // leaves out of the answer what the caller did not ask for; nil for nothing
	stripped []byte            // the piece at hand without that
	began    time.Duration     // since the exchange began; 0 before it was sent
	end      settlement        // how it would be recorded if the exchange ended now
	last     *spool.Settlement // while it is made; nil before

	number  uint32
	closing sync.Mutex // guards closed, and is held while the answer is canceled
	timed   bool       // a timer may cancel the answer; until then nobody else asks for closed
	closed  bool
	whole   bool // the answer came to its end
	dear    bool // the answer came to more than was held, or could be
	pending bool // ticket is to be settled
}

// newTry makes an attempt for a choice. The first one needs no memory of its own.
func (c *call) newTry(choice *pool.Choice) *try {
	t := &c.first
	if c.newest != nil {
		t = &try{before: c.newest}
	}
	// First the choice: whatever happens from here on, it is ended.
	t.c, t.choice, c.newest = c, choice, t
	if c.ask != nil {
		t.deploy()
	} else {
		t.address()
	}
	if t.edits = t.edit(); len(t.edits) > 0 {
		t.sendEdited()
	}
	if t.request.HeaderTimeout <= 0 {
		t.request.HeaderTimeout = c.g.cfg.HeaderTimeout
	}
	return t
}

// address makes the request of an attempt out of the caller's.
func (t *try) address() {
	c, choice := t.c, t.choice
	t.terms = &c.terms
	headers, uri, host := c.prepare(choice, t.lines)
	t.request = Attempt{
		Target: choice.Target, HostHeader: host, Method: c.x.Method, URI: uri, Headers: headers,
		Length: c.x.Length, EmptyBody: c.x.EmptyBody, Continue: c.x.Continue,
		TrailerNames: c.x.TrailerNames, Upgrade: c.x.Upgrade,
		HeaderTimeout: c.endpoint.Timeout, Interim: t.interims(),
		Memory: Answer{Headers: t.request.Memory.Headers[:0]},
	}
	t.lines = headers
	switch {
	case c.kept != nil:
		_, t.request.Lent = c.x.Body.(Borrowed)
		t.body = c.kept.view()
		t.request.Body = t.body
		t.request.Continue = c.x.Continue && !c.kept.begun()
	case c.body != nil:
		t.request.Body = c.body
	}
}

// send makes the attempt, which must have its intent. Afterwards there is an answer or an error.
func (t *try) send(ctx context.Context) {
	c := t.c
	if c.body != nil && (t.meter.reading != nil || t.meter.usage != nil && t.meter.usage.RequestBytes.Counted) {
		t.payBefore(ctx)
	}
	ctx = t.startSpan(ctx)
	t.began = c.elapsed()
	t.answer, t.err = c.g.d.Upstream.RoundTrip(ctx, &t.request)
	t.took = c.elapsed() - t.began
	t.endSpan()
	if t.answer != nil {
		t.end = settlement{status: t.answer.Status, outcome: eventv1.SpendOutcome_SPEND_OUTCOME_TARGET_ERROR}
	}
}

// payBefore has what is read of the body paid for before it goes on.
func (t *try) payBefore(ctx context.Context) {
	t.ctx = ctx
	if t.pays == nil {
		t.pays = func(p []byte) error { return t.payForBody(t.ctx, p) }
	}
	if t.body != nil {
		t.body.pay = t.pays
	} else {
		t.c.body.pay = t.pays
	}
}

// interims is interim as a value, which costs memory once.
func (t *try) interims() func(status int, headers []Header) {
	if t.passes == nil {
		t.passes = t.interim
	}
	return t.passes
}

// interim passes on a 1xx answer. Those of one attempt go on, so that none comes twice.
func (t *try) interim(status int, headers []Header) {
	if by := &t.c.interimBy; by.CompareAndSwap(0, t.number) || by.Load() == t.number {
		t.c.x.Out.Interim(status, fromTarget(nil, headers))
	}
}

// report tells the pools what an answer says about its target.
func (t *try) report() {
	r := pool.Result{Outcome: breaker.Success, Status: t.answer.Status}
	switch r.Status {
	case http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		r.Outcome = breaker.Failure
	}
	if r.Status == http.StatusTooManyRequests || r.Status >= 500 {
		r.RetryAfter = retryAfter(get(t.answer.Headers, "Retry-After"), time.Now())
		t.throttle = r.RetryAfter
	}
	t.choice.Report(r)
}

// complete says whether the target has got all of the request.
func (t *try) complete() bool {
	switch {
	case t.answer != nil && t.answer.Conn != nil:
		return false
	case t.body != nil:
		return t.body.sent(t.request.Length)
	default:
		return t.c.body.complete(t.c.x.Length)
	}
}

// elapsed is how long the attempt has taken by now.
func (t *try) elapsed() time.Duration {
	if t.began == 0 {
		return 0
	}
	return t.c.elapsed() - t.began
}

// unpaid says why the body was broken off where it could not be paid for, or nil.
func (t *try) unpaid() error {
	if t.body != nil {
		return t.body.unpaid()
	}
	return t.c.body.unpaid()
}

// closeAnswer ends what still comes from the target. It may be called again.
func (t *try) closeAnswer() {
	if t.answer == nil || t.ended() {
		return
	}
	if t.answer.Conn != nil {
		_ = t.answer.Conn.Close() // whatever there was to say was said
		return
	}
	_ = t.answer.Body.Close()
}

// ended notes that the answer is closed, and says whether it was before.
func (t *try) ended() bool {
	if t.timed {
		t.closing.Lock()
		defer t.closing.Unlock()
	}
	before := t.closed
	t.closed = true
	return before
}

// cancelAnswer makes a Read that waits for the target fail. A timer may call it late: what follows the answer on its connection is
// not touched.
func (t *try) cancelAnswer(cause error) {
	t.closing.Lock()
	defer t.closing.Unlock()
	if !t.closed {
		t.answer.Cancel(cause)
	}
}

// close ends the attempt for its target. It may be called again.
func (t *try) close() {
	// A report that is forgotten would keep a half-open breaker waiting; the first one counts.
	defer t.choice.Done()
	if t.cancel != nil {
		defer t.cancel()
	}
	t.closeAnswer()
}

// closeAll closes an attempt and those before it, each also if another one fails by a bug.
func (t *try) closeAll() {
	if t.before != nil {
		defer t.before.closeAll()
	}
	t.close()
}

// What is still read of an answer that nobody gets, to keep its connection.
const (
	drainBytes = 64 << 10
	drainFor   = 50 * time.Millisecond
)

var errDrained = errors.New("nobody reads the answer")

// discard ends an attempt in whose place another one is made.
func (t *try) discard() {
	if a := t.answer; a != nil && a.Conn == nil && a.Cancel != nil && a.Length <= drainBytes {
		t.timed = true
		timer := time.AfterFunc(drainFor, func() { t.cancelAnswer(errDrained) })
		_, _ = io.CopyN(io.Discard, a.Body, drainBytes) // otherwise the connection is closed
		timer.Stop()
	}
	t.close()
	t.settle()
}

// retryAfter reads the header of that name: seconds, or a date. What cannot be read says nothing.
func retryAfter(value string, now time.Time) time.Duration {
	const most = 24 * time.Hour
	value = strings.Trim(value, " \t")
	if value == "" {
		return 0
	}
	if n, ok := count(value); ok {
		return time.Duration(min(n, int64(most/time.Second))) * time.Second
	}
	if at, err := http.ParseTime(value); err == nil {
		return min(max(at.Sub(now), 0), most)
	}
	return 0
}
