package templates_test

import (
	"net/url"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/protojson"

	"tollgate/controlplane/templates"
	controlv1 "tollgate/gen/tollgate/control/v1"
	"tollgate/internal/meter"
	"tollgate/internal/testenv/vectors"
)

// serving are the templates whose vendors can serve models.
var serving = []string{
	"anthropic", "azure-openai", "deepseek", "groq", "mistral", "ollama", "openai", "openrouter", "perplexity", "vllm", "xai",
}

// deployment is that of a template with its parameters.
func deployment(t *testing.T, from *controlv1.Template) *controlv1.Deployment {
	t.Helper()
	raw, err := protojson.Marshal(from.GetDeployment())
	if err != nil {
		t.Fatal(err)
	}
	text := string(raw)
	for _, p := range from.GetParameters() {
		value := p.GetDefault()
		if value == "" {
			value = answers[p.GetName()]
		}
		text = strings.ReplaceAll(text, "{"+p.GetName()+"}", value)
	}
	d := &controlv1.Deployment{}
	if err := protojson.Unmarshal([]byte(text), d); err != nil {
		t.Fatal(err)
	}
	return d
}

var canonical = map[controlv1.Schema]string{
	controlv1.Schema_SCHEMA_OPENAI_CHAT:        "/v1/chat/completions",
	controlv1.Schema_SCHEMA_ANTHROPIC_MESSAGES: "/v1/messages",
	controlv1.Schema_SCHEMA_OPENAI_RESPONSES:   "/v1/responses",
}

// Guarantee: the vendors that can serve models have a deployment for it, whose meters read each of its schemas at the
// schema's own path, and refer to no secret that the template does not ask for.
func TestDeploymentsAreComplete(t *testing.T) {
	t.Parallel()
	var have []string
	for _, e := range entries(t) {
		m := e.Template
		if m.GetDeployment() == nil {
			continue
		}
		have = append(have, m.GetName())
		d := deployment(t, m)
		metered := d.GetPrice().GetMetered()
		for _, p := range meter.Check(metered) {
			t.Errorf("%s: %s: %s", m.GetName(), p.Field, p.Reason)
		}
		plan, err := meter.Compile(metered, book(t))
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range d.GetSchemas() {
			if read := plan.Match(&meter.Request{Method: "POST", Path: canonical[s], Header: func(string) string { return "" }}); read == nil || read.Free {
				t.Errorf("%s: nothing prices %s", m.GetName(), canonical[s])
			}
		}
		raw, err := protojson.Marshal(d)
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range m.GetSecrets() {
			if !strings.Contains(string(raw), "${secret:"+s.GetName()+"}") {
				t.Errorf("%s: the deployment does without secret %s", m.GetName(), s.GetName())
			}
		}
		if n := strings.Count(string(raw), "${secret:"); n != len(m.GetSecrets()) {
			t.Errorf("%s: the deployment refers to %d secrets, the template asks for %d", m.GetName(), n, len(m.GetSecrets()))
		}
	}
	if !slices.Equal(have, serving) {
		t.Errorf("deployments of %v, want %v", have, serving)
	}
}

// Guarantee: a deployment's meters make of every recorded answer of the vendor the same bill as the endpoint's do, although
// they see it at another path.
func TestDeploymentsCostWhatEndpointsDo(t *testing.T) {
	t.Parallel()
	all := vectors.All(t)
	priced := map[string]int{}
	for _, e := range entries(t) {
		name := e.Template.GetName()
		if e.Template.GetDeployment() == nil {
			continue
		}
		d := deployment(t, e.Template)
		of, err := meter.Compile(d.GetPrice().GetMetered(), book(t))
		if err != nil {
			t.Fatal(err)
		}
		whole := plan(t, e.Template)
		base, err := url.Parse(d.GetTarget().GetUrl())
		if err != nil {
			t.Fatal(err)
		}
		for i := range all {
			x := &all[i]
			if x.Vendor != name || x.Status/100 != 2 || loose(x) || x.Method != "POST" {
				continue
			}
			at, _, _ := strings.Cut(below(t, x.URL), "?")
			for _, s := range d.GetSchemas() {
				if at != templates.VendorPath(base.Path, s) {
					continue
				}
				there, here := billAt(t, x, at, whole, i), billAt(t, x, canonical[s], of, i)
				if there.Cost != here.Cost || there.Counts != here.Counts || there.Meter != here.Meter || !slices.Equal(there.Unpriced, here.Unpriced) {
					t.Errorf("%s: %s costs %s (%s) as an endpoint, %s (%s) as a deployment", name, x.Name, there.Cost, there.Counts, here.Cost, here.Counts)
				}
				if len(here.Unpriced) == 0 && here.Cost > 0 {
					priced[name]++
				}
			}
		}
	}
	for _, name := range []string{"anthropic", "azure-openai", "deepseek", "mistral", "openai", "openrouter"} {
		if priced[name] == 0 {
			t.Errorf("no recording of %s was priced", name)
		}
	}
	t.Logf("priced: %v", priced)
}

// billAt is the bill of a recording that is seen at a path.
func billAt(t *testing.T, x *vectors.Exchange, at string, p *meter.Plan, seed int) *meter.Bill {
	t.Helper()
	return of(x, at).bill(t, p, random(uint64(seed)))
}

// Guarantee: a deployment is asked where the vendor's own SDK would ask.
func TestVendorPath(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		base   string
		schema controlv1.Schema
		want   string
	}{
		{"/v1", controlv1.Schema_SCHEMA_OPENAI_CHAT, "/v1/chat/completions"},
		{"/v1/", controlv1.Schema_SCHEMA_OPENAI_RESPONSES, "/v1/responses"},
		{"", controlv1.Schema_SCHEMA_OPENAI_CHAT, "/chat/completions"},
		{"", controlv1.Schema_SCHEMA_ANTHROPIC_MESSAGES, "/v1/messages"},
		{"/v1", controlv1.Schema_SCHEMA_ANTHROPIC_MESSAGES, "/v1/messages"},
		{"/proxy", controlv1.Schema_SCHEMA_ANTHROPIC_MESSAGES, "/proxy/v1/messages"},
	} {
		if got := templates.VendorPath(c.base, c.schema); got != c.want {
			t.Errorf("%q: %s, want %s", c.base, got, c.want)
		}
	}
}
