package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

const (
	probeEvery = 50 * time.Millisecond
	// lookFor is how long an edge is looked for that takes a request.
	lookFor = 20 * time.Second
)

// balancer sends requests to edges that are ready, as the balancers of real deployments do. A request
// goes to another edge only if the first one could not be connected to, or has refused it because it
// stops or is not ready: everything else that fails has failed.
type balancer struct {
	backends []*backend
	probes   sync.WaitGroup
	end      context.CancelFunc
	moved    atomic.Int64 // requests that went to another edge
}

// backend is an edge as a balancer sees it.
type backend struct {
	edge  *edge
	ready *atomic.Bool
	h1    *http.Transport
	h2    *http.Transport
}

func newBalancer(ctx context.Context, edges []*edge) *balancer {
	ctx, cancel := context.WithCancel(ctx)
	b := &balancer{end: cancel}
	for _, e := range edges {
		back := &backend{edge: e, ready: new(atomic.Bool), h1: transport(false), h2: transport(true)}
		b.backends = append(b.backends, back)
		b.probes.Go(func() { back.probe(ctx) })
	}
	return b
}

// transport is one that does nothing on its own to a request or an answer.
func transport(h2 bool) *http.Transport {
	var protocols http.Protocols
	protocols.SetHTTP1(!h2)
	protocols.SetUnencryptedHTTP2(h2)
	return &http.Transport{
		Protocols: &protocols, DisableCompression: true, MaxIdleConnsPerHost: 512, IdleConnTimeout: 30 * time.Second,
		DialContext: (&net.Dialer{Timeout: 10 * time.Second}).DialContext,
	}
}

// probe follows the readiness of the edge.
func (back *backend) probe(ctx context.Context) {
	client := &http.Client{Timeout: 2 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	for {
		ok, _ := answers(ctx, client, "http://"+back.edge.admin+"/-/readyz")
		back.ready.Store(ok)
		if !pause(ctx, probeEvery) {
			return
		}
	}
}

// stop ends the probes.
func (b *balancer) stop() {
	b.end()
	b.probes.Wait()
	b.closeIdle()
}

func (b *balancer) closeIdle() {
	for _, back := range b.backends {
		back.h1.CloseIdleConnections()
		back.h2.CloseIdleConnections()
	}
}

// awaitAll returns when every edge is ready.
func (b *balancer) awaitAll(ctx context.Context) error {
	deadline := time.Now().Add(startWithin)
	for _, back := range b.backends {
		for !back.ready.Load() {
			if time.Now().After(deadline) || !pause(ctx, probeEvery) {
				return fmt.Errorf("%s is not ready", back.edge.name)
			}
		}
	}
	return nil
}

// pick chooses one that is ready, or nil.
func (b *balancer) pick() *backend {
	start := rand.IntN(len(b.backends))
	for i := range b.backends {
		if back := b.backends[(start+i)%len(b.backends)]; back.ready.Load() {
			return back
		}
	}
	return nil
}

// refusal is an edge's own error.
type refusal struct {
	status int
	code   string
	text   string
}

func (r *refusal) Error() string {
	return fmt.Sprintf("an edge answered %d %s: %s", r.status, r.code, r.text)
}

// elsewhere says whether a balancer sends a request to another edge after this error.
func elsewhere(err error) bool {
	if r := (*refusal)(nil); errors.As(err, &r) {
		return r.status == http.StatusServiceUnavailable && (r.code == "shutting_down" || r.code == "snapshot_missing")
	}
	return errors.Is(err, syscall.ECONNREFUSED)
}

// find has send try one edge after the other until one takes the request.
func find[T any](ctx context.Context, b *balancer, send func(*backend) (T, error)) (T, error) {
	var none T
	for deadline := time.Now().Add(lookFor); ; {
		back := b.pick()
		if back != nil {
			got, err := send(back)
			if err == nil || !elsewhere(err) {
				return got, err
			}
			back.ready.Store(false) // until the next probe
			b.moved.Add(1)
		}
		switch {
		case time.Now().After(deadline):
			return none, fmt.Errorf("no edge took the request within %s", lookFor)
		case ctx.Err() != nil:
			return none, context.Cause(ctx)
		case back == nil:
			pause(ctx, probeEvery)
		}
	}
}

// do sends a request. Its body is made anew for each edge. Errors of edges become a *refusal.
func (b *balancer) do(ctx context.Context, h2 bool, make func(base string) (*http.Request, error)) (*http.Response, error) {
	return find(ctx, b, func(back *backend) (*http.Response, error) {
		req, err := make("http://" + back.edge.addr)
		if err != nil {
			return nil, err
		}
		t := back.h1
		if h2 {
			t = back.h2
		}
		resp, err := t.RoundTrip(req.WithContext(ctx))
		if err != nil {
			return nil, fmt.Errorf("%s: %w", back.edge.name, err)
		}
		return own(resp)
	})
}

// own tells an edge's own answers from a vendor's.
func own(resp *http.Response) (*http.Response, error) {
	if resp.Header.Get(marker) != "" {
		return resp, nil
	}
	text, _ := io.ReadAll(io.LimitReader(resp.Body, 4<<10)) // it is shown as far as it came
	_ = resp.Body.Close()
	r := &refusal{status: resp.StatusCode, text: string(bytes.TrimSpace(text))}
	var body struct {
		Error struct{ Code string }
	}
	if json.Unmarshal(text, &body) == nil {
		r.code = body.Error.Code
	}
	if message := resp.Header.Get("Grpc-Message"); message != "" {
		r.text = message
		// Callers of gRPC get no codes of ours.
		if resp.Header.Get("Grpc-Status") == "14" && (strings.HasPrefix(message, "This edge is stopping") || strings.HasPrefix(message, "This edge has no configuration")) {
			r.status, r.code = http.StatusServiceUnavailable, "shutting_down"
		}
	}
	return nil, r
}

// apart is a balancer for a caller with connections of its own.
func (b *balancer) apart() *balancer {
	own := &balancer{end: func() {}}
	for _, back := range b.backends {
		own.backends = append(own.backends, &backend{edge: back.edge, ready: back.ready, h1: transport(false), h2: transport(true)})
	}
	return own
}
