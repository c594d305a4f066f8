// Package headervalue reads the values of configured headers, and of what is configured like them, in
// which references stand for what must not be written down: "${secret:NAME}", "${env:NAME}" and
// "${base64:TEXT}", where TEXT may hold references itself. It parses and substitutes; where a secret or
// variable comes from is its caller's business.
package headervalue

import (
	"encoding/base64"
	"fmt"
	"strings"
)

// Kind says where a reference points.
type Kind string

// The kinds of references.
const (
	Secret Kind = "secret"
	Env    Kind = "env"
)

// Ref is one reference.
type Ref struct {
	Kind Kind
	Name string
}

// Value is a parsed header value.
type Value struct{ parts []part }

// part is a literal, a reference, or base64 of nested parts.
type part struct {
	literal string
	ref     *Ref
	base64  []part
}

// maxDepth bounds nesting; one level is all that Basic credentials need.
const maxDepth = 4

// Parse reads a value. "$${" stands for a literal "${".
func Parse(s string) (Value, error) {
	parts, rest, err := parse(s, 0)
	if err != nil {
		return Value{}, err
	}
	if rest != "" {
		return Value{}, fmt.Errorf("unexpected %q", rest)
	}
	return Value{parts}, nil
}

// parse reads up to the end, or at depth > 0 up to the closing brace, which it leaves in rest.
func parse(s string, depth int) (parts []part, rest string, err error) {
	if depth > maxDepth {
		return nil, "", fmt.Errorf("references are nested more than %d deep", maxDepth)
	}
	var literal strings.Builder
	flush := func() {
		if literal.Len() > 0 {
			parts = append(parts, part{literal: literal.String()})
			literal.Reset()
		}
	}
	for s != "" {
		switch {
		case strings.HasPrefix(s, "$${"):
			literal.WriteString("${")
			s = s[3:]
		case strings.HasPrefix(s, "${"):
			flush()
			var p part
			if p, s, err = reference(s[2:], depth); err != nil {
				return nil, "", err
			}
			parts = append(parts, p)
		case depth > 0 && s[0] == '}':
			flush()
			return parts, s, nil
		default:
			literal.WriteByte(s[0])
			s = s[1:]
		}
	}
	flush()
	return parts, "", nil
}

// reference reads what follows "${" up to and including its "}".
func reference(s string, depth int) (part, string, error) {
	kind, rest, ok := strings.Cut(s, ":")
	if !ok {
		return part{}, "", fmt.Errorf("%q is not a reference: use ${secret:NAME}, ${env:NAME} or ${base64:TEXT}", "${"+s)
	}
	switch kind {
	case string(Secret), string(Env):
		name, rest, ok := strings.Cut(rest, "}")
		if !ok || !validName(name) {
			return part{}, "", fmt.Errorf("${%s:%s is not closed by } or has no valid name", kind, name)
		}
		return part{ref: &Ref{Kind(kind), name}}, rest, nil
	case "base64":
		inner, rest, err := parse(rest, depth+1)
		if err != nil {
			return part{}, "", err
		}
		if !strings.HasPrefix(rest, "}") {
			return part{}, "", fmt.Errorf("${base64: is not closed by }")
		}
		return part{base64: inner}, rest[1:], nil
	default:
		return part{}, "", fmt.Errorf("${%s:…} is not known: use ${secret:NAME}, ${env:NAME} or ${base64:TEXT}", kind)
	}
}

func validName(s string) bool {
	if s == "" || len(s) > 128 {
		return false
	}
	for i := range len(s) {
		c := s[i]
		if !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-' || c == '_' || c == '.') {
			return false
		}
	}
	return true
}

// Refs lists the references in order of appearance.
func (v Value) Refs() []Ref { return refs(v.parts) }

func refs(parts []part) (out []Ref) {
	for _, p := range parts {
		if p.ref != nil {
			out = append(out, *p.ref)
		}
		out = append(out, refs(p.base64)...)
	}
	return out
}

// Text substitutes every reference for a place where any text may stand, such as a certificate's.
func (v Value) Text(lookup func(Ref) (string, error)) (string, error) {
	return resolve(v.parts, lookup)
}

// Resolve substitutes every reference. The result is refused if it cannot stand in a header, so that
// a secret with a line end cannot add headers.
func (v Value) Resolve(lookup func(Ref) (string, error)) (string, error) {
	s, err := v.Text(lookup)
	if err != nil {
		return "", err
	}
	if strings.ContainsAny(s, "\r\n\x00") {
		return "", fmt.Errorf("the value has a line end in it")
	}
	return s, nil
}

func resolve(parts []part, lookup func(Ref) (string, error)) (string, error) {
	var b strings.Builder
	for _, p := range parts {
		switch {
		case p.ref != nil:
			s, err := lookup(*p.ref)
			if err != nil {
				return "", err
			}
			b.WriteString(s)
		case p.base64 != nil:
			s, err := resolve(p.base64, lookup)
			if err != nil {
				return "", err
			}
			b.WriteString(base64.StdEncoding.EncodeToString([]byte(s)))
		default:
			b.WriteString(p.literal)
		}
	}
	return b.String(), nil
}
