package archtest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"strings"
	"sync"
	"testing"
)

const (
	module = "tollgate"
	root   = "../.."
)

// pkg is what `go list` says about a package. Deps is its closure, without its tests.
type pkg struct {
	ImportPath   string
	Imports      []string
	Deps         []string
	TestImports  []string
	XTestImports []string
	Error        *listError
	DepsErrors   []*listError
}

type listError struct{ Err string }

// source is a parsed Go file and its slash-separated path from the root.
type source struct {
	path string
	fset *token.FileSet
	file *ast.File
}

// at is the place of a node, as an editor understands it.
func (s source) at(n ast.Node) string {
	return fmt.Sprintf("%s:%d", s.path, s.fset.Position(n.Pos()).Line)
}

func (s source) isTest() bool { return strings.HasSuffix(s.path, "_test.go") }

// imported is the name by which the file knows a package, or "" if it does not import it.
func (s source) imported(importPath string) string {
	for _, spec := range s.file.Imports {
		if strings.Trim(spec.Path.Value, `"`) != importPath {
			continue
		}
		if spec.Name != nil {
			return spec.Name.Name
		}
		return path.Base(importPath)
	}
	return ""
}

// The tree is read once and shared: the rules only look.
var (
	readPackages = sync.OnceValues(func() ([]pkg, error) { return goList(root) })
	readSources  = sync.OnceValues(func() ([]source, error) { return parseAll(os.DirFS(root)) })
)

func packages(t *testing.T) []pkg {
	t.Helper()
	pkgs, err := readPackages()
	if err != nil {
		t.Fatal(err)
	}
	return pkgs
}

func sources(t *testing.T) []source {
	t.Helper()
	files, err := readSources()
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// goList lists the packages of the module. -e makes it describe what does compile even while
// something else does not, so that one broken package does not hide every rule's result.
func goList(dir string) ([]pkg, error) {
	cmd := exec.Command("go", "list", "-e",
		"-json=ImportPath,Imports,Deps,TestImports,XTestImports,Error,DepsErrors", "./...")
	cmd.Dir = dir
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("go list: %w: %s", err, stderr.Bytes())
	}
	var pkgs []pkg
	for dec := json.NewDecoder(bytes.NewReader(out)); ; {
		var p pkg
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			return pkgs, nil
		} else if err != nil {
			return nil, fmt.Errorf("decode go list: %w", err)
		}
		if !strings.Contains(p.ImportPath, "/node_modules/") {
			pkgs = append(pkgs, p)
		}
	}
}

// walk calls fn with each file that is ours: not generated, fetched, built or a fixture.
func walk(fsys fs.FS, fn func(name string) error) error {
	return fs.WalkDir(fsys, ".", func(name string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case !d.IsDir():
			return fn(name)
		case name == ".":
			return nil
		}
		switch base := path.Base(name); {
		case strings.HasPrefix(base, "."), base == "gen", base == "dist", base == "testdata",
			base == "node_modules", base == "third_party":
			return fs.SkipDir
		}
		return nil
	})
}

// parseAll parses every Go file, whatever system its build constraints name.
func parseAll(fsys fs.FS) ([]source, error) {
	var files []source
	err := walk(fsys, func(name string) error {
		if path.Ext(name) != ".go" {
			return nil
		}
		text, err := fs.ReadFile(fsys, name)
		if err != nil {
			return err
		}
		fset := token.NewFileSet()
		file, err := parser.ParseFile(fset, name, text, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		files = append(files, source{name, fset, file})
		return nil
	})
	return files, err
}

// under reports whether a slash-separated path is base or lies below it.
func under(name, base string) bool {
	return name == base || strings.HasPrefix(name, base+"/")
}

func underAny(name string, bases []string) bool {
	for _, base := range bases {
		if under(name, base) {
			return true
		}
	}
	return false
}

// report fails the test once for each broken rule.
func report(t *testing.T, broken []string) {
	t.Helper()
	for _, b := range broken {
		t.Error(b)
	}
}
