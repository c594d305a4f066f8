package rpc_test

import (
	"go/ast"
	"go/parser"
	gotoken "go/token"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// declaredCodes are the codes of violations that the sources of a package declare: those of the constants in groups whose comment
// begins with "Codes of", but for warnings and notes, which refuse nothing.
func declaredCodes(t *testing.T, dir string) map[string]string {
	t.Helper()
	codes := map[string]string{}
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if !strings.HasSuffix(e.Name(), ".go") || strings.HasSuffix(e.Name(), "_test.go") {
			continue
		}
		file, err := parser.ParseFile(gotoken.NewFileSet(), filepath.Join(dir, e.Name()), nil, parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range file.Decls {
			group, ok := d.(*ast.GenDecl)
			if !ok || group.Tok != gotoken.CONST || !strings.HasPrefix(group.Doc.Text(), "Codes of") {
				continue
			}
			for _, s := range group.Specs {
				v := s.(*ast.ValueSpec)
				for i, name := range v.Names {
					if strings.HasPrefix(name.Name, "Warn") || i >= len(v.Values) {
						continue
					}
					text, err := strconv.Unquote(v.Values[i].(*ast.BasicLit).Value)
					if err != nil {
						t.Fatal(err)
					}
					codes[text] = e.Name() + " " + name.Name
				}
			}
		}
	}
	return codes
}

// Guarantee: a code that rules can refuse with is met by a case of some method, so that none exists on paper only.
func TestEveryCodeHasACase(t *testing.T) {
	t.Parallel()
	met := map[string]bool{}
	for _, methods := range coveredMethods {
		for _, c := range methods {
			for _, x := range c.wrong {
				met[x.violation[strings.LastIndex(x.violation, ":")+1:]] = true
			}
		}
	}
	// What is tried of every list.
	met["filter_field"], met["order_by_field"] = true, true
	for _, dir := range []string{"../registry", "../filter"} {
		codes := declaredCodes(t, dir)
		if len(codes) == 0 {
			t.Errorf("%s declares no codes", dir)
		}
		for code, at := range codes {
			if !met[code] {
				t.Errorf("%s: no case is refused with %s", at, code)
			}
		}
	}
}
