package proxy

import (
	"context"
	"fmt"
	"net/http"
	"runtime/debug"
	"time"

	eventv1 "tollgate/gen/tollgate/event/v1"
)

// mayHedge says whether a second attempt may be made beside one that is slow, as far as the endpoint and
// the method say.
func (c *call) mayHedge() bool {
	h := c.pool.Hedge
	if h == nil || c.x.Upgrade != "" {
		return false
	}
	switch c.method() {
	case http.MethodGet, http.MethodHead, http.MethodOptions:
		return true
	default:
		return h.AnyMethod
	}
}

// race makes an attempt, and after some time without an answer another one beside it. The first good
// answer wins. The attempt that lost is over and settled when race returns.
func (c *call) race(ctx context.Context, first *try) *try {
	c.shared = true // by goroutines that may know of it for longer
	done := make(chan *try, 2)
	running := 0
	start := func(t *try, send func(ctx context.Context)) {
		ctx, cancel := context.WithCancel(ctx)
		t.cancel = cancel
		running++
		go func() {
			defer func() {
				if v := recover(); v != nil {
					t.bug = fmt.Sprintf("%v\n%s", v, debug.Stack())
				}
				done <- t
			}()
			send(ctx)
		}()
	}
	join := func() *try {
		t := <-done
		running--
		return t
	}
	var second *try
	// Whatever happens: nothing of the attempts goes on behind the back of who settles them.
	defer func() {
		if running == 0 {
			return
		}
		first.cancel()
		if second != nil && second.cancel != nil {
			second.cancel()
		}
		for running > 0 {
			join()
		}
	}()

	start(first, first.send)
	timer := time.NewTimer(c.pool.Hedge.After)
	defer timer.Stop()
	select {
	case t := <-done:
		running--
		return t.raise()
	case <-timer.C:
	}
	if second = c.beside(first); second == nil {
		return join().raise()
	}
	start(second, second.launch)
	winner := join().raise()
	loser := first
	if winner == first {
		loser = second
	}
	if !c.good(winner) {
		// The other one may still do better; if it does not, an answer is better than none.
		if join(); loser.answer != nil || winner.answer == nil && loser.number > 0 {
			winner, loser = loser, winner
		}
	} else {
		loser.cancel()
		join()
	}
	c.now = winner
	loser.raise()
	winner.raise()
	c.lose(ctx, loser, c.good(winner))
	return winner
}

// raise goes on with a bug where it can be dealt with.
func (t *try) raise() *try {
	if t.bug != nil {
		panic(t.bug)
	}
	return t
}

// beside is an attempt for another choice than the first one's, or nil if there is none.
func (c *call) beside(first *try) *try {
	tries := c.tries
	tries.Drop(first.choice)
	choice, err := c.g.d.Pools.Pick(c.pool, &tries, nil)
	if err != nil {
		return nil
	}
	return c.newTry(choice)
}

// launch makes the attempt if what it may cost can be held besides.
func (t *try) launch(ctx context.Context) {
	if t.err = t.ready(ctx); t.err == nil {
		if counters := t.c.counters; counters != nil {
			counters.Hedged()
		}
		t.send(ctx)
	}
}

// good says whether an attempt has an answer that is not a failure.
func (c *call) good(t *try) bool {
	if t.answer == nil {
		return false
	}
	switch t.answer.Status {
	case http.StatusTooManyRequests, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return false
	default:
		return !c.retried(t.answer.Status)
	}
}

// lose ends the attempt whose answer does not count, at no cost. What it says about its target counts if
// it was not just given up.
func (c *call) lose(ctx context.Context, t *try, outrun bool) {
	failed := false
	switch {
	case t.answer != nil:
		failed = !c.good(t)
		if failed {
			t.report()
		}
	case t.number > 0 && ctx.Err() == nil:
		if e, ok := t.err.(*AttemptError); ok && e.Failure != FailCanceled { //nolint:errorlint // what RoundTrip promises
			failed = true
			_, _ = t.failed(ctx)
		}
	}
	if failed {
		c.tries.Drop(t.choice)
	}
	status := t.end.status
	outcome := t.end.outcome
	if outrun && !failed {
		outcome = eventv1.SpendOutcome_SPEND_OUTCOME_REFUSED
	}
	t.end = settlement{status: status, outcome: outcome}
	if t.body != nil {
		t.body.finish()
	}
	t.close()
	t.settle()
}
