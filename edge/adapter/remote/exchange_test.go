package remote

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"

	"tollgate/edge/adapter"
	"tollgate/edge/breaker"
	"tollgate/edge/metrics"
	"tollgate/edge/routing"
	"tollgate/internal/fault"
	"tollgate/internal/testenv/pki"
	sdk "tollgate/sdk/adapter"
)

// scripted is an adapter made of functions; those that are nil translate nothing.
type scripted struct {
	sdk.Same
	request  func(context.Context, *sdk.Call, *sdk.Request) (*sdk.Request, error)
	response func(context.Context, *sdk.Call, *sdk.Response) (*sdk.Response, error)
	stream   func(context.Context, *sdk.Call, *sdk.Response) (sdk.Stream, *sdk.Response, error)
}

func (s *scripted) TranslateRequest(ctx context.Context, c *sdk.Call, r *sdk.Request) (*sdk.Request, error) {
	if s.request == nil {
		return s.Same.TranslateRequest(ctx, c, r)
	}
	return s.request(ctx, c, r)
}

func (s *scripted) TranslateResponse(ctx context.Context, c *sdk.Call, r *sdk.Response) (*sdk.Response, error) {
	if s.response == nil {
		return s.Same.TranslateResponse(ctx, c, r)
	}
	return s.response(ctx, c, r)
}

func (s *scripted) NewStream(ctx context.Context, c *sdk.Call, r *sdk.Response) (sdk.Stream, *sdk.Response, error) {
	if s.stream == nil {
		return s.Same.NewStream(ctx, c, r)
	}
	return s.stream(ctx, c, r)
}

func answering(r *sdk.Request) func(context.Context, *sdk.Call, *sdk.Request) (*sdk.Request, error) {
	return func(context.Context, *sdk.Call, *sdk.Request) (*sdk.Request, error) { return r, nil }
}

// wantFault checks that an error is of the catalogue and says why.
func wantFault(t *testing.T, err error, code fault.Code, text string) {
	t.Helper()
	f, ok := errors.AsType[*fault.Error](err)
	if !ok || f.Code != code || !strings.Contains(f.Message, text) || !strings.Contains(f.Message, "under-test") {
		t.Errorf("got %v; want %s: …%s", err, code, text)
	}
}

// Guarantee: a request reaches the adapter with its role, model, body and harmless headers, and what it answers comes back, without
// what is not the adapter's to say; what it keeps for the answer comes with that.
func TestTranslate(t *testing.T) {
	t.Parallel()
	var got sdk.Request
	var called sdk.Call
	var state []byte
	u := edgeOf(t, &scripted{
		request: func(_ context.Context, c *sdk.Call, r *sdk.Request) (*sdk.Request, error) {
			got, called = *r, *c
			c.State = []byte("kept")
			return &sdk.Request{
				Path: "/v2/chat", Query: "a=1", Body: []byte("vendor's"),
				Header: http.Header{
					"Accept": {"text/event-stream"}, "X-Vendor-Version": {"2"}, "Authorization": {"Bearer stolen"}, "X-Api-Key": {"k"},
					"Cookie": {"c"}, "Host": {"elsewhere"}, "Connection": {"close"}, "X-Tollgate-Model": {"x"}, "Content-Length": {"1"},
				},
			}, nil
		},
		response: func(_ context.Context, c *sdk.Call, r *sdk.Response) (*sdk.Response, error) {
			state = c.State
			return &sdk.Response{Status: 418, Header: http.Header{"Set-Cookie": {"c"}, "Retry-After": {"3"}}, Body: []byte(`{"error":{"message":"teapot"}}`)}, nil
		},
	})
	r := chatRequest()
	r.Query = "beta=true"
	r.Headers = append(r.Headers, header("Anthropic-Version", "2023-06-01"), header("x-api-key", "secret"), header("Cookie", "secret"), header("X-Custom", "secret"))
	x, err := u.Translate(t.Context(), u.from, Vendor, r, call)
	if err != nil {
		t.Fatal(err)
	}
	if called.Role != sdk.Vendor || called.Model != "vendor-m" || called.Adapter != "under-test" {
		t.Errorf("it was told %+v", called)
	}
	if got.Path != "/chat/completions" || got.Query != "beta=true" || string(got.Body) != chatText {
		t.Errorf("it got %+v", got)
	}
	if len(got.Header) != 2 || got.Header.Get("Content-Type") != "application/json" || got.Header.Get("Anthropic-Version") != "2023-06-01" {
		t.Errorf("it got the headers %v", got.Header)
	}
	out := x.Request()
	if out.Method != "POST" || out.Path != "/v2/chat" || out.Query != "a=1" || string(out.Body) != "vendor's" || !x.Streams() {
		t.Errorf("the request is %+v", out)
	}
	if len(out.Headers) != 2 || valueOf(out.Headers, "accept") == "" || valueOf(out.Headers, "x-vendor-version") != "2" {
		t.Errorf("its headers are %v", out.Headers)
	}
	answer, err := x.Whole(t.Context(), &Response{Status: 200, Body: []byte("vendor's answer")})
	if err != nil {
		t.Fatal(err)
	}
	if answer.Status != 418 || valueOf(answer.Headers, "retry-after") != "3" || valueOf(answer.Headers, "set-cookie") != "" || string(state) != "kept" {
		t.Errorf("answer %+v, state %q", answer, state)
	}
	if n := u.counts(t, "ok"); n != "2" {
		t.Errorf("%s calls went well", n)
	}
}

// Guarantee: configured headers, such as a token, go to the adapter, and without it the adapter lets nobody in.
func TestToken(t *testing.T) {
	t.Parallel()
	base := serve(t, sdk.Same{}, sdk.Options{Token: "shared"})
	known := at(t, base, func(a *routing.Adapter) {
		a.Upstream.Headers = []routing.Header{{Name: "Authorization", Value: "Bearer shared"}}
	})
	known.translate(t, Client)
	stranger := at(t, base)
	_, err := stranger.Translate(t.Context(), stranger.from, Client, chatRequest(), call)
	wantFault(t, err, fault.AdapterFailed, "does not know this gateway")
}

// Guarantee: what an adapter refuses is the caller's error, with its field and the kind that its status stands for.
func TestRefusal(t *testing.T) {
	t.Parallel()
	for status, kind := range map[int]adapter.Kind{
		0: adapter.Invalid, 400: adapter.Invalid, 422: adapter.Invalid, 401: adapter.Permission, 403: adapter.Permission, 402: adapter.Billing,
		404: adapter.NotFound, 408: adapter.Timeout, 409: adapter.Conflict, 413: adapter.TooLarge, 429: adapter.RateLimit, 499: adapter.Invalid,
	} {
		u := edgeOf(t, &scripted{request: func(context.Context, *sdk.Call, *sdk.Request) (*sdk.Request, error) {
			return nil, sdk.Refuse(status, "messages[0].content", "audio is not taken")
		}})
		_, err := u.Translate(t.Context(), u.from, Client, chatRequest(), call)
		e, ok := errors.AsType[*adapter.Error](err)
		if !ok || e.Kind != kind || e.Param != "messages[0].content" || e.Message != "audio is not taken" || u.counts(t, "refused") != "1" {
			t.Errorf("%d: %#v", status, err)
		}
	}
}

// Guarantee: whatever is wrong with what an adapter answers is found, told as its failure and not passed on.
func TestNonsense(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", mostMessage+1)
	for name, tc := range map[string]struct {
		role    Role
		request func(context.Context, *sdk.Call, *sdk.Request) (*sdk.Request, error)
		text    string
	}{
		"an error": {Client, func(context.Context, *sdk.Call, *sdk.Request) (*sdk.Request, error) {
			return nil, errors.New("secret text")
		}, "with an error"},
		"a panic": {Client, func(context.Context, *sdk.Call, *sdk.Request) (*sdk.Request, error) { panic("secret text") }, "with an error"},
		"a long refusal": {Client, func(context.Context, *sdk.Call, *sdk.Request) (*sdk.Request, error) {
			return nil, sdk.Refuse(400, "", "%s", long)
		}, "more than 4096 bytes"},
		"no JSON":           {Client, answering(&sdk.Request{Body: []byte(`{"model":"m"`)}), "is not JSON"},
		"deep JSON":         {Client, answering(&sdk.Request{Body: []byte(strings.Repeat("[", 1<<20))}), "is not JSON"},
		"no object":         {Client, answering(&sdk.Request{Body: []byte(`["model"]`)}), "not a JSON object"},
		"no model":          {Client, answering(&sdk.Request{Body: []byte(`{"messages":[]}`)}), "names no model"},
		"no messages":       {Client, answering(&sdk.Request{Body: []byte(`{"model":"m"}`)}), "no messages"},
		"climbing":          {Vendor, answering(&sdk.Request{Path: "/a/../../admin"}), "climbs"},
		"climbing, encoded": {Vendor, answering(&sdk.Request{Path: "/a/%2e%2E%2fadmin"}), "climbs"},
		"no path":           {Vendor, answering(&sdk.Request{Path: "admin"}), "path"},
		"query in path":     {Vendor, answering(&sdk.Request{Path: "/a?b"}), "path"},
		"broken path":       {Vendor, answering(&sdk.Request{Path: "/a%zz"}), "path"},
		"fragment":          {Vendor, answering(&sdk.Request{Path: "/a", Query: "b#c"}), "query"},
		"two lines":         {Vendor, answering(&sdk.Request{Path: "/a", Query: "b\r\nx: y"}), "query"},
		"method":            {Vendor, answering(&sdk.Request{Path: "/a", Method: "CONNECT"}), "method"},
		"header":            {Vendor, answering(&sdk.Request{Path: "/a", Header: http.Header{"x y": {"z"}}}), "header"},
		"header value":      {Vendor, answering(&sdk.Request{Path: "/a", Header: http.Header{"x": {"z\r\ny: 1"}}}), "header"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			u := edgeOf(t, &scripted{request: tc.request})
			_, err := u.Translate(t.Context(), u.from, tc.role, chatRequest(), call)
			wantFault(t, err, fault.AdapterFailed, tc.text)
			if e := told(err); strings.Contains(e.Message, "secret text") {
				t.Errorf("the adapter's own words are shown: %v", err)
			}
			if n := u.counts(t, "failed"); n != "1" {
				t.Errorf("%s failures", n)
			}
		})
	}
	u := edgeOf(t, &scripted{response: func(context.Context, *sdk.Call, *sdk.Response) (*sdk.Response, error) {
		return &sdk.Response{Body: []byte("text")}, nil
	}})
	_, err := u.translate(t, Vendor).Whole(t.Context(), &Response{Status: 200})
	wantFault(t, err, fault.AdapterFailed, "not a JSON object")
}

// Guarantee: an adapter that does not answer holds nobody up for longer than its timeout, and is told that nobody waits any more.
func TestDeadline(t *testing.T) {
	t.Parallel()
	gone := make(chan struct{}, 2)
	hang := func(ctx context.Context) error {
		<-ctx.Done()
		gone <- struct{}{}
		return ctx.Err()
	}
	u := edgeOf(t, &scripted{
		request: func(ctx context.Context, _ *sdk.Call, r *sdk.Request) (*sdk.Request, error) {
			if string(r.Body) != chatText {
				return nil, hang(ctx)
			}
			return r, nil
		},
		response: func(ctx context.Context, _ *sdk.Call, _ *sdk.Response) (*sdk.Response, error) {
			return nil, hang(ctx)
		},
	}, timeout(300*time.Millisecond))
	slow := chatRequest()
	slow.Body = append(slow.Body, ' ')
	_, err := u.Translate(t.Context(), u.from, Client, slow, call)
	wantFault(t, err, fault.AdapterFailed, "did not answer within 300ms")
	x := u.translate(t, Client)
	_, err = x.Whole(t.Context(), &Response{Status: 200})
	wantFault(t, err, fault.AdapterFailed, "did not answer within 300ms")
	<-gone
	<-gone
}

// Guarantee: a caller who leaves ends the call, which is no failure of the adapter's.
func TestCallerLeaves(t *testing.T) {
	t.Parallel()
	ctx, leave := context.WithCancel(t.Context())
	u := edgeOf(t, &scripted{request: func(theirs context.Context, _ *sdk.Call, r *sdk.Request) (*sdk.Request, error) {
		leave()
		<-theirs.Done()
		return r, nil
	}})
	_, err := u.Translate(ctx, u.from, Client, chatRequest(), call)
	if !errors.Is(err, context.Canceled) || u.counts(t, "abandoned") != "1" || u.counts(t, "failed") != "0" {
		t.Errorf("got %v", err)
	}
}

// Guarantee: messages in both directions are bounded.
func TestSizes(t *testing.T) {
	t.Parallel()
	u := edgeOf(t, &scripted{request: func(_ context.Context, _ *sdk.Call, r *sdk.Request) (*sdk.Request, error) {
		if r.Method == "PUT" {
			r.Body = append(r.Body, make([]byte, 2<<10)...)
		}
		return r, nil
	}}, func(a *routing.Adapter) { a.MaxBytes = 1 << 10 })
	x := u.translate(t, Client)
	big := chatRequest()
	big.Body = make([]byte, 1<<10+1)
	_, err := u.Translate(t.Context(), u.from, Client, big, call)
	if e, ok := errors.AsType[*adapter.Error](err); !ok || e.Kind != adapter.TooLarge {
		t.Errorf("a large request: %v", err)
	}
	swelling := chatRequest()
	swelling.Method = "PUT"
	_, err = u.Translate(t.Context(), u.from, Client, swelling, call)
	wantFault(t, err, fault.AdapterFailed, "larger than 1024 bytes")
	_, err = x.Whole(t.Context(), &Response{Status: 200, Body: big.Body})
	wantFault(t, err, fault.AdapterFailed, "1024 bytes")
}

// Guarantee: an adapter that cannot be reached is left alone after a few attempts, and asked again when it is back.
func TestBreaker(t *testing.T) {
	t.Parallel()
	up := make(chan bool, 1)
	up <- false
	server := serveHTTP(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		works := <-up
		up <- works
		if !works {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		sdk.Handler(sdk.Same{}, sdk.Options{}).ServeHTTP(w, r)
	}), nil)
	const rest = 20 * time.Millisecond
	u := at(t, server.URL, func(a *routing.Adapter) {
		a.Upstream.Targets[0].Breaker = breaker.Settings{MinEnded: 3, FailPercent: 100, OpenFor: rest}
	})
	attempt := func() error {
		_, err := u.Translate(t.Context(), u.from, Client, chatRequest(), call)
		return err
	}
	for range 3 {
		wantFault(t, attempt(), fault.AdapterUnavailable, "cannot be reached")
	}
	states := u.States()
	if len(states) != 1 || !strings.Contains(states[0].Target, "under-test") {
		t.Fatalf("states %v", states)
	}
	<-up
	up <- true
	for {
		err := attempt()
		if err == nil {
			break
		}
		wantFault(t, err, fault.AdapterUnavailable, "left alone")
		if t.Failed() {
			return
		}
		<-time.After(rest)
	}
	if len(u.States()) != 0 {
		t.Error("the breaker is open while the adapter works")
	}
}

// Guarantee: errors that an adapter answers with do not open its breaker: it is there.
func TestErrorsOpenNoBreaker(t *testing.T) {
	t.Parallel()
	u := edgeOf(t, &scripted{request: func(context.Context, *sdk.Call, *sdk.Request) (*sdk.Request, error) {
		return nil, errors.New("a bug")
	}})
	for range 20 {
		_, err := u.Translate(t.Context(), u.from, Client, chatRequest(), call)
		wantFault(t, err, fault.AdapterFailed, "with an error")
	}
	if s := u.States(); len(s) != 0 {
		t.Errorf("states %v", s)
	}
}

// Guarantee: adapters are spoken to over TLS by the same settings as targets, and are found out when they are none.
func TestWhereItIs(t *testing.T) {
	t.Parallel()
	ca := pki.New(t)
	pair := ca.Issue(t, []string{"127.0.0.1"}).TLS(t)
	secure := serveHTTP(t, sdk.Handler(sdk.Same{}, sdk.Options{}), &pair)
	trusted := at(t, secure.URL, func(a *routing.Adapter) { a.Upstream.Targets[0].Transport.CA = string(ca.PEM) })
	x := trusted.translate(t, Vendor)
	s, err := x.Begin(t.Context(), events)
	if err != nil {
		t.Fatal(err)
	}
	s.Close()

	untrusting := at(t, secure.URL)
	_, err = untrusting.Translate(t.Context(), untrusting.from, Vendor, chatRequest(), call)
	wantFault(t, err, fault.AdapterUnavailable, "cannot be reached")

	page := at(t, serveHTTP(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte("<html>hello</html>"))
	}), nil).URL)
	_, err = page.Translate(t.Context(), page.from, Vendor, chatRequest(), call)
	wantFault(t, err, fault.AdapterFailed, "cannot be understood")

	metadata := at(t, "http://169.254.169.254")
	_, err = metadata.Translate(t.Context(), metadata.from, Vendor, chatRequest(), call)
	wantFault(t, err, fault.AdapterUnavailable, "cannot be reached")
}

// Guarantee: a configuration that drops an adapter leaves nothing of it, while exchanges that know it go on.
func TestSync(t *testing.T) {
	t.Parallel()
	u := edgeOf(t, sdk.Same{})
	x := u.translate(t, Client)
	u.Sync(nil)
	if n := u.counts(t, "ok"); n != "" {
		t.Errorf("its series are left: %s", n)
	}
	if _, err := x.Whole(t.Context(), &Response{Status: 200}); err != nil {
		t.Error(err)
	}
	u.translate(t, Client)
}

func BenchmarkExchange(b *testing.B) {
	u := edgeOf(b, sdk.Same{})
	for b.Loop() {
		x := u.translate(b, Client)
		if _, err := x.Whole(b.Context(), &Response{Status: 200, Body: []byte(`{"id":"x"}`)}); err != nil {
			b.Fatal(err)
		}
	}
}

// resets has every connection reset where it is asked for an answer.
type resets struct{ err error }

func (resets) Sync([]*routing.Endpoint)                          {}
func (resets) Close()                                            {}
func (r resets) Transport(*routing.Target) http.RoundTripper     { return r }
func (r resets) RoundTrip(*http.Request) (*http.Response, error) { return nil, r.err }

// Guarantee: an adapter that dies with a request on the connection to it is out of reach, however the system puts that, and
// not at fault for its answer.
func TestResetConnection(t *testing.T) {
	t.Parallel()
	for _, err := range []error{syscall.ECONNRESET, syscall.EPIPE, syscall.ECONNREFUSED, io.ErrUnexpectedEOF} {
		u := edgeOf(t, sdk.Same{})
		u.Adapters = New(Config{Connections: resets{err}, Metrics: metrics.New()})
		u.Sync([]*routing.Adapter{u.from})
		_, got := u.Translate(t.Context(), u.from, Vendor, chatRequest(), call)
		wantFault(t, got, fault.AdapterUnavailable, "cannot be reached")
	}
}
