package registry_test

import (
	"errors"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"
	_ "time/tzdata" // the rule on time zones must not depend on the machine

	"github.com/google/go-cmp/cmp"

	"tollgate/controlplane/registry"
	"tollgate/internal/fault"
	"tollgate/internal/id"
	"tollgate/internal/money"
	"tollgate/internal/period"
)

func good() registry.Endpoint {
	return registry.Endpoint{
		Name: "bria", Path: "/bria", Methods: []string{"POST"},
		Targets: []registry.Target{{URL: "https://engine.prod.bria-api.com/v1"}},
		Headers: []registry.Header{{Name: "api_token", Value: "${secret:bria}"}},
		Price:   registry.Price{PerRequest: 12 * money.Dollar},
	}
}

// violations runs the rules and lists field:code of what they find.
func violations(t *testing.T, e registry.Endpoint, facts registry.EndpointFacts) (kind fault.Kind, found []string) {
	t.Helper()
	e.Normalize()
	p := registry.NewProblems("endpoint")
	e.Check(p, facts)
	err := p.Err("the endpoint")
	if err == nil {
		return 0, nil
	}
	f, ok := errors.AsType[*fault.Error](err)
	if !ok {
		t.Fatalf("%v is no fault", err)
	}
	for _, v := range f.Violations {
		found = append(found, v.Field+":"+v.Code)
		if len(v.Reason) < 20 || !strings.HasSuffix(v.Reason, ".") && !strings.HasSuffix(v.Reason, "/") {
			t.Errorf("%s: %q is no sentence", v.Field, v.Reason)
		}
	}
	return f.Kind(), found
}

var known = registry.EndpointFacts{Secrets: []string{"bria"}}

// Guarantee: each rule of endpoints finds what it is for, under the right field, and nothing else is
// found.
func TestEndpointRules(t *testing.T) {
	t.Parallel()
	cases := []struct {
		name  string
		edit  func(*registry.Endpoint)
		facts registry.EndpointFacts
		want  []string
	}{
		{"good", func(*registry.Endpoint) {}, known, nil},
		{"no methods mean every method", func(e *registry.Endpoint) { e.Methods = nil }, known, nil},
		{"root", func(e *registry.Endpoint) { e.Path = "/" }, known, nil},
		{"trailing slash of a prefix is dropped", func(e *registry.Endpoint) { e.Path = "/bria/" }, known, nil},
		{"google style", func(e *registry.Endpoint) { e.Path = "/v1/models/x:predict" }, known, nil},
		{"hyphen in the first segment", func(e *registry.Endpoint) { e.Path = "/-x" }, known, nil},
		{"free", func(e *registry.Endpoint) { e.Price = registry.Price{Free: true} }, known, nil},
		{"base64 of a secret", func(e *registry.Endpoint) { e.Headers[0].Value = "Basic ${base64:x:${secret:bria}}" }, known, nil},
		{"environment", func(e *registry.Endpoint) { e.Headers[0].Value = "${env:BRIA}" }, registry.EndpointFacts{}, nil},
		{"target with a query", func(e *registry.Endpoint) { e.Targets = []registry.Target{{URL: "http://x:8080/v1?timeout=60"}} }, known, nil},
		{"target on loopback", func(e *registry.Endpoint) {
			e.Targets = []registry.Target{{URL: "http://127.0.0.1:9000"}, {URL: "http://[::1]/"}}
		}, known, nil},

		{"name", func(e *registry.Endpoint) { e.Name = "Bria" }, known, []string{"endpoint.name:name_slug"}},
		{"no name", func(e *registry.Endpoint) { e.Name = "" }, known, []string{"endpoint.name:required"}},
		{"name taken", func(*registry.Endpoint) {}, registry.EndpointFacts{Secrets: known.Secrets, NameTaken: true}, []string{"endpoint.name:name_taken"}},
		{"path taken", func(*registry.Endpoint) {}, registry.EndpointFacts{Secrets: known.Secrets, SamePath: []registry.Endpoint{{Name: "o", Path: "/bria"}}}, []string{"endpoint.path:path_taken"}},
		{"path with another method", func(*registry.Endpoint) {}, registry.EndpointFacts{Secrets: known.Secrets, SamePath: []registry.Endpoint{{Path: "/bria", Methods: []string{"GET"}}}}, nil},
		{"path matched exactly", func(*registry.Endpoint) {}, registry.EndpointFacts{Secrets: known.Secrets, SamePath: []registry.Endpoint{{Path: "/bria", Exact: true}}}, nil},
		{"path with some of its methods", func(e *registry.Endpoint) { e.Methods = []string{"GET", "POST"} }, registry.EndpointFacts{
			Secrets: known.Secrets, SamePath: []registry.Endpoint{{Name: "o", Path: "/bria", Methods: []string{"DELETE", "POST"}}},
		}, []string{"endpoint.methods:methods_overlap"}},
		{"path with the same methods", func(e *registry.Endpoint) { e.Methods = []string{"POST"} }, registry.EndpointFacts{
			Secrets: known.Secrets, SamePath: []registry.Endpoint{{Name: "o", Path: "/bria", Methods: []string{"POST"}}},
		}, []string{"endpoint.path:path_taken"}},
		{"gateway as target", func(e *registry.Endpoint) { e.Targets = []registry.Target{{URL: "https://GW.example.com:443/x"}} }, registry.EndpointFacts{
			Secrets: known.Secrets, Gateway: "https://gw.example.com/base",
		}, []string{"endpoint.targets[0].url:target_loop"}},
		{"another port of the gateway's host", func(e *registry.Endpoint) { e.Targets = []registry.Target{{URL: "https://gw.example.com:8443"}} }, registry.EndpointFacts{
			Secrets: known.Secrets, Gateway: "https://gw.example.com",
		}, nil},
		{"gateway as one of two targets", func(e *registry.Endpoint) {
			e.Targets = []registry.Target{{URL: "https://x.example.com"}, {URL: "http://gw.example.com"}}
		}, registry.EndpointFacts{Secrets: known.Secrets, Gateway: "http://gw.example.com:80"}, []string{"endpoint.targets[1].url:target_loop"}},
		{"lower-case method", func(e *registry.Endpoint) { e.Methods = []string{"post"} }, known, []string{"endpoint.methods:invalid"}},
		{"method twice", func(e *registry.Endpoint) { e.Methods = []string{"GET", "GET"} }, known, []string{"endpoint.methods:duplicate"}},
		{"trace", func(e *registry.Endpoint) { e.Methods = []string{"TRACE"} }, known, []string{"endpoint.methods:forbidden"}},
		{"connect", func(e *registry.Endpoint) { e.Methods = []string{"CONNECT"} }, known, []string{"endpoint.methods:forbidden"}},
		{"no target", func(e *registry.Endpoint) { e.Targets = nil }, known, []string{"endpoint.targets:required"}},
		{"target twice", func(e *registry.Endpoint) { e.Targets = []registry.Target{{URL: "http://x"}, {URL: "http://x"}} }, known, []string{"endpoint.targets[1].url:duplicate"}},
		{"unknown secret", func(*registry.Endpoint) {}, registry.EndpointFacts{}, []string{"endpoint.headers[0].value:secret_missing"}},
		{"host header", func(e *registry.Endpoint) { e.Headers[0].Name = "host" }, known, []string{"endpoint.headers[0].name:header_host"}},
		{"hop-by-hop header", func(e *registry.Endpoint) { e.Headers[0].Name = "TE" }, known, []string{"endpoint.headers[0].name:header_hop"}},
		{"content-length", func(e *registry.Endpoint) { e.Headers[0].Name = "Content-length" }, known, []string{"endpoint.headers[0].name:header_hop"}},
		{"header name", func(e *registry.Endpoint) { e.Headers[0].Name = "a b" }, known, []string{"endpoint.headers[0].name:header_name"}},
		{"header twice", func(e *registry.Endpoint) { e.Headers = append(e.Headers, registry.Header{Name: "API_TOKEN"}) }, known, []string{"endpoint.headers[1].name:header_dup"}},
		{"header value", func(e *registry.Endpoint) { e.Headers[0].Value = "a\r\nb: c" }, known, []string{"endpoint.headers[0].value:header_value_nl"}},
		{"header reference", func(e *registry.Endpoint) { e.Headers[0].Value = "${secret:" }, known, []string{"endpoint.headers[0].value:invalid"}},
		{"key header", func(e *registry.Endpoint) { e.KeyHeader = "content-type" }, known, []string{"endpoint.key_header:forbidden"}},
		{"key header form", func(e *registry.Endpoint) { e.KeyHeader = "a:b" }, known, []string{"endpoint.key_header:invalid"}},
		{"negative price", func(e *registry.Endpoint) { e.Price.PerRequest = -1 }, known, []string{"endpoint.price.fixed.per_request:price_negative"}},
		{"timeout", func(e *registry.Endpoint) { e.Timeout = 2 * time.Hour }, known, []string{"endpoint.timeout:out_of_range"}},
		{"negative timeout", func(e *registry.Endpoint) { e.Timeout = -1 }, known, []string{"endpoint.timeout:out_of_range"}},
		{"body", func(e *registry.Endpoint) { e.MaxBodyBytes = -1 }, known, []string{"endpoint.max_body_bytes:out_of_range"}},
		{"all at once", func(e *registry.Endpoint) {
			e.Name, e.Path, e.Targets, e.Price.PerRequest, e.KeyHeader = "-", "bria", []registry.Target{{URL: "ftp://x"}}, -5, "host"
		}, registry.EndpointFacts{}, []string{
			"endpoint.name:name_slug", "endpoint.path:path_form", "endpoint.targets[0].url:target_scheme",
			"endpoint.headers[0].value:secret_missing", "endpoint.key_header:forbidden", "endpoint.price.fixed.per_request:price_negative",
		}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			e := good()
			c.edit(&e)
			_, got := violations(t, e, c.facts)
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("violations (-want +got):\n%s", diff)
			}
		})
	}
}

// Guarantee: a change that only comes too late is already_exists; one that is also malformed can
// never succeed as sent and is invalid_argument.
func TestKindOfProblems(t *testing.T) {
	t.Parallel()
	e := good()
	if kind, _ := violations(t, e, registry.EndpointFacts{Secrets: known.Secrets, NameTaken: true}); kind != fault.Exists {
		t.Errorf("taken: kind %d", kind)
	}
	e.MaxBodyBytes = -1
	if kind, _ := violations(t, e, registry.EndpointFacts{Secrets: known.Secrets, NameTaken: true}); kind != fault.Invalid {
		t.Errorf("taken and malformed: kind %d", kind)
	}
}

// Guarantee: no spelling of a reserved, climbing or ambiguous path is taken.
func TestPathsRefused(t *testing.T) {
	t.Parallel()
	for path, code := range map[string]string{
		"":                              "path_required",
		"bria":                          "path_form",
		"/-":                            "path_reserved",
		"/-/":                           "path_reserved",
		"/-/health":                     "path_reserved",
		"//":                            "path_form",
		"//bria":                        "path_form",
		"/bria//":                       "path_form",
		"/a//b":                         "path_form",
		"/.":                            "path_form",
		"/..":                           "path_form",
		"/a/../b":                       "path_form",
		"/a/./b":                        "path_form",
		"/a/..":                         "path_form",
		"/a?b=c":                        "path_query",
		"/a#b":                          "path_query",
		"/a%2Fb":                        "path_chars",
		"/%2e%2e/a":                     "path_chars",
		"/a b":                          "path_chars",
		"/a\\b":                         "path_chars",
		"/a\x00b":                       "path_chars",
		"/bücher":                       "path_chars",
		"/{name}":                       "path_chars",
		"/a\"b":                         "path_chars",
		"https://x/y":                   "path_form",
		"/" + strings.Repeat("a", 1024): "out_of_range",
	} {
		e := good()
		e.Path = path
		if _, got := violations(t, e, known); !slices.Equal(got, []string{"endpoint.path:" + code}) {
			t.Errorf("%q: %v, want %s", path, got, code)
		}
	}
	e := good()
	e.Path, e.Exact = "/bria/", true
	if _, got := violations(t, e, known); !slices.Equal(got, []string{"endpoint.path:path_form"}) {
		t.Errorf("exact with a slash: %v", got)
	}
}

// Guarantee: no target that is not http(s), hides a credential, or is a metadata service in any
// spelling is taken.
func TestTargetsRefused(t *testing.T) {
	t.Parallel()
	for target, code := range map[string]string{
		"":                                    "target_required",
		"ftp://x":                             "target_scheme",
		"file:///etc/passwd":                  "target_scheme",
		"javascript:alert(1)":                 "target_scheme",
		"https:x":                             "target_form",
		"//x/y":                               "target_scheme",
		"/v1":                                 "target_scheme",
		"x.example.com":                       "target_scheme",
		"http://":                             "target_form",
		"http:///v1":                          "target_form",
		"http://:80":                          "target_form",
		"http://user:pw@x":                    "target_userinfo",
		"http://x#f":                          "target_fragment",
		"http://x#":                           "target_fragment",
		"http://x:0":                          "out_of_range",
		"http://x:65536":                      "out_of_range",
		"http://x:":                           "target_form",
		"http://x:port":                       "target_form",
		"http://a b":                          "target_form",
		"http://x\r\ny":                       "target_form",
		"http://x\\@y":                        "target_form",
		"http://bücher.example":               "target_form",
		"http://x/../y":                       "target_form",
		"http://x/%2e%2e/y":                   "target_form",
		"http://-..x":                         "target_form",
		"http://x.1":                          "target_form",
		"http://2852039166/":                  "target_form",
		"http://0xa9fea9fe/":                  "target_form",
		"http://0251.0376.0251.0376/":         "target_form",
		"http://169.254.43518/":               "target_form",
		"http://169.254.169.254/latest":       "target_metadata",
		"http://169.254.170.2":                "target_metadata",
		"http://[::ffff:169.254.169.254]":     "target_metadata",
		"http://[64:ff9b::a9fe:a9fe]":         "target_metadata",
		"http://[2002:a9fe:a9fe::1]":          "target_metadata",
		"http://[fe80::1]":                    "target_metadata",
		"http://[fe80::1%25eth0]":             "target_metadata",
		"http://[fd00:ec2::254]:80":           "target_metadata",
		"http://100.100.100.200":              "target_metadata",
		"http://0.0.0.0":                      "target_metadata",
		"http://[::]":                         "target_metadata",
		"http://224.0.0.1":                    "target_metadata",
		"http://metadata.google.internal/":    "target_metadata",
		"http://METADATA.google.internal./":   "target_metadata",
		"http://" + strings.Repeat("a", 2048): "out_of_range",
	} {
		e := good()
		e.Targets = []registry.Target{{URL: target}}
		if _, got := violations(t, e, known); !slices.Equal(got, []string{"endpoint.targets[0].url:" + code}) {
			t.Errorf("%q: %v, want %s", target, got, code)
		}
	}
}

// Guarantee: the credential in a URL's user info is in no message.
func TestUserInfoIsNotQuoted(t *testing.T) {
	t.Parallel()
	e := good()
	e.Targets = []registry.Target{{URL: "https://user:hunter2@x.example.com"}, {URL: "https://user:hunter2@x y"}, {URL: "hunter2://user:hunter2@[x"}}
	e.Normalize()
	p := registry.NewProblems("")
	e.Check(p, known)
	if err := p.Err("it"); err == nil || strings.Contains(err.Error(), "user:hunter2") {
		t.Errorf("%v", err)
	}
}

// FuzzPath: whatever is accepted means the same to net/http and is its own canonical form.
func FuzzPath(f *testing.F) {
	for _, s := range []string{"/", "/bria", "/v1/x:y", "/a/../b", "/%2e", "//", "/-/x", "/a;b=c", "/a/"} {
		f.Add(s, true)
		f.Add(s, false)
	}
	f.Fuzz(func(t *testing.T, path string, exact bool) {
		e := good()
		e.Path, e.Exact = path, exact
		if _, found := violations(t, e, known); len(found) > 0 {
			return
		}
		e.Normalize()
		req, err := http.NewRequest(http.MethodGet, "http://gateway"+e.Path, nil)
		if err != nil {
			t.Fatalf("accepted %q, which is no path: %v", path, err)
		}
		if req.URL.Path != e.Path || req.URL.EscapedPath() != e.Path || req.URL.RawQuery != "" || req.URL.Fragment != "" {
			t.Fatalf("accepted %q, which is read as %q", path, req.URL)
		}
		if joined := req.URL.JoinPath(); joined.Path != e.Path {
			t.Fatalf("accepted %q, which is cleaned to %q", path, joined.Path)
		}
		if e.Path == "/-" || strings.HasPrefix(e.Path, "/-/") {
			t.Fatalf("accepted the reserved %q", path)
		}
	})
}

// FuzzTarget: whatever is accepted can be requested, and leads to no address that is refused.
func FuzzTarget(f *testing.F) {
	for _, s := range []string{"https://x.example.com/v1?a=b", "http://[::1]:80", "http://169.254.169.254", "http://x@y", "http://x:99999", "HTTP://X"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, target string) {
		e := good()
		e.Targets = []registry.Target{{URL: target}}
		if _, found := violations(t, e, known); len(found) > 0 {
			return
		}
		req, err := http.NewRequest(http.MethodGet, target, nil)
		if err != nil {
			t.Fatalf("accepted %q, which is no URL: %v", target, err)
		}
		u := req.URL
		if u.Scheme != "http" && u.Scheme != "https" || u.User != nil || u.Fragment != "" || u.Hostname() == "" {
			t.Fatalf("accepted %q, read as %#v", target, u)
		}
		if _, err := url.ParseRequestURI(target); err != nil {
			t.Fatalf("accepted %q: %v", target, err)
		}
		if ip := net.ParseIP(u.Hostname()); ip != nil {
			a, _ := netip.AddrFromSlice(ip)
			if a = a.Unmap(); a.IsLinkLocalUnicast() || a.IsMulticast() || a.IsUnspecified() {
				t.Fatalf("accepted the address %s", a)
			}
		}
	})
}

// Guarantee: each rule of keys, budgets and secrets finds what it is for.
func TestOtherRules(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	key := func(k registry.Key, f registry.KeyFacts) func(*registry.Problems) {
		f.Now = now
		return func(p *registry.Problems) { k.Check(p, f) }
	}
	budget := func(b registry.Budget, f registry.BudgetFacts) func(*registry.Problems) {
		b.Normalize()
		return func(p *registry.Problems) { b.Check(p, f) }
	}
	all := registry.Budget{Name: "b", Scoped: registry.Scoped{Scope: registry.ScopeEverything}, Period: period.Month}
	with := func(edit func(*registry.Budget)) registry.Budget { b := all; edit(&b); return b }
	cases := []struct {
		name  string
		check func(*registry.Problems)
		want  []string
	}{
		{"key", key(registry.Key{Name: "ci.bot_1-x"}, registry.KeyFacts{}), nil},
		{"key name", key(registry.Key{Name: "ci bot"}, registry.KeyFacts{}), []string{"name:invalid"}},
		{"key named like an id", key(registry.Key{Name: id.New(id.Key)}, registry.KeyFacts{}), []string{"name:reserved"}},
		{"key taken", key(registry.Key{Name: "a"}, registry.KeyFacts{NameTaken: true, HashHolder: "b"}), []string{"name:taken", "secret_sha256:taken"}},
		{"key endpoints", key(registry.Key{Name: "a", Endpoints: []string{"x", "y", "x"}}, registry.KeyFacts{Known: map[string]bool{"x": true}}), []string{"endpoints[1]:unknown", "endpoints[2]:duplicate"}},
		{"key expired", key(registry.Key{Name: "a", Expires: now}, registry.KeyFacts{}), []string{"expire_time:out_of_range"}},
		{"key expires", key(registry.Key{Name: "a", Expires: now.Add(time.Second)}, registry.KeyFacts{}), nil},

		{"budget", budget(all, registry.BudgetFacts{}), nil},
		{"budget zone", budget(with(func(b *registry.Budget) { b.Zone = "Europe/Berlin" }), registry.BudgetFacts{}), nil},
		{"budget bad zone", budget(with(func(b *registry.Budget) { b.Zone = "Europe/Atlantis" }), registry.BudgetFacts{}), []string{"time_zone:invalid"}},
		{"budget local zone", budget(with(func(b *registry.Budget) { b.Zone = "Local" }), registry.BudgetFacts{}), []string{"time_zone:invalid"}},
		{"budget zone that climbs", budget(with(func(b *registry.Budget) { b.Zone = "../etc/passwd" }), registry.BudgetFacts{}), []string{"time_zone:invalid"}},
		{"budget negative", budget(with(func(b *registry.Budget) { b.Amount = -1 }), registry.BudgetFacts{}), []string{"amount:out_of_range"}},
		{"budget period", budget(with(func(b *registry.Budget) { b.Period = 0 }), registry.BudgetFacts{}), []string{"period:required"}},
		{"budget no scope", budget(with(func(b *registry.Budget) { b.Scope = "" }), registry.BudgetFacts{}), []string{"scope:required"}},
		{"budget unknown key", budget(with(func(b *registry.Budget) { b.Scope = registry.ScopeKey }), registry.BudgetFacts{}), []string{"key:unknown"}},
		{"budget unknown endpoint", budget(with(func(b *registry.Budget) { b.Scope = registry.ScopeEndpoint }), registry.BudgetFacts{}), []string{"endpoint:unknown"}},
		{"budget taken", budget(all, registry.BudgetFacts{NameTaken: true, SamePeriod: "o"}), []string{"name:taken", "period:taken"}},

		{"secret", func(p *registry.Problems) {
			registry.CheckSecretName(p, "bria", false)
			registry.CheckSecretValue(p, "x y\tz ü")
		}, nil},
		{"secret taken", func(p *registry.Problems) { registry.CheckSecretName(p, "bria", true) }, []string{"name:taken"}},
		{"secret empty", func(p *registry.Problems) { registry.CheckSecretValue(p, "") }, []string{"value:required"}},
		{"secret line end", func(p *registry.Problems) { registry.CheckSecretValue(p, "x\n") }, []string{"value:invalid"}},
		{"secret in PEM", func(p *registry.Problems) {
			registry.CheckSecretValue(p, "-----BEGIN X-----\nAAAA\n-----END X-----\n")
		}, nil},
		{"secret in PEM with a NUL", func(p *registry.Problems) {
			registry.CheckSecretValue(p, "-----BEGIN X-----\nAAAA\n-----END X-----\n\x00")
		}, []string{"value:invalid"}},
		{"secret of lines like PEM", func(p *registry.Problems) { registry.CheckSecretValue(p, "-----BEGIN X-----\nAAAA") }, []string{"value:invalid"}},
		{"secret lines", func(p *registry.Problems) { registry.CheckSecretValue(p, "x\ny") }, []string{"value:invalid"}},
		{"secret long", func(p *registry.Problems) {
			registry.CheckSecretValue(p, strings.Repeat("x", registry.MaxSecret+1))
		}, []string{"value:out_of_range"}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			p := registry.NewProblems("")
			c.check(p)
			var got []string
			if f, ok := errors.AsType[*fault.Error](p.Err("it")); ok {
				for _, v := range f.Violations {
					got = append(got, v.Field+":"+v.Code)
				}
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("violations (-want +got):\n%s", diff)
			}
		})
	}
}

// Guarantee: an etag changes with the object, its revision and its time.
func TestETag(t *testing.T) {
	t.Parallel()
	at := time.Unix(1, 0)
	seen := map[string]bool{}
	for _, tag := range []string{
		registry.ETag("a", 1, at), registry.ETag("b", 1, at), registry.ETag("a", 2, at), registry.ETag("a", 1, at.Add(time.Microsecond)),
	} {
		if seen[tag] || tag == "" {
			t.Errorf("%q again", tag)
		}
		seen[tag] = true
	}
}
