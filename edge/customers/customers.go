// Package customers has the control plane told of customers that requests name for the first time. Where new customers get a
// budget, a request waits until this edge has that budget, so that none of a new customer passes without one; it promises that
// neither a flood of names nor a control plane that is away costs more than a bounded amount of memory, of questions and of time.
//
// It is not for requests of customers that are known: they never come here, and go on with everything else down.
package customers

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"tollgate/edge/routing"
	"tollgate/internal/bucket"
	"tollgate/internal/fault"
	"tollgate/internal/recent"
)

// Config bounds what new names may cost.
type Config struct {
	Wait      time.Duration // of a request for its customer
	PerSecond int64         // names that the control plane is told
	Names     int           // that it is told of at a time
	Waiting   int           // requests at a time
	Told      int           // names that are remembered, so that it is told once of each
}

// DefaultConfig is good for most.
func DefaultConfig() Config {
	return Config{Wait: 2 * time.Second, PerSecond: 50, Names: 256, Waiting: 4096, Told: 1 << 16}
}

// Ask tells the control plane of a customer. The answer is nil if the customer is there.
type Ask func(ctx context.Context, customer string) error

// Sight is where new customers are seen. Make it with New; it works while Run does, and is safe for concurrent use.
type Sight struct {
	cfg    Config
	ask    Ask
	routes *routing.Holder
	log    *slog.Logger
	work   sync.WaitGroup

	mu      sync.Mutex      // guards what follows
	running context.Context //nolint:containedctx // of Run: what asks outlives the request that it began with
	flights map[string]*flight
	waiting int
	rate    bucket.Bucket
	told    *recent.Map[string, bool]
}

// flight is a question that is under way.
type flight struct {
	done chan struct{}
	err  error // once done is closed
}

// New makes a Sight.
func New(cfg Config, ask Ask, routes *routing.Holder, log *slog.Logger) *Sight {
	return &Sight{
		cfg: cfg, ask: ask, routes: routes, log: log,
		flights: map[string]*flight{}, told: recent.New[string, bool](cfg.Told),
	}
}

// Run lets questions be asked until ctx ends, and returns when none is under way.
func (s *Sight) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	s.mu.Lock()
	s.running = ctx
	s.mu.Unlock()
	<-ctx.Done()
	s.mu.Lock()
	s.running = nil
	s.mu.Unlock()
	cancel()
	s.work.Wait()
	return nil
}

var (
	errStopped = errors.New("nobody is told at present")
	errTooMany = errors.New("too many new customers at a time")
)

// Tell has the control plane told of a customer, and waits for nothing. What cannot be told now is when the customer comes next.
func (s *Sight) Tell(customer string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if told, _ := s.told.Get(customer); told {
		return
	}
	if _, err := s.begin(customer, false); err == nil {
		s.told.Put(customer, true)
	}
}

// Await returns a table that knows the customer, or that wants no budget for new ones. The error is customer_unavailable, or the
// end of ctx.
func (s *Sight) Await(ctx context.Context, customer string) (*routing.Table, error) {
	if err := s.enter(); err != nil {
		return nil, unavailable(customer, err)
	}
	defer s.leave()
	within, cancel := context.WithTimeout(ctx, s.cfg.Wait)
	defer cancel()
	for {
		changed := s.routes.Changed()
		if t := s.routes.Current(); t != nil && settled(t, customer) {
			return t, nil
		}
		f, err := s.join(customer)
		if err != nil {
			return nil, unavailable(customer, err)
		}
		select {
		case <-f.done:
			if f.err != nil {
				return nil, unavailable(customer, f.err)
			}
			// It was deleted since, or this edge has it by now.
		case <-changed:
		case <-within.Done():
			if ctx.Err() != nil {
				return nil, ctx.Err()
			}
			return nil, unavailable(customer, within.Err())
		}
	}
}

// settled says whether a table leaves nothing to wait for.
func settled(t *routing.Table, customer string) bool {
	return t.Knows(customer) || !t.Customers().WithBudget
}

func unavailable(customer string, why error) error {
	return fault.New(fault.CustomerUnavailable, "Customer %s is new, and this edge does not have its budget yet.", customer).
		WithRetryAfter(time.Second).WithCause(why)
}

func (s *Sight) enter() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.waiting >= s.cfg.Waiting {
		return errTooMany
	}
	s.waiting++
	return nil
}

func (s *Sight) leave() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.waiting--
}

func (s *Sight) join(customer string) (*flight, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.begin(customer, true)
}

// begin finds the question about a customer that is under way, or begins it. mu is held.
func (s *Sight) begin(customer string, follow bool) (*flight, error) {
	if f := s.flights[customer]; f != nil {
		return f, nil
	}
	if s.running == nil {
		return nil, errStopped
	}
	s.rate.Fill(time.Now().UnixNano(), bucket.Rate{Amount: 60 * s.cfg.PerSecond, Among: 1}, s.cfg.PerSecond)
	if len(s.flights) >= s.cfg.Names || s.rate.Tokens < 1 {
		return nil, errTooMany
	}
	s.rate.Tokens--
	f := &flight{done: make(chan struct{})}
	s.flights[customer] = f
	running := s.running
	s.work.Go(func() { s.fly(running, customer, f, follow) })
	return f, nil
}

// fly asks, and follows the configuration until it has the customer where somebody waits for that.
func (s *Sight) fly(ctx context.Context, customer string, f *flight, follow bool) {
	ctx, cancel := context.WithTimeout(ctx, s.cfg.Wait)
	defer cancel()
	err := s.ask(ctx, customer)
	for err == nil && follow {
		changed := s.routes.Changed()
		if t := s.routes.Current(); t != nil && settled(t, customer) {
			break
		}
		select {
		case <-changed:
		case <-ctx.Done():
			err = ctx.Err()
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if f.err = err; err != nil {
		s.log.Debug("control plane not told of a customer", "customer", customer, "err", err)
		s.told.Put(customer, false)
	}
	delete(s.flights, customer)
	close(f.done)
}
