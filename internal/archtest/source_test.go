package archtest

import (
	"fmt"
	"go/ast"
	"go/token"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/fstest"
)

// statement matches text that a database would run. Each verb must be followed by what makes
// it SQL, because "update the endpoint" and "delete a key" are ordinary texts of a command line.
var statement = regexp.MustCompile(`(?is)^\s*(--[^\n]*\n\s*)*(` + strings.Join([]string{
	`select\s.*\bfrom\s+[\w."%]+`,
	`select\s+(distinct\s+)?[\w.]+\(`,
	`select\s+\d`,
	`insert\s+into\s+[\w."%]+`,
	`update\s+(only\s+)?[\w."%]+(\s+(as\s+)?\w+)?\s+set\s`,
	`delete\s+from\s+[\w."%]+\s*($|;|as\s|using\s|where\s|returning\s)`,
	`(create|alter|drop)\s+((unlogged|temp|temporary)\s+)?table\s`,
	`create\s+(unique\s+)?index\s`,
	`truncate\s+(table\s+)?[\w."%]+\s*($|;|,|restart\s|cascade)`,
	`with\s+(recursive\s+)?\w+\s*(\([^)]*\)\s*)?as\s+((not\s+)?materialized\s+)?\(`,
}, "|") + `)`)

// mayHoldSQL reports whether files in dir may: the stores, and what runs servers for them.
func mayHoldSQL(dir string) bool {
	return slices.Contains(strings.Split(dir, "/"), "store") ||
		underAny(dir, []string{"internal/pg", "internal/devpg", "internal/testenv"})
}

func sqlOutsideStores(files []source) []string {
	var broken []string
	for _, s := range files {
		if s.isTest() || mayHoldSQL(path.Dir(s.path)) {
			continue
		}
		ast.Inspect(s.file, func(n ast.Node) bool {
			e, ok := n.(ast.Expr)
			if !ok {
				return true
			}
			text, ok := concatenated(e)
			if !ok {
				return true
			}
			if statement.MatchString(text) {
				broken = append(broken, s.at(n)+" holds SQL; it belongs into the service's store")
			}
			return false
		})
	}
	return broken
}

// concatenated is the text of a string literal, or of a sum that has one, with a mark for each part
// that is not a literal.
func concatenated(e ast.Expr) (string, bool) {
	switch e := e.(type) {
	case *ast.BasicLit:
		if e.Kind != token.STRING {
			return "", false
		}
		text, err := strconv.Unquote(e.Value)
		return text, err == nil
	case *ast.ParenExpr:
		return concatenated(e.X)
	case *ast.BinaryExpr:
		if e.Op != token.ADD {
			return "", false
		}
		x, xOK := concatenated(e.X)
		y, yOK := concatenated(e.Y)
		if !xOK {
			x = "x"
		}
		if !yOK {
			y = "x"
		}
		return x + y, xOK || yOK
	}
	return "", false
}

// codesOutsideRPC finds Connect errors made where no Connect handler is. What a failure means
// is said with internal/fault; which code that becomes is said once, in rpc.
func codesOutsideRPC(files []source) []string {
	var broken []string
	for _, s := range files {
		name := s.imported(connectRPC)
		// Clients say what they notice themselves, such as silence, as if a server had said it.
		client := strings.HasPrefix(s.path, "internal/cli/") || strings.HasPrefix(s.path, "sdk/client/")
		if s.isTest() || name == "" || client || path.Base(path.Dir(s.path)) == "rpc" {
			continue
		}
		ast.Inspect(s.file, func(n ast.Node) bool {
			if e, ok := n.(ast.Expr); ok && isSelector(e, name, "NewError") {
				broken = append(broken, s.at(n)+" makes a Connect error; return a fault, and let rpc choose its code")
			}
			return true
		})
	}
	return broken
}

// isSelector reports whether e is x.sel with an identifier for x.
func isSelector(e ast.Expr, x, sel string) bool {
	s, ok := e.(*ast.SelectorExpr)
	if !ok || s.Sel.Name != sel {
		return false
	}
	id, ok := s.X.(*ast.Ident)
	return ok && id.Name == x
}

// sleepsInTests finds time.Sleep in tests, except where the call stands in the function given to
// synctest.Test: there the clock is fake, and a sleep takes no time and is exact.
func sleepsInTests(files []source) []string {
	var broken []string
	for _, s := range files {
		clock, bubble := s.imported("time"), s.imported("testing/synctest")
		if !s.isTest() || clock == "" {
			continue
		}
		ast.Inspect(s.file, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			switch {
			case !ok:
			case bubble != "" && isSelector(call.Fun, bubble, "Test"):
				return false
			case isSelector(call.Fun, clock, "Sleep"):
				broken = append(broken, s.at(n)+" sleeps; wait for the condition, or use testing/synctest")
			}
			return true
		})
	}
	return broken
}

// skipsInTests finds tests that can leave themselves out. It looks for calls on a parameter of
// one of testing's types, and so lets rapid's own Skip pass, which discards a drawn case.
func skipsInTests(files []source) []string {
	var broken []string
	for _, s := range files {
		name := s.imported("testing")
		if !s.isTest() || name == "" {
			continue
		}
		ast.PreorderStack(s.file, nil, func(n ast.Node, stack []ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok {
				return true
			}
			fun, ok := call.Fun.(*ast.SelectorExpr)
			if !ok || !slices.Contains([]string{"Skip", "Skipf", "SkipNow"}, fun.Sel.Name) {
				return true
			}
			id, ok := fun.X.(*ast.Ident)
			if ok && declaredAs(stack, id.Name, name) {
				broken = append(broken, s.at(n)+" skips; a green run means that every test ran")
			}
			return true
		})
	}
	return broken
}

// declaredAs reports whether the innermost parameter called name is of a type from package
// testing, given the nodes around the place where the name is used, outermost first.
func declaredAs(stack []ast.Node, name, testingName string) bool {
	for _, n := range slices.Backward(stack) {
		var params *ast.FieldList
		switch f := n.(type) {
		case *ast.FuncDecl:
			params = f.Type.Params
		case *ast.FuncLit:
			params = f.Type.Params
		default:
			continue
		}
		for _, field := range params.List {
			if !slices.ContainsFunc(field.Names, func(id *ast.Ident) bool { return id.Name == name }) {
				continue
			}
			typ := field.Type
			if star, ok := typ.(*ast.StarExpr); ok {
				typ = star.X
			}
			sel, ok := typ.(*ast.SelectorExpr)
			if !ok {
				return false
			}
			id, ok := sel.X.(*ast.Ident)
			return ok && id.Name == testingName
		}
	}
	return false
}

// Guarantee: every SQL statement is in a store, where its tests run it on a real PostgreSQL.
func TestSQLOnlyInStores(t *testing.T) {
	t.Parallel()
	report(t, sqlOutsideStores(sources(t)))
}

// Guarantee: which Connect code a failure becomes is decided in rpc packages only.
func TestCodesOnlyInRPC(t *testing.T) {
	t.Parallel()
	report(t, codesOutsideRPC(sources(t)))
}

// Guarantee: no test waits for a time to pass, which is slow when it is right and wrong when
// the machine is slow.
func TestNoTestSleeps(t *testing.T) {
	t.Parallel()
	report(t, sleepsInTests(sources(t)))
}

// Guarantee: a green run ran every test.
func TestNoTestSkips(t *testing.T) {
	t.Parallel()
	report(t, skipsInTests(sources(t)))
}

// Guarantee: the rules above see the tree that they speak about.
func TestSourcesLoad(t *testing.T) {
	t.Parallel()
	if !slices.ContainsFunc(sources(t), func(s source) bool { return s.path == "internal/archtest/source_test.go" }) {
		t.Error("this file is not among the sources")
	}
}

// Guarantee: each rule on sources fails on the text that it forbids, and on nothing else.
func TestSourceRulesBite(t *testing.T) {
	t.Parallel()

	inFunc := func(body string) string { return "package p\nfunc f() { " + body + " }" }
	connectError := "package p\nimport \"connectrpc.com/connect\"\nvar err = connect.NewError(connect.CodeInternal, nil)"
	cases := []struct {
		name string
		rule func([]source) []string
		path string
		text string
		want int
	}{
		{"select", sqlOutsideStores, "ledger/usage/usage.go", inFunc("q(`\n\tselect a, b\n\tfrom ledger.entry where id = $1`)"), 1},
		{"select of a function", sqlOutsideStores, "controlplane/publish/publish.go", inFunc("q(`SELECT pg_try_advisory_lock($1)`)"), 1},
		{"select by format", sqlOutsideStores, "edge/edge.go", inFunc("q(`select a from %s`, table)"), 1},
		{"select in pieces", sqlOutsideStores, "edge/edge.go", inFunc("q(`select ` + columns + ` from control.key`)"), 1},
		{"insert", sqlOutsideStores, "controlplane/rpc/key.go", inFunc("q(`insert into control.key (id) values ($1)`)"), 1},
		{"update", sqlOutsideStores, "ledger/ingest/ingest.go", inFunc(`q("update ledger.account a set x = 1")`), 1},
		{"delete", sqlOutsideStores, "ledger/ingest/ingest.go", inFunc(`q("delete from ledger.account where id = $1")`), 1},
		{"create table", sqlOutsideStores, "ledger/ledger.go", inFunc("q(`-- why\ncreate table ledger.x (id int)`)"), 1},
		{"common table expression", sqlOutsideStores, "ledger/ledger.go", inFunc("q(`with moved as (delete from x returning y) select 1`)"), 1},
		{"two statements", sqlOutsideStores, "ledger/ledger.go", inFunc("q(`select 1`); q(`select 2`)"), 2},
		{"in a store", sqlOutsideStores, "ledger/store/entry.go", inFunc("q(`select 1`)"), 0},
		{"below a store", sqlOutsideStores, "ledger/store/migrations/embed.go", inFunc("q(`select 1`)"), 0},
		{"in pg", sqlOutsideStores, "internal/pg/pool.go", inFunc("q(`select 1`)"), 0},
		{"in a test", sqlOutsideStores, "ledger/ledger_test.go", inFunc("q(`select 1`)"), 0},
		{"prose", sqlOutsideStores, "internal/cli/key.go", inFunc(`
			p("select a team", "insert a coin", "update endpoint %s: %w", "delete a key", "with a key as before")
			p("update the budget and set its amount", "delete from the list", "create the table", "selected from")`), 0},

		{"Connect error", codesOutsideRPC, "controlplane/registry/key.go", connectError, 1},
		{"Connect error under another name", codesOutsideRPC, "internal/fault/fault.go", strings.NewReplacer(`import "`, `import c "`, "connect.NewError", "c.NewError").Replace(connectError), 1},
		{"Connect error in rpc", codesOutsideRPC, "controlplane/rpc/errors.go", connectError, 0},
		{"someone else's NewError", codesOutsideRPC, "edge/edge.go", "package p\nimport \"connectrpc.com/connect\"\nvar _ = connect.CodeOf\nvar err = other.NewError(1)", 0},

		{"sleep", sleepsInTests, "edge/edge_test.go", "package p\nimport \"time\"\nfunc f() { go func() { time.Sleep(1) }() }", 1},
		{"sleep in a bubble", sleepsInTests, "edge/edge_test.go", "package p\nimport (\"time\"; \"testing/synctest\")\nfunc f() { synctest.Test(t, func(t *testing.T) { time.Sleep(1) }) }", 0},
		{"sleep beside a bubble", sleepsInTests, "edge/edge_test.go", "package p\nimport (\"time\"; \"testing/synctest\")\nfunc f() { synctest.Test(t, func(t *testing.T) { }); time.Sleep(1) }", 1},
		{"sleep outside tests is the linter's", sleepsInTests, "edge/edge.go", "package p\nimport \"time\"\nfunc f() { time.Sleep(1) }", 0},

		{"skip", skipsInTests, "edge/edge_test.go", "package p\nimport \"testing\"\nfunc TestX(t *testing.T) { t.Skip() }", 1},
		{"skip by helper", skipsInTests, "edge/edge_test.go", "package p\nimport \"testing\"\nfunc need(tb testing.TB) { tb.Skipf(\"no\") }", 1},
		{"skip in a subtest", skipsInTests, "edge/edge_test.go", "package p\nimport \"testing\"\nfunc TestX(t *testing.T) { t.Run(\"\", func(t *testing.T) { if x { t.SkipNow() } }) }", 1},
		{"rapid's skip", skipsInTests, "edge/edge_test.go", "package p\nimport \"testing\"\nfunc TestX(t *testing.T) { rapid.Check(t, func(t *rapid.T) { t.Skip() }) }", 0},
		{"skipping bytes", skipsInTests, "edge/edge_test.go", "package p\nimport \"testing\"\nfunc TestX(t *testing.T) { r.Skip(4) }", 0},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			files, err := parseAll(fstest.MapFS{c.path: {Data: []byte(c.text)}})
			if err != nil {
				t.Fatal(err)
			}
			broken := c.rule(files)
			if len(broken) != c.want {
				t.Errorf("broken = %v, want %d", broken, c.want)
			}
			for _, b := range broken {
				if !strings.HasPrefix(b, fmt.Sprintf("%s:", c.path)) {
					t.Errorf("%q does not name the place", b)
				}
			}
		})
	}
}
