package routing

import "strings"

// validPath refuses what no request line can hold, and what is not a path: "*", a fragment, a query.
func validPath(p string) bool {
	if len(p) == 0 || p[0] != '/' {
		return false
	}
	for i := range len(p) {
		if c := p[i]; c <= ' ' || c == 0x7f || c == '#' || c == '?' {
			return false
		}
	}
	return true
}

// climbs says whether some target could read rest as leading above where it begins. Targets differ
// in whether they decode %2F before they remove dot segments, and whether they take a backslash for
// a slash, merge double slashes or ignore what follows a semicolon; each reading must stay below.
func climbs(rest string) bool {
	if !mayClimb(rest) {
		return false
	}
	for _, encoded := range []bool{false, true} {
		for _, backslash := range []bool{false, true} {
			if climbsIf(rest, encoded, backslash) {
				return true
			}
		}
	}
	return false
}

// mayClimb is a quick look: nearly no path has two dots in a row, or an encoded one.
func mayClimb(s string) bool {
	if strings.Contains(s, "..") {
		return true
	}
	for {
		i := strings.IndexByte(s, '%')
		if i < 0 {
			return false
		}
		if dot(s[i:]) > 0 {
			return true
		}
		s = s[i+1:]
	}
}

// dot is how many bytes at the start of s mean a dot.
func dot(s string) int {
	switch {
	case strings.HasPrefix(s, "."):
		return 1
	case len(s) >= 3 && s[0] == '%' && s[1] == '2' && s[2]|0x20 == 'e':
		return 3
	default:
		return 0
	}
}

// separator is how many bytes at the start of s separate segments.
func separator(s string, encoded, backslash bool) int {
	switch {
	case s[0] == '/' || backslash && s[0] == '\\':
		return 1
	case encoded && len(s) >= 3 && s[0] == '%' && s[1] == '2' && s[2]|0x20 == 'f':
		return 3
	case encoded && backslash && len(s) >= 3 && s[0] == '%' && s[1] == '5' && s[2]|0x20 == 'c':
		return 3
	default:
		return 0
	}
}

// climbsIf counts the depth of segments under one reading.
func climbsIf(s string, encoded, backslash bool) bool {
	depth := 0
	for {
		end, width := 0, 0
		for end < len(s) {
			if width = separator(s[end:], encoded, backslash); width > 0 {
				break
			}
			end++
		}
		switch kind(s[:end]) {
		case parent:
			if depth--; depth < 0 {
				return true
			}
		case named:
			depth++
		}
		if end == len(s) {
			return false
		}
		s = s[end+width:]
	}
}

const (
	named = iota
	here
	parent
)

// kind tells dot segments from others. An empty segment leads nowhere, as where slashes are merged.
func kind(segment string) int {
	segment, _, _ = strings.Cut(segment, ";")
	dots := 0
	for segment != "" {
		n := dot(segment)
		if n == 0 {
			return named
		}
		dots++
		segment = segment[n:]
	}
	switch dots {
	case 0, 1:
		return here
	case 2:
		return parent
	default:
		return named
	}
}
