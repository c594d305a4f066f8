package frame

import (
	"encoding/json"
	"fmt"
	"strings"
	"unicode/utf8"
)

// Paths are what is asked for of frames. They do not change once a stream uses them.
//
// A path is made of names, divided by points: "usage.prompt_tokens". A number is also the place of an element, from 0.
// "#" at the end is how many elements an array has; followed by a point it stands for each of them, "#(kind==\"a\")" for
// the first that is so, and "#(kind==\"a\")#" for all that are. A backslash makes an ordinary character of the next one.
// This is a part of gjson's language, so that gjson finds in Frame.Doc what a path says.
//
// Two things differ from what gjson finds in the frame itself. Of a name that an object has more than once the last
// holds, as for the libraries that clients read answers with. And where there is no array, "#" finds nothing.
type Paths struct {
	root  *node // of a frame
	count int
	// top is root as a glance sees it; nil if there is more to it than plain values.
	top *spot
	// wrap is root for AWS's chunks: what the text at "bytes" stands for is read as a frame of its own.
	wrap *node
}

// NewPaths takes paths whose values are wanted. The error names the place: "at 7: a name is missing after the point".
func NewPaths(paths ...string) (*Paths, error) {
	p := &Paths{root: &node{}}
	for _, name := range [...]string{"type", "event_type"} { // at the places that label looks at
		p.root.kid(name).label = true
	}
	return p, p.add(asValue, paths)
}

// Lengths adds paths of texts of which only the length is wanted. In Doc a text there is the number of its Unicode
// characters, an array has those of its elements, and everything else is null. A path whose value is wanted as well keeps
// its value.
func (p *Paths) Lengths(paths ...string) error { return p.add(asLength, paths) }

// Counts adds paths of which it is wanted only whether they are there and how many elements an array has. In Doc a text
// there is empty, an array has its number of elements and an object is there, both without what is in them. Other
// values are what they are, and so is one that is wanted otherwise as well.
func (p *Paths) Counts(paths ...string) error { return p.add(asCount, paths) }

func (p *Paths) add(w want, paths []string) error {
	for _, path := range paths {
		steps, err := parsePath(path)
		if err != nil {
			return err
		}
		p.root.add(steps, w)
		p.count++
		p.root.mark(steps, p.count)
	}
	p.root.spread()
	p.wrap = p.root.wrapping("bytes")
	p.top = nil
	if top, ok := spotOf(p.root, new(int)); ok {
		p.top = &top
	}
	return nil
}

// step is one part of a path.
type step struct {
	name  string
	index int // of an element; -1 if the name is no number
	kind  stepKind
	cond  []step // of a query; empty if the element itself is compared
	test  bool   // a query that compares; otherwise it asks whether cond is there
}

type stepKind uint8

const (
	stepName  stepKind = iota
	stepEach           // "#"
	stepQuery          // "#(…)" and "#(…)#"
)

const (
	maxPath    = 1024 // bytes
	maxQueries = 8    // one in the other
)

// parser reads a path. at is where it is.
type parser struct {
	text string
	at   int
	deep int
}

func (p *parser) fail(at int, reason string, args ...any) error {
	return fmt.Errorf("at %d: "+reason, append([]any{at + 1}, args...)...)
}

func parsePath(text string) ([]step, error) {
	p := &parser{text: text}
	switch {
	case text == "":
		return nil, p.fail(0, "a name is missing")
	case len(text) > maxPath:
		return nil, p.fail(maxPath, "it is longer than %d bytes", maxPath)
	case !utf8.ValidString(text):
		return nil, p.fail(0, "it is not UTF-8")
	}
	steps, err := p.steps()
	if err == nil && p.at < len(text) {
		err = p.fail(p.at, "%q is not closed by anything before it", text[p.at])
	}
	return steps, err
}

// steps reads up to the end, or to what ends the path of a query.
func (p *parser) steps() ([]step, error) {
	var steps []step
	for {
		var s step
		var err error
		if p.peek() == '#' {
			s, err = p.array()
		} else {
			s, err = p.name()
		}
		if err != nil {
			return nil, err
		}
		steps = append(steps, s)
		if p.peek() != '.' {
			return steps, nil
		}
		p.at++
		if p.peek() == 0 || p.endsQuery() {
			return nil, p.fail(p.at, "a name is missing after the point")
		}
	}
}

// peek is the next byte; 0 at the end, and no path has a byte 0.
func (p *parser) peek() byte {
	if p.at == len(p.text) {
		return 0
	}
	return p.text[p.at]
}

func (p *parser) endsQuery() bool { return p.deep > 0 && strings.IndexByte(")=!<>", p.peek()) >= 0 }

// reserved are characters that mean something to gjson, or could to someone who reads the path.
const reserved = "|@*?!{}[]()#\"=<>%~,'` "

func (p *parser) name() (step, error) {
	s := step{index: -1}
	start, escaped := p.at, false
	var name strings.Builder
	for p.at < len(p.text) {
		c := p.text[p.at]
		if c == '.' || p.endsQuery() {
			break
		}
		switch {
		case c < ' ' || c == 0x7f:
			return s, p.fail(p.at, "a control character cannot be in a name")
		case c == '\\':
			p.at++
			escaped = true
			if c = p.peek(); c < ' ' {
				return s, p.fail(p.at, "a character is missing after the backslash")
			}
		case strings.IndexByte(reserved, c) >= 0:
			return s, p.fail(p.at, "%q is not in the language of paths; in a name it is written with a backslash before it", c)
		}
		name.WriteByte(c)
		p.at++
	}
	if s.name = name.String(); s.name == "" {
		return s, p.fail(start, "a name is missing")
	}
	if !escaped {
		s.index = number(s.name)
	}
	return s, nil
}

// number is the number that a name is; -1 if it is none, or one that no array has.
func number(name string) int {
	n := 0
	for i := range len(name) {
		if name[i] < '0' || name[i] > '9' || n > 1<<30 {
			return -1
		}
		n = n*10 + int(name[i]-'0')
	}
	return n
}

// array reads what begins with "#".
func (p *parser) array() (step, error) {
	p.at++
	switch c := p.peek(); {
	case c == 0 || c == '.' || p.endsQuery():
		return step{index: -1, kind: stepEach}, nil
	case c != '(':
		return step{}, p.fail(p.at, `after "#" a point, "(" or the end is expected`)
	}
	open := p.at
	p.at++
	if p.deep++; p.deep > maxQueries {
		return step{}, p.fail(open, "more than %d queries are one in the other", maxQueries)
	}
	s, err := p.query()
	if err != nil {
		return s, err
	}
	if p.peek() != ')' {
		return s, p.fail(open, "the query is not closed")
	}
	p.deep--
	p.at++
	if p.peek() == '#' {
		p.at++
	}
	if c := p.peek(); c != 0 && c != '.' && !p.endsQuery() {
		return s, p.fail(p.at, "after a query a point or the end is expected")
	}
	return s, nil
}

func (p *parser) query() (s step, err error) {
	s = step{index: -1, kind: stepQuery}
	if !p.endsQuery() {
		if s.cond, err = p.steps(); err != nil {
			return s, err
		}
	}
	if p.peek() == ')' {
		if s.cond == nil {
			return s, p.fail(p.at, "a condition is missing")
		}
		return s, nil
	}
	for _, op := range [...]string{"==", "!=", "<=", ">=", "<", ">"} {
		if strings.HasPrefix(p.text[p.at:], op) {
			p.at += len(op)
			s.test = true
			return s, p.value()
		}
	}
	return s, p.fail(p.at, "==, !=, <, <=, > or >= is expected")
}

// value reads what is compared with: a text in quotes, a number, true or false.
func (p *parser) value() error {
	start := p.at
	if p.peek() == '"' {
		for p.at++; p.peek() != '"'; p.at++ {
			if p.peek() == '\\' {
				p.at++
			}
			if p.at >= len(p.text) {
				return p.fail(start, "the text is not closed")
			}
		}
		p.at++
	} else {
		for p.at < len(p.text) && p.text[p.at] != ')' {
			p.at++
		}
	}
	text := p.text[start:p.at]
	if !json.Valid([]byte(text)) || text == "null" || strings.ContainsAny(text[:1], "[{ \t\r\n") || strings.TrimSpace(text) != text {
		return p.fail(start, "a text in quotes, a number, true or false is expected")
	}
	return nil
}
