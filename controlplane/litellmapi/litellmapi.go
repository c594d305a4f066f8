// Package litellmapi answers the management calls of LiteLLM's proxy, for scripts that were written against it: keys, teams,
// customers, budgets, users, tags, pass-through endpoints and spend, with its fields, shapes and status codes. It has no
// rules and no data of its own: every call becomes calls of the control plane's API, made in process with the caller's own
// token and in one transaction, so rights, validation and audit are the same as everywhere. What it cannot keep of a request
// it refuses by name where leaving it out would weaken something. It is not for callers of the gateway: edges serve those.
package litellmapi

import (
	"log/slog"
	"net/http"
	"strings"
	"time"

	"tollgate/controlplane/store"
	"tollgate/gen/tollgate/control/v1/controlv1connect"
	"tollgate/internal/fault"
)

// maxBody bounds what is read of a request.
const maxBody = 4 << 20

// answerWithin bounds every call.
const answerWithin = 30 * time.Second

// Answers seals what calls were answered, which may hold a key, until they are sent again.
type Answers interface {
	SealAnswer(id string, answer []byte) ([]byte, error)
	OpenAnswer(id string, sealed []byte) ([]byte, error)
}

// Deps is what the API works with.
type Deps struct {
	Control http.Handler // the control plane's API
	// Caller finds out who calls before next is asked, and refuses whom it does not know.
	Caller  func(refuse func(http.ResponseWriter, *http.Request, *fault.Error), next http.Handler) http.Handler
	Store   *store.Store // for transactions, and to find keys by their hash
	Answers Answers
	Version string
	Open    func() bool // whether calls can be served yet
	Log     *slog.Logger
}

// api makes calls of the control plane's API.
type api struct {
	Deps

	keys      controlv1connect.KeyServiceClient
	teams     controlv1connect.TeamServiceClient
	customers controlv1connect.CustomerServiceClient
	people    controlv1connect.PersonServiceClient
	tags      controlv1connect.TagServiceClient
	budgets   controlv1connect.BudgetServiceClient
	limits    controlv1connect.LimitServiceClient
	endpoints controlv1connect.EndpointServiceClient
	models    controlv1connect.ModelServiceClient
	secrets   controlv1connect.SecretServiceClient
	usage     controlv1connect.UsageServiceClient
}

// New makes the handler.
func New(d Deps) http.Handler {
	caller, base := &http.Client{Transport: inside{d.Control}}, "http://control"
	a := &api{
		Deps:      d,
		keys:      controlv1connect.NewKeyServiceClient(caller, base),
		teams:     controlv1connect.NewTeamServiceClient(caller, base),
		customers: controlv1connect.NewCustomerServiceClient(caller, base),
		people:    controlv1connect.NewPersonServiceClient(caller, base),
		tags:      controlv1connect.NewTagServiceClient(caller, base),
		budgets:   controlv1connect.NewBudgetServiceClient(caller, base),
		limits:    controlv1connect.NewLimitServiceClient(caller, base),
		endpoints: controlv1connect.NewEndpointServiceClient(caller, base),
		models:    controlv1connect.NewModelServiceClient(caller, base),
		secrets:   controlv1connect.NewSecretServiceClient(caller, base),
		usage:     controlv1connect.NewUsageServiceClient(caller, base),
	}
	known := http.NewServeMux()
	mux := http.NewServeMux()
	for pattern, r := range routes() {
		if r.open {
			mux.HandleFunc(pattern, a.serve(r))
			continue
		}
		known.HandleFunc(pattern, a.serve(r))
		mux.Handle(pattern, d.Caller(func(w http.ResponseWriter, req *http.Request, f *fault.Error) { refuse(w, req, f, r.detail) }, known))
	}
	mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) {
		write(w, http.StatusNotFound, object{"detail": "Not Found"})
	})
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, pattern := mux.Handler(r)
		if !d.Open() && !strings.HasPrefix(pattern, "GET /health/") {
			refuse(w, r, fault.New(fault.UnavailableErr, "The control plane waits for its database.").WithRetryAfter(time.Second), false)
			return
		}
		r = r.Clone(r.Context())
		if token := credential(r); token != "" {
			r.Header.Set("Authorization", "Bearer "+token)
		}
		r.Header.Set("X-Tollgate-Client", client)
		mux.ServeHTTP(w, r)
	})
}

// route is one call of LiteLLM's.
type route struct {
	do     func(*call) (any, error)
	writes bool // it is made in one transaction
	open   bool // anybody may call it
	detail bool // its errors have the form {"detail":{"error":…}}
}

func read(do func(*call) (any, error)) route    { return route{do: do} }
func change(do func(*call) (any, error)) route  { return route{do: do, writes: true} }
func anybody(do func(*call) (any, error)) route { return route{do: do, open: true} }
func (r route) withDetail() route               { r.detail = true; return r }

// routes are all calls, by the patterns of http.ServeMux.
func routes() map[string]route {
	all := map[string]route{
		"POST /key/generate":                 change((*call).keyGenerate),
		"POST /key/service-account/generate": change((*call).keyServiceAccount),
		"POST /key/update":                   change((*call).keyUpdate),
		"POST /key/delete":                   change((*call).keyDelete),
		"POST /key/block":                    change(keyBlock(true)),
		"POST /key/unblock":                  change(keyBlock(false)),
		"POST /key/regenerate":               change((*call).keyRegenerate),
		"POST /key/{key}/regenerate":         change((*call).keyRegenerate),
		"POST /key/{key}/reset_spend":        change((*call).keyResetSpend),
		"GET /key/info":                      read((*call).keyInfo),
		"GET /key/list":                      read((*call).keyList),
		"GET /key/aliases":                   read((*call).keyAliases),

		"POST /team/new":           change((*call).teamNew),
		"POST /team/update":        change((*call).teamUpdate),
		"POST /team/delete":        change((*call).teamDelete),
		"POST /team/block":         change(teamBlock(true)),
		"POST /team/unblock":       change(teamBlock(false)),
		"POST /team/member_add":    change((*call).teamMemberAdd),
		"POST /team/member_delete": change((*call).teamMemberDelete),
		"GET /team/info":           read((*call).teamInfo),
		"GET /team/list":           read((*call).teamList),

		"POST /budget/new":     change((*call).budgetNew),
		"POST /budget/update":  change((*call).budgetUpdate),
		"POST /budget/delete":  change((*call).budgetDelete),
		"POST /budget/info":    read((*call).budgetInfo),
		"GET /budget/list":     read((*call).budgetList),
		"GET /budget/settings": read((*call).budgetSettings),

		"POST /user/new":    change((*call).userNew),
		"POST /user/update": change((*call).userUpdate),
		"POST /user/delete": change((*call).userDelete),
		"GET /user/info":    read((*call).userInfo),
		"GET /user/list":    read((*call).userList),

		"POST /tag/new":    change((*call).tagNew),
		"POST /tag/update": change((*call).tagUpdate),
		"POST /tag/delete": change((*call).tagDelete),
		"POST /tag/info":   read((*call).tagInfo),
		"GET /tag/list":    read((*call).tagList),

		"GET /config/pass_through_endpoint":                read((*call).endpointList).withDetail(),
		"GET /config/pass_through_endpoint/team/{team}":    read((*call).endpointListOfTeam).withDetail(),
		"POST /config/pass_through_endpoint":               change((*call).endpointNew).withDetail(),
		"POST /config/pass_through_endpoint/{endpoint_id}": change((*call).endpointUpdate).withDetail(),
		"DELETE /config/pass_through_endpoint":             change((*call).endpointDelete).withDetail(),

		"GET /spend/logs":          read((*call).spendLogs),
		"GET /global/spend":        read((*call).globalSpend),
		"GET /global/spend/keys":   read((*call).globalSpendKeys),
		"GET /global/spend/teams":  read((*call).globalSpendTeams),
		"GET /global/spend/report": read((*call).globalSpendReport),

		"GET /health":            read((*call).health),
		"GET /health/liveliness": anybody((*call).alive),
		"GET /health/liveness":   anybody((*call).alive),
		"GET /health/readiness":  anybody((*call).ready),
		"GET /model/info":        read((*call).modelInfo),
		"GET /v1/model/info":     read((*call).modelInfo),
		"GET /{$}":               anybody((*call).home),
	}
	for _, name := range []string{"/customer", "/end_user"} {
		all["POST "+name+"/new"] = change((*call).customerNew)
		all["POST "+name+"/update"] = change((*call).customerUpdate)
		all["POST "+name+"/delete"] = change((*call).customerDelete)
		all["POST "+name+"/block"] = change(customerBlock(true))
		all["POST "+name+"/unblock"] = change(customerBlock(false))
		all["GET "+name+"/info"] = read((*call).customerInfo)
		all["GET "+name+"/list"] = read((*call).customerList)
	}
	return all
}
