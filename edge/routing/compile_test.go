package routing_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"tollgate/edge/breaker"
	"tollgate/edge/routing"
	eventv1 "tollgate/gen/tollgate/event/v1"
	"tollgate/internal/fault"
	"tollgate/internal/testenv/pki"
)

// Guarantee: what a policy leaves out is what the documentation says, and what it says arrives.
func TestPolicies(t *testing.T) {
	t.Parallel()
	bare, full := ep("/bare"), ep("/full")
	bare.Retry, bare.Health, bare.Outlier = &eventv1.RetryPolicy{}, &eventv1.HealthPolicy{Path: "/healthz"}, &eventv1.OutlierPolicy{}
	full.Retry = &eventv1.RetryPolicy{Attempts: 3, Statuses: []uint32{500}, AnyMethod: true, MaxBodyBytes: 7, BudgetPercent: 9, BackoffMs: 11}
	full.Hedge = &eventv1.HedgePolicy{AfterMs: 300, AnyMethod: true}
	full.Health = &eventv1.HealthPolicy{Path: "/h?x=1", IntervalMs: 1000, TimeoutMs: 2000, Statuses: []uint32{200, 404}, UnhealthyAfter: 4, HealthyAfter: 5}
	full.Outlier = &eventv1.OutlierPolicy{Failures: 6, EjectMs: 7000, MaxPercent: 8}
	full.Breaker = &eventv1.BreakerPolicy{MinAttempts: 1, FailPercent: 2, WindowMs: 3000, OpenMs: 4000}
	full.Balance, full.CredentialBalance = eventv1.BalancePolicy_BALANCE_POLICY_WEIGHTED, eventv1.BalancePolicy_BALANCE_POLICY_LEAST_IN_FLIGHT
	full.IdleTimeoutMs, full.TotalTimeoutMs, full.Public, full.PassHeaders = 10, 20, true, true
	table := compile(t, ep("/none"), bare, full)
	by := map[string]*routing.Endpoint{}
	for _, e := range table.Endpoints() {
		by[e.Name] = e
	}
	if e := by["/none"]; e.Retry != nil || e.Hedge != nil || e.Health != nil || e.Outlier != nil {
		t.Errorf("of nothing: %+v", e)
	}
	for _, tc := range []struct{ got, want any }{
		{by["/bare"].Retry, &routing.Retry{Attempts: 1, Statuses: []int{429, 502, 503, 504}, MaxBody: 1 << 20, BudgetPercent: 20, Backoff: 25 * time.Millisecond}},
		{by["/bare"].Health, &routing.Health{Path: "/healthz", Interval: 10 * time.Second, Timeout: 5 * time.Second, UnhealthyAfter: 3, HealthyAfter: 2}},
		{by["/bare"].Outlier, &routing.Outlier{Failures: 5, EjectFor: 30 * time.Second, MaxPercent: 50}},
		{by["/bare"].Targets[0].Breaker, breaker.DefaultSettings()},
		{by["/bare"].Targets[0].BreakerKey, "https://vendor.example"},
		{by["/bare"].Targets[0].Key, "https://vendor.example"},
		{by["/full"].Retry, &routing.Retry{Attempts: 3, Statuses: []int{500}, AnyMethod: true, MaxBody: 7, BudgetPercent: 9, Backoff: 11 * time.Millisecond}},
		{by["/full"].Hedge, &routing.Hedge{After: 300 * time.Millisecond, AnyMethod: true}},
		{by["/full"].Health, &routing.Health{Path: "/h?x=1", Interval: time.Second, Timeout: 2 * time.Second, Statuses: []int{200, 404}, UnhealthyAfter: 4, HealthyAfter: 5}},
		{by["/full"].Outlier, &routing.Outlier{Failures: 6, EjectFor: 7 * time.Second, MaxPercent: 8}},
		{by["/full"].Targets[0].Breaker, breaker.Settings{MinEnded: 1, FailPercent: 2, Window: 3 * time.Second, OpenFor: 4 * time.Second, ProbeFor: time.Minute}},
		{by["/full"].Balance, eventv1.BalancePolicy_BALANCE_POLICY_WEIGHTED},
		{by["/full"].CredentialBalance, eventv1.BalancePolicy_BALANCE_POLICY_LEAST_IN_FLIGHT},
		{[]any{by["/full"].Idle, by["/full"].Total, by["/full"].Public, by["/full"].PassHeaders}, []any{10 * time.Millisecond, 20 * time.Millisecond, true, true}},
	} {
		if d := cmp.Diff(tc.want, tc.got); d != "" {
			t.Error(d)
		}
	}
	if key := by["/full"].Targets[0].BreakerKey; !strings.HasPrefix(key, "https://vendor.example ") {
		t.Errorf("a breaker that judges otherwise has key %q", key)
	}
}

// Guarantee: what cannot be applied as it stands is refused, and never passed over.
func TestPoliciesRefuse(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*eventv1.RouteEndpoint){
		"idle":             func(e *eventv1.RouteEndpoint) { e.IdleTimeoutMs = -1 },
		"total":            func(e *eventv1.RouteEndpoint) { e.TotalTimeoutMs = 1 << 62 },
		"connect":          func(e *eventv1.RouteEndpoint) { e.ConnectTimeoutMs = -1 },
		"body":             func(e *eventv1.RouteEndpoint) { e.MaxBodyBytes = -1 },
		"balance":          func(e *eventv1.RouteEndpoint) { e.Balance = 99 },
		"credential order": func(e *eventv1.RouteEndpoint) { e.CredentialBalance = 99 },
		"host policy":      func(e *eventv1.RouteEndpoint) { e.HostPolicy = 99 },
		"no host":          func(e *eventv1.RouteEndpoint) { e.HostPolicy = eventv1.HostPolicy_HOST_POLICY_TEXT },
		"odd host": func(e *eventv1.RouteEndpoint) {
			e.HostPolicy, e.HostText = eventv1.HostPolicy_HOST_POLICY_TEXT, "a\r\nX: 1"
		},
		"retry status":     func(e *eventv1.RouteEndpoint) { e.Retry = &eventv1.RetryPolicy{Statuses: []uint32{99}} },
		"retry body":       func(e *eventv1.RouteEndpoint) { e.Retry = &eventv1.RetryPolicy{MaxBodyBytes: -1} },
		"retry budget":     func(e *eventv1.RouteEndpoint) { e.Retry = &eventv1.RetryPolicy{BudgetPercent: 101} },
		"retry backoff":    func(e *eventv1.RouteEndpoint) { e.Retry = &eventv1.RetryPolicy{BackoffMs: -1} },
		"hedge":            func(e *eventv1.RouteEndpoint) { e.Hedge = &eventv1.HedgePolicy{} },
		"health path":      func(e *eventv1.RouteEndpoint) { e.Health = &eventv1.HealthPolicy{Path: "healthz"} },
		"health query":     func(e *eventv1.RouteEndpoint) { e.Health = &eventv1.HealthPolicy{Path: "/h?a b"} },
		"health status":    func(e *eventv1.RouteEndpoint) { e.Health = &eventv1.HealthPolicy{Path: "/h", Statuses: []uint32{600}} },
		"health interval":  func(e *eventv1.RouteEndpoint) { e.Health = &eventv1.HealthPolicy{Path: "/h", IntervalMs: -1} },
		"health timeout":   func(e *eventv1.RouteEndpoint) { e.Health = &eventv1.HealthPolicy{Path: "/h", TimeoutMs: -1} },
		"outlier time":     func(e *eventv1.RouteEndpoint) { e.Outlier = &eventv1.OutlierPolicy{EjectMs: -1} },
		"outlier share":    func(e *eventv1.RouteEndpoint) { e.Outlier = &eventv1.OutlierPolicy{MaxPercent: 101} },
		"breaker window":   func(e *eventv1.RouteEndpoint) { e.Breaker = &eventv1.BreakerPolicy{WindowMs: -1} },
		"breaker time":     func(e *eventv1.RouteEndpoint) { e.Breaker = &eventv1.BreakerPolicy{OpenMs: -1} },
		"breaker share":    func(e *eventv1.RouteEndpoint) { e.Breaker = &eventv1.BreakerPolicy{FailPercent: 101} },
		"header mode":      func(e *eventv1.RouteEndpoint) { e.Headers = []*eventv1.RouteHeader{{Name: "a", Mode: 99}} },
		"parameter mode":   func(e *eventv1.RouteEndpoint) { e.Query = []*eventv1.RouteQuery{{Name: "a", Mode: 99}} },
		"parameter name":   func(e *eventv1.RouteEndpoint) { e.Query = []*eventv1.RouteQuery{{Value: "a"}} },
		"parameter":        func(e *eventv1.RouteEndpoint) { e.Query = []*eventv1.RouteQuery{{Name: "a", Value: "${x"}} },
		"credential name":  func(e *eventv1.RouteEndpoint) { e.Credentials = []*eventv1.RouteCredential{{}} },
		"credential twice": func(e *eventv1.RouteEndpoint) { e.Credentials = []*eventv1.RouteCredential{{Name: "a"}, {Name: "a"}} },
		"credential header": func(e *eventv1.RouteEndpoint) {
			e.Credentials = []*eventv1.RouteCredential{{Name: "a", Headers: []*eventv1.RouteHeader{{Name: "a b"}}}}
		},
		"credential query": func(e *eventv1.RouteEndpoint) {
			e.Credentials = []*eventv1.RouteCredential{{Name: "a", Query: []*eventv1.RouteQuery{{}}}}
		},
		"target": func(e *eventv1.RouteEndpoint) { e.RouteTargets = []*eventv1.RouteTarget{{Url: "ftp://h"}} },
		"HTTP":   func(e *eventv1.RouteEndpoint) { e.RouteTargets = []*eventv1.RouteTarget{{Url: "http://h", Http: 9}} },
		"TLS": func(e *eventv1.RouteEndpoint) {
			e.RouteTargets = []*eventv1.RouteTarget{{Url: "https://h", MinTls: 11}}
		},
		"CA reference": func(e *eventv1.RouteEndpoint) {
			e.RouteTargets = []*eventv1.RouteTarget{{Url: "https://h", CaPem: "${x"}}
		},
		"many targets": func(e *eventv1.RouteEndpoint) { e.Targets = slices.Repeat(e.GetTargets(), 65) },
		"many credentials": func(e *eventv1.RouteEndpoint) {
			for i := range 65 {
				e.Credentials = append(e.Credentials, &eventv1.RouteCredential{Name: fmt.Sprint(i)})
			}
		},
	} {
		e := ep("/x")
		change(e)
		if _, err := routing.Compile(&eventv1.RouteSnapshot{Endpoints: []*eventv1.RouteEndpoint{ep("/good"), e}}, v1, routing.Lookups{}); err == nil || !strings.Contains(err.Error(), `endpoint "/x"`) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Guarantee: a credential whose secret cannot be had leaves the turn to the others, and only without any
// the endpoint cannot be called; missing variables of all of them are named.
func TestUnresolvedCredentials(t *testing.T) {
	t.Parallel()
	cred := func(name, value string) *eventv1.RouteCredential {
		return &eventv1.RouteCredential{Name: name, Headers: []*eventv1.RouteHeader{{Name: "a", Value: value}}}
	}
	some, none, query := ep("/some"), ep("/none"), ep("/query")
	some.Credentials = []*eventv1.RouteCredential{cred("one", "${env:ONE}"), cred("two", "two"), {Name: "three", Weight: 5, Priority: 2, Query: []*eventv1.RouteQuery{{Name: "key", Value: "${env:THREE}"}}}}
	none.Credentials = []*eventv1.RouteCredential{cred("one", "${secret:gone}"), cred("two", "${env:TWO}")}
	query.Query = []*eventv1.RouteQuery{{Name: "key", Value: "${env:FOUR}"}}
	table := compile(t, some, none, query, ep("/good"))
	if got := table.MissingEnv(); !slices.Equal(got, []string{"FOUR", "ONE", "THREE", "TWO"}) {
		t.Errorf("missing %v", got)
	}
	for path, want := range map[string]string{"/some": "", "/good": "", "/none": "Secret gone of endpoint /none", "/query": "Environment variable FOUR"} {
		e, _, err := table.Match("GET", path)
		if err != nil || (e.Err == nil) != (want == "") || want != "" && !strings.Contains(fault.From(e.Err).Message, want) {
			t.Errorf("%s: %v, %v", path, e.Err, err)
		}
	}
	e, _, _ := table.Match("GET", "/some")
	for i, bad := range []bool{true, false, true} {
		if c := e.Credentials[i]; errors.Is(c.Err, fault.New(fault.SecretUnresolved, "")) != bad {
			t.Errorf("credential %s: %v", c.Name, c.Err)
		}
	}
	if c := e.Credentials[2]; c.Weight != 5 || c.Priority != 2 || e.Credentials[1].Weight != 1 {
		t.Errorf("credentials %+v", e.Credentials)
	}
}

// Guarantee: certificates that do not fit together are found before the first request, take out their own
// endpoint alone, and show nothing of a key.
func TestTransportSecurity(t *testing.T) {
	t.Parallel()
	authority := pki.New(t)
	pair, other := authority.Issue(t, []string{"client"}), authority.Issue(t, []string{"other"})
	secrets := map[string]string{"cert": string(pair.Cert), "key": string(pair.Key), "other": string(other.Key), "broken": "-----BEGIN PRIVATE KEY-----\nhunter2\n-----END PRIVATE KEY-----\n"}
	ca := string(authority.PEM)
	for name, tc := range map[string]struct {
		target *eventv1.RouteTarget
		want   string // part of the message; empty for none
	}{
		"all":           {&eventv1.RouteTarget{CaPem: ca + ca, ClientCertPem: "${secret:cert}", ClientKey: "${secret:key}"}, ""},
		"in clear":      {&eventv1.RouteTarget{ClientCertPem: string(pair.Cert), ClientKey: "${secret:key}"}, ""},
		"another's key": {&eventv1.RouteTarget{ClientCertPem: "${secret:cert}", ClientKey: "${secret:other}"}, "do not belong together"},
		"broken key":    {&eventv1.RouteTarget{ClientCertPem: "${secret:cert}", ClientKey: "${secret:broken}"}, "The client certificate for target https://h/v of endpoint /x can't be used"},
		"no key":        {&eventv1.RouteTarget{ClientCertPem: "${secret:cert}"}, "without its key"},
		"no cert":       {&eventv1.RouteTarget{ClientKey: "${secret:key}"}, "without a certificate"},
		"gone":          {&eventv1.RouteTarget{ClientCertPem: "${secret:cert}", ClientKey: "${secret:gone}"}, "Secret gone"},
		"not set":       {&eventv1.RouteTarget{ClientCertPem: "${secret:cert}", ClientKey: "${env:GONE}"}, "Environment variable GONE"},
		"no CA":         {&eventv1.RouteTarget{CaPem: "hunter2"}, "no certificate in it"},
		"key as CA":     {&eventv1.RouteTarget{CaPem: ca + string(pair.Key)}, "not a certificate"},
		"broken CA":     {&eventv1.RouteTarget{CaPem: strings.Replace(secrets["broken"], "PRIVATE KEY", "CERTIFICATE", 2)}, "can't be used"},
	} {
		e := ep("/x")
		tc.target.Url = "https://h/v?token=hunter2"
		e.RouteTargets = []*eventv1.RouteTarget{tc.target}
		table, err := routing.Compile(&eventv1.RouteSnapshot{Endpoints: []*eventv1.RouteEndpoint{e, ep("/good")}}, v1, routing.Lookups{
			Secret: func(name string) (string, error) {
				if s, ok := secrets[name]; ok {
					return s, nil
				}
				return "", errors.New("gone")
			},
		})
		if err != nil {
			t.Fatal(name, err)
		}
		if good, _, err := table.Match("GET", "/good"); err != nil || good.Err != nil {
			t.Errorf("%s: the other endpoint: %v, %v", name, good, err)
		}
		got, _, _ := table.Match("GET", "/x")
		switch {
		case tc.want == "" && got.Err == nil:
			if tr := got.Targets[0].Transport; tr.ClientKey != secrets["key"] || tr.ClientCert != secrets["cert"] {
				t.Errorf("%s: %+v", name, tr)
			}
		case got.Err == nil || tc.want == "" || !strings.Contains(fault.From(got.Err).Message, tc.want) || fault.From(got.Err).Code != fault.SecretUnresolved:
			t.Errorf("%s: %v", name, got.Err)
		case strings.Contains(fmt.Sprintf("%+v %v", fault.From(got.Err), got.Err), "hunter2"):
			t.Errorf("%s shows a secret: %v", name, got.Err)
		}
	}
}

// Guarantee: connections are shared between targets with the same scheme, host and settings, and between
// no others; settings of TLS mean nothing without it.
func TestConnectionKeys(t *testing.T) {
	t.Parallel()
	authority := pki.New(t)
	pair := authority.Issue(t, []string{"client"})
	rapid.Check(t, func(t *rapid.T) {
		draw := func() (*eventv1.RouteEndpoint, string) {
			e := ep("/x")
			r := &eventv1.RouteTarget{
				Url: rapid.SampledFrom([]string{"http://h/a", "https://h/b?k=1", "https://h:8443"}).Draw(t, "url"), Http: eventv1.TargetHttp(rapid.IntRange(0, 2).Draw(t, "http")),
				ServerName: rapid.SampledFrom([]string{"", "n"}).Draw(t, "name"), SkipVerify: rapid.Bool().Draw(t, "skip"), MinTls: rapid.SampledFrom([]uint32{0, 12, 13}).Draw(t, "tls"),
			}
			if rapid.Bool().Draw(t, "ca") {
				r.CaPem = string(authority.PEM)
			}
			if rapid.Bool().Draw(t, "client") {
				r.ClientCertPem, r.ClientKey = string(pair.Cert), string(pair.Key)
			}
			e.RouteTargets, e.ConnectTimeoutMs = []*eventv1.RouteTarget{r}, rapid.Int64Range(0, 1).Draw(t, "connect")
			same := fmt.Sprint(strings.SplitN(r.GetUrl(), "/", 4)[:3], r.GetHttp(), e.GetConnectTimeoutMs())
			if strings.HasPrefix(r.GetUrl(), "https") {
				same += fmt.Sprint(r.GetServerName(), r.GetSkipVerify(), r.GetMinTls() == 13, r.GetCaPem(), r.GetClientKey())
			}
			return e, same
		}
		key := func(e *eventv1.RouteEndpoint) string {
			table, err := routing.Compile(&eventv1.RouteSnapshot{Endpoints: []*eventv1.RouteEndpoint{e}}, v1, routing.Lookups{})
			if err != nil {
				t.Fatal(err)
			}
			return table.Endpoints()[0].Targets[0].Key
		}
		a, sameA := draw()
		b, sameB := draw()
		if ka, kb := key(a), key(b); (ka == kb) != (sameA == sameB) || ka != key(a) || len(ka) > 40 {
			t.Errorf("%v has %q, %v has %q", a, ka, b, kb)
		}
	})
}

// Guarantee: a configured Host header says which host targets get, as it did before there was a policy,
// and the policy goes before it.
func TestConfiguredHost(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		policy eventv1.HostPolicy
		text   string
		header string
		want   string
	}{
		{0, "", "", ""},
		{0, "", "h.example", "h.example"},
		{eventv1.HostPolicy_HOST_POLICY_TEXT, "t.example:80", "h.example", "t.example:80"},
		{eventv1.HostPolicy_HOST_POLICY_CALLER, "", "h.example", ""},
	} {
		e := ep("/x")
		e.HostPolicy, e.HostText = tc.policy, tc.text
		if tc.header != "" {
			e.Headers = []*eventv1.RouteHeader{{Name: "hOST", Value: tc.header}}
		}
		got := compile(t, e).Endpoints()[0]
		if got.HostText != tc.want || (got.HostPolicy == eventv1.HostPolicy_HOST_POLICY_TEXT) != (tc.want != "") || len(got.Headers) > 0 {
			t.Errorf("%+v: %s %q %q", tc, got.HostPolicy, got.HostText, got.Headers)
		}
	}
}
