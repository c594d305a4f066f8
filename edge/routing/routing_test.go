package routing_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
	_ "time/tzdata" // the zones of accounts, wherever the test runs

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"tollgate/edge/routing"
	eventv1 "tollgate/gen/tollgate/event/v1"
	"tollgate/internal/contract"
	"tollgate/internal/fault"
)

var v1 = contract.Version{Epoch: 1, Revision: 1}

// ep is an endpoint named after its path. A path that begins with "=" is exact.
func ep(path string, methods ...string) *eventv1.RouteEndpoint {
	p, exact := strings.CutPrefix(path, "=")
	name := strings.Join(append([]string{path}, methods...), " ")
	return &eventv1.RouteEndpoint{Id: "id " + name, Name: name, Path: p, Exact: exact, Methods: methods, Targets: []string{"https://vendor.example"}}
}

func compile(tb testing.TB, endpoints ...*eventv1.RouteEndpoint) *routing.Table {
	tb.Helper()
	t, err := routing.Compile(&eventv1.RouteSnapshot{Endpoints: endpoints}, v1, routing.Lookups{})
	if err != nil {
		tb.Fatal(err)
	}
	return t
}

// Guarantee: exact beats prefix, the longest prefix of whole segments wins, the method chooses among
// endpoints of one path, and what is below the endpoint comes out in the caller's own bytes.
func TestMatch(t *testing.T) {
	t.Parallel()
	table := compile(t,
		ep("/bria"), ep("/bria/v1/chat"), ep("=/bria/v1/chat/exact"), ep("=/only"),
		ep("/rw", "GET"), ep("/rw", "POST", "PUT"), ep("/mixed"), ep("/mixed", "DELETE"),
		ep("=/both", "GET"), ep("/both", "POST"), ep("/deep/a/b/c/"), ep("/shadow"), ep("=/shadow/x", "GET"),
	)
	for _, c := range []struct{ method, path, name, rest string }{
		{"GET", "/bria", "/bria", ""},
		{"GET", "/bria/", "/bria", "/"},
		{"GET", "/bria/v1/x", "/bria", "/v1/x"},
		{"GET", "/bria/v1/chat", "/bria/v1/chat", ""},
		{"GET", "/bria/v1/chatty", "/bria", "/v1/chatty"},
		{"GET", "/bria/v1/chat/x", "/bria/v1/chat", "/x"},
		{"GET", "/bria/v1/chat/exact", "=/bria/v1/chat/exact", ""},
		{"GET", "/bria/v1/chat/exact/", "/bria/v1/chat", "/exact/"},
		{"GET", "/bria/a%2Fb//c/../d%20e", "/bria", "/a%2Fb//c/../d%20e"},
		{"GET", "/bria//", "/bria", "//"},
		{"GET", "/only", "=/only", ""},
		{"GET", "/rw/1", "/rw GET", "/1"},
		{"PUT", "/rw/1", "/rw POST PUT", "/1"},
		{"DELETE", "/mixed", "/mixed DELETE", ""},
		{"GET", "/mixed", "/mixed", ""},
		{"GET", "/both", "=/both GET", ""},
		{"POST", "/both", "/both POST", ""},
		{"POST", "/both/x", "/both POST", "/x"},
		{"GET", "/deep/a/b/c/d", "/deep/a/b/c/", "/d"},
		{"GET", "/deep/a/b/c", "/deep/a/b/c/", ""},
	} {
		e, rest, err := table.Match(c.method, c.path)
		if err != nil || e.Name != c.name || rest != c.rest {
			t.Errorf("%s %s = %v, %q, %v; want %s, %q", c.method, c.path, e, rest, err, c.name, c.rest)
		}
	}
	for _, c := range []struct {
		method, path string
		want         fault.Code
		allow        []string
	}{
		{"GET", "/", fault.EndpointNotFound, nil},
		{"GET", "/briam", fault.EndpointNotFound, nil},
		{"GET", "/BRIA", fault.EndpointNotFound, nil},
		{"GET", "/br%69a", fault.EndpointNotFound, nil},
		{"GET", "//bria", fault.EndpointNotFound, nil},
		{"GET", "/only/", fault.EndpointNotFound, nil},
		{"GET", "/-/health", fault.EndpointNotFound, nil},
		{"GET", "/-", fault.EndpointNotFound, nil},
		{"HEAD", "/rw", fault.MethodNotAllowed, []string{"GET", "POST", "PUT"}},
		{"HEAD", "/both", fault.MethodNotAllowed, []string{"GET", "POST"}},
		{"GET", "/both/x", fault.MethodNotAllowed, []string{"POST"}},
		{"POST", "/shadow/x", fault.MethodNotAllowed, []string{"GET"}},
		{"GET", "*", fault.PathInvalid, nil},
		{"GET", "", fault.PathInvalid, nil},
		{"GET", "bria", fault.PathInvalid, nil},
		{"GET", "/bria/#x", fault.PathInvalid, nil},
		{"GET", "/bria/a b", fault.PathInvalid, nil},
		{"GET", "/bria/\x00", fault.PathInvalid, nil},
		{"GET", "/bria/..", fault.PathInvalid, nil},
	} {
		e, _, err := table.Match(c.method, c.path)
		if f := fault.From(err); e != nil || f.Code != c.want || !slices.Equal(f.Allow, c.allow) {
			t.Errorf("%s %q = %v, %v (allow %v); want %s %v", c.method, c.path, e, err, f.Allow, c.want, c.allow)
		}
	}
}

// Guarantee: an endpoint at the root takes everything but what is reserved for the edge itself.
func TestRootEndpoint(t *testing.T) {
	t.Parallel()
	table := compile(t, ep("/"), ep("/x"))
	for path, want := range map[string]string{"/": "/", "/y": "/y", "//": "//", "/-y": "/-y"} {
		if e, rest, err := table.Match("GET", path); err != nil || e.Name != "/" || rest != want {
			t.Errorf("%s = %v, %q, %v", path, e, rest, err)
		}
	}
	for _, path := range []string{"/-", "/-/", "/-/metrics"} {
		if e, _, err := table.Match("GET", path); !errors.Is(err, fault.New(fault.EndpointNotFound, "")) {
			t.Errorf("%s = %v, %v", path, e, err)
		}
	}
	if e, rest, err := table.Match("GET", "/x/../secret"); !errors.Is(err, fault.New(fault.PathInvalid, "")) {
		t.Errorf("climbed out of /x: %v, %q, %v", e, rest, err)
	}
}

// Guarantee: who mistypes a path is told the one that was meant, and nobody is told a wrong one.
func TestNearest(t *testing.T) {
	t.Parallel()
	table := compile(t, ep("/bria"), ep("/open/ai"), ep("/x"))
	for path, want := range map[string]string{
		"/brai/v1": "/bria", "/bri": "/bria", "/open/a1/v1/chat": "/open/ai", "/y": "", "/zzzz": "", "/": "",
		"/" + strings.Repeat("a", 5000): "",
	} {
		_, _, err := table.Match("POST", path)
		f := fault.From(err)
		_, got, _ := strings.Cut(f.Message, "Nearest: ")
		if strings.TrimSuffix(got, ".") != want || len(f.Message) > 400 {
			t.Errorf("%.50s: %s; want nearest %q", path, f.Message, want)
		}
	}
}

// Guarantee: what reaches the target is the caller's path and query below the target's own, byte for
// byte, with one slash where they meet.
func TestRequestURI(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ target, rest, query, want string }{
		{"https://h", "", "", "/"},
		{"https://h/", "", "", "/"},
		{"https://h", "/v1", "", "/v1"},
		{"https://h/", "/v1", "", "/v1"},
		{"https://h/base", "", "", "/base"},
		{"https://h/base/", "", "", "/base/"},
		{"https://h/base", "/", "", "/base/"},
		{"https://h/base/", "/v1", "", "/base/v1"},
		{"https://h/base/", "//v1", "", "/base//v1"},
		{"https://h/b%2Fc", "/a%2Fb//c/../d%20e", "", "/b%2Fc/a%2Fb//c/../d%20e"},
		{"https://h/base", "/v1", "x=1;y=2&z&q=a+b%2B&a=%zz", "/base/v1?x=1;y=2&z&q=a+b%2B&a=%zz"},
		{"https://h/base?timeout=60", "/v1", "", "/base/v1?timeout=60"},
		{"https://h/base?timeout=60", "/v1", "b=2", "/base/v1?timeout=60&b=2"},
		{"https://h?k=v", "", "", "/?k=v"},
	} {
		e := ep("/x")
		e.Targets = []string{c.target}
		m, _, err := compile(t, e).Match("GET", "/x")
		if err != nil {
			t.Fatal(err)
		}
		if got := m.RequestURI(m.Targets[0], nil, c.rest, c.query, false); got != c.want {
			t.Errorf("%s + %q ? %q = %s; want %s", c.target, c.rest, c.query, got, c.want)
		}
	}
}

// Guarantee: a snapshot with anything wrong in it is refused whole.
func TestCompileRefuses(t *testing.T) {
	t.Parallel()
	with := func(change func(*eventv1.RouteEndpoint)) []*eventv1.RouteEndpoint {
		e := ep("/x")
		change(e)
		return []*eventv1.RouteEndpoint{ep("/good"), e}
	}
	for name, endpoints := range map[string][]*eventv1.RouteEndpoint{
		"no id":           with(func(e *eventv1.RouteEndpoint) { e.Id = "" }),
		"same id":         with(func(e *eventv1.RouteEndpoint) { e.Id = "id /good" }),
		"relative path":   with(func(e *eventv1.RouteEndpoint) { e.Path = "x" }),
		"dot segments":    with(func(e *eventv1.RouteEndpoint) { e.Path = "/x/%2E./y" }),
		"space in path":   with(func(e *eventv1.RouteEndpoint) { e.Path = "/x y" }),
		"reserved":        with(func(e *eventv1.RouteEndpoint) { e.Path = "/-/x" }),
		"same path":       {ep("/x"), ep("/x/")},
		"same method":     {ep("/x", "GET"), ep("/x", "PUT", "GET")},
		"lower case":      {ep("/x", "get")},
		"no target":       with(func(e *eventv1.RouteEndpoint) { e.Targets = nil }),
		"scheme":          with(func(e *eventv1.RouteEndpoint) { e.Targets = []string{"ftp://h"} }),
		"no host":         with(func(e *eventv1.RouteEndpoint) { e.Targets = []string{"http:///x"} }),
		"user":            with(func(e *eventv1.RouteEndpoint) { e.Targets = []string{"http://u:p@h"} }),
		"fragment":        with(func(e *eventv1.RouteEndpoint) { e.Targets = []string{"http://h/#f"} }),
		"not a URL":       with(func(e *eventv1.RouteEndpoint) { e.Targets = []string{"http://h/%zz"} }),
		"negative price":  with(func(e *eventv1.RouteEndpoint) { e.PriceNanos = -1 }),
		"header name":     with(func(e *eventv1.RouteEndpoint) { e.Headers = []*eventv1.RouteHeader{{Name: "a b"}} }),
		"header template": with(func(e *eventv1.RouteEndpoint) { e.Headers = []*eventv1.RouteHeader{{Name: "a", Value: "${x"}} }),
	} {
		if got, err := routing.Compile(&eventv1.RouteSnapshot{Endpoints: endpoints}, v1, routing.Lookups{}); err == nil {
			t.Errorf("%s: compiled to %v", name, got)
		}
	}
	for name, accounts := range map[string][]*eventv1.Account{
		"no number": {{Period: eventv1.AccountPeriod_ACCOUNT_PERIOD_DAY, TimeZone: "UTC"}},
		"no period": {{Id: 1, TimeZone: "UTC"}},
		"zone":      {{Id: 1, Period: eventv1.AccountPeriod_ACCOUNT_PERIOD_DAY, TimeZone: "Mars/Olympus"}},
		"twice":     {account(1, ""), account(1, "")},
	} {
		if got, err := routing.Compile(&eventv1.RouteSnapshot{Accounts: accounts}, v1, routing.Lookups{}); err == nil {
			t.Errorf("%s: compiled to %v", name, got)
		}
	}
}

func account(id int64, endpoint string) *eventv1.Account {
	return &eventv1.Account{Id: id, Period: eventv1.AccountPeriod_ACCOUNT_PERIOD_MONTH, TimeZone: "Europe/Berlin", EndpointId: endpoint, Subject: "everything"}
}

// Guarantee: every field of an endpoint arrives, references are resolved, and accounts are those of
// the endpoint and of everything, in order, unless the endpoint is free.
func TestCompileCarriesEverything(t *testing.T) {
	t.Parallel()
	priced := &eventv1.RouteEndpoint{
		Id: "ep_1", Name: "bria", Path: "/bria", Methods: []string{"POST"}, Targets: []string{"https://h:8443/base?x=1"},
		Headers: []*eventv1.RouteHeader{{Name: "api_token", Value: "${secret:bria}"}, {Name: "X-Region", Value: "r-${env:REGION}"}},
		Forward: eventv1.ForwardMode_FORWARD_MODE_ALL, KeyHeader: "litellm_user_api_key", PriceNanos: 12, PriceVersion: 7,
		TimeoutMs: 1500, MaxBodyBytes: 99, ForwardTraceContext: true,
	}
	free := &eventv1.RouteEndpoint{Id: "ep_2", Name: "free", Path: "/free", Targets: []string{"http://h"}, Free: true}
	table, err := routing.Compile(&eventv1.RouteSnapshot{
		Endpoints: []*eventv1.RouteEndpoint{priced, free},
		Accounts:  []*eventv1.Account{account(9, ""), account(3, "ep_1"), account(4, "ep_2"), account(5, "ep_gone")},
	}, contract.Version{Epoch: 2, Revision: 8}, routing.Lookups{
		Secret: func(name string) (string, error) { return "s-" + name, nil },
		Env:    func(name string) (string, bool) { return "e-" + name, true },
	})
	if err != nil {
		t.Fatal(err)
	}
	if table.Version() != (contract.Version{Epoch: 2, Revision: 8}) || len(table.Endpoints()) != 2 || len(table.MissingEnv()) != 0 {
		t.Errorf("table %v, %v", table.Version(), table.Endpoints())
	}
	e, _, err := table.Match("POST", "/bria")
	if err != nil {
		t.Fatal(err)
	}
	ids := []int64{}
	for _, a := range e.Accounts {
		ids = append(ids, a.ID())
	}
	got := *e
	got.Accounts, got.Targets = nil, nil
	want := routing.Endpoint{
		ID: "ep_1", Name: "bria", Path: "/bria", Methods: []string{"POST"},
		Headers: []routing.Header{{Name: "api_token", Value: "s-bria", Source: "${secret:bria}"}, {Name: "X-Region", Value: "r-e-REGION", Source: "r-${env:REGION}"}},
		Forward: eventv1.ForwardMode_FORWARD_MODE_ALL, KeyHeader: "litellm_user_api_key", Price: 12, PriceText: "0.000000012", PriceVersion: 7,
		Timeout: 1500 * time.Millisecond, MaxBody: 99, ForwardTrace: true,
		Abandoned: eventv1.AbandonedPolicy_ABANDONED_POLICY_RESERVED,
		Balance:   eventv1.BalancePolicy_BALANCE_POLICY_FAILOVER, CredentialBalance: eventv1.BalancePolicy_BALANCE_POLICY_FAILOVER,
	}
	if d := cmp.Diff(want, got, cmpopts.IgnoreTypes(routing.Charge{})); d != "" {
		t.Error(d)
	}
	if !slices.Equal(ids, []int64{3, 9}) {
		t.Errorf("accounts %v", ids)
	}
	if to := e.Targets[0]; to.URL != "https://h:8443/base?x=1" || to.Scheme != "https" || to.Host != "h:8443" || to.BasePath != "/base" || to.BaseQuery != "x=1" {
		t.Errorf("target %+v", to)
	}
	if f, _, err := table.Match("GET", "/free"); err != nil || len(f.Accounts) != 0 || f.Forward != eventv1.ForwardMode_FORWARD_MODE_SAFE_LIST {
		t.Errorf("free = %+v, %v", f, err)
	}
}

// Guarantee: a reference that cannot be resolved takes its own endpoint out, and no other; every
// missing variable is named, and no secret is.
func TestUnresolvedReferences(t *testing.T) {
	t.Parallel()
	secret, env, good := ep("/secret"), ep("/env"), ep("/good")
	secret.Headers = []*eventv1.RouteHeader{{Name: "a", Value: "${secret:gone}"}}
	env.Headers = []*eventv1.RouteHeader{{Name: "a", Value: "${env:B}${env:A}"}, {Name: "b", Value: "${env:C}"}}
	evil := ep("/evil")
	evil.Headers = []*eventv1.RouteHeader{{Name: "a", Value: "${secret:lines}"}}
	table, err := routing.Compile(&eventv1.RouteSnapshot{Endpoints: []*eventv1.RouteEndpoint{secret, env, good, evil}}, v1, routing.Lookups{
		Secret: func(name string) (string, error) {
			if name == "lines" {
				return "hunter2\r\nX-Admin: 1", nil
			}
			return "", errors.New("no such secret")
		},
		Env: func(string) (string, bool) { return "", false },
	})
	if err != nil {
		t.Fatal(err)
	}
	if got := table.MissingEnv(); !slices.Equal(got, []string{"A", "B", "C"}) {
		t.Errorf("missing = %v", got)
	}
	for path, bad := range map[string]bool{"/secret": true, "/env": true, "/good": false, "/evil": true} {
		e, _, err := table.Match("GET", path)
		if err != nil || errors.Is(e.Err, fault.New(fault.SecretUnresolved, "")) != bad {
			t.Errorf("%s: %v, %v", path, e, err)
		}
		if bad && strings.Contains(fault.From(e.Err).Message+e.Err.Error(), "hunter2") {
			t.Errorf("%s: %v", path, e.Err)
		}
	}
}

// Guarantee: requests see one whole table or the next, never a mixture.
func TestHolder(t *testing.T) {
	t.Parallel()
	var h routing.Holder
	if h.Current() != nil {
		t.Error("an empty holder has a table")
	}
	table := compile(t, ep("/x"))
	h.Store(table)
	if h.Current() != table {
		t.Error("another table came out")
	}
}

func BenchmarkMatch1000(b *testing.B) {
	var endpoints []*eventv1.RouteEndpoint
	for i := range 1000 {
		endpoints = append(endpoints, ep(fmt.Sprintf("/vendor%d/v1", i)))
	}
	table := compile(b, endpoints...)
	for name, path := range map[string]string{
		"typical": "/vendor567/v1/images/generate", "long": "/vendor567/v1/" + strings.Repeat("segment/", 20) + "v1.2.3/file.json",
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if e, _, err := table.Match("POST", path); err != nil || e == nil {
					b.Fatal(err)
				}
			}
		})
	}
	b.Run("not found", func(b *testing.B) {
		for b.Loop() {
			if _, _, err := table.Match("POST", "/vendro567/v2/images"); err == nil {
				b.Fatal("found")
			}
		}
	})
}
