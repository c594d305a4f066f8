package fastlane

import (
	"context"
	"maps"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"tollgate/edge/proxy"
	"tollgate/edge/proxy/http1"
	"tollgate/edge/proxy/nethttp"
	"tollgate/edge/routing"
)

// Client performs attempts: those that are plain HTTP/1.1 by itself, on the caller's goroutine, and all others by the general lane.
// Both connect by the same rules, and what comes of an attempt is the same on both.
type Client struct {
	cfg     nethttp.ClientConfig
	general *nethttp.Client
	count   func(fast bool) // called for each attempt
	clock   atomic.Int64    // rounds of the sweeper
	ended   chan struct{}
	end     sync.Once
	sweeper sync.WaitGroup

	mu sync.Mutex // of those who change targets
	// targets holds one for each target's key. It is replaced, never changed, so that looking one up takes no lock.
	targets atomic.Pointer[map[string]*target]
}

// NewClient makes a client beside a general one, which it closes with itself, with the same configuration. count may be nil.
func NewClient(cfg nethttp.ClientConfig, general *nethttp.Client, count func(fast bool)) *Client {
	if count == nil {
		count = func(bool) {}
	}
	c := &Client{cfg: cfg, general: general, count: count, ended: make(chan struct{})}
	c.targets.Store(&map[string]*target{})
	if cfg.IdleTimeout > 0 {
		c.sweeper.Go(c.sweep)
	}
	return c
}

// sweep ends connections that were idle for too long, until the client is closed.
func (c *Client) sweep() {
	ticker := time.NewTicker(max(c.cfg.IdleTimeout/(sweepRounds+1), time.Millisecond))
	defer ticker.Stop()
	for {
		select {
		case <-c.ended:
			return
		case <-ticker.C:
		}
		now := c.clock.Add(1)
		for _, t := range *c.targets.Load() {
			t.idle.sweep(now)
		}
	}
}

// Close ends the connections that nobody uses, and those that are being made.
func (c *Client) Close() {
	c.end.Do(func() { close(c.ended) })
	c.sweeper.Wait()
	c.general.Close()
	for _, t := range *c.targets.Load() {
		t.idle.retire()
	}
}

// Sync makes the client forget targets that are no longer configured: their connections are closed, at once or when the requests on
// them have ended.
func (c *Client) Sync(endpoints []*routing.Endpoint) {
	c.general.Sync(endpoints)
	wanted := nethttp.KeysOf(endpoints)
	c.mu.Lock()
	old := *c.targets.Load()
	next := maps.Clone(old)
	maps.DeleteFunc(next, func(key string, _ *target) bool { return !wanted[key] })
	c.targets.Store(&next)
	c.mu.Unlock()
	for key, t := range old {
		if !wanted[key] {
			t.idle.retire()
		}
	}
}

// Transport reaches a target for requests that are the edge's own. They go by the general lane.
func (c *Client) Transport(t *routing.Target) http.RoundTripper { return c.general.Transport(t) }

// target finds the connections to a target, or makes a place for them.
func (c *Client) target(from *routing.Target) *target {
	if t := (*c.targets.Load())[from.Key]; t != nil {
		return t
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	targets := *c.targets.Load()
	if t := targets[from.Key]; t != nil {
		return t
	}
	t := &target{
		direct: c.general.Direct(from), limits: http1.Limits{Bytes: int(c.cfg.MaxHeader), Lines: c.cfg.MaxLines},
		idle: idle{clock: &c.clock, most: c.cfg.MaxIdle},
	}
	targets = maps.Clone(targets)
	targets[from.Key] = t
	c.targets.Store(&targets)
	return t
}

// RoundTrip performs one attempt.
func (c *Client) RoundTrip(ctx context.Context, a *proxy.Attempt) (*proxy.Answer, error) {
	t := c.target(a.Target)
	if t.direct == nil || t.direct.HTTP2() || !plain(a) {
		return c.pass(ctx, a)
	}
	host := a.HostHeader
	if host == "" {
		host = t.direct.Host()
	}
	r := trip{client: c, target: t, a: a, began: moment()}
	size := headSize(a, host)
	if a.Length > 0 && a.Length <= muchBuffer-int64(size) && a.Body != nil {
		size += int(a.Length)
	}
	var ok bool
	if r.head, ok = appendHead(takeBuffer(size), a, host); !ok {
		giveBuffer(r.head)
		return c.pass(ctx, a)
	}
	answer, err := r.run(ctx)
	giveBuffer(r.head)
	if err == errNewer { //nolint:errorlint // it is not wrapped
		return r.hand(ctx)
	}
	c.count(true)
	a.Over = err == nil && (a.Body == nil || r.known != nil) // else who sends the body may still wait for the caller
	return answer, err
}

// pass has the general lane perform an attempt.
func (c *Client) pass(ctx context.Context, a *proxy.Attempt) (*proxy.Answer, error) {
	c.count(false)
	return c.general.RoundTrip(ctx, a)
}
