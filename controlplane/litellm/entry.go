package litellm

import (
	"maps"
	"net/url"
	"slices"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
	"google.golang.org/protobuf/types/known/durationpb"

	"tollgate/controlplane/registry"
	controlv1 "tollgate/gen/tollgate/control/v1"
	"tollgate/internal/contract"
	"tollgate/internal/fault"
	"tollgate/internal/plan"
)

const (
	maxPath    = 1024
	maxTarget  = 2048
	maxMethods = 16
	maxTimeout = time.Hour
)

// entry is one of pass_through_endpoints while it is read.
type entry struct {
	item

	endpoint *controlv1.Endpoint
}

// route is what two endpoints must not both answer.
type route struct {
	path  string
	match controlv1.MatchKind
}

// taken is an endpoint that answers a route for some methods, or for all if there are none.
type taken struct {
	name    string
	methods []string
}

// entry reads one of pass_through_endpoints.
func (v *conversion) entry(n *yaml.Node, path string) error {
	if err := v.step(); err != nil {
		return err
	}
	if m := resolve(n); m == nil || m.Kind != yaml.MappingNode {
		v.note(n.Line, plan.Refused, path, "It is no mapping of settings.")
		return nil
	}
	fields, err := v.fields(n, path)
	if err != nil {
		return err
	}
	before := len(v.plan.Notes)
	e := &entry{item: item{v: v, kind: "endpoint", line: n.Line, path: path}, endpoint: &controlv1.Endpoint{
		Match:          controlv1.MatchKind_MATCH_KIND_EXACT,
		ForwardHeaders: controlv1.ForwardHeaders_FORWARD_HEADERS_NONE,
		KeyHeader:      v.keyHeader,
	}}
	set := map[string]field{}
	for _, f := range fields {
		set[f.key] = f
	}
	// Secrets are named after the endpoint, and the endpoint after its path.
	e.readPath(set["path"])
	for _, f := range fields {
		if err := e.read(f); err != nil {
			return err
		}
	}
	if _, ok := set["target"]; !ok {
		e.refuse(e.line, path, "It has no target.")
	}
	e.conflict()
	if e.endpoint.Models != nil {
		e.served(set)
	} else {
		e.price(set)
	}
	if _, ok := set["timeout"]; !ok && v.timeout != nil && e.endpoint.Models == nil {
		e.timeout(*v.timeout, e.line, path)
	}
	if _, ok := set["auth"]; !ok && !e.refused {
		v.note(e.line, plan.Warning, path, "It does not say auth. LiteLLM before 1.84 let anyone call this path; here it requires a key, so callers without one are answered 401. %s lets them in.", e.makePublic())
	}
	e.keyHeader()
	e.rules(set)
	e.finish()
	e.onlyReasons(before)
	return nil
}

// read reads one setting of the entry, except those that others depend on.
func (e *entry) read(f field) error {
	path := e.path + "." + f.key
	switch f.key {
	case "path", "cost_per_request":
	case "target":
		e.target(f, path)
	case "headers":
		if !null(resolve(f.value)) {
			return e.headers(f)
		}
	case "include_subpath":
		if e.boolean(f, path) {
			e.endpoint.Match = controlv1.MatchKind_MATCH_KIND_PREFIX
		}
	case "forward_headers":
		if e.boolean(f, path) {
			e.endpoint.ForwardHeaders, e.endpoint.PassHeaders = controlv1.ForwardHeaders_FORWARD_HEADERS_ALL, true
			e.v.note(f.line, plan.Warning, path, "The caller's headers go along, and x-pass-NAME as NAME, but never its key or other credentials. LiteLLM also forwards the caller's key to the target.")
		}
	case "auth":
		if need, ok := truth(f.value); ok && !need {
			e.v.note(f.line, plan.Warning, path, "LiteLLM lets anyone call this path. Here it requires a key, so callers without one are answered 401; %s lets them in.", e.makePublic())
		} else if !ok {
			e.v.note(f.line, plan.Info, path, "It requires a key.")
		}
	case "timeout":
		if null(resolve(f.value)) {
			return nil
		}
		d, err := parseDecimal(f.value)
		if err != nil {
			e.refuse(f.line, path, "%s is no timeout in seconds: %v.", quote(scalar(f.value)), err)
			return nil
		}
		e.timeout(d, f.line, path)
	case "methods":
		e.methods(f, path)
	case "default_query_params":
		if !null(resolve(f.value)) {
			return e.query(f)
		}
	case "merge_query_params":
		e.v.note(f.line, plan.Info, path, "Queries are always merged: what the caller sends comes before the query of the target's URL, and that before defaults.")
	case "custom_auth_parser":
		if text := scalar(f.value); text == "langfuse" {
			e.v.note(f.line, plan.Info, path, "The user name of Basic credentials is read as the caller's key where there is no password. Where there are both, LiteLLM takes the user name, and Tollgate the password unless only the user name is one of its keys.")
		} else if !null(resolve(f.value)) {
			e.refuse(f.line, path, "%s is not known as a way to present keys.", quote(text))
		}
	case "guardrails":
		if n := resolve(f.value); !null(n) && len(n.Content) > 0 {
			if e.v.accept {
				e.v.note(f.line, plan.Warning, path, "It is imported without its guardrails, as was accepted: content passes that LiteLLM blocks.")
				break
			}
			e.refuse(f.line, path, "Tollgate has no guardrails, and without them content would pass that LiteLLM blocks. Import it without by --accept-guardrail-loss.")
		}
	default:
		e.v.remark(f, path, entryKeys)
	}
	return nil
}

// makePublic is the command by which callers without a key are let in. It is not done by itself: what
// anybody may call at somebody's cost needs a limit, which LiteLLM's file does not have.
func (e *entry) makePublic() string {
	return "`tollgate endpoint set " + e.endpoint.GetName() + " --public --rate-limit N`"
}

func (e *entry) boolean(f field, path string) bool {
	value, ok := truth(f.value)
	if !ok && !null(resolve(f.value)) {
		e.refuse(f.line, path, "%s is neither true nor false.", quote(scalar(f.value)))
	}
	return value
}

// readPath reads the path, and names the endpoint after it.
func (e *entry) readPath(f field) {
	text := scalar(f.value)
	if len(text) < maxPath {
		e.name = unique(slug(text, "root"), e.v.names)
		e.endpoint.Name = e.name
	}
	path := e.path + ".path"
	switch {
	case f.value == nil:
		e.refuse(e.line, e.path, "It has no path.")
		return
	case text == "" || len(text) >= maxPath:
		e.refuse(f.line, path, "The path is empty, no text or longer than %d bytes.", maxPath)
		return
	case strings.ContainsAny(text, "{}"):
		e.refuse(f.line, path, "%s has a parameter in braces, which Tollgate's paths do not have. With include_subpath the part before it can take its place.", quote(text))
		return
	case strings.ContainsAny(text, "?#%\\") || strings.ContainsFunc(text, func(r rune) bool { return r <= ' ' || r >= 0x7f }):
		e.refuse(f.line, path, "%s has a character in it that a path cannot have as it is.", quote(text))
		return
	}
	if !strings.HasPrefix(text, "/") {
		e.v.note(f.line, plan.Warning, path, "The path does not begin with a slash; it is imported as %s.", quote("/"+text))
		text = "/" + text
	}
	if trimmed := strings.TrimRight(text, "/"); trimmed != text && text != "/" {
		text = "/" + strings.TrimLeft(trimmed, "/")
		e.v.note(f.line, plan.Info, path, "It is imported as %s, which also answers with a slash behind it if sub-paths are included.", quote(text))
	}
	switch segments := strings.Split(text[1:], "/"); {
	case text == "/-" || strings.HasPrefix(text, "/-/"):
		e.refuse(f.line, path, "Paths below /-/ are the gateway's own.")
	case text != "/" && slices.ContainsFunc(segments, func(s string) bool { return s == "" || s == "." || s == ".." }):
		e.refuse(f.line, path, "%s has an empty or dot segment.", quote(text))
	}
	e.endpoint.Path = text
}

func (e *entry) target(f field, path string) {
	text := scalar(f.value)
	shown := quote(text)
	u, err := url.Parse(text)
	switch {
	case strings.Contains(text, environPrefix):
		e.refuse(f.line, path, "A target cannot refer to a variable; LiteLLM does not resolve one there either. Write the URL.")
	case err == nil && (u.Scheme == "s3" || u.Scheme == "gcs"):
		e.refuse(f.line, path, "%s is Python code in a bucket, which Tollgate does not run.", shown)
	case err == nil && u.Scheme == "" && strings.HasSuffix(text, builtinAdapter):
		e.adapter(f, path)
	case err == nil && u.Scheme == "" && text != "":
		e.refuse(f.line, path, "%s is Python code, which Tollgate does not run. Write what an adapter translates as a server of your own, register it with `tollgate adapter create`, and serve models by it: `tollgate endpoint create --models --models-adapter`.", shown)
	case err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" || len(text) > maxTarget:
		e.refuse(f.line, path, "The target is no http or https URL.")
	case u.User != nil:
		e.refuse(f.line, path, "The target has a user name in it. Put the credential into a header.")
	case u.Fragment != "" || strings.Contains(text, "#"):
		e.refuse(f.line, path, "%s has a fragment (#…), which is never sent.", shown)
	default:
		for _, name := range slices.Sorted(maps.Keys(u.Query())) {
			if credentialName(name) {
				e.v.note(f.line, plan.Warning, path, "The query parameter %s looks like a credential. It stays in the URL, readable by all who may read endpoints.", quote(name))
			}
		}
		e.endpoint.Targets = []*controlv1.Target{{Url: text}}
	}
}

// price reads cost_per_request from its text.
func (e *entry) price(set map[string]field) {
	f := set["cost_per_request"]
	free := &controlv1.Price{Kind: &controlv1.Price_Free_{Free: &controlv1.Price_Free{}}}
	if null(resolve(f.value)) {
		line := f.line
		if line == 0 {
			line = e.line
		}
		e.endpoint.Price = free
		if e.refused {
			return
		}
		e.v.note(line, plan.Warning, e.path, "It has no cost_per_request: spend will be $0, and no budget limits it.")
		return
	}
	amount, err := parseDecimal(f.value)
	switch {
	case err != nil:
		e.refuse(f.line, e.path+"."+f.key, "%s is no amount in dollars: %v.", quote(scalar(f.value)), err)
	case amount.nanos < 0:
		e.refuse(f.line, e.path+"."+f.key, "A price cannot be negative.")
	case amount.nanos == 0:
		e.endpoint.Price = free
	default:
		e.endpoint.Price = &controlv1.Price{Kind: &controlv1.Price_Fixed_{Fixed: &controlv1.Price_Fixed{
			PerRequest: contract.MoneyToProto(amount.nanos),
		}}}
	}
}

func (e *entry) timeout(d decimal, line int, path string) {
	timeout := time.Duration(d.nanos) // both count in billionths
	switch {
	case timeout <= 0:
		e.refuse(line, path, "A timeout must be more than 0 seconds.")
		return
	case timeout > maxTimeout:
		e.v.note(line, plan.Warning, path, "It is shortened to an hour, the longest that Tollgate waits for an answer to begin.")
		timeout = maxTimeout
	}
	e.endpoint.Timeout = durationpb.New(timeout)
}

func (e *entry) methods(f field, path string) {
	n := resolve(f.value)
	if null(n) || (n.Kind == yaml.SequenceNode && len(n.Content) == 0) {
		return
	}
	if n.Kind != yaml.SequenceNode || len(n.Content) > maxMethods {
		e.refuse(f.line, path, "It is no list of up to %d methods.", maxMethods)
		return
	}
	for _, item := range n.Content {
		method := strings.ToUpper(scalar(item))
		if method == "" || len(method) > 32 || strings.Trim(method, "ABCDEFGHIJKLMNOPQRSTUVWXYZ") != "" {
			e.refuse(item.Line, path, "%s is no method.", quote(scalar(item)))
			return
		}
		if !slices.Contains(e.endpoint.Methods, method) {
			e.endpoint.Methods = append(e.endpoint.Methods, method)
		}
	}
}

// conflict refuses an entry whose path and methods another has taken before.
func (e *entry) conflict() {
	for _, t := range e.v.taken[e.route()] {
		if len(t.methods) == 0 || len(e.endpoint.Methods) == 0 ||
			slices.ContainsFunc(t.methods, func(m string) bool { return slices.Contains(e.endpoint.Methods, m) }) {
			e.refuse(e.line, e.path, "The endpoint %s above answers the same path and method. LiteLLM leaves the second one out in silence.", t.name)
			return
		}
	}
}

func (e *entry) route() route { return route{e.endpoint.GetPath(), e.endpoint.GetMatch()} }

// settings say which setting of an entry a field of an endpoint comes from.
var settings = map[string]string{
	"path": "path", "methods": "methods", "targets": "target", "headers": "headers", "key_header": "headers", "query": "default_query_params", "host_header": "headers",
	"price": "cost_per_request", "timeout": "timeout",
}

// rules asks the registry, which has the last word on what an endpoint may be.
func (e *entry) rules(set map[string]field) {
	if e.refused {
		return
	}
	if e.endpoint.Models != nil {
		models := &registry.Models{Default: e.endpoint.GetModels().GetDefaultModel()}
		for _, s := range e.endpoint.GetModels().GetSchemas() {
			models.Schemas = append(models.Schemas, registry.Schema(s))
		}
		e.check(&registry.Endpoint{
			Name: e.name, Path: e.endpoint.GetPath(), Exact: e.endpoint.GetMatch() == controlv1.MatchKind_MATCH_KIND_EXACT, Methods: slices.Clone(e.endpoint.GetMethods()),
			KeyHeader: e.endpoint.GetKeyHeader(), Timeout: e.endpoint.GetTimeout().AsDuration(), Models: models,
		}, set)
		return
	}
	perRequest, err := contract.MoneyFromProto(e.endpoint.GetPrice().GetFixed().GetPerRequest())
	if err != nil {
		e.refuse(e.line, e.path, "Its price does not fit.")
		return
	}
	r := &registry.Endpoint{
		Name: e.endpoint.GetName(), Path: e.endpoint.GetPath(), Exact: e.endpoint.GetMatch() == controlv1.MatchKind_MATCH_KIND_EXACT,
		Methods: slices.Clone(e.endpoint.GetMethods()), KeyHeader: e.endpoint.GetKeyHeader(), Timeout: e.endpoint.GetTimeout().AsDuration(),
		Forward: registry.Forward(e.endpoint.GetForwardHeaders()), Price: registry.Price{Free: e.endpoint.GetPrice().GetFree() != nil, PerRequest: perRequest},
	}
	for _, t := range e.endpoint.GetTargets() {
		r.Targets = append(r.Targets, registry.Target{URL: t.GetUrl()})
	}
	for _, h := range e.endpoint.GetHeaders() {
		r.Headers = append(r.Headers, registry.Header{Name: h.GetName(), Value: h.GetValue()})
	}
	if text := e.endpoint.GetHostHeader(); text != nil {
		r.Host = registry.Host{Kind: registry.HostText, Text: text.GetText()}
	}
	for _, q := range e.endpoint.GetQuery() {
		r.Query = append(r.Query, registry.Query{Name: q.GetName(), Value: q.GetValue(), Mode: registry.Mode(q.GetMode())})
	}
	e.check(r, set)
}

func (e *entry) check(r *registry.Endpoint, set map[string]field) {
	r.Normalize()
	var problems registry.Problems
	r.Check(&problems, registry.EndpointFacts{Secrets: r.SecretRefs()})
	err := problems.Err("the endpoint")
	if err == nil {
		return
	}
	for _, violation := range fault.From(err).Violations {
		name, _, _ := strings.Cut(violation.Field, ".")
		name, _, _ = strings.Cut(name, "[")
		line, path := e.line, e.path
		if f, ok := set[settings[name]]; ok {
			line, path = f.line, e.path+"."+f.key
		}
		e.refuse(line, path, "%s", violation.Reason)
	}
}

// finish gives an entry that is whole to the plan.
func (e *entry) finish() {
	if e.refused {
		return
	}
	name := e.endpoint.GetName()
	e.v.names[name] = true
	e.v.taken[e.route()] = append(e.v.taken[e.route()], taken{name, e.endpoint.GetMethods()})
	e.give()
	e.v.plan.Endpoints = append(e.v.plan.Endpoints, e.endpoint)
}
