package meter

import (
	"strings"
	"testing"

	"github.com/tidwall/gjson"
	"pgregory.net/rapid"

	"tollgate/internal/meter/frame"
)

// asked is what is asked for of made-up documents.
var asked = []string{
	"usage", "usage.in", "usage.in.deep", "usage.out", "model", "list.#", "list.#.in", "usage.list.#(in==1).out", "list.0.in",
	`odd\.name`, `usage.odd\.name`, "type", "list.#(model==\"a\")#.in",
}

// someValue draws JSON in which the names that are asked for come often.
func someValue(t *rapid.T, deep int) string {
	kinds := []string{"null", "true", "false", "1", "-2.5e3", `"a"`, `"a \"b\" {\"in\":1}"`, `"é\u00e9"`, `""`}
	if deep == 0 {
		return rapid.SampledFrom(kinds).Draw(t, "scalar")
	}
	space := rapid.SampledFrom([]string{"", " ", "\n\t"}).Draw(t, "space")
	switch rapid.SampledFrom([]string{"object", "array", "scalar"}).Draw(t, "kind") {
	case "object":
		return someObject(t, deep, space)
	case "array":
		var items []string
		for range rapid.IntRange(0, 3).Draw(t, "items") {
			items = append(items, someValue(t, deep-1))
		}
		return "[" + space + strings.Join(items, ","+space) + "]"
	default:
		return rapid.SampledFrom(kinds).Draw(t, "scalar")
	}
}

func someObject(t *rapid.T, deep int, space string) string {
	var fields []string
	names := []string{"usage", "in", "out", "deep", "model", "list", "odd.name", "type", "x", `\u0069n`}
	for _, name := range rapid.SliceOfNDistinct(rapid.SampledFrom(names), 0, 5, rapid.ID[string]).Draw(t, "names") {
		fields = append(fields, `"`+name+`"`+space+":"+space+someValue(t, deep-1))
	}
	return "{" + space + strings.Join(fields, space+","+space) + "}"
}

// Guarantee: going through a frame once finds what gjson finds for each path on its own.
func TestOneLookFindsWhatAPathFinds(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		var l looks
		for _, path := range rapid.SliceOfNDistinct(rapid.SampledFrom(asked), 1, 6, rapid.ID[string]).Draw(t, "paths") {
			l.index(path)
		}
		l.finish()
		body := someObject(t, 4, "")
		var doc string
		s := frame.New(frame.JSON, "", l.keep, func(f *frame.Frame) { doc = string(f.Doc) })
		s.Write([]byte(body))
		s.End(true)
		values, some := make([]gjson.Result, len(l.paths)), false
		found := l.read(doc, values)
		for i, path := range l.paths {
			want := gjson.Get(doc, path)
			some = some || want.Exists() && want.Type != gjson.Null
			if got := values[i]; got.Type != want.Type || got.Raw != want.Raw || got.Str != want.Str {
				t.Fatalf("%s in %s: %q, want %q", path, doc, got.Raw, want.Raw)
			}
		}
		if found != some {
			t.Fatalf("%v in %s: %v", l.paths, doc, found)
		}
	})
}

// Guarantee: whatever a document is, looking for values ends, and panics nowhere.
func FuzzLook(f *testing.F) {
	for _, doc := range []string{`{"usage":{"in":1,"list":[{"in":1,"out":"\""}]}}`, `{"model"`, `{"model":"`, `"`, `[`, `{"usage":{`, `}`, `{"usage":"\`, ``, `{"a" 1`} {
		f.Add(doc)
	}
	var l looks
	for _, path := range asked {
		l.index(path)
	}
	f.Fuzz(func(_ *testing.T, doc string) {
		l.read(doc, make([]gjson.Result, len(l.paths)))
	})
}
