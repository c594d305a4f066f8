package archtest

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// ours are import paths in this module.
func ours(names ...string) []string {
	paths := make([]string, len(names))
	for i, name := range names {
		paths[i] = module + "/" + name
	}
	return paths
}

var services = ours("controlplane", "edge", "ledger")

const (
	pgx        = "github.com/jackc/pgx"
	natsClient = "github.com/nats-io/nats.go"
	natsServer = "github.com/nats-io/nats-server"
	connectRPC = "connectrpc.com/connect"
)

// closure is all that a package depends on at any distance.
func closure(p pkg) []string { return p.Deps }

// direct is what a package and its tests import themselves.
func direct(p pkg) []string {
	return slices.Concat(p.Imports, p.TestImports, p.XTestImports)
}

// closureWithTests adds what the tests of a package depend on. For packages of other modules
// that is the import alone, because `go list` was not asked about those.
func closureWithTests(pkgs []pkg) func(pkg) []string {
	deps := make(map[string][]string, len(pkgs))
	for _, p := range pkgs {
		deps[p.ImportPath] = p.Deps
	}
	return func(p pkg) []string {
		all := slices.Clone(p.Deps)
		for _, imp := range slices.Concat(p.TestImports, p.XTestImports) {
			all = append(append(all, imp), deps[imp]...)
		}
		slices.Sort(all)
		return slices.Compact(all)
	}
}

// forbid names every package that matches from and reaches, by deps, a banned path or something
// below one, once for each banned path.
func forbid(pkgs []pkg, from func(importPath string) bool, deps func(pkg) []string, banned ...string) []string {
	var broken []string
	for _, p := range pkgs {
		if !from(p.ImportPath) {
			continue
		}
		reached := deps(p)
		for _, base := range banned {
			if i := slices.IndexFunc(reached, below(base)); i >= 0 { // one is enough to find it
				broken = append(broken, fmt.Sprintf("%s depends on %s", p.ImportPath, reached[i]))
			}
		}
	}
	return broken
}

func below(bases ...string) func(string) bool {
	return func(importPath string) bool { return underAny(importPath, bases) }
}

func notBelow(bases ...string) func(string) bool {
	return func(importPath string) bool { return !underAny(importPath, bases) }
}

// apart: no service depends on another, not even in a test. What needs two of them is a test
// of the whole system and belongs into internal/e2e, or into internal/simulation.
func apart(pkgs []pkg) []string {
	var broken []string
	for _, service := range services {
		others := slices.DeleteFunc(slices.Clone(services), func(s string) bool { return s == service })
		broken = append(broken, forbid(pkgs, below(service), closureWithTests(pkgs), others...)...)
	}
	return broken
}

func edgeWithoutPostgres(pkgs []pkg) []string {
	return forbid(pkgs, below(ours("edge")...), closure, pgx, module+"/internal/pg", module+"/internal/devpg")
}

// pure packages compute. They can be tested without a server, and read without knowing one.
var pure = ours(
	"controlplane/diff", "controlplane/pricebook", "controlplane/registry",
	"edge/admit", "edge/breaker", "edge/limit", "edge/pool", "edge/routing",
	"ledger/escrow", "ledger/limits",
	"internal/bucket", "internal/config", "internal/fault", "internal/id", "internal/lifecycle", "internal/mailbox", "internal/recent",
	"internal/meter", "internal/money", "internal/period", "internal/reconcile",
)

func pureStayPure(pkgs []pkg) []string {
	return forbid(pkgs, below(pure...), closure, pgx, natsClient, natsServer, connectRPC)
}

func sharedBelowServices(pkgs []pkg) []string {
	shared := func(importPath string) bool {
		return under(importPath, module+"/internal") &&
			!underAny(importPath, ours("internal/devstack", "internal/e2e", "internal/simulation"))
	}
	return forbid(pkgs, shared, closure, services...)
}

func testenvInTestsOnly(pkgs []pkg) []string {
	return forbid(pkgs, notBelow(ours("internal/testenv", "edge/proxy/clienttest")...), closure, ours("internal/testenv")...)
}

// sdkAlone: what users build their own programs with brings nothing of Tollgate's but the protocol that it speaks.
func sdkAlone(pkgs []pkg) []string {
	var broken []string
	for _, p := range pkgs {
		if !underAny(p.ImportPath, ours("sdk")) {
			continue
		}
		for _, dep := range p.Deps {
			protocol := "gen/tollgate/adapter"
			if under(p.ImportPath, module+"/sdk/client") {
				protocol = "gen/tollgate/control"
			}
			if under(dep, module) && !underAny(dep, ours("sdk", protocol)) {
				broken = append(broken, fmt.Sprintf("%s depends on %s", p.ImportPath, dep))
			}
		}
	}
	return broken
}

func oneNATSServer(pkgs []pkg) []string {
	return forbid(pkgs, notBelow(ours("internal/natsd", "internal/devstack")...), direct, natsServer)
}

// Guarantee: every package loads, so that no rule below passes because it saw nothing.
func TestPackagesLoad(t *testing.T) {
	t.Parallel()
	var self bool
	for _, p := range packages(t) {
		self = self || p.ImportPath == module+"/internal/archtest"
		if p.Error != nil {
			t.Errorf("%s: %s", p.ImportPath, p.Error.Err)
		}
		for _, e := range p.DepsErrors {
			t.Errorf("%s: %s", p.ImportPath, e.Err)
		}
	}
	if !self {
		t.Error("go list did not list this package")
	}
}

// Guarantee: a service can be built, deployed and understood without the other two.
func TestServicesStayApart(t *testing.T) {
	t.Parallel()
	report(t, apart(packages(t)))
}

// Guarantee: an edge cannot come to need Postgres to answer a request, because it cannot reach it.
func TestEdgeReachesNoPostgres(t *testing.T) {
	t.Parallel()
	report(t, edgeWithoutPostgres(packages(t)))
}

// Guarantee: the packages that decide (what is valid, routed, admitted, priced and leased) hold
// no connection to anything, so that their tests cover them whole.
func TestPurePackagesReachNoServer(t *testing.T) {
	t.Parallel()
	report(t, pureStayPure(packages(t)))
}

// Guarantee: shared packages know no service, except those that assemble all of them.
func TestSharedPackagesKnowNoService(t *testing.T) {
	t.Parallel()
	report(t, sharedBelowServices(packages(t)))
}

// Guarantee: nothing that is shipped contains test servers.
func TestTestenvIsForTests(t *testing.T) {
	t.Parallel()
	report(t, testenvInTestsOnly(packages(t)))
}

// Guarantee: how an embedded NATS server is set up is decided in one place.
func TestOneEmbeddedNATSServer(t *testing.T) {
	t.Parallel()
	report(t, oneNATSServer(packages(t)))
}

// Guarantee: an adapter or a client that a user writes depends on its protocol and on nothing else of this repository.
func TestSDKStandsAlone(t *testing.T) {
	t.Parallel()
	report(t, sdkAlone(packages(t)))
}

// Guarantee: each import rule fails on the dependency that it forbids, and on nothing else.
func TestImportRulesBite(t *testing.T) {
	t.Parallel()

	const (
		imports = "imports"
		deps    = "deps"
		tests   = "tests"
		xtests  = "xtests"
	)
	cases := []struct {
		name string
		rule func([]pkg) []string
		from string
		how  string
		to   string
		want bool
	}{
		{"edge to ledger", apart, "edge/proxy", deps, "tollgate/ledger/escrow", true},
		{"ledger root to control plane", apart, "ledger", deps, "tollgate/controlplane", true},
		{"control plane test to edge", apart, "controlplane/rpc", xtests, "tollgate/edge", true},
		{"control plane test to edge through another", apart, "controlplane/rpc", tests, "tollgate/internal/bridge", true},
		{"within a service", apart, "edge", deps, "tollgate/edge/proxy", false},
		{"generated ledger types", apart, "edge/spool", deps, "tollgate/gen/tollgate/ledger/v1", false},
		{"end-to-end test across", apart, "internal/e2e", xtests, "tollgate/ledger", false},

		{"edge to pgx", edgeWithoutPostgres, "edge/spool", deps, "github.com/jackc/pgx/v5/pgxpool", true},
		{"edge to pg", edgeWithoutPostgres, "edge", deps, "tollgate/internal/pg", true},
		{"edge to a name that begins alike", edgeWithoutPostgres, "edge", deps, "github.com/jackc/pgxother", false},
		{"ledger to pgx", edgeWithoutPostgres, "ledger/store", deps, "github.com/jackc/pgx/v5", false},

		{"registry to connect", pureStayPure, "controlplane/registry", deps, "connectrpc.com/connect", true},
		{"escrow to nats", pureStayPure, "ledger/escrow", deps, "github.com/nats-io/nats.go/jetstream", true},
		{"below limit to pgx", pureStayPure, "edge/limit/share", deps, "github.com/jackc/pgx/v5", true},
		{"limits to connect", pureStayPure, "ledger/limits", deps, "connectrpc.com/connect", true},
		{"money to std", pureStayPure, "internal/money", deps, "math/big", false},
		{"publish to nats", pureStayPure, "controlplane/publish", deps, "github.com/nats-io/nats.go", false},

		{"shared to service", sharedBelowServices, "internal/bus", deps, "tollgate/edge/spool", true},
		{"devstack to service", sharedBelowServices, "internal/devstack", deps, "tollgate/edge", false},
		{"end-to-end to service", sharedBelowServices, "internal/e2e/harness", deps, "tollgate/edge", false},
		{"simulation to service", sharedBelowServices, "internal/simulation", deps, "tollgate/ledger/escrow", false},

		{"devstack to testenv", testenvInTestsOnly, "internal/devstack", deps, "tollgate/internal/testenv", true},
		{"store test to testenv", testenvInTestsOnly, "ledger/store", xtests, "tollgate/internal/testenv", false},
		{"testenv's command", testenvInTestsOnly, "internal/testenv/cmd/with-postgres", deps, "tollgate/internal/testenv", false},

		{"sdk to edge", sdkAlone, "sdk/adapter", deps, "tollgate/edge/adapter", true},
		{"sdk to internal", sdkAlone, "sdk/adapter/adaptertest", deps, "tollgate/internal/fault", true},
		{"sdk to its protocol", sdkAlone, "sdk/adapter", deps, "tollgate/gen/tollgate/adapter/v1", false},
		{"sdk to another's protocol", sdkAlone, "sdk/adapter", deps, "tollgate/gen/tollgate/control/v1", true},
		{"client to internal", sdkAlone, "sdk/client", deps, "tollgate/internal/fault", true},
		{"client to its protocol", sdkAlone, "sdk/client", deps, "tollgate/gen/tollgate/control/v1/controlv1connect", false},

		{"bus test to nats-server", oneNATSServer, "internal/bus", xtests, "github.com/nats-io/nats-server/v2/server", true},
		{"edge to nats-server", oneNATSServer, "edge", imports, "github.com/nats-io/nats-server/v2/server", true},
		{"devstack to nats-server at a distance", oneNATSServer, "cmd/tollgate", deps, "github.com/nats-io/nats-server/v2/server", false},
		{"natsd to nats-server", oneNATSServer, "internal/natsd", imports, "github.com/nats-io/nats-server/v2/server", false},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			p := pkg{ImportPath: module + "/" + c.from}
			switch c.how {
			case imports:
				p.Imports = []string{c.to}
			case deps:
				p.Deps = []string{c.to}
			case tests:
				p.TestImports = []string{c.to}
			case xtests:
				p.XTestImports = []string{c.to}
			}
			bridge := pkg{ImportPath: "tollgate/internal/bridge", Deps: []string{"fmt", "tollgate/edge"}}
			broken := slices.DeleteFunc(c.rule([]pkg{p, bridge}), func(b string) bool {
				return !strings.HasPrefix(b, p.ImportPath+" ")
			})
			if got := len(broken) > 0; got != c.want {
				t.Errorf("broken = %v, want broken: %v", broken, c.want)
			}
		})
	}
}
