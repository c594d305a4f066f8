package litellmapi

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"

	"google.golang.org/protobuf/types/known/fieldmaskpb"

	"tollgate/controlplane/litellm"
	"tollgate/controlplane/litellm/mapping"
	controlv1 "tollgate/gen/tollgate/control/v1"
	"tollgate/internal/contract"
	"tollgate/internal/fault"
	"tollgate/internal/money"
	"tollgate/internal/plan"
)

// masked stands for the value of a header in answers. An entry that is sent back with it keeps the value that is there.
const masked = "********"

// endpointMask says which fields of an endpoint follow from a field of an entry.
var endpointMask = map[string][]string{
	"path": {"path"}, "target": {"targets"}, "headers": {"headers", "key_header", "host_header"}, "default_query_params": {"query"},
	"include_subpath": {"match"}, "cost_per_request": {"price"}, "timeout": {"timeout"}, "methods": {"methods"},
	"forward_headers": {"forward_headers", "pass_headers"}, "merge_query_params": nil, "auth": nil, "guardrails": nil, "id": nil,
	"is_from_config": nil,
}

// entry reads a pass-through endpoint of a request, by the rules of the importer.
func (c *call) entry(fields map[string]any) (*controlv1.Endpoint, []plan.Secret, error) {
	entry := map[string]any{}
	for name, v := range fields {
		if _, ok := endpointMask[name]; !ok && !empty(v) {
			return nil, nil, invalid(clip(name), "%s is not known here.", clip(name))
		}
		if v != nil && name != "id" && name != "is_from_config" {
			entry[name] = v
		}
	}
	if !empty(entry["guardrails"]) {
		return nil, nil, invalid("guardrails", "guardrails has no counterpart here: %s", noCounterpart["guardrails"])
	}
	if auth, ok := entry["auth"].(bool); ok && !auth {
		return nil, nil, invalid("auth", "auth: false would let anybody spend your money without a bound. Make the endpoint, and then make it public with a rate limit: "+
			"`tollgate endpoint set NAME --public --rate-limit N`.")
	}
	if entry["auth"] == nil {
		entry["auth"] = true // as in LiteLLM since 1.84
	}
	text, err := json.Marshal(object{"general_settings": object{"pass_through_endpoints": []any{entry}}})
	if err != nil {
		return nil, nil, err
	}
	made, err := litellm.Convert("request", text)
	if made != nil {
		for _, note := range made.Notes {
			if note.Level == plan.Refused {
				field := strings.TrimPrefix(strings.TrimPrefix(note.Path, "general_settings.pass_through_endpoints[0]"), ".")
				return nil, nil, invalid(field, "%s", strings.TrimPrefix(note.Text, "The endpoint is not imported. "))
			}
		}
	}
	if err != nil {
		return nil, nil, err
	}
	if len(made.Endpoints) != 1 {
		return nil, nil, invalid("body", "This is no pass-through endpoint.")
	}
	return made.Endpoints[0], made.Secrets, nil
}

// unmask takes what an entry has the mask for out of one of its fields, and gives the names.
func unmask(fields map[string]any, field string) (names []string) {
	all, ok := fields[field].(map[string]any)
	if !ok {
		return nil
	}
	all = maps.Clone(all)
	for name, v := range all {
		if v == masked {
			names = append(names, name)
			delete(all, name)
		}
	}
	fields[field] = all
	slices.Sort(names)
	return names
}

func nothingToKeep(field, name string) error {
	return invalid(field, "%s: %s has the mask for a value, and there is no value to keep.", field, clip(name))
}

// freeNames gives a new endpoint and its secrets names that nothing else has.
func (c *call) freeNames(e *controlv1.Endpoint, secrets []plan.Secret) error {
	base := e.GetName()
	for n := 1; ; n++ {
		e.Name = mapping.Numbered(base, n)
		_, err := c.endpoints.GetEndpoint(c.ctx, &controlv1.GetEndpointRequest{Endpoint: e.GetName()})
		if is(err, fault.ObjectNotFound) {
			break
		} else if err != nil {
			return err
		}
	}
	return c.storeSecrets(e, secrets)
}

// storeSecrets stores the credentials of an endpoint under names that nothing else has.
func (c *call) storeSecrets(e *controlv1.Endpoint, secrets []plan.Secret) error {
	for i := range secrets {
		old := secrets[i].Name
		for n := 1; ; n++ {
			candidate := mapping.Numbered(old, n)
			_, err := c.secrets.GetSecret(c.ctx, &controlv1.GetSecretRequest{Secret: candidate})
			if is(err, fault.ObjectNotFound) {
				secrets[i].Name = candidate
				break
			} else if err != nil {
				return err
			}
		}
		for _, h := range e.GetHeaders() {
			h.Value = strings.ReplaceAll(h.GetValue(), "${secret:"+old+"}", "${secret:"+secrets[i].Name+"}")
		}
		for _, q := range e.GetQuery() {
			q.Value = strings.ReplaceAll(q.GetValue(), "${secret:"+old+"}", "${secret:"+secrets[i].Name+"}")
		}
		if _, err := c.secrets.CreateSecret(c.ctx, &controlv1.CreateSecretRequest{Name: secrets[i].Name, Value: secrets[i].Value.Reveal()}); err != nil {
			return err
		}
	}
	return nil
}

func (c *call) endpointNew() (any, error) {
	fields := maps.Clone(c.body.fields)
	for _, field := range []string{"headers", "default_query_params"} {
		if names := unmask(fields, field); len(names) > 0 {
			return nil, nothingToKeep(field, names[0])
		}
	}
	e, secrets, err := c.entry(fields)
	if err != nil {
		return nil, err
	}
	if err := c.freeNames(e, secrets); err != nil {
		return nil, err
	}
	if ref := c.body.text("id"); ref != "" {
		e.Name = ref // the API says if it cannot be one
	}
	got, err := c.endpoints.CreateEndpoint(c.ctx, &controlv1.CreateEndpointRequest{Endpoint: e})
	if err != nil {
		return nil, err
	}
	return c.oneEndpoint(got.GetEndpoint())
}

func (c *call) oneEndpoint(e *controlv1.Endpoint) (any, error) {
	out, err := endpointObject(e)
	c.etag = e.GetEtag()
	return object{"endpoints": []any{out}}, err
}

// endpoint finds an endpoint by the id that answers have, or by ours.
func (c *call) endpoint(ref string) (*controlv1.Endpoint, error) {
	got, err := c.endpoints.GetEndpoint(c.ctx, &controlv1.GetEndpointRequest{Endpoint: ref})
	if is(err, fault.ObjectNotFound) {
		return nil, notFound("Endpoint with ID '%s' was not found in pass-through endpoint list.", clip(ref))
	}
	return got.GetEndpoint(), err
}

// endpointUpdate changes what an entry names. Null clears a field; what is not named stays, also what LiteLLM has no field for.
func (c *call) endpointUpdate() (any, error) {
	old, err := c.endpoint(c.r.PathValue("endpoint_id"))
	if err != nil {
		return nil, err
	}
	sent := c.body.fields
	fields := map[string]any{"path": old.GetPath(), "include_subpath": old.GetMatch() != controlv1.MatchKind_MATCH_KIND_EXACT}
	if len(old.GetTargets()) > 0 {
		fields["target"] = old.GetTargets()[0].GetUrl()
	}
	var mask []string
	for name, v := range sent {
		fields[name] = v
		paths, ok := endpointMask[name]
		if !ok && v != nil {
			return nil, invalid(clip(name), "%s is not known here.", clip(name))
		}
		mask = append(mask, paths...)
	}
	for _, name := range []string{"path", "target"} {
		if v, ok := sent[name]; ok && v == nil {
			return nil, invalid(name, "%s is required, and cannot be cleared.", name)
		}
	}
	headers, parameters := unmask(fields, "headers"), unmask(fields, "default_query_params")
	e, secrets, err := c.entry(fields)
	if err != nil {
		return nil, err
	}
	for _, name := range headers {
		i := slices.IndexFunc(old.GetHeaders(), func(o *controlv1.Header) bool { return strings.EqualFold(o.GetName(), name) })
		if i < 0 {
			return nil, nothingToKeep("headers", name)
		}
		e.Headers = append(e.Headers, old.GetHeaders()[i])
	}
	for _, name := range parameters {
		i := slices.IndexFunc(old.GetQuery(), func(o *controlv1.QueryParameter) bool { return o.GetName() == name })
		if i < 0 {
			return nil, nothingToKeep("default_query_params", name)
		}
		e.Query = append(e.Query, old.GetQuery()[i])
	}
	e.Name = old.GetName()
	if err := c.storeSecrets(e, secrets); err != nil {
		return nil, err
	}
	slices.Sort(mask)
	if mask = slices.Compact(mask); len(mask) == 0 {
		return c.oneEndpoint(old)
	}
	e.Id, e.Etag = old.GetId(), c.match()
	got, err := c.endpoints.UpdateEndpoint(c.ctx, &controlv1.UpdateEndpointRequest{Endpoint: e, UpdateMask: &fieldmaskpb.FieldMask{Paths: mask}})
	if err != nil {
		return nil, err
	}
	return c.oneEndpoint(got.GetEndpoint())
}

func (c *call) endpointDelete() (any, error) {
	ref := c.r.URL.Query().Get("endpoint_id")
	if ref == "" {
		return nil, missing("endpoint_id")
	}
	e, err := c.endpoint(ref)
	if is(err, fault.ObjectNotFound) {
		return nil, fault.New(fault.FailedPrecondition, "%s", faultOf(err).Message) // 400, which scripts know
	} else if err != nil {
		return nil, err
	}
	if _, err := c.endpoints.DeleteEndpoint(c.ctx, &controlv1.DeleteEndpointRequest{Endpoint: e.GetId(), Etag: c.match()}); err != nil {
		return nil, err
	}
	out, err := endpointObject(e)
	return object{"endpoints": []any{out}}, err
}

func (c *call) endpointList() (any, error) {
	ref := c.r.URL.Query().Get("endpoint_id")
	if ref != "" {
		e, err := c.endpoint(ref)
		if err != nil {
			return nil, err
		}
		return c.oneEndpoint(e)
	}
	all, err := c.allEndpoints()
	if err != nil {
		return nil, err
	}
	return endpointObjects(all)
}

func endpointObjects(all []*controlv1.Endpoint) (any, error) {
	out := []any{}
	for _, e := range all {
		one, err := endpointObject(e)
		if err != nil {
			return nil, err
		}
		out = append(out, one)
	}
	return object{"endpoints": out}, nil
}

// endpointListOfTeam lists what the keys of a team may call.
func (c *call) endpointListOfTeam() (any, error) {
	t, err := c.team(c.r.PathValue("team"))
	if err != nil {
		return nil, err
	}
	all, err := c.allEndpoints()
	if err != nil {
		return nil, err
	}
	if t.GetRestricted() {
		all = slices.DeleteFunc(all, func(e *controlv1.Endpoint) bool { return !slices.Contains(t.GetEndpoints(), e.GetName()) })
	}
	return endpointObjects(all)
}

// endpointObject is an endpoint as LiteLLM's entries are. No value of a header is in it.
func endpointObject(e *controlv1.Endpoint) (object, error) {
	headers, query := object{}, object{}
	for _, h := range e.GetHeaders() {
		headers[h.GetName()] = masked
	}
	if e.GetKeyHeader() != "" {
		headers["litellm_user_api_key"] = e.GetKeyHeader()
	}
	if host := e.GetHostHeader().GetText(); host != "" {
		headers["host"] = host
	}
	for _, q := range e.GetQuery() {
		value := q.GetValue()
		if strings.Contains(value, "${") {
			value = masked
		}
		switch before := query[q.GetName()].(type) {
		case nil:
			query[q.GetName()] = value
		case string:
			query[q.GetName()] = []any{before, value}
		case []any:
			query[q.GetName()] = append(before, value)
		}
	}
	out := object{
		"id": e.GetName(), "path": e.GetPath(), "target": "", "headers": headers, "default_query_params": query,
		"include_subpath": e.GetMatch() != controlv1.MatchKind_MATCH_KIND_EXACT, "cost_per_request": nil, "timeout": nil,
		"auth": e.GetAccess().GetPublic() == nil, "guardrails": nil, "methods": nil, "is_from_config": e.GetManagedBy() != "",
		"forward_headers": e.GetForwardHeaders() == controlv1.ForwardHeaders_FORWARD_HEADERS_ALL, "merge_query_params": true,
		"tollgate_id": e.GetId(), "disabled": e.GetDisabled(),
	}
	if len(e.GetTargets()) > 0 {
		out["target"] = e.GetTargets()[0].GetUrl()
	}
	if len(e.GetMethods()) > 0 {
		out["methods"] = e.GetMethods()
	}
	if e.GetTimeout() != nil {
		out["timeout"] = amountOf(money.Nanos(e.GetTimeout().AsDuration())) // both count in billionths
	}
	if n := e.GetPrice().GetFixed().GetPerRequest(); n != nil {
		amount, err := contract.MoneyFromProto(n)
		if err != nil {
			return nil, err
		}
		out["cost_per_request"] = amountOf(amount)
	}
	return out, nil
}
