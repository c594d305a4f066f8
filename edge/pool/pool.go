// Package pool chooses which target, and which of an endpoint's credentials, gets the next attempt of a
// request. It keeps what attempts and checks have told of them across changes of the configuration: the
// circuit breaker of each target, what is in flight, who is ejected, who has to wait.
//
// It sends nothing and holds no money; whether a request may be sent again at all is the proxy's to say.
package pool

import (
	"errors"
	"log/slog"
	"time"

	"tollgate/edge/breaker"
	"tollgate/edge/routing"
)

// ErrTried says that each target was tried by the request.
var ErrTried = errors.New("each target was tried")

// Pools is what is known of all targets and credentials. It is safe for concurrent use.
type Pools struct {
	breakers *breaker.Set
}

// New makes an empty one.
func New(log *slog.Logger) *Pools { return &Pools{breakers: breaker.New(log)} }

// Sync makes it match the endpoints of a configuration. What it knows of targets and credentials that
// are still there stays.
func (p *Pools) Sync(endpoints []*routing.Endpoint) {
	targets := map[string]breaker.Settings{}
	for _, e := range endpoints {
		for _, t := range e.Targets {
			targets[t.BreakerKey] = t.Breaker
		}
	}
	p.breakers.Sync(targets)
}

// Tries is what one request has tried. The zero value is before its first attempt.
type Tries struct {
	targets     uint64 // bits of those that are not to be tried again
	credentials uint64
	retries     int
}

// Drop keeps the request from the target of a choice.
func (t *Tries) Drop(c *Choice) { t.targets |= 1 << c.target }

// DropCredential keeps it from the credential of a choice.
func (t *Tries) DropCredential(c *Choice) { t.credentials |= 1 << c.credential }

// Retry lets the request try all targets again.
func (t *Tries) Retry() { t.targets, t.retries = 0, t.retries+1 }

// Choice is where one attempt goes. It must be ended with Done, which may be called again.
type Choice struct {
	Target     *routing.Target
	Credential *routing.Credential // nil if the endpoint has none to choose from

	target, credential int // their numbers in the endpoint
	report             func(Result)
}

// NewChoice makes a choice of the target and the credential with these numbers in the endpoint; a negative
// one stands for no credential. report gets every report, the first of which counts; the one with no more
// than an abandoned attempt in it is Done's.
func NewChoice(e *routing.Endpoint, target, credential int, report func(Result)) *Choice {
	c := &Choice{Target: e.Targets[target], target: target, credential: credential, report: report}
	if credential >= 0 {
		c.Credential = e.Credentials[credential]
	}
	return c
}

// Result is what an attempt says about its target and its credential.
type Result struct {
	Outcome    breaker.Outcome
	Status     int           // of the answer; 0 without one
	RetryAfter time.Duration // that the answer asks for; 0 if it does not
}

// Report tells how the attempt went, once the head of the answer is there or it has failed. Only the
// first call counts.
func (c *Choice) Report(r Result) { c.report(r) }

// Done ends the attempt. One that was not reported says nothing about its target.
func (c *Choice) Done() { c.report(Result{Outcome: breaker.Abandoned}) }

// Pick chooses for the next attempt of a request. The error is a fault that tells why none can be made,
// or ErrTried.
func (p *Pools) Pick(e *routing.Endpoint, t *Tries) (*Choice, error) {
	err := ErrTried
	for i, target := range e.Targets {
		if t.targets&(1<<i) != 0 {
			continue
		}
		report, refused := p.breakers.Allow(target.BreakerKey)
		if refused != nil {
			err = refused
			continue
		}
		return NewChoice(e, i, -1, func(r Result) { report(r.Outcome) }), nil
	}
	return nil, err
}

// MayRetry takes one from the retries that an endpoint allows at present, if there is one.
func (p *Pools) MayRetry(*routing.Endpoint) bool { return true }

// State is one target of one endpoint.
type State struct {
	Endpoint, Target            string
	State                       string    // "ok", "open", "half-open", "ejected" or "unhealthy"
	Until                       time.Time // when it is tried again; zero if it is not known
	Attempts, Failures, Retries int64
	InFlight                    int64
}

// States lists the targets that were tried or cannot be, those in trouble first.
func (p *Pools) States() []State {
	var out []State
	for _, s := range p.breakers.States() {
		state := "open"
		if s.HalfOpen {
			state = "half-open"
		}
		out = append(out, State{Target: s.Target, State: state})
	}
	return out
}

// Look lists the targets of an endpoint in the order in which a request would try them now, without
// counting as an attempt.
func (p *Pools) Look(e *routing.Endpoint) []State {
	out := make([]State, len(e.Targets))
	for i, t := range e.Targets {
		out[i] = State{Endpoint: e.Name, Target: t.Name, State: "ok"}
	}
	return out
}
