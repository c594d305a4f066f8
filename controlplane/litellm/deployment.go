package litellm

import (
	"net/url"
	"slices"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
	"google.golang.org/protobuf/types/known/durationpb"

	"tollgate/controlplane/registry"
	controlv1 "tollgate/gen/tollgate/control/v1"
	"tollgate/internal/headervalue"
	"tollgate/internal/plan"
)

// azureVersion is the version of Azure's API that LiteLLM asks for where nothing names one.
const azureVersion = "2025-02-01-preview"

// deployment is one item of model_list while it is read.
type deployment struct {
	item

	group    string // model_name
	vendor   string // LiteLLM's name of the provider
	provider provider
	model    string // the vendor's name of it
	home     bool   // it is where the vendor's own prices hold
	only     bool   // the vendor has it for Responses and nothing else
	v1       bool   // it is at Azure's newer path, which has all that OpenAI's own has

	params, info map[string]field
	costs        costs
	baseModel    string
	out          *controlv1.Deployment
}

// deployment reads one item of model_list. It answers nil if the item is left out.
func (v *conversion) deployment(n *yaml.Node, path string) (*deployment, error) {
	if err := v.step(); err != nil {
		return nil, err
	}
	fields, err := v.fields(n, path)
	if err != nil || fields == nil {
		return nil, err
	}
	before := len(v.plan.Notes)
	d := &deployment{item: item{v: v, kind: "deployment", line: n.Line, path: path}, out: &controlv1.Deployment{Target: &controlv1.Target{}}}
	for _, f := range fields {
		at := path + "." + f.key
		switch f.key {
		case "model_name":
			d.group = scalar(f.value)
			d.name = slug(d.group, "model")
		case "litellm_params":
			d.params, err = v.byKey(f, at)
		case "model_info":
			d.info, err = v.byKey(f, at)
		default:
			v.remark(f, at, modelKeys)
		}
		if err != nil {
			return nil, err
		}
	}
	d.read()
	d.onlyReasons(before)
	if d.refused {
		return nil, nil
	}
	return d, nil
}

// byKey is a mapping by its keys.
func (v *conversion) byKey(f field, path string) (map[string]field, error) {
	all, err := v.fields(f.value, path)
	if err != nil {
		return nil, err
	}
	set := map[string]field{}
	for _, one := range all {
		set[one.key] = one
	}
	return set, nil
}

// read makes the deployment of what stands in the file.
func (d *deployment) read() {
	if !registry.IsModelName(d.group) || strings.Count(d.group, "*") > 1 {
		d.refuse(d.line, d.path+".model_name", "%s cannot be the name of a model: letters, digits and . _ : / @ + - and one * for any text.", quote(d.group))
		return
	}
	d.vendorOf()
	if d.refused {
		return
	}
	d.readInfo()
	for _, key := range sortedByLine(d.params) {
		d.param(d.params[key], d.path+".litellm_params."+key)
	}
	d.target()
	d.key()
	if d.refused {
		return
	}
	if d.only {
		d.v.note(d.line, plan.Warning, d.path, "The vendor serves it to callers of Responses only; callers of other schemas get the vendor's refusal, because nothing is translated into Responses.")
	}
	d.out.Schemas = d.schemas()
	d.out.Options = d.options()
	price, err := d.priceOf()
	if err != nil {
		d.refuse(d.line, d.path, "Its price cannot be made: %v.", err)
		return
	}
	d.out.Price = price
}

// vendorOf finds the provider and the vendor's name of the model.
func (d *deployment) vendorOf() {
	path := d.path + ".litellm_params.model"
	f, ok := d.params["model"]
	text := scalar(f.value)
	if name, refers := strings.CutPrefix(text, environPrefix); refers {
		if text = d.v.now(name); text == "" {
			d.refuse(f.line, path, "The variable %s is not set here, and the name of a model cannot refer to one.", quote(name))
			return
		}
	}
	if !ok || text == "" || len(text) > registry.MaxVendorModel {
		d.refuse(d.line, d.path, "It does not say which model it is: litellm_params.model.")
		return
	}
	d.vendor, d.model = split(text, scalar(d.params["custom_llm_provider"].value))
	if d.provider, ok = providers[d.vendor]; !ok {
		switch {
		case elsewhere[d.vendor] != "":
			d.refuse(f.line, path, "%s", elsewhere[d.vendor])
		case d.vendor == "":
			d.refuse(f.line, path, "%s does not say whose model it is. Write the provider before it, as in openai/%s.", quote(text), cut(text, 60))
		default:
			d.refuse(f.line, path, "The provider %s is not known here. If it speaks OpenAI's Chat Completions, write openai/ in its place and its URL as api_base.", quote(d.vendor))
		}
		return
	}
	if rest, cutOff := strings.CutPrefix(d.model, "responses/"); cutOff && (d.vendor == "openai" || d.vendor == azure) {
		d.model, d.only = rest, true
	}
	switch stars := strings.Count(d.model, "*"); {
	case stars > 1 || stars == 1 && !strings.Contains(d.group, "*"):
		d.refuse(f.line, path, "%s has a * that nothing stands for: the * of model_name is put there.", quote(text))
	case d.vendor == "openai" && !chats(d.model):
		d.refuse(f.line, path, "%s is no model that messages are sent to. `tollgate endpoint create --template openai` passes requests for it on.", quote(d.model))
	}
	d.out.Model = d.model
}

// readInfo reads model_info.
func (d *deployment) readInfo() {
	for _, key := range sortedByLine(d.info) {
		f, path := d.info[key], d.path+".model_info."+key
		switch {
		case key == "mode":
			switch mode := scalar(f.value); mode {
			case "", "chat", "completion":
			case "responses":
				d.only = d.provider.responses || d.vendor == azure
			default:
				d.refuse(f.line, path, "A model of mode %s is asked in another way than Tollgate's models are. Make an endpoint that passes its requests on: `tollgate template list`.", quote(mode))
			}
		case key == "base_model":
			d.baseModel = scalar(f.value)
			if before, after, ok := strings.Cut(d.baseModel, "/"); ok && before == d.vendor {
				d.baseModel = after
			}
		case key == "id":
			d.out.Name = cut(deploymentName(scalar(f.value)), maxName)
		case costFields[key] != "":
			d.cost(f, path)
		default:
			d.v.remark(f, path, modelInfo)
		}
	}
}

// param reads one of litellm_params, but for those that others depend on.
func (d *deployment) param(f field, path string) {
	switch f.key {
	case "model", "custom_llm_provider", "api_key", "api_base", "base_url", "api_version", "weight", "rpm", "tpm", "order":
	case "timeout":
		if null(resolve(f.value)) {
			return
		}
		seconds, err := parseDecimal(f.value)
		if err != nil || seconds.nanos <= 0 {
			d.refuse(f.line, path, "%s is no timeout in seconds.", quote(scalar(f.value)))
			return
		}
		d.out.Timeout = durationpb.New(min(time.Duration(seconds.nanos), maxTimeout))
	case "organization":
		if value, ok := d.text(field{"organization", f.line, f.value}, path); ok && value != "" {
			d.out.Headers = append(d.out.Headers, &controlv1.Header{Name: "OpenAI-Organization", Value: value})
		}
	case "extra_headers", "headers":
		d.headers(f, path)
	default:
		if costFields[f.key] != "" {
			d.cost(f, path)
			return
		}
		if _, known := modelParams[f.key]; known {
			d.v.remark(f, path, modelParams)
			if modelParams[f.key].level == plan.Refused && !off(f) {
				d.refused = true
			}
			return
		}
		d.v.note(f.line, plan.Warning, path, "LiteLLM adds it to requests that have none. Tollgate adds nothing to requests: callers have to send it.")
	}
}

// headers reads headers that go along with every request.
func (d *deployment) headers(f field, path string) {
	all, err := d.v.fields(f.value, path)
	if err != nil {
		d.refuse(f.line, path, "It cannot be read.")
		return
	}
	for _, h := range all {
		at := path + "." + h.key
		if !headerName(h.key) || connectionHeaders[strings.ToLower(h.key)] {
			d.refuse(h.line, at, "%s is not a header that can be set.", quote(h.key))
			continue
		}
		if value, ok := d.text(h, at); ok {
			d.out.Headers = append(d.out.Headers, &controlv1.Header{Name: h.key, Value: value})
		}
	}
}

// target finds the base URL: what the file says, what the environment does, the vendor's own.
func (d *deployment) target() {
	f, path := d.params["api_base"], d.path+".litellm_params.api_base"
	if null(resolve(f.value)) {
		f, path = d.params["base_url"], d.path+".litellm_params.base_url"
	}
	line, text := f.line, scalar(f.value)
	if name, refers := strings.CutPrefix(text, environPrefix); refers {
		if text = d.v.now(name); text == "" {
			d.refuse(line, path, "The variable %s is not set here, and a URL cannot refer to one. Set it where this is run, or write the URL.", quote(name))
			return
		}
	}
	if text == "" {
		line, path = d.line, d.path
		for _, name := range d.provider.baseVars {
			if text = d.v.now(name); text != "" {
				d.v.note(line, plan.Info, path, "Its URL is the one in the variable %s.", name)
				break
			}
		}
	}
	if text == "" {
		text = d.provider.base
	}
	if text == "" {
		d.refuse(line, path, "It has no api_base, and the server is one of your own.")
		return
	}
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.User != nil || u.Fragment != "" || len(text) > maxTarget-300 {
		d.refuse(line, path, "The URL is no http or https URL, or has a user name or a fragment in it.")
		return
	}
	base := strings.TrimRight(text, "/")
	d.home = d.vendor == azure || d.provider.atHome(u.Host)
	if d.vendor == azure {
		d.azure(base)
		return
	}
	for _, tail := range []string{"/chat/completions", "/responses", "/messages"} {
		base = strings.TrimSuffix(base, tail) // LiteLLM takes URLs with the path of the call, too
	}
	if d.provider.suffix != "" && !strings.HasSuffix(base, d.provider.suffix) {
		base += d.provider.suffix
	}
	d.out.Target.Url = base
}

// azure makes the URL of a deployment of Azure's.
func (d *deployment) azure(base string) {
	f := d.params["api_version"]
	version := scalar(f.value)
	if name, refers := strings.CutPrefix(version, environPrefix); refers {
		version = d.v.now(name)
	}
	if version == "" {
		version = d.v.now("AZURE_API_VERSION")
	}
	if version == "" {
		version = azureVersion
		d.v.note(d.line, plan.Info, d.path, "It names no api_version that is known here; it asks for %s, as LiteLLM does.", version)
	}
	switch {
	case version == "v1" || version == "latest" || version == "preview":
		if !strings.HasSuffix(base, "/openai/v1") {
			base += "/openai/v1"
		}
		d.out.Target.Url, d.v1 = base, true
		if version == "preview" {
			d.out.Query = []*controlv1.QueryParameter{{Name: "api-version", Value: version}}
		}
		return
	case d.only:
		d.refuse(d.line, d.path, "Azure serves Responses below /openai/v1: say api_version: v1.")
		return
	case strings.Contains(d.model, "*"):
		d.refuse(d.line, d.path, "Azure's URLs name the deployment, so that a * cannot stand for it. List the deployments.")
		return
	case strings.Contains(base, "/openai/deployments/"):
		d.out.Target.Url = strings.TrimSuffix(base, "/chat/completions")
	default:
		d.out.Target.Url = strings.TrimSuffix(base, "/openai") + "/openai/deployments/" + url.PathEscape(d.model)
	}
	d.out.Query = []*controlv1.QueryParameter{{Name: "api-version", Value: version}}
}

// key finds the credential: the file's, or the variable in which LiteLLM looks for it.
func (d *deployment) key() {
	f, path := d.params["api_key"], d.path+".litellm_params.api_key"
	text := scalar(f.value)
	var value string
	var ok bool
	name, refers := strings.CutPrefix(text, environPrefix)
	switch {
	case refers:
		value, ok = d.reference(f.line, path, name)
	case text != "":
		if len(text) > maxSecret || !sendable(text) {
			d.refuse(f.line, path, "The key is too long or no single line of text.")
			return
		}
		value, ok = "${secret:"+d.secret("api-key", text)+"}", true
	default:
		i := slices.IndexFunc(d.provider.keyVars, func(name string) bool { return d.v.now(name) != "" })
		if i < 0 && d.provider.keyless {
			return
		}
		value, ok = d.reference(d.line, d.path, d.provider.keyVars[max(i, 0)])
		if ok && !d.home && !d.provider.own {
			d.v.note(d.line, plan.Warning, d.path, "It has no api_key, so that the vendor's own goes to another server, as with LiteLLM.")
		}
	}
	switch {
	case !ok:
	case d.vendor == azure:
		d.out.Headers = append(d.out.Headers, &controlv1.Header{Name: "api-key", Value: value})
	case slices.ContainsFunc(d.out.GetHeaders(), func(h *controlv1.Header) bool { return strings.EqualFold(h.GetName(), d.credentialHeader()) }):
		d.v.note(f.line, plan.Warning, path, "It is not sent: the model has a header %s of its own.", d.credentialHeader())
	default:
		d.out.ApiKey = value
	}
}

// credentialHeader is where the vendor looks for the key.
func (d *deployment) credentialHeader() string {
	if d.provider.messages {
		return "x-api-key"
	}
	return "Authorization"
}

// now is what a variable says where the import runs; empty if that is not known. What edges read must not depend on it.
func (v *conversion) now(name string) string {
	literal, reference, _ := v.variable(name)
	if reference == "" || v.getenv == nil {
		return literal
	}
	if parsed, err := headervalue.Parse("${" + string(headervalue.Env) + ":" + reference + "}"); err != nil || len(parsed.Refs()) != 1 {
		return ""
	}
	return v.getenv(reference)
}

// schemas are what the deployment understands untranslated.
func (d *deployment) schemas() []controlv1.Schema {
	switch {
	case d.provider.messages:
		return []controlv1.Schema{controlv1.Schema_SCHEMA_ANTHROPIC_MESSAGES}
	case d.provider.responses && d.home || d.v1:
		return []controlv1.Schema{controlv1.Schema_SCHEMA_OPENAI_CHAT, controlv1.Schema_SCHEMA_OPENAI_RESPONSES}
	default:
		return []controlv1.Schema{controlv1.Schema_SCHEMA_OPENAI_CHAT}
	}
}
