package rpc

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"buf.build/go/protovalidate"

	"tollgate/controlplane/publish"
	"tollgate/controlplane/registry"
	"tollgate/controlplane/store"
	"tollgate/controlplane/templates"
	controlv1 "tollgate/gen/tollgate/control/v1"
	eventv1 "tollgate/gen/tollgate/event/v1"
	"tollgate/internal/contract"
	"tollgate/internal/fault"
)

// Drafts take requests through the stages of an edge, with an endpoint that is not stored yet.
type Drafts interface {
	// Open makes ready for a draft among all other endpoints, which load reads if they are not those of the version any more. explain
	// tells what would be done with a request of a key that may do everything, and route only where it would go.
	Open(ctx context.Context, version contract.Version, load func(context.Context) (*eventv1.RouteSnapshot, contract.Version, error),
		draft *eventv1.RouteEndpoint, book []*eventv1.BookList,
	) (explain, route func(context.Context, *eventv1.ExplainCall) *controlv1.Explanation, err error)
}

// draftID stands for the id that a new endpoint will have.
const draftID = "ep_draft"

// PreviewEndpoint answers with all that is wrong with a draft; what it would do is told as far as an edge could serve it.
func (s *endpointService) PreviewEndpoint(ctx context.Context, req *controlv1.PreviewEndpointRequest) (*controlv1.PreviewEndpointResponse, error) {
	p := problems("endpoint")
	e := endpointFrom(req.GetEndpoint(), p)
	if req.GetCreate() {
		e.ID = ""
	}
	d, err := s.store.DraftEndpoint(ctx, e, req.GetCreate(), p)
	if err != nil {
		return nil, err
	}
	wrong, err := wrongWith(req.GetEndpoint(), d.Wrong)
	if err != nil {
		return nil, err
	}
	e = d.Endpoint
	out := &controlv1.PreviewEndpointResponse{
		Violations: wrong, Warnings: notesOn(d), Endpoint: endpointTo(&e), Access: accessText(&e), Curl: curlOf(&e),
	}
	if d.Endpoint.ID == "" {
		out.Endpoint.Etag = ""
	}
	if s.drafts == nil {
		return out, nil
	}
	draft := publish.Route(&e)
	draft.Id = cmp.Or(draft.GetId(), draftID)
	explain, route, err := s.drafts.Open(ctx, d.State.Current, s.published, draft, publish.Book(d.Book))
	switch {
	case err == nil:
		describe(ctx, out, &e, req.GetTries(), explain, route)
	case len(out.GetViolations()) == 0: // no edge could serve it, and no rule says why
		return nil, err
	}
	return out, nil
}

// published is everything that edges serve, but for secrets.
func (s *endpointService) published(ctx context.Context) (*eventv1.RouteSnapshot, contract.Version, error) {
	cfg, err := s.store.Routes(ctx)
	if err != nil {
		return nil, contract.Version{}, err
	}
	return publish.Routes(cfg), cfg.Current, nil
}

// wrongWith is what the rules have found and, for fields of which they say nothing, what the schema asks for.
func wrongWith(m *controlv1.Endpoint, found []fault.Violation) ([]*controlv1.PreviewViolation, error) {
	has := map[string]bool{}
	for _, v := range found {
		has[v.Field] = true
	}
	err := protovalidate.Validate(&controlv1.CreateEndpointRequest{Endpoint: m})
	if v, ok := errors.AsType[*protovalidate.ValidationError](err); ok {
		for _, v := range shape(v).Violations {
			if !has[v.Field] {
				found = append(found, v)
			}
		}
	} else if err != nil {
		return nil, fmt.Errorf("validate draft: %w", err)
	}
	var out []*controlv1.PreviewViolation
	for _, v := range found {
		out = append(out, &controlv1.PreviewViolation{Field: v.Field, Code: v.Code, Message: v.Reason, Object: v.Object})
	}
	return out, nil
}

// notesOn is what may be meant otherwise.
func notesOn(d *store.Draft) (out []*controlv1.PreviewViolation) {
	e := &d.Endpoint
	for _, w := range e.Warnings() {
		out = append(out, &controlv1.PreviewViolation{Field: "endpoint." + w.Field, Code: w.Code, Message: w.Text})
	}
	for _, w := range e.Notes() {
		out = append(out, &controlv1.PreviewViolation{Field: "endpoint." + w.Field, Code: w.Code, Message: w.Text})
	}
	for _, b := range d.Small {
		whose := "Budget " + b.Name
		if b.Key != "" {
			whose = fmt.Sprintf("Key %s's budget %s", b.Key, b.Name)
		}
		out = append(out, &controlv1.PreviewViolation{
			Field: "endpoint.price.fixed.per_request", Code: registry.WarnOverBudget, Object: b.Name,
			Message: fmt.Sprintf("%s (%s) is below one request (%s): every call would be refused.", whose, b.Amount.Dollars(), e.Price.PerRequest.Dollars()),
		})
	}
	for _, n := range d.Around {
		text := fmt.Sprintf("%s lies inside %s. Requests below %s will come here; the rest of %s stays with %s.", e.Path, n.Path, e.Path, n.Path, n.Name)
		if n.Inside {
			text = fmt.Sprintf("%s lies inside %s. Requests below %s stay with %s; the rest of %s will come here.", n.Path, e.Path, n.Path, n.Name, e.Path)
		}
		out = append(out, &controlv1.PreviewViolation{Field: "endpoint.path", Code: registry.WarnPathInside, Message: text, Object: n.Name})
	}
	return out
}

// describe tells what edges would do with requests to the draft.
func describe(ctx context.Context, out *controlv1.PreviewEndpointResponse, e *registry.Endpoint, tries []*controlv1.PreviewTry,
	explain, route func(context.Context, *eventv1.ExplainCall) *controlv1.Explanation,
) {
	method := methodOf(e)
	for _, below := range pathsBelow(e) {
		path := e.Path
		if below != "" {
			path = strings.TrimSuffix(e.Path, "/") + below
		}
		told := route(ctx, &eventv1.ExplainCall{Method: method, Path: path})
		row := &controlv1.PreviewRoute{Path: marked(path), Url: marked(strings.TrimPrefix(told.GetUrl(), method+" "))}
		if e.Models != nil {
			row.Url = "(a deployment of the model that is named)"
		}
		if told.GetEndpoint() == e.Name {
			out.Routes = append(out.Routes, row)
		}
	}
	usual := route(ctx, &eventv1.ExplainCall{Method: method, Path: e.Path, Headers: usualHeaders})
	if usual.GetEndpoint() == e.Name {
		out.Headers, out.Price = usual.GetHeaders(), usual.GetPrice()
	}
	if e.Models != nil {
		out.Price = "as the deployments of its models say"
	}
	for _, t := range tries {
		out.Tries = append(out.Tries, explain(ctx, &eventv1.ExplainCall{Method: cmp.Or(t.GetMethod(), method), Path: t.GetPath(), Headers: t.GetHeaders()}))
	}
}

// usualHeaders are what most clients send.
var usualHeaders = []*controlv1.ExplainHeader{
	{Name: "Authorization", Value: "Bearer $TOLLGATE_KEY"},
	{Name: "Content-Type", Value: "application/json"},
	{Name: "Accept", Value: "application/json"},
	{Name: "User-Agent", Value: "curl"},
	{Name: "Cookie", Value: "a=b"},
}

func methodOf(e *registry.Endpoint) string {
	if len(e.Methods) == 0 || slices.Contains(e.Methods, "POST") {
		return "POST"
	}
	return e.Methods[0]
}

// Any path below an endpoint, as it is tried and as people read it.
const (
	anyBelow     = "/any-sub-path"
	anyBelowText = "/<any-sub-path>"
)

// marked makes what stands for any path look like it.
func marked(text string) string { return strings.Replace(text, anyBelow, anyBelowText, 1) }

// pathsBelow are the path itself and, if more than that matches, what vendors usually have below it.
func pathsBelow(e *registry.Endpoint) []string {
	if e.Exact {
		return []string{""}
	}
	if e.Models != nil {
		return []string{"/v1/chat/completions", "/v1/messages", "/v1/responses", "/v1/models"}
	}
	return append(append([]string{""}, vendorPaths(e)...), anyBelow)
}

// vendorPaths are up to two paths that the vendor's template shows, for targets at the same host.
func vendorPaths(e *registry.Endpoint) (out []string) {
	if len(e.Targets) == 0 {
		return nil
	}
	host := hostOf(e.Targets[0].URL)
	all, err := templates.All()
	if err != nil || host == "" {
		return nil
	}
	for _, one := range all {
		for _, t := range one.Template.GetEndpoint().GetTargets() {
			if hostOf(t.GetUrl()) != host {
				continue
			}
			for _, s := range one.Samples {
				path, _, _ := strings.Cut(s.Path, "?")
				if len(path) > 1 && path[0] == '/' && !slices.Contains(out, path) && len(out) < 2 {
					out = append(out, path)
				}
			}
		}
	}
	return out
}

func hostOf(raw string) string {
	u, err := url.Parse(raw)
	if err != nil {
		return ""
	}
	return u.Host
}

// accessText says who may call, in words.
func accessText(e *registry.Endpoint) string {
	if e.Public != nil {
		return fmt.Sprintf("Anyone who can reach the gateway, without a key, %d requests a minute in all: you pay.", e.Public.RequestsPerMinute)
	}
	return "Any valid key that may call it."
}

// curlOf is a request to the endpoint with curl.
func curlOf(e *registry.Endpoint) string {
	method := methodOf(e)
	words := []string{"curl"}
	if method != "GET" {
		words = append(words, "-X", method)
	}
	path := e.Path
	if e.Models != nil && !e.Exact {
		path = strings.TrimSuffix(e.Path, "/") + "/v1/chat/completions"
	}
	words = append(words, `"$TOLLGATE_GATEWAY"`+quoted(path))
	if e.Public == nil {
		words = append(words, "-H", `"Authorization: Bearer $TOLLGATE_KEY"`)
	}
	if method == "POST" || method == "PUT" || method == "PATCH" {
		words = append(words, "-H", `"Content-Type: application/json"`, "-d", "'{}'")
	}
	return strings.Join(words, " ")
}

// quoted is a path as a shell takes it.
func quoted(path string) string {
	if !strings.ContainsAny(path, "$!'&()*;=~") {
		return path
	}
	return "'" + strings.ReplaceAll(path, "'", `'\''`) + "'"
}
