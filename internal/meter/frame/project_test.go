package frame

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/tidwall/gjson"
	"pgregory.net/rapid"
)

// project is what is kept of a text that comes in these pieces.
func project(p *Paths, pieces ...[]byte) (doc []byte, j *projector) {
	j = &projector{}
	j.begin(p.root)
	for _, piece := range pieces {
		j.only(piece)
	}
	return j.finish(), j
}

// pieces cuts a text at random places.
func pieces(t *rapid.T, text []byte) [][]byte {
	var out [][]byte
	most := rapid.SampledFrom([]int{1, 2, 7, 64, 4096}).Draw(t, "most")
	for len(text) > 0 {
		n := min(rapid.IntRange(1, most).Draw(t, "piece"), len(text))
		out = append(out, append([]byte(nil), text[:n]...))
		text = text[n:]
	}
	return out
}

// An empty name is not among them: gjson finds it where an element itself is compared.
var (
	docNames  = []string{`a`, `b`, `\u0061`, `usage`, `type`, `0`, `1`, `x.y`, `é`, `\"`, `abcdefgh`}
	pathNames = []string{`a`, `b`, `usage`, `type`, `0`, `1`, `x\.y`, `é`, `\"`, `abcdefgh`}
	scalars   = []string{
		`null`, `true`, `false`, `0`, `-0`, `12`, `1.50`, `-3e5`, `1E+2`, `0.1e-7`, `12345678901234567890`, `""`, `"a"`, `"AUDIO"`, `"\n\"x"`,
		`"\ud83d\ude00é"`, `"\ud800"`, `"{\"a\":1}"`, `"a longer text than eight bytes"`, `"1"`,
	}
	spaces = []string{"", "", "", " ", "\n", "\t \r\n"}
)

// drawDoc draws a JSON text with names that come more than once, escapes, and space anywhere.
func drawDoc(t *rapid.T, depth int) string {
	space := func() string { return rapid.SampledFrom(spaces).Draw(t, "space") }
	kind := rapid.IntRange(0, 9).Draw(t, "kind")
	var b strings.Builder
	switch {
	case depth == 0 || kind < 3:
		return space() + rapid.SampledFrom(scalars).Draw(t, "scalar") + space()
	case kind < 7:
		b.WriteString(space() + "{" + space())
		for i := range rapid.IntRange(0, 5).Draw(t, "members") {
			if i > 0 {
				b.WriteByte(',')
			}
			b.WriteString(space() + `"` + rapid.SampledFrom(docNames).Draw(t, "name") + `"` + space() + ":" + drawDoc(t, depth-1))
		}
		b.WriteString("}" + space())
	default:
		b.WriteString(space() + "[" + space())
		for i := range rapid.IntRange(0, 4).Draw(t, "elements") {
			if i > 0 {
				b.WriteByte(',')
			}
			b.WriteString(drawDoc(t, depth-1))
		}
		b.WriteString("]" + space())
	}
	return b.String()
}

func drawPath(t *rapid.T, deep int) string {
	var steps []string
	for range rapid.IntRange(1, 4).Draw(t, "steps") {
		kind := rapid.IntRange(0, 9).Draw(t, "step")
		switch {
		case kind < 7 || deep == 0:
			steps = append(steps, rapid.SampledFrom(pathNames).Draw(t, "name"))
		case kind == 7:
			steps = append(steps, "#")
		default:
			cond := ""
			if rapid.Bool().Draw(t, "cond") {
				cond = drawPath(t, deep-1)
			}
			if cond == "" || rapid.Bool().Draw(t, "compares") {
				cond += rapid.SampledFrom([]string{"==", "!=", "<", "<=", ">", ">="}).Draw(t, "op") +
					rapid.SampledFrom([]string{`"a"`, `"AUDIO"`, `12`, `0`, `true`, `false`, `"\n\"x"`, `"1"`}).Draw(t, "value")
			}
			steps = append(steps, "#("+cond+")"+rapid.SampledFrom([]string{"", "#"}).Draw(t, "all"))
		}
	}
	return strings.Join(steps, ".")
}

// plainDoc is the text with the last of each name only, as clients read it.
func plainDoc(t interface{ Fatalf(string, ...any) }, text []byte) []byte {
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		t.Fatalf("%q: %v", text, err)
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		t.Fatalf("%q: %v", text, err)
	}
	return b.Bytes()
}

// find is what gjson finds; nothing in a text or number, in which gjson may see the beginning of an array.
func find(doc []byte, path string) gjson.Result {
	if doc[0] != '{' && doc[0] != '[' {
		return gjson.Result{}
	}
	return gjson.GetBytes(doc, path)
}

func decoded(raw string) (v any) {
	d := json.NewDecoder(strings.NewReader(raw))
	d.UseNumber()
	if err := d.Decode(&v); err != nil {
		return fmt.Sprint("cannot be read: ", raw)
	}
	return v
}

// same says whether two results of gjson have the same value.
func same(a, b gjson.Result) bool {
	if a.Exists() != b.Exists() || a.Type != b.Type {
		return false
	}
	switch a.Type {
	case gjson.JSON:
		return reflect.DeepEqual(decoded(a.Raw), decoded(b.Raw))
	case gjson.String:
		return strings.ToValidUTF8(a.Str, "\ufffd") == strings.ToValidUTF8(b.Str, "\ufffd")
	case gjson.Number:
		return a.Raw == b.Raw
	case gjson.Null, gjson.True, gjson.False:
	}
	return true
}

// Guarantee: whatever a document is and whatever is asked for, what is kept gives the same values as the document, if
// the last of several names holds; and what is kept is JSON and does not depend on the pieces in which it comes.
func TestWhatIsKeptGivesTheSameValues(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		text := []byte(drawDoc(t, 4))
		var list []string
		for range rapid.IntRange(1, 4).Draw(t, "paths") {
			list = append(list, drawPath(t, 2))
		}
		p, err := NewPaths(list...)
		if err != nil {
			t.Fatal(err)
		}
		doc, _ := project(p, text)
		if doc == nil || !json.Valid(doc) {
			t.Fatalf("of %s %q is kept, which is no JSON", text, doc)
		}
		doc = append([]byte(nil), doc...)
		plain := plainDoc(t, text)
		for _, path := range list {
			got, want := find(doc, path), find(plain, path)
			if !same(got, want) {
				t.Fatalf("%s: got %s, want %s\nof   %s\nkept %s", path, got.Raw, want.Raw, plain, doc)
			}
		}
		if again, _ := project(p, pieces(t, text)...); !bytes.Equal(again, doc) {
			t.Fatalf("whole   %s\npieces  %s", doc, again)
		}
	})
}

// Guarantee: a text that is no JSON is told from one that is, exactly as the standard library does, wherever it is cut.
func TestWhatIsJSONIsAsTheStandardSays(t *testing.T) {
	t.Parallel()
	p, err := NewPaths("a", "b.#.a", "0")
	if err != nil {
		t.Fatal(err)
	}
	rapid.Check(t, func(t *rapid.T) {
		text := []byte(drawDoc(t, 4))
		for range rapid.IntRange(0, 3).Draw(t, "mistakes") {
			at := rapid.IntRange(0, len(text)).Draw(t, "at")
			junk := rapid.SampledFrom([]string{"", "0", "-", ".", "e", "+", ",", ":", "\"", "\\", "{", "}", "[", "]", "n", "\x01", "\x7f", " ", "\u00e9", "\xff"}).Draw(t, "junk")
			to := min(len(text), at+rapid.IntRange(0, 2).Draw(t, "instead"))
			text = append(append(append([]byte(nil), text[:at]...), junk...), text[to:]...)
		}
		want := json.Valid(text)
		if doc, _ := project(p, text); (doc != nil) != want {
			t.Fatalf("%q: got %v, want %v", text, doc != nil, want)
		}
		if doc, _ := project(p, pieces(t, text)...); (doc != nil) != want {
			t.Fatalf("%q in pieces: got %v, want %v", text, doc != nil, want)
		}
	})
}

// Guarantee: what is kept of a frame is exactly this.
func TestWhatIsKept(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("é", maxText/2+1)
	cases := []struct {
		name, paths, lengths, counts string
		text, want                   string
	}{
		{"a value", "a.b", "", "", `{"a": {"c":1, "b" : 2.50}, "z": [1,2]}`, `{"a":{"b":2.50}}`},
		{"a value with all in it", "a", "", "", `{"a": {"c":[ 1, {"x":null} ]}, "b" : 2}`, `{"a":{"c":[1,{"x":null}]}}`},
		{"of several the last", "a,b", "", "", `{"a":1,"b":2,"a":3}`, `{      "b":2,"a":3}`},
		{"of several the last, which is not asked for", "a.x,b", "", "", `{"a":{"x":1},"b":2,"a":3,"b":{}}`, `{"b":{}}`},
		{"a number of elements", "a.#", "", "", `{"a":[{"x":"y"},2,[3]]}`, `{"a":[0,0,0]}`},
		{"one element", "a.1", "", "", `{"a":[{"x":"y"},2,[3]]}`, `{"a":[0,2]}`},
		{"a name that is a number", "a.1", "", "", `{"a":{"1":"x","0":"y"}}`, `{"a":{"1":"x"}}`},
		{"a query", `a.#(k=="A").n`, "", "", `{"a":[{"k":"B","n":1,"m":2},{"k":"A","n":2}]}`, `{"a":[{"k":"B","n":1},{"k":"A","n":2}]}`},
		{"the kind", "", "", "", `{"type":"x","event_type":7,"y":1}`, `{"type":"x"}`},
		{"nothing", "a", "", "", `[1,2]`, `[]`},
		{"a document that is a number", "a", "", "", ` 12 `, `null`},
		{"a text that is too long", "a", "", "", `{"a":"` + long + `"}`, `{"a":"` + long[:maxText] + `"}`},
		{"a number that is too long", "a", "", "", `{"a":1` + strings.Repeat("0", maxNumber) + `}`, `{"a":null}`},
		{"a length", "", "a,b", "", `{"a":"x\u00e9é\ud83d\ude00\n😀","b":17}`, `{"a":6,"b":null}`},
		{"a length of more than is kept", "", "a", "", `{"a":"` + long + `"}`, fmt.Sprintf(`{"a":%d}`, maxText/2+1)},
		{"lengths", "", "a,m.#.c", "", `{"a":["xy",1,["z"]],"m":[{"c":"abc","d":"e"},{}]}`, `{"a":[2,null,[1]],"m":[{"c":3},{}]}`},
		{"lengths of texts and of what is in objects", "", "a,a.#.c", "", `{"a":["xy",{"c":"abc","d":"e"}]}`, `{"a":[2,{"c":3}]}`},
		{"a length and a value", "a", "a", "", `{"a":"xy"}`, `{"a":"xy"}`},
		{"counts", "", "", "a,b,c,d,e", `{"a":["x",{}],"b":{"c":1},"c":"x","d":null,"e":5}`, `{"a":[0,0],"b":{},"c":"","d":null,"e":5}`},
		{"a count of what is so", "", "", `a.#(k=="A")#`, `{"a":[{"k":"A","n":"x"},{"k":"B"}]}`, `{"a":[{"k":"A"},{"k":"B"}]}`},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			list := func(s string) []string { return strings.FieldsFunc(s, func(r rune) bool { return r == ',' }) }
			p, err := NewPaths(list(c.paths)...)
			if err != nil {
				t.Fatal(err)
			}
			if err := p.Lengths(list(c.lengths)...); err != nil {
				t.Fatal(err)
			}
			if err := p.Counts(list(c.counts)...); err != nil {
				t.Fatal(err)
			}
			if doc, _ := project(p, []byte(c.text)); string(doc) != c.want {
				t.Errorf("whole: got %.200s, want %.200s", doc, c.want)
			}
			if doc, _ := project(p, bytes.SplitAfter([]byte(c.text), nil)...); string(doc) != c.want {
				t.Errorf("in bytes: got %.200s, want %.200s", doc, c.want)
			}
		})
	}
}

// Guarantee: a document that is deeper than is read is no document, and one of which more is asked for than is kept has
// none either; and both are read to their end in bounded memory.
func TestWhatIsTooMuch(t *testing.T) {
	t.Parallel()
	p, err := NewPaths("a", "b.#")
	if err != nil {
		t.Fatal(err)
	}
	nest := func(n int) []byte { return []byte(strings.Repeat("[", n) + strings.Repeat("]", n)) }
	if doc, _ := project(p, nest(maxDepth)); doc == nil {
		t.Error("the greatest depth is not read")
	}
	if doc, _ := project(p, nest(maxDepth+1)); doc != nil {
		t.Error("more than the greatest depth is read")
	}
	for _, text := range []string{
		`{"a":[` + strings.Repeat(`"0123456789",`, 100_000) + `1]}`,
		`{"b":[` + strings.Repeat(`"x",`, 600_000) + `1]}`,
		`{"a":{"` + strings.Repeat("k", maxKey+1) + `":1}}`,
	} {
		doc, j := project(p, []byte(text))
		if doc != nil || !j.over || j.st != atEnd {
			t.Errorf("%.20s: kept %d bytes, over %v, at the end %v", text, len(doc), j.over, j.st == atEnd)
		}
		if cap(j.out) > 2*maxDoc {
			t.Errorf("%.20s: took %d bytes", text, cap(j.out))
		}
	}
}

// FuzzProjection looks for texts of which something is read that is not in them.
func FuzzProjection(f *testing.F) {
	for _, text := range []string{`{"a":{"b":[1,2,{"k":"A","n":7}]},"type":"x"}`, `[1,2.5e3,"\u00e9"]`, `{"a":1,"a":{"b":2}}`, `{"a`, `nul`, `"\ud800"`, "\xff"} {
		f.Add([]byte(text), 3)
	}
	list := []string{"a.b", "a.b.#", `a.b.#(k=="A").n`, "a.b.1", "type", "0"}
	p, err := NewPaths(list...)
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, text []byte, cut int) {
		doc, j := project(p, text)
		if want := json.Valid(text); (doc != nil || j.over) != want && j.depth < maxDepth {
			t.Fatalf("%q: read %v, valid %v", text, doc != nil, want)
		}
		cut = max(0, min(cut, len(text)))
		if again, _ := project(p, text[:cut], text[cut:]); !bytes.Equal(again, doc) {
			t.Fatalf("%q: whole %s, cut at %d %s", text, doc, cut, again)
		}
		if doc == nil {
			return
		}
		plain := plainDoc(t, text)
		for _, path := range list {
			if got, want := find(doc, path), find(plain, path); !j.cut && !same(got, want) {
				t.Fatalf("%s of %s: got %s, want %s", path, plain, got.Raw, want.Raw)
			}
		}
	})
}
