// Package breaker keeps one circuit breaker per target across configuration changes, so that a
// target that does not answer is left alone for a while. It promises that a change of configuration
// does not close an open breaker and that a caller who forgets to report cannot keep one open for
// good. It decides nothing about retries, sends no request and words no refusal.
package breaker

import (
	"cmp"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sony/gobreaker/v2"
)

// Settings are how easily a breaker opens and how long it stays open. What is zero takes the default.
type Settings struct {
	MinEnded    uint32        // attempts that must have ended within Window before it can open
	FailPercent uint32        // share of them that must have failed
	Window      time.Duration // how far back attempts count
	OpenFor     time.Duration // how long it stays open before a probe is let through
	ProbeFor    time.Duration // after this a probe that was not reported counts for nothing, and the next is let through
}

// DefaultSettings are those of a target that says nothing else.
func DefaultSettings() Settings {
	return Settings{MinEnded: 5, FailPercent: 50, Window: 10 * time.Second, OpenFor: 10 * time.Second, ProbeFor: time.Minute}
}

func (s Settings) complete() Settings {
	d := DefaultSettings()
	return Settings{
		MinEnded: cmp.Or(s.MinEnded, d.MinEnded), FailPercent: cmp.Or(s.FailPercent, d.FailPercent),
		Window: cmp.Or(s.Window, d.Window), OpenFor: cmp.Or(s.OpenFor, d.OpenFor), ProbeFor: cmp.Or(s.ProbeFor, d.ProbeFor),
	}
}

// Outcome is what an attempt says about its target.
type Outcome uint8

// The outcomes.
const (
	Abandoned Outcome = iota // nothing: the caller went away, or the attempt ended without an outcome
	Success                  // it answered, with whatever status but 502, 503 and 504
	Failure                  // no connection, no TLS, no answer in time, a malformed one, or 502, 503, 504
)

// The outcomes as gobreaker knows them: nil, excluded, and failed.
var (
	errAbandoned = errors.New("abandoned")
	errFailed    = errors.New("failed")
)

// State is a target whose breaker is not closed.
type State struct {
	Target   string
	HalfOpen bool      // the next attempt is let through as a probe, or is under way
	Probing  bool      // it is under way, so that no other is let through
	Since    time.Time // when it left the closed state
	Until    time.Time // when an attempt is let through again; zero unless it is open
}

// Set holds the breakers of the targets in use. It is safe for concurrent use.
type Set struct {
	log *slog.Logger
	mu  sync.RWMutex // guards by; taken before a breaker's own lock, never inside it
	by  map[string]*Breaker
}

// New makes an empty set.
func New(log *slog.Logger) *Set {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	return &Set{log: log, by: map[string]*Breaker{}}
}

// Sync makes the set match the targets of a configuration, by names that logs and metrics may show. A
// target whose settings did not change keeps its breaker.
func (s *Set) Sync(targets map[string]Settings) {
	s.mu.Lock()
	defer s.mu.Unlock()
	next := make(map[string]*Breaker, len(targets))
	for target, settings := range targets {
		settings = settings.complete()
		if old := s.by[target]; old != nil && old.settings == settings {
			next[target] = old
			continue
		}
		next[target] = newBreaker(target, settings, s.log)
	}
	s.by = next
}

// Of is the breaker of a target; nil if it is not in the set.
func (s *Set) Of(target string) *Breaker {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.by[target]
}

// States lists the targets whose breaker is not closed, in order.
func (s *Set) States() []State {
	s.mu.RLock()
	defer s.mu.RUnlock()
	var states []State
	for _, b := range s.by {
		if state, closed := b.Look(); !closed {
			states = append(states, state)
		}
	}
	slices.SortFunc(states, func(a, b State) int { return cmp.Compare(a.Target, b.Target) })
	return states
}

// Breaker is one target's. The counting is gobreaker's; what is added is the knowledge of when it
// opened and of the probe that is under way. A nil one is always closed.
type Breaker struct {
	target   string
	settings Settings
	log      *slog.Logger
	cb       atomic.Pointer[counter]

	// phase is gobreaker's state after its last change in its lowest bits, so that the closed one costs no lock, and above them
	// how often it has changed: what an attempt says that was admitted before the last change counts for nothing.
	phase atomic.Uint64

	// turn is held while an attempt asks one that is not closed, so that the newest probe is the one
	// that is remembered. It is taken before gobreaker's locks, and those before mu.
	turn sync.Mutex

	mu     sync.Mutex // guards all below and changes of cb; gobreaker calls back into changed with its own lock held
	left   time.Time  // when it left the closed state
	opened time.Time  // when it opened last
	probe  *probe     // under way
}

// counter counts since the breaker was made or reset last. What stands between attempts and the target is the two-step breaker,
// which has to be asked only once it is not closed: until then attempts are counted when they are over, which costs one visit
// and no memory, and what counts them opens the other one.
type counter struct {
	*gobreaker.TwoStepCircuitBreaker[struct{}]

	ended atomic.Pointer[gobreaker.CircuitBreaker[struct{}]]
}

func newBreaker(target string, settings Settings, log *slog.Logger) *Breaker {
	b := &Breaker{target: target, settings: settings, log: log}
	b.cb.Store(b.newCounter())
	return b
}

func (b *Breaker) newCounter() *counter {
	c := &counter{}
	c.TwoStepCircuitBreaker = gobreaker.NewTwoStepCircuitBreaker[struct{}](gobreaker.Settings{
		Name: b.target, MaxRequests: 1, Timeout: b.settings.OpenFor,
		ReadyToTrip:   func(c gobreaker.Counts) bool { return c.TotalFailures > 0 }, // which open tells it
		IsExcluded:    func(err error) bool { return errors.Is(err, errAbandoned) },
		OnStateChange: func(_ string, from, to gobreaker.State) { b.changed(c, from, to) },
	})
	c.ended.Store(b.newEnded(c))
	return c
}

// newEnded makes what counts the attempts of a closed breaker as they end, until it opens.
func (b *Breaker) newEnded(c *counter) *gobreaker.CircuitBreaker[struct{}] {
	settings := b.settings
	return gobreaker.NewCircuitBreaker[struct{}](gobreaker.Settings{
		Name: b.target, Timeout: settings.OpenFor,
		Interval: settings.Window, BucketPeriod: max(settings.Window/10, 1),
		ReadyToTrip: func(c gobreaker.Counts) bool {
			ended := uint64(c.TotalSuccesses) + uint64(c.TotalFailures)
			return ended >= uint64(settings.MinEnded) && uint64(c.TotalFailures)*100 >= uint64(settings.FailPercent)*ended
		},
		OnStateChange: func(_ string, _, to gobreaker.State) {
			if to == gobreaker.StateOpen {
				c.open()
			}
		},
	})
}

// open opens the breaker that is asked before attempts.
func (c *counter) open() {
	if done, err := c.Allow(); err == nil {
		done(errFailed)
	}
}

// Reset makes it forget all that it counted, and closes it. It says whether it was not closed. Attempts that are under way
// count for nothing any more.
func (b *Breaker) Reset() bool {
	if b == nil {
		return false
	}
	b.turn.Lock()
	defer b.turn.Unlock()
	b.mu.Lock()
	defer b.mu.Unlock()
	was := !b.closed()
	b.cb.Store(b.newCounter())
	b.probe = nil
	b.enter(gobreaker.StateClosed)
	return was
}

func (b *Breaker) changed(c *counter, from, to gobreaker.State) {
	now := time.Now()
	b.mu.Lock()
	if c != b.cb.Load() {
		b.mu.Unlock()
		return // of before it was reset
	}
	if from == gobreaker.StateClosed {
		b.left = now
	}
	if to == gobreaker.StateOpen {
		b.opened = now
		c.ended.Store(b.newEnded(c)) // it begins to count anew when it closes
	}
	if to != gobreaker.StateHalfOpen {
		b.probe = nil
	}
	b.enter(to)
	b.mu.Unlock()
	b.log.Info("circuit breaker changed", "target", b.target, "from", from.String(), "to", to.String())
}

// phaseBits hold the state in a phase.
const phaseBits = 2

// enter notes a change of the state. The caller holds mu.
func (b *Breaker) enter(to gobreaker.State) {
	b.phase.Store((b.phase.Load()>>phaseBits+1)<<phaseBits | uint64(to))
}

func closed(phase uint64) bool { return phase&(1<<phaseBits-1) == uint64(gobreaker.StateClosed) }

// closed reads without a lock what nearly every attempt finds.
func (b *Breaker) closed() bool { return closed(b.phase.Load()) }

// Look tells where it stands, without counting as an attempt and without taking the place of a probe.
func (b *Breaker) Look() (s State, closed bool) {
	if b == nil || b.closed() {
		return State{}, true
	}
	phase := b.cb.Load().State() // which opens it half, once it is time
	b.mu.Lock()
	defer b.mu.Unlock()
	s = State{Target: b.target, Since: b.left}
	switch phase {
	case gobreaker.StateOpen:
		s.Until = b.opened.Add(b.settings.OpenFor)
	case gobreaker.StateHalfOpen:
		s.HalfOpen, s.Probing = true, b.probe != nil && time.Now().Before(b.probe.until)
	case gobreaker.StateClosed:
		return State{}, true
	}
	return s, false
}

// Permit is the right to one attempt. Its zero value belongs to a target without a breaker.
type Permit struct {
	b     *Breaker // that was closed when it was given; nil for others
	phase uint64   // of the breaker then
	done  func(error)
}

// Report takes the outcome, once the head of the answer is there or the attempt has failed. Only the
// first call counts, and each permit must get one: Abandoned at the least. Calls must not overlap.
func (p *Permit) Report(o Outcome) {
	done, b := p.done, p.b
	p.done, p.b = nil, nil
	if b != nil {
		b.count(o, p.phase)
	}
	if done == nil {
		return
	}
	switch o {
	case Success:
		done(nil)
	case Failure:
		done(errFailed)
	case Abandoned:
		done(errAbandoned)
	}
}

// What gobreaker is told to run for an attempt that is over.
var (
	succeeded = func() (struct{}, error) { return struct{}{}, nil }
	failed    = func() (struct{}, error) { return struct{}{}, errFailed }
)

// count takes in the outcome of an attempt that a closed breaker has admitted.
func (b *Breaker) count(o Outcome, phase uint64) {
	run := succeeded
	switch o {
	case Abandoned:
		return
	case Failure:
		run = failed
	case Success:
	}
	if b.phase.Load() == phase {
		_, _ = b.cb.Load().ended.Load().Execute(run) // one that has opened meanwhile refuses it, and it counts for nothing
	}
}

// Allow asks before an attempt.
func (b *Breaker) Allow() (Permit, bool) {
	if b == nil {
		return Permit{}, true
	}
	if phase := b.phase.Load(); closed(phase) {
		return Permit{b: b, phase: phase}, true
	}
	return b.allowProbe()
}

func (b *Breaker) allowProbe() (Permit, bool) {
	b.turn.Lock()
	defer b.turn.Unlock()
	done, err := b.cb.Load().Allow()
	if errors.Is(err, gobreaker.ErrTooManyRequests) && b.giveUpProbe() {
		done, err = b.cb.Load().Allow()
	}
	if err != nil {
		return Permit{}, false
	}
	if b.cb.Load().State() != gobreaker.StateHalfOpen {
		done(errAbandoned) // a probe has closed it meanwhile
		return Permit{b: b, phase: b.phase.Load()}, true
	}
	p := &probe{b: b, done: done, until: time.Now().Add(b.settings.ProbeFor)}
	b.mu.Lock()
	b.probe = p
	b.mu.Unlock()
	return Permit{done: p.end}, true
}

// probe is the one attempt that a half-open breaker lets through.
type probe struct {
	b     *Breaker
	once  sync.Once
	done  func(error)
	until time.Time // when it is given up
}

func (p *probe) end(err error) {
	p.once.Do(func() {
		p.b.mu.Lock()
		if p.b.probe == p {
			p.b.probe = nil
		}
		p.b.mu.Unlock()
		p.done(err)
	})
}

// giveUpProbe abandons a probe that was not reported in time, which makes room for another one. What
// its caller reports later counts for nothing.
func (b *Breaker) giveUpProbe() bool {
	b.mu.Lock()
	p := b.probe
	b.mu.Unlock()
	if p == nil || time.Now().Before(p.until) {
		return false
	}
	b.log.Warn("probe of a target was never reported", "target", b.target)
	p.end(errAbandoned)
	return true
}
