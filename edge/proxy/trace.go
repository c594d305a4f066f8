package proxy

import (
	"context"
	"log/slog"
	"slices"
	"strings"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"

	"tollgate/internal/id"
)

// levelRequest is the level of the line that each request logs.
const levelRequest = slog.LevelInfo

// known is a method for logs and traces, where a caller must not be able to write what it likes.
func known(method string) string {
	if slices.Contains(common, method) || tunnels[method] {
		return method
	}
	return "_OTHER"
}

// carrier lets the propagator read and change a list of headers.
type carrier struct{ headers *[]Header }

func (c carrier) Get(key string) string { return get(*c.headers, key) }

func (c carrier) Set(key, value string) {
	*c.headers = slices.DeleteFunc(*c.headers, func(h Header) bool { return strings.EqualFold(h.Name, key) })
	*c.headers = append(*c.headers, Header{key, value})
}

func (c carrier) Keys() []string {
	out := make([]string, 0, len(*c.headers))
	for _, h := range *c.headers {
		out = append(out, h.Name)
	}
	return out
}

var propagator propagation.TraceContext

// startSpan begins the span of the exchange as a child of the caller's. Without a tracer there is
// none, and nothing is allocated for it.
func (c *call) startSpan(ctx context.Context) context.Context {
	if c.g.d.Tracer == nil {
		return ctx
	}
	ctx = propagator.Extract(ctx, carrier{&c.x.Headers})
	ctx, span := c.g.d.Tracer.Start(ctx, known(c.x.Method), trace.WithSpanKind(trace.SpanKindServer)) //nolint:spancheck // endSpan ends it
	c.span = span
	return ctx //nolint:spancheck // see above
}

func (c *call) endSpan() {
	if c.span == nil {
		return
	}
	if c.span.IsRecording() {
		c.span.SetAttributes(
			attribute.String("http.request.method", known(c.x.Method)),
			attribute.Int("http.response.status_code", c.status),
			attribute.String("tollgate.request_id", c.id.Text(id.Request)),
			attribute.Int64("tollgate.cost_nanos", int64(c.spend.charged)),
			attribute.Int64("tollgate.attempts", int64(c.spend.attempt)),
		)
		if c.endpoint != nil {
			c.span.SetName(known(c.x.Method) + " " + c.endpoint.Path)
			c.span.SetAttributes(attribute.String("http.route", c.endpoint.Path), attribute.String("tollgate.endpoint", c.endpoint.Name))
		}
		if c.key != nil {
			c.span.SetAttributes(attribute.String("tollgate.key_id", c.key.ID))
		}
		if c.status >= 500 {
			c.span.SetStatus(codes.Error, string(c.code))
		}
	}
	c.span.End()
}

// startSpan begins the span of one attempt, which lasts until the target's headers, and adds the trace
// context to what the target gets, if the endpoint says so.
func (t *try) startSpan(ctx context.Context) context.Context {
	c := t.c
	if c.span == nil {
		return ctx
	}
	ctx, t.span = c.g.d.Tracer.Start(ctx, known(c.x.Method), trace.WithSpanKind(trace.SpanKindClient)) //nolint:spancheck // endSpan ends it
	if c.endpoint.ForwardTrace && t.span.SpanContext().IsValid() {
		t.request.Headers = slices.Clone(t.request.Headers)
		propagator.Inject(ctx, carrier{&t.request.Headers})
	}
	return ctx
}

func (t *try) endSpan() {
	if t.span == nil {
		return
	}
	if t.span.IsRecording() {
		t.span.SetAttributes(
			attribute.String("http.request.method", known(t.c.x.Method)),
			attribute.String("server.address", t.choice.Target.Host),
			attribute.Int64("tollgate.attempt", int64(t.number)),
			attribute.String("tollgate.endpoint", t.c.endpoint.Name),
		)
		if t.answer != nil {
			t.span.SetAttributes(attribute.Int("http.response.status_code", t.answer.Status))
		}
		if t.err != nil {
			t.span.SetStatus(codes.Error, "no answer")
		}
	}
	t.span.End()
}
