// Package adaptertest tries an adapter without a gateway: it serves it in the test's process and asks it as a gateway does,
// over the same protocol. What it promises is that an answer it gives is one that a gateway would get, and that a request which
// is none of Chat Completions, or a stream of them without its end, fails the test. It is not a gateway: it calls no vendor, checks
// no key, and leaves the rest of what a gateway looks at (headers, paths, sizes) alone.
package adaptertest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"connectrpc.com/connect"

	adapterv1 "tollgate/gen/tollgate/adapter/v1"
	"tollgate/gen/tollgate/adapter/v1/adapterv1connect"
	"tollgate/sdk/adapter"
)

// Gateway asks one adapter.
type Gateway struct {
	client adapterv1connect.AdapterServiceClient
	url    string
}

// New serves an adapter until the test ends.
func New(tb testing.TB, a adapter.Adapter) *Gateway {
	tb.Helper()
	l, err := new(net.ListenConfig).Listen(tb.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	served := make(chan error, 1)
	go func() { served <- adapter.Serve(ctx, l, a, adapter.Options{}) }()
	url := "http://" + l.Addr().String()
	protocols := new(http.Protocols)
	protocols.SetUnencryptedHTTP2(true)
	transport := &http.Transport{Protocols: protocols}
	tb.Cleanup(func() {
		transport.CloseIdleConnections()
		stop()
		if err := <-served; err != nil {
			tb.Error("the adapter's server: ", err)
		}
	})
	return &Gateway{client: adapterv1connect.NewAdapterServiceClient(&http.Client{Transport: transport}, url), url: url}
}

// URL is where the adapter is served.
func (g *Gateway) URL() string { return g.url }

// Exchange is a request that was translated.
type Exchange struct {
	Request *adapter.Request // as the adapter translated it

	g     *Gateway
	role  adapter.Role
	state []byte
}

// Request has a request translated. The error is a *adapter.RefusalError if the adapter refuses it. In the role of a
// client's, the result has to be a request of Chat Completions.
func (g *Gateway) Request(tb testing.TB, role adapter.Role, model string, request *adapter.Request) (*Exchange, error) {
	tb.Helper()
	answer, err := g.client.TranslateRequest(tb.Context(), &adapterv1.TranslateRequestRequest{
		Role: adapterv1.Role(role), Adapter: "under-test", Model: model, Request: &adapterv1.Request{
			Method: request.Method, Path: request.Path, Query: request.Query, Headers: lines(request.Header), Body: request.Body,
		},
	})
	if err != nil {
		return nil, err
	}
	if r := answer.GetRefusal(); r != nil {
		return nil, adapter.Refuse(int(r.GetStatus()), r.GetField(), "%s", r.GetMessage())
	}
	r := answer.GetRequest()
	x := &Exchange{g: g, role: role, state: answer.GetState(), Request: &adapter.Request{
		Method: r.GetMethod(), Path: r.GetPath(), Query: r.GetQuery(), Header: header(r.GetHeaders()), Body: r.GetBody(),
	}}
	if role == adapter.Client {
		var chat struct {
			Model    *string           `json:"model"`
			Messages []json.RawMessage `json:"messages"`
		}
		if err := json.Unmarshal(r.GetBody(), &chat); err != nil || chat.Model == nil || chat.Messages == nil {
			tb.Errorf("a gateway takes a JSON object with a model and messages, and got %q (%v)", r.GetBody(), err)
		}
	}
	return x, nil
}

// Response has a whole answer translated.
func (x *Exchange) Response(tb testing.TB, response *adapter.Response) (*adapter.Response, error) {
	tb.Helper()
	answer, err := x.g.client.TranslateResponse(tb.Context(), &adapterv1.TranslateResponseRequest{
		Role: adapterv1.Role(x.role), State: x.state, Response: toProto(response),
	})
	if err != nil {
		return nil, err
	}
	return fromProto(answer.GetResponse()), nil
}

// Streamed is an answer that was translated event by event.
type Streamed struct {
	Head   *adapter.Response // nil if the adapter left it as it is
	Events [][]adapter.Event // what each event, and in the end the end, came to
}

// All is the events, one after another.
func (s *Streamed) All() []adapter.Event {
	var all []adapter.Event
	for _, events := range s.Events {
		all = append(all, events...)
	}
	return all
}

// Stream has a streamed answer translated: its status and headers, its events, and its end, whole or not. Where the adapter
// fails, what came before is there besides the error. A whole stream of a vendor's adapter has to end in "[DONE]".
func (x *Exchange) Stream(tb testing.TB, head *adapter.Response, events []adapter.Event, whole bool) (*Streamed, error) {
	tb.Helper()
	ctx, cancel := context.WithCancel(tb.Context())
	defer cancel()
	s := &Streamed{}
	stream, err := x.g.client.TranslateStream(ctx)
	if err != nil {
		return s, err
	}
	// What comes of closing says nothing that was not said before.
	defer func() {
		cancel()
		_, _ = stream.CloseRequest(), stream.CloseResponse()
	}()
	ask := func(m *adapterv1.TranslateStreamRequest) (*adapterv1.TranslateStreamResponse, error) {
		if err := stream.Send(m); err != nil && !errors.Is(err, io.EOF) {
			return nil, err // after io.EOF, Receive says why
		}
		return stream.Receive()
	}
	answer, err := ask(&adapterv1.TranslateStreamRequest{Part: &adapterv1.TranslateStreamRequest_Begin{Begin: &adapterv1.StreamBegin{
		Role: adapterv1.Role(x.role), State: x.state, Response: toProto(head),
	}}})
	if err != nil {
		return s, err
	}
	if answer.GetResponse() != nil {
		s.Head = fromProto(answer.GetResponse())
	}
	add := func(m *adapterv1.TranslateStreamRequest) error {
		answer, err := ask(m)
		if err != nil {
			return err
		}
		got := make([]adapter.Event, len(answer.GetEvents()))
		for i, e := range answer.GetEvents() {
			got[i] = adapter.Event{Type: e.GetType(), Data: e.GetData()}
		}
		s.Events = append(s.Events, got)
		return nil
	}
	for _, e := range events {
		if err := add(&adapterv1.TranslateStreamRequest{Part: &adapterv1.TranslateStreamRequest_Event{
			Event: &adapterv1.Event{Type: e.Type, Data: e.Data},
		}}); err != nil {
			return s, err
		}
	}
	if err := add(&adapterv1.TranslateStreamRequest{Part: &adapterv1.TranslateStreamRequest_End{End: &adapterv1.StreamEnd{Whole: whole}}}); err != nil {
		return s, err
	}
	if x.role == adapter.Vendor && whole {
		all := s.All()
		if n := len(all); n == 0 || string(all[n-1].Data) != "[DONE]" {
			tb.Error("a whole stream of Chat Completions ends in [DONE]")
		}
	}
	return s, nil
}

// Events takes a recorded body of server-sent events apart.
func Events(body []byte) []adapter.Event {
	var all []adapter.Event
	text := strings.NewReplacer("\r\n", "\n", "\r", "\n").Replace(string(body))
	for block := range strings.SplitSeq(text, "\n\n") {
		var e adapter.Event
		var data []string
		for line := range strings.SplitSeq(block, "\n") {
			name, value, _ := strings.Cut(line, ":")
			value = strings.TrimPrefix(value, " ")
			switch name {
			case "event":
				e.Type = value
			case "data":
				data = append(data, value)
			}
		}
		if data != nil {
			e.Data = []byte(strings.Join(data, "\n"))
			all = append(all, e)
		}
	}
	return all
}

// Lines takes a recorded body of NDJSON apart.
func Lines(body []byte) []adapter.Event {
	var all []adapter.Event
	for line := range bytes.SplitSeq(body, []byte("\n")) {
		if line = bytes.TrimSpace(line); len(line) > 0 {
			all = append(all, adapter.Event{Data: line})
		}
	}
	return all
}

// IsFailure says whether an error means that the adapter failed, as it does when a method returns an error or panics.
func IsFailure(err error) bool { return err != nil && connect.IsWireError(err) }

func toProto(r *adapter.Response) *adapterv1.Response {
	return &adapterv1.Response{Status: uint32(r.Status), Headers: lines(r.Header), Body: r.Body}
}

func fromProto(r *adapterv1.Response) *adapter.Response {
	return &adapter.Response{Status: int(r.GetStatus()), Header: header(r.GetHeaders()), Body: r.GetBody()}
}

func lines(h http.Header) []*adapterv1.Header {
	var out []*adapterv1.Header
	for name, values := range h {
		for _, value := range values {
			out = append(out, &adapterv1.Header{Name: strings.ToLower(name), Value: value})
		}
	}
	return out
}

func header(lines []*adapterv1.Header) http.Header {
	h := http.Header{}
	for _, l := range lines {
		h.Add(l.GetName(), l.GetValue())
	}
	return h
}
