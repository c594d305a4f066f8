package proxy

import (
	"strings"
	"testing"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
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
