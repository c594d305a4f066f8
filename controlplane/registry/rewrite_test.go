package registry_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"tollgate/controlplane/registry"
	"tollgate/internal/fault"
	"tollgate/internal/headervalue"
)

// errorText is all that a caller sees of an error.
func errorText(err error) string {
	text := err.Error()
	if f, ok := errors.AsType[*fault.Error](err); ok {
		text += fmt.Sprintf("%+v", f.Violations)
	}
	return text
}

// Guarantee: references of LiteLLM become ours, with what stands around them, once and for all; what is
// already ours stays.
func TestReferencesOfLiteLLM(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"":                            "",
		"os.environ/A":                "${env:A}",
		"Bearer os.environ/A_1":       "Bearer ${env:A_1}",
		"os.environ/A:os.environ/B":   "${env:A}:${env:B}",
		"os.environ/Aos.environ/B":    "${env:Aos}.environ/B",
		"https://os.environ/HOST/v1":  "https://${env:HOST}/v1",
		"${base64:os.environ/A:x}":    "${base64:${env:A}:x}",
		"${secret:a} os.environ/_x-y": "${secret:a} ${env:_x}-y",
		"os.environ/":                 "os.environ/",
		"os.environ/1A":               "os.environ/1A",
		"$os.environ/A":               "$os.environ/A",
		"$${os.environ/A}":            "$${${env:A}}",
		"os.environ/os.environ/A":     "${env:os}.environ/A",
		"os.environ/ os.environ/A":    "os.environ/ ${env:A}",
		"OS.ENVIRON/A":                "OS.ENVIRON/A",
	} {
		e := registry.Endpoint{
			Headers: []registry.Header{{Name: "a", Value: text}}, Query: []registry.Query{{Name: "a", Value: text}},
			Credentials: []registry.Credential{{Headers: []registry.Header{{Name: "a", Value: text}}, Query: []registry.Query{{Name: "a", Value: text}}}},
		}
		e.Normalize()
		e.Normalize()
		c := e.Credentials[0]
		if got := []string{e.Headers[0].Value, e.Query[0].Value, c.Headers[0].Value, c.Query[0].Value}; slices.ContainsFunc(got, func(s string) bool { return s != want }) {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}

// Guarantee: an edge that has the variables sends what was meant: the text around references stays, and
// each reference is the variable's value, whatever the text is.
func TestReferencesResolve(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		var text, want strings.Builder
		for range rapid.IntRange(0, 5).Draw(t, "parts") {
			if rapid.Bool().Draw(t, "reference") {
				name := rapid.StringMatching(`[A-Za-z_][A-Za-z0-9_]{0,5}`).Draw(t, "name")
				text.WriteString("os.environ/" + name)
				want.WriteString("<" + name + ">")
			}
			between := rapid.StringMatching(`[ :/.{}\-]{1,3}`).Draw(t, "between") // no letter, which would go on with a name
			text.WriteString(between)
			want.WriteString(between)
		}
		e := registry.Endpoint{Headers: []registry.Header{{Name: "a", Value: text.String()}}}
		e.Normalize()
		v, err := headervalue.Parse(e.Headers[0].Value)
		if err != nil {
			t.Fatalf("%q: %v", e.Headers[0].Value, err)
		}
		got, err := v.Resolve(func(r headervalue.Ref) (string, error) { return "<" + r.Name + ">", nil })
		if err != nil || got != want.String() {
			t.Errorf("%q is sent as %q, want %q (%v)", text.String(), got, want.String(), err)
		}
	})
}

// Guarantee: Langfuse's two keys become one header where both are there and fit, and else stay as they are.
func TestLangfuse(t *testing.T) {
	t.Parallel()
	pair := func(public, secret string) []registry.Header {
		return []registry.Header{{Name: "x", Value: "1"}, {Name: "Langfuse_Secret_Key", Value: secret}, {Name: "LANGFUSE_PUBLIC_KEY", Value: public}, {Name: "y"}}
	}
	cases := []struct {
		headers []registry.Header
		want    []string
	}{
		{pair("os.environ/P", "${secret:s}"), []string{"x: 1", "Authorization: Basic ${base64:${env:P}:${secret:s}}", "y: "}},
		{pair("pk", "sk"), []string{"x: 1", "Authorization: Basic ${base64:pk:sk}", "y: "}},
		{pair("p}", "s"), []string{"x: 1", "Langfuse_Secret_Key: s", "LANGFUSE_PUBLIC_KEY: p}", "y: "}},
		{pair("p", "${env:S"), []string{"x: 1", "Langfuse_Secret_Key: ${env:S", "LANGFUSE_PUBLIC_KEY: p", "y: "}},
		{pair("p", "s")[:2], []string{"x: 1", "Langfuse_Secret_Key: s"}},
	}
	for _, c := range cases {
		given := slices.Clone(c.headers)
		e := registry.Endpoint{Headers: c.headers}
		e.Normalize()
		var got []string
		for _, h := range e.Headers {
			got = append(got, h.Name+": "+h.Value)
		}
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("-want +got:\n%s", diff)
		}
		if !slices.Equal(given, c.headers) {
			t.Error("the caller's list was changed")
		}
	}
}

// Guarantee: warnings are about what they say, and about nothing else.
func TestWarnings(t *testing.T) {
	t.Parallel()
	plain := registry.Endpoint{Targets: []registry.Target{{URL: "http://api.example.com"}}}
	with := func(edit func(*registry.Endpoint)) registry.Endpoint {
		e := plain
		e.Targets = slices.Clone(e.Targets)
		edit(&e)
		return e
	}
	at := func(url string) registry.Endpoint {
		return with(func(e *registry.Endpoint) {
			e.Targets[0].URL, e.Headers = url, []registry.Header{{Name: "a", Value: "Bearer ${env:A}"}}
		})
	}
	cases := []struct {
		name string
		e    registry.Endpoint
		want string
	}{
		{"nothing secret", plain, ""},
		{"secret", at("http://api.example.com"), "targets[0].url target_plain"},
		{"secret to an address", at("http://203.0.113.7"), "targets[0].url target_plain"},
		{"secret in the query", with(func(e *registry.Endpoint) { e.Query = []registry.Query{{Value: "${secret:a}"}} }), "targets[0].url target_plain"},
		{"secret in a credential", with(func(e *registry.Endpoint) {
			e.Credentials = []registry.Credential{{Query: []registry.Query{{Value: "${secret:a}"}}}}
		}), "targets[0].url target_plain"},
		{"secret over https", at("https://api.example.com"), ""},
		{"secret in a cluster", at("http://vllm.models.svc"), ""},
		{"secret in a compose file", at("http://vllm:8000"), ""},
		{"loopback", at("http://127.0.0.1:8000"), "targets[0].url target_private"},
		{"loopback by name", at("http://LOCALHOST:8000"), "targets[0].url target_private"},
		{"loopback of IPv6", at("https://[::1]"), "targets[0].url target_private"},
		{"private", at("https://10.1.2.3"), "targets[0].url target_private"},
		{"shared", at("https://100.64.0.1"), "targets[0].url target_private"},
		{"private of IPv6", at("https://[fd12::1]"), "targets[0].url target_private"},
		{"wrapped", at("https://[::ffff:192.168.0.1]"), "targets[0].url target_private"},
		{"not verified", with(func(e *registry.Endpoint) {
			e.Targets[0] = registry.Target{URL: "https://x.example.com", TLS: &registry.TLS{SkipVerify: true}}
		}), "targets[0].tls.skip_verify tls_not_verified"},
		{"public", with(func(e *registry.Endpoint) { e.Public = &registry.Public{RequestsPerMinute: 5} }), "access.public public"},
	}
	for _, c := range cases {
		var got []string
		for _, w := range c.e.Warnings() {
			got = append(got, w.Field+" "+w.Code)
		}
		if strings.Join(got, ", ") != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}
