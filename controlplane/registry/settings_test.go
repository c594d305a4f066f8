package registry_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"tollgate/controlplane/registry"
	"tollgate/internal/testenv/pki"
)

// rich is an endpoint that uses all settings, and breaks no rule.
func rich(t *testing.T, authority *pki.Authority) registry.Endpoint {
	t.Helper()
	pair := authority.Issue(t, []string{"client.example.com"})
	e := good()
	e.Public = &registry.Public{RequestsPerMinute: 60}
	e.Targets = []registry.Target{
		{URL: "https://a.example.com", Weight: 2, HTTP: registry.HTTP2, TLS: &registry.TLS{
			CAPEM: "a bundle\n" + string(authority.PEM), ClientCertPEM: string(pair.Cert), ClientKey: "${secret:bria}", ServerName: "b.example.com",
		}},
		{URL: "http://b.example.com", Priority: 1, HTTP: registry.HTTP2},
	}
	e.Balance, e.CredentialBalance = registry.BalanceWeighted, registry.BalanceLeastInFlight
	e.Query = []registry.Query{{Name: "a", Value: "1"}, {Name: "a", Value: "2"}, {Name: "b", Mode: registry.ModeRemove}}
	e.Host = registry.Host{Kind: registry.HostText, Text: "v.example.com:8443"}
	e.Credentials = []registry.Credential{
		{Name: "first", Weight: 3, Headers: []registry.Header{{Name: "authorization", Value: "${secret:bria}"}}},
		{Name: "second", Priority: 2, Query: []registry.Query{{Name: "key", Value: "${env:B}"}}},
	}
	e.Timeouts = registry.Timeouts{Connect: time.Second, Idle: time.Minute, Total: time.Hour}
	e.Resilience = registry.Resilience{
		Retry: &registry.Retry{Attempts: 5, Statuses: []uint32{400, 599}}, Hedge: &registry.Hedge{After: time.Second}, Breaker: &registry.Breaker{},
		Health: &registry.Health{Path: "/a/..b?x=/../y%2e"}, Outlier: &registry.Outlier{MaxPercent: 100},
	}
	return e
}

// Guarantee: each rule of the settings beside path, price and headers finds what it is for, under the
// right field, and nothing else is found.
func TestSettingsRules(t *testing.T) {
	t.Parallel()
	authority := pki.New(t)
	taken := func(f registry.EndpointFacts) registry.EndpointFacts { f.Secrets = known.Secrets; return f }
	cases := []struct {
		name string
		edit func(*registry.Endpoint)
		want string // field:code, without "endpoint."; empty if nothing is wrong
	}{
		{"good", func(*registry.Endpoint) {}, ""},
		{"host of an address", func(e *registry.Endpoint) { e.Host.Text = "[2001:db8::1]:443" }, ""},
		{"certificate by reference", func(e *registry.Endpoint) { e.Targets[0].TLS.ClientCertPEM = "${env:CERT}" }, ""},
		{"key header that is removed", func(e *registry.Endpoint) {
			e.KeyHeader = "x-k"
			e.Headers = append(e.Headers, registry.Header{Name: "X-K", Mode: registry.ModeRemove})
		}, ""},
		{"credential over a removed header", func(e *registry.Endpoint) {
			e.Headers = append(e.Headers, registry.Header{Name: "Authorization", Mode: registry.ModeRemove})
		}, ""},

		{"no requests a minute", func(e *registry.Endpoint) { e.Public.RequestsPerMinute = 0 }, "access.public.requests_per_minute:out_of_range"},
		{"too many", func(e *registry.Endpoint) { e.Public.RequestsPerMinute = 1e9 + 1 }, "access.public.requests_per_minute:out_of_range"},
		{"negative burst", func(e *registry.Endpoint) { e.Public.Burst = -1 }, "access.public.burst:out_of_range"},

		{"unknown mode", func(e *registry.Endpoint) { e.Headers[0].Mode = 9 }, "headers[0].mode:invalid"},
		{"value of a removed header", func(e *registry.Endpoint) { e.Headers[0].Mode = registry.ModeRemove }, "headers[0].value:forbidden"},
		{"value of a removed parameter", func(e *registry.Endpoint) { e.Query[2].Value = "x" }, "query[2].value:forbidden"},
		{"variable without a name", func(e *registry.Endpoint) { e.Headers[0].Value = "Bearer os.environ/" }, "headers[0].value:invalid"},
		{"variable behind a $", func(e *registry.Endpoint) { e.Query[0].Value = "$os.environ/A" }, "query[0].value:invalid"},
		{"Langfuse's key of an unknown secret", func(e *registry.Endpoint) {
			e.Credentials = nil
			e.Headers = append(e.Headers, registry.Header{Name: "LANGFUSE_PUBLIC_KEY", Value: "a"}, registry.Header{Name: "langfuse_secret_key", Value: "${secret:nope}"})
		}, "headers[1].value:secret_missing"},
		{"parameter without a name", func(e *registry.Endpoint) { e.Query[0].Name = "" }, "query[0].name:required"},
		{"parameter with a line end", func(e *registry.Endpoint) { e.Query[0].Name = "a\nb" }, "query[0].name:invalid"},
		{"parameter's value with a line end", func(e *registry.Endpoint) { e.Query[0].Value = "a\nb" }, "query[0].value:invalid"},
		{"parameter's value with a NUL", func(e *registry.Endpoint) { e.Query[0].Value = "a\x00" }, "query[0].value:invalid"},
		{"parameter's value too long", func(e *registry.Endpoint) { e.Query[0].Value = strings.Repeat("x", 8193) }, "query[0].value:out_of_range"},
		{"parameter set and given", func(e *registry.Endpoint) { e.Query[1].Mode = registry.ModeSet }, "query[1].name:duplicate"},
		{"parameter removed and given", func(e *registry.Endpoint) { e.Query[1] = registry.Query{Name: "b"}; e.Query[2].Name = "b" }, "query[2].name:duplicate"},
		{"parameters", func(e *registry.Endpoint) { e.Query = make([]registry.Query, 65); fillNames(e.Query) }, "query:out_of_range"},
		{"host of two words", func(e *registry.Endpoint) { e.Host.Text = "a b" }, "host_header.text:invalid"},
		{"host with a path", func(e *registry.Endpoint) { e.Host.Text = "a/b" }, "host_header.text:invalid"},
		{"host with a port of nothing", func(e *registry.Endpoint) { e.Host.Text = "a:0" }, "host_header.text:invalid"},
		{"host with a signed port", func(e *registry.Endpoint) { e.Host.Text = "a:+1" }, "host_header.text:invalid"},
		{"empty host", func(e *registry.Endpoint) { e.Host.Text = "" }, "host_header.text:invalid"},
		{"text of the caller's host", func(e *registry.Endpoint) { e.Host.Kind = registry.HostCaller }, "host_header.text:forbidden"},
		{"unknown host", func(e *registry.Endpoint) { e.Host = registry.Host{Kind: 9} }, "host_header:invalid"},
		{"key header of the endpoint", func(e *registry.Endpoint) { e.KeyHeader = "API_Token" }, "key_header:duplicate"},
		{"key header of a credential", func(e *registry.Endpoint) { e.KeyHeader = "Authorization" }, "key_header:duplicate"},

		{"unknown balance", func(e *registry.Endpoint) { e.Balance = 9 }, "balance:invalid"},
		{"weight of failover", func(e *registry.Endpoint) { e.Balance, e.Targets[1].Priority = 0, 0 }, "targets[0].weight:forbidden"},
		{"priority of failover", func(e *registry.Endpoint) { e.Balance, e.Targets[0].Weight = 0, 0 }, "targets[1].priority:forbidden"},
		{"weight", func(e *registry.Endpoint) { e.Targets[0].Weight = 1001 }, "targets[0].weight:out_of_range"},
		{"priority", func(e *registry.Endpoint) { e.Targets[0].Priority = 16 }, "targets[0].priority:out_of_range"},
		{"version of HTTP", func(e *registry.Endpoint) { e.Targets[0].HTTP = 3 }, "targets[0].http_version:invalid"},
		{"TLS without https", func(e *registry.Endpoint) { e.Targets[1].TLS = &registry.TLS{} }, "targets[1].tls:forbidden"},
		{"version of TLS", func(e *registry.Endpoint) { e.Targets[0].TLS.MinVersion = 3 }, "targets[0].tls.min_version:invalid"},
		{"server name with a port", func(e *registry.Endpoint) { e.Targets[0].TLS.ServerName = "a:1" }, "targets[0].tls.server_name:invalid"},
		{"no certificates", func(e *registry.Endpoint) { e.Targets[0].TLS.CAPEM = "hello" }, "targets[0].tls.ca_pem:invalid"},
		{"half a certificate", func(e *registry.Endpoint) { e.Targets[0].TLS.CAPEM = e.Targets[0].TLS.CAPEM[:300] }, "targets[0].tls.ca_pem:invalid"},
		{"one and a half", func(e *registry.Endpoint) { e.Targets[0].TLS.CAPEM += e.Targets[0].TLS.CAPEM[:300] }, "targets[0].tls.ca_pem:invalid"},
		{"no certificate inside", func(e *registry.Endpoint) {
			e.Targets[0].TLS.CAPEM = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"
		}, "targets[0].tls.ca_pem:invalid"},
		{"something else in PEM", func(e *registry.Endpoint) {
			e.Targets[0].TLS.CAPEM = "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n"
		}, "targets[0].tls.ca_pem:invalid"},
		{"certificates too long", func(e *registry.Endpoint) { e.Targets[0].TLS.CAPEM = strings.Repeat("x", 65537) }, "targets[0].tls.ca_pem:out_of_range"},
		{"key beside the certificate", func(e *registry.Endpoint) {
			e.Targets[0].TLS.ClientCertPEM += string(authority.Issue(t, []string{"x"}).Key)
		}, "targets[0].tls.client_cert_pem:forbidden"},
		{"certificate of an unknown secret", func(e *registry.Endpoint) { e.Targets[0].TLS.ClientCertPEM = "${secret:nope}" }, "targets[0].tls.client_cert_pem:secret_missing"},
		{"key as it is", func(e *registry.Endpoint) { e.Targets[0].TLS.ClientKey = string(authority.Issue(t, []string{"x"}).Key) }, "targets[0].tls.client_key:forbidden"},
		{"key of two references", func(e *registry.Endpoint) { e.Targets[0].TLS.ClientKey = "${env:A}${env:B}" }, "targets[0].tls.client_key:forbidden"},
		{"key of an unknown secret", func(e *registry.Endpoint) { e.Targets[0].TLS.ClientKey = "${secret:nope}" }, "targets[0].tls.client_key:secret_missing"},
		{"certificate without a key", func(e *registry.Endpoint) { e.Targets[0].TLS.ClientKey = "" }, "targets[0].tls.client_key:required"},
		{"key without a certificate", func(e *registry.Endpoint) { e.Targets[0].TLS.ClientCertPEM = "" }, "targets[0].tls.client_cert_pem:required"},

		{"name of a credential", func(e *registry.Endpoint) { e.Credentials[0].Name = "A" }, "credentials[0].name:invalid"},
		{"name twice", func(e *registry.Endpoint) { e.Credentials[1].Name = "first" }, "credentials[1].name:duplicate"},
		{"credential of nothing", func(e *registry.Endpoint) { e.Credentials[0].Headers = nil }, "credentials[0]:required"},
		{"header of the endpoint", func(e *registry.Endpoint) { e.Credentials[0].Headers[0].Name = "API_TOKEN" }, "credentials[0].headers[0].name:duplicate"},
		{"parameter of the endpoint", func(e *registry.Endpoint) { e.Credentials[1].Query[0].Name = "a" }, "credentials[1].query[0].name:duplicate"},
		{"credential by default", func(e *registry.Endpoint) { e.Credentials[0].Headers[0].Mode = registry.ModeDefault }, "credentials[0].headers[0].mode:forbidden"},
		{"credential's parameter by default", func(e *registry.Endpoint) { e.Credentials[1].Query[0].Mode = registry.ModeDefault }, "credentials[1].query[0].mode:forbidden"},
		{"credential of an unknown secret", func(e *registry.Endpoint) { e.Credentials[1].Query[0].Value = "${secret:nope}" }, "credentials[1].query[0].value:secret_missing"},
		{"credential in a header of the connection", func(e *registry.Endpoint) { e.Credentials[0].Headers[0].Name = "upgrade" }, "credentials[0].headers[0].name:header_hop"},
		{"weight of a credential of failover", func(e *registry.Endpoint) { e.CredentialBalance, e.Credentials[1].Priority = 0, 0 }, "credentials[0].weight:forbidden"},
		{"unknown balance of credentials", func(e *registry.Endpoint) { e.CredentialBalance = 4 }, "credential_balance:invalid"},

		{"time for a connection", func(e *registry.Endpoint) { e.Timeouts.Connect = 6 * time.Minute }, "timeouts.connect:out_of_range"},
		{"negative silence", func(e *registry.Endpoint) { e.Timeouts.Idle = -1 }, "timeouts.idle:out_of_range"},
		{"time for everything", func(e *registry.Endpoint) { e.Timeouts.Total = 8 * 24 * time.Hour }, "timeouts.total:out_of_range"},
		{"connection longer than everything", func(e *registry.Endpoint) { e.Timeouts.Total = time.Second - 1e6 }, "timeouts.total:out_of_range"},
		{"no retries", func(e *registry.Endpoint) { e.Retry.Attempts = 0 }, "retry.attempts:out_of_range"},
		{"many retries", func(e *registry.Endpoint) { e.Retry.Attempts = 6 }, "retry.attempts:out_of_range"},
		{"retry after success", func(e *registry.Endpoint) { e.Retry.Statuses[0] = 200 }, "retry.statuses:out_of_range"},
		{"status twice", func(e *registry.Endpoint) { e.Retry.Statuses[0] = 599 }, "retry.statuses:duplicate"},
		{"body that is kept", func(e *registry.Endpoint) { e.Retry.MaxBodyBytes = 64<<20 + 1 }, "retry.max_body_bytes:out_of_range"},
		{"share of retries", func(e *registry.Endpoint) { e.Retry.BudgetPercent = 101 }, "retry.budget_percent:out_of_range"},
		{"wait", func(e *registry.Endpoint) { e.Retry.Backoff = time.Minute }, "retry.backoff:out_of_range"},
		{"hedge at once", func(e *registry.Endpoint) { e.Hedge.After = 0 }, "hedge.after:out_of_range"},
		{"hedge after the end", func(e *registry.Endpoint) { e.Timeout, e.Hedge.After = time.Second, time.Second }, "hedge.after:out_of_range"},
		{"breaker's window", func(e *registry.Endpoint) { e.Breaker.Window = time.Millisecond }, "breaker.window:out_of_range"},
		{"breaker's share", func(e *registry.Endpoint) { e.Breaker.FailPercent = 101 }, "breaker.fail_percent:out_of_range"},
		{"breaker's attempts", func(e *registry.Endpoint) { e.Breaker.MinAttempts = 100_001 }, "breaker.min_attempts:out_of_range"},
		{"breaker's time", func(e *registry.Endpoint) { e.Breaker.OpenFor = 2 * time.Hour }, "breaker.open_for:out_of_range"},
		{"checks in a row", func(e *registry.Endpoint) { e.Health.UnhealthyAfter = 101 }, "health_check.unhealthy_after:out_of_range"},
		{"good checks in a row", func(e *registry.Endpoint) { e.Health.HealthyAfter = 101 }, "health_check.healthy_after:out_of_range"},
		{"interval", func(e *registry.Endpoint) { e.Health.Interval = time.Millisecond }, "health_check.interval:out_of_range"},
		{"time of a check", func(e *registry.Endpoint) { e.Health.Timeout = time.Hour }, "health_check.timeout:out_of_range"},
		{"status of a check", func(e *registry.Endpoint) { e.Health.Statuses = []uint32{100} }, "health_check.statuses:out_of_range"},
		{"ejection of the only one", func(e *registry.Endpoint) { e.Targets = e.Targets[:1] }, "outlier_ejection:forbidden"},
		{"ejected for", func(e *registry.Endpoint) { e.Outlier.EjectFor = time.Millisecond }, "outlier_ejection.eject_for:out_of_range"},
		{"failures", func(e *registry.Endpoint) { e.Outlier.Failures = 1001 }, "outlier_ejection.failures:out_of_range"},
		{"share of ejected", func(e *registry.Endpoint) { e.Outlier.MaxPercent = 101 }, "outlier_ejection.max_percent:out_of_range"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			e := rich(t, authority)
			c.edit(&e)
			var want []string
			if c.want != "" {
				want = []string{"endpoint." + c.want}
			}
			if _, got := violations(t, e, known); !cmp.Equal(want, got) {
				t.Errorf("violations %v, want %v", got, want)
			}
		})
	}
	for _, facts := range []registry.EndpointFacts{taken(registry.EndpointFacts{PublicName: true}), taken(registry.EndpointFacts{RequestLimit: "x"})} {
		if _, got := violations(t, rich(t, authority), facts); !cmp.Equal(got, []string{"endpoint.access.public:taken"}) {
			t.Errorf("%+v: %v", facts, got)
		}
		if _, got := violations(t, good(), facts); got != nil {
			t.Errorf("an endpoint with keys, %+v: %v", facts, got)
		}
	}
}

func fillNames(query []registry.Query) {
	for i := range query {
		query[i].Name = "q"
	}
}

// Guarantee: no spelling of a path of health checks leaves the target's base or what a request line holds.
func TestHealthPathsRefused(t *testing.T) {
	t.Parallel()
	for _, path := range []string{
		"", "healthz", "http://x", "/a#b", "/..", "/a/../b", "/a/./b", "/%2e%2e/b", "/a%2f..%2fb", "/a%5c..%5cb", "/..;/b", "/a b", "/a\nb", "/%", "/é",
		`/a\..\b`, "/" + strings.Repeat("x", 1024),
	} {
		e := good()
		e.Health = &registry.Health{Path: path}
		if _, got := violations(t, e, known); !cmp.Equal(got, []string{"endpoint.health_check.path:invalid"}) {
			t.Errorf("%q: %v", path, got)
		}
	}
}

// Guarantee: a private key that somebody put where it does not belong is in no message.
func TestKeysAreNotShown(t *testing.T) {
	t.Parallel()
	authority := pki.New(t)
	secret := string(authority.Issue(t, []string{"x"}).Key)
	body := strings.Split(secret, "\n")[1]
	for _, edit := range []func(*registry.TLS){
		func(s *registry.TLS) { s.ClientKey = secret },
		func(s *registry.TLS) { s.ClientKey = "hunter2" + body },
		func(s *registry.TLS) { s.CAPEM = secret },
		func(s *registry.TLS) { s.CAPEM = body },
		func(s *registry.TLS) { s.ClientCertPEM = secret },
		func(s *registry.TLS) { s.ClientCertPEM = "${secret:" + body },
		func(s *registry.TLS) { s.ServerName = ""; s.ClientKey = "${env:A}" + body },
	} {
		e := rich(t, authority)
		edit(e.Targets[0].TLS)
		e.Normalize()
		p := registry.NewProblems("")
		e.Check(p, known)
		if err := p.Err("the endpoint"); err == nil || strings.Contains(errorText(err), body[:20]) {
			t.Errorf("%v", err)
		}
	}
}

// Guarantee: the names of all secrets that an endpoint refers to are known, wherever they stand.
func TestSecretRefs(t *testing.T) {
	t.Parallel()
	e := registry.Endpoint{
		Headers: []registry.Header{{Value: "${secret:a} ${base64:${secret:b}}"}}, Query: []registry.Query{{Value: "${secret:c}"}},
		Credentials: []registry.Credential{{Headers: []registry.Header{{Value: "${secret:d}"}}, Query: []registry.Query{{Value: "${secret:e}${secret:a}"}}}},
		Targets:     []registry.Target{{TLS: &registry.TLS{ClientCertPEM: "${secret:f}", ClientKey: "${secret:g}"}}, {}},
	}
	if got := strings.Join(e.SecretRefs(), ""); got != "abcdefg" {
		t.Errorf("found %s", got)
	}
}
