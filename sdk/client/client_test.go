package client_test

import (
	"context"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"connectrpc.com/connect"
	"go.uber.org/goleak"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/protobuf/proto"

	controlv1 "tollgate/gen/tollgate/control/v1"
	"tollgate/gen/tollgate/control/v1/controlv1connect"
	"tollgate/internal/fault"
	"tollgate/sdk/client"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// server is a control plane whose answers a test makes.
type server struct {
	controlv1connect.UnimplementedKeyServiceHandler
	controlv1connect.UnimplementedAccountServiceHandler
	controlv1connect.UnimplementedRequestServiceHandler
	controlv1connect.UnimplementedSystemServiceHandler

	create func(call int, name string) error
	list   func(*controlv1.ListKeysRequest) *controlv1.ListKeysResponse
	tail   func(call int, req *controlv1.TailRequestsRequest, send func(*controlv1.TailRequestsResponse) error) error
	watch  func(call int, req *controlv1.WatchChangesRequest, send func(*controlv1.WatchChangesResponse) error) error

	mu      sync.Mutex // guards the fields below
	headers []http.Header
}

func (s *server) note(ctx context.Context) int {
	info, _ := connect.CallInfoForHandlerContext(ctx)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.headers = append(s.headers, info.RequestHeader().Clone())
	return len(s.headers)
}

// all are the values of a header, call by call.
func (s *server) all(name string) (values []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, h := range s.headers {
		values = append(values, h.Get(name))
	}
	return values
}

func (s *server) CreateKey(ctx context.Context, req *controlv1.CreateKeyRequest) (*controlv1.CreateKeyResponse, error) {
	if err := s.create(s.note(ctx), req.GetName()); err != nil {
		return nil, err
	}
	return &controlv1.CreateKeyResponse{Key: &controlv1.Key{Name: req.GetName()}}, nil
}

func (s *server) ListKeys(ctx context.Context, req *controlv1.ListKeysRequest) (*controlv1.ListKeysResponse, error) {
	s.note(ctx)
	return s.list(req), nil
}

func (s *server) SignIn(ctx context.Context, _ *controlv1.SignInRequest) (*controlv1.SignInResponse, error) {
	s.note(ctx)
	return nil, refusal(connect.CodeUnavailable, "unavailable", nil)
}

func (s *server) TailRequests(ctx context.Context, req *controlv1.TailRequestsRequest, to *connect.ServerStream[controlv1.TailRequestsResponse]) error {
	return s.tail(s.note(ctx), req, to.Send)
}

func (s *server) WatchChanges(ctx context.Context, req *controlv1.WatchChangesRequest, to *connect.ServerStream[controlv1.WatchChangesResponse]) error {
	return s.watch(s.note(ctx), req, to.Send)
}

func (s *server) handler() http.Handler {
	mux := http.NewServeMux()
	mux.Handle(controlv1connect.NewKeyServiceHandler(s))
	mux.Handle(controlv1connect.NewAccountServiceHandler(s))
	mux.Handle(controlv1connect.NewRequestServiceHandler(s))
	mux.Handle(controlv1connect.NewSystemServiceHandler(s))
	return mux
}

func (s *server) start(t *testing.T) string {
	t.Helper()
	on := httptest.NewServer(s.handler())
	t.Cleanup(on.Close)
	return on.URL
}

// refusal is an error as control planes send them.
func refusal(code connect.Code, reason string, more map[string]string, violations ...*errdetails.BadRequest_FieldViolation) error {
	out := connect.NewError(code, errors.New("it does not work"))
	meta := map[string]string{"hint": "Do otherwise.", "request_id": "req_1"}
	maps.Copy(meta, more)
	for _, d := range []proto.Message{&errdetails.ErrorInfo{Reason: reason, Domain: "tollgate", Metadata: meta}, &errdetails.BadRequest{FieldViolations: violations}} {
		detail, err := connect.NewErrorDetail(d)
		if err != nil {
			return err
		}
		out.AddDetail(detail)
	}
	return out
}

var soon = client.WithRetry(client.Retry{Attempts: 3, First: time.Microsecond, Most: time.Microsecond})

func newClient(t *testing.T, url string, options ...client.Option) *client.Client {
	t.Helper()
	h := &http.Client{Transport: &http.Transport{}}
	t.Cleanup(h.CloseIdleConnections)
	c, err := client.New(url, append([]client.Option{client.WithHTTPClient(h), soon}, options...)...)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// dead is an address at which nothing listens.
func dead(t *testing.T) string {
	t.Helper()
	s := httptest.NewServer(http.NotFoundHandler())
	s.Close()
	return s.URL
}

// Guarantee: every call says who calls, and what a context asks for reaches the calls that are made with it and no others.
func TestCallsSayWhoAndHow(t *testing.T) {
	t.Parallel()
	s := &server{
		create: func(int, string) error { return nil },
		list:   func(*controlv1.ListKeysRequest) *controlv1.ListKeysResponse { return &controlv1.ListKeysResponse{} },
	}
	c := newClient(t, s.start(t), client.WithToken("tgt_1"), client.WithUserAgent("billing/1.4"))
	asks := client.IdempotencyKey(client.Override(client.DryRun(t.Context())), "monthly")
	for _, ctx := range []context.Context{t.Context(), asks} {
		if _, err := c.Keys.CreateKey(ctx, &controlv1.CreateKeyRequest{Name: "a"}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := c.Keys.ListKeys(asks, &controlv1.ListKeysRequest{}); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string][]string{
		"Authorization":       {"Bearer tgt_1", "Bearer tgt_1", "Bearer tgt_1"},
		"User-Agent":          {"billing/1.4", "billing/1.4", "billing/1.4"},
		"X-Tollgate-Dry-Run":  {"", "true", ""},
		"X-Tollgate-Override": {"", "managed", ""},
	} {
		if got := s.all(name); !slices.Equal(got, want) {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
	if keys := s.all("Idempotency-Key"); keys[0] == "" || keys[1] != "monthly" || keys[2] != "" {
		t.Errorf("the keys are %q", keys)
	}
}

// Guarantee: a write that does not come through is sent again under the same key, and the next write under another.
func TestWritesAreSentAgainUnderOneKey(t *testing.T) {
	t.Parallel()
	s := &server{create: func(call int, _ string) error {
		if call < 3 {
			return refusal(connect.CodeUnavailable, "unavailable", nil)
		}
		return nil
	}}
	c := newClient(t, s.start(t))
	for _, name := range []string{"a", "b"} {
		if _, err := c.Keys.CreateKey(t.Context(), &controlv1.CreateKeyRequest{Name: name}); err != nil {
			t.Fatal(err)
		}
	}
	keys := s.all("Idempotency-Key")
	if len(keys) != 4 || keys[0] == "" || keys[0] != keys[1] || keys[1] != keys[2] || keys[2] == keys[3] {
		t.Errorf("the keys are %q", keys)
	}
}

// Guarantee: what is refused for good is asked once, and so is a write of which the server would not know that it came before.
func TestSomeAreNeverSentAgain(t *testing.T) {
	t.Parallel()
	s := &server{create: func(int, string) error { return refusal(connect.CodeAlreadyExists, "already_exists", nil) }}
	c := newClient(t, s.start(t))
	if _, err := c.Keys.CreateKey(t.Context(), &controlv1.CreateKeyRequest{}); client.CodeOf(err) != client.AlreadyExists {
		t.Errorf("got %v", err)
	}
	if _, err := c.Account.SignIn(t.Context(), &controlv1.SignInRequest{}); client.CodeOf(err) != client.Unavailable {
		t.Errorf("got %v", err)
	}
	if n := len(s.all("")); n != 2 {
		t.Errorf("%d calls came", n)
	}
}

// Guarantee: an error has its code, its hint, the call's id and each wrong field, and is still the protocol's.
func TestErrors(t *testing.T) {
	t.Parallel()
	s := &server{create: func(int, string) error {
		return refusal(connect.CodeInvalidArgument, "invalid_argument", map[string]string{"retry_after_ms": "1500"},
			&errdetails.BadRequest_FieldViolation{Field: "name", Reason: "pattern", Description: "name: must be lower-case"})
	}}
	_, err := newClient(t, s.start(t)).Keys.CreateKey(t.Context(), &controlv1.CreateKeyRequest{})
	e, ok := errors.AsType[*client.Error](fmt.Errorf("creating: %w", err))
	if !ok {
		t.Fatalf("got %T %v", err, err)
	}
	if e.Code != client.InvalidArgument || e.Message != "it does not work" || e.Hint != "Do otherwise." || e.RequestID != "req_1" ||
		e.RetryAfter != 1500*time.Millisecond || !slices.Equal(e.Violations, []client.Violation{{"name", "pattern", "name: must be lower-case"}}) {
		t.Errorf("got %+v", e)
	}
	if connect.CodeOf(err) != connect.CodeInvalidArgument {
		t.Errorf("as the protocol's it is %v", connect.CodeOf(err))
	}
	if got := e.Error(); got != "it does not work (invalid_argument, request req_1)" {
		t.Errorf("it reads %q", got)
	}
	for _, code := range []string{
		client.InvalidArgument, client.NotFound, client.AlreadyExists, client.StaleETag, client.ManagedByFile, client.FailedPrecondition,
		client.Unauthenticated, client.PermissionDenied, client.Unavailable, client.DeadlineExceeded, client.InternalError, client.IdempotencyReused,
	} {
		if _, _, _, known := fault.Describe(fault.Code(code)); !known {
			t.Errorf("%s is not in the catalogue", code)
		}
	}
}

// Guarantee: a server at which nothing listens is left for the next, which is kept to; with none there the error says unavailable.
func TestServersThatAreAway(t *testing.T) {
	t.Parallel()
	s := &server{create: func(int, string) error { return nil }}
	alive := httptest.NewServer(http.StripPrefix("/tollgate", s.handler()))
	t.Cleanup(alive.Close)
	never := client.WithRetry(client.Retry{Attempts: 1})
	c := newClient(t, dead(t), client.WithServers(dead(t)+"/below", alive.URL+"/tollgate"), never)
	for range 2 {
		if _, err := c.Keys.CreateKey(t.Context(), &controlv1.CreateKeyRequest{Name: "a"}); err != nil {
			t.Fatal(err)
		}
	}
	_, err := newClient(t, dead(t), client.WithServers(dead(t))).Keys.CreateKey(t.Context(), &controlv1.CreateKeyRequest{})
	if e, ok := errors.AsType[*client.Error](err); !ok || e.Code != client.Unavailable || e.RequestID != "" {
		t.Errorf("got %v", err)
	}
}

// Guarantee: a server that answers that it cannot serve is left for the next by the call that is made again.
func TestServersThatCannotServe(t *testing.T) {
	t.Parallel()
	down := &server{create: func(int, string) error { return refusal(connect.CodeUnavailable, "unavailable", nil) }}
	up := &server{create: func(int, string) error { return nil }}
	c := newClient(t, down.start(t), client.WithServers(up.start(t)))
	for range 2 {
		if _, err := c.Keys.CreateKey(t.Context(), &controlv1.CreateKeyRequest{Name: "a"}); err != nil {
			t.Fatal(err)
		}
	}
	first, then := down.all("Idempotency-Key"), up.all("Idempotency-Key")
	if len(first) != 1 || len(then) != 2 || first[0] != then[0] {
		t.Errorf("the calls were %q and %q", first, then)
	}
}

// Guarantee: an authority of one's own is trusted when it is named, and a certificate of an unknown one is not asked again.
func TestCA(t *testing.T) {
	t.Parallel()
	s := &server{create: func(int, string) error { return nil }}
	on := httptest.NewUnstartedServer(s.handler())
	on.Config.ErrorLog = log.New(io.Discard, "", 0) // a handshake fails on purpose
	on.StartTLS()
	t.Cleanup(on.Close)
	ca := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: on.Certificate().Raw})
	c, err := client.New(on.URL, client.WithCA(ca))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Keys.CreateKey(t.Context(), &controlv1.CreateKeyRequest{Name: "a"}); err != nil {
		t.Error(err)
	}
	slow := client.WithRetry(client.Retry{Attempts: 2, First: time.Hour, Most: time.Hour})
	if c, err = client.New(on.URL, slow); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Keys.CreateKey(t.Context(), &controlv1.CreateKeyRequest{Name: "a"}); err == nil || !strings.Contains(err.Error(), "certificate") {
		t.Errorf("got %v", err)
	}
}

// Guarantee: what cannot work is refused when the client is made, and a token that cannot be had when it is needed.
func TestRefusedAtOnce(t *testing.T) {
	t.Parallel()
	for what, err := range map[string]error{
		"no scheme":   second(client.New("localhost:4001")),
		"a password":  second(client.New("http://me:secret@localhost")),
		"a second":    second(client.New("http://a", client.WithServers("b"))),
		"no PEM":      second(client.New("https://a", client.WithCA([]byte("x")))),
		"two":         second(client.New("https://a", client.WithCA([]byte("x")), client.WithHTTPClient(http.DefaultClient))),
		"no attempts": second(client.New("https://a", client.WithRetry(client.Retry{}))),
		"no client":   second(client.New("https://a", client.WithHTTPClient(nil))),
	} {
		if err == nil || strings.Contains(err.Error(), "secret") && what != "a password" {
			t.Errorf("%s: %v", what, err)
		}
	}
	gone := errors.New("the file is gone")
	c := newClient(t, dead(t), client.WithTokens(func(context.Context) (string, error) { return "", gone }))
	if _, err := c.Keys.CreateKey(t.Context(), &controlv1.CreateKeyRequest{}); !errors.Is(err, gone) {
		t.Errorf("got %v", err)
	}
	for _, err := range c.Tail(t.Context(), nil) {
		if !errors.Is(err, gone) {
			t.Errorf("got %v", err)
		}
	}
}

func second(_ *client.Client, err error) error { return err }

// Guarantee: a list is gone through to its end, page by page and no further than one reads, and the request is left as it was.
func TestAllPages(t *testing.T) {
	t.Parallel()
	s := &server{list: func(q *controlv1.ListKeysRequest) *controlv1.ListKeysResponse {
		at, _ := strconv.Atoi(q.GetPageToken())
		out := &controlv1.ListKeysResponse{Keys: []*controlv1.Key{{Name: q.GetFilter() + strconv.Itoa(at)}, {Name: q.GetFilter() + strconv.Itoa(at+1)}}}
		if at < 4 {
			out.NextPageToken = strconv.Itoa(at + 2)
		}
		return out
	}}
	c := newClient(t, s.start(t))
	req := &controlv1.ListKeysRequest{Filter: "k"}
	var names []string
	for k, err := range client.All(t.Context(), c.Keys.ListKeys, req, (*controlv1.ListKeysResponse).GetKeys) {
		if err != nil {
			t.Fatal(err)
		}
		names = append(names, k.GetName())
	}
	if strings.Join(names, " ") != "k0 k1 k2 k3 k4 k5" || req.GetPageToken() != "" {
		t.Errorf("names %q, request %v", names, req)
	}
	for _, err := range client.All(t.Context(), c.Keys.ListKeys, req, (*controlv1.ListKeysResponse).GetKeys) {
		if err != nil {
			t.Error(err)
		}
		break
	}
	if n := len(s.all("")); n != 4 {
		t.Errorf("%d pages were read", n)
	}
	s.list = func(*controlv1.ListKeysRequest) *controlv1.ListKeysResponse {
		return &controlv1.ListKeysResponse{NextPageToken: "same"}
	}
	var last error
	for _, err := range client.All(t.Context(), c.Keys.ListKeys, nil, (*controlv1.ListKeysResponse).GetKeys) {
		last = err
	}
	if last == nil || len(s.all("")) != 4 {
		t.Errorf("without a request: %v", last)
	}
	for _, err := range client.All(t.Context(), c.Keys.ListKeys, req, (*controlv1.ListKeysResponse).GetKeys) {
		last = err
	}
	if last == nil || !strings.Contains(last.Error(), "same page") {
		t.Errorf("with one page again and again: %v", last)
	}
}
