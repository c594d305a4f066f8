package proxy

import (
	"fmt"
	"strings"
	"testing"

	"go.opentelemetry.io/otel/codes"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"
)

// Guarantee: a traced request has one span, with one below it for each attempt, as a child of the
// caller's; and the trace goes on to a target only where the endpoint says so.
func TestTrace(t *testing.T) {
	t.Parallel()
	const parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
	for name, forward := range map[string]bool{"forwarded": true, "kept": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			spans := tracetest.NewSpanRecorder()
			provider := sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(spans))
			b := newBench(t, func(o *options) {
				for _, e := range o.endpoints {
					e.ForwardTraceContext = forward
				}
			})
			b.gateway.d.Tracer = provider.Tracer("test")
			got := b.vendor.answer(okReply)
			c := b.dial()
			c.send("%s", auth(get1("/failover", "Traceparent: "+parent, "Tracestate: a=1")))
			c.answer("GET")
			v := receive(t, got, "request")
			b.settled()
			b.settled()
			// The span of the exchange ends after the answer; the next request on the connection
			// begins after that.
			c.send("%s", request("GET", "/-/healthz"))
			c.answer("GET")

			ended := spans.Ended()
			if len(ended) != 3 {
				t.Fatalf("%d spans ended", len(ended))
			}
			first, second, exchange := ended[0], ended[1], ended[2]
			if exchange.Name() != "GET /failover" || exchange.Parent().SpanID().String() != "b7ad6b7169203331" {
				t.Errorf("exchange %s below %s", exchange.Name(), exchange.Parent().SpanID())
			}
			for _, s := range []sdktrace.ReadOnlySpan{first, second} {
				if s.Parent().SpanID() != exchange.SpanContext().SpanID() {
					t.Errorf("attempt below %s", s.Parent().SpanID())
				}
			}
			want(t, exchange, "http.request.method=GET http.response.status_code=200 http.route=/failover tollgate.attempts=2 tollgate.cost_nanos=2000000000 tollgate.endpoint=failover")
			want(t, first, "http.request.method=GET tollgate.attempt=1 tollgate.endpoint=failover")
			want(t, second, "http.request.method=GET http.response.status_code=200 server.address="+b.vendor.addr+" tollgate.attempt=2 tollgate.endpoint=failover")
			if exchange.SpanKind() != trace.SpanKindServer || first.SpanKind() != trace.SpanKindClient || first.Status().Code != codes.Error {
				t.Errorf("kinds %s and %s, the first attempt %s", exchange.SpanKind(), first.SpanKind(), first.Status().Code)
			}
			for _, s := range ended {
				if text := fmt.Sprint(s.Name(), s.Attributes(), s.Events(), s.Status()); strings.Contains(text, testKey) || strings.Contains(text, vendorKey) {
					t.Errorf("a span holds a credential: %s", text)
				}
			}
			sent := all(v.headers, "Traceparent")
			switch {
			case !forward && len(sent)+len(all(v.headers, "Tracestate")) > 0:
				t.Errorf("the target got %q", v.headers)
			case forward && (len(sent) != 1 || !strings.Contains(sent[0], second.SpanContext().SpanID().String())):
				t.Errorf("the target got %q, want the span of the attempt %s", sent, second.SpanContext().SpanID())
			}
		})
	}
}

// want compares attributes, each name=value.
func want(t *testing.T, s sdktrace.ReadOnlySpan, list string) {
	t.Helper()
	got := map[string]bool{}
	for _, a := range s.Attributes() {
		got[string(a.Key)+"="+a.Value.String()] = true
	}
	for each := range strings.FieldsSeq(list) {
		if !got[each] {
			t.Errorf("span %s lacks %s: %v", s.Name(), each, got)
		}
	}
}
