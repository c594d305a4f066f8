package litellm

import (
	"strings"

	controlv1 "tollgate/gen/tollgate/control/v1"
	"tollgate/internal/plan"
)

// builtinAdapter ends the targets that stand for LiteLLM's example of an adapter, whatever file it is in: Anthropic
// Messages for callers, and any model behind them. Tollgate translates that itself.
const builtinAdapter = ".anthropic_adapter"

// messagesPath is what the path of an endpoint ends in that answers Anthropic Messages and nothing else.
const messagesPath = "/messages"

// adapter makes the entry an endpoint that serves models.
func (e *entry) adapter(f field, path string) {
	e.endpoint.Models = &controlv1.Models{
		Schemas: []controlv1.Schema{controlv1.Schema_SCHEMA_ANTHROPIC_MESSAGES}, DefaultModel: e.v.fallback,
	}
	e.endpoint.ForwardHeaders = controlv1.ForwardHeaders_FORWARD_HEADERS_UNSPECIFIED
	e.v.note(f.line, plan.Info, path, "Tollgate translates Anthropic Messages itself, streams as well, so that %s is not needed. If it does anything else than LiteLLM's example, that is lost.", quote(scalar(f.value)))
}

// served checks an endpoint that serves models, and leaves out what only requests to a target have.
func (e *entry) served(set map[string]field) {
	if len(e.v.plan.Models) == 0 {
		e.refuse(e.line, e.path, "No model of model_list is imported that it could serve.")
	}
	if e.endpoint.GetMatch() == controlv1.MatchKind_MATCH_KIND_EXACT && e.endpoint.GetPath() != "" && !strings.HasSuffix(e.endpoint.GetPath(), messagesPath) {
		f := set["path"]
		e.refuse(f.line, e.path+".path", "The path of an endpoint that answers Anthropic Messages ends in %s, as SDKs call it.", messagesPath)
	}
	if len(e.endpoint.GetHeaders()) > 0 || e.endpoint.GetHostHeader() != nil {
		e.v.note(set["headers"].line, plan.Warning, e.path+".headers", "They are not sent to the models' vendors; neither does LiteLLM send them. `extra_headers` of a model are.")
	}
	for _, key := range []string{"default_query_params", "forward_headers", "cost_per_request"} {
		if f, ok := set[key]; ok && !null(resolve(f.value)) {
			e.v.note(f.line, plan.Warning, e.path+"."+key, "It has no effect on models; their deployments say what requests to vendors are like, and what they cost.")
		}
	}
	e.endpoint.Headers, e.endpoint.Query, e.endpoint.HostHeader = nil, nil, nil
	e.endpoint.ForwardHeaders, e.endpoint.PassHeaders, e.made, e.uses = controlv1.ForwardHeaders_FORWARD_HEADERS_UNSPECIFIED, false, nil, nil
}
