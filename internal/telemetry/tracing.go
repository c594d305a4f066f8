package telemetry

import (
	"context"
	"fmt"
	"net/url"
	"strings"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/noop"
)

// Tracing makes a provider that exports over OTLP/HTTP to the collector in
// OTEL_EXPORTER_OTLP_TRACES_ENDPOINT or OTEL_EXPORTER_OTLP_ENDPOINT. Where
// neither is set, spans cost nothing and go nowhere. The sampler follows
// OTEL_TRACES_SAMPLER. shutdown flushes; it is never nil.
//
// It does not connect: a collector that is away delays nothing and costs the
// spans of that time only.
func Tracing(ctx context.Context, serviceName, version string, getenv func(string) string) (provider trace.TracerProvider, shutdown func(context.Context) error, err error) {
	nothing := func(context.Context) error { return nil }
	endpoint, err := tracesEndpoint(getenv)
	if err != nil {
		return noop.NewTracerProvider(), nothing, err
	}
	if endpoint == "" {
		return noop.NewTracerProvider(), nothing, nil
	}
	headers, err := otlpHeaders(getenv)
	if err != nil {
		return noop.NewTracerProvider(), nothing, err
	}
	exporter, err := otlptracehttp.New(ctx,
		otlptracehttp.WithEndpointURL(endpoint), otlptracehttp.WithHeaders(headers))
	if err != nil {
		return noop.NewTracerProvider(), nothing, fmt.Errorf("trace exporter: %w", err)
	}
	tp := sdktrace.NewTracerProvider(
		sdktrace.WithBatcher(exporter),
		sdktrace.WithResource(resource.NewSchemaless(
			attribute.String("service.name", serviceName),
			attribute.String("service.version", version),
		)),
	)
	return tp, tp.Shutdown, nil
}

// tracesEndpoint follows the specification: the general endpoint is a base to
// which the signal's path is added, the one for traces is used as it is.
func tracesEndpoint(getenv func(string) string) (string, error) {
	name, path := "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", ""
	if getenv(name) == "" {
		name, path = "OTEL_EXPORTER_OTLP_ENDPOINT", "v1/traces"
	}
	if getenv(name) == "" {
		return "", nil
	}
	u, err := url.Parse(getenv(name))
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return "", fmt.Errorf("%s is not an http(s) URL", name)
	}
	if path != "" {
		u = u.JoinPath(path)
	}
	return u.String(), nil
}

// otlpHeaders reads "name=value,name=value" with percent-encoded values.
func otlpHeaders(getenv func(string) string) (map[string]string, error) {
	headers := map[string]string{}
	for _, name := range []string{"OTEL_EXPORTER_OTLP_HEADERS", "OTEL_EXPORTER_OTLP_TRACES_HEADERS"} {
		for pair := range strings.SplitSeq(getenv(name), ",") {
			if strings.TrimSpace(pair) == "" {
				continue
			}
			k, v, ok := strings.Cut(pair, "=")
			value, err := url.PathUnescape(strings.TrimSpace(v))
			if !ok || err != nil {
				// The text stays out of it: it usually holds a token.
				return nil, fmt.Errorf("%s is not a list of name=value", name)
			}
			headers[strings.TrimSpace(k)] = value
		}
	}
	return headers, nil
}
