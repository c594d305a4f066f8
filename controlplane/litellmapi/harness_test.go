package litellmapi_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"go.opentelemetry.io/otel/trace/noop"

	"tollgate/controlplane/litellmapi"
	"tollgate/controlplane/rpc"
	"tollgate/controlplane/secrets"
	"tollgate/controlplane/signin"
	"tollgate/controlplane/store"
	ledgerv1 "tollgate/gen/tollgate/ledger/v1"
	"tollgate/gen/tollgate/ledger/v1/ledgerv1connect"
	"tollgate/internal/fault"
	"tollgate/internal/seal"
	"tollgate/internal/testenv"
)

func TestMain(m *testing.M) { os.Exit(testenv.Main(m)) }

const (
	adminToken = "tga_test-token"
	// vendorSecret is looked for wherever it must not be.
	vendorSecret = "vendor-credential-8c1f"
)

func migrate(ctx context.Context, url string) error { return store.Migrate(ctx, url, nil) }

// books is a ledger in which a team called art has spent a dollar and a quarter on a day.
type books struct {
	ledgerv1connect.UnimplementedAccountServiceHandler
	ledgerv1connect.UnimplementedUsageServiceHandler
}

func (books) ListAccountStates(context.Context, *ledgerv1.ListAccountStatesRequest) (*ledgerv1.ListAccountStatesResponse, error) {
	return &ledgerv1.ListAccountStatesResponse{AsOfUnixMs: time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC).UnixMilli()}, nil
}

func (books) ListRecentUsage(context.Context, *ledgerv1.ListRecentUsageRequest) (*ledgerv1.ListRecentUsageResponse, error) {
	return &ledgerv1.ListRecentUsageResponse{}, nil
}

func (books) QueryUsage(_ context.Context, req *ledgerv1.QueryUsageRequest) (*ledgerv1.QueryUsageResponse, error) {
	from, err := time.Parse(time.DateOnly, req.GetFromDay())
	if err != nil || time.Since(from) > 3*366*24*time.Hour {
		return nil, errors.New("the period is longer than three years")
	}
	row := &ledgerv1.UsageRow{Requests: 3, CostNanos: 1_250_000_000, Units: 7}
	for _, by := range req.GetGroupBy() {
		switch by {
		case ledgerv1.UsageDimension_USAGE_DIMENSION_DAY:
			row.Day = "2026-01-01"
		case ledgerv1.UsageDimension_USAGE_DIMENSION_TEAM:
			row.Team = "art"
		case ledgerv1.UsageDimension_USAGE_DIMENSION_CUSTOMER:
			row.Customer = "acme"
		case ledgerv1.UsageDimension_USAGE_DIMENSION_MODEL:
			row.Model = "gpt-4o"
		case ledgerv1.UsageDimension_USAGE_DIMENSION_KEY:
			row.KeyId = "key_of-somebody"
		default:
		}
	}
	return &ledgerv1.QueryUsageResponse{Rows: []*ledgerv1.UsageRow{row}}, nil
}

func (books) ListRequests(context.Context, *ledgerv1.ListRequestsRequest) (*ledgerv1.ListRequestsResponse, error) {
	return &ledgerv1.ListRequestsResponse{}, nil
}

// proxy is the API on a control plane with a database of its own.
type proxy struct {
	t       *testing.T
	pool    *pgxpool.Pool
	handler http.Handler
	control http.Handler
	logs    *logs
}

type logs struct {
	mu  sync.Mutex // guards buf
	buf bytes.Buffer
}

func (l *logs) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

func (l *logs) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

func setup(t *testing.T) *proxy {
	t.Helper()
	p := &proxy{t: t, pool: testenv.Postgres(t, migrate), logs: &logs{}}
	mux := http.NewServeMux()
	mux.Handle(ledgerv1connect.NewAccountServiceHandler(books{}))
	mux.Handle(ledgerv1connect.NewUsageServiceHandler(books{}))
	ledger := httptest.NewServer(mux)
	t.Cleanup(ledger.Close)
	vault, err := secrets.New(seal.Generate(), seal.Generate())
	if err != nil {
		t.Fatal(err)
	}
	log := slog.New(slog.NewTextHandler(p.logs, &slog.HandlerOptions{Level: slog.LevelDebug}))
	db := store.New(p.pool)
	people, err := signin.New(signin.DefaultConfig(), db, log)
	if err != nil {
		t.Fatal(err)
	}
	p.control, err = rpc.NewHandler(rpc.Deps{
		Store: db, Vault: vault, Answers: vault, SignIn: people, AdminToken: adminToken,
		Ledger: rpc.NewLedger(ledger.Client(), ledger.URL, "tgl_test"), Tracer: noop.NewTracerProvider(), Log: log,
	})
	if err != nil {
		t.Fatal(err)
	}
	p.handler = litellmapi.New(litellmapi.Deps{
		Control: p.control, Store: db, Answers: vault, Version: "v1.2.3", Log: log, Open: func() bool { return true },
		Caller: func(refuse func(http.ResponseWriter, *http.Request, *fault.Error), next http.Handler) http.Handler {
			return rpc.Authenticate(adminToken, people, refuse, next)
		},
	})
	return p
}

// send makes a call with a token; headers are names and values.
func (p *proxy) send(token, method, path, body string, headers ...string) (int, string, http.Header) {
	p.t.Helper()
	req := httptest.NewRequestWithContext(p.t.Context(), method, path, strings.NewReader(body))
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	p.handler.ServeHTTP(w, req)
	raw, err := io.ReadAll(w.Result().Body)
	if err != nil {
		p.t.Fatal(err)
	}
	return w.Code, strings.TrimSpace(string(raw)), w.Header()
}

// ok makes a call as the administrator that has to succeed.
func (p *proxy) ok(method, path, body string, headers ...string) (string, http.Header) {
	p.t.Helper()
	status, text, h := p.send(adminToken, method, path, body, headers...)
	if status != http.StatusOK {
		p.t.Fatalf("%s %s: %d %s\n%s", method, path, status, text, p.logs)
	}
	return text, h
}
