// Package rpc answers the control plane's API: Connect, gRPC and gRPC-Web on one port, with health
// and reflection. Handlers translate between messages and the registry's types and leave every rule
// to the registry and every change to the store. This is the only place where a kind of fault
// becomes a Connect code. No answer ever holds a secret's value, nor a key but for the one answer
// that creates it.
package rpc

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"time"

	"connectrpc.com/connect"
	"connectrpc.com/grpchealth"
	"connectrpc.com/grpcreflect"
	"connectrpc.com/otelconnect"
	"connectrpc.com/validate"
	"go.opentelemetry.io/otel/metric/noop"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"

	"tollgate/controlplane/fleet"
	"tollgate/controlplane/registry"
	"tollgate/controlplane/store"
	"tollgate/gen/tollgate/control/v1/controlv1connect"
	"tollgate/internal/contract"
)

const (
	// maxMessage is the largest request message, and maxBody how much of a larger one is read before
	// the connection is given up.
	maxMessage = 4 << 20
	maxBody    = 2 * maxMessage

	// maxBook is the largest message with a file of prices, also where JSON makes it a third larger.
	maxBook = 24 << 20

	// answerWithin bounds every call, whatever its caller allows.
	answerWithin = 30 * time.Second
)

// Nodes tells about edges.
type Nodes interface {
	Nodes(newest contract.Version, now time.Time) []fleet.Node
}

// Vault encrypts vendor credentials.
type Vault interface {
	Encrypt(id, value string) ([]byte, error)
}

// Deps is what the handlers work with.
type Deps struct {
	Store      *store.Store
	Vault      Vault
	Fleet      Nodes
	Edges      Edges
	Ledger     *Ledger
	AdminToken string
	Version    string      // of this binary
	Open       func() bool // whether calls can be served yet; nil for always
	Tracer     trace.TracerProvider
	Log        *slog.Logger
}

// services are the API's, for health and reflection.
var services = []string{
	controlv1connect.EndpointServiceName,
	controlv1connect.TeamServiceName,
	controlv1connect.KeyServiceName,
	controlv1connect.BudgetServiceName,
	controlv1connect.LimitServiceName,
	controlv1connect.SecretServiceName,
	controlv1connect.UsageServiceName,
	controlv1connect.ExplainServiceName,
	controlv1connect.PriceServiceName,
	controlv1connect.PriceBookServiceName,
	controlv1connect.SystemServiceName,
	controlv1connect.TemplateServiceName,
	controlv1connect.ModelServiceName,
	controlv1connect.AdapterServiceName,
}

// NewHandler makes the whole HTTP surface: the API behind the admin token, and health for everyone.
func NewHandler(d Deps) (http.Handler, error) {
	tracing, err := otelconnect.NewInterceptor(
		otelconnect.WithTracerProvider(d.Tracer),
		otelconnect.WithMeterProvider(noop.NewMeterProvider()),
		otelconnect.WithPropagator(propagation.TraceContext{}),
	)
	if err != nil {
		return nil, err
	}
	// From the outside in. Requests are validated inside the boundary, which gives violations the
	// form that all other errors have.
	options := connect.WithHandlerOptions(
		connect.WithInterceptors(tracing, boundary{d.Log}, validate.NewInterceptor(validate.WithoutErrorDetails())),
		connect.WithReadMaxBytes(maxMessage),
	)
	api := http.NewServeMux()
	api.Handle(controlv1connect.NewEndpointServiceHandler(&endpointService{d.Store}, options))
	api.Handle(controlv1connect.NewTeamServiceHandler(&teamService{d.Store}, options))
	api.Handle(controlv1connect.NewKeyServiceHandler(&keyService{d.Store}, options))
	api.Handle(controlv1connect.NewBudgetServiceHandler(&budgetService{d.Store, d.Ledger}, options))
	api.Handle(controlv1connect.NewLimitServiceHandler(&limitService{d.Store}, options))
	api.Handle(controlv1connect.NewSecretServiceHandler(&secretService{d.Store, d.Vault}, options))
	usagePath, usage := controlv1connect.NewUsageServiceHandler(&usageService{d.Store, d.Ledger}, options)
	api.Handle(usagePath, withConnection(usage))
	api.Handle(controlv1connect.NewSystemServiceHandler(&systemService{d.Store, d.Fleet, d.Version}, options))
	api.Handle(controlv1connect.NewExplainServiceHandler(&explainService{d.Store, d.Edges}, options))
	api.Handle(controlv1connect.NewPriceServiceHandler(&priceService{d.Store}, options))
	api.Handle(controlv1connect.NewPriceBookServiceHandler(&priceBookService{d.Store}, options, connect.WithReadMaxBytes(maxBook)))
	api.Handle(controlv1connect.NewTemplateServiceHandler(templateService{}, options))
	api.Handle(controlv1connect.NewModelServiceHandler(&modelService{d.Store}, options))
	api.Handle(controlv1connect.NewAdapterServiceHandler(&adapterService{d.Store}, options))
	reflector := grpcreflect.NewStaticReflector(append([]string{grpchealth.HealthV1ServiceName}, services...)...)
	api.Handle(grpcreflect.NewHandlerV1(reflector))
	api.Handle(grpcreflect.NewHandlerV1Alpha(reflector))

	mux := http.NewServeMux()
	mux.Handle("/", authenticate(d.AdminToken, api))
	mux.Handle(grpchealth.NewHandler(&health{d.Store}, connect.WithReadMaxBytes(maxMessage)))
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { answerText(w, http.StatusOK, "ok") })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, r *http.Request) {
		if err := ping(r.Context(), d.Store); err != nil {
			answerText(w, http.StatusServiceUnavailable, "the database cannot be reached")
			return
		}
		answerText(w, http.StatusOK, "ok")
	})
	return withRequestID(whenOpen(d.Open, limitBody(mux))), nil
}

func ping(ctx context.Context, s *store.Store) error {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	return s.Ping(ctx)
}

func answerText(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(status)
	_, _ = w.Write([]byte(text + "\n"))
}

// health answers for the whole process: without its database it can serve none of its services.
type health struct{ store *store.Store }

func (h *health) Check(ctx context.Context, req *grpchealth.CheckRequest) (*grpchealth.CheckResponse, error) {
	known := req.Service == ""
	for _, s := range services {
		known = known || s == req.Service
	}
	if !known {
		return nil, connect.NewError(connect.CodeNotFound, errors.New("there is no such service"))
	}
	if err := ping(ctx, h.store); err != nil {
		return &grpchealth.CheckResponse{Status: grpchealth.StatusNotServing}, nil //nolint:nilerr // not serving is the answer
	}
	return &grpchealth.CheckResponse{Status: grpchealth.StatusServing}, nil
}

// problems collects what a request's translation finds under a field of the request.
func problems(prefix string) *registry.Problems { return registry.NewProblems(prefix) }
