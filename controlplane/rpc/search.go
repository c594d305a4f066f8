package rpc

import (
	"context"
	"slices"
	"strings"
	"time"

	"tollgate/controlplane/access"
	"tollgate/controlplane/store"
	controlv1 "tollgate/gen/tollgate/control/v1"
	"tollgate/gen/tollgate/control/v1/controlv1connect"
	"tollgate/internal/id"
)

type searchService struct {
	controlv1connect.UnimplementedSearchServiceHandler

	store *store.Store
	fleet Nodes
}

// Bounds of what is found.
const (
	usualFound = 20
	mostFound  = 100
)

// seenWith is what a caller needs to be permitted to see a kind, here and among changes.
var seenWith = map[string]controlv1.Permission{
	"endpoint": access.ConfigRead, "model": access.ConfigRead, "adapter": access.ConfigRead, "price_book": access.ConfigRead, "settings": access.ConfigRead,
	"alert": access.ConfigRead,
	"key":   access.KeysRead, "team": access.KeysRead, "customer": access.KeysRead, "tag": access.KeysRead,
	"budget": access.MoneyRead, "limit": access.MoneyRead, "request": access.MoneyRead,
	"secret": access.SecretsRead, "person": access.PeopleRead, "token": access.PeopleRead, "edge": access.EdgesRead,
}

// Kinds that the store does not search.
const (
	edgeKind    = "edge"
	requestKind = "request"
)

func (s *searchService) Search(ctx context.Context, req *controlv1.SearchRequest) (*controlv1.SearchResponse, error) {
	known := append(store.SearchKinds(), edgeKind, requestKind)
	p := problems("")
	for _, kind := range req.GetKinds() {
		if !slices.Contains(known, kind) {
			p.Add("kinds", "unknown", "There is no kind %q to search for. There are: %s.", kind, strings.Join(known, ", "))
		}
	}
	if err := p.Err("the request"); err != nil {
		return nil, err
	}
	limit := int(req.GetLimit())
	if limit == 0 {
		limit = usualFound
	}
	limit = min(limit, mostFound)
	caller, scopes := access.From(ctx), map[string]access.Scope{}
	for _, kind := range known {
		if len(req.GetKinds()) == 0 || slices.Contains(req.GetKinds(), kind) {
			if scope := caller.Scope(seenWith[kind]); scope.Everywhere || len(scope.Teams) > 0 {
				scopes[kind] = scope
			}
		}
	}
	text := strings.TrimSpace(req.GetQuery())
	out := &controlv1.SearchResponse{}
	if _, ok := scopes[requestKind]; ok && id.Is(id.Request, text) {
		out.Results = append(out.Results, &controlv1.SearchResult{Kind: requestKind, Id: text, Name: text})
		return out, nil // nothing else is named so
	}
	if scopes[edgeKind].Everywhere {
		out.Results = s.edges(text)
	}
	found, err := s.store.Search(ctx, store.SearchQuery{Text: text, Kinds: scopes, Limit: limit})
	if err != nil {
		return nil, err
	}
	for _, f := range found {
		out.Results = append(out.Results, &controlv1.SearchResult{Kind: f.Kind, Id: f.ID, Name: f.Name, Detail: f.Detail})
	}
	out.Results = out.Results[:min(limit, len(out.Results))]
	return out, nil
}

// edges finds edges that are heard or were of late. There are few, so that they are no loss at the front.
func (s *searchService) edges(text string) (all []*controlv1.SearchResult) {
	text = strings.ToLower(text)
	for _, n := range s.fleet.Nodes(store.State{}.Current, time.Now()) {
		if strings.Contains(strings.ToLower(n.GetEdge()), text) {
			all = append(all, &controlv1.SearchResult{Kind: edgeKind, Id: n.GetEdge(), Name: n.GetEdge(), Detail: strings.TrimSpace(n.GetRegion() + " " + n.GetAddress())})
		}
	}
	return all
}
