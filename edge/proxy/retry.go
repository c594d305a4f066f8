package proxy

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"time"

	"tollgate/edge/pool"
	"tollgate/internal/fault"
)

// attempts makes one attempt after the other until there is an answer for the caller. Where nothing of
// the request has reached a target, the next target gets its turn; where something has, the endpoint
// says whether the request may be sent again.
func (c *call) attempts(ctx context.Context) {
	if total := c.endpoint.Total; total > 0 {
		var stop context.CancelFunc
		ctx, stop = context.WithTimeoutCause(ctx, total, errTotal)
		defer stop()
	}
	if err := c.openBody(ctx); err != nil {
		c.giveUp(err)
		return
	}
	choice, err := c.g.d.Pools.Pick(c.pool, &c.tries, &c.first.place)
	if err != nil {
		if errors.Is(err, pool.ErrTried) {
			err = fault.New(fault.InternalError, "Endpoint %s has no target.", c.endpoint.Name)
		}
		c.refuse(err)
		return
	}
	defer func() { c.newest.closeAll() }()
	for {
		t := c.run(ctx, choice)
		if choice, err = c.next(ctx, t); choice != nil {
			t.discard()
			continue
		}
		if err != nil {
			t.closeAnswer()
			c.giveUp(err)
			return
		}
		t.relay(ctx)
		return
	}
}

// run makes the attempt of a choice, and perhaps one beside it, and returns the one that counts.
func (c *call) run(ctx context.Context, choice *pool.Choice) *try {
	t := c.newTry(choice)
	c.now = t
	if t.err = t.ready(ctx); t.err != nil {
		return t
	}
	if c.mayHedge() && (c.body == nil || c.kept != nil && c.kept.ended()) {
		t = c.race(ctx, t)
		c.now = t
	} else {
		t.send(ctx)
	}
	c.upstream += t.took
	if t.answer != nil {
		c.setup = t.answer.Setup
	}
	return t
}

// giveUp ends the request without an answer of a target.
func (c *call) giveUp(err error) {
	if errors.Is(err, ErrCallerGone) {
		c.x.Out.Abort() // nobody is there to read an answer
		return
	}
	c.refuse(err)
}

// ended says why the context of the exchange has ended.
func (c *call) ended(ctx context.Context) error {
	switch cause := context.Cause(ctx); {
	case errors.Is(cause, ErrCutOff):
		return shuttingDown()
	case errors.Is(cause, errTotal):
		return fault.New(fault.UpstreamTimeout, "There was no answer within the total time of %s that endpoint %s allows.", c.endpoint.Total, c.endpoint.Name)
	default:
		return ErrCallerGone
	}
}

// next says what follows an attempt: another one, or the error that the caller gets. Without either its
// answer goes on.
func (c *call) next(ctx context.Context, t *try) (*pool.Choice, error) {
	if t.answer != nil {
		t.report()
		if choice := c.unedited(t); choice != nil {
			return choice, nil
		}
		if !c.retried(t.answer.Status) || !c.repeatable(t) {
			return nil, nil //nolint:nilnil // see above
		}
		choice := c.repeat(ctx, t)
		if choice == nil && ctx.Err() != nil {
			return nil, c.ended(ctx)
		}
		return choice, nil
	}
	reach, err := t.failed(ctx)
	switch {
	case reach == over:
		return nil, err
	case reach == some && !c.repeatable(t):
		return nil, c.counted(err)
	case reach == stale && !c.again:
		// The target at hand gets it on a new connection.
		c.again = true
		if choice, none := c.g.d.Pools.Pick(c.pool, &c.tries, nil); none == nil {
			return choice, nil
		}
	case reach != some:
		c.tries.Drop(t.choice)
		choice, none := c.g.d.Pools.Pick(c.pool, &c.tries, nil)
		if none == nil {
			c.again = false
			return choice, nil
		}
		if !errors.Is(none, pool.ErrTried) {
			err = none
		}
	}
	c.again = false
	if choice := c.repeat(ctx, t); choice != nil {
		return choice, nil
	}
	if ctx.Err() != nil {
		return nil, c.ended(ctx)
	}
	return nil, c.counted(err)
}

// retried says whether the request may be sent again after an answer with this status.
func (c *call) retried(status int) bool {
	r := c.pool.Retry
	return r != nil && slices.Contains(r.Statuses, status)
}

// idempotent are the methods of requests that can be sent twice.
var idempotent = names(http.MethodGet, http.MethodHead, http.MethodOptions, http.MethodPut, http.MethodDelete)

// method is that of the request as far as it matters whether it may be sent twice: what a model is asked is never only a question, whatever
// the method is that a user's adapter takes it with.
func (c *call) method() string {
	if c.ask != nil {
		return http.MethodPost
	}
	return c.x.Method
}

// repeatable says whether a target may get the request although one has got it, or a part of it. One
// that has answered 429 has done nothing.
func (c *call) repeatable(t *try) bool {
	switch r := c.pool.Retry; {
	case r == nil:
		return false
	case r.AnyMethod || idempotent[c.method()]:
		return true
	case t.answer != nil && t.answer.Status == http.StatusTooManyRequests:
		return true
	default:
		// What the caller has sent does not help if the target does not get it.
		return get(t.request.Headers, "Idempotency-Key") != ""
	}
}

// longestThrottle is how long a target is waited for that says when it can be asked again. After that
// the caller may as well wait itself.
const longestThrottle = 2 * time.Second

// repeat chooses where the request goes once more, or returns nil if it does not. It waits for some time
// before, so that a target in trouble is not asked by everybody at once.
func (c *call) repeat(ctx context.Context, t *try) *pool.Choice {
	e := c.pool
	if e.Retry == nil || c.retries >= e.Retry.Attempts || !c.resendable() || ctx.Err() != nil || !c.g.d.Pools.MayRetry(e) {
		return nil
	}
	pause := backoff(e.Retry.Backoff, c.retries)
	before, waited := c.tries, time.Duration(0)
	if t.throttled() && t.choice.Credential != nil && len(e.Credentials) > 1 {
		c.tries.DropCredential(t.choice) // it is the credential that has to wait
	} else {
		c.tries.Drop(t.choice)
		if waited = pause; !wait(ctx, pause) {
			return nil
		}
	}
	choice, err := c.g.d.Pools.Pick(e, &c.tries, nil)
	if err != nil {
		// There is nothing else: then the same again, if it is ready soon.
		if t.throttle > longestThrottle || !wait(ctx, max(t.throttle, pause)-waited) {
			return nil
		}
		c.tries = before
		c.tries.Retry()
		if choice, err = c.g.d.Pools.Pick(e, &c.tries, nil); err != nil {
			return nil
		}
	}
	if t.body != nil && !t.body.finish() {
		choice.Done()
		return nil
	}
	c.retries++
	return choice
}

// throttled says whether the answer asks to be left alone.
func (t *try) throttled() bool {
	if t.answer == nil {
		return false
	}
	return t.answer.Status == http.StatusTooManyRequests || t.answer.Status == http.StatusServiceUnavailable && t.throttle > 0
}

// backoff is how long to wait before a retry, of which there were some before: anything up to first,
// doubled for each of those.
func backoff(first time.Duration, retries int) time.Duration {
	const most = 30 * time.Second
	d := min(first, most)
	for range retries {
		d = min(2*d, most)
	}
	if d <= 0 {
		return 0
	}
	return rand.N(d + 1)
}

// wait waits and says whether the exchange still goes on.
func wait(ctx context.Context, d time.Duration) bool {
	if d <= 0 {
		return ctx.Err() == nil
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return ctx.Err() == nil
	case <-ctx.Done():
		return false
	}
}

// counted says with the last error how much was tried.
func (c *call) counted(err error) error {
	f, ok := err.(*fault.Error) //nolint:errorlint // others are not shown
	if !ok || c.spend.attempt < 2 {
		return err
	}
	targets := map[string]bool{}
	for t := c.newest; t != nil; t = t.before {
		if t.number > 0 {
			targets[t.choice.Target.Name] = true
		}
	}
	g := *f
	g.Message = strings.TrimSuffix(f.Message, ".")
	if n := len(targets); n > 1 {
		g.Message += fmt.Sprintf("; tried %d targets.", n)
	} else {
		g.Message += fmt.Sprintf("; tried %d times.", c.spend.attempt)
	}
	return &g
}
