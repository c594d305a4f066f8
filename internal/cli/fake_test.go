package cli_test

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	typemoney "google.golang.org/genproto/googleapis/type/money"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	controlv1 "tollgate/gen/tollgate/control/v1"
	"tollgate/gen/tollgate/control/v1/controlv1connect"
	"tollgate/internal/fault"
)

const adminToken = "tga_test"

var clock = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

// fake is a control plane in memory: real Connect handlers with maps behind them, which answer with
// the error details that the real one sends.
type fake struct {
	mu        sync.Mutex // guards all below
	revision  int64
	endpoints map[string]*controlv1.Endpoint
	keys      map[string]*controlv1.Key
	hashes    map[string][]byte
	budgets   map[string]*controlv1.Budget
	teams     map[string]*controlv1.Team
	limits    map[string]*controlv1.Limit
	secrets   map[string]*controlv1.Secret
	models    map[string]*controlv1.Model
	adapters  map[string]*controlv1.Adapter
	values    map[string]string
	prices    map[string]*controlv1.BookRow
	noLedger  bool
	// of the price book, newest first
	priceVersions []*controlv1.PriceBookVersion
	changed       bool // whether somebody else changes each endpoint between reading and writing
}

func newFake() *fake {
	return &fake{
		revision: 100, endpoints: map[string]*controlv1.Endpoint{}, keys: map[string]*controlv1.Key{}, hashes: map[string][]byte{},
		budgets: map[string]*controlv1.Budget{}, teams: map[string]*controlv1.Team{}, limits: map[string]*controlv1.Limit{}, secrets: map[string]*controlv1.Secret{}, values: map[string]string{},
		prices: map[string]*controlv1.BookRow{}, models: map[string]*controlv1.Model{}, adapters: map[string]*controlv1.Adapter{},
	}
}

// serve starts the control plane of a script.
func (s *session) serve(t *testing.T) *httptest.Server {
	t.Helper()
	s.canned = &canned{answers: map[string]json.RawMessage{}, faults: map[string]*fault.Error{}, asked: map[string]asked{}, next: s.fake.handler()}
	server := httptest.NewServer(s.canned)
	t.Cleanup(server.Close)
	return server
}

// handler is all of it.
func (f *fake) handler() http.Handler {
	mux := http.NewServeMux()
	check := connect.WithInterceptors(guard{f})
	mux.Handle(controlv1connect.NewEndpointServiceHandler(endpointService{fake: f}, check))
	mux.Handle(controlv1connect.NewKeyServiceHandler(keyService{fake: f}, check))
	mux.Handle(controlv1connect.NewBudgetServiceHandler(budgetService{fake: f}, check))
	mux.Handle(controlv1connect.NewTeamServiceHandler(teamService{fake: f}, check))
	mux.Handle(controlv1connect.NewLimitServiceHandler(limitService{fake: f}, check))
	mux.Handle(controlv1connect.NewSecretServiceHandler(secretService{fake: f}, check))
	mux.Handle(controlv1connect.NewRequestServiceHandler(requestService{}, check))
	mux.Handle(controlv1connect.NewUsageServiceHandler(usageService{}, check))
	mux.Handle(controlv1connect.NewExplainServiceHandler(explainService{}, check))
	mux.Handle(controlv1connect.NewPriceBookServiceHandler(priceBookService{fake: f}, check))
	mux.Handle(controlv1connect.NewTemplateServiceHandler(templateService{}, check))
	mux.Handle(controlv1connect.NewPriceServiceHandler(priceService{}, check))
	mux.Handle(controlv1connect.NewModelServiceHandler(modelService{fake: f}, check))
	mux.Handle(controlv1connect.NewAdapterServiceHandler(adapterService{fake: f}, check))
	mux.Handle(controlv1connect.NewSystemServiceHandler(systemService{}, check))
	mux.Handle(controlv1connect.NewAccountServiceHandler(accountService{}, check))
	for _, path := range []string{"/healthz", "/readyz"} {
		mux.HandleFunc("GET "+path, func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") })
	}
	// The console's page, whose script is missing.
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintln(w, `<script type="application/json" id="boot">{"console":true}</script><script type="module" crossorigin src="./assets/gone.js"></script>`)
	})
	return mux
}

// guard checks the token of every call, and lets one call in at a time.
type guard struct{ *fake }

func (g guard) check(h http.Header) error {
	switch h.Get("Authorization") {
	case "Bearer " + adminToken:
		return nil
	case "Bearer tga_reader":
		return refuse(fault.New(fault.PermissionDenied, "This token may read only."))
	default:
		return refuse(fault.New(fault.UnauthenticatedErr, "No admin token."))
	}
}

func (g guard) WrapUnary(next connect.UnaryFunc) connect.UnaryFunc {
	return func(ctx context.Context, req connect.AnyRequest) (connect.AnyResponse, error) {
		if err := g.check(req.Header()); err != nil {
			return nil, err
		}
		g.mu.Lock()
		defer g.mu.Unlock()
		return next(ctx, req)
	}
}

func (g guard) WrapStreamingHandler(next connect.StreamingHandlerFunc) connect.StreamingHandlerFunc {
	return func(ctx context.Context, conn connect.StreamingHandlerConn) error {
		if err := g.check(conn.RequestHeader()); err != nil {
			return err
		}
		return next(ctx, conn)
	}
}

func (guard) WrapStreamingClient(next connect.StreamingClientFunc) connect.StreamingClientFunc {
	return next
}

// refuse makes what the real control plane makes of a fault.
func refuse(e *fault.Error) error {
	codes := map[fault.Kind]connect.Code{
		fault.Invalid: connect.CodeInvalidArgument, fault.Unauthenticated: connect.CodeUnauthenticated, fault.Denied: connect.CodePermissionDenied,
		fault.NotFound: connect.CodeNotFound, fault.Exists: connect.CodeAlreadyExists, fault.Conflict: connect.CodeAborted,
		fault.Precondition: connect.CodeFailedPrecondition, fault.Unavailable: connect.CodeUnavailable,
	}
	err := connect.NewError(codes[e.Kind()], fmt.Errorf("%s", e.Message))
	add := func(m proto.Message) {
		d, derr := connect.NewErrorDetail(m)
		if derr != nil {
			panic(derr)
		}
		err.AddDetail(d)
	}
	add(&errdetails.ErrorInfo{Reason: string(e.Code), Domain: "tollgate", Metadata: map[string]string{"hint": e.Hint, "request_id": "req_test"}})
	if len(e.Violations) > 0 {
		bad := &errdetails.BadRequest{}
		for _, v := range e.Violations {
			bad.FieldViolations = append(bad.FieldViolations, &errdetails.BadRequest_FieldViolation{Field: v.Field, Description: v.Reason, Reason: v.Code})
		}
		add(bad)
	}
	return err
}

func (f *fake) next() int64 { f.revision++; return f.revision }

func find[T any](all map[string]T, what, name string) (T, error) {
	one, ok := all[strings.TrimPrefix(name, "id_")]
	if !ok {
		return one, refuse(fault.New(fault.ObjectNotFound, "There is no %s %s.", what, name))
	}
	return one, nil
}

func free[T any](all map[string]T, what, name string) error {
	if _, taken := all[name]; taken {
		return refuse(fault.New(fault.AlreadyExists, "There is a %s %s already.", what, name))
	}
	return nil
}

// page cuts lists into pages of two, so that every list is read to its end.
func page[T any](all map[string]T, token string) (items []T, next string) {
	names := slices.Sorted(maps.Keys(all))
	for i, name := range names {
		if name < token {
			continue
		}
		if len(items) == 2 {
			return items, names[i]
		}
		items = append(items, all[name])
	}
	return items, ""
}

type endpointService struct {
	controlv1connect.UnimplementedEndpointServiceHandler
	*fake
}

func (s endpointService) check(e *controlv1.Endpoint) error {
	for i, t := range e.GetTargets() {
		if !strings.HasPrefix(t.GetUrl(), "http") {
			return refuse(fault.New(fault.InvalidArgument, "Endpoint %s cannot be stored.", e.GetName()).WithViolations(
				fault.Violation{Field: fmt.Sprintf("endpoint.targets[%d].url", i), Code: "invalid", Reason: "Must be an http or https URL."}))
		}
	}
	for i, m := range e.GetPrice().GetMetered().GetMeters() {
		if m.GetHold().GetAmount() == "much" {
			at := fmt.Sprintf("meters[%d].hold.amount", i)
			reason := at + `: "much" is no decimal such as "2.50".`
			return refuse(fault.New(fault.InvalidArgument, "%s", reason).WithViolations(
				fault.Violation{Field: "endpoint.price.metered." + at, Code: "malformed", Reason: reason}))
		}
	}
	return nil
}

func (s endpointService) store(e *controlv1.Endpoint) *controlv1.Endpoint {
	e = proto.CloneOf(e)
	e.Id, e.Revision = "id_"+e.GetName(), s.next()
	e.Etag = fmt.Sprintf("etag-%d", e.GetRevision())
	e.CreateTime, e.UpdateTime = timestamppb.New(clock), timestamppb.New(clock)
	s.endpoints[e.GetName()] = e
	return e
}

func (s endpointService) CreateEndpoint(_ context.Context, req *controlv1.CreateEndpointRequest) (*controlv1.CreateEndpointResponse, error) {
	e := req.GetEndpoint()
	if err := free(s.endpoints, "endpoint", e.GetName()); err != nil {
		return nil, err
	}
	if err := s.check(e); err != nil {
		return nil, err
	}
	stored := s.store(e)
	if stored.GetAccess().GetPublic() != nil {
		stored.Warnings = []*controlv1.Warning{{Field: "access", Code: "public", Text: "Anyone who can reach the gateway can call it, and you pay."}}
	}
	return &controlv1.CreateEndpointResponse{Endpoint: stored}, nil
}

func (s endpointService) GetEndpoint(_ context.Context, req *controlv1.GetEndpointRequest) (*controlv1.GetEndpointResponse, error) {
	e, err := find(s.endpoints, "endpoint", req.GetEndpoint())
	if err != nil {
		return nil, err
	}
	e = proto.CloneOf(e)
	if s.changed {
		s.store(e)
	}
	return &controlv1.GetEndpointResponse{Endpoint: e}, nil
}

func (s endpointService) ListEndpoints(_ context.Context, req *controlv1.ListEndpointsRequest) (*controlv1.ListEndpointsResponse, error) {
	items, next := page(s.endpoints, req.GetPageToken())
	return &controlv1.ListEndpointsResponse{Endpoints: items, NextPageToken: next}, nil
}

func (s endpointService) UpdateEndpoint(_ context.Context, req *controlv1.UpdateEndpointRequest) (*controlv1.UpdateEndpointResponse, error) {
	have, err := find(s.endpoints, "endpoint", req.GetEndpoint().GetName())
	if err != nil {
		return nil, err
	}
	if req.GetEndpoint().GetEtag() != have.GetEtag() {
		return nil, refuse(fault.New(fault.StaleETag, "Endpoint %s was changed by somebody else.", have.GetName()))
	}
	if err := s.check(req.GetEndpoint()); err != nil {
		return nil, err
	}
	return &controlv1.UpdateEndpointResponse{Endpoint: s.store(req.GetEndpoint())}, nil
}

func (s endpointService) DeleteEndpoint(_ context.Context, req *controlv1.DeleteEndpointRequest) (*controlv1.DeleteEndpointResponse, error) {
	if _, err := find(s.endpoints, "endpoint", req.GetEndpoint()); err != nil {
		return nil, err
	}
	delete(s.endpoints, req.GetEndpoint())
	return &controlv1.DeleteEndpointResponse{}, nil
}

type keyService struct {
	controlv1connect.UnimplementedKeyServiceHandler
	*fake
}

func (s keyService) CreateKey(_ context.Context, req *controlv1.CreateKeyRequest) (*controlv1.CreateKeyResponse, error) {
	if err := free(s.keys, "key", req.GetName()); err != nil {
		return nil, err
	}
	k := &controlv1.Key{
		Id: "id_" + req.GetName(), Name: req.GetName(), Endpoints: req.GetEndpoints(), ExpireTime: req.GetExpireTime(),
		Team: req.GetTeam(), Customer: req.GetCustomer(), Tags: req.GetTags(), Models: req.GetModels(),
		CreateTime: timestamppb.New(clock), Revision: s.next(),
	}
	s.keys[k.GetName()] = k
	res := &controlv1.CreateKeyResponse{Key: k}
	if s.hashes[k.GetName()] = req.GetSecretSha256(); len(req.GetSecretSha256()) == 0 {
		res.Secret = "tgk_secret_of_" + k.GetName()
		k.Prefix = "tgk_se"
		sum := sha256.Sum256([]byte(res.GetSecret()))
		s.hashes[k.GetName()] = sum[:]
	}
	return res, nil
}

func (s keyService) GetKey(_ context.Context, req *controlv1.GetKeyRequest) (*controlv1.GetKeyResponse, error) {
	k, err := find(s.keys, "key", req.GetKey())
	if err != nil {
		return nil, err
	}
	return &controlv1.GetKeyResponse{Key: k}, nil
}

func (s keyService) ListKeys(_ context.Context, req *controlv1.ListKeysRequest) (*controlv1.ListKeysResponse, error) {
	items, next := page(s.keys, req.GetPageToken())
	return &controlv1.ListKeysResponse{Keys: items, NextPageToken: next}, nil
}

func (s keyService) UpdateKey(_ context.Context, req *controlv1.UpdateKeyRequest) (*controlv1.UpdateKeyResponse, error) {
	k, err := find(s.keys, "key", req.GetKey())
	if err != nil {
		return nil, err
	}
	k = proto.CloneOf(k)
	k.Revision = s.next()
	for _, field := range req.GetUpdateMask().GetPaths() {
		switch field {
		case "team":
			k.Team = req.GetTeam()
		case "customer":
			k.Customer = req.GetCustomer()
		case "tags":
			k.Tags = req.GetTags()
		case "models":
			k.Models = req.GetModels().GetNames()
		}
	}
	s.keys[k.GetName()] = k
	return &controlv1.UpdateKeyResponse{Key: k}, nil
}

func (s keyService) RevokeKey(_ context.Context, req *controlv1.RevokeKeyRequest) (*controlv1.RevokeKeyResponse, error) {
	k, err := find(s.keys, "key", req.GetKey())
	if err != nil {
		return nil, err
	}
	if k.RevokeTime == nil {
		k.RevokeTime, k.Revision = timestamppb.New(clock), s.next()
	}
	return &controlv1.RevokeKeyResponse{Key: k}, nil
}

type budgetService struct {
	controlv1connect.UnimplementedBudgetServiceHandler
	*fake
}

func (s budgetService) store(b *controlv1.Budget) *controlv1.Budget {
	b = proto.CloneOf(b)
	b.Id, b.Revision, b.AccountId = "id_"+b.GetName(), s.next(), 7
	b.Etag = fmt.Sprintf("etag-%d", b.GetRevision())
	s.budgets[b.GetName()] = b
	return b
}

func (s budgetService) CreateBudget(_ context.Context, req *controlv1.CreateBudgetRequest) (*controlv1.CreateBudgetResponse, error) {
	if err := free(s.budgets, "budget", req.GetBudget().GetName()); err != nil {
		return nil, err
	}
	return &controlv1.CreateBudgetResponse{Budget: s.store(req.GetBudget())}, nil
}

func (s budgetService) GetBudget(_ context.Context, req *controlv1.GetBudgetRequest) (*controlv1.GetBudgetResponse, error) {
	b, err := find(s.budgets, "budget", req.GetBudget())
	if err != nil {
		return nil, err
	}
	return &controlv1.GetBudgetResponse{Budget: b}, nil
}

func (s budgetService) ListBudgets(_ context.Context, req *controlv1.ListBudgetsRequest) (*controlv1.ListBudgetsResponse, error) {
	items, next := page(s.budgets, req.GetPageToken())
	return &controlv1.ListBudgetsResponse{Budgets: items, NextPageToken: next}, nil
}

// change stores a changed copy of a budget.
func (s budgetService) change(name string, f func(*controlv1.Budget)) (*controlv1.Budget, error) {
	b, err := find(s.budgets, "budget", name)
	if err != nil {
		return nil, err
	}
	b = proto.CloneOf(b)
	f(b)
	return s.store(b), nil
}

func (s budgetService) UpdateBudget(_ context.Context, req *controlv1.UpdateBudgetRequest) (*controlv1.UpdateBudgetResponse, error) {
	b, err := s.change(req.GetBudget(), func(b *controlv1.Budget) {
		if req.GetAmount() != nil {
			b.Amount = req.GetAmount()
		}
		if req.GetEnforcement() != 0 {
			b.Enforcement = req.GetEnforcement()
		}
		if req.GetOverdraft() != nil {
			b.Overdraft = req.GetOverdraft().GetAmount()
		}
		if req.GetWarnPercents() != nil {
			b.WarnPercents = req.GetWarnPercents().GetPercents()
		}
	})
	return &controlv1.UpdateBudgetResponse{Budget: b}, err
}

func (s budgetService) RaiseBudget(_ context.Context, req *controlv1.RaiseBudgetRequest) (*controlv1.RaiseBudgetResponse, error) {
	b, err := s.change(req.GetBudget(), func(b *controlv1.Budget) {
		until := req.GetUntil()
		if req.GetUntilReset() {
			until = timestamppb.New(clock.AddDate(0, 0, 8))
		}
		b.Raise = &controlv1.BudgetRaise{By: req.GetBy(), Until: until}
		if until == nil {
			b.Raise = nil
		}
	})
	return &controlv1.RaiseBudgetResponse{Budget: b}, err
}

func (s budgetService) ResetBudget(_ context.Context, req *controlv1.ResetBudgetRequest) (*controlv1.ResetBudgetResponse, error) {
	b, err := s.change(req.GetBudget(), func(*controlv1.Budget) {})
	return &controlv1.ResetBudgetResponse{Budget: b}, err
}

func (s budgetService) DeleteBudget(_ context.Context, req *controlv1.DeleteBudgetRequest) (*controlv1.DeleteBudgetResponse, error) {
	if _, err := find(s.budgets, "budget", req.GetBudget()); err != nil {
		return nil, err
	}
	delete(s.budgets, req.GetBudget())
	return &controlv1.DeleteBudgetResponse{}, nil
}

func (s budgetService) GetBudgetState(_ context.Context, req *controlv1.GetBudgetStateRequest) (*controlv1.GetBudgetStateResponse, error) {
	b, err := find(s.budgets, "budget", req.GetBudget())
	if err != nil {
		return nil, err
	}
	if s.noLedger {
		return nil, refuse(fault.New(fault.UnavailableErr, "The ledger does not answer."))
	}
	return &controlv1.GetBudgetStateResponse{State: &controlv1.BudgetState{
		BudgetId: b.GetId(), Limit: b.GetAmount(), Spent: usd(12, 0), Held: usd(24, 0), Remaining: usd(38, 0),
		PeriodStart: timestamppb.New(clock.AddDate(0, 0, -21)), PeriodEnd: timestamppb.New(clock.AddDate(0, 0, 8)), AsOf: timestamppb.New(clock),
	}}, nil
}

func usd(units int64, nanos int32) *typemoney.Money {
	return &typemoney.Money{CurrencyCode: "USD", Units: units, Nanos: nanos}
}

type secretService struct {
	controlv1connect.UnimplementedSecretServiceHandler
	*fake
}

func (s secretService) write(name, value string) *controlv1.Secret {
	one := &controlv1.Secret{Id: "id_" + name, Name: name, CreateTime: timestamppb.New(clock), UpdateTime: timestamppb.New(clock)}
	s.secrets[name], s.values[name] = one, value
	return one
}

func (s secretService) CreateSecret(_ context.Context, req *controlv1.CreateSecretRequest) (*controlv1.CreateSecretResponse, error) {
	if err := free(s.secrets, "secret", req.GetName()); err != nil {
		return nil, err
	}
	return &controlv1.CreateSecretResponse{Secret: s.write(req.GetName(), req.GetValue())}, nil
}

func (s secretService) ListSecrets(_ context.Context, req *controlv1.ListSecretsRequest) (*controlv1.ListSecretsResponse, error) {
	items, next := page(s.secrets, req.GetPageToken())
	return &controlv1.ListSecretsResponse{Secrets: items, NextPageToken: next}, nil
}

func (s secretService) RotateSecret(_ context.Context, req *controlv1.RotateSecretRequest) (*controlv1.RotateSecretResponse, error) {
	if _, err := find(s.secrets, "secret", req.GetSecret()); err != nil {
		return nil, err
	}
	return &controlv1.RotateSecretResponse{Secret: s.write(req.GetSecret(), req.GetValue())}, nil
}

func (s secretService) DeleteSecret(_ context.Context, req *controlv1.DeleteSecretRequest) (*controlv1.DeleteSecretResponse, error) {
	if _, err := find(s.secrets, "secret", req.GetSecret()); err != nil {
		return nil, err
	}
	for _, e := range s.endpoints {
		for _, h := range e.GetHeaders() {
			if strings.Contains(h.GetValue(), "${secret:"+req.GetSecret()+"}") {
				return nil, refuse(fault.New(fault.FailedPrecondition, "Secret %s is used by endpoint %s.", req.GetSecret(), e.GetName()))
			}
		}
	}
	delete(s.secrets, req.GetSecret())
	return &controlv1.DeleteSecretResponse{}, nil
}

type systemService struct {
	controlv1connect.UnimplementedSystemServiceHandler
}

func (systemService) GetInfo(context.Context, *controlv1.GetInfoRequest) (*controlv1.GetInfoResponse, error) {
	return &controlv1.GetInfoResponse{Version: "test"}, nil
}

func (systemService) ListNodes(context.Context, *controlv1.ListNodesRequest) (*controlv1.ListNodesResponse, error) {
	return &controlv1.ListNodesResponse{Revision: 185, Nodes: []*controlv1.Node{
		{Id: "fra-1", Status: controlv1.NodeStatus_NODE_STATUS_LIVE, Revision: 185, Version: "v1", LastSeenTime: timestamppb.New(clock), Address: ":4000"},
		{
			Id: "lon-2", Status: controlv1.NodeStatus_NODE_STATUS_BEHIND, Revision: 184, LastSeenTime: timestamppb.New(clock), SpoolEvents: 7, SpoolAgeMs: 1500,
			MissingEnv: []string{"COHERE_API_KEY"}, Breakers: []*controlv1.NodeBreaker{{Target: "https://t.example", State: "open"}},
		},
	}}, nil
}

type accountService struct {
	controlv1connect.UnimplementedAccountServiceHandler
}
