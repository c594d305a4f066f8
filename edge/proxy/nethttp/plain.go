package nethttp

import (
	"context"
	"io"
	"net/http"
	"sync"

	"tollgate/edge/proxy"
	"tollgate/edge/routing"
)

// Transport reaches a target for requests that are the edge's own, such as those to adapters. Connections are made and kept as
// for attempts, by the same rules about addresses and TLS. Unlike an attempt, such a request is measured by nobody.
func (c *Client) Transport(t *routing.Target) http.RoundTripper { return &plain{c, t} }

type plain struct {
	client *Client
	target *routing.Target
}

// RoundTrip performs a request. Its URL has to be one of the target's.
func (p *plain) RoundTrip(r *http.Request) (*http.Response, error) {
	l := p.client.link(p.target)
	if l.err != nil {
		return nil, &proxy.AttemptError{Failure: proxy.FailTLS, Text: l.text, Err: l.err}
	}
	l.busy.Add(1)
	done := sync.OnceFunc(l.done)
	// A request that is given up need not be closed as well. The Transport does not look at the context while it waits for a body,
	// so that the body ends with it.
	stop := context.AfterFunc(r.Context(), func() {
		if r.Body != nil {
			_ = r.Body.Close() // what was sent of it is of no use any more
		}
		done()
	})
	resp, err := l.main.RoundTrip(r)
	if err != nil {
		stop()
		done()
		return nil, err
	}
	resp.Body = &plainBody{ReadCloser: resp.Body, done: func() { stop(); done() }}
	return resp, nil
}

// plainBody gives the link back with the body.
type plainBody struct {
	io.ReadCloser
	done func()
}

// Close ends the request.
func (b *plainBody) Close() error {
	err := b.ReadCloser.Close()
	b.done()
	return err
}
