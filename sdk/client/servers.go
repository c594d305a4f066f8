package client

import (
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
)

// servers sends each request to the server that answered last. One that cannot be reached is left for the next at once; after a
// failure that may have had an effect it is left too, but whether to send again is for the caller to know.
type servers struct {
	bases   []*url.URL
	next    http.RoundTripper
	current atomic.Uint32
}

func newServers(bases []*url.URL, next http.RoundTripper) *servers {
	return &servers{bases: bases, next: next}
}

// CloseIdleConnections lets http.Client do it.
func (s *servers) CloseIdleConnections() {
	if c, ok := s.next.(interface{ CloseIdleConnections() }); ok {
		c.CloseIdleConnections()
	}
}

// RoundTrip implements http.RoundTripper.
func (s *servers) RoundTrip(r *http.Request) (*http.Response, error) {
	body := &heldBody{ReadCloser: r.Body}
	if r.Body == nil {
		body = nil
	}
	for tried := 1; ; tried++ {
		at := s.current.Load()
		out := r.Clone(r.Context())
		if body != nil {
			out.Body = body
		}
		s.aim(out.URL, s.bases[at])
		out.Host = ""
		resp, err := s.next.RoundTrip(out)
		if err != nil && r.Context().Err() == nil || err == nil && away(resp.StatusCode) {
			s.current.CompareAndSwap(at, (at+1)%uint32(len(s.bases)))
		}
		if err != nil && notSent(err) && tried < len(s.bases) && r.Context().Err() == nil {
			continue
		}
		if body != nil {
			body.release()
		}
		return resp, err
	}
}

// aim moves the address of a call from the first server to another.
func (s *servers) aim(u, base *url.URL) {
	u.Scheme, u.Host = base.Scheme, base.Host
	u.Path = strings.TrimSuffix(base.Path, "/") + strings.TrimPrefix(u.Path, strings.TrimSuffix(s.bases[0].Path, "/"))
	u.RawPath = ""
}

func away(status int) bool {
	return status == http.StatusBadGateway || status == http.StatusServiceUnavailable || status == http.StatusGatewayTimeout
}

// notSent says whether there was no connection to send anything over.
func notSent(err error) bool {
	op, ok := errors.AsType[*net.OpError](err)
	return ok && op.Op == "dial"
}

// heldBody stays open until it is known that nobody else gets it.
type heldBody struct {
	io.ReadCloser

	mu       sync.Mutex // guards the fields below
	closed   bool
	released bool
}

// Close closes the body, or has release do it.
func (b *heldBody) Close() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.closed = true
	if !b.released {
		return nil
	}
	return b.ReadCloser.Close()
}

func (b *heldBody) release() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.released = true
	if b.closed {
		_ = b.ReadCloser.Close() // whoever closed it would not have looked either
	}
}
