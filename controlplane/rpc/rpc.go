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
	"net/url"
	"time"

	"buf.build/go/protovalidate"
	"connectrpc.com/connect"
	"connectrpc.com/grpchealth"
	"connectrpc.com/grpcreflect"
	"connectrpc.com/otelconnect"
	"connectrpc.com/validate"
	"go.opentelemetry.io/otel/metric/noop"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"

	"tollgate/controlplane/access"
	"tollgate/controlplane/alert"
	"tollgate/controlplane/attention"
	"tollgate/controlplane/console"
	"tollgate/controlplane/registry"
	"tollgate/controlplane/signin"
	"tollgate/controlplane/store"
	"tollgate/gen/tollgate/control/v1/controlv1connect"
)

const (
	// maxMessage is the largest request message, and maxBody how much of a larger one is read before
	// the connection is given up.
	maxMessage = 4 << 20
	maxBody    = 2 * maxMessage

	// maxFiles is the largest message with files, of prices or of configuration, also where JSON makes it a third larger.
	maxFiles = 24 << 20

	// answerWithin bounds every call, whatever its caller allows.
	answerWithin = 30 * time.Second
)

// Vault encrypts vendor credentials.
type Vault interface {
	Encrypt(id, value string) ([]byte, error)
	Open(id string, envelope []byte) ([]byte, error)
}

// Deps is what the handlers work with.
type Deps struct {
	Store      *store.Store
	Vault      Vault
	Fleet      Fleet
	Edges      Edges
	KeyUses    KeyUses // how often secrets are used; nil if nobody counts
	Ledger     *Ledger
	Drafts     Drafts      // nil: drafts are checked and not tried
	Tickets    TicketMaker // nil: nobody acts as a key
	AdminToken string
	Board      *attention.Board // what needs somebody; nil makes one
	Alerts     Alerts           // sends alerts at once; nil makes one that does
	SignIn     *signin.Service  // nil makes one with the defaults
	Answers    Answers          // keeps answers for calls that are sent again
	Version    string           // of this binary
	Seen       Seen             // what edges see of requests; nil for nothing
	Changes    Changes          // nil: changes cannot be watched
	Bus        func() bool      // whether NATS is connected; nil if nobody knows
	Joining    Joining          // nil: no edge can join
	Stopping   <-chan struct{}  // closed when streams are to end; nil for never
	Open       func() bool      // whether calls can be served yet; nil for always
	Gateway    func() string    // where callers reach the edges, if the settings do not say; nil for nobody who knows
	ConsoleDev *url.URL         // a server of Vite's that the console's pages come from; nil for those in the binary
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
	controlv1connect.CustomerServiceName,
	controlv1connect.TagServiceName,
	controlv1connect.SettingsServiceName,
	controlv1connect.EdgeServiceName,
	controlv1connect.RequestServiceName,
	controlv1connect.TryServiceName,
	controlv1connect.AuditServiceName,
	controlv1connect.SearchServiceName,
	controlv1connect.ConfigServiceName,
	controlv1connect.OverviewServiceName,
	controlv1connect.AlertServiceName,
	controlv1connect.PersonServiceName,
	controlv1connect.TokenServiceName,
	controlv1connect.AccountServiceName,
}

// NewHandler makes the whole HTTP surface: the API for those who may call it, pages for browsers, and health for everyone.
func NewHandler(d Deps) (http.Handler, error) {
	if d.SignIn == nil {
		people, err := signin.New(signin.DefaultConfig(), d.Store, d.Log)
		if err != nil {
			return nil, err
		}
		d.SignIn = people
	}
	if d.Board == nil {
		d.Board = NewBoard(d)
	}
	if d.Alerts == nil {
		d.Alerts = alert.NewSender(d.Vault, alert.DefaultConfig().Within)
	}
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
		connect.WithInterceptors(tracing, boundary{d.Log}, gate{},
			validate.NewInterceptor(validate.WithoutErrorDetails(), validate.WithValidator(masking{protovalidate.GlobalValidator})),
			calls{d.Store, d.Answers}, audited{d.Store}),
		connect.WithReadMaxBytes(maxMessage),
	)
	if d.Joining == nil {
		d.Joining = noJoining{}
	}
	api := http.NewServeMux()
	api.Handle(controlv1connect.NewEndpointServiceHandler(&endpointService{store: d.Store, drafts: d.Drafts}, options))
	api.Handle(controlv1connect.NewTeamServiceHandler(&teamService{store: d.Store}, options))
	api.Handle(controlv1connect.NewKeyServiceHandler(&keyService{store: d.Store, uses: d.KeyUses}, options))
	api.Handle(controlv1connect.NewBudgetServiceHandler(&budgetService{d.Store, d.Ledger}, options))
	api.Handle(controlv1connect.NewLimitServiceHandler(&limitService{d.Store}, options))
	api.Handle(controlv1connect.NewSecretServiceHandler(&secretService{store: d.Store, vault: d.Vault, fleet: d.Fleet}, options))
	usages := &usageService{store: d.Store, ledger: d.Ledger, fleet: d.Fleet}
	usagePath, usage := controlv1connect.NewUsageServiceHandler(usages, options)
	api.Handle(usagePath, withConnection(usage))
	files := http.NewServeMux()
	(&exports{usages, d.Log}).handle(files)
	api.Handle("/export/", requires(access.Rule{Permission: access.MoneyRead, Team: true}, withConnection(files)))
	systemPath, system := controlv1connect.NewSystemServiceHandler(&systemService{gateway: d.Gateway, store: d.Store, fleet: d.Fleet, version: d.Version, changes: d.Changes, ledger: d.Ledger, bus: d.Bus, people: d.SignIn, stopping: d.Stopping}, options)
	api.Handle(systemPath, withConnection(system))
	api.Handle(controlv1connect.NewExplainServiceHandler(&explainService{d.Store, d.Edges}, options))
	api.Handle(controlv1connect.NewPriceServiceHandler(&priceService{d.Store}, options))
	api.Handle(controlv1connect.NewPriceBookServiceHandler(&priceBookService{d.Store}, options, connect.WithReadMaxBytes(maxFiles)))
	api.Handle(controlv1connect.NewTemplateServiceHandler(templateService{}, options))
	api.Handle(controlv1connect.NewModelServiceHandler(&modelService{d.Store}, options))
	api.Handle(controlv1connect.NewAdapterServiceHandler(&adapterService{d.Store}, options))
	api.Handle(controlv1connect.NewCustomerServiceHandler(&customerService{store: d.Store}, options))
	api.Handle(controlv1connect.NewTagServiceHandler(&tagService{store: d.Store}, options))
	api.Handle(controlv1connect.NewSettingsServiceHandler(&settingsService{store: d.Store}, options))
	edgePath, edges := controlv1connect.NewEdgeServiceHandler(&edgeService{store: d.Store, fleet: d.Fleet, joining: d.Joining, stopping: d.Stopping}, options)
	api.Handle(edgePath, withConnection(edges))
	requestPath, requests := controlv1connect.NewRequestServiceHandler(&requestService{store: d.Store, ledger: d.Ledger, seen: d.Seen, stopping: d.Stopping}, options)
	api.Handle(requestPath, withConnection(requests))
	tryPath, tries := controlv1connect.NewTryServiceHandler(&tryService{store: d.Store, nodes: d.Fleet, edges: d.Edges, tickets: d.Tickets, seen: d.Seen, to: newSender()}, options)
	api.Handle(tryPath, withConnection(tries))
	api.Handle(controlv1connect.NewAuditServiceHandler(&auditService{store: d.Store}, options))
	api.Handle(controlv1connect.NewSearchServiceHandler(&searchService{store: d.Store, fleet: d.Fleet}, options))
	api.Handle(controlv1connect.NewOverviewServiceHandler(&overviewService{store: d.Store, ledger: d.Ledger, board: d.Board, usage: usages, figures: map[string]*figures{}}, options))
	api.Handle(controlv1connect.NewAlertServiceHandler(&alertService{store: d.Store, vault: d.Vault, send: d.Alerts}, options))
	api.Handle(controlv1connect.NewConfigServiceHandler(newConfigService(d), options, connect.WithReadMaxBytes(maxFiles)))
	api.Handle(controlv1connect.NewPersonServiceHandler(&personService{store: d.Store, people: d.SignIn}, options))
	api.Handle(controlv1connect.NewTokenServiceHandler(&tokenService{store: d.Store, people: d.SignIn}, options))
	api.Handle(controlv1connect.NewAccountServiceHandler(&accountService{store: d.Store, people: d.SignIn}, options))
	reflector := grpcreflect.NewStaticReflector(append([]string{grpchealth.HealthV1ServiceName}, services...)...)
	api.Handle(grpcreflect.NewHandlerV1(reflector))
	api.Handle(grpcreflect.NewHandlerV1Alpha(reflector))

	mux := http.NewServeMux()
	mux.Handle("/", authenticate(d.AdminToken, d.SignIn, api))
	if console.Built {
		mux.Handle(signin.OIDCPath, d.SignIn.SingleSignOn())
	} else {
		for _, path := range signin.PagePaths() {
			mux.Handle(path, d.SignIn.Pages())
		}
	}
	mux.Handle(grpchealth.NewHandler(&health{d.Store}, connect.WithReadMaxBytes(maxMessage)))
	mux.HandleFunc("GET /schema/tollgate.json", answerSchema)
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { answerText(w, http.StatusOK, "ok") })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, r *http.Request) {
		if err := ping(r.Context(), d.Store); err != nil {
			answerText(w, http.StatusServiceUnavailable, "the database cannot be reached")
			return
		}
		answerText(w, http.StatusOK, "ok")
	})
	pages, err := newConsole(d)
	if err != nil {
		return nil, err
	}
	handler := withConsole(pages, mux, api, whenOpen(d.Open, limitBody(mux)))
	return withRequestID(withoutBase(console.Base(d.SignIn.PublicURL()), handler)), nil
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
