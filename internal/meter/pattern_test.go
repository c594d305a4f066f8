package meter

import (
	"regexp"
	"testing"

	"pgregory.net/rapid"
)

// Guarantee: a pattern matches what its expression does, also where it is not run.
func TestPatterns(t *testing.T) {
	t.Parallel()
	texts := map[string]bool{
		`/chat$`: true, `^/v1/chat$`: true, `^/v1`: true, `chat`: true, `/a\.b$`: true, `^/chat\z`: true, `\Achat`: true, `(?:/chat)$`: true,
		``: false, `^$`: false, `$`: false, `/(chat|v1)$`: false, `(?i)chat$`: false, `(?m)^chat$`: false, `/ch.t$`: false, `é$`: false, `/chat/?$`: false, `chat$|^/v1`: false, `a$b`: false,
		`[c]hat$`: true, `chat\b`: false, `^^chat`: false,
	}
	var patterns []*pattern
	for text, plain := range texts {
		p := newPattern(regexp.MustCompile(text))
		if patterns = append(patterns, p); p.plain != plain {
			t.Errorf("%s: plain %v, want %v", text, p.plain, plain)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		path := ""
		for range rapid.IntRange(0, 4).Draw(t, "parts") {
			path += rapid.SampledFrom([]string{"/", "chat", "CHAT", "/v1", "a.b", "aXb", "\n", "é", "\xff", "x"}).Draw(t, "part")
		}
		for _, p := range patterns {
			if got, want := p.matches(path), p.re.MatchString(path); got != want {
				t.Fatalf("%s with %q: %v, want %v", p.re, path, got, want)
			}
		}
	})
}
