package proxy

import (
	"context"
	"strings"
	"testing"

	"github.com/tidwall/gjson"

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
