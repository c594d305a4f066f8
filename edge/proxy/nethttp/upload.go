package nethttp

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"sync"
	"sync/atomic"

	"tollgate/edge/proxy"
)

var (
	errUnwanted = errors.New("the target did not ask for the body")
	errStopped  = errors.New("the attempt is over")
)

// watchedBody holds the clock of the header timeout while the caller is waited for, and reports a
// body that could not be read.
type watchedBody struct {
	body    proxy.Body
	p       *progress
	ended   <-chan struct{} // the attempt
	waits   bool            // for 100 Continue
	trailer http.Header     // gets what came behind the body; nil if nothing can

	stopped atomic.Bool
	reading sync.Mutex // held while body is read
	err     error      // why it could not be; guarded by reading
}

func (b *watchedBody) watch(a *proxy.Attempt, p *progress, ended <-chan struct{}) {
	b.body, b.p, b.ended, b.waits = a.Body, p, ended, a.Continue
	if a.Length >= 0 && len(a.TrailerNames) == 0 {
		return
	}
	b.trailer = make(http.Header, len(a.TrailerNames))
	for _, name := range a.TrailerNames {
		if name = http.CanonicalHeaderKey(name); mayTrail(name) {
			b.trailer[name] = nil
		}
	}
}

// knownBody is a body that has come, or nil. The Transport writes one of which it can see the end together
// with the headers, and any other one behind them, which costs both sides another system call. HTTP/2
// gains nothing by it.
func (l *link) knownBody(ctx context.Context, a *proxy.Attempt) ([]byte, error) {
	body, ok := a.Body.(proxy.Arrived)
	if !ok || l.http2 {
		return nil, nil
	}
	known, err := body.All()
	switch {
	case err == nil && a.Lent:
		return bytes.Clone(known), nil // the Transport may still write it when the exchange is over
	case err == nil:
		// The Transport may still read when the attempt and the exchange are over, and the memory be another one's by then.
		return bytes.Clone(known), nil
	case ctx.Err() != nil:
		return nil, &proxy.AttemptError{Failure: proxy.FailCanceled, Text: "the exchange ended", Err: err}
	default:
		return nil, &proxy.AttemptError{Failure: proxy.FailBody, Text: "the body could not be read", Err: err}
	}
}

// mayTrail says whether a header may stand behind a body: what tells how long it is may not.
func mayTrail(name string) bool {
	return name != "Content-Length" && name != "Transfer-Encoding" && name != "Trailer"
}

// Read reads on.
func (b *watchedBody) Read(q []byte) (int, error) {
	if b.waits && b.p.first.Load() {
		// The target has answered. Unless that was 100 Continue, it does not want the body, which the
		// Transport would now read just to keep the connection, and so make the caller send it.
		select {
		case <-b.p.wanted:
		case <-b.ended:
			return 0, errUnwanted
		}
	}
	b.reading.Lock()
	defer b.reading.Unlock()
	if b.stopped.Load() {
		return 0, errStopped
	}
	b.p.clock(false)
	defer b.p.clock(true)
	n, err := b.body.Read(q)
	switch {
	case err == nil:
	case !errors.Is(err, io.EOF):
		b.err = err
	case b.trailer != nil:
		// The Transport reads them now that the body has ended, and not before.
		for _, kv := range b.body.Trailers() {
			if name := http.CanonicalHeaderKey(kv.Name); mayTrail(name) {
				b.trailer[name] = append(b.trailer[name], kv.Value)
			}
		}
	}
	return n, err
}

// Close does nothing: the body belongs to the exchange, which may make another attempt.
func (b *watchedBody) Close() error { return nil }

// stop returns when nobody reads the body for this attempt any more.
func (b *watchedBody) stop() {
	b.stopped.Store(true)
	b.reading.Lock()
	defer b.reading.Unlock()
}

// failure is why the body could not be read.
func (b *watchedBody) failure() error {
	b.reading.Lock()
	defer b.reading.Unlock()
	return b.err
}
