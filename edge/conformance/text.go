package conformance

import (
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
)

// parseText reads bytes as cases write them: Go strings joined by +, each of which may be repeated by
// * and a number. "a" * 3 + "b" is aaab.
func parseText(s string) (string, error) {
	var out strings.Builder
	for rest := strings.TrimSpace(s); ; {
		quoted, err := strconv.QuotedPrefix(rest)
		if err != nil {
			return "", fmt.Errorf("%q does not begin with a string in quotes", rest)
		}
		part, err := strconv.Unquote(quoted)
		if err != nil {
			return "", fmt.Errorf("%s: %w", quoted, err)
		}
		rest = strings.TrimSpace(rest[len(quoted):])
		times := 1
		if after, ok := strings.CutPrefix(rest, "*"); ok {
			number, more, _ := strings.Cut(after, "+")
			if times, err = strconv.Atoi(strings.TrimSpace(number)); err != nil || times < 0 || times*len(part) > 1<<28 {
				return "", fmt.Errorf("%q is no number of times", number)
			}
			rest = strings.TrimSpace(strings.TrimPrefix(after, number))
			_ = more
		}
		out.WriteString(strings.Repeat(part, times))
		if rest == "" {
			return out.String(), nil
		}
		after, ok := strings.CutPrefix(rest, "+")
		if !ok {
			return "", fmt.Errorf("%q where + or the end belongs", rest)
		}
		rest = strings.TrimSpace(after)
	}
}

// pieces cuts a text at random. Where TCP cuts it must make no difference to anybody.
func pieces(rng *rand.Rand, text string) []string {
	var out []string
	for len(text) > 0 && len(out) < 6 {
		n := 1 + rng.IntN(len(text))
		if rng.IntN(3) == 0 {
			n = 1 + rng.IntN(min(len(text), 3))
		}
		out = append(out, text[:n])
		text = text[n:]
	}
	if text != "" {
		out = append(out, text)
	}
	return out
}

// short is a text as messages show it.
func short(s string) string {
	const most = 300
	if len(s) > most {
		return fmt.Sprintf("%q… (%d bytes)", s[:most], len(s))
	}
	return strconv.Quote(s)
}

// differ says where two texts part.
func differ(got, want string) string {
	n := 0
	for n < len(got) && n < len(want) && got[n] == want[n] {
		n++
	}
	if n < 100 {
		return fmt.Sprintf("got %s, want %s", short(got), short(want))
	}
	from := n - 20
	return fmt.Sprintf("differs at byte %d of %d and %d: got …%s, want …%s", n, len(got), len(want), short(got[from:]), short(want[from:]))
}
