package frame

import (
	"bytes"
	"strings"
	"testing"

	"github.com/tidwall/gjson"
)

// Guarantee: a body that is nothing but brackets takes no stack: what is deeper than can be read is refused.
func TestValidIsNotDeep(t *testing.T) {
	t.Parallel()
	for depth, want := range map[int]bool{1: true, maxDepth: true, maxDepth + 1: false, 8 << 20: false} {
		if Valid([]byte(strings.Repeat("[", depth)+strings.Repeat("]", depth))) != want {
			t.Errorf("%d deep: not %v", depth, want)
		}
	}
	if Valid(bytes.Repeat([]byte(`{"a":`), 4<<20)) {
		t.Error("it never ends")
	}
}

// Guarantee: what is valid is what other readers take for a document.
func FuzzValid(f *testing.F) {
	for _, text := range []string{"", " ", "1", "-0.5e3 ", `"a\u00e9"`, "{}", `{"a":[1,{"b":null}]} `, "{} x", "nul", `{"a":NaN}`, "\ufeff{}", "01", "[1,]", "1 2", `"` + "\x01\""} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		if bytes.Count(text, []byte("["))+bytes.Count(text, []byte("{")) > maxDepth {
			return
		}
		if got := Valid(text); got != gjson.ValidBytes(text) {
			t.Errorf("%q: %v", text, got)
		}
	})
}
