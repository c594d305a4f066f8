package proxy

import (
	"context"
	"fmt"
	"io"
	"runtime"
	"strings"
	"sync"
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
	for _, c := range []struct {
		name, path, body string
		vendors          []string // names of the model at the deployments' vendors; none for an ordinary endpoint
	}{
		{"ordinary", "/v1/chat/completions", askedOfChat, nil},
		{"untranslated", "/v1/chat/completions", askedOfChat, []string{"gpt"}},
		{"translated", "/v1/messages", askedOf, []string{"gpt"}},
		{"four-alike", "/v1/messages", askedOf, []string{"gpt", "gpt", "gpt", "gpt"}},
		{"four-names", "/v1/messages", askedOf, []string{"gpt", "gpt-b", "gpt-c", "gpt-d"}},
	} {
		b.Run(c.name, func(b *testing.B) {
			g := modelGateway(b, c.vendors, says(200, saidByChat))
			status := 0
			b.ReportAllocs()
			for b.Loop() {
				g.Serve(b.Context(), exchangeOf(c.path, c.body, told{status: &status}))
			}
			if status != 200 {
				b.Fatalf("it was answered with status %d", status)
			}
		})
	}
}

// modelGateway is a gateway whose endpoint serves a model that has a deployment for each of these names; an ordinary endpoint if
// there are none.
func modelGateway(b *testing.B, vendors []string, upstream upstreamFunc) *Gateway {
	b.Helper()
	var models []*eventv1.RouteModel
	var change []func(*options)
	var deployments []*eventv1.RouteDeployment
	for i, name := range vendors {
		deployments = append(deployments, deployment(b, fmt.Sprint("d", i), name, schemaChat))
	}
	if len(deployments) == 0 {
		price := deployment(b, "one", "gpt", schemaChat).Upstream.Metered
		change = append(change, func(o *options) {
			o.endpoints = []*eventv1.RouteEndpoint{{Id: "ep_x", Name: "x", Path: "/x", Targets: []string{"https://one.example"}, Metered: price}}
		})
	} else {
		models = append(models, modelOfTest("claude", deployments...))
	}
	m := newModels(b, nil, models, change...)
	m.gateway.d.Spool, m.gateway.d.Upstream = free{}, upstream
	return m.gateway
}

// exchangeOf is a request with a good key.
func exchangeOf(path, body string, out Responder) *Exchange {
	return &Exchange{
		Method: "POST", Target: "/x" + path, Length: int64(len(body)), Out: out, Body: sentBody{strings.NewReader(body)},
		Headers: []Header{{"Authorization", "Bearer " + testKey}, jsonType},
	}
}

// told is a caller who reads nothing but the status.
type told struct {
	unread

	status *int
}

func (t told) Begin(status int, _ []Header, _ int64) { *t.status = status }

// BenchmarkOpenStreams is the memory that a stream takes which is open and silent, without its connections: its heap and its stack.
func BenchmarkOpenStreams(b *testing.B) {
	const streams = 2000
	stream := func(body string) string { return strings.Replace(body, "{", `{"stream":true,`, 1) }
	for _, c := range []struct {
		name, path, body string
		vendors          []string
	}{
		{"ordinary", "/v1/chat/completions", stream(askedOfChat), nil},
		{"untranslated", "/v1/chat/completions", stream(askedOfChat), []string{"gpt"}},
		{"translated", "/v1/messages", stream(askedOf), []string{"gpt"}},
	} {
		b.Run(c.name, func(b *testing.B) {
			for b.Loop() {
				var opened, ended sync.WaitGroup
				end := make(chan struct{})
				g := modelGateway(b, c.vendors, func(context.Context, *Attempt) (*Answer, error) {
					return &Answer{
						Status: 200, Headers: []Header{{"Content-Type", "text/event-stream"}}, Length: -1,
						Body: &silentBody{first: strings.Join(chatStream()[:2], ""), opened: &opened, end: end},
					}, nil
				})
				before := inUse()
				opened.Add(streams)
				for range streams {
					ended.Go(func() { g.Serve(b.Context(), exchangeOf(c.path, c.body, unread{})) })
				}
				opened.Wait()
				b.ReportMetric(float64(inUse()-before)/streams, "B/stream")
				close(end)
				ended.Wait()
			}
		})
	}
}

// inUse is the memory that is used after garbage was collected.
func inUse() int64 {
	runtime.GC()
	runtime.GC() // what pools have kept is given up by the second
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc + m.StackInuse)
}

// silentBody is an answer that begins and says nothing more until end is closed.
type silentBody struct {
	first  string
	opened *sync.WaitGroup
	end    chan struct{}
}

func (s *silentBody) Read(p []byte) (int, error) {
	if s.first != "" {
		n := copy(p, s.first)
		s.first = s.first[n:]
		return n, nil
	}
	s.opened.Done()
	<-s.end
	return 0, io.ErrUnexpectedEOF
}

func (s *silentBody) Close() error { return nil }
