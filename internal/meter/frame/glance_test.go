package frame

import (
	"fmt"
	"strings"
	"testing"

	"github.com/tidwall/gjson"
	"pgregory.net/rapid"
)

// glanced are paths of which a glance reads all values.
var glanced = []string{"a", "usage.a", "usage.b.a", "usage.b.abcdefgh", "event_type", "abcdefgh", "b"}

// told is what a stream says of pieces: its frames, where each piece ended one, and its trouble. Values are what was asked for,
// whether they came in a document or as fields.
func told(p *Paths, kind Kind, glances bool, parts ...[]byte) (said string, read int) {
	var b strings.Builder
	emit := func(f *Frame) {
		fmt.Fprintf(&b, "frame %q %v %v", f.Event, f.Partial, f.Sent)
		values := make([]string, len(glanced))
		switch {
		case f.Read:
			read++
			for _, x := range f.Fields {
				kind := "value"
				if x.Text {
					kind = "text"
				}
				values[x.Path] = kind + " " + string(f.Value(x))
			}
		case f.Doc == nil:
			b.WriteString(" no document")
		default:
			for i, path := range glanced {
				switch v := gjson.GetBytes(f.Doc, path); v.Type {
				case gjson.Null:
				case gjson.String:
					values[i] = "text " + v.Str
				case gjson.Number, gjson.True, gjson.False, gjson.JSON:
					values[i] = "value " + v.Raw
				}
			}
		}
		fmt.Fprintf(&b, " %q\n", values)
	}
	s := &Stream{}
	if glances {
		s.Begin(kind, "", p, emit)
	} else {
		s = New(kind, "", p, emit)
	}
	for _, part := range parts {
		s.Write(append([]byte(nil), part...)) // in which nothing may be held on to
		clear(part[:0])
		fmt.Fprintf(&b, "boundary %d\n", s.Boundary())
	}
	s.End(true)
	fmt.Fprintf(&b, "%d frames, trouble %q", s.Frames(), s.Trouble())
	return b.String(), read
}

// sameAtAGlance compares both ways of reading a body that is cut at one place.
func sameAtAGlance(t interface{ Fatalf(string, ...any) }, p *Paths, kind Kind, body []byte, cut int) (read int) {
	want, _ := told(p, kind, false, body[:cut], body[cut:])
	got, read := told(p, kind, true, body[:cut], body[cut:])
	if got != want {
		t.Fatalf("%v, cut at %d: %q\nat a glance:\n%s\notherwise:\n%s", kind, cut, body, got, want)
	}
	return read
}

func glancedPaths(tb testing.TB) *Paths {
	tb.Helper()
	p, err := NewPaths(glanced...)
	if err != nil {
		tb.Fatal(err)
	}
	if p.top == nil {
		tb.Fatal("these paths are not read at a glance")
	}
	return p
}

// drawBody draws a body of documents, some of them with mistakes.
func drawBody(t *rapid.T, kind Kind) []byte {
	between := map[Kind][]string{
		JSON:   {"", " \n", ",", "x"},
		Lines:  {"\n", "\r\n", "\n\n", " \n"},
		Events: {"\n\n", "\r\n\r\n", "\r\r", "\ndata: \n\n", "\ndata: 1\n\n", "\nevent: b\n\n", "\n", "\n: x\n\n"},
	}[kind]
	before := map[Kind][]string{JSON: {"", "", "[", "\ufeff"}, Lines: {"", "\ufeff"}, Events: {"data: ", "data:", "event: a\ndata: ", "data\ndata:"}}[kind]
	var b strings.Builder
	for range rapid.IntRange(1, 4).Draw(t, "documents") {
		doc := drawDoc(t, 4)
		if kind != JSON {
			doc = strings.NewReplacer("\n", " ", "\r", "").Replace(doc)
		}
		if kind != JSON || b.Len() == 0 {
			b.WriteString(rapid.SampledFrom(before).Draw(t, "before"))
		}
		b.WriteString(doc + rapid.SampledFrom(between).Draw(t, "between"))
	}
	if kind == JSON && rapid.Bool().Draw(t, "closed") {
		b.WriteString("]")
	}
	body := []byte(b.String())
	for range rapid.IntRange(0, 2).Draw(t, "mistakes") {
		at := rapid.IntRange(0, len(body)).Draw(t, "at")
		junk := rapid.SampledFrom([]string{"", "0", "-", ".", "e", ",", ":", "\"", "\\", "{", "}", "[", "]", "n", "\x01", "\t", "\n", " ", "\xff"}).Draw(t, "junk")
		to := min(len(body), at+rapid.IntRange(0, 2).Draw(t, "instead"))
		body = append(append(append([]byte(nil), body[:at]...), junk...), body[to:]...)
	}
	return body
}

// Guarantee: what is read at a glance is what would have been read without one, whatever a body is and wherever it is cut.
func TestAGlanceSaysTheSame(t *testing.T) {
	t.Parallel()
	p := glancedPaths(t)
	for _, kind := range []Kind{JSON, Events, Lines} {
		read := 0
		rapid.Check(t, func(t *rapid.T) {
			body := drawBody(t, kind)
			for cut := 0; cut <= len(body); cut += 1 + rapid.IntRange(0, len(body)/16).Draw(t, "further") {
				read += sameAtAGlance(t, p, kind, body, cut)
			}
			want, _ := told(p, kind, false, pieces(t, body)...)
			if got, _ := told(p, kind, true, pieces(t, body)...); unbounded(got) != unbounded(want) {
				t.Fatalf("in pieces: %s\nwant %s", got, want)
			}
		})
		if read == 0 {
			t.Errorf("nothing of kind %v was read at a glance", kind)
		}
	}
}

// unbounded is what was said without boundaries, which depend on the pieces.
func unbounded(said string) string {
	var out []string
	for line := range strings.SplitSeq(said, "\n") {
		if !strings.HasPrefix(line, "boundary") {
			out = append(out, line)
		}
	}
	return strings.Join(out, "\n")
}

// FuzzGlance looks for bodies of which a glance says something else.
func FuzzGlance(f *testing.F) {
	for _, text := range []string{
		`{"a":1,"usage":{"b":{"a":2},"a":"x"},"event_type":"y"}`, `{"a":1,"a":2}`, `{"usage":{},"usage":{"a":1}}`, `{"\u0061":1}`, `{"a":"\n"}`,
		"data: {\"a\":1}\n\ndata: [DONE]\n\n", "data: {\"a\":1}\ndata: {}\n\n", "{\"a\":1}\n{\"b\":true}\n", `{"b":[1,2,{"c":[]}],"a":-0.5e3}`, `[{"a":1},{"b":2}]`,
	} {
		f.Add([]byte(text), 3, uint8(1))
		f.Add([]byte(text), len(text), uint8(2))
	}
	p := glancedPaths(f)
	f.Fuzz(func(t *testing.T, body []byte, cut int, kind uint8) {
		kinds := []Kind{JSON, Events, Lines}
		sameAtAGlance(t, p, kinds[int(kind)%len(kinds)], body, max(0, min(cut, len(body))))
	})
}

// Guarantee: a glance reads what is plain, and leaves to the projection what it does not vouch for.
func TestWhatIsReadAtAGlance(t *testing.T) {
	t.Parallel()
	p := glancedPaths(t)
	long, deep := strings.Repeat("x", maxText+1), 65
	for _, c := range []struct {
		text string
		want bool
	}{
		{`{}`, true},
		{`{"a":1}`, true},
		{" \r\n\t{ \"a\" : 1 ,\n        \"x\" : [ ] , \"y\":{ }}\n", true},
		{`{"a":null,"b":true,"abcdefgh":false,"usage":{"a":-0.5e+3,"b":{"a":"é","abcdefgh":""}}}`, true},
		{`{"x":"\"\\\/\b\f\n\r\t\u00e9","y":{"\n":{"a":"\ud800"}},"a":1}`, true},
		{`{"x":[1,-2.5,[true,false,null,{"a":[]}],{}],"a":1}`, true},
		{`{"usage":[1],"type":["x"]}`, true},
		{`{"\n":1}`, false},
		{`{"x":"` + long + `"}`, true},
		{`{"x":` + strings.Repeat("[", deep-1) + strings.Repeat("]", deep-1) + `}`, true},
		{`{"x":` + strings.Repeat("[", deep) + strings.Repeat("]", deep) + `}`, false},
		{`{"a":"` + long + `"}`, false},
		{`{"a":1` + strings.Repeat("0", maxNumber) + `}`, false},
		{`{"type":"` + long[:maxLabel+1] + `"}`, false},
		{`{"a":[]}`, false},
		{`{"a":{}}`, false},
		{`{"a":"\n"}`, false},
		{`{"\u0061":1}`, false},
		{`{"a":1,"a":2}`, false},
		{`{"usage":{"a":1},"usage":{"b":1}}`, false},
		{`[1]`, false},
		{`1`, false},
		{`{"a":01}`, false},
		{`{"a":1,}`, false},
		{`{"a":1}}`, false},
		{`{"x":"` + "\t" + `"}`, false},
		{`{"x":"\x"}`, false},
		{`{"x":[1,]}`, false},
		{`{"x":{"y":1,}}`, false},
		{`{"x":nul}`, false},
		{`{"x" 1}`, false},
		{`{,}`, false},
	} {
		if read := sameAtAGlance(t, p, JSON, []byte(c.text), len(c.text)); (read > 0) != c.want {
			t.Errorf("%.80s: read at a glance %v, want %v", c.text, read > 0, c.want)
		}
	}
}

// Guarantee: paths that want more than plain values are not read at a glance.
func TestPathsOfAGlance(t *testing.T) {
	t.Parallel()
	for path, want := range map[string]bool{
		"a": true, "usage.input-tokens": true, "_x.Y1": true, "a.#": false, "a.0": false, "a.#.b": false, `a.#(b=="c").d`: false, `a\.b`: false, "é": false, "1a": false,
	} {
		p, err := NewPaths("model", path)
		if err != nil {
			t.Fatal(err)
		}
		if (p.top != nil) != want {
			t.Errorf("%s: %v, want %v", path, p.top != nil, want)
		}
	}
	p, err := NewPaths("a")
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Counts("b"); err != nil || p.top == nil {
		t.Error("whether something is there is not read at a glance")
	}
	if err := p.Lengths("c"); err != nil || p.top != nil {
		t.Error("lengths are read at a glance")
	}
	var many []string
	for i := range mostSpots {
		many = append(many, fmt.Sprintf("a%d", i))
	}
	if p, err = NewPaths(many...); err != nil || p.top != nil {
		t.Error("more is read at a glance than there are bits for")
	}
}

// Guarantee: a glance finds the end of a text of any length, wherever in a word of the processor it is.
func TestPlainText(t *testing.T) {
	t.Parallel()
	for _, c := range []byte{'"', '\\', 0, 1, 0x1f, ' ', '!', '#', '[', ']', 0x7f, 0x80, 0xa2, 0xdc, 0xff} {
		for size := range 70 {
			for at := range size {
				p := []byte(strings.Repeat("z", size))
				p[at] = c
				want := size
				if c < ' ' || c == '"' || c == '\\' {
					want = at
				}
				if got := plain(p); got != want {
					t.Fatalf("%#x at %d of %d: %d, want %d", c, at, size, got, want)
				}
				if got := stop(p, 0); got != want {
					t.Fatalf("stop: %#x at %d of %d: %d, want %d", c, at, size, got, want)
				}
			}
		}
	}
}
