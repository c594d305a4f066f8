package adapter_test

import (
	"bytes"
	"context"
	"errors"
	"net"
	"net/http"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"tollgate/sdk/adapter"
	"tollgate/sdk/adapter/adaptertest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// odd does what adapters should not.
type odd struct{ adapter.Same }

func (odd) TranslateRequest(_ context.Context, call *adapter.Call, r *adapter.Request) (*adapter.Request, error) {
	call.State = []byte(call.Adapter + call.Model + call.Role.String())
	switch r.Query {
	case "panic":
		panic("a bug")
	case "nothing":
		return nil, nil //nolint:nilnil // that is what is tried
	case "refuse":
		return nil, adapter.Refuse(http.StatusTeapot, "messages[1]", "no %s", "coffee")
	case "refuse oddly":
		return nil, adapter.Refuse(http.StatusOK, "", "no")
	}
	return &adapter.Request{Path: "/bad\xff", Header: http.Header{"X-Multi": {"1", "2"}}, Body: r.Body}, nil
}

func (odd) TranslateResponse(_ context.Context, call *adapter.Call, r *adapter.Response) (*adapter.Response, error) {
	if len(r.Body) == 0 {
		return nil, nil //nolint:nilnil // that is what is tried
	}
	return &adapter.Response{Header: http.Header{"Content-Type": {"text/plain"}}, Body: append(call.State, r.Body...)}, nil
}

func (odd) NewStream(_ context.Context, _ *adapter.Call, r *adapter.Response) (adapter.Stream, *adapter.Response, error) {
	if r.Status == http.StatusTeapot {
		return nil, nil, nil
	}
	return oddStream{}, nil, nil
}

type oddStream struct{}

func (oddStream) Event(_ context.Context, e adapter.Event) ([]adapter.Event, error) {
	if e.Type == "panic" {
		panic("a bug")
	}
	return []adapter.Event{e, e}, nil
}

func (oddStream) End(_ context.Context, whole bool) ([]adapter.Event, error) {
	if !whole {
		return nil, errors.New("not whole")
	}
	return []adapter.Event{{Data: []byte("[DONE]")}}, nil
}

// Guarantee: what an adapter answers arrives, and its state with the answer; what messages cannot carry is made fit.
func TestCalls(t *testing.T) {
	t.Parallel()
	g := adaptertest.New(t, odd{})
	x, err := g.Request(t, adapter.Vendor, "m", &adapter.Request{Body: []byte{0, 0xff}})
	if err != nil {
		t.Fatal(err)
	}
	if r := x.Request; r.Path != "/bad\ufffd" || !bytes.Equal(r.Body, []byte{0, 0xff}) || len(r.Header.Values("x-multi")) != 2 {
		t.Errorf("%+v", r)
	}
	answer, err := x.Response(t, &adapter.Response{Status: 500, Body: []byte("!")})
	if err != nil || answer.Status != 200 || string(answer.Body) != "under-testmvendor!" {
		t.Errorf("%+v, %v", answer, err)
	}
	s, err := x.Stream(t, &adapter.Response{Status: 200}, []adapter.Event{{Type: "a", Data: []byte("1")}}, true)
	if err != nil || s.Head != nil || len(s.Events) != 2 || len(s.Events[0]) != 2 || s.Events[0][1].Type != "a" {
		t.Errorf("%+v, %v", s, err)
	}
}

// Guarantee: a refusal is told, and one with a status that refuses nothing is a 400.
func TestRefuse(t *testing.T) {
	t.Parallel()
	g := adaptertest.New(t, odd{})
	for query, status := range map[string]int{"refuse": http.StatusTeapot, "refuse oddly": http.StatusBadRequest} {
		_, err := g.Request(t, adapter.Client, "", &adapter.Request{Query: query})
		if r, ok := errors.AsType[*adapter.RefusalError](err); !ok || r.Status != status {
			t.Errorf("%s: %v", query, err)
		}
	}
	if text := adapter.Refuse(0, "n", "one %d", 1).Error(); text != "n: one 1" {
		t.Error(text)
	}
}

// Guarantee: a method that fails, panics or answers with nothing fails its exchange, and the server goes on.
func TestFailures(t *testing.T) {
	t.Parallel()
	g := adaptertest.New(t, odd{})
	for _, query := range []string{"panic", "nothing"} {
		if _, err := g.Request(t, adapter.Client, "", &adapter.Request{Query: query}); !adaptertest.IsFailure(err) {
			t.Errorf("%s: %v", query, err)
		}
	}
	x, err := g.Request(t, adapter.Vendor, "", &adapter.Request{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := x.Response(t, &adapter.Response{}); !adaptertest.IsFailure(err) {
		t.Errorf("no answer: %v", err)
	}
	ok := &adapter.Response{Status: 200}
	if _, err := x.Stream(t, &adapter.Response{Status: http.StatusTeapot}, nil, true); !adaptertest.IsFailure(err) {
		t.Errorf("no stream: %v", err)
	}
	if s, err := x.Stream(t, ok, []adapter.Event{{}, {Type: "panic"}}, true); !adaptertest.IsFailure(err) || len(s.Events) != 1 {
		t.Errorf("a panic: %v, %v", s, err)
	}
	if _, err := x.Stream(t, ok, nil, false); !adaptertest.IsFailure(err) || !strings.Contains(err.Error(), "not whole") {
		t.Errorf("an error at the end: %v", err)
	}
}

// Guarantee: what is embedded lets everything through as it is.
func TestSame(t *testing.T) {
	t.Parallel()
	g := adaptertest.New(t, adapter.Same{})
	body := []byte(`{"model":"m","messages":[]}`)
	x, err := g.Request(t, adapter.Client, "", &adapter.Request{Method: "PUT", Path: "/p", Query: "q", Header: http.Header{"Accept": {"a"}}, Body: body})
	if err != nil || x.Request.Method != "PUT" || x.Request.Path != "/p" || x.Request.Query != "q" || x.Request.Header.Get("Accept") != "a" || !bytes.Equal(x.Request.Body, body) {
		t.Fatalf("%+v, %v", x, err)
	}
	events := adaptertest.Events([]byte("event: a\r\ndata: 1\r\ndata: 2\r\n\r\n: no event\n\ndata: 3\n\n"))
	s, err := x.Stream(t, &adapter.Response{Status: 200}, append(events, adaptertest.Lines([]byte("4\n\n5"))...), true)
	if all := s.All(); err != nil || len(all) != 4 || all[0].Type != "a" || string(all[0].Data) != "1\n2" || string(all[3].Data) != "5" {
		t.Errorf("%+v, %v", all, err)
	}
}

// Guarantee: a server that is told to stop stops, says where it is healthy until then, and lets in who has the token.
func TestServe(t *testing.T) {
	t.Parallel()
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	served := make(chan error, 1)
	go func() { served <- adapter.Serve(ctx, l, adapter.Same{}, adapter.Options{Token: "shared"}) }()
	transport := &http.Transport{}
	client := &http.Client{Transport: transport}
	get := func(method, path, token string) int {
		r, err := http.NewRequestWithContext(t.Context(), method, "http://"+l.Addr().String()+path, http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Authorization", "Bearer "+token)
		resp, err := client.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		return resp.StatusCode
	}
	const call = "/tollgate.adapter.v1.AdapterService/TranslateRequest"
	if a, b, c := get("GET", adapter.Healthz, ""), get("POST", call, "stolen"), get("POST", call, "shared"); a != 200 || b != 401 || c != 415 {
		t.Errorf("%d %d %d", a, b, c)
	}
	transport.CloseIdleConnections()
	stop()
	if err := <-served; err != nil {
		t.Error(err)
	}
	if err := adapter.ListenAndServe(t.Context(), "256.0.0.1:0", adapter.Same{}, adapter.Options{}); err == nil {
		t.Error("it listens nowhere")
	}
}
