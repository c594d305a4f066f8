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
	resp, err := l.main.RoundTrip(r)
	if err != nil {
		l.done()
		return nil, err
	}
	// A request that is given up need not be closed as well.
	done := sync.OnceFunc(l.done)
	stop := context.AfterFunc(r.Context(), done)
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
