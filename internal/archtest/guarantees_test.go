package archtest

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var (
	guarantee = regexp.MustCompile(`(?m)^[0-9]+\. `)
	inPackage = regexp.MustCompile("`([a-z0-9/]+)`|\\b(Test[A-Z][A-Za-z0-9]*)\\b")
)

// unshown lists the guarantees of a document that name no test, and the tests it names that has does
// not know.
func unshown(document string, has func(pkg, test string) bool) (problems []string) {
	_, section, ok := strings.Cut(document, "\n## Guarantees\n")
	if !ok {
		return []string{"there is no section Guarantees"}
	}
	section, _, _ = strings.Cut(section, "\n## ")
	for i, text := range guarantee.Split(section, -1)[1:] {
		named, gone := named(text, has)
		if named == 0 && !strings.Contains(text, "`internal/archtest`") {
			problems = append(problems, fmt.Sprintf("guarantee %d names no test", i+1))
		}
		for _, test := range gone {
			problems = append(problems, fmt.Sprintf("guarantee %d names %s, which is not there", i+1, test))
		}
	}
	return problems
}

// named counts the tests that a text names, and lists those that has does not know.
func named(text string, has func(pkg, test string) bool) (n int, gone []string) {
	pkg := ""
	for _, m := range inPackage.FindAllStringSubmatch(text, -1) {
		if m[1] != "" {
			pkg = m[1]
			continue
		}
		if n++; !has(pkg, m[2]) {
			gone = append(gone, m[2]+" in "+pkg)
		}
	}
	return n, gone
}

// read is a document, whose name has slashes.
func read(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, filepath.FromSlash(name)))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// there says whether a package has a test.
func there(pkg, test string) bool {
	files, _ := filepath.Glob(filepath.Join(root, pkg, "*_test.go"))
	for _, f := range files {
		if text, err := os.ReadFile(f); err == nil && strings.Contains(string(text), "func "+test+"(") {
			return true
		}
	}
	return false
}

// Guarantee: each guarantee of docs/architecture.md names tests, and these exist.
func TestGuaranteesAreShown(t *testing.T) {
	t.Parallel()
	report(t, unshown(read(t, "docs/architecture.md"), there))
}

// Guarantee: the tests that other documents name exist.
func TestNamedTestsExist(t *testing.T) {
	t.Parallel()
	decisions, err := fs.Glob(os.DirFS(root), "docs/adr/*.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range append(decisions, "docs/ledger.md") {
		n, gone := named(read(t, name), there)
		for _, test := range gone {
			t.Errorf("%s names %s, which is not there", name, test)
		}
		if n == 0 && name == "docs/ledger.md" {
			t.Errorf("%s names no test", name)
		}
	}
}

func TestUnshownNotices(t *testing.T) {
	t.Parallel()
	document := "\n## Guarantees\n\n1. **Good.** `a/b` TestThere\n2. **Bare.**\n3. **Gone.** `a/b` TestThere, TestGone\n"
	got := unshown(document, func(pkg, test string) bool { return pkg == "a/b" && test == "TestThere" })
	if len(got) != 2 || !strings.Contains(got[0], "2 names no test") || !strings.Contains(got[1], "TestGone") {
		t.Errorf("unshown = %q", got)
	}
}
