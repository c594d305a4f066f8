package remote

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"tollgate/edge/adapter"
	"tollgate/edge/proxy"
	"tollgate/edge/routing"
	"tollgate/internal/fault"
	sdk "tollgate/sdk/adapter"
)

// streaming is an adapter whose streams are made of functions.
func streaming(head *sdk.Response, event func(context.Context, sdk.Event) ([]sdk.Event, error), end func(bool) ([]sdk.Event, error)) *scripted {
	return &scripted{stream: func(context.Context, *sdk.Call, *sdk.Response) (sdk.Stream, *sdk.Response, error) {
		return &script{event, end}, head, nil
	}}
}

type script struct {
	event func(context.Context, sdk.Event) ([]sdk.Event, error)
	end   func(bool) ([]sdk.Event, error)
}

func (s *script) Event(ctx context.Context, e sdk.Event) ([]sdk.Event, error) { return s.event(ctx, e) }

func (s *script) End(_ context.Context, whole bool) ([]sdk.Event, error) {
	if s.end == nil {
		return nil, nil
	}
	return s.end(whole)
}

func same(_ context.Context, e sdk.Event) ([]sdk.Event, error) { return []sdk.Event{e}, nil }

// begin has a stream translated.
func (u *under) begin(tb testing.TB, role Role, response *Response) proxy.AdapterStream {
	tb.Helper()
	s, err := u.translate(tb, role).Begin(tb.Context(), response)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(s.Close)
	return s
}

var lines = http.Header{"Content-Type": {"application/x-ndjson"}}

// Guarantee: events go to the adapter as they come, whatever the pieces; what it makes of them comes out in the form
// that its head names, and the end follows the last of them.
func TestStream(t *testing.T) {
	t.Parallel()
	u := edgeOf(t, streaming(&sdk.Response{Header: lines}, func(_ context.Context, e sdk.Event) ([]sdk.Event, error) {
		if string(e.Data) == "nothing" {
			return nil, nil
		}
		return []sdk.Event{{Data: []byte(e.Type + "/" + string(e.Data))}, {Data: []byte("-")}}, nil
	}, func(whole bool) ([]sdk.Event, error) {
		return []sdk.Event{{Data: fmt.Append(nil, "whole ", whole)}}, nil
	}))
	x := u.translate(t, Client)
	rapid.Check(t, func(t *rapid.T) {
		s, err := x.Begin(context.Background(), events)
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		if h := s.Head(); h.Status != 200 || valueOf(h.Headers, "content-type") != "application/x-ndjson" {
			t.Fatalf("head %+v", h)
		}
		rest := "event: a\ndata: 1\n\ndata: nothing\n\n: ping\n\ndata: 2\r\ndata: 3\r\n\r\ndata: [DONE]\n"
		var out []byte
		for rest != "" {
			n := rapid.IntRange(1, len(rest)).Draw(t, "piece")
			if out, err = s.Next(out, []byte(rest[:n])); err != nil {
				break
			}
			rest = rest[n:]
		}
		// An event of two lines is no line.
		e, ok := errors.AsType[*adapter.Error](err)
		if !ok || !strings.Contains(e.Message, "line end") || string(out) != "a/1\n-\n" {
			t.Fatalf("%q, %v", out, err)
		}
	})
	s := u.begin(t, Client, &Response{Status: 200, Headers: []Header{header("content-type", "application/x-ndjson")}})
	out, err := s.Next(nil, []byte("{1}\r\n\n{2"))
	if err == nil {
		out, err = s.Next(out, []byte("2}\n{3}"))
	}
	if err == nil {
		out, err = s.End(s.Ping(out), true)
	}
	if want := "/{1}\n-\n/{22}\n-\n/{3}\n-\nwhole true\n"; err != nil || string(out) != want {
		t.Errorf("%q, %v; want %q", out, err, want)
	}
}

// Guarantee: whatever text events have, server-sent events of a client's adapter carry it, and nobody reads another event in them.
func TestEventsStayEvents(t *testing.T) {
	t.Parallel()
	u := edgeOf(t, streaming(nil, func(context.Context, sdk.Event) ([]sdk.Event, error) {
		return []sdk.Event{{Type: "a", Data: []byte("1\nevent: b\r\n\r\ndata: 2\r")}}, nil
	}, nil))
	s := u.begin(t, Client, events)
	out, err := s.Next(nil, []byte("data: x\n\n"))
	if want := "event: a\ndata: 1\ndata: event: b\ndata: \ndata: data: 2\ndata: \n\n"; err != nil || string(out) != want {
		t.Errorf("%q, %v", out, err)
	}
	if string(s.Ping(nil)) != ": ping\n" {
		t.Error("no ping")
	}
}

// Guarantee: what a vendor's adapter streams is Chat Completions, up to its end; anything else is its failure.
func TestVendorStream(t *testing.T) {
	t.Parallel()
	chunk, done := sdk.Event{Data: []byte(`{"choices":[]}`)}, sdk.Event{Data: []byte("[DONE]")}
	sse := &sdk.Response{Header: http.Header{"Content-Type": {eventStream}}}
	for name, tc := range map[string]struct {
		answer, last []sdk.Event
		out          string
		text         string // of the error
	}{
		"whole":               {[]sdk.Event{chunk}, []sdk.Event{done}, "data: {\"choices\":[]}\n\ndata: [DONE]\n\n", ""},
		"without its end":     {[]sdk.Event{chunk}, nil, "data: {\"choices\":[]}\n\n", "without [DONE]"},
		"on after its end":    {[]sdk.Event{done, chunk}, nil, "data: [DONE]\n\n", "went on after [DONE]"},
		"no JSON":             {[]sdk.Event{{Data: []byte("{")}}, nil, "", "not a JSON object"},
		"no object":           {[]sdk.Event{{Data: []byte("1")}}, nil, "", "not a JSON object"},
		"an error":            {[]sdk.Event{chunk, {Data: []byte(`{"error":{"message":"too many","code":"rate_limit_exceeded"}}`)}}, nil, "data: {\"choices\":[]}\n\n", "too many"},
		"a type of two lines": {[]sdk.Event{{Type: "a\nb", Data: []byte("{}")}}, nil, "", "has a line end"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			u := edgeOf(t, streaming(sse, func(context.Context, sdk.Event) ([]sdk.Event, error) { return tc.answer, nil },
				func(bool) ([]sdk.Event, error) { return tc.last, nil }))
			s := u.begin(t, Vendor, &Response{Status: 200, Headers: []Header{header("Content-Type", "application/json")}})
			out, err := s.Next(nil, []byte("{}\n"))
			if err == nil {
				out, err = s.End(out, true)
			}
			if string(out) != tc.out || (err == nil) != (tc.text == "") || err != nil && !strings.Contains(err.Error(), tc.text) {
				t.Errorf("%q, %v", out, err)
			}
		})
	}
	u := edgeOf(t, streaming(nil, same, nil))
	_, err := u.translate(t, Vendor).Begin(t.Context(), &Response{Status: 200, Headers: []Header{header("content-type", "application/json")}})
	wantFault(t, err, fault.AdapterFailed, "not text/event-stream")
}

// Guarantee: an answer that breaks off is an error in the caller's schema, as the adapter puts it, and has no end.
func TestBrokenOff(t *testing.T) {
	t.Parallel()
	wholes := make(chan bool, 1)
	u := edgeOf(t, streaming(&sdk.Response{Header: lines}, func(_ context.Context, e sdk.Event) ([]sdk.Event, error) {
		if strings.Contains(string(e.Data), `"error"`) {
			return []sdk.Event{{Data: []byte("sorry: " + string(e.Data))}}, nil
		}
		return []sdk.Event{e}, nil
	}, func(whole bool) ([]sdk.Event, error) {
		wholes <- whole
		return nil, nil
	}))
	s := u.begin(t, Client, events)
	out, err := s.Next(nil, []byte("data: 1\n\ndata: 2"))
	if err != nil {
		t.Fatal(err)
	}
	out, err = s.End(out, false)
	e, ok := errors.AsType[*adapter.Error](err)
	if !ok || string(out) != "1\n" {
		t.Fatalf("%q, %v", out, err)
	}
	out = s.Fail(out, e, "req-1")
	want := "1\nsorry: " + `{"error":{"message":"The model's answer broke off.","type":"server_error","param":null,"code":null}}` + "\n"
	if string(out) != want || <-wholes {
		t.Errorf("%q", out)
	}
}

// Guarantee: an adapter that fails, dies or hangs in the middle of a stream makes it an error, after which nothing is asked of
// it; what has come so far stands, and no end is made up.
func TestFailsMidStream(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		second func(context.Context) ([]sdk.Event, error)
		text   string
	}{
		"an error": {func(context.Context) ([]sdk.Event, error) { return nil, errors.New("a bug") }, "with an error"},
		"a panic":  {func(context.Context) ([]sdk.Event, error) { panic("a bug") }, "with an error"},
		"a crash":  {func(context.Context) ([]sdk.Event, error) { panic(http.ErrAbortHandler) }, "under-test"},
		"silence": {func(ctx context.Context) ([]sdk.Event, error) {
			<-ctx.Done()
			return nil, ctx.Err()
		}, "did not answer within"},
		"too much": {func(context.Context) ([]sdk.Event, error) {
			return []sdk.Event{{Data: make([]byte, 2<<20)}}, nil
		}, "larger than"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			u := edgeOf(t, streaming(nil, func(ctx context.Context, e sdk.Event) ([]sdk.Event, error) {
				if string(e.Data) == "2" {
					return tc.second(ctx)
				}
				return []sdk.Event{e}, nil
			}, func(bool) ([]sdk.Event, error) { return []sdk.Event{{Data: []byte("made up")}}, nil }),
				func(a *routing.Adapter) { a.MaxBytes = 1 << 20 }, timeout(500*time.Millisecond))
			s := u.begin(t, Client, events)
			out, err := s.Next(nil, []byte("data: 1\n\ndata: 2\n\ndata: 3\n\n"))
			e, ok := errors.AsType[*adapter.Error](err)
			if !ok || string(out) != "data: 1\n\n" || !strings.Contains(e.Message, tc.text) {
				t.Fatalf("%q, %v", out, err)
			}
			if out, err = s.End(out, true); err == nil {
				t.Error("it came to an end all the same")
			}
			out = s.Fail(out, e, "req-1")
			if text := string(out); strings.Contains(text, "made up") || strings.Contains(text, "DONE") || !strings.Contains(text, `data: {"error":{`) {
				t.Errorf("%q", out)
			}
		})
	}
}

// Guarantee: when the process of an adapter dies, streams that it translates are errors.
func TestAdapterDies(t *testing.T) {
	t.Parallel()
	server := serveHTTP(t, sdk.Handler(streaming(nil, same, nil), sdk.Options{}), nil)
	u := at(t, server.URL)
	s := u.begin(t, Client, events)
	out, err := s.Next(nil, []byte("data: 1\n\n"))
	if err != nil {
		t.Fatal(err)
	}
	server.CloseClientConnections()
	out, err = s.Next(out, []byte("data: 2\n\n"))
	if e, ok := errors.AsType[*adapter.Error](err); !ok || string(out) != "data: 1\n\n" || !strings.Contains(e.Message, "under-test") {
		t.Errorf("%q, %v", out, err)
	}
}

// Guarantee: a caller who leaves, and an exchange that is closed, end the adapter's call.
func TestStreamEndsWithItsCaller(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]func(proxy.AdapterStream, context.CancelFunc){
		"left":   func(_ proxy.AdapterStream, leave context.CancelFunc) { leave() },
		"closed": func(s proxy.AdapterStream, _ context.CancelFunc) { s.Close() },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			over := make(chan struct{})
			u := edgeOf(t, &scripted{stream: func(ctx context.Context, _ *sdk.Call, _ *sdk.Response) (sdk.Stream, *sdk.Response, error) {
				context.AfterFunc(ctx, func() { close(over) })
				return &script{event: same}, nil, nil
			}})
			ctx, leave := context.WithCancel(t.Context())
			defer leave()
			s, err := u.translate(t, Client).Begin(ctx, events)
			if err != nil {
				t.Fatal(err)
			}
			end(s, leave)
			<-over
			if _, err := s.Next(nil, []byte("data: 1\n\n")); err == nil {
				t.Error("it goes on")
			}
		})
	}
}

// Guarantee: an event or a line that grows without end is not kept.
func TestEndlessEvents(t *testing.T) {
	t.Parallel()
	u := edgeOf(t, sdk.Same{}, func(a *routing.Adapter) { a.MaxBytes = 1 << 10 })
	for _, kind := range []string{eventStream, "application/x-ndjson"} {
		s := u.begin(t, Client, &Response{Status: 200, Headers: []Header{header("content-type", kind)}})
		var err error
		for range 3 {
			_, err = s.Next(nil, []byte(strings.Repeat("x", 500)))
		}
		if e, ok := errors.AsType[*adapter.Error](err); !ok || !strings.Contains(e.Message, "larger than the 1024 bytes") {
			t.Errorf("%s: %v", kind, err)
		}
	}
}

// Guarantee: a stream that an adapter cannot begin is its failure, before anything has gone out.
func TestUnbegun(t *testing.T) {
	t.Parallel()
	u := edgeOf(t, &scripted{stream: func(context.Context, *sdk.Call, *sdk.Response) (sdk.Stream, *sdk.Response, error) {
		return nil, nil, errors.New("a bug")
	}})
	s, err := u.translate(t, Client).Begin(t.Context(), events)
	if wantFault(t, err, fault.AdapterFailed, "with an error"); s != nil {
		t.Errorf("there is a stream %v", s)
	}
}

func BenchmarkEvent(b *testing.B) {
	u := edgeOf(b, sdk.Same{})
	s := u.begin(b, Client, events)
	var out []byte
	for b.Loop() {
		var err error
		if out, err = s.Next(out[:0], []byte("data: {\"choices\":[]}\n\n")); err != nil {
			b.Fatal(err)
		}
	}
}
