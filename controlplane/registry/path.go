package registry

import (
	"fmt"
	"strings"
)

// checkPath keeps to one spelling of each path, so that two endpoints never differ only in how they
// are written, and to characters that mean themselves in a URL.
func checkPath(p *Problems, path string, exact bool) {
	if code, reason := pathProblem(path, exact); code != "" {
		p.Add("path", code, "%s", reason)
	}
}

func pathProblem(path string, exact bool) (code, reason string) {
	switch {
	case path == "":
		return PathRequired, "Enter the path callers will use, for example /bria."
	case len(path) > 1024:
		return Range, "The path is longer than 1024 bytes."
	case path[0] != '/':
		return PathForm, fmt.Sprintf("The path %q does not begin with /.", clip(path))
	case strings.ContainsAny(path, "?#"):
		return PathQuery, "A path cannot contain ? or #: callers' queries go on to the target as they are."
	case strings.Contains(path, "%"):
		return PathChars, "A path cannot contain %: percent-encoded characters have more than one spelling."
	}
	for i := range len(path) {
		if !pathChar(path[i]) {
			r := []rune(path[i:])[0]
			return PathChars, fmt.Sprintf("A path cannot contain %q: use letters, digits and -._~!$&'()*+,;=:@/", r)
		}
	}
	if path == "/" {
		return "", ""
	}
	if strings.Contains(path, "//") {
		return PathForm, "A path cannot contain //: an empty segment matches nothing."
	}
	segments := strings.Split(path[1:], "/")
	if segments[0] == "-" {
		return PathReserved, "Paths under /-/ are kept for the gateway itself: use another."
	}
	for _, s := range segments {
		if s == "." || s == ".." {
			return PathForm, fmt.Sprintf("A path cannot contain the segment %q: clients remove it before they send.", s)
		}
	}
	if segments[len(segments)-1] == "" {
		if exact {
			return PathForm, "An exact path cannot end with /: leave it out, or match the path as a prefix."
		}
		return PathForm, "A path cannot end with /: leave it out."
	}
	return "", ""
}

// pathChar is RFC 3986's pchar without percent-encoding, and the slash.
func pathChar(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' ||
		strings.IndexByte("-._~!$&'()*+,;=:@/", c) >= 0
}
