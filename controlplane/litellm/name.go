package litellm

import (
	"strconv"
	"strings"
)

// maxName is how long names of endpoints and secrets may be.
const maxName = 63

// slug makes a name of lower-case letters, digits and single hyphens from any text.
func slug(text, fallback string) string {
	var b strings.Builder
	gap := false
	for _, r := range strings.ToLower(text) {
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' {
			if gap && b.Len() > 0 {
				b.WriteByte('-')
			}
			gap = false
			b.WriteRune(r)
			continue
		}
		gap = true
	}
	if b.Len() == 0 {
		return fallback
	}
	return cut(b.String(), maxName)
}

func cut(s string, most int) string {
	return strings.TrimRight(s[:min(len(s), most)], "-")
}

// unique is the name, with a number behind it if it is given already.
func unique(name string, given map[string]bool) string {
	candidate := name
	for i := 2; given[candidate]; i++ {
		suffix := "-" + strconv.Itoa(i)
		candidate = cut(name, maxName-len(suffix)) + suffix
	}
	return candidate
}

// headerName says whether s can be the name of a header.
func headerName(s string) bool {
	if s == "" || len(s) > 128 {
		return false
	}
	for i := range len(s) {
		c := s[i]
		if !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.IndexByte("!#$%&'*+.^_`|~-", c) >= 0) {
			return false
		}
	}
	return true
}
