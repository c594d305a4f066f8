package e2e_test

import (
	"bytes"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"connectrpc.com/connect"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	typemoney "google.golang.org/genproto/googleapis/type/money"
	"google.golang.org/protobuf/proto"

	controlv1 "tollgate/gen/tollgate/control/v1"
)

// Guarantee: bad input gets the catalogue's error, which names the field, and changes nothing.
func TestBadInputChangesNothing(t *testing.T) {
	t.Parallel()
	c := start(t)
	c.endpoint("bria", "/bria", "12.00")
	key := c.key("ci-bot")
	c.awaitLive()
	revision := func() int64 {
		t.Helper()
		info, err := c.rpc.system.GetInfo(t.Context(), &controlv1.GetInfoRequest{})
		if err != nil {
			t.Fatal(err)
		}
		return info.GetRevision()
	}
	good := &controlv1.Endpoint{
		Name: "second", Path: "/second", Targets: []*controlv1.Target{{Url: "https://api.example.com"}}, Price: fixed(t, "1.00"),
	}
	for name, bad := range map[string]struct {
		change func(*controlv1.Endpoint)
		code   connect.Code
		reason string
		field  string
	}{
		"path and method taken": {func(e *controlv1.Endpoint) { e.Path = "/bria" }, connect.CodeAlreadyExists, "already_exists", "endpoint.path"},
		"target not http":       {func(e *controlv1.Endpoint) { e.Targets[0].Url = "ftp://example.com" }, connect.CodeInvalidArgument, "invalid_argument", "endpoint.targets[0].url"},
		"reserved path":         {func(e *controlv1.Endpoint) { e.Path = "/-/x" }, connect.CodeInvalidArgument, "invalid_argument", "endpoint.path"},
		"negative price": {func(e *controlv1.Endpoint) {
			e.Price = &controlv1.Price{Kind: &controlv1.Price_Fixed_{Fixed: &controlv1.Price_Fixed{PerRequest: &typemoney.Money{CurrencyCode: "USD", Units: -1}}}}
		}, connect.CodeInvalidArgument, "invalid_argument", "endpoint.price.fixed.per_request"},
		"no price": {func(e *controlv1.Endpoint) { e.Price = nil }, connect.CodeInvalidArgument, "invalid_argument", "endpoint.price"},
		"unknown secret": {func(e *controlv1.Endpoint) {
			e.Headers = []*controlv1.Header{{Name: "api_token", Value: "${secret:nope}"}}
		}, connect.CodeInvalidArgument, "invalid_argument", "endpoint.headers[0].value"},
	} {
		before := revision()
		e := proto.CloneOf(good)
		bad.change(e)
		_, err := c.rpc.endpoints.CreateEndpoint(t.Context(), &controlv1.CreateEndpointRequest{Endpoint: e})
		if connect.CodeOf(err) != bad.code {
			t.Errorf("%s: %v; want %s", name, err, bad.code)
			continue
		}
		reason, fields := details(t, err)
		if reason != bad.reason || !strings.Contains(strings.Join(fields, " "), bad.field) {
			t.Errorf("%s: reason %s, fields %v; want %s, %s", name, reason, fields, bad.reason, bad.field)
		}
		if after := revision(); after != before {
			t.Errorf("%s: revision went from %d to %d", name, before, after)
		}
	}
	// A longer prefix inside another is fine.
	c.endpoint("inside", "/bria/v2", "1.00")

	before := revision()
	huge := strings.Repeat("x", 5<<20)
	if _, err := c.rpc.secrets.CreateSecret(t.Context(), &controlv1.CreateSecretRequest{Name: "huge", Value: huge}); connect.CodeOf(err) != connect.CodeResourceExhausted && connect.CodeOf(err) != connect.CodeInvalidArgument {
		t.Errorf("a body of 5 MiB: %v", err)
	}
	if after := revision(); after != before {
		t.Errorf("an oversized body moved the revision from %d to %d", before, after)
	}

	// At the gateway: a body above the endpoint's limit never reaches the vendor and costs nothing.
	c.endpoint("small", "/small", "1.00", func(e *controlv1.Endpoint) { e.MaxBodyBytes = 1000 })
	c.awaitLive()
	seen := c.vendor.Count()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+c.edgeAddrs[0]+"/small/x", bytes.NewReader(make([]byte, 2000)))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+key)
	resp, err := callers.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	var body bytes.Buffer
	_, _ = body.ReadFrom(resp.Body)
	_ = resp.Body.Close()
	if resp.StatusCode != http.StatusRequestEntityTooLarge || errorCode(body.Bytes()) != "body_too_large" || c.vendor.Count() != seen {
		t.Errorf("2,000 bytes where 1,000 are allowed: %s %s, the vendor saw %d more", resp.Status, body.String(), c.vendor.Count()-seen)
	}

	// Files: a LiteLLM file that is no YAML, and a role's file with an unknown key.
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	before = revision()
	if _, stderr, code := c.cli("import", "litellm", write("bad.yaml", "general_settings:\n\t- x: [")); code != 2 || !strings.Contains(stderr, "bad.yaml:2") {
		t.Errorf("malformed YAML: exit %d\n%s", code, stderr)
	}
	if _, stderr, code := runCLI(t, nil, "edge", "--check", "--config", write("edge.yaml", "listten: x\n")); code != 2 || !strings.Contains(stderr, "edge.yaml:1: listten") {
		t.Errorf("unknown key: exit %d\n%s", code, stderr)
	}
	if after := revision(); after != before {
		t.Errorf("bad files moved the revision from %d to %d", before, after)
	}
}

// details reads the catalogue's code and the fields that an error names.
func details(t *testing.T, err error) (reason string, fields []string) {
	t.Helper()
	var ce *connect.Error
	if !errors.As(err, &ce) {
		t.Fatalf("%v is no Connect error", err)
	}
	for _, d := range ce.Details() {
		v, err := d.Value()
		if err != nil {
			t.Fatal(err)
		}
		switch m := v.(type) {
		case *errdetails.ErrorInfo:
			reason = m.GetReason()
		case *errdetails.BadRequest:
			for _, f := range m.GetFieldViolations() {
				fields = append(fields, f.GetField())
			}
		}
	}
	return reason, fields
}
