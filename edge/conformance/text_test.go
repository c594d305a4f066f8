package conformance

import (
	"math/rand/v2"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// Guarantee: what is written as text is read as the bytes that it stands for, or refused.
func TestParseText(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		`"a"`: "a", `"a" * 3`: "aaa", `"a" * 2 + "b"`: "aab", `"a*2+\"" + "\x00\xff"`: "a*2+\"\x00\xff", ` "a"+"b"*0+"c" `: "ac", "`raw\\n`": `raw\n`,
	} {
		if got, err := parseText(in); err != nil || got != want {
			t.Errorf("%s: %q %v, want %q", in, got, err, want)
		}
	}
	for _, in := range []string{"", "a", `"a`, `"a" "b"`, `"a" *`, `"a" * x`, `"a" * -1`, `"a" +`, `"abcdefgh" * 100000000`} {
		if got, err := parseText(in); err == nil {
			t.Errorf("%s: %q was taken", in, got)
		}
	}
}

// Guarantee: the pieces of a text are the text.
func TestPieces(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.String().Draw(t, "text")
		seed := rapid.Uint64().Draw(t, "seed")
		parts := pieces(rand.New(rand.NewPCG(seed, seed)), text)
		if got := strings.Join(parts, ""); got != text {
			t.Fatalf("%q became %q", text, got)
		}
		for _, p := range parts {
			if p == "" {
				t.Fatal("a piece is empty")
			}
		}
	})
}
