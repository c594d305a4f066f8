package pool

import (
	"errors"
	"net/http"
	"sync/atomic"
	"time"

	"tollgate/edge/breaker"
	"tollgate/edge/routing"
)

// ErrTried says that each target was tried by the request, or each credential.
var ErrTried = errors.New("each target was tried")

// Tries is what one request has tried. The zero value is before its first attempt.
type Tries struct {
	targets     uint64 // bits of those that are not to be tried again
	credentials uint64
	out         uint64 // targets that the request cannot be sent to
	retries     int
}

// Exclude keeps the request from the target with this number in the endpoint, before anything was tried.
func (t *Tries) Exclude(target int) { t.out |= 1 << target }

// Drop keeps the request from the target of a choice.
func (t *Tries) Drop(c *Choice) { t.targets |= 1 << c.target }

// DropCredential keeps it from the credential of a choice.
func (t *Tries) DropCredential(c *Choice) {
	if c.Credential != nil {
		t.credentials |= 1 << c.credential
	}
}

// Retry lets the request try all targets again.
func (t *Tries) Retry() { t.targets, t.retries = 0, t.retries+1 }

// again says whether the next attempt is made because an earlier one failed.
func (t *Tries) again() bool { return t.retries > 0 || t.targets|t.credentials != 0 }

// Choice is where one attempt goes. It must be ended with Done, which may be called again.
type Choice struct {
	Target     *routing.Target
	Credential *routing.Credential // nil if the endpoint has none to choose from

	target, credential int // their numbers in the endpoint
	report             func(Result)

	// Nil for a choice that NewChoice made.
	pools *Pools
	view  *view

	permit   breaker.Permit
	reported atomic.Bool
	ended    atomic.Bool
}

// Number is the number of the target in the endpoint.
func (c *Choice) Number() int { return c.target }

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

func (r Result) failed() bool { return r.Outcome == breaker.Failure || r.Status >= 500 }

// Report tells how the attempt went, once the head of the answer is there or it has failed. Only the
// first call counts.
func (c *Choice) Report(r Result) {
	if c.report != nil {
		c.report(r)
		return
	}
	if c.reported.Swap(true) {
		return
	}
	c.permit.Report(r.Outcome)
	s := &c.view.targets[c.target]
	failed := r.failed()
	if failed {
		s.failures.Add(1)
	}
	if o := c.view.e.Outlier; o != nil && (failed || r.Status != 0 || r.Outcome == breaker.Success) {
		c.pools.judge(c.view, s, o, failed)
	}
	if c.Credential != nil && r.Status != 0 {
		c.pools.weigh(c.view, c.Credential.Name, c.view.credentials[c.credential], r)
	}
}

// Done ends the attempt, with the body of the answer. One that was not reported says nothing about its
// target.
func (c *Choice) Done() {
	if c.report != nil {
		c.report(Result{Outcome: breaker.Abandoned})
		return
	}
	if c.ended.Swap(true) {
		return
	}
	c.Report(Result{Outcome: breaker.Abandoned})
	c.view.targets[c.target].inFlight.Add(-1)
	if c.Credential != nil {
		c.view.credentials[c.credential].inFlight.Add(-1)
	}
}

// weigh says what an answer means for the credential that it came to.
func (p *Pools) weigh(v *view, name string, c *credential, r Result) {
	switch r.Status {
	case http.StatusUnauthorized, http.StatusForbidden:
		// Another request may well be allowed, so it goes on being used; but somebody should look.
		c.refused.Add(1)
		if !c.unwanted.Swap(true) {
			p.log.Warn("the vendor refuses a credential", "endpoint", v.e.Name, "credential", name, "status", r.Status)
		}
	case http.StatusTooManyRequests, http.StatusServiceUnavailable:
		p.pause(v, name, c, r)
	default:
		if r.Status < 500 {
			c.strikes.Store(0)
			c.unwanted.Store(false)
		}
	}
}

// A credential is not left unused for longer than this, whatever the vendor asks for.
const (
	longestPause = time.Hour
	firstPause   = time.Second      // where the vendor does not say how long
	mostDoubled  = 30 * time.Second // and what that grows to
)

// pause lets a credential wait as the vendor asks. Requests that ran at the same time are all told
// to: for those of them that name no time, the first answer counts.
func (p *Pools) pause(v *view, name string, c *credential, r Result) {
	now, before := p.now(), c.paused.Load()
	wait := min(r.RetryAfter, longestPause)
	if wait <= 0 {
		if r.Status != http.StatusTooManyRequests || before > int64(now) {
			return
		}
		wait = min(firstPause<<min(c.strikes.Add(1)-1, 10), mostDoubled)
	}
	for until := int64(now + wait); until > before; before = c.paused.Load() {
		if c.paused.CompareAndSwap(before, until) {
			p.log.Info("a credential has to wait", "endpoint", v.e.Name, "credential", name, "for", wait)
			return
		}
	}
}
