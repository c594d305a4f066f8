package registry

import (
	"slices"
	"strings"
)

// Schema is a language of requests and answers about models. The numbers are those of the protobuf enumeration.
type Schema uint8

// The schemas.
const (
	SchemaChat Schema = iota + 1
	SchemaMessages
	SchemaResponses
)

// Models says how an endpoint serves models.
type Models struct {
	Schemas []Schema `json:"schemas,omitempty"` // that callers may speak; empty: all
	Adapter string   `json:"adapter,omitempty"` // name; in place of schemas
	Default string   `json:"default_model,omitempty"`

	// DefaultUnknown says that no model has the name in Default. It is found out anew whenever the endpoint is read.
	DefaultUnknown bool `json:"-"`
}

// normalize puts the schemas in order.
func (m *Models) normalize() { m.Schemas = slices.Sorted(slices.Values(m.Schemas)) }

// servedPaths are what an exact path can end in.
var servedPaths = []string{"/messages", "/messages/count_tokens", "/chat/completions", "/responses", "/models"}

// checkModels adds what is wrong with an endpoint that serves models. What the models' deployments say for
// themselves is refused here, because it would never matter.
func (e *Endpoint) checkModels(p *Problems, facts EndpointFacts) {
	m := e.Models
	checkSchemas(p, "models.schemas", m.Schemas)
	switch {
	case m.Adapter != "" && len(m.Schemas) > 0:
		p.Add("models.adapter", Forbidden, "An adapter translates all that callers send: leave schemas out, or the adapter.")
	case m.Adapter != "" && !facts.Adapter:
		p.Add("models.adapter", Unknown, "There is no adapter %q: create it first.", clip(m.Adapter))
	}
	if m.Default != "" && (!IsModelName(m.Default) || strings.Contains(m.Default, "*")) {
		p.Add("models.default_model", Malformed, "%q is not the name of a model: write one without *, as a caller would ask for it.", clip(m.Default))
	}
	if e.Exact && m.Adapter == "" && !slices.ContainsFunc(servedPaths, func(end string) bool { return strings.HasSuffix(e.Path, end) }) {
		p.Add("path", Malformed, "An exact path of models answers what it ends in, and %s ends in none of %s: match the path as a prefix, or end it so.",
			clip(e.Path), strings.Join(servedPaths, ", "))
	}
	for _, s := range []struct {
		field string
		set   bool
	}{
		{"targets", len(e.Targets) > 0},
		{"balance", e.Balance != BalanceFailover},
		{"headers", len(e.Headers) > 0},
		{"query", len(e.Query) > 0},
		{"host_header", e.Host.Kind != HostTarget},
		{"credentials", len(e.Credentials) > 0},
		{"credential_balance", e.CredentialBalance != BalanceFailover},
		{"aws_signing", e.AWS != nil},
		{"retry", e.Retry != nil},
		{"hedge", e.Hedge != nil},
		{"breaker", e.Breaker != nil},
		{"health_check", e.Health != nil},
		{"outlier_ejection", e.Outlier != nil},
	} {
		if s.set && !p.Has(s.field) {
			p.Add(s.field, Forbidden, "An endpoint that serves models has no %s: the models and their deployments say what is to be said. Leave it out, or leave models out.", s.field)
		}
	}
}

func checkSchemas(p *Problems, field string, schemas []Schema) {
	for i, s := range schemas {
		switch {
		case s < SchemaChat || s > SchemaResponses:
			p.Add(field, Malformed, "This schema is not known: use OpenAI chat, Anthropic messages or OpenAI responses.")
		case slices.Contains(schemas[:i], s):
			p.Add(field, Duplicate, "A schema is listed twice.")
		}
	}
}
