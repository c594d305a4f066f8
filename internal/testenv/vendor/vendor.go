// Package vendor is a scripted upstream for tests: a real HTTP server on
// 127.0.0.1 that keeps every request as it came over the wire and answers with
// what the test tells it to, including not at all.
//
// It imitates no particular API and judges nothing. What a request should have
// looked like is for the test to say.
package vendor

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"
)

// patience bounds every wait in this package: a test that hangs tells less
// than one that fails.
const patience = 20 * time.Second

// Vendor is a running upstream. It ends with its test.
type Vendor struct {
	URL string // base address, without a slash at the end

	server  *httptest.Server
	closing chan struct{} // closed when the test ends

	mu       sync.Mutex // guards the fields below
	fallback http.HandlerFunc
	next     []http.HandlerFunc
	requests []*recorded
	arrived  chan struct{} // closed and replaced when requests grows
	early    bool
	conns    int
}

// New starts a vendor on HTTP/1.1 and unencrypted HTTP/2. Until told
// otherwise it answers 200 with the JSON object {}.
func New(tb testing.TB) *Vendor {
	tb.Helper()
	return launch(tb, (*httptest.Server).Start)
}

// NewTLS starts a vendor on HTTP/1.1 and HTTP/2 over TLS; see RootCAs.
func NewTLS(tb testing.TB) *Vendor {
	tb.Helper()
	return launch(tb, (*httptest.Server).StartTLS)
}

func launch(tb testing.TB, start func(*httptest.Server)) *Vendor {
	tb.Helper()
	v := &Vendor{closing: make(chan struct{}), arrived: make(chan struct{}), fallback: JSON(http.StatusOK, `{}`)}
	s := httptest.NewUnstartedServer(http.HandlerFunc(v.serve))
	s.Listener = tapListener{s.Listener}
	s.EnableHTTP2 = true
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	protocols.SetHTTP2(true)
	protocols.SetUnencryptedHTTP2(true)
	s.Config.Protocols = protocols
	s.Config.ErrorLog = quiet()
	s.Config.ConnContext = func(ctx context.Context, c net.Conn) context.Context {
		v.mu.Lock()
		v.conns++
		v.mu.Unlock()
		if t, ok := c.(*tapConn); ok {
			return context.WithValue(ctx, tapKey{}, t)
		}
		return ctx
	}
	start(s)
	v.server, v.URL = s, s.URL
	tb.Cleanup(func() {
		close(v.closing) // frees handlers that wait
		s.CloseClientConnections()
		s.Close()
	})
	return v
}

// RootCAs trusts this vendor's certificate, whose name is example.com and
// whose address is 127.0.0.1. It is nil without TLS.
func (v *Vendor) RootCAs() *x509.CertPool {
	cert := v.server.Certificate()
	if cert == nil {
		return nil
	}
	pool := x509.NewCertPool()
	pool.AddCert(cert)
	return pool
}

// TLS is a client configuration that trusts this vendor.
func (v *Vendor) TLS() *tls.Config {
	return &tls.Config{RootCAs: v.RootCAs(), MinVersion: tls.VersionTLS12}
}

// Handle sets the answer to every request that Next has none for.
func (v *Vendor) Handle(h http.HandlerFunc) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.fallback = h
}

// Next adds answers, each for one request, in the order of arrival.
func (v *Vendor) Next(h ...http.HandlerFunc) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.next = append(v.next, h...)
}

// RecordEarly keeps requests as soon as their headers are in and leaves the
// body to the handler; the recorded body grows as it is read. Otherwise a
// request is kept, and answered, once all of it has arrived.
func (v *Vendor) RecordEarly() {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.early = true
}

// Count is how many requests have been kept.
func (v *Vendor) Count() int {
	v.mu.Lock()
	defer v.mu.Unlock()
	return len(v.requests)
}

// Conns is how many connections clients have opened.
func (v *Vendor) Conns() int {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.conns
}

// Requests returns all kept requests, oldest first.
func (v *Vendor) Requests() []Request {
	v.mu.Lock()
	defer v.mu.Unlock()
	all := make([]Request, len(v.requests))
	for i, r := range v.requests {
		all[i] = r.snapshot()
	}
	return all
}

// Last returns the newest request and fails the test if there is none.
func (v *Vendor) Last(tb testing.TB) Request {
	tb.Helper()
	all := v.Requests()
	if len(all) == 0 {
		tb.Fatal("vendor: no request came")
	}
	return all[len(all)-1]
}

// Await returns the requests once there are at least n.
func (v *Vendor) Await(tb testing.TB, n int) []Request {
	tb.Helper()
	timeout := time.NewTimer(patience)
	defer timeout.Stop()
	for {
		v.mu.Lock()
		have, arrived := len(v.requests), v.arrived
		v.mu.Unlock()
		if have >= n {
			return v.Requests()
		}
		select {
		case <-arrived:
		case <-timeout.C:
			tb.Fatalf("vendor: %d requests after %s, want %d", have, patience, n)
		}
	}
}

// Reset forgets all requests; answers stay as they are.
func (v *Vendor) Reset() {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.requests = nil
}

// DropConnections breaks every open connection, as a vendor's restart does.
func (v *Vendor) DropConnections() { v.server.CloseClientConnections() }

func (v *Vendor) serve(w http.ResponseWriter, r *http.Request) {
	rec := newRecorded(r)
	v.mu.Lock()
	early := v.early
	v.mu.Unlock()
	if early {
		r.Body = struct {
			io.Reader
			io.Closer
		}{io.TeeReader(r.Body, rec), r.Body}
	} else {
		body, err := io.ReadAll(r.Body)
		_, _ = rec.Write(body) // never fails
		rec.end(r, err)
		r.Body = io.NopCloser(bytes.NewReader(body))
	}
	v.mu.Lock()
	v.requests = append(v.requests, rec)
	close(v.arrived)
	v.arrived = make(chan struct{})
	h := v.fallback
	if len(v.next) > 0 {
		h, v.next = v.next[0], v.next[1:]
	}
	v.mu.Unlock()
	h(w, r.WithContext(context.WithValue(r.Context(), closingKey{}, v.closing)))
	if early {
		rec.end(r, nil)
	}
}

type closingKey struct{}

// closing is closed when the vendor of this request ends.
func closing(r *http.Request) <-chan struct{} {
	c, _ := r.Context().Value(closingKey{}).(chan struct{})
	return c
}
