package proxy

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"tollgate/edge/routing"
	"tollgate/internal/money"
)

// Guarantee: whatever targets do and whatever an endpoint allows, a caller gets one answer, no more than
// one price is charged, each intent is settled once, no more attempts are made than are allowed, and a
// request that could be done twice never reaches two targets unless the endpoint says so.
func TestResendingModel(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(r *rapid.T) {
		p := drawResending(r)
		var wrong string
		synctest.Test(t, func(t *testing.T) { wrong = p.check(t) })
		if wrong != "" {
			r.Fatal(wrong)
		}
	})
}

// resending is one request, what an endpoint allows and what its targets do.
type resending struct {
	steps        []step
	hosts        int
	method, body string
	length       int64
	keyed        bool // it has an Idempotency-Key
	retry        *routing.Retry
	hedge        *routing.Hedge
	total        time.Duration
	leaves       time.Duration // when the caller does; 0 for never
	left         money.Nanos
}

func drawResending(r *rapid.T) *resending {
	p := &resending{
		steps:  rapid.SliceOfN(rapid.Custom(drawStep), 1, 8).Draw(r, "steps"),
		hosts:  rapid.IntRange(1, 3).Draw(r, "hosts"),
		method: rapid.SampledFrom([]string{"GET", "HEAD", "POST", "PATCH", "PUT"}).Draw(r, "method"),
		body:   rapid.SampledFrom([]string{"", "hello", "a body that is longer than what is kept"}).Draw(r, "body"),
		keyed:  rapid.Bool().Draw(r, "key"),
		total:  rapid.SampledFrom([]time.Duration{0, 4 * time.Second}).Draw(r, "total"),
		leaves: rapid.SampledFrom([]time.Duration{0, 0, 2500 * time.Millisecond}).Draw(r, "leaves"),
		left:   money.Nanos(rapid.IntRange(1, 4).Draw(r, "money")) * price,
	}
	if p.length = int64(len(p.body)); p.body != "" && rapid.Bool().Draw(r, "chunked") {
		p.length = -1
	}
	if rapid.Bool().Draw(r, "retries") {
		p.retry = &routing.Retry{
			Attempts: rapid.IntRange(1, 3).Draw(r, "attempts"), Statuses: []int{429, 503}, AnyMethod: rapid.Bool().Draw(r, "any"),
			MaxBody: 10, Backoff: 10 * time.Millisecond,
		}
	}
	if rapid.Bool().Draw(r, "hedges") {
		p.hedge = &routing.Hedge{After: time.Second, AnyMethod: rapid.Bool().Draw(r, "hedges any")}
	}
	return p
}

// check serves the request and says what is wrong about it.
func (p *resending) check(t *testing.T) string {
	t.Helper()
	s, u := newTries(t, p.hosts, func(e *routing.Endpoint) { e.Retry, e.Hedge, e.Total = p.retry, p.hedge, p.total }, p.steps...)
	s.money.left = p.left
	var headers []Header
	if p.keyed {
		headers = append(headers, Header{"Idempotency-Key", "1"})
	}
	ctx, leave := context.WithCancelCause(t.Context())
	defer leave(nil)
	if p.leaves > 0 {
		defer time.AfterFunc(p.leaves, func() { leave(ErrCallerGone) }).Stop()
	}
	out := &answers{}
	s.callInto(ctx, out, p.method, p.body, p.length, headers...)

	retries := 0
	if p.retry != nil {
		retries = p.retry.Attempts
	}
	// Each time all targets may turn out to be away, each on a connection that was closed as well.
	most := (retries + 1) * (p.hosts*2 + 1)
	if p.hedge != nil {
		most *= 2
	}
	repeats := p.retry != nil && (p.method != "POST" && p.method != "PATCH" || p.retry.AnyMethod || p.keyed)
	hedges := p.hedge != nil && (p.hedge.AnyMethod || p.method == "GET" || p.method == "HEAD")
	switch {
	case out.begins > 1 || out.begins == 0 && !(out.aborted && p.leaves > 0):
		return fmt.Sprintf("%d answers, aborted %v", out.begins, out.aborted)
	case u.open != 0:
		return fmt.Sprintf("%d answers are open", u.open)
	case s.money.spent > price:
		return fmt.Sprintf("charged %s", s.money.spent)
	case len(u.tried) > most:
		return fmt.Sprintf("%d attempts", len(u.tried))
	case !repeats && !hedges && u.sent > 1:
		return fmt.Sprintf("%s reached targets %d times: %q", p.method, u.sent, u.tried)
	case p.retry != nil && len(p.body) > 10 && u.touched > 1:
		return fmt.Sprintf("a body that is not kept was read by %d attempts", u.touched)
	case p.retry == nil && !hedges && u.touched > 1:
		return fmt.Sprintf("a body was read by %d attempts", u.touched)
	default:
		return ""
	}
}

func drawStep(r *rapid.T) step {
	s := step{
		after:   rapid.SampledFrom([]time.Duration{0, 0, 500 * time.Millisecond, 3 * time.Second}).Draw(r, "after"),
		reads:   rapid.SampledFrom([]int{0, 2, -1}).Draw(r, "reads"),
		interim: rapid.Bool().Draw(r, "interim"),
	}
	switch rapid.IntRange(0, 2).Draw(r, "kind") {
	case 0:
		s.status = rapid.SampledFrom([]int{200, 404, 429, 500, 503}).Draw(r, "status")
		s.breaks = rapid.IntRange(0, 3).Draw(r, "breaks") == 0
		if s.status >= 429 && rapid.Bool().Draw(r, "says when") {
			s.headers = []Header{{"Retry-After", rapid.SampledFrom([]string{"1", "2", "5"}).Draw(r, "when")}}
		}
	case 1:
		s.fails, s.sent = rapid.SampledFrom([]Failure{FailTimeout, FailAnswer}).Draw(r, "failure"), true
	default:
		s.fails, s.reads = rapid.SampledFrom([]Failure{FailConnect, FailTLS, FailAnswer, FailRefused}).Draw(r, "no connection"), 0
	}
	return s
}

// answers counts those that begin.
type answers struct {
	got

	begins int
}

func (a *answers) Begin(status int, headers []Header, length int64) {
	a.begins++
	a.got.Begin(status, headers, length)
}
