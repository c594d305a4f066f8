package proxy

import (
	"net/http"
	"strings"

	"tollgate/edge/adapter"
	"tollgate/edge/routing"
	"tollgate/internal/fault"
)

// operation is what a caller wants of an endpoint that serves models.
type operation uint8

const (
	opNone     operation = iota
	opGenerate           // an answer of a model
	opCount              // how many tokens a request has
	opList               // which models there are
	opOne                // one of them
	opForeign            // whatever an adapter makes of it
)

// operations are what is answered below the path of an endpoint, with or without "/v1".
var operations = []struct {
	path   string
	method string
	op     operation
	schema adapter.Schema // 0 for those that several have
}{
	{"/messages", http.MethodPost, opGenerate, adapter.Messages},
	{"/messages/count_tokens", http.MethodPost, opCount, adapter.Messages},
	{"/chat/completions", http.MethodPost, opGenerate, adapter.Chat},
	{"/responses", http.MethodPost, opGenerate, adapter.Responses},
	{"/models", http.MethodGet, opList, 0},
}

// wanted is what a request line asks for.
type wanted struct {
	op     operation
	schema adapter.Schema // that the caller speaks
	one    string         // name of the model that is looked up
}

// wantedOf finds out what a request to an endpoint that serves models is about. With an error the schema is that in which the
// caller is told.
func wantedOf(e *routing.Endpoint, method, rest string, headers []Header) (wanted, error) {
	m := e.Models
	w := wanted{schema: likelySchema(m, headers)}
	if m.Adapter != nil {
		w.op, w.schema = opForeign, adapter.Chat
		return w, nil
	}
	path := strings.TrimSuffix(rest, "/")
	if e.Exact {
		path = tail(e.Path)
	}
	if v1, ok := strings.CutPrefix(path, "/v1"); ok && strings.HasPrefix(v1, "/") {
		path = v1
	}
	for _, o := range operations {
		if path != o.path {
			continue
		}
		if o.schema != 0 {
			if !m.Speaks(o.schema) {
				return w, fault.New(fault.EndpointNotFound, "Endpoint %s doesn't speak %s, which %s is.", e.Name, o.schema, shortPath(rest)).
					WithHint("Use a path of a schema that the endpoint speaks: %s.", schemaNames(m.Schemas))
			}
			w.schema = o.schema
		}
		if method != o.method && (o.method != http.MethodGet || method != http.MethodHead) {
			return w, wrongMethod(e, method, o.method)
		}
		w.op = o.op
		return w, nil
	}
	if name, ok := strings.CutPrefix(path, "/models/"); ok && name != "" {
		if method != http.MethodGet && method != http.MethodHead {
			return w, wrongMethod(e, method, http.MethodGet)
		}
		w.op, w.one = opOne, routing.Unescape(name)
		return w, nil
	}
	return w, fault.New(fault.EndpointNotFound, "Endpoint %s serves models, and %s is none of the paths that it answers.", e.Name, shortPath(rest)).
		WithHint("Below its path it answers %s, with or without /v1.", pathNames())
}

// likelySchema is the schema of a caller who has not said by the path which one it is.
func likelySchema(m *routing.Models, headers []Header) adapter.Schema {
	switch {
	case len(m.Schemas) == 1:
		return m.Schemas[0]
	case get(headers, "Anthropic-Version") != "" && m.Speaks(adapter.Messages):
		return adapter.Messages
	case m.Speaks(adapter.Chat) || len(m.Schemas) == 0:
		return adapter.Chat
	default:
		return adapter.Responses
	}
}

// tail is the part of an exact endpoint's path that says what it answers; empty if there is none.
func tail(path string) string {
	path = strings.TrimSuffix(path, "/")
	best := ""
	for _, o := range operations {
		if strings.HasSuffix(path, o.path) && len(o.path) > len(best) {
			best = o.path
		}
	}
	return best
}

func wrongMethod(e *routing.Endpoint, method string, allowed string) error {
	err := fault.New(fault.MethodNotAllowed, "Endpoint %s does not answer %s here.", e.Name, known(method))
	if err.Allow = []string{allowed}; allowed == http.MethodGet {
		err.Allow = append(err.Allow, http.MethodHead)
	}
	return err
}

func schemaNames(list []adapter.Schema) string {
	names := make([]string, len(list))
	for i, s := range list {
		names[i] = s.String()
	}
	return strings.Join(names, ", ")
}

func pathNames() string {
	names := make([]string, 0, len(operations)+1)
	for _, o := range operations {
		names = append(names, o.method+" "+o.path)
	}
	return strings.Join(append(names, "GET /models/NAME"), ", ")
}
