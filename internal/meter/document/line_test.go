package document_test

import (
	"testing"

	"go.yaml.in/yaml/v3"
	"pgregory.net/rapid"

	"tollgate/internal/meter/document"
)

// Guarantee: a complaint about a field leads to its line, by either form of its name, and one about a field that is missing to
// the line of what should have it.
func TestLine(t *testing.T) {
	t.Parallel()
	var root yaml.Node
	if err := yaml.Unmarshal([]byte(chat), &root); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]int{
		"unmatched":                             2,
		"meters[0].match.path":                  6,
		"meters[0].counters[1].sources[0]":      9,
		"meters[0].prices[0].rates[0].per":      14,
		"meters[0].variants[\"default\"]":       12,
		"meters[0].counters[1].default_missing": 9,
		"meters[0].job.id":                      5,
		"meters[4].name":                        5,
		"nothing":                               0,
		"":                                      0,
	} {
		if got := document.Line(root.Content[0], path); got != want {
			t.Errorf("Line(%q) = %d, want %d", path, got, want)
		}
	}
	var camel yaml.Node
	if err := yaml.Unmarshal([]byte("job:\n  ttlSeconds: 5\n"), &camel); err != nil {
		t.Fatal(err)
	}
	if got := document.Line(camel.Content[0], "job.ttl_seconds"); got != 2 {
		t.Errorf("a field in the form of JSON is in line %d, want 2", got)
	}
}

// Guarantee: no path, however it is written, is more than not found.
func TestLineOfAnything(t *testing.T) {
	t.Parallel()
	var root yaml.Node
	if err := yaml.Unmarshal([]byte(chat), &root); err != nil {
		t.Fatal(err)
	}
	rapid.Check(t, func(t *rapid.T) {
		path := rapid.StringMatching(`(meters|\[0?-?[0-9]?\]?|\.|unmatched|"){0,8}`).Draw(t, "path")
		if got := document.Line(root.Content[0], path); got < 0 || got > 16 {
			t.Errorf("Line(%q) = %d", path, got)
		}
	})
}
