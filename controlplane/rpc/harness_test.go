package rpc_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"connectrpc.com/connect"
	"github.com/jackc/pgx/v5/pgxpool"
	"go.opentelemetry.io/otel/trace/noop"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	typemoney "google.golang.org/genproto/googleapis/type/money"

	"tollgate/controlplane/changes"
	"tollgate/controlplane/fleet"
	"tollgate/controlplane/rpc"
	"tollgate/controlplane/secrets"
	"tollgate/controlplane/seen"
	"tollgate/controlplane/store"
	controlv1 "tollgate/gen/tollgate/control/v1"
	"tollgate/gen/tollgate/control/v1/controlv1connect"
	eventv1 "tollgate/gen/tollgate/event/v1"
	"tollgate/internal/contract"
	"tollgate/internal/seal"
	"tollgate/internal/testenv"
)

func TestMain(m *testing.M) { os.Exit(testenv.Main(m)) }

const (
	token = "tga_test-token"
	// vendorSecret is looked for wherever it must not be.
	vendorSecret = "vendor-credential-8c1f"
)

func migrate(ctx context.Context, url string) error { return store.Migrate(ctx, url, nil) }

// bundle is an API on a database of its own, with clients of one protocol.
type bundle struct {
	t         *testing.T
	pool      *pgxpool.Pool
	handler   http.Handler
	url       string
	http      *http.Client
	logs      *logs
	hub       *changes.Hub
	nodes     []fleet.Node
	obey      func(edge string, cmd *eventv1.EdgeCommand) (*eventv1.EdgeReply, error) // nil: they do as they are told
	asked     *eventv1.ExplainCall
	open      func(ticket string) (*eventv1.Ticket, error)
	explain   controlv1connect.ExplainServiceClient
	endpoints controlv1connect.EndpointServiceClient
	keys      controlv1connect.KeyServiceClient
	budgets   controlv1connect.BudgetServiceClient
	secrets   controlv1connect.SecretServiceClient
	usage     controlv1connect.UsageServiceClient
	teams     controlv1connect.TeamServiceClient
	limits    controlv1connect.LimitServiceClient
	prices    controlv1connect.PriceServiceClient
	templates controlv1connect.TemplateServiceClient
	system    controlv1connect.SystemServiceClient
	book      controlv1connect.PriceBookServiceClient
	models    controlv1connect.ModelServiceClient
	adapters  controlv1connect.AdapterServiceClient
	audit     controlv1connect.AuditServiceClient
	search    controlv1connect.SearchServiceClient
}

func (b *bundle) Nodes(contract.Version, time.Time) []fleet.Node { return b.nodes }

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

// record keeps every byte that a client receives, headers included.
type record struct {
	next http.RoundTripper
	logs *logs
}

func (r *record) RoundTrip(req *http.Request) (*http.Response, error) {
	res, err := r.next.RoundTrip(req)
	if err == nil {
		fmt.Fprint(r.logs, res.Header)
		res.Body = struct {
			io.Reader
			io.Closer
		}{io.TeeReader(res.Body, r.logs), res.Body}
	}
	return res, err
}

func setup(t *testing.T, options ...connect.ClientOption) *bundle {
	t.Helper()
	return setupWith(t, testenv.Postgres(t, migrate), &rpc.Ledger{}, options...)
}

func setupWith(t *testing.T, pool *pgxpool.Pool, ledger *rpc.Ledger, options ...connect.ClientOption) *bundle {
	t.Helper()
	vault, err := secrets.New(seal.Generate(), seal.Generate())
	if err != nil {
		t.Fatal(err)
	}
	b := &bundle{t: t, pool: pool, logs: &logs{}}
	hub, stopping := changes.New(store.New(pool), slog.New(slog.DiscardHandler)), make(chan struct{})
	b.hub = hub
	ctx, end := context.WithCancel(context.Background())
	var following sync.WaitGroup
	following.Go(func() { _ = hub.Run(ctx) }) // it ends with nothing but its context
	t.Cleanup(func() {
		end()
		following.Wait()
	})
	handler, err := rpc.NewHandler(rpc.Deps{
		Changes: hub, Stopping: stopping,
		Store: store.New(pool), Vault: vault, Answers: vault, Fleet: b, Edges: b, Drafts: b, Tickets: b.tickets(t), Seen: justSeen{seen.New(nil, 1, slog.New(slog.DiscardHandler))}, Joining: b, Ledger: ledger, AdminToken: token, Version: "v1.2.3",
		Tracer: noop.NewTracerProvider(), Log: slog.New(slog.NewTextHandler(b.logs, nil)),
	})
	if err != nil {
		t.Fatal(err)
	}
	b.handler = handler
	var protocols http.Protocols
	protocols.SetHTTP1(true)
	protocols.SetUnencryptedHTTP2(true)
	server := httptest.NewUnstartedServer(handler)
	server.Config.Protocols = &protocols
	server.Start()
	t.Cleanup(func() {
		close(stopping) // streams end
		server.Close()
	})
	var h2c http.Protocols
	h2c.SetUnencryptedHTTP2(true)
	transport := &http.Transport{Protocols: &h2c}
	t.Cleanup(transport.CloseIdleConnections)
	b.url, b.http = server.URL, &http.Client{Transport: &record{transport, b.logs}}
	options = append(options, connect.WithInterceptors(withToken{}))
	b.endpoints = controlv1connect.NewEndpointServiceClient(b.http, b.url, options...)
	b.keys = controlv1connect.NewKeyServiceClient(b.http, b.url, options...)
	b.budgets = controlv1connect.NewBudgetServiceClient(b.http, b.url, options...)
	b.secrets = controlv1connect.NewSecretServiceClient(b.http, b.url, options...)
	b.usage = controlv1connect.NewUsageServiceClient(b.http, b.url, options...)
	b.teams = controlv1connect.NewTeamServiceClient(b.http, b.url, options...)
	b.prices = controlv1connect.NewPriceServiceClient(b.http, b.url, options...)
	b.templates = controlv1connect.NewTemplateServiceClient(b.http, b.url, options...)
	b.limits = controlv1connect.NewLimitServiceClient(b.http, b.url, options...)
	b.explain = controlv1connect.NewExplainServiceClient(b.http, b.url, options...)
	b.system = controlv1connect.NewSystemServiceClient(b.http, b.url, options...)
	b.models = controlv1connect.NewModelServiceClient(b.http, b.url, options...)
	b.adapters = controlv1connect.NewAdapterServiceClient(b.http, b.url, options...)
	b.audit = controlv1connect.NewAuditServiceClient(b.http, b.url, options...)
	b.search = controlv1connect.NewSearchServiceClient(b.http, b.url, options...)
	b.book = controlv1connect.NewPriceBookServiceClient(b.http, b.url, options...)
	return b
}

// withToken is a caller that holds the admin token.
type withToken struct{}

func (withToken) WrapUnary(next connect.UnaryFunc) connect.UnaryFunc {
	return func(ctx context.Context, req connect.AnyRequest) (connect.AnyResponse, error) {
		req.Header().Set("Authorization", "Bearer "+token)
		return next(ctx, req)
	}
}

func (withToken) WrapStreamingClient(next connect.StreamingClientFunc) connect.StreamingClientFunc {
	return func(ctx context.Context, spec connect.Spec) connect.StreamingClientConn {
		conn := next(ctx, spec)
		conn.RequestHeader().Set("Authorization", "Bearer "+token)
		return conn
	}
}

func (withToken) WrapStreamingHandler(next connect.StreamingHandlerFunc) connect.StreamingHandlerFunc {
	return next
}

// post sends a body as curl would, and returns the status and the answer.
func (b *bundle) post(procedure, body string, header ...string) (int, string, http.Header) {
	b.t.Helper()
	req, err := http.NewRequest(http.MethodPost, b.url+procedure, strings.NewReader(body))
	if err != nil {
		b.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Authorization", "Bearer "+token)
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	var transport http.Transport // HTTP/1.1
	defer transport.CloseIdleConnections()
	res, err := transport.RoundTrip(req)
	if err != nil {
		b.t.Fatal(err)
	}
	defer res.Body.Close()
	raw, err := io.ReadAll(res.Body)
	if err != nil {
		b.t.Fatal(err)
	}
	maps.Copy(res.Header, res.Trailer) // where gRPC has its status
	return res.StatusCode, string(raw), res.Header
}

var tables = []string{
	"revision", "endpoint", "endpoint_secret", "team", "key", "key_endpoint", "budget", "traffic_limit", "secret", "audit", "dirty",
	"price_row", "price_book_version",
	"customer", "tag", "settings", "managed",
	"model", "model_name", "model_secret", "model_adapter", "adapter", "adapter_secret", "endpoint_adapter",
}

// dump is all that is stored.
func (b *bundle) dump() string {
	b.t.Helper()
	var out strings.Builder
	for _, table := range tables {
		var text string
		sql := `SELECT coalesce(string_agg(t::text, E'\n' ORDER BY t::text), '') FROM control.` + table + ` t`
		if err := b.pool.QueryRow(b.t.Context(), sql).Scan(&text); err != nil {
			b.t.Fatal(err)
		}
		out.WriteString(table + "\n" + text + "\n")
	}
	return out.String()
}

// dirty lists the subjects that are to be published, and forgets them.
func (b *bundle) dirty() []string {
	b.t.Helper()
	var subjects []string
	sql := `WITH gone AS (DELETE FROM control.dirty RETURNING subject)
		SELECT coalesce(array_agg(subject ORDER BY subject), '{}') FROM gone`
	if err := b.pool.QueryRow(b.t.Context(), sql).Scan(&subjects); err != nil {
		b.t.Fatal(err)
	}
	for i, s := range subjects {
		subjects[i] = strings.TrimPrefix(s, "tollgate.v1.config.")
	}
	return subjects
}

func usd(units int64, nanos int32) *typemoney.Money {
	return &typemoney.Money{CurrencyCode: "USD", Units: units, Nanos: nanos}
}

func fixed(m *typemoney.Money) *controlv1.Price {
	return &controlv1.Price{Kind: &controlv1.Price_Fixed_{Fixed: &controlv1.Price_Fixed{PerRequest: m}}}
}

// byUsage is a price of what the target tells and of what it sends.
func byUsage() *controlv1.Price {
	return &controlv1.Price{Kind: &controlv1.Price_Usage_{Usage: &controlv1.Price_Usage{
		PerRequest: usd(0, 1), Hold: usd(1, 0), Bound: controlv1.Price_BOUND_ESTIMATE, Fallback: usd(0, 5),
		Rates: []*controlv1.Price_Rate{
			{Unit: controlv1.Price_UNIT_RESPONSE_HEADER, Header: "x-tokens", PerMillion: usd(3, 0)},
			{Unit: controlv1.Price_UNIT_RESPONSE_BYTES, PerMillion: usd(0, 7)},
		},
	}}}
}

// byMeters is a price as an API of chats has it.
func byMeters() *controlv1.Price {
	tokens := func(name string) *controlv1.Counter {
		return &controlv1.Counter{Name: name, Sources: []*controlv1.Source{{Place: &controlv1.Source_Frame{Frame: "usage." + name + "_tokens"}}}}
	}
	return &controlv1.Price{Kind: &controlv1.Price_Metered{Metered: &controlv1.Metered{
		Meters: []*controlv1.Meter{
			{
				Name: "chat", Match: &controlv1.MeterMatch{Methods: []string{"POST"}, Path: "^/v1/chat/completions$"},
				Model:    []*controlv1.Source{{Place: &controlv1.Source_Frame{Frame: "model"}}, {Place: &controlv1.Source_Request{Request: "model"}}},
				Counters: []*controlv1.Counter{tokens("prompt"), tokens("completion")},
				Units:    []*controlv1.Unit{{Name: "input", Add: []string{"prompt"}}, {Name: "output", Add: []string{"completion"}}},
				Prices: []*controlv1.ModelPrice{{Model: "gpt-4o*", Rates: []*controlv1.UnitPrice{
					{Unit: "input", Price: "2.50", Per: 1_000_000}, {Unit: "output", Price: "10", Per: 1_000_000},
				}}},
				Book: "openai", Hold: &controlv1.MeterHold{Amount: "0.05"},
			},
			{Name: "models", Match: &controlv1.MeterMatch{Methods: []string{"GET"}}, Free: true},
		},
		Unmatched: "refuse", Fallback: "0.01",
	}}}
}

// byTarget is a price that the target says.
func byTarget() *controlv1.Price {
	return &controlv1.Price{Kind: &controlv1.Price_Reported_{Reported: &controlv1.Price_Reported{
		Header: "x-cost", Ceiling: usd(2, 0), Fallback: usd(0, 5), Charge: charge(),
	}}}
}

// charge says which answers are charged, in every way.
func charge() *controlv1.Charge {
	status := &controlv1.Source{Place: &controlv1.Source_Frame{Frame: "status"}}
	return &controlv1.Charge{
		Statuses: []string{"2xx", "404"}, Methods: []string{"POST"},
		OnlyIf: []*controlv1.Condition{{Source: status}},
		Unless: []*controlv1.Condition{{Source: status, In: []string{"failed", "3"}}},
	}
}

func signing() *controlv1.AwsSigning {
	return &controlv1.AwsSigning{
		Service: "bedrock", Region: "eu-central-1", AccessKeyId: "AKIAEXAMPLE", SecretAccessKey: "${secret:client}", SessionToken: "${env:TOKEN}",
		RoleArn: "arn:aws:iam::123456789012:role/gateway/calls", ExternalId: "a${secret:bria}", StsUrl: "https://sts.example.com",
	}
}

func bria() *controlv1.Endpoint {
	return &controlv1.Endpoint{
		Name: "bria", Path: "/bria", Methods: []string{"POST"},
		Targets: []*controlv1.Target{{Url: "https://engine.prod.bria-api.com/v1"}},
		Headers: []*controlv1.Header{{Name: "api_token", Value: "${secret:bria}"}},
		Price:   fixed(usd(12, 0)),
	}
}

// must unwraps the answer of a call that has to succeed.
func must[T any](t *testing.T) func(T, error) T {
	t.Helper()
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatalf("%v %v", err, details(err))
		}
		return v
	}
}

// seed stores a secret, an endpoint, a key and a budget.
func (b *bundle) seed() (*controlv1.Endpoint, *controlv1.Key, *controlv1.Budget) {
	b.t.Helper()
	ctx := b.t.Context()
	must[*controlv1.CreateSecretResponse](b.t)(b.secrets.CreateSecret(ctx, &controlv1.CreateSecretRequest{Name: "bria", Value: vendorSecret}))
	e := must[*controlv1.CreateEndpointResponse](b.t)(b.endpoints.CreateEndpoint(ctx, &controlv1.CreateEndpointRequest{Endpoint: bria()})).GetEndpoint()
	k := must[*controlv1.CreateKeyResponse](b.t)(b.keys.CreateKey(ctx, &controlv1.CreateKeyRequest{Name: "ci-bot", Endpoints: []string{"bria"}})).GetKey()
	g := must[*controlv1.CreateBudgetResponse](b.t)(b.budgets.CreateBudget(ctx, &controlv1.CreateBudgetRequest{Budget: &controlv1.Budget{
		Name: "ci-month", Scope: &controlv1.Budget_Key{Key: "ci-bot"}, Amount: usd(100, 0), Period: controlv1.Period_PERIOD_MONTH, TimeZone: "Europe/Berlin",
	}})).GetBudget()
	return e, k, g
}

// failure is an error as its caller sees it.
type failure struct {
	Code       connect.Code
	Reason     string
	Violations []string // field:reason
}

func failureOf(err error) failure {
	f := failure{Code: connect.CodeOf(err)}
	for _, d := range details(err) {
		switch d := d.(type) {
		case *errdetails.ErrorInfo:
			f.Reason = d.GetReason()
		case *errdetails.BadRequest:
			for _, v := range d.GetFieldViolations() {
				f.Violations = append(f.Violations, v.GetField()+":"+v.GetReason())
			}
		}
	}
	return f
}

func details(err error) (out []any) {
	var ce *connect.Error
	if !errors.As(err, &ce) {
		return nil
	}
	for _, d := range ce.Details() {
		if m, err := d.Value(); err == nil {
			out = append(out, m)
		}
	}
	return out
}

func digest(s string) []byte {
	h := contract.KeyHash([]byte(s))
	return h[:]
}

func wire(raw []byte) string { return base64.StdEncoding.EncodeToString(raw) }
