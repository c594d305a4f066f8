package archtest

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var (
	guarantee = regexp.MustCompile(`(?m)^[0-9]+\. `)
	inPackage = regexp.MustCompile("`([a-z0-9/]+)`|\\b(Test[A-Za-z0-9]+)\\b")
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
		pkg, named := "", 0
		for _, m := range inPackage.FindAllStringSubmatch(text, -1) {
			if m[1] != "" {
				pkg = m[1]
				if pkg == "internal/archtest" {
					named++
				}
				continue
			}
			named++
			if !has(pkg, m[2]) {
				problems = append(problems, fmt.Sprintf("guarantee %d names %s in %s, which is not there", i+1, m[2], pkg))
			}
		}
		if named == 0 {
			problems = append(problems, fmt.Sprintf("guarantee %d names no test", i+1))
		}
	}
	return problems
}

// Guarantee: each guarantee of docs/architecture.md names tests, and these exist.
func TestGuaranteesAreShown(t *testing.T) {
	t.Parallel()
	document, err := os.ReadFile(filepath.Join(root, "docs", "architecture.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range unshown(string(document), func(pkg, test string) bool {
		files, _ := filepath.Glob(filepath.Join(root, pkg, "*_test.go"))
		for _, f := range files {
			if text, err := os.ReadFile(f); err == nil && strings.Contains(string(text), "func "+test+"(") {
				return true
			}
		}
		return false
	}) {
		t.Error(p)
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
