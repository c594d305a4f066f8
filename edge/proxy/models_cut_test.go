package proxy

import (
	"context"
	"strings"
	"testing"

	"github.com/tidwall/gjson"

	controlv1 "tollgate/gen/tollgate/control/v1"
	eventv1 "tollgate/gen/tollgate/event/v1"
)

// Guarantee: a stream of the caller's own schema that can't be paid any more ends with an error in that schema.
func TestSameSchemaStreamIsCut(t *testing.T) {
	t.Parallel()
	stream := strings.SplitAfter(strings.Replace(messagesStream, `"output_tokens":1}`, `"output_tokens":9000}`, 1), "\n\n")
	b := newModels(t, vendorsOfTest{"anthropic": streams(nil, stream...)}, []*eventv1.RouteModel{modelOfTest("claude", deployment(t, "anthropic", "m", schemaMessages))})
	b.money.left = 10_000_000
	out := b.ask(context.Background(), &got{}, "POST", "/messages", hiStream)
	checkSchema(t, "anthropic-error", lastData(out.body.String()))
	if !out.aborted || gjson.Get(lastData(out.body.String()), "error.type").String() != "billing_error" {
		t.Errorf("got %s", out.body.String())
	}
	if _, _, end := (&stages{bench: b.bench}).lastIntent(); end.Outcome != outcomeCut || end.Cost > 10_000_000 {
		t.Errorf("settled %+v", end)
	}
}

// Guarantee: where one deployment's vendor counts tokens, none is asked that would only estimate.
func TestCountsGoBeforeEstimates(t *testing.T) {
	t.Parallel()
	guess, count := deployment(t, "guess", "m", schemaChat), deployment(t, "count", "m", schemaMessages)
	guess.Options = &controlv1.VendorOptions{CountTokens: controlv1.CountTokens_COUNT_TOKENS_ESTIMATE}
	b := newModels(t, vendorsOfTest{"count": says(200, `{"input_tokens":3}`)}, []*eventv1.RouteModel{modelOfTest("claude", guess, count)})
	out := b.ask(context.Background(), &got{}, "POST", "/messages/count_tokens", hi)
	if out.status != 200 || out.body.String() != `{"input_tokens":3}` || get(out.headers, HeaderModel) != "claude/count" {
		t.Errorf("got %d %s", out.status, out.body.String())
	}
}

// Guarantee: the twins of a deployment are sent what was made for it, and each of those that a price can't read is left out.
func TestTwinsAndUnpriced(t *testing.T) {
	t.Parallel()
	first, second := deployment(t, "a", "m", schemaChat), deployment(t, "b", "m", schemaChat)
	unpriced := deployment(t, "c", "m", schemaChat)
	unpriced.Upstream.Metered.Meters = unpriced.Upstream.GetMetered().GetMeters()[1:]
	b := newModels(t, vendorsOfTest{"a": says(503, "{}"), "b": says(503, "{}"), "c": says(200, chatAnswer)}, []*eventv1.RouteModel{modelOfTest("claude", first, second, unpriced)})
	out := b.ask(context.Background(), &got{}, "POST", "/messages", hi)
	if out.status != 529 || len(b.sent) != 2 || b.sent[0].body != b.sent[1].body || b.sent[0].host == b.sent[1].host {
		t.Errorf("got %d %s, sent %+v", out.status, out.body.String(), b.sent)
	}
	b = newModels(t, nil, []*eventv1.RouteModel{modelOfTest("claude", unpriced)})
	if out = b.ask(context.Background(), &got{}, "POST", "/messages", hi); out.status != 403 || get(out.headers, HeaderError) != "not_priced" {
		t.Errorf("got %d %s", out.status, out.body.String())
	}
}
