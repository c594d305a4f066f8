package diff_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"tollgate/controlplane/diff"
)

// Guarantee: a change is told at the field that changed, with what it was and what it is.
func TestChangesAreToldAtTheirField(t *testing.T) {
	t.Parallel()
	secret := func(path string) bool { return strings.HasSuffix(path, ".value") }
	for _, c := range []struct {
		name, before, after string
		hidden              func(string) bool
		want                []diff.Change
	}{
		{"nothing", `{"a":1,"b":null,"c":[]}`, ` {"c":null,"a":1}`, nil, nil},
		{"a field", `{"price":{"per_request":10}}`, `{"price":{"per_request":12}}`, nil, []diff.Change{{"price.per_request", "10", "12"}}},
		{"a list of words is one value", `{"methods":["GET"]}`, `{"methods":["GET","POST"]}`, nil, []diff.Change{{"methods", `["GET"]`, `["GET","POST"]`}}},
		{
			"a list of objects by its elements", `{"headers":[{"name":"a","value":"1"}]}`, `{"headers":[{"name":"a","value":"2"},{"name":"b","value":"3"}]}`, nil,
			[]diff.Change{{"headers[0].value", `"1"`, `"2"`}, {"headers[1].name", "", `"b"`}, {"headers[1].value", "", `"3"`}},
		},
		{
			"hidden", `{"headers":[{"name":"a","value":"1"}]}`, `{"headers":[{"name":"a","value":{"x":2}},{"name":"b","value":"3"}]}`, secret,
			[]diff.Change{{"headers[0].value", diff.Hidden, diff.Hidden}, {"headers[1].name", "", `"b"`}, {"headers[1].value", "", diff.Hidden}},
		},
		{"made", ``, `{"name":"a","tls":{}}`, nil, []diff.Change{{"name", "", `"a"`}, {"tls", "", "{}"}}},
		{"gone", `{"name":"a"}`, ``, nil, []diff.Change{{"name", `"a"`, ""}}},
		{"of another kind", `{"a":"x"}`, `{"a":{"b":1}}`, nil, []diff.Change{{"a", `"x"`, ""}, {"a.b", "", "1"}}},
		{"names that look like paths", `{"m":{"a.b":1}}`, `{"m":{"a.b":2}}`, nil, []diff.Change{{`m["a.b"]`, "1", "2"}}},
		{"large numbers as written", `{"n":9007199254740993}`, `{"n":9007199254740992}`, nil, []diff.Change{{"n", "9007199254740993", "9007199254740992"}}},
		{"signs are left as they are", `{"n":"<"}`, `{"n":"&"}`, nil, []diff.Change{{"n", `"<"`, `"&"`}}},
		{"no JSON", `{"a":`, `{"a":1} 2`, nil, []diff.Change{{"", `"{\"a\":"`, `"{\"a\":1} 2"`}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			if got := diff.JSON([]byte(c.before), []byte(c.after), c.hidden); !slices.Equal(got, c.want) {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

// value draws JSON in which nothing is the same as something else.
func value(depth int) *rapid.Generator[any] {
	plain := rapid.OneOf(
		rapid.Map(rapid.IntRange(0, 9), func(n int) any { return n }),
		rapid.Map(rapid.StringMatching(`[a-c]{1,2}`), func(s string) any { return s }),
	)
	if depth == 0 {
		return plain
	}
	name := rapid.StringMatching(`[a-c.]{1,2}`)
	return rapid.OneOf(plain,
		rapid.Map(rapid.MapOfN(name, rapid.Deferred(func() *rapid.Generator[any] { return value(depth - 1) }), 1, 3),
			func(m map[string]any) any { return m }),
		rapid.Map(rapid.SliceOfN(rapid.Deferred(func() *rapid.Generator[any] { return value(depth - 1) }), 1, 3),
			func(l []any) any { return l }),
	)
}

// Guarantee: two forms have no differences exactly if they are the same, each difference is told once, and the other way round it
// is the same differences with before and after swapped.
func TestDifferencesAreWhole(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		a, err := json.Marshal(value(3).Draw(t, "a"))
		if err != nil {
			t.Fatal(err)
		}
		b, err := json.Marshal(value(3).Draw(t, "b"))
		if err != nil {
			t.Fatal(err)
		}
		forth, back := diff.JSON(a, b, nil), diff.JSON(b, a, nil)
		if (len(forth) == 0) != (string(a) == string(b)) {
			t.Fatalf("%s and %s differ in %q", a, b, forth)
		}
		told := map[string]bool{}
		for _, c := range forth {
			if c.Before == c.After {
				t.Fatalf("%q is no change", c)
			}
			for _, side := range []struct{ name, text string }{{"before ", c.Before}, {"after ", c.After}} {
				if at := side.name + c.Path; side.text != "" && told[at] {
					t.Fatalf("%s is told twice in %q", at, forth)
				} else if side.text != "" {
					told[at] = true
				}
			}
			if !slices.Contains(back, diff.Change{Path: c.Path, Before: c.After, After: c.Before}) {
				t.Fatalf("%q is not in %q", c, back)
			}
		}
	})
}

// FuzzJSON: whatever is compared, what is hidden is in no answer.
func FuzzJSON(f *testing.F) {
	f.Add([]byte(`{"k":"marker"}`), []byte(`{"k":["marker",{"k":"marker"}]}`))
	f.Add([]byte(`[[{"k":"marker"}]]`), []byte(`{"k"`))
	f.Add([]byte(``), []byte(`{"a":{"k":{"b":"marker"}}}`))
	f.Fuzz(func(t *testing.T, before, after []byte) {
		all := func(string) bool { return true }
		for _, c := range diff.JSON(before, after, all) {
			if c.Path != "" && (c.Before != "" && c.Before != diff.Hidden || c.After != "" && c.After != diff.Hidden) {
				t.Errorf("%q is shown", c)
			}
		}
	})
}
