package meter

import (
	"regexp"
	"regexp/syntax"
	"strings"
	"unicode/utf8"
)

// pattern is a regular expression that paths are matched with. Most are a text that a path ends with, begins with or has in
// it, and every request is asked for one or two of them, so that such are not run as expressions.
type pattern struct {
	re         *regexp.Regexp
	text       string
	begin, end bool // the text is where the path begins, or ends
	plain      bool // text says it all
}

// newPattern makes a pattern of an expression that compiles.
func newPattern(re *regexp.Regexp) *pattern {
	p := &pattern{re: re}
	tree, err := syntax.Parse(re.String(), syntax.Perl)
	if err != nil {
		return p
	}
	parts := []*syntax.Regexp{tree}
	if tree.Op == syntax.OpConcat {
		parts = tree.Sub
	}
	if len(parts) > 0 && parts[0].Op == syntax.OpBeginText {
		p.begin, parts = true, parts[1:]
	}
	if n := len(parts); n > 0 && parts[n-1].Op == syntax.OpEndText {
		p.end, parts = true, parts[:n-1]
	}
	if len(parts) == 1 && parts[0].Op == syntax.OpLiteral && parts[0].Flags&syntax.FoldCase == 0 {
		p.text = string(parts[0].Rune)
		p.plain = strings.IndexFunc(p.text, func(c rune) bool { return c >= utf8.RuneSelf }) < 0
	}
	return p
}

// matches says whether a path has what the expression says.
func (p *pattern) matches(path string) bool {
	switch {
	case !p.plain:
		return p.re.MatchString(path)
	case p.begin && p.end:
		return path == p.text
	case p.begin:
		return strings.HasPrefix(path, p.text)
	case p.end:
		return strings.HasSuffix(path, p.text)
	default:
		return strings.Contains(path, p.text)
	}
}
