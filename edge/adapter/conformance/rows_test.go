package conformance_test

import (
	"os"
	"regexp"
	"strings"
	"testing"
)

// row is a row of the tables. Those that are about more than translations name the test that shows them.
type row struct {
	Rule      string
	Elsewhere string // file, from the repository's root, and name of a test
}

// Guarantee: every row of the tables is shown by a case, and every case is of a row.
func TestEveryRow(t *testing.T) {
	t.Parallel()
	rows := read[map[string]row](t, "rows.json")["rows.json"]
	shown := map[string]int{}
	for name, g := range read[group](t, "case-*.json") {
		for _, c := range g.Cases {
			if len(c.Rows) == 0 {
				t.Errorf("%s: %s is of no row", name, c.Name)
			}
			for _, r := range c.Rows {
				shown[r]++
			}
			ways := 0
			for _, has := range []bool{c.Sent != nil, c.Refused != nil, c.Answer != nil && (c.Gives != nil || c.Fails != nil), c.Stream != nil && c.Events != nil} {
				if has {
					ways++
				}
			}
			if ways != 1 {
				t.Errorf("%s: %s asks %d questions", name, c.Name, ways)
			}
		}
	}
	for _, c := range read[[]trouble](t, "errors.json")["errors.json"] {
		for _, r := range c.Rows {
			shown[r]++
		}
	}
	for _, c := range read[[]counting](t, "counts.json")["counts.json"] {
		for _, r := range c.Rows {
			shown[r]++
		}
	}
	for id, r := range rows {
		if r.Rule == "" {
			t.Errorf("%s has no rule", id)
		}
		if r.Elsewhere != "" {
			file, test, _ := strings.Cut(r.Elsewhere, " ")
			text, err := os.ReadFile("../../../" + file)
			if err != nil || !regexp.MustCompile(`(?m)^func `+test+`\(t \*testing\.T\)`).Match(text) {
				t.Errorf("%s is to be shown by %s: %v", id, r.Elsewhere, err)
			}
		} else if shown[id] == 0 {
			t.Errorf("%s is shown nowhere: %s", id, r.Rule)
		}
		delete(shown, id)
	}
	for id := range shown {
		t.Errorf("%s is no row", id)
	}
}
