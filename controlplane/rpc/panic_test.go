package rpc_test

import (
	"log/slog"
	"net/http/httptest"
	"strings"
	"testing"

	"connectrpc.com/connect"
	"go.opentelemetry.io/otel/trace/noop"

	"tollgate/controlplane/rpc"
	"tollgate/controlplane/store"
)

type brokenVault struct{}

func (brokenVault) Encrypt(string, string) ([]byte, error) { panic("boom " + vendorSecret) }

// Guarantee: a handler that panics answers with an internal error that tells nothing, leaves no
// trace in the database, and the next call is served.
func TestPanic(t *testing.T) {
	t.Parallel()
	b := setup(t)
	logged := &logs{}
	handler, err := rpc.NewHandler(rpc.Deps{
		Store: store.New(b.pool), Vault: brokenVault{}, Fleet: b, AdminToken: token,
		Tracer: noop.NewTracerProvider(), Log: slog.New(slog.NewTextHandler(logged, nil)),
	})
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	before := b.dump()
	broken := &bundle{t: t, url: server.URL}
	status, body, _ := broken.post("/tollgate.control.v1.SecretService/CreateSecret", `{"name":"x","value":"y"}`)
	if status != 500 || !strings.Contains(body, connect.CodeInternal.String()) || strings.Contains(body, "boom") {
		t.Errorf("%d %s", status, body)
	}
	if b.dump() != before || !strings.Contains(logged.String(), "boom") {
		t.Error("changed something, or not logged")
	}
	// Without a ledger to ask, not even one that says so, a stream panics as well.
	_, body, _ = broken.post("/tollgate.control.v1.UsageService/ExportRequests", "\x00\x00\x00\x00\x0d{\"format\": 1}", "Content-Type", "application/connect+json")
	if !strings.Contains(body, `"code":"internal"`) || strings.Contains(body, "nil pointer") || !strings.Contains(logged.String(), "nil pointer") {
		t.Errorf("stream: %q", body)
	}
	if status, body, _ := broken.post("/tollgate.control.v1.SystemService/GetInfo", `{}`); status != 200 {
		t.Errorf("after: %d %s", status, body)
	}
}

func (brokenVault) Open(string, []byte) ([]byte, error) { panic("the vault is broken") }
