// Package remote has requests and answers translated by adapters that users run: servers of adapter.v1.AdapterService. Each
// call is bounded in time and size, stops being made to one that does not answer, and is counted.
//
// Adapters are not trusted with anything: they get no credential and no header that does not describe the body or
// select a version, and of what they answer only that goes on which may. It decides nothing about money, deployments or retries.
package remote

import (
	"log/slog"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"connectrpc.com/connect"

	"tollgate/edge/breaker"
	"tollgate/edge/metrics"
	"tollgate/edge/routing"
	"tollgate/gen/tollgate/adapter/v1/adapterv1connect"
	eventv1 "tollgate/gen/tollgate/event/v1"
)

// Connections reach targets, by an edge's rules about addresses and TLS.
type Connections interface {
	Transport(target *routing.Target) http.RoundTripper
	// Sync closes the connections to all other targets than those of the endpoints.
	Sync(endpoints []*routing.Endpoint)
	Close()
}

// Config is what adapters are called with.
type Config struct {
	Connections Connections // of their own, because Sync is called for adapters alone
	Metrics     *metrics.Metrics
	Log         *slog.Logger // nil for none
}

// Adapters calls adapters. It is safe for concurrent use.
type Adapters struct {
	cfg      Config
	breakers *breaker.Set
	servers  atomic.Pointer[map[string]*server] // by name; replaced, never changed
}

// New makes it, without any adapter.
func New(cfg Config) *Adapters {
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	a := &Adapters{cfg: cfg, breakers: breaker.New(cfg.Log)}
	a.servers.Store(&map[string]*server{})
	return a
}

// Close ends the connections that nobody uses.
func (a *Adapters) Close() { a.cfg.Connections.Close() }

// Sync makes the adapters of a configuration those that are known. What is not among them any more is forgotten, once the
// exchanges that it serves have ended.
func (a *Adapters) Sync(adapters []*routing.Adapter) {
	settings := map[string]breaker.Settings{}
	endpoints := make([]*routing.Endpoint, 0, len(adapters))
	for _, from := range adapters {
		target := targetOf(from)
		settings[breakerKey(from)] = target.Breaker
		endpoints = append(endpoints, &routing.Endpoint{Targets: []*routing.Target{target}})
	}
	a.breakers.Sync(settings)
	a.cfg.Connections.Sync(endpoints)
	next := make(map[string]*server, len(adapters))
	for _, from := range adapters {
		next[from.Name] = a.newServer(from)
	}
	old := a.servers.Swap(&next)
	for name := range *old {
		if next[name] == nil {
			a.cfg.Metrics.ForgetAdapter(name)
		}
	}
}

// States are the breakers of adapters that are not closed.
func (a *Adapters) States() []breaker.State { return a.breakers.States() }

// server is one adapter, ready to be called.
type server struct {
	from     *routing.Adapter
	name     string
	client   adapterv1connect.AdapterServiceClient
	breaker  *breaker.Breaker
	metrics  *metrics.Adapter
	log      *slog.Logger
	timeout  time.Duration
	maxBytes int
}

// server finds an adapter. A request that began under another configuration than the newest has it made for itself.
func (a *Adapters) server(from *routing.Adapter) *server {
	if s := (*a.servers.Load())[from.Name]; s != nil && s.from == from {
		return s
	}
	return a.newServer(from)
}

func (a *Adapters) newServer(from *routing.Adapter) *server {
	s := &server{
		from: from, name: from.Name, breaker: a.breakers.Of(breakerKey(from)), metrics: a.cfg.Metrics.Adapter(from.Name),
		log: a.cfg.Log.With("adapter", from.Name), timeout: from.Timeout, maxBytes: int(from.MaxBytes),
	}
	target := targetOf(from)
	s.client = adapterv1connect.NewAdapterServiceClient(
		&caller{transport: a.cfg.Connections.Transport(target), headers: from.Upstream.Headers, query: target.BaseQuery},
		target.Scheme+"://"+target.Host+target.BasePath,
		connect.WithReadMaxBytes(s.maxBytes),
		// An adapter is near; what is compressed would have to be bounded twice.
		connect.WithAcceptCompression("gzip", nil, nil),
	)
	return s
}

// targetOf is where an adapter is, as it is spoken to: in HTTP/2, because streams need both directions at a time.
func targetOf(from *routing.Adapter) *routing.Target {
	target := *from.Upstream.Targets[0]
	if target.Transport.HTTP != eventv1.TargetHttp_TARGET_HTTP_2 {
		target.Transport.HTTP = eventv1.TargetHttp_TARGET_HTTP_2
		target.Key += " over HTTP/2"
	}
	return &target
}

// breakerKey tells adapters apart, also two at one address.
func breakerKey(from *routing.Adapter) string {
	return "adapter " + from.Name + " " + from.Upstream.Targets[0].BreakerKey
}

// caller sends requests with the adapter's configured headers.
type caller struct {
	transport http.RoundTripper
	headers   []routing.Header
	query     string
}

// Do performs a request.
func (c *caller) Do(r *http.Request) (*http.Response, error) {
	for _, h := range c.headers {
		if strings.EqualFold(h.Name, "Host") {
			r.Host = h.Value
			continue
		}
		r.Header.Set(h.Name, h.Value)
	}
	if c.query != "" {
		r.URL.RawQuery = c.query
	}
	return c.transport.RoundTrip(r)
}
