package meter

import (
	"regexp"
	"strconv"
	"strings"
)

// A path can be read in more than one way: escapes are taken off before or after the pattern is tried, segments of one or two
// dots lead elsewhere, slashes are merged, what follows a semicolon is left out, case does not matter. Vendors do some of
// that. A request whose meter depends on it could be read by one and done by another.

// Agreed says whether every target takes the request for one of this meter, which is its plan's for it; nil is none.
func (p *Plan) Agreed(m *Meter, r *Request) bool {
	if m != nil && m.any {
		return true
	}
	if strings.ContainsAny(r.Path, `%\;`) || strings.Contains(r.Path, "//") || strings.Contains(r.Path, "/.") || strings.HasSuffix(r.Path, "/") {
		for _, slashes := range []bool{false, true} {
			path, climbs := plainPath(r.Path, slashes)
			if climbs || !p.same(m, r, path) {
				return false
			}
		}
		return true
	}
	if m != nil && !capital(r.Path) {
		return true // just this path was asked for when the meter was found
	}
	return p.same(m, r, r.Path)
}

// capital says whether a path has a capital letter.
func capital(path string) bool {
	for i := range len(path) {
		if path[i]-'A' < 26 {
			return true
		}
	}
	return false
}

// same says whether a path has no other meter. One that has none at all does no harm: the target does not know it.
func (p *Plan) same(m *Meter, r *Request, path string) bool {
	if found := p.first(r, path, false); found != nil && found != m {
		return false
	}
	if !capital(path) {
		return true
	}
	found := p.first(r, path, true)
	return found == nil || found == m
}

// plainPath is a path as a target reads it that does all of that, with slashes that are escaped if slashes says so. climbs
// says that it has segments of two dots, which no path of an API needs.
func plainPath(path string, slashes bool) (plain string, climbs bool) {
	path = strings.ReplaceAll(unescaped(path, slashes), `\`, "/")
	var segments []string
	for segment := range strings.SplitSeq(path, "/") {
		switch segment, _, _ = strings.Cut(segment, ";"); segment {
		case "", ".":
		case "..":
			return "", true
		default:
			segments = append(segments, segment)
		}
	}
	return "/" + strings.Join(segments, "/"), false
}

// unescaped takes off the escapes that make sense. Those of slashes of both kinds stay unless slashes is set.
func unescaped(path string, slashes bool) string {
	var out strings.Builder
	for i := 0; i < len(path); i++ {
		c := path[i]
		if c == '%' && i+2 < len(path) {
			if n, err := strconv.ParseUint(path[i+1:i+3], 16, 8); err == nil && (slashes || n != '/' && n != '\\') {
				c = byte(n)
				i += 2
			}
		}
		out.WriteByte(c)
	}
	return out.String()
}

// first is the meter that reads a request with another path; loose says that case does not matter.
func (p *Plan) first(r *Request, path string, loose bool) *Meter {
	for _, m := range p.meters {
		pattern := m.path
		if loose {
			pattern = m.loose
		}
		if m.serves(r) && (pattern == nil || pattern.matches(path)) {
			return m
		}
	}
	return nil
}

// caseless is a pattern that does not look at case.
func caseless(text string) *pattern {
	re, err := regexp.Compile("(?i:" + text + ")")
	if err != nil {
		return nil // it has been compiled without
	}
	return newPattern(re)
}
