package frame

import (
	"strings"
	"testing"
)

// Guarantee: what a path may be is told from what it may not be, and what is wrong is said with its place.
func TestPathsAreChecked(t *testing.T) {
	t.Parallel()
	good := []string{
		"usage.prompt_tokens", "data.#", "data.0.b64_json", "amazon-bedrock-invocationMetrics.inputTokenCount", `a\.b.c`, `\@type`, `\#`, "$.a:b/c+d",
		"output.#.content.#.text", `list.#(modality=="AUDIO").tokenCount`, `output.#(type=="web_search_call")#`, `a.#(b.c>=1.5e3)#.d`, `a.#(b)`,
		`a.#(=="x")`, `a.#(b.#(c=="d").e!=true)#`, `a.#(n=="a)b\"")`, `#`, `#.a`, "é.ü", "12",
	}
	for _, path := range good {
		if _, err := NewPaths(path); err != nil {
			t.Errorf("%s: %v", path, err)
		}
	}
	bad := []struct{ path, want string }{
		{"", "at 1: a name is missing"},
		{"usage.", "at 7: a name is missing after the point"},
		{".usage", "at 1: a name is missing"},
		{"a..b", "at 3: a name is missing"},
		{"a|b", `at 2: '|' is not in the language of paths; in a name it is written with a backslash before it`},
		{"@this", `at 1: '@' is not in the language`},
		{"a.@reverse", `at 3: '@' is not in the language`},
		{"a.{b,c}", `at 3: '{' is not in the language`},
		{"[a]", `at 1: '[' is not in the language`},
		{"!x", `at 1: '!' is not in the language`},
		{"a*", `at 2: '*' is not in the language`},
		{"a?", `at 2: '?' is not in the language`},
		{"a b", `at 2: ' ' is not in the language`},
		{"a#", `at 2: '#' is not in the language`},
		{"#a", `at 2: after "#" a point, "(" or the end is expected`},
		{"a\n", "at 2: a control character cannot be in a name"},
		{`a\`, "at 3: a character is missing after the backslash"},
		{"\xff", "at 1: it is not UTF-8"},
		{"a)", `at 2: ')' is not in the language`},
		{"a.#(", "at 5: a name is missing"},
		{"a.#()", "at 5: a condition is missing"},
		{"a.#(b", "at 6: ==, !=, <, <=, > or >= is expected"},
		{"a.#(b=1)", "at 6: ==, !=, <, <=, > or >= is expected"},
		{`a.#(b%"x*")`, `at 6: '%' is not in the language`},
		{"a.#(b==x)", "at 8: a text in quotes, a number, true or false is expected"},
		{"a.#(b==null)", "at 8: a text in quotes, a number, true or false is expected"},
		{"a.#(b==[1])", "at 8: a text in quotes, a number, true or false is expected"},
		{"a.#(b==~true)", "at 8: a text in quotes, a number, true or false is expected"},
		{`a.#(b=="x)`, "at 8: the text is not closed"},
		{`a.#(b=="x"`, "at 4: the query is not closed"},
		{`a.#(b=="x"y)`, "at 4: the query is not closed"},
		{`a.#(b=="x")c`, "at 12: after a query a point or the end is expected"},
		{`a.#(b.)`, "at 7: a name is missing after the point"},
		{strings.Repeat("#(", 9), "at 18: more than 8 queries are one in the other"},
		{strings.Repeat("a", 1025), "at 1025: it is longer than 1024 bytes"},
	}
	for _, c := range bad {
		_, err := NewPaths("ok", c.path)
		if err == nil || !strings.HasPrefix(err.Error(), c.want) {
			t.Errorf("%s: got %v, want %s", c.path, err, c.want)
		}
	}
}

// FuzzPaths looks for a path that is taken and finds something else in what is kept than in the document.
func FuzzPaths(f *testing.F) {
	for _, path := range []string{
		"a.b", "a.#", "a.#.b", `a.#(b=="A").n`, `a.#(b=="A")#`, "a.1", `x\.y`, `a.#(n>=1)#.b`, "b.a.#.0", "@this", "a|b", `a.#(c.#(d==1))`, `a.#(="x")`,
	} {
		f.Add(path)
	}
	docs := []string{
		`{"a":[{"b":"A","n":1},{"b":"B","n":[2]},3,"x",null,{"c":[{"d":1}]}],"x.y":5,"b":{"a":[[1],[2,{"b":3}]]},"type":"t"}`,
		`[[1,2],{"a":{"b":"A"}},"A",true]`,
		`{"a":{"b":{"n":1.5},"0":{"1":2},"1":"é"},"n":"A","b":[]}`,
	}
	f.Fuzz(func(t *testing.T, path string) {
		p, err := NewPaths(path)
		if err != nil {
			if !strings.HasPrefix(err.Error(), "at ") {
				t.Fatalf("%q: %v", path, err)
			}
			return
		}
		for _, text := range docs {
			doc, _ := project(p, []byte(text))
			if got, want := find(doc, path), find([]byte(text), path); !same(got, want) {
				t.Fatalf("%q of %s: got %q in %s, want %q", path, text, got.Raw, doc, want.Raw)
			}
		}
	})
}
