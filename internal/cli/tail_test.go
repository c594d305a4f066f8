package cli_test

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"connectrpc.com/connect"
	typemoney "google.golang.org/genproto/googleapis/type/money"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	controlv1 "tollgate/gen/tollgate/control/v1"
	"tollgate/gen/tollgate/control/v1/controlv1connect"
	"tollgate/internal/cli"
)

// breaking tells of requests over connections that break, one after the other.
type breaking struct {
	controlv1connect.UnimplementedRequestServiceHandler

	mu    sync.Mutex
	asked []*controlv1.TailRequestsRequest // guarded by mu
	lives [][]*controlv1.TailRequestsResponse
	last  error // with which the last one ends
	stays bool  // whether the last one does not end by itself
}

func (b *breaking) TailRequests(ctx context.Context, req *controlv1.TailRequestsRequest, stream *connect.ServerStream[controlv1.TailRequestsResponse]) error {
	b.mu.Lock()
	life := len(b.asked)
	b.asked = append(b.asked, req)
	b.mu.Unlock()
	for _, m := range b.lives[min(life, len(b.lives)-1)] {
		if err := stream.Send(m); err != nil {
			return err
		}
	}
	if life < len(b.lives)-1 {
		return connect.NewError(connect.CodeUnavailable, nil)
	}
	if b.stays {
		<-ctx.Done()
	}
	return b.last
}

func told(token string, gap bool, requests ...*controlv1.SeenRequest) *controlv1.TailRequestsResponse {
	return &controlv1.TailRequestsResponse{ResumeToken: token, Gap: gap, Requests: requests}
}

func ended(id string, at time.Time) *controlv1.SeenRequest {
	return &controlv1.SeenRequest{
		RequestId: id, Time: timestamppb.New(at), Status: 402, Method: "POST", Path: "/bria/v1", Key: "ci", Endpoint: "bria", Code: "budget_exhausted",
		Gateway: durationpb.New(400 * time.Microsecond), Cost: &typemoney.Money{CurrencyCode: "USD"}, Edge: "fra-1",
	}
}

// until ends a context when a text was written.
type until struct {
	bytes.Buffer
	text string
	end  func()
}

func (u *until) Write(p []byte) (int, error) {
	n, err := u.Buffer.Write(p)
	if u.text != "" && strings.Contains(u.String(), u.text) {
		u.end()
	}
	return n, err
}

func runTail(ctx context.Context, t *testing.T, b *breaking, out *until, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	mux := http.NewServeMux()
	mux.Handle(controlv1connect.NewRequestServiceHandler(b))
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	settings := map[string]string{"TOLLGATE_SERVER": server.URL, "TOLLGATE_TOKEN": "x", "TOLLGATE_CONFIG": filepath.Join(t.TempDir(), "contexts.yaml")}
	now := clock
	var errs bytes.Buffer
	root := cli.New(cli.Options{
		Stdout: out, Stderr: &errs, Getenv: func(name string) string { return settings[name] }, Dir: t.TempDir(),
		Now:   func() time.Time { return now },
		Pause: func(ctx context.Context, _ time.Duration) error { now = now.Add(4 * time.Second); return ctx.Err() },
	})
	code = root.Run(ctx, append([]string{"tail"}, args...))
	return out.String(), errs.String(), code
}

// Guarantee: a tail whose connection breaks goes on where it ended: what happened meanwhile is shown, and a line says how long it
// was away and how much was filled in.
func TestTailSurvivesBreaks(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	b := &breaking{stays: true, lives: [][]*controlv1.TailRequestsResponse{
		{told("one", false), told("two", false, ended("req_a", clock))},
		{told("two", false), told("three", false, ended("req_b", clock.Add(time.Second)), ended("req_c", clock.Add(2*time.Second)), ended("req_d", clock.Add(time.Hour)))},
		{told("three", false), told("four", true)},
		{told("four", false), told("five", false, ended("req_e", clock.Add(2*time.Hour)))},
	}}
	stdout, stderr, code := runTail(ctx, t, b, &until{text: "req_e", end: cancel}, "--since", "10m", "--endpoint", "bria", "--method", "post", "--min-time", "2s", "--min-cost", "0.5")
	if code != cli.ExitOK {
		t.Errorf("exit %d", code)
	}
	var ids []string
	for line := range strings.SplitSeq(strings.TrimSpace(stdout), "\n") {
		cells := strings.Split(line, "\t")
		ids = append(ids, cells[len(cells)-1])
	}
	if got := strings.Join(ids, " "); got != "req_a req_b req_c req_d req_e" {
		t.Errorf("shown: %s", got)
	}
	for _, want := range []string{"── reconnected after 4s, 2 requests filled in ──", "── reconnected after 4s, 0 requests filled in; some may be missing ──"} {
		if !strings.Contains(stderr, want) {
			t.Errorf("it does not say %q:\n%s", want, stderr)
		}
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	var tokens []string
	for _, req := range b.asked {
		tokens = append(tokens, req.GetResumeToken())
		if f := req.GetFilter(); f.GetEndpoints()[0] != "bria" || f.GetMethods()[0] != "POST" || f.GetMinCost().GetNanos() != 500_000_000 || f.GetMinTime().GetSeconds() != 2 {
			t.Errorf("filter %v", f)
		}
		if (req.GetSince() != nil) != (req.GetResumeToken() == "") {
			t.Errorf("since %v with the token %q", req.GetSince(), req.GetResumeToken())
		}
	}
	if got := strings.Join(tokens, " "); got != " two three four" {
		t.Errorf("resumed at %q", got)
	}
}

// Guarantee: without following it ends with what there is, in the form that was asked for; a caller who may not see requests learns
// that once, and a mistake in a flag is said before anything is asked.
func TestTailEnds(t *testing.T) {
	t.Parallel()
	there := &breaking{lives: [][]*controlv1.TailRequestsResponse{{told("one", false), told("two", false, ended("req_a", clock), ended("req_b", clock))}}}
	for form, want := range map[string]string{"name": "req_a\nreq_b\n", "json": `"requestId": "req_b"`, "ndjson": "\"requestId\":\"req_b\"", "csv": ",req_a\n", "yaml": "requestId: req_a"} {
		stdout, stderr, code := runTail(t.Context(), t, there, &until{}, "--no-follow", "-o", form)
		if code != cli.ExitOK || !strings.Contains(stdout, want) {
			t.Errorf("%s: exit %d\n%s%s", form, code, stdout, stderr)
		}
	}
	refusing := &breaking{lives: [][]*controlv1.TailRequestsResponse{{}}, last: connect.NewError(connect.CodePermissionDenied, errors.New("this token may read only"))}
	if _, stderr, code := runTail(t.Context(), t, refusing, &until{}); code != cli.ExitDenied || strings.Contains(stderr, "connecting again") {
		t.Errorf("exit %d\n%s", code, stderr)
	}
	for _, args := range [][]string{{"--status", "40"}, {"--since", "soon"}, {"--min-time", "x"}, {"--min-cost", "much"}, {"--max-per-second", "-1"}} {
		if _, stderr, code := runTail(t.Context(), t, &breaking{}, &until{}, args...); code != cli.ExitUsage {
			t.Errorf("%v: exit %d\n%s", args, code, stderr)
		}
	}
}
