package proxy

import (
	"context"
	"fmt"
	"io"
	"strings"
	"testing"

	eventv1 "tollgate/gen/tollgate/event/v1"
)

// Requests of 2 KB and an answer of 1 KB.
var (
	askedOfChat = `{"model":"claude","max_tokens":50,"messages":[{"role":"system","content":"` + strings.Repeat("be kind ", 240) + `"},{"role":"user","content":"Hi"}]}`
	askedOf     = `{"model":"claude","max_tokens":50,"system":"` + strings.Repeat("be kind ", 240) + `","messages":[{"role":"user","content":"Hi"}]}`
	saidByChat  = strings.Replace(chatAnswer, "Hello there", strings.Repeat("Hello there ", 70), 1)
)

// BenchmarkModel is an exchange with a model, without connections and disk: untranslated, translated, and with deployments of several
// schemas, of which each is made ready. Beside them is the same at an ordinary endpoint, with the same price.
func BenchmarkModel(b *testing.B) {
	chatOnly := func(b *testing.B) []*eventv1.RouteDeployment {
		return []*eventv1.RouteDeployment{deployment(b, "one", "gpt", schemaChat)}
	}
	for _, c := range []struct {
		name, path, body string
		deployments      func(b *testing.B) []*eventv1.RouteDeployment
	}{
		{"ordinary", "/v1/chat/completions", askedOfChat, nil},
		{"untranslated", "/v1/chat/completions", askedOfChat, chatOnly},
		{"translated", "/v1/messages", askedOf, chatOnly},
		{"four-alike", "/v1/messages", askedOf, func(b *testing.B) (all []*eventv1.RouteDeployment) {
			for i := range 4 {
				all = append(all, deployment(b, fmt.Sprint("d", i), "gpt", schemaChat))
			}
			return all
		}},
		{"four-models", "/v1/messages", askedOf, func(b *testing.B) (all []*eventv1.RouteDeployment) {
			for i := range 4 {
				all = append(all, deployment(b, fmt.Sprint("d", i), fmt.Sprint("gpt-", i), schemaChat))
			}
			return all
		}},
	} {
		b.Run(c.name, func(b *testing.B) { benchmarkModel(b, c.path, c.body, c.deployments) })
	}
}

func benchmarkModel(b *testing.B, path, body string, deployments func(b *testing.B) []*eventv1.RouteDeployment) {
	b.Helper()
	var models []*eventv1.RouteModel
	var change []func(*options)
	if deployments == nil {
		price := deployment(b, "one", "gpt", schemaChat).Upstream.Metered
		change = append(change, func(o *options) {
			o.endpoints = []*eventv1.RouteEndpoint{{Id: "ep_x", Name: "x", Path: "/x", Targets: []string{"https://one.example"}, Metered: price}}
		})
	} else {
		models = append(models, modelOfTest("claude", deployments(b)...))
	}
	m := newModels(b, nil, models, change...)
	m.gateway.d.Spool = free{}
	m.gateway.d.Upstream = upstreamFunc(func(context.Context, *Attempt) (*Answer, error) {
		return &Answer{Status: 200, Headers: []Header{jsonType}, Length: int64(len(saidByChat)), Body: io.NopCloser(strings.NewReader(saidByChat))}, nil
	})
	status := 0
	b.ReportAllocs()
	for b.Loop() {
		m.gateway.Serve(b.Context(), &Exchange{
			Method: "POST", Target: "/x" + path, Length: int64(len(body)), Out: told{status: &status}, Body: sentBody{strings.NewReader(body)},
			Headers: []Header{{"Authorization", "Bearer " + testKey}, jsonType},
		})
	}
	if status != 200 {
		b.Fatalf("it was answered with status %d", status)
	}
}

// told is a caller who reads nothing but the status.
type told struct {
	unread

	status *int
}

func (t told) Begin(status int, _ []Header, _ int64) { *t.status = status }
