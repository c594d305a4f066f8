package litellmapi

import (
	"slices"
	"strings"

	controlv1 "tollgate/gen/tollgate/control/v1"
)

// routeFields are the fields in which LiteLLM says which paths a key or a team may call.
var routeFields = []string{"allowed_routes", "allowed_passthrough_routes"}

// allEndpoints are all endpoints.
func (c *call) allEndpoints() ([]*controlv1.Endpoint, error) {
	var all []*controlv1.Endpoint
	req := &controlv1.ListEndpointsRequest{PageSize: 1000}
	for range mostPages {
		page, err := c.endpoints.ListEndpoints(c.ctx, req)
		if err != nil {
			return nil, err
		}
		all = append(all, page.GetEndpoints()...)
		if req.PageToken = page.GetNextPageToken(); req.PageToken == "" {
			break
		}
	}
	return all, nil
}

// routes reads which endpoints a request allows: by path, by path with /* behind it, or by name. It is not restricted where none
// is named, or all calls of models are.
func (c *call) routes(b *body) (names []string, restricted bool, err error) {
	var all []*controlv1.Endpoint
	for _, field := range routeFields {
		for _, text := range b.texts(field) {
			switch text {
			case "llm_api_routes", "openai_routes", "*", "/*":
				return nil, false, nil
			}
			restricted = true
			if !strings.HasPrefix(text, "/") {
				names = append(names, text) // the API says if there is no such endpoint
				continue
			}
			if all == nil {
				if all, err = c.allEndpoints(); err != nil {
					return nil, false, err
				}
			}
			path, found := strings.TrimSuffix(strings.TrimSuffix(text, "*"), "/"), false
			for _, e := range all {
				if e.GetPath() == path || e.GetPath() == text {
					names, found = append(names, e.GetName()), true
				}
			}
			if !found {
				b.wrong(field, "%s: no endpoint has the path %s.", field, clip(text))
			}
		}
	}
	slices.Sort(names)
	return slices.Compact(names), restricted, nil
}

// describeRoutes puts into a reply which endpoints may be called.
func describeRoutes(out object, note notes, restricted bool, names []string) {
	if restricted {
		out["allowed_passthrough_routes"] = texts(names)
	}
	for _, field := range routeFields {
		if v, ok := note.kept[field]; ok {
			out[field] = v
		}
	}
}
