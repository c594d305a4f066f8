// Package health finds out by requests of the edge's own whether targets work, and tells a pool. Each
// target that is to be checked has one goroutine, which keeps its counts across changes of the
// configuration and ends with the target.
//
// It does not choose: what a mark means for requests is the pool's. Checks are no requests of anybody:
// they take no money, no place among those in flight, and no part in circuit breakers.
package health

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"math/rand/v2"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"tollgate/edge/pool"
	"tollgate/edge/proxy"
	"tollgate/edge/routing"
	"tollgate/internal/fault"
)

const (
	mostBody  = 64 << 10    // that is read of an answer, so that its connection can be used again
	mostDelay = time.Second // of the first check of a target
)

// Checker checks targets while Run runs.
type Checker struct {
	do    func(ctx context.Context, a *proxy.Attempt) (*proxy.Answer, error)
	sign  func(ctx context.Context, e *routing.Endpoint, a *proxy.Attempt, body []byte) error
	pools *pool.Pools
	log   *slog.Logger

	changed chan struct{} // has one in it after a Sync that Run has not seen

	mu     sync.Mutex // guards wanted
	wanted map[key]*spec
}

// New makes one that sends checks with do.
func New(do func(ctx context.Context, a *proxy.Attempt) (*proxy.Answer, error), pools *pool.Pools, log *slog.Logger) *Checker {
	return &Checker{do: do, pools: pools, log: log, changed: make(chan struct{}, 1)}
}

// SignWith says how checks of endpoints are signed that sign what they send. It comes before the first
// Sync that names one.
func (c *Checker) SignWith(sign func(ctx context.Context, e *routing.Endpoint, a *proxy.Attempt, body []byte) error) {
	c.sign = sign
}

// key tells checks apart: targets of an endpoint that have one name, by their order.
type key struct {
	endpoint, target string
	twin             int
}

// Sync makes the targets of a configuration the ones that are checked. It returns at once.
func (c *Checker) Sync(endpoints []*routing.Endpoint) {
	wanted := map[key]*spec{}
	for _, e := range endpoints {
		if e.Health == nil {
			continue
		}
		twins := map[string]int{}
		for i, t := range e.Targets {
			k := key{e.ID, t.Name, twins[t.Name]}
			twins[t.Name]++
			if s := newSpec(e, i); s != nil {
				wanted[k] = s
			}
		}
	}
	c.mu.Lock()
	c.wanted = wanted
	c.mu.Unlock()
	select {
	case c.changed <- struct{}{}:
	default:
	}
}

// Run checks until ctx ends, and returns when nothing of it runs on.
func (c *Checker) Run(ctx context.Context) error {
	var running sync.WaitGroup
	defer running.Wait()
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	checks := map[key]*check{}
	for {
		c.mu.Lock()
		wanted := c.wanted
		c.mu.Unlock()
		for k, was := range checks {
			if wanted[k] == nil {
				was.stop()
				delete(checks, k)
			}
		}
		for k, s := range wanted {
			if is := checks[k]; is != nil {
				is.follow(s)
				continue
			}
			its, stop := context.WithCancel(ctx)
			is := &check{of: c, stop: stop, interval: make(chan struct{}, 1)}
			is.spec.Store(s)
			checks[k] = is
			running.Go(func() { is.run(its) })
		}
		select {
		case <-ctx.Done():
			return nil
		case <-c.changed:
		}
	}
}

// check is one target being checked.
type check struct {
	of       *Checker
	stop     context.CancelFunc
	spec     atomic.Pointer[spec]
	interval chan struct{} // has one in it when the time between checks has changed

	// Of run alone.
	told              verdict
	failures, success int // in a row
}

// verdict is what the pool was told last.
type verdict uint8

const (
	nothing verdict = iota
	healthy
	unhealthy
)

func (c *check) follow(s *spec) {
	if old := c.spec.Swap(s); old.endpoint.Health.Interval != s.endpoint.Health.Interval {
		select {
		case c.interval <- struct{}{}:
		default:
		}
	}
}

func (c *check) run(ctx context.Context) {
	defer c.stop()
	// Edges that start together, and targets of one configuration, are not checked all at once.
	next := time.NewTimer(rand.N(min(c.spec.Load().endpoint.Health.Interval, mostDelay)))
	defer next.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-c.interval:
		case <-next.C:
			why := c.once(ctx, c.spec.Load())
			if ctx.Err() != nil {
				return // what came of it is of the edge's own doing
			}
			c.count(why)
		}
		interval := c.spec.Load().endpoint.Health.Interval
		next.Reset(interval - interval/10 + rand.N(interval/5+1))
	}
}

// once makes one check and says what is wrong; empty for nothing.
func (c *check) once(ctx context.Context, s *spec) string {
	ctx, cancel := context.WithTimeout(ctx, s.endpoint.Health.Timeout)
	defer cancel()
	a := s.attempt()
	if s.endpoint.Signing != nil {
		if err := c.of.sign(ctx, s.endpoint, a, nil); err != nil {
			if ctx.Err() != nil {
				return "it could not be signed within " + s.endpoint.Health.Timeout.String()
			}
			return "it could not be signed: " + fault.From(err).Message
		}
	}
	answer, err := c.of.do(ctx, a)
	if err != nil {
		if ctx.Err() != nil {
			return "no answer within " + s.endpoint.Health.Timeout.String()
		}
		if failed, ok := errors.AsType[*proxy.AttemptError](err); ok {
			return failed.Text
		}
		return "it could not be asked"
	}
	if answer.Body != nil {
		// The status is the answer. What is wrong with the rest only costs the connection.
		_, _ = io.CopyN(io.Discard, answer.Body, mostBody)
		answer.Body.Close()
	}
	if answer.Conn != nil {
		_ = answer.Conn.Close()
	}
	if !s.works(answer.Status) {
		return "status " + strconv.Itoa(answer.Status)
	}
	return ""
}

// count tells the pool what enough checks in a row have found.
func (c *check) count(why string) {
	s := c.spec.Load()
	h := s.endpoint.Health
	if why == "" {
		c.failures, c.success = 0, c.success+1
		if c.told == healthy || c.success < h.HealthyAfter {
			return
		}
		if c.told == unhealthy {
			c.of.log.Info("target is healthy again", "endpoint", s.endpoint.Name, "target", s.target().Name)
		}
		c.told = healthy
	} else {
		c.failures, c.success = c.failures+1, 0
		if c.told == unhealthy || c.failures < h.UnhealthyAfter {
			return
		}
		c.of.log.Warn("target is unhealthy", "endpoint", s.endpoint.Name, "target", s.target().Name, "why", why)
		c.told = unhealthy
	}
	c.of.pools.SetHealth(s.endpoint, s.index, c.told == healthy)
}
