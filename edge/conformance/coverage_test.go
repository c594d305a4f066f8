package conformance_test

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"tollgate/edge/conformance"
)

// checks are the numbers of all checks: of the pass-through in general, and those with letters of what
// callers of LiteLLM's pass-through endpoints rely on.
func checks() (all []string) {
	for i := range 100 {
		all = append(all, fmt.Sprint(i+1))
	}
	for _, group := range []struct {
		letter string
		n      int
	}{{"R", 11}, {"A", 9}, {"H", 8}, {"Q", 2}, {"B", 5}, {"S", 9}} {
		for i := range group.n {
			all = append(all, fmt.Sprintf("%s%d", group.letter, i+1))
		}
	}
	return all
}

var number = regexp.MustCompile(`^[A-Z]?[0-9]+$`)

// numbers are those with which a case's name begins.
func numbers(name string) (out []string) {
	for word := range strings.FieldsSeq(name) {
		if !number.MatchString(word) {
			break
		}
		out = append(out, word)
	}
	return out
}

// uncovered says what is wrong with the cases and with the table of what is shown elsewhere.
func uncovered(cases []conformance.Case, table string, has func(pkg, test string) bool) (problems []string) {
	covered := map[string]bool{}
	for _, c := range cases {
		for _, n := range numbers(c.Name) {
			covered[n] = true
			if !slices.Contains(checks(), n) {
				problems = append(problems, fmt.Sprintf("%q: there is no check %s", c.Name, n))
			}
		}
	}
	for line := range strings.Lines(table) {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		n, rest, _ := strings.Cut(line, " ")
		covered[n] = true
		switch where, what, _ := strings.Cut(rest, " "); {
		case !slices.Contains(checks(), n):
			problems = append(problems, fmt.Sprintf("%q: there is no such check", line))
		case where == "later:" || where == "differs:":
			if what == "" {
				problems = append(problems, fmt.Sprintf("%q: it has no reason", line))
			}
		case !has(where, what):
			problems = append(problems, fmt.Sprintf("%q: there is no such test", line))
		}
	}
	for _, n := range checks() {
		if !covered[n] {
			problems = append(problems, "nothing shows check "+n)
		}
	}
	return problems
}

// Guarantee: each check is shown by a case, or by a test that exists.
func TestEveryCheckIsShown(t *testing.T) {
	t.Parallel()
	table, err := os.ReadFile("testdata/coverage.txt")
	if err != nil {
		t.Fatal(err)
	}
	there := func(pkg, test string) bool {
		files, _ := filepath.Glob(filepath.Join("..", "..", filepath.FromSlash(pkg), "*_test.go"))
		return slices.ContainsFunc(files, func(name string) bool {
			text, err := os.ReadFile(name)
			return err == nil && strings.Contains(string(text), "func "+test+"(")
		})
	}
	for _, p := range uncovered(load(t), string(table), there) {
		t.Error(p)
	}
}

// Guarantee: the table is found wrong where it is.
func TestUncoveredNotices(t *testing.T) {
	t.Parallel()
	var all []conformance.Case
	for _, n := range checks()[1:] {
		all = append(all, conformance.Case{Name: n + " a case"})
	}
	has := func(pkg, test string) bool { return pkg == "a/b" && test == "TestThere" }
	for table, want := range map[string]string{
		"1 a/b TestThere":            "",
		"1 later: something":         "",
		"":                           "nothing shows check 1",
		"1 a/b TestGone":             "no such test",
		"1 later:":                   "no reason",
		"1 a/b TestThere\nR99 a/b X": "no such check",
	} {
		got := uncovered(all, table, has)
		if want == "" && len(got) > 0 || want != "" && (len(got) != 1 || !strings.Contains(got[0], want)) {
			t.Errorf("%q: %q, want %q", table, got, want)
		}
	}
}
