package join

import (
	"context"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"connectrpc.com/connect"
	"go.uber.org/goleak"

	controlv1 "tollgate/gen/tollgate/control/v1"
	"tollgate/gen/tollgate/control/v1/controlv1connect"
	"tollgate/internal/fault"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

type control struct {
	controlv1connect.UnimplementedEdgeServiceHandler

	settings string
	asked    []*controlv1.JoinRequest
}

func (c *control) Join(_ context.Context, req *controlv1.JoinRequest) (*controlv1.JoinResponse, error) {
	c.asked = append(c.asked, req)
	if req.GetToken() != "tgj_good" {
		return nil, connect.NewError(connect.CodeUnauthenticated, nil)
	}
	return &controlv1.JoinResponse{Settings: []byte(c.settings), Node: req.GetNode()}, nil
}

func serve(t *testing.T, settings string) (*control, string) {
	t.Helper()
	c := &control{settings: settings}
	mux := http.NewServeMux()
	mux.Handle(controlv1connect.NewEdgeServiceHandler(c))
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	return c, server.URL
}

// Guarantee: an edge keeps what it got where only its owner reads it, with files beside it, and asks for it once.
func TestFetch(t *testing.T) {
	t.Parallel()
	c, url := serve(t, "nats: {url: 'nats://n:4222', ca_file: ca.pem}\nsealing_key: abc\nledger_token: 'x$${y'\nfiles: {ca.pem: \"cert$${z\"}\n")
	o := Options{URL: url + "/", Token: "tgj_good", Node: "lon-2", Version: "v1", Dir: t.TempDir()}
	for range 2 {
		if err := Fetch(t.Context(), o); err != nil {
			t.Fatal(err)
		}
	}
	if len(c.asked) != 1 || c.asked[0].GetVersion() != "v1" {
		t.Errorf("asked %v", c.asked)
	}
	raw, err := os.ReadFile(File(o.Dir))
	if err != nil {
		t.Fatal(err)
	}
	ca := filepath.Join(o.Dir, folder, "ca.pem")
	for _, want := range []string{"name: lon-2", "sealing_key: abc", "ca_file: " + ca, "x$${y"} {
		if !strings.Contains(string(raw), want) {
			t.Errorf("without %s:\n%s", want, raw)
		}
	}
	if text, err := os.ReadFile(ca); err != nil || string(text) != "cert${z" {
		t.Errorf("%q %v", text, err)
	}
	for _, path := range []string{File(o.Dir), ca} {
		if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v %v", path, info.Mode(), err)
		}
	}
}

// Guarantee: what an edge must not or cannot do is refused with a reason, keeps nothing, and names no token.
func TestFetchRefused(t *testing.T) {
	t.Parallel()
	_, good := serve(t, "sealing_key: abc\n")
	_, escape := serve(t, "files: {../x: text}\n")
	_, nothing := serve(t, "- a list\n")
	for name, c := range map[string]struct {
		o    Options
		code fault.Code
	}{
		"no URL":        {Options{URL: "control:4001", Token: "tgj_good"}, fault.InvalidArgument},
		"no token":      {Options{URL: good}, fault.InvalidArgument},
		"plain, far":    {Options{URL: "http://10.1.2.3:4001", Token: "tgj_good"}, fault.InvalidArgument},
		"bad name":      {Options{URL: good, Token: "tgj_good", Node: "a b"}, fault.InvalidArgument},
		"used":          {Options{URL: good, Token: "tgj_used"}, fault.FailedPrecondition},
		"away":          {Options{URL: "http://127.0.0.1:1", Token: "tgj_good"}, fault.UnavailableErr},
		"outside":       {Options{URL: escape, Token: "tgj_good"}, fault.FailedPrecondition},
		"not a mapping": {Options{URL: nothing, Token: "tgj_good"}, fault.FailedPrecondition},
	} {
		c.o.Dir = t.TempDir()
		err := Fetch(t.Context(), c.o)
		if err == nil || fault.From(err).Code != c.code || strings.Contains(err.Error(), "tgj_") {
			t.Errorf("%s: %v", name, err)
		}
		if File(c.o.Dir) != "" {
			t.Errorf("%s: settings are kept", name)
		}
	}
}
