package registry

import (
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	controlv1 "tollgate/gen/tollgate/control/v1"
	"tollgate/internal/id"
)

// Bounds of models.
const (
	MaxDeployments = 16
	MaxAliases     = 64
	MaxVendorModel = 255 // bytes of a vendor's name of a model
)

// Model is a name that callers ask for and the deployments that stand behind it.
type Model struct {
	ID          string       `json:"id"`
	Name        string       `json:"name"` // with at most one "*"
	Aliases     []string     `json:"aliases,omitempty"`
	Deployments []Deployment `json:"deployments"`
	Balance     Balance      `json:"balance"`
	Resilience
	Revision int64     `json:"revision"`
	Created  time.Time `json:"create_time"`
	Updated  time.Time `json:"update_time"`

	// ManagedBy is the owner of the file that manages it. It is found out anew whenever the model is read.
	ManagedBy string `json:"-"`
}

// Deployment is a model of a vendor, and how to reach it.
type Deployment struct {
	Name         string         `json:"name"` // unique in the model
	Target       Target         `json:"target"`
	Schemas      []Schema       `json:"schemas,omitempty"` // that the vendor takes untranslated
	Adapter      string         `json:"adapter,omitempty"` // name; in place of schemas
	Model        string         `json:"model,omitempty"`   // the vendor's name of it; empty: as it was asked for
	APIKey       string         `json:"api_key,omitempty"` // one reference
	Headers      []Header       `json:"headers,omitempty"`
	Query        []Query        `json:"query,omitempty"`
	Price        Price          `json:"price"`
	PriceVersion int64          `json:"price_version"`        // revision of the last change of price
	Timeout      time.Duration  `json:"timeout_ns,omitempty"` // 0: as the endpoint says
	Options      *VendorOptions `json:"options,omitempty"`
}

// VendorOptions say what a vendor understands of its schema. They are the very message that edges get.
type VendorOptions struct{ Message *controlv1.VendorOptions }

// MarshalJSON writes what is stored.
func (o VendorOptions) MarshalJSON() ([]byte, error) { return protojson.Marshal(o.Message) }

// UnmarshalJSON reads what is stored, also by a newer version.
func (o *VendorOptions) UnmarshalJSON(raw []byte) error {
	return stored(raw, &o.Message, &controlv1.VendorOptions{})
}

// Equal says whether both say the same.
func (o VendorOptions) Equal(other VendorOptions) bool { return proto.Equal(o.Message, other.Message) }

// ETag changes with every write.
func (m *Model) ETag() string { return ETag(m.ID, m.Revision, m.Updated) }

// ModelFacts is what the rules of models need to know of the world. The model itself is not among the others.
type ModelFacts struct {
	Taken    map[string]string // names and aliases of others among Names, and the names of the models that have them
	Secrets  []string          // those of SecretRefs that exist
	Adapters []string          // those of AdapterRefs that exist
}

// Names are all that callers may ask for it by.
func (m *Model) Names() []string { return append([]string{m.Name}, m.Aliases...) }

// AdapterRefs lists the names of the adapters that its deployments refer to, sorted, each once.
func (m *Model) AdapterRefs() []string {
	var names []string
	for i := range m.Deployments {
		if a := m.Deployments[i].Adapter; a != "" {
			names = append(names, a)
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// SecretRefs lists the names of the secrets that its deployments refer to, sorted, each once.
func (m *Model) SecretRefs() []string {
	var values []string
	for i := range m.Deployments {
		e := m.Upstream(i)
		values = append(values, e.values()...)
	}
	return secretRefs(values)
}

// Normalize fills in what was left out. It works on copies of lists: they may be those of a request.
func (m *Model) Normalize() {
	m.Aliases = slices.Clone(m.Aliases)
	slices.Sort(m.Aliases)
	m.Balance = either(m.Balance, BalanceFailover)
	m.Deployments = slices.Clone(m.Deployments)
	for i := range m.Deployments {
		m.Deployments[i].normalize()
	}
	m.nameDeployments()
	// Nothing was done for a request that a vendor had no room for, so that another may do it.
	if n := len(m.Deployments); m.Retry == nil && n > 1 {
		m.Retry = &Retry{
			Attempts: uint32(min(n-1, maxRetries)), AnyMethod: true, BudgetPercent: 100,
			Statuses: []uint32{http.StatusTooManyRequests, http.StatusServiceUnavailable, 529},
		}
	}
	m.Resilience.normalize()
}

func (d *Deployment) normalize() {
	d.Schemas = slices.Sorted(slices.Values(d.Schemas))
	d.APIKey = fromEnviron(d.APIKey)
	d.Headers, d.Query = rewriteHeaders(d.Headers), rewriteQuery(d.Query)
	fillModes(d.Headers, d.Query, ModeDefault)
	if t := d.Target.TLS; t != nil {
		secured := *t
		secured.MinVersion = either(t.MinVersion, TLS12)
		d.Target.TLS = &secured
	}
	d.Timeout = wholeMillis(d.Timeout)
	d.Price.normalize()
	if d.Options != nil && proto.Size(d.Options.Message) == 0 {
		d.Options = nil
	}
}

// nameDeployments names those without a name after the hosts of their vendors.
func (m *Model) nameDeployments() {
	taken := map[string]bool{}
	for i := range m.Deployments {
		taken[m.Deployments[i].Name] = true
	}
	for i := range m.Deployments {
		d := &m.Deployments[i]
		if d.Name != "" {
			continue
		}
		base := hostAsName(d.Target.URL)
		d.Name = base
		for n := 2; taken[d.Name]; n++ {
			d.Name = fmt.Sprintf("%s-%d", base, n)
		}
		taken[d.Name] = true
	}
}

// hostAsName makes a name of the host of a URL, with room for a number behind it.
func hostAsName(raw string) string {
	const most = 58
	u, err := url.Parse(raw)
	if err != nil {
		return "deployment"
	}
	name := strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' || r == '.' || r == '_' {
			return r
		}
		return '-'
	}, strings.ToLower(u.Hostname()))
	name = strings.Trim(name[:min(len(name), most)], "-._")
	if name == "" {
		return "deployment"
	}
	return name
}

// Upstream is a deployment as an endpoint with one target, of which edges know how to connect to it, what to send and
// what it costs. Which of the caller's headers go along is for the endpoint to say that serves the model.
func (m *Model) Upstream(i int) Endpoint {
	d := &m.Deployments[i]
	e := Endpoint{
		ID: m.ID + "/" + d.Name, Name: m.Name + "/" + d.Name, Path: "/", Methods: []string{http.MethodPost},
		Targets: []Target{d.Target}, Balance: BalanceFailover, CredentialBalance: BalanceFailover, Host: Host{Kind: HostTarget},
		Headers: slices.Clone(d.Headers), Query: d.Query,
		Price: d.Price, PriceVersion: d.PriceVersion, Timeout: d.Timeout,
	}
	if d.APIKey != "" {
		h := Header{Name: d.credentialHeader(), Value: d.APIKey, Mode: ModeSet}
		if h.Name == authorization {
			h.Value = "Bearer " + d.APIKey
		}
		e.Headers = append(e.Headers, h)
	}
	return e
}

const authorization = "Authorization"

// credentialHeader is where a vendor looks for its credential.
func (d *Deployment) credentialHeader() string {
	if slices.Contains(d.Schemas, SchemaMessages) {
		return "x-api-key"
	}
	return authorization
}

// names says whether a header is among some.
func names(headers []Header, name string) bool {
	return slices.ContainsFunc(headers, func(h Header) bool { return strings.EqualFold(h.Name, name) })
}

// Warnings are found anew whenever they are asked for.
func (m *Model) Warnings() (all []Warning) {
	for i := range m.Deployments {
		e := m.Upstream(i)
		for _, w := range e.Warnings() {
			w.Field = strings.Replace(w.Field, "targets[0]", fmt.Sprintf("deployments[%d].target", i), 1)
			all = append(all, w)
		}
	}
	return all
}

var modelName = regexp.MustCompile(`^[A-Za-z0-9*@]([A-Za-z0-9._:/@*+ -]{0,253}[A-Za-z0-9._:/@*+-])?$`)

// IsModelName says whether a model may be called so, as long as it has no more than one "*".
func IsModelName(name string) bool { return modelName.MatchString(name) }

// Check adds everything that is wrong with a normalized model to p.
func (m *Model) Check(p *Problems, facts ModelFacts) {
	m.checkNames(p, facts)
	if n := len(m.Deployments); n < 1 || n > MaxDeployments {
		p.Add("deployments", Range, "There are %d deployments: use 1 to %d.", n, MaxDeployments)
	}
	checkBalance(p, "balance", m.Balance)
	seen := map[string]bool{}
	for i := range m.Deployments {
		d := &m.Deployments[i]
		part := p.Under(fmt.Sprintf("deployments[%d]", i))
		switch {
		case !objectName.MatchString(d.Name):
			part.Add("name", Malformed, "The name %q is not valid: use 1 to 63 lower-case letters, digits, hyphens, underscores and dots, with a letter or digit at both ends.", clip(d.Name))
		case seen[d.Name]:
			part.Add("name", Duplicate, "The deployment %s is listed twice.", d.Name)
		}
		seen[d.Name] = true
		d.check(part, m, facts)
	}
	m.Resilience.check(p, len(m.Deployments), "deployment", m.shortest())
}

// shortest is the least time that a deployment has for its answer.
func (m *Model) shortest() time.Duration {
	least := DefaultTimeout
	for i := range m.Deployments {
		if t := m.Deployments[i].Timeout; t > 0 {
			least = min(least, t)
		}
	}
	return least
}

func (m *Model) checkNames(p *Problems, facts ModelFacts) {
	if len(m.Aliases) > MaxAliases {
		p.Add("aliases", Range, "There are %d aliases: at most %d are allowed.", len(m.Aliases), MaxAliases)
	}
	for i, name := range m.Names() {
		field := "name"
		if i > 0 {
			field = "aliases"
		}
		switch {
		case name == "":
			p.Add(field, Required, "A name is required, as callers ask for it.")
		case !IsModelName(name):
			p.Add(field, Malformed, "The name %q is not valid: use 1 to 255 letters, digits, spaces and . _ : / @ + -, and begin with a letter, a digit or @.", clip(name))
		case id.Is(id.Model, name):
			p.Add(field, Reserved, "The name %q has the form of an identifier: choose another.", name)
		case i > 0 && strings.Contains(name, "*"):
			p.Add(field, Forbidden, "The alias %q has a * in it: only a name can.", clip(name))
		case strings.Count(name, "*") > 1:
			p.Add(field, Malformed, "The name %q has more than one * in it.", clip(name))
		case slices.Contains(m.Names()[:i], name):
			p.Add(field, Duplicate, "The name %s is listed twice.", name)
		case facts.Taken[name] == name:
			p.Add(field, Taken, "A model with the name %s exists.", name)
		case facts.Taken[name] != "":
			p.Add(field, Taken, "%s is an alias of model %s.", name, facts.Taken[name])
		}
	}
}

func (d *Deployment) check(p *Problems, m *Model, facts ModelFacts) {
	known := secretsKnown(facts.Secrets)
	d.Target.check(p, "target", m.Balance, known)
	d.checkLanguage(p, facts)
	d.checkModel(p, m)
	if d.APIKey != "" {
		known.checkReference(p, "api_key", "The vendor's key", d.APIKey)
		if h := d.credentialHeader(); names(d.Headers, h) {
			p.Add("api_key", Duplicate, "The key is sent in %s, which is among the headers as well: leave one of them out.", h)
		}
	}
	checkHeaders(p, "headers", d.Headers, known)
	checkQuery(p, "query", d.Query, known)
	d.Price.check(p, []string{http.MethodPost})
	if d.Timeout != 0 && (d.Timeout < time.Millisecond || d.Timeout > MaxTimeout) && !p.Has("timeout") {
		p.Add("timeout", Range, "The timeout %s is not between 1ms and %s.", d.Timeout, MaxTimeout)
	}
	if o := d.Options; o != nil && o.Message.GetDefaultMaxTokens() < 0 {
		p.Add("options.default_max_tokens", Range, "%d tokens are less than 0: leave it out for the default.", o.Message.GetDefaultMaxTokens())
	}
}

// checkLanguage: either the vendor speaks something that is known, or an adapter does for it.
func (d *Deployment) checkLanguage(p *Problems, facts ModelFacts) {
	checkSchemas(p, "schemas", d.Schemas)
	switch {
	case d.Adapter != "" && len(d.Schemas) > 0:
		p.Add("adapter", Forbidden, "An adapter translates Chat Completions for a vendor that speaks none of the schemas: leave schemas out, or the adapter.")
	case d.Adapter != "" && !slices.Contains(facts.Adapters, d.Adapter):
		p.Add("adapter", Unknown, "There is no adapter %q: create it first.", clip(d.Adapter))
	case d.Adapter == "" && len(d.Schemas) == 0:
		p.Add("schemas", Required, "Say what the vendor understands: OpenAI chat, Anthropic messages, OpenAI responses beside one of them; or name an adapter.")
	case slices.Equal(d.Schemas, []Schema{SchemaResponses}):
		p.Add("schemas", Forbidden, "Nothing is translated into OpenAI responses: add OpenAI chat, which vendors of responses understand as well.")
	}
}

// checkModel: what a "*" in the vendor's name stands for has to be in every name that callers may use.
func (d *Deployment) checkModel(p *Problems, m *Model) {
	switch stars := strings.Count(d.Model, "*"); {
	case len(d.Model) > MaxVendorModel || strings.ContainsFunc(d.Model, control):
		p.Add("model", Malformed, "The vendor's name of the model is longer than %d bytes, or has a control character in it.", MaxVendorModel)
	case stars > 1:
		p.Add("model", Malformed, "The vendor's name %q has more than one * in it.", clip(d.Model))
	case stars == 1 && !strings.Contains(m.Name, "*"):
		p.Add("model", Forbidden, "The * in %q stands for what the * in the model's name does, and %q has none.", clip(d.Model), clip(m.Name))
	case stars == 1 && len(m.Aliases) > 0:
		p.Add("model", Forbidden, "The * in %q stands for nothing where the model is asked for by an alias: leave the aliases out, or make a model of them.", clip(d.Model))
	}
}
