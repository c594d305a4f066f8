package proxy

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/protobuf/encoding/prototext"

	"tollgate/edge/adapter"
	"tollgate/edge/routing"
	controlv1 "tollgate/gen/tollgate/control/v1"
	eventv1 "tollgate/gen/tollgate/event/v1"
	"tollgate/internal/money"
)

// faultyAdapter fails by a bug: when it is asked, or in the middle of a stream.
type faultyAdapter struct {
	scriptedAdapter
	asked bool
}

func (f *faultyAdapter) ForClient(ctx context.Context, a *routing.Adapter, r *AdapterRequest, call *adapter.Call) (AdapterExchange, error) {
	if f.asked {
		panic("a bug in an adapter")
	}
	x, err := f.scriptedAdapter.ForClient(ctx, a, r, call)
	return &faultyExchange{x}, err
}

type faultyExchange struct{ AdapterExchange }

func (x *faultyExchange) Begin(ctx context.Context, a *AdapterAnswer) (AdapterStream, error) {
	s, err := x.AdapterExchange.Begin(ctx, a)
	return &faultyStream{s}, err
}

type faultyStream struct{ AdapterStream }

func (s *faultyStream) Next([]byte, []byte) ([]byte, error) { panic("a bug in an adapter") }
func (s *faultyStream) Ping(dst []byte) []byte              { return append(dst, "ping"...) }

func clientsAdapter(e *eventv1.RouteEndpoint, _ *eventv1.RouteDeployment) { e.Models.Adapter = "own" }

// Guarantee: a question what would become of a request never ends an edge, whatever fails; nothing stays held, and the answer says so.
func TestExplainSurvivesBugs(t *testing.T) {
	t.Parallel()
	b := adapted(t, &scriptedAdapter{}, nil, clientsAdapter)
	b.gateway.d.Adapters = &faultyAdapter{asked: true}
	got := b.explained("POST", "/x/any", "say hi")
	if r := got.GetRefusal(); got.GetAdmitted() || r.GetCode() != "internal_error" || r.GetHint() == "" || got.GetEndpoint() != "x" {
		t.Errorf("%s", prototext.Format(got))
	}
	if b.money.open != 0 || b.gateway.room.used.Load() != 0 {
		t.Errorf("%d holds, %d bytes kept", b.money.open, b.gateway.room.used.Load())
	}
}

// Guarantee: what fails by a bug in the middle of a translated stream breaks that off, is settled, and writes nothing into the answer
// later, which may be somebody else's by then.
func TestBugInTranslatedStream(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := adapted(t, &scriptedAdapter{}, vendorsOfTest{"openai": streams(nil, chatStream()...)}, clientsAdapter)
		b.gateway.d.Adapters = &faultyAdapter{}
		out := b.ask(context.Background(), &got{}, "POST", "/", "say hi")
		before := out.body.String()
		time.Sleep(time.Minute)
		if !out.aborted || out.body.String() != before {
			t.Errorf("aborted %v, got %q and then %q", out.aborted, before, out.body.String())
		}
	})
}

// Guarantee: answers that are made for nothing are never those of a model: a deployment with an adapter counts no tokens by way of it,
// whatever else it is said to understand.
func TestAdaptersCountNothing(t *testing.T) {
	t.Parallel()
	b := adapted(t, &scriptedAdapter{}, vendorsOfTest{"openai": says(200, chatAnswer)}, func(_ *eventv1.RouteEndpoint, d *eventv1.RouteDeployment) {
		d.Schemas, d.Adapter = []controlv1.Schema{schemaMessages}, "own"
	})
	if out := b.ask(context.Background(), &got{}, "POST", "/messages/count_tokens", hi); out.status != 404 || len(b.sent) != 0 {
		t.Errorf("got %d %s, sent %v", out.status, out.body.String(), b.sent)
	}
}

// Guarantee: a model's name that every event of an answer would repeat is refused if it is long, before anything is held.
func TestLongNamesOfModels(t *testing.T) {
	t.Parallel()
	for n, status := range map[int]int{900: 200, 1 << 20: 400} {
		b := newModels(t, vendorsOfTest{"openai": says(200, chatAnswer)}, []*eventv1.RouteModel{modelOfTest("*", deployment(t, "openai", "gpt-4o", schemaChat))})
		out := b.ask(context.Background(), &got{}, "POST", "/messages", strings.Replace(hi, "claude", strings.Repeat("x", n), 1))
		if out.status != status || status != 200 && (len(b.spool.order) != 0 || out.body.Len() > 4<<10) {
			t.Errorf("%d: got %d %.200s", n, out.status, out.body.String())
		}
	}
}

// Guarantee: who asks for more than can be counted does not have less held for it than who asks for much: neither is sent where no
// budget has that.
func TestNumbersAboveAllCounts(t *testing.T) {
	t.Parallel()
	for _, most := range []string{"50000000", "9223372036854775807", "99999999999999999999", "1e999"} {
		for _, schema := range []controlv1.Schema{schemaChat, schemaMessages} {
			for _, path := range []string{"/messages", "/chat/completions"} {
				b := newModels(t, vendorsOfTest{"v": says(200, chatAnswer)}, []*eventv1.RouteModel{modelOfTest("claude", deployment(t, "v", "real", schema))})
				b.money.left = 10 * money.Dollar
				out := b.ask(context.Background(), &got{}, "POST", path, strings.Replace(hi, "50", most, 1))
				if out.status != 402 && out.status != 400 || len(b.sent) != 0 || len(b.spool.order) != 0 {
					t.Errorf("%s of %s to %s: got %d, sent %v", most, path, schema, out.status, b.sent)
				}
			}
		}
	}
}

// Guarantee: a vendor that repeats the gateway's credential in an error, whole or in a stream, does not show it to callers of another
// schema; an error without it keeps its words.
func TestCredentialsAreNotEchoed(t *testing.T) {
	t.Parallel()
	for name, vendor := range map[string]upstreamFunc{
		"in an error":  says(400, `{"error":{"message":"bad header a-from-env"}}`),
		"as its field": says(422, `{"error":{"message":"bad header","param":"from-env"}}`),
		"as text":      says(500, "Authorization: Bearer from-env"),
		"in a stream":  streams(nil, chatStream()[0], `data: {"error":{"message":"key=from-env is over"}}`+"\n\n"),
	} {
		for _, secret := range []string{"Bearer ${env:VENDOR}", "a-${env:VENDOR}", "${env:VENDOR}"} {
			d := deployment(t, "openai", "gpt-4o", schemaChat)
			d.Upstream.Headers = []*eventv1.RouteHeader{{Name: "Authorization", Value: secret}}
			b := newModels(t, vendorsOfTest{"openai": vendor}, []*eventv1.RouteModel{modelOfTest("claude", d)})
			out := b.ask(context.Background(), &got{}, "POST", "/messages", hiStream)
			if text := out.body.String(); strings.Contains(text, "from-env") || !strings.Contains(text, "repeats the gateway's credential") || get(b.sent[0].headers, "Authorization") == secret {
				t.Errorf("%s: got %d %s", name, out.status, text)
			}
		}
	}
	d := deployment(t, "openai", "gpt-4o", schemaChat)
	d.Upstream.Headers = []*eventv1.RouteHeader{{Name: "Authorization", Value: "Bearer ${env:VENDOR}"}, {Name: "X-Version", Value: "2023-06-01"}}
	b := newModels(t, vendorsOfTest{"openai": says(400, `{"error":{"message":"no Bearer of 2023-06-01"}}`)}, []*eventv1.RouteModel{modelOfTest("claude", d)})
	if out := b.ask(context.Background(), &got{}, "POST", "/messages", hi); !strings.Contains(out.body.String(), "no Bearer of 2023-06-01") {
		t.Errorf("got %s", out.body.String())
	}
}
