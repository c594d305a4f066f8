// Package pool chooses which target, and which of an endpoint's credentials, gets the next attempt of a
// request. It keeps what attempts and checks have told of them across changes of the configuration: the
// circuit breaker of each target, what is in flight, who is ejected, who has to wait.
//
// It sends nothing and holds no money; whether a request may be sent again at all is the proxy's to say.
package pool

import (
	"log/slog"
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"tollgate/edge/breaker"
	"tollgate/edge/routing"
)

// Config is what tests of chance set.
type Config struct {
	// Rand gives random bits and is safe for concurrent use; nil for the system's.
	Rand func() uint64
}

// Pools is what is known of all targets and credentials. It is safe for concurrent use.
type Pools struct {
	log      *slog.Logger
	rand     func() uint64
	began    time.Time
	breakers *breaker.Set

	// views is of *routing.Endpoint to *view, so that requests find theirs without a lock. An endpoint
	// that Sync has not seen yet, or not any more, gets one when it is first asked for.
	views   sync.Map
	current atomic.Pointer[[]*view] // of the configuration, in its order

	mu    sync.Mutex         // guards what follows, and the maps in known
	edits int                // since all was looked at
	known map[string]*memory // by id of the endpoint
}

// New makes an empty one.
func New(log *slog.Logger) *Pools { return NewWith(Config{}, log) }

// NewWith makes an empty one with another source of chance.
func NewWith(cfg Config, log *slog.Logger) *Pools {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	if cfg.Rand == nil {
		cfg.Rand = rand.Uint64
	}
	p := &Pools{log: log, rand: cfg.Rand, began: time.Now(), breakers: breaker.New(log), known: map[string]*memory{}}
	p.current.Store(&[]*view{})
	return p
}

// Sync makes it match the endpoints of a configuration. What it knows of targets and credentials that
// are still there stays.
func (p *Pools) Sync(endpoints []*routing.Endpoint) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.edited(endpoints) {
		return
	}
	p.edits = 0
	targets := map[string]breaker.Settings{}
	for _, e := range endpoints {
		for _, t := range e.Targets {
			targets[breakerKey(t)] = t.Breaker
		}
	}
	p.breakers.Sync(targets)

	current, wanted, ids := make([]*view, 0, len(endpoints)), make(map[*routing.Endpoint]bool, len(endpoints)), make(map[string]bool, len(endpoints))
	for i, e := range endpoints {
		if i%breathe == 0 {
			runtime.Gosched()
		}
		v := p.unchanged(e)
		if v == nil {
			v = p.newView(e)
			v.memory.follow(p.now(), v)
			p.views.Store(e, v)
		}
		current, wanted[e], ids[e.ID] = append(current, v), true, true
	}
	p.current.Store(&current)
	p.views.Range(func(e, _ any) bool {
		if !wanted[e.(*routing.Endpoint)] { //nolint:forcetypeassert // nothing else is stored
			p.views.Delete(e)
		}
		return true
	})
	for id := range p.known {
		if !ids[id] {
			delete(p.known, id)
		}
	}
}

// breathe is after how many endpoints others are let on the core: requests wait for it meanwhile.
const breathe = 16

// unchanged is the view of an endpoint that was in the configuration before, if nothing of it is to be made anew; nil otherwise. It
// needs mu.
func (p *Pools) unchanged(e *routing.Endpoint) *view {
	was, ok := p.views.Load(e)
	if !ok {
		return nil
	}
	v := was.(*view) //nolint:forcetypeassert // nothing else is stored
	if p.known[e.ID] != v.memory || len(v.targets) > 0 && !v.memory.isCurrent(v) {
		return nil
	}
	for _, s := range v.targets {
		if s.breaker != p.breakers.Of(breakerKey(s.spec)) {
			return nil
		}
	}
	return v
}

// SetHealth says what checks have found out about a target, by its number in the endpoint.
func (p *Pools) SetHealth(e *routing.Endpoint, target int, healthy bool) {
	p.view(e).targets[target].unhealthy.Store(!healthy)
}

// now is the time on the clock that never goes back.
func (p *Pools) now() time.Duration { return time.Since(p.began) }

// moment is what a time on that clock is on everybody's.
func (p *Pools) moment(at time.Duration) time.Time { return p.began.Add(at) }

func breakerKey(t *routing.Target) string {
	if t.BreakerKey != "" {
		return t.BreakerKey
	}
	return t.Name
}

// view is an endpoint of one configuration, with what is known of its targets and credentials.
type view struct {
	e           *routing.Endpoint
	memory      *memory
	targets     []seat
	credentials []*credential
	ofTargets   members
	ofCreds     members
	limited     bool // attempts are counted, because they allow retries
}

// seat is a target of the endpoint.
type seat struct {
	*target

	spec    *routing.Target
	breaker *breaker.Breaker // nil until the configuration is in use: it is simply tried
}

func (p *Pools) view(e *routing.Endpoint) *view {
	if v, ok := p.views.Load(e); ok {
		return v.(*view) //nolint:forcetypeassert // nothing else is stored
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	v, _ := p.views.LoadOrStore(e, p.newView(e))
	return v.(*view) //nolint:forcetypeassert // nothing else is stored
}

// newView needs mu. More than 64 targets or credentials have no bit in Tries and are not used.
func (p *Pools) newView(e *routing.Endpoint) *view {
	m := p.known[e.ID]
	if m == nil {
		m = &memory{targets: map[targetKey]*target{}, credentials: map[string]*credential{}}
		p.known[e.ID] = m
	}
	v := &view{e: e, memory: m, limited: e.Retry != nil || e.Hedge != nil}
	v.ofTargets.policy, v.ofCreds.policy = e.Balance, e.CredentialBalance
	twins := map[string]int{}
	for _, spec := range e.Targets[:min(len(e.Targets), 64)] {
		t := m.target(targetKey{spec.Name, twins[spec.Name]})
		twins[spec.Name]++
		v.targets = append(v.targets, seat{t, spec, p.breakers.Of(breakerKey(spec))})
		v.ofTargets.add(spec.Weight, spec.Priority, &t.inFlight)
	}
	for i, spec := range e.Credentials[:min(len(e.Credentials), 64)] {
		c := m.credential(spec.Name)
		v.credentials = append(v.credentials, c)
		v.ofCreds.add(spec.Weight, spec.Priority, &c.inFlight)
		if spec.Err == nil {
			v.ofCreds.valid |= 1 << i
		}
	}
	return v
}
