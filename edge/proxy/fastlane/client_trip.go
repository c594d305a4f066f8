package fastlane

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"time"

	"tollgate/edge/proxy"
	"tollgate/edge/proxy/http1"
	"tollgate/edge/proxy/nethttp"
)

// trip is one attempt on its way to an answer, on one connection or, if those that were kept turn out to be closed, on more.
type trip struct {
	client *Client
	target *target
	a      *proxy.Attempt
	began  int64
	head   []byte // of the request; with the body if that is known and short
	known  []byte // the body, if it is known; nil otherwise
	rest   []byte // of what is known, what is not in head

	conns int  // that were tried
	sent  bool // something was written to one of them
	again bool // it was made again
	newer *nethttp.Connection
}

// errNewer says that the target has chosen HTTP/2, so that the attempt is the general lane's.
var errNewer = errors.New("the target speaks HTTP/2")

// most is how many connections an attempt tries that turn out to be closed before anything of it was sent.
const most = 4

// run makes the attempt.
func (r *trip) run(ctx context.Context) (*proxy.Answer, error) {
	if ctx.Err() != nil {
		return nil, canceled(ctx.Err())
	}
	if err := r.know(ctx); err != nil {
		return nil, err
	}
	for {
		c, err := r.connect(ctx)
		if err != nil {
			return nil, err
		}
		r.conns++
		c.begin(ctx, r.a)
		answer, err := r.ask(c)
		if err == nil {
			return answer, nil
		}
		if r.retry(c, err) {
			continue
		}
		return nil, r.explain(ctx, c, err)
	}
}

// know takes a body that has come. A short one leaves together with the head.
func (r *trip) know(ctx context.Context) error {
	body, ok := r.a.Body.(proxy.Arrived)
	if !ok {
		return nil
	}
	known, err := body.All()
	switch {
	case err != nil && ctx.Err() != nil:
		return canceled(err)
	case err != nil:
		return &proxy.AttemptError{Failure: proxy.FailBody, Text: "the body could not be read", Err: err}
	case known == nil:
		return nil
	case int64(len(known)) != r.a.Length:
		return &proxy.AttemptError{Failure: proxy.FailRequest, Text: "it cannot be written as HTTP", Err: errLength}
	}
	r.known = known
	if len(r.head)+len(known) <= cap(r.head) && len(known) <= copied {
		r.head = append(r.head, known...)
	} else {
		r.rest = known
	}
	return nil
}

// copied is how long a piece is that costs less to copy than to name to the system.
const copied = 4 << 10

// alone is how much of a request is written before anything of the answer is read. It fits into what the system holds for a
// connection, so that nobody waits for a target that answers early and reads no further.
const alone = 64 << 10

// connect finds a connection or makes one.
func (r *trip) connect(ctx context.Context) (*targetConn, error) {
	if !r.again && r.conns < most {
		if c := r.target.idle.take(); c != nil {
			return c, nil
		}
	}
	return r.apart(ctx)
}

// ask sends the request and reads the head of the answer.
func (r *trip) ask(c *targetConn) (*proxy.Answer, error) {
	a := r.a
	now := r.began
	left := a.HeaderTimeout
	if !c.reused || r.conns > 1 {
		now = moment()
		left -= time.Duration(now - r.began)
	}
	streamed := a.Body != nil && r.known == nil
	talks := c.unseen && !streamed && len(r.rest) == 0
	if c.unseen && !talks && !c.look.silent() {
		return nil, errStale
	}
	c.alarm.set(now, max(left, 1))
	if streamed || len(r.rest) > alone {
		c.upload = &upload{c: c, known: r.rest, left: a.Length, most: a.HeaderTimeout, ended: make(chan struct{})}
		if streamed {
			c.upload.body = a.Body
			c.stopping.reads(a.Body)
		}
	}
	var failed error
	switch {
	case talks:
		if failed = c.talk.with(r.head); failed == errStale { //nolint:errorlint // it is not wrapped
			return nil, failed
		}
	case c.upload == nil:
		failed = c.transmit(r.head, r.rest)
	default:
		if failed = c.transmit(r.head, nil); failed == nil {
			go c.upload.run()
		} else {
			close(c.upload.ended)
		}
	}
	// A target that has closed the connection may have said why before.
	err := c.readHead(r.client)
	if err != nil {
		if failed != nil && !nethttp.Unaccepted(err) {
			err = failed
		}
		return nil, err
	}
	if !c.quiet() {
		return nil, errHeaderTimeout
	}
	if !c.stopping.answer() {
		return nil, c.why()
	}
	return c.answer()
}

// quiet stops the header timeout. Without ok it has rung, or is about to.
func (c *targetConn) quiet() (ok bool) {
	if c.upload != nil {
		ok = c.upload.hush()
	} else {
		ok = c.alarm.clear()
	}
	if !ok {
		c.stop(errHeaderTimeout) // if the alarm comes late
	}
	return ok
}

// readHead reads up to the head of the answer, and passes on what comes before it.
func (c *targetConn) readHead(client *Client) error {
	c.response.Headers = c.a.Memory.Headers[:0]
	for interims := 0; ; {
		if b := c.bytes(); len(b) > 0 {
			n, v := c.response.Parse(b, c.a.Method, c.target.limits)
			switch v {
			case http1.Plain:
				c.consume(n)
				if c.response.Status >= http.StatusOK {
					return nil
				}
				if interims++; interims > maxInterims {
					return errInterims
				}
				c.interim(c.response.Status, c.response.Headers)
				continue
			case http1.Strange:
				return c.readOdd(client, interims)
			case http1.Incomplete:
			}
		}
		if err := c.fill(0); err != nil {
			if len(c.bytes()) > 0 && errors.Is(err, io.EOF) {
				return c.readOdd(client, interims) // which says what is wrong with it
			}
			return err
		}
	}
}

// interim passes a 1xx answer on. 100 is about the body, which is being sent already.
func (c *targetConn) interim(status int, headers []proxy.Header) {
	if status > http.StatusSwitchingProtocols && c.a.Interim != nil {
		c.a.Interim(status, headers)
	}
}

// retry says whether the attempt is to be made on another connection, because this one, which was kept, was closed meanwhile: always
// if nothing of it was sent, and once if the request has no effects. The connection is done with then.
func (r *trip) retry(c *targetConn, err error) bool {
	if !c.reused || c.upload != nil || c.why() != nil || c.odd != nil || len(c.bytes()) > 0 || errors.Is(err, errInterims) || nethttp.Unaccepted(err) {
		return false
	}
	sent := c.sent()
	if sent && (r.again || !idempotent(r.a.Method)) || !c.alarm.clear() {
		return false
	}
	r.sent, r.again = r.sent || sent, r.again || sent
	c.leave(false)
	return true
}

// idempotent says whether a request may be sent twice. Methods that only should have no effect the second time are not among them,
// because whether they cost something the second time is another question.
func idempotent(method string) bool {
	return method == http.MethodGet || method == http.MethodHead || method == http.MethodOptions
}

// explain ends an attempt without an answer and says why it has none.
func (r *trip) explain(ctx context.Context, c *targetConn, err error) *proxy.AttemptError {
	upload := c.upload
	c.close()
	if upload != nil {
		upload.abandon()
	}
	c.alarm.clear()
	e := &proxy.AttemptError{Sent: r.sent || c.sent(), Whole: r.whole(c), Err: err}
	switch cause := c.why(); {
	case errors.Is(cause, errHeaderTimeout), errors.Is(err, errHeaderTimeout):
		e.Failure, e.Text = proxy.FailTimeout, r.a.HeaderTimeout.String()
	case errors.Is(cause, errEnded) || ctx.Err() != nil:
		e.Failure, e.Text = proxy.FailCanceled, "the exchange ended"
	case upload != nil && upload.failed != nil:
		e.Failure, e.Text, e.Err = proxy.FailBody, "the body could not be read", upload.failed
	case r.conns == 1 && !c.reused && nethttp.Unaccepted(err):
		e.Failure, e.Text, e.Sent, e.Whole = proxy.FailTLS, nethttp.AlertText(err), false, false
	default:
		e.Failure, e.Text = proxy.FailAnswer, answerText(err)
	}
	c.leave(false)
	return e
}

// whole says whether all of the request was sent.
func (r *trip) whole(c *targetConn) bool {
	switch {
	case c.upload != nil:
		return c.upload.whole.Load()
	case c.tls != nil:
		return r.sent || c.sent()
	default:
		return r.sent || c.written.Load() == int64(len(r.head)+len(r.rest))
	}
}

func answerText(err error) string {
	if bad, ok := errors.AsType[*unusable](err); ok {
		return bad.text
	}
	return nethttp.AnswerText(err)
}

func canceled(err error) error {
	return &proxy.AttemptError{Failure: proxy.FailCanceled, Text: "the exchange ended", Err: err}
}

// hand has the general lane make the attempt on the connection that was made for it.
func (r *trip) hand(ctx context.Context) (*proxy.Answer, error) {
	a := r.a
	if r.known != nil {
		// It was taken already, which may cost something.
		taken := *a
		taken.Body = &takenBody{Body: a.Body, all: r.known, Reader: bytes.NewReader(r.known)}
		a = &taken
	}
	answer, err := r.client.pass(ctx, a)
	r.target.direct.Drop(r.newer)
	return answer, err
}

// takenBody is a body that was taken as a whole.
type takenBody struct {
	proxy.Body
	*bytes.Reader

	all []byte
}

// Read reads on.
func (b *takenBody) Read(p []byte) (int, error) { return b.Reader.Read(p) }

// All is the whole body.
func (b *takenBody) All() ([]byte, error) { return b.all, nil }

var _ io.Reader = (*takenBody)(nil)
