package archtest

import (
	"bytes"
	"fmt"
	"go/ast"
	"io/fs"
	"os"
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
)

const mostLines = 600

// The kinds of file that people write and read from top to bottom. Documents are not among them.
var sourceKinds = []string{".go", ".proto", ".sql", ".ts", ".tsx", ".js", ".mjs", ".css", ".html", ".sh", ".py"}

func tooLong(fsys fs.FS) ([]string, error) {
	var broken []string
	err := walk(fsys, func(name string) error {
		if !slices.Contains(sourceKinds, path.Ext(name)) {
			return nil
		}
		text, err := fs.ReadFile(fsys, name)
		if err != nil {
			return err
		}
		if n := bytes.Count(text, []byte("\n")); n > mostLines {
			broken = append(broken, fmt.Sprintf("%s has %d lines; a file has one subject and at most %d", name, n, mostLines))
		}
		return nil
	})
	return broken, err
}

// packageComments checks that each package says once, where one would look, what it is for.
// A package of tests alone says it in a test file.
func packageComments(files []source) []string {
	type group struct{ dir, name string }
	all := map[group][]source{}
	for _, s := range files {
		g := group{path.Dir(s.path), strings.TrimSuffix(s.file.Name.Name, "_test")}
		if !ignored(s.file) {
			all[g] = append(all[g], s)
		}
	}
	var broken []string
	for g, files := range all {
		suffix := ".go"
		if !slices.ContainsFunc(files, func(s source) bool { return !s.isTest() }) {
			suffix = "_test.go"
		}
		home := []string{"doc" + suffix, g.name + suffix, path.Base(g.dir) + suffix}
		begin := regexp.MustCompile(`^Package ` + g.name + `(_test)? `)
		if g.name == "main" {
			begin = regexp.MustCompile(`^Command `)
		}

		var documented []source
		for _, s := range files {
			if s.file.Doc != nil {
				documented = append(documented, s)
			}
		}
		if len(documented) != 1 {
			broken = append(broken, fmt.Sprintf("%s: package %s has %d package comments, and needs one, in %s",
				g.dir, g.name, len(documented), strings.Join(slices.Compact(home), " or ")))
			continue
		}
		s := documented[0]
		text := s.file.Doc.Text()
		if !slices.Contains(home, path.Base(s.path)) {
			broken = append(broken, fmt.Sprintf("%s: the package comment belongs into %s", s.path, strings.Join(slices.Compact(home), " or ")))
		}
		if !begin.MatchString(text) {
			broken = append(broken, fmt.Sprintf("%s: the package comment should match %s", s.path, begin))
		}
		if sentences(text) < 2 {
			broken = append(broken, s.path+": the package comment has one sentence; say what the package is for and what it promises or leaves out")
		}
	}
	slices.Sort(broken)
	return broken
}

// ignored reports whether a file is a program of its own that `go build` leaves out.
func ignored(f *ast.File) bool {
	for _, group := range f.Comments {
		for _, c := range group.List {
			if c.Pos() < f.Package && strings.HasPrefix(c.Text, "//go:build ignore") {
				return true
			}
		}
	}
	return false
}

var (
	abbreviation = regexp.MustCompile(`\b(e\.g|i\.e|etc|vs|cf)\.`)
	sentenceEnd  = regexp.MustCompile(`[.!?]["')\]]*(\s|$)`)
)

func sentences(text string) int {
	return len(sentenceEnd.FindAllString(abbreviation.ReplaceAllString(text, ""), -1))
}

// Guarantee: every package's comment says what it is for, once, where one would look.
func TestPackageComments(t *testing.T) {
	t.Parallel()
	report(t, packageComments(sources(t)))
}

// Guarantee: no file has more than one subject, as far as its length can tell.
func TestFileLength(t *testing.T) {
	t.Parallel()
	broken, err := tooLong(os.DirFS(root))
	if err != nil {
		t.Fatal(err)
	}
	report(t, broken)
}

// Guarantee: the rule on length counts what people wrote, and nothing else.
func TestFileLengthBites(t *testing.T) {
	t.Parallel()
	long := &fstest.MapFile{Data: bytes.Repeat([]byte("x\n"), mostLines+1)}
	exact := &fstest.MapFile{Data: bytes.Repeat([]byte("x\n"), mostLines)}
	broken, err := tooLong(fstest.MapFS{
		"edge/long.go":                                 long,
		"controlplane/console/web/src/App.tsx":         long,
		"edge/exact.go":                                exact,
		"gen/tollgate/x.pb.go":                         long,
		"controlplane/console/dist/x.js":               long,
		"controlplane/console/web/node_modules/x/y.js": long,
		"edge/testdata/stream.go":                      long,
		".tmp/generated/x.go":                          long,
		"third_party/x/x.proto":                        long,
		"docs/guide.md":                                long,
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(broken) != 2 {
		t.Errorf("broken = %v, want the two long files of ours", broken)
	}
}

// Guarantee: the rule on package comments fails on a missing, double, short, misplaced and
// misnamed comment.
func TestPackageCommentsBite(t *testing.T) {
	t.Parallel()
	const good = "// Package spool keeps lines. It loses none.\npackage spool"
	cases := []struct {
		name  string
		files map[string]string
		want  int
	}{
		{"in the file named after it", map[string]string{"edge/spool/spool.go": good, "edge/spool/x.go": "package spool"}, 0},
		{"in doc.go", map[string]string{"edge/spool/doc.go": good}, 0},
		{"tests need none", map[string]string{"edge/spool/spool.go": good, "edge/spool/spool_test.go": "package spool_test"}, 0},
		{"none", map[string]string{"edge/spool/spool.go": "package spool"}, 1},
		{"two", map[string]string{"edge/spool/spool.go": good, "edge/spool/doc.go": good}, 1},
		{"misplaced", map[string]string{"edge/spool/segment.go": good}, 1},
		{"short", map[string]string{"edge/spool/spool.go": "// Package spool keeps lines, e.g. of spend.\npackage spool"}, 1},
		{"misnamed", map[string]string{"edge/spool/spool.go": "// Spool keeps lines. It loses none.\npackage spool"}, 1},
		{"a constraint is no comment", map[string]string{"edge/spool/spool.go": "//go:build linux\n\npackage spool"}, 1},
		{"command", map[string]string{"cmd/tollgate/main.go": "// Command tollgate runs it all. See help.\npackage main"}, 0},
		{"command called a package", map[string]string{"cmd/tollgate/main.go": "// Package main runs it all. See help.\npackage main"}, 1},
		{"tests only", map[string]string{"internal/e2e/e2e_test.go": "// Package e2e_test tries it all. It breaks things.\npackage e2e_test"}, 0},
		{"tests only, misplaced", map[string]string{"internal/e2e/kill_test.go": "// Package e2e_test tries it all. It breaks things.\npackage e2e_test"}, 1},
		{"a colon ends no sentence", map[string]string{"edge/spool/spool.go": "// Package spool keeps: lines.\npackage spool"}, 1},
		{"tests only, named", map[string]string{"internal/e2e/doc_test.go": "// Package e2e tries it all. It breaks things.\npackage e2e_test", "internal/e2e/x_test.go": "package e2e_test"}, 0},
		{"a generator beside a package", map[string]string{"edge/spool/spool.go": good, "edge/spool/make.go": "//go:build ignore\n\npackage main"}, 0},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			fsys := fstest.MapFS{}
			for name, text := range c.files {
				fsys[name] = &fstest.MapFile{Data: []byte(text)}
			}
			files, err := parseAll(fsys)
			if err != nil {
				t.Fatal(err)
			}
			if broken := packageComments(files); len(broken) != c.want {
				t.Errorf("broken = %v, want %d", broken, c.want)
			}
		})
	}
}
