package proxy

import (
	"context"
	"io"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	controlv1 "tollgate/gen/tollgate/control/v1"
	eventv1 "tollgate/gen/tollgate/event/v1"
	"tollgate/internal/money"
)

// vendorStep is how a vendor treats one request.
type vendorStep struct {
	after  time.Duration
	fails  Failure // 0: it answers
	status int
	stream bool
	cut    int // pieces of a stream that come; all if more than there are
	breaks bool
}

func drawVendorStep(r *rapid.T) vendorStep {
	s := vendorStep{
		after: rapid.SampledFrom([]time.Duration{0, 0, 2 * time.Second}).Draw(r, "after"), status: rapid.SampledFrom([]int{200, 200, 200, 400, 401, 429, 500, 503}).Draw(r, "status"),
		stream: rapid.Bool().Draw(r, "streams"), cut: rapid.IntRange(0, 8).Draw(r, "pieces"), breaks: rapid.IntRange(0, 3).Draw(r, "breaks") == 0,
	}
	if rapid.IntRange(0, 4).Draw(r, "no answer") == 0 {
		s.fails = rapid.SampledFrom([]Failure{FailConnect, FailAnswer, FailTimeout}).Draw(r, "failure")
	}
	return s
}

func (s vendorStep) answer(ctx context.Context, whole string, pieces []string) (*Answer, error) {
	select {
	case <-time.After(s.after):
	case <-ctx.Done():
		return nil, &AttemptError{Failure: FailCanceled, Text: "x", Sent: true, Whole: true, Err: ctx.Err()}
	}
	if s.fails != 0 {
		return nil, &AttemptError{Failure: s.fails, Text: "x", Sent: s.fails == FailTimeout, Whole: s.fails == FailTimeout, Err: io.ErrUnexpectedEOF}
	}
	of := &script{pieces: []string{whole}}
	headers, length := []Header{jsonType}, int64(len(whole))
	if s.stream && s.status == 200 {
		headers, length = []Header{{"Content-Type", "text/event-stream"}}, -1
		of.pieces = pieces[:min(s.cut, len(pieces))]
	}
	if s.breaks {
		of.breaks = errBroken
	}
	of.between = func(int) { <-time.After(20 * time.Second) }
	return &Answer{Status: s.status, Headers: headers, Length: length, Body: &scriptBody{s: of}}, nil
}

// Guarantee: whatever vendors of whatever schemas do, whoever leaves and whatever money there is, a request for a model is answered at most
// once, each of its attempts is settled exactly once, what is charged is what was recorded and no more than there was, and all memory
// is given back.
func TestModelsSettleOnce(t *testing.T) {
	t.Parallel()
	schemasOf := []controlv1.Schema{schemaChat, schemaMessages}
	rapid.Check(t, func(r *rapid.T) {
		n := rapid.IntRange(1, 3).Draw(r, "deployments")
		speaks := rapid.SliceOfN(rapid.SampledFrom(schemasOf), n, n).Draw(r, "schemas")
		steps := rapid.SliceOfN(rapid.Custom(drawVendorStep), 1, 5).Draw(r, "steps")
		prices := rapid.SliceOfN(rapid.SampledFrom(pricesOfTest), n, n).Draw(r, "prices")
		asks := rapid.SampledFrom([]string{"/messages", "/chat/completions", "/messages/count_tokens"}).Draw(r, "client")
		body := rapid.SampledFrom([]string{hi, hiStream}).Draw(r, "body")
		left := rapid.SampledFrom([]money.Nanos{money.Dollar, money.Dollar / 200, 1000}).Draw(r, "money")
		leaves := rapid.SampledFrom([]time.Duration{0, 0, time.Second, 45 * time.Second}).Draw(r, "leaves")
		hedges := rapid.Bool().Draw(r, "hedges")
		retries := rapid.Bool().Draw(r, "retries")
		costly := rapid.Bool().Draw(r, "streams cost more than was to be expected")
		together := rapid.Bool().Draw(r, "streams come in one piece")
		deaf := rapid.IntRange(0, 3).Draw(r, "the caller takes nothing") == 0
		synctest.Test(t, func(t *testing.T) {
			var deployments []*eventv1.RouteDeployment
			vendors := vendorsOfTest{}
			var next atomic.Int64
			for i := range n {
				name := string(rune('a' + i))
				deployments = append(deployments, costing(deployment(t, name, "m-"+name, speaks[i]), prices[i]))
				whole, pieces := chatAnswer, chatStream()
				if speaks[i] == schemaMessages {
					whole, pieces = messagesAnswer, strings.SplitAfter(messagesStream, "\n\n")
				}
				if costly {
					for i := range pieces {
						pieces[i] = strings.NewReplacer(`"output_tokens":41`, `"output_tokens":9000`, `"completion_tokens":41`, `"completion_tokens":9000`).Replace(pieces[i])
					}
				}
				if together {
					pieces = []string{strings.Join(pieces, "")}
				}
				vendors[name] = func(ctx context.Context, _ *Attempt) (*Answer, error) {
					s := steps[int(next.Add(1)-1)%len(steps)]
					return s.answer(ctx, whole, pieces)
				}
			}
			m := modelOfTest("claude", deployments...)
			if !retries {
				m.Retry = nil
			}
			if hedges {
				m.Hedge = &eventv1.HedgePolicy{AfterMs: 1000, AnyMethod: true}
			}
			b := newModels(t, vendors, []*eventv1.RouteModel{m})
			b.money.left = left
			ctx, leave := context.WithCancelCause(t.Context())
			defer leave(nil)
			if leaves > 0 {
				defer time.AfterFunc(leaves, func() { leave(ErrCallerGone) }).Stop()
			}
			out := &answers{}
			if deaf {
				out.fails = errBroken
			}
			x := &Exchange{
				Method: "POST", Target: "/x" + asks, Length: int64(len(body)), Out: out, Body: sentBody{strings.NewReader(body)},
				Headers: []Header{{"Authorization", "Bearer " + testKey}, jsonType},
			}
			b.gateway.Serve(ctx, x)
			synctest.Wait()
			b.checkMoney()
			if out.begins > 1 || out.begins == 0 && !out.aborted {
				t.Errorf("%d answers, aborted %v", out.begins, out.aborted)
			}
			if used := b.gateway.room.used.Load(); used != 0 {
				t.Errorf("%d bytes of the room are gone", used)
			}
			if b.money.spent > left || b.money.left < 0 {
				t.Errorf("charged %s of %s", b.money.spent, left)
			}
			if b.money.spent > 0 && asks == "/messages/count_tokens" {
				t.Errorf("counting costs %s", b.money.spent)
			}
			if !out.aborted && strings.Contains(out.body.String(), "event: error") {
				t.Errorf("an error looks like an end: %s", out.body.String())
			}
			if in := b.gateway.InFlight(); in != 0 {
				t.Errorf("%d in flight", in)
			}
		})
		if t.Failed() {
			r.Fatalf("see above")
		}
	})
}
