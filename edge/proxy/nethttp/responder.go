package nethttp

import (
	"context"
	"net/http"
	"sync"
	"time"

	"tollgate/edge/proxy"
)

// responder writes an answer through net/http.
type responder struct {
	w       http.ResponseWriter
	control *http.ResponseController
	ctx     context.Context //nolint:containedctx // of the exchange, of which this is a part
	conn    *strictConn
	watcher *watcher
	body    *requestBody // nil without one
	tunnel  *tunnel      // once switched
	stall   *stall       // of writes to a stream; nil for HTTP/1
	proto   proxy.Proto
	head    bool // the request was a HEAD
	upgrade bool // the request asks to switch
	bodied  bool // the answer may have a body, and trailers behind it
	aborted bool
	timeout time.Duration
	last    time.Time // when the write deadline was set

	mu       sync.Mutex // of 1xx answers and the beginning of the final one
	begun    bool
	informed bool // an interim answer was sent

	shown chan struct{} // closed when the answer to a stream is on its way; nil without a body
	once  sync.Once     // closes it
}

// Interim sends a 1xx answer to callers whose protocol has them. 100 Continue is not among them: the
// caller gets one, when its body is first read and no answer has begun.
func (o *responder) Interim(status int, headers []proxy.Header) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.begun || o.proto == proxy.HTTP10 || status <= http.StatusSwitchingProtocols {
		return
	}
	o.patience() // else a caller who takes nothing would hold the attempt, and its timeout, for ever
	h := o.w.Header()
	addAll(h, headers)
	o.w.WriteHeader(status)
	clear(h)
	o.informed = true
}

// Begin sends status and headers; they leave with the first flush.
func (o *responder) Begin(status int, headers []proxy.Header, length int64) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.begun = true
	o.bodied = !o.head && status != http.StatusNoContent && status != http.StatusNotModified
	h := o.w.Header()
	addAll(h, headers)
	// A nil value keeps net/http from adding what the target did not send.
	for _, name := range []string{"Content-Type", "Date"} {
		if _, ok := h[name]; !ok {
			h[name] = nil
		}
	}
	if length >= 0 && h["Content-Length"] == nil && status != http.StatusNoContent && status != http.StatusNotModified {
		h.Set("Content-Length", formatLength(length))
	}
	if o.bodied && length < 0 && h["Content-Length"] == nil && o.proto != proxy.HTTP2 {
		h["Transfer-Encoding"] = chunked // else net/http would find out and say how long a short one is
	}
	if status == http.StatusNoContent {
		delete(h, "Content-Length") // RFC 9110, 8.6; on a stream net/http would pass it on
	}
	if o.proto == proxy.HTTP10 {
		delete(h, "Trailer") // none can come
	}
	if o.proto != proxy.HTTP2 && o.final() {
		h.Set("Connection", "close")
	}
	o.w.WriteHeader(status)
	if h["Trailer"] != nil {
		clear(h) // else headers of the announced names would be sent again as trailers
	}
}

var chunked = []string{"chunked"}

// final says whether this is the last answer of a connection of HTTP/1: what is left of a body, or
// comes behind an upgrade that was not granted, must never be read as another request.
func (o *responder) final() bool {
	return o.body != nil && !o.body.complete() || o.conn.opaque.Load()
}

// ask precedes the first Read of a stream's body, for which net/http asks with 100 Continue where it is
// waited for: but not behind another interim answer, where it has to be made up for, and also when the
// answer has begun, which must not be. It does not once the answer is on its way, so that is waited for.
func (o *responder) ask() {
	o.mu.Lock()
	begun := o.begun
	if o.informed && !begun {
		o.w.WriteHeader(http.StatusContinue)
	}
	o.mu.Unlock()
	if begun {
		<-o.shown
	}
}

// show lets those go on that wait until the answer is on its way, or the exchange over.
func (o *responder) show() {
	if o.shown != nil {
		o.once.Do(func() { close(o.shown) })
	}
}

// addAll adds a list to headers. The values of names that occur once share one array.
func addAll(h http.Header, headers []proxy.Header) {
	values := make([]string, 0, len(headers))
	for _, kv := range headers {
		name := http.CanonicalHeaderKey(kv.Name)
		if have := h[name]; have != nil {
			h[name] = append(have, kv.Value)
			continue
		}
		values = append(values, kv.Value)
		h[name] = values[len(values)-1 : len(values) : len(values)]
	}
}

// Write sends a piece of the body.
func (o *responder) Write(p []byte) (int, error) {
	if o.stall != nil {
		o.stall.begin(o.timeout)
		defer o.stall.end()
	} else {
		o.patience()
	}
	return o.w.Write(p)
}

// Flush sends what is buffered.
func (o *responder) Flush() error {
	switch {
	case o.stall == nil:
		o.patience()
	case o.head:
		// It would end the stream, and that would look as if the caller had left. The head goes out
		// when the exchange ends.
		return nil
	default:
		defer o.show()
		o.stall.begin(o.timeout)
		defer o.stall.end()
	}
	return o.control.Flush()
}

// Trailers sends what follows the body.
func (o *responder) Trailers(headers []proxy.Header) {
	if !o.begun || !o.bodied || o.proto == proxy.HTTP10 || len(headers) == 0 {
		return
	}
	// An answer that was not flushed would get a length, and with a length there are no trailers.
	if o.Flush() != nil {
		return
	}
	h := o.w.Header()
	for _, kv := range headers {
		name := http.TrailerPrefix + http.CanonicalHeaderKey(kv.Name)
		h[name] = append(h[name], kv.Value)
	}
}

// Abort makes the server break the connection, or the stream, when the exchange is over, after what
// was written until now.
func (o *responder) Abort() {
	if o.begun && o.tunnel == nil {
		_ = o.Flush() // it is about to be broken anyway
	}
	o.aborted = true
}

// patience gives the caller time to take what is written. A deadline is moved seldom, because each
// move costs more than most writes.
func (o *responder) patience() {
	if o.stall != nil {
		return
	}
	if now := time.Now(); o.timeout > 0 && now.Sub(o.last) > o.timeout/8 {
		o.last = now
		_ = o.control.SetWriteDeadline(now.Add(o.timeout)) // fails only on a connection that is gone
	}
}
