package deployment

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

	"tollgate/internal/program"
)

// Marker is the header by which a vendor's answer is told from one that an edge made itself.
const Marker = "X-Load-Vendor"

const (
	probeEvery = 50 * time.Millisecond
	// lookFor is how long an edge is looked for that takes a request.
	lookFor = 20 * time.Second
)

// Balancer sends requests to edges that are ready, as the balancers of real deployments do. A request
// goes to another edge only if the first one could not be connected to, or has refused it because it
// stops or is not ready: everything else that fails has failed.
type Balancer struct {
	Backends []*Backend
	probes   sync.WaitGroup
	end      context.CancelFunc
	Moved    atomic.Int64 // requests that went to another edge
}

// Backend is an edge as a balancer sees it.
type Backend struct {
	Edge  *Edge
	ready *atomic.Bool
	h1    *http.Transport
	h2    *http.Transport
}

// NewBalancer is one for edges, whose readiness it follows until it is stopped.
func NewBalancer(ctx context.Context, edges []*Edge) *Balancer {
	ctx, cancel := context.WithCancel(ctx)
	b := &Balancer{end: cancel}
	for _, e := range edges {
		back := &Backend{Edge: e, ready: new(atomic.Bool), h1: transport(false), h2: transport(true)}
		b.Backends = append(b.Backends, back)
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
func (back *Backend) probe(ctx context.Context) {
	answers := program.Answers("http://" + back.Edge.Admin + "/-/readyz")
	for {
		back.ready.Store(answers(ctx) == nil)
		if !Pause(ctx, probeEvery) {
			return
		}
	}
}

// Stop ends the probes.
func (b *Balancer) Stop() {
	b.end()
	b.probes.Wait()
	b.CloseIdle()
}

// CloseIdle makes edges have no connections that are merely kept.
func (b *Balancer) CloseIdle() {
	for _, back := range b.Backends {
		back.h1.CloseIdleConnections()
		back.h2.CloseIdleConnections()
	}
}

// AwaitAll returns when every edge is ready.
func (b *Balancer) AwaitAll(ctx context.Context) error {
	deadline := time.Now().Add(program.StartWithin)
	for _, back := range b.Backends {
		for !back.ready.Load() {
			if time.Now().After(deadline) || !Pause(ctx, probeEvery) {
				return fmt.Errorf("%s is not ready", back.Edge.Name)
			}
		}
	}
	return nil
}

// Ready says whether the edge took requests when it was last asked.
func (back *Backend) Ready() bool { return back.ready.Load() }

// pick chooses one that is ready, or nil.
func (b *Balancer) pick() *Backend {
	start := rand.IntN(len(b.Backends))
	for i := range b.Backends {
		if back := b.Backends[(start+i)%len(b.Backends)]; back.ready.Load() {
			return back
		}
	}
	return nil
}

// RefusedError is an edge's own error.
type RefusedError struct {
	Status int
	code   string
	text   string
}

func (r *RefusedError) Error() string {
	return fmt.Sprintf("an edge answered %d %s: %s", r.Status, r.code, r.text)
}

// elsewhere says whether a balancer sends a request to another edge after this error.
func elsewhere(err error) bool {
	if r := (*RefusedError)(nil); errors.As(err, &r) {
		return r.Status == http.StatusServiceUnavailable && (r.code == "shutting_down" || r.code == "snapshot_missing")
	}
	return errors.Is(err, syscall.ECONNREFUSED)
}

// Find has send try one edge after the other until one takes the request.
func Find[T any](ctx context.Context, b *Balancer, send func(*Backend) (T, error)) (T, error) {
	var none T
	for deadline := time.Now().Add(lookFor); ; {
		back := b.pick()
		if back != nil {
			got, err := send(back)
			if err == nil || !elsewhere(err) {
				return got, err
			}
			back.ready.Store(false) // until the next probe
			b.Moved.Add(1)
		}
		switch {
		case time.Now().After(deadline):
			return none, fmt.Errorf("no edge took the request within %s", lookFor)
		case ctx.Err() != nil:
			return none, context.Cause(ctx)
		case back == nil:
			Pause(ctx, probeEvery)
		}
	}
}

// Do sends a request. Its body is made anew for each edge. Errors of edges become a *RefusedError.
func (b *Balancer) Do(ctx context.Context, h2 bool, request func(base string) (*http.Request, error)) (*http.Response, error) {
	return Find(ctx, b, func(back *Backend) (*http.Response, error) {
		req, err := request("http://" + back.Edge.Addr)
		if err != nil {
			return nil, err
		}
		t := back.h1
		if h2 {
			t = back.h2
		}
		resp, err := t.RoundTrip(req.WithContext(ctx))
		if err != nil {
			return nil, fmt.Errorf("%s: %w", back.Edge.Name, err)
		}
		return Own(resp)
	})
}

// Own tells an edge's own answers from a vendor's.
func Own(resp *http.Response) (*http.Response, error) {
	if resp.Header.Get(Marker) != "" {
		return resp, nil
	}
	text, _ := io.ReadAll(io.LimitReader(resp.Body, 4<<10)) // it is shown as far as it came
	_ = resp.Body.Close()
	r := &RefusedError{Status: resp.StatusCode, text: string(bytes.TrimSpace(text))}
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
			r.Status, r.code = http.StatusServiceUnavailable, "shutting_down"
		}
	}
	return nil, r
}

// Apart is a balancer for a caller with connections of its own.
func (b *Balancer) Apart() *Balancer {
	own := &Balancer{end: func() {}}
	for _, back := range b.Backends {
		own.Backends = append(own.Backends, &Backend{Edge: back.Edge, ready: back.ready, h1: transport(false), h2: transport(true)})
	}
	return own
}
