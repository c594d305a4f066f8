package proxy

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/tidwall/gjson"

	eventv1 "tollgate/gen/tollgate/event/v1"
	"tollgate/internal/money"
)

// pricesOfTest are the kinds of prices that a deployment may have.
var pricesOfTest = []string{"metered", "metered", "free", "flat", "usage"}

// flatPrice is that of a request at a deployment with a price of that kind.
const flatPrice = 3_000_000

// costing gives a deployment a price of another kind.
func costing(d *eventv1.RouteDeployment, kind string) *eventv1.RouteDeployment {
	u := d.GetUpstream()
	if kind != "metered" {
		u.Metered = nil
	}
	switch kind {
	case "free":
		u.Free = true
	case "flat":
		u.PriceNanos = flatPrice
	case "usage":
		u.Usage = &eventv1.UsagePrice{BaseNanos: 11, HoldNanos: 1 << 20, Rates: []*eventv1.UsageRate{
			rate(requestBytes, 7_000_000_000), rate(responseBytes, 9_000_000_000),
		}}
	}
	return d
}

// Guarantee: tokens are counted for nothing, whatever the price of the deployment that counts them is, also for a caller who does not
// wait for the count.
func TestTokensAreCountedForNothing(t *testing.T) {
	t.Parallel()
	for _, kind := range pricesOfTest {
		ctx, leave := context.WithCancelCause(t.Context())
		gone := func(context.Context, *Attempt) (*Answer, error) {
			leave(ErrCallerGone)
			return nil, &AttemptError{Failure: FailCanceled, Text: "x", Sent: true, Whole: true, Err: context.Canceled}
		}
		vendors := vendorsOfTest{"a": says(200, `{"input_tokens":3}`)}
		b := newModels(t, vendors, []*eventv1.RouteModel{modelOfTest("claude", costing(deployment(t, "a", "m", schemaMessages), kind))})
		out := b.ask(ctx, &got{}, "POST", "/messages/count_tokens", hi)
		if out.status != 200 || get(out.headers, HeaderCost) != "0.00" || b.money.spent != 0 {
			t.Errorf("%s: got %d %v %s, spent %s", kind, out.status, out.headers, out.body.String(), b.money.spent)
		}
		vendors["a"] = gone
		if b.ask(ctx, &got{}, "POST", "/messages/count_tokens", hi); b.money.spent != 0 {
			t.Errorf("%s: a caller who left was charged %s", kind, b.money.spent)
		}
	}
}

// Guarantee: behind a deployment that is free, one that is not is covered before it is asked, and charged at its own price.
func TestPaidBehindFree(t *testing.T) {
	t.Parallel()
	for kind, cost := range map[string]money.Nanos{"metered": chatCost, "flat": flatPrice} {
		vendors := vendorsOfTest{"a": says(503, `{}`), "b": says(200, chatAnswer)}
		free, paid := costing(deployment(t, "a", "m", schemaChat), "free"), costing(deployment(t, "b", "n", schemaChat), kind)
		paid.Upstream.PriceVersion = 9
		b := newModels(t, vendors, []*eventv1.RouteModel{modelOfTest("claude", free, paid)})
		out := b.ask(t.Context(), &got{}, "POST", "/messages", hi)
		intent, _, end := (&stages{bench: b.bench}).lastIntent()
		if out.status != 200 || get(out.headers, HeaderCost) != cost.String() || b.money.spent != cost || end.Cost != cost || len(b.sent) != 2 {
			t.Errorf("%s: got %d %v, spent %s", kind, out.status, out.headers, b.money.spent)
		}
		if intent.Amount < cost || intent.PriceVersion != 9 || intent.Deployment != "claude/b" {
			t.Errorf("%s: intent %+v", kind, intent)
		}
		vendors["a"] = says(200, chatAnswer)
		if out = b.ask(t.Context(), &got{}, "POST", "/messages", hi); get(out.headers, HeaderCost) != "0.00" || b.money.spent != cost {
			t.Errorf("%s: the free one costs: %v, spent %s", kind, out.headers, b.money.spent)
		}
	}
}

// Guarantee: a stream that came to more than there was costs no more than was held, also if its caller left at that moment.
func TestCutWhileTheCallerLeaves(t *testing.T) {
	t.Parallel()
	stream := strings.Replace(messagesStream, `"output_tokens":41`, `"output_tokens":9000`, 1)
	// All of it comes in one piece: what could be paid of it is written, which fails.
	for _, path := range []string{"/messages", "/chat/completions"} {
		b := newModels(t, vendorsOfTest{"a": streams(nil, stream)}, []*eventv1.RouteModel{modelOfTest("claude", deployment(t, "a", "m", schemaMessages))})
		b.money.left = 10_000_000
		b.ask(t.Context(), &got{fails: errors.New("gone")}, "POST", path, hiStream)
		if _, _, end := (&stages{bench: b.bench}).lastIntent(); end.Cost > 10_000_000 || b.money.left < 0 {
			t.Errorf("%s: settled %+v, %s left", path, end, b.money.left)
		}
	}
}

// Guarantee: an error about an answer names the deployment that gave it, also if others are sent the same.
func TestErrorsNameWhoServed(t *testing.T) {
	t.Parallel()
	for _, names := range [][2]string{{"m", "m"}, {"m", "n"}} {
		for said, bad := range map[string]upstreamFunc{
			"whole":  says(200, `{"id":"x","object":"chat.completion","choices":[]}`),
			"stream": streams(nil, chatStream()[:2]...),
			"broken": streams(errors.New("reset"), chatStream()[:2]...),
		} {
			b := newModels(t, vendorsOfTest{"open": says(503, `{}`), "openai": bad},
				[]*eventv1.RouteModel{modelOfTest("claude", deployment(t, "open", names[0], schemaChat), deployment(t, "openai", names[1], schemaChat))})
			out := b.ask(t.Context(), &got{}, "POST", "/responses", `{"model":"claude","input":"hi","stream":true}`)
			text := out.body.String()
			if len(b.sent) != 2 || strings.Count(text, "claude/open") != strings.Count(text, "claude/openai") || strings.Contains(text, "claude/openaiai") || !strings.Contains(text, "claude/openai") {
				t.Errorf("%s: %s", said, text)
			}
		}
	}
}

// Guarantee: what a model is asked is sent again only where that was asked for, whatever the method is that a user's adapter takes it
// with.
func TestMethodOfAnAdaptersCaller(t *testing.T) {
	t.Parallel()
	b := adapted(t, &scriptedAdapter{}, vendorsOfTest{"openai": says(503, `{}`)}, func(e *eventv1.RouteEndpoint, d *eventv1.RouteDeployment) { e.Models.Adapter = "own" })
	table := b.routes.Current()
	if m, _, ok := table.Model("claude"); !ok || m.Upstream.Retry != nil {
		t.Fatal("the model of the test retries already")
	}
	d := deployment(t, "openai", "gpt-4o", schemaChat)
	m := modelOfTest("claude", d)
	m.Retry = &eventv1.RetryPolicy{Attempts: 2, Statuses: []uint32{503}, BackoffMs: 1}
	b.serve(&eventv1.RouteSnapshot{
		Endpoints: []*eventv1.RouteEndpoint{{Id: "ep_x", Name: "x", Path: "/x", Models: &eventv1.RouteModels{Adapter: "own"}}}, Models: []*eventv1.RouteModel{m},
		Adapters: []*eventv1.RouteAdapter{{Name: "own", Upstream: &eventv1.RouteEndpoint{Id: "adp_1", Name: "own", Path: "/", Targets: []string{"http://adapter.example"}}}},
	})
	if b.ask(t.Context(), &got{}, "PUT", "/any", "say hi"); len(b.sent) != 1 {
		t.Errorf("sent %d times", len(b.sent))
	}
}

// Guarantee: a caller's adapter does not see what was asked of the vendor for the meter's sake.
func TestAdapterSeesNoInjection(t *testing.T) {
	t.Parallel()
	b := adapted(t, &scriptedAdapter{}, vendorsOfTest{"openai": streams(nil, chatStream()...)}, func(e *eventv1.RouteEndpoint, _ *eventv1.RouteDeployment) { e.Models.Adapter = "own" })
	out := b.ask(t.Context(), &got{}, "POST", "/", `say hi"}],"stream":true,"x":[{"y":"`)
	if !gjson.Get(b.sent[0].body, "stream_options.include_usage").Bool() || b.money.spent != chatCost {
		t.Fatalf("sent %s, spent %s", b.sent[0].body, b.money.spent)
	}
	if text := out.body.String(); strings.Contains(text, "usage") || !strings.Contains(text, "[DONE]") || !strings.HasSuffix(text, "end") {
		t.Errorf("got %s", text)
	}
}

// Guarantee: the price that is explained is that of the deployment that would be asked first, and the reason for what is held that of
// the dearest one.
func TestExplainedPriceIsOfWhoIsAsked(t *testing.T) {
	t.Parallel()
	first, second := costing(deployment(t, "flat", "n", schemaChat), "flat"), deployment(t, "metered", "m", schemaChat)
	for i, d := range []*eventv1.RouteDeployment{second, first} {
		d.Upstream.RouteTargets = []*eventv1.RouteTarget{{Url: d.GetUpstream().GetTargets()[0], Priority: uint32(i)}}
	}
	m := modelOfTest("claude", first, second)
	m.Balance = eventv1.BalancePolicy_BALANCE_POLICY_WEIGHTED
	b := newModels(t, nil, []*eventv1.RouteModel{m})
	got := b.explained("POST", "/x/messages", hi)
	if got.GetDeployment() != "claude/metered" || got.GetMeter() != "chat" || got.GetPrice() != "by what is counted in requests and answers" || got.GetModel() != "m" {
		t.Errorf("got %v", got)
	}
	if got.GetHoldReason() != "" {
		t.Errorf("a flat price is held because %s", got.GetHoldReason())
	}
}

// Guarantee: a deployment that does not take what is set for the meter gets the request without it, and another deployment of the model
// goes on getting it; both are charged what they counted.
func TestRefusedInjectionIsOfOneDeployment(t *testing.T) {
	t.Parallel()
	var refused atomic.Int64
	picky := func(ctx context.Context, a *Attempt) (*Answer, error) {
		if refused.Add(1) == 1 {
			return says(400, `{"error":{"message":"Unrecognized request argument supplied: stream_options"}}`)(ctx, a)
		}
		return streams(nil, chatStream()...)(ctx, a)
	}
	vendors := vendorsOfTest{"a": picky, "b": streams(nil, chatStream()...)}
	b := newModels(t, vendors, []*eventv1.RouteModel{modelOfTest("claude", deployment(t, "a", "m", schemaChat), deployment(t, "b", "n", schemaChat))})
	ask := func() *got { return b.ask(t.Context(), &got{}, "POST", "/chat/completions", hiStream) }
	ask()
	vendors["a"] = says(503, `{}`)
	ask()
	var asked []string
	for _, s := range b.sent {
		asked = append(asked, s.host+" "+gjson.Get(s.body, "stream_options.include_usage").String())
	}
	if want := []string{"a true", "a ", "a ", "b true"}; !slices.Equal(asked, want) {
		t.Errorf("asked %q", asked)
	}
	if b.money.spent != 2*chatCost {
		t.Errorf("spent %s", b.money.spent)
	}
}

// Guarantee: what a request for a model costs that was under way when its edge died is what the endpoint says that serves it; what it
// has cost so far is on disk where that is charged.
func TestAbandonedRequestsForModels(t *testing.T) {
	t.Parallel()
	for policy, noted := range map[eventv1.AbandonedPolicy]bool{
		eventv1.AbandonedPolicy_ABANDONED_POLICY_METERED: true, eventv1.AbandonedPolicy_ABANDONED_POLICY_NOTHING: false,
	} {
		for _, kind := range pricesOfTest {
			b := newModels(t, vendorsOfTest{"a": streams(nil, strings.SplitAfter(messagesStream, "\n\n")...)},
				[]*eventv1.RouteModel{modelOfTest("claude", costing(deployment(t, "a", "m", schemaMessages), kind))},
				func(o *options) { o.endpoints[0].Abandoned = policy })
			b.ask(t.Context(), &got{}, "POST", "/chat/completions", hiStream)
			intent, partials, _ := (&stages{bench: b.bench}).lastIntent()
			if intent.Abandoned != policy || noted && kind != "free" && len(partials) == 0 || !noted && kind == "flat" && len(partials) > 0 {
				t.Errorf("%v, %s: intent %+v, %d partial records", policy, kind, intent, len(partials))
			}
		}
	}
}
