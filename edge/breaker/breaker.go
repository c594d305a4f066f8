// Package breaker keeps one circuit breaker per target across configuration changes, so that a
// target that does not answer is left alone for a while. It promises that a change of configuration
// does not close an open breaker and that a caller who forgets to report cannot keep one open for
// good. It decides nothing about retries and sends no request.
package breaker

import (
	"cmp"
	"errors"
	"log/slog"
	"math"
	"net/url"
	"slices"
	"sync"
	"time"

	"github.com/sony/gobreaker/v2"

	"tollgate/internal/fault"
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
	Since    time.Time // when it left the closed state
}

// Set holds the breakers of the targets in use. It is safe for concurrent use.
type Set struct {
	log *slog.Logger
	mu  sync.RWMutex // guards by; taken before a breaker's own lock, never inside it
	by  map[string]*breaker
}

// New makes an empty set.
func New(log *slog.Logger) *Set {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	return &Set{log: log, by: map[string]*breaker{}}
}

// Sync makes the set match the targets of a configuration, by names that logs and metrics may show. A
// target whose settings did not change keeps its state.
func (s *Set) Sync(targets map[string]Settings) {
	s.mu.Lock()
	defer s.mu.Unlock()
	next := make(map[string]*breaker, len(targets))
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

// Allow asks before an attempt; the error is the fault breaker_open. report takes the outcome once
// the head of the answer is there or the attempt has failed. Only its first call counts, so that an
// attempt begins with
//
//	report, err := set.Allow(target)
//	if err != nil { … }
//	defer report(breaker.Abandoned)
//
// and no path out of it forgets to report. A target that is not in the set is always allowed.
func (s *Set) Allow(target string) (report func(Outcome), err error) {
	s.mu.RLock()
	b := s.by[target]
	s.mu.RUnlock()
	if b == nil {
		return func(Outcome) {}, nil
	}
	return b.allow()
}

// States lists the targets whose breaker is not closed, in order.
func (s *Set) States() []State {
	s.mu.RLock()
	defer s.mu.RUnlock()
	var states []State
	for target, b := range s.by {
		if state, since := b.state(); state != gobreaker.StateClosed {
			states = append(states, State{Target: target, HalfOpen: state == gobreaker.StateHalfOpen, Since: since})
		}
	}
	slices.SortFunc(states, func(a, b State) int { return cmp.Compare(a.Target, b.Target) })
	return states
}

// breaker is one target's. The counting is gobreaker's; what is added is the knowledge of when it
// opened and of the probe that is under way.
type breaker struct {
	target   string
	settings Settings
	log      *slog.Logger
	cb       *gobreaker.TwoStepCircuitBreaker[struct{}]

	// turn is held while an attempt asks, so that the newest probe is the one that is remembered. It
	// is taken before gobreaker's lock, and that before mu.
	turn sync.Mutex

	mu     sync.Mutex // guards all below; gobreaker calls back into changed with its own lock held
	left   time.Time  // when it left the closed state
	opened time.Time  // when it opened last
	probe  func(Outcome)
	until  time.Time // when the probe is given up
}

func newBreaker(target string, settings Settings, log *slog.Logger) *breaker {
	b := &breaker{target: target, settings: settings, log: log}
	b.cb = gobreaker.NewTwoStepCircuitBreaker[struct{}](gobreaker.Settings{
		Name: target, MaxRequests: 1, Timeout: settings.OpenFor,
		Interval: settings.Window, BucketPeriod: max(settings.Window/10, 1),
		// Counts.Requests has the attempts still in flight as well, so long streams would thin the ratio.
		ReadyToTrip: func(c gobreaker.Counts) bool {
			ended := uint64(c.TotalSuccesses) + uint64(c.TotalFailures)
			return ended >= uint64(settings.MinEnded) && uint64(c.TotalFailures)*100 >= uint64(settings.FailPercent)*ended
		},
		IsExcluded:    func(err error) bool { return errors.Is(err, errAbandoned) },
		OnStateChange: b.changed,
	})
	return b
}

func (b *breaker) changed(_ string, from, to gobreaker.State) {
	now := time.Now()
	b.mu.Lock()
	if from == gobreaker.StateClosed {
		b.left = now
	}
	if to == gobreaker.StateOpen {
		b.opened = now
	}
	if to != gobreaker.StateHalfOpen {
		b.probe = nil
	}
	b.mu.Unlock()
	b.log.Info("circuit breaker changed", "target", b.target, "from", from.String(), "to", to.String())
}

func (b *breaker) state() (gobreaker.State, time.Time) {
	state := b.cb.State()
	b.mu.Lock()
	defer b.mu.Unlock()
	return state, b.left
}

func (b *breaker) allow() (func(Outcome), error) {
	b.turn.Lock()
	defer b.turn.Unlock()
	done, err := b.cb.Allow()
	if errors.Is(err, gobreaker.ErrTooManyRequests) && b.giveUpProbe() {
		done, err = b.cb.Allow()
	}
	if err != nil {
		return nil, b.refusal()
	}
	var once sync.Once
	report := func(o Outcome) {
		once.Do(func() {
			switch o {
			case Success:
				done(nil)
			case Failure:
				done(errFailed)
			case Abandoned:
				done(errAbandoned)
			}
		})
	}
	if b.cb.State() == gobreaker.StateHalfOpen {
		b.mu.Lock()
		b.probe, b.until = report, time.Now().Add(b.settings.ProbeFor)
		b.mu.Unlock()
	}
	return report, nil
}

// giveUpProbe abandons a probe that was not reported in time, which makes room for another one. What
// its caller reports later counts for nothing.
func (b *breaker) giveUpProbe() bool {
	b.mu.Lock()
	probe, until := b.probe, b.until
	if probe == nil || time.Now().Before(until) {
		b.mu.Unlock()
		return false
	}
	b.probe = nil
	b.mu.Unlock()
	b.log.Warn("probe of a target was never reported", "target", b.target)
	probe(Abandoned)
	return true
}

func (b *breaker) refusal() error {
	b.mu.Lock()
	wait := time.Until(b.opened.Add(b.settings.OpenFor))
	b.mu.Unlock()
	seconds := max(int64(math.Ceil(wait.Seconds())), 1)
	return fault.New(fault.BreakerOpen, "The target %s has failed repeatedly; it is not tried for %d s.", host(b.target), seconds).
		WithRetryAfter(time.Duration(seconds) * time.Second)
}

// host is what a caller is told of a target, whose URL may hold more than is theirs to know.
func host(target string) string {
	if u, err := url.Parse(target); err == nil && u.Host != "" {
		return u.Host
	}
	return target
}
