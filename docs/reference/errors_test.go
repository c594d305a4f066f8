package reference_test

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"net/http"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"tollgate/internal/fault"
)

// kinds are the names and meanings of kinds, in the words of the page.
var kinds = map[fault.Kind]string{
	fault.Internal: "internal", fault.Invalid: "invalid", fault.Unauthenticated: "unauthenticated", fault.Denied: "denied",
	fault.NotFound: "not found", fault.Exists: "exists", fault.Conflict: "conflict", fault.Precondition: "precondition",
	fault.Exhausted: "exhausted", fault.Unavailable: "unavailable", fault.Timeout: "timeout",
}

// Guarantee: the page on errors has every code of the catalogue, with the status and the hint that
// callers get.
func TestErrors(t *testing.T) {
	groups := codeGroups(t)
	var b strings.Builder
	b.WriteString(`# Errors

A gateway answers its own errors in JSON:

` + "```json" + `
{"error": {"code": "key_missing", "message": "No key was sent to endpoint bria.",
  "hint": "Send ` + "`Authorization: Bearer <key>`" + `. …", "request_id": "req_…"}}
` + "```" + `

The control plane answers with an error of Connect or gRPC: the message is the same, the code is the ` + "`reason`" + ` of a
` + "`google.rpc.ErrorInfo`" + ` among its details, with ` + "`hint`" + ` and ` + "`request_id`" + ` in its metadata. Fields that are wrong are in a
` + "`google.rpc.BadRequest`" + `.

Codes never change their meaning; messages and hints are for people and may change. Errors of a target are passed on as the target sent
them and have none of these. An answer with ` + "`Retry-After`" + ` is worth trying again after as many seconds. A gateway also answers
` + "`invalid_argument`" + ` (a malformed body), ` + "`unavailable`" + ` (it serves as many requests as it may) and ` + "`internal_error`" + `.
`)
	documented := map[fault.Code]bool{}
	for _, g := range groups {
		fmt.Fprintf(&b, "\n## %s\n\n| code | status | kind | what to do |\n|---|---|---|---|\n", strings.TrimSuffix(g.title, "."))
		for _, code := range g.codes {
			kind, status, hint, ok := fault.Describe(code)
			if !ok || kinds[kind] == "" {
				t.Errorf("%s is not in the catalogue, or of a kind without a name", code)
			}
			documented[code] = true
			fmt.Fprintf(&b, "| `%s` | %d %s | %s | %s |\n", code, status, http.StatusText(status), kinds[kind], cell(hint))
		}
	}
	for _, code := range fault.Codes() {
		if !documented[code] {
			t.Errorf("%s is in the catalogue, but not among the constants of catalogue.go", code)
		}
	}
	fresh(t, "errors.md", b.String())
}

type codeGroup struct {
	title string
	codes []fault.Code
}

// codeGroups reads the codes in the order of the source, with the comments over their groups.
func codeGroups(t *testing.T) []codeGroup {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), filepath.Join(root, "internal/fault/catalogue.go"), nil, parser.ParseComments)
	if err != nil {
		t.Fatal(err)
	}
	var groups []codeGroup
	for _, decl := range file.Decls {
		d, ok := decl.(*ast.GenDecl)
		if !ok || d.Tok != token.CONST {
			continue
		}
		g := codeGroup{title: strings.TrimSpace(d.Doc.Text())}
		for _, spec := range d.Specs {
			for _, value := range spec.(*ast.ValueSpec).Values {
				text, err := strconv.Unquote(value.(*ast.BasicLit).Value)
				if err != nil {
					t.Fatal(err)
				}
				g.codes = append(g.codes, fault.Code(text))
			}
		}
		groups = append(groups, g)
	}
	return groups
}
