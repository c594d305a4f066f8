package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"reflect"
	"regexp"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
)

// file reads raw into root. It walks the nodes itself, because the yaml
// package stops at the first syntax problem of a value, knows no key paths,
// and would expand variables only in text, where a value can break the syntax.
func (l *loader) file(raw []byte, root reflect.Value) {
	dec := yaml.NewDecoder(bytes.NewReader(raw))
	var doc yaml.Node
	if err := dec.Decode(&doc); err != nil {
		if !errors.Is(err, io.EOF) { // an empty file sets nothing
			l.problems = append(l.problems, fmt.Errorf("%s: %w", l.path, err))
		}
		return
	}
	var more yaml.Node
	if err := dec.Decode(&more); !errors.Is(err, io.EOF) {
		l.fail(more.Line, "", "only one document is allowed")
		return
	}
	if len(doc.Content) == 1 && !isNull(doc.Content[0]) {
		l.section(doc.Content[0], root, "")
	}
}

func isNull(n *yaml.Node) bool { return n.Kind == yaml.ScalarNode && n.ShortTag() == "!!null" }

// section reads a mapping into a struct.
func (l *loader) section(n *yaml.Node, v reflect.Value, parent string) {
	n = follow(n)
	if isNull(n) {
		return // a heading with nothing under it
	}
	if n.Kind != yaml.MappingNode {
		l.fail(n.Line, parent, "must be a mapping")
		return
	}
	fields := fieldsOf(v)
	l.pairs(n, parent, func(k, val *yaml.Node, key string) {
		for _, f := range fields {
			if f.key == k.Value {
				l.value(val, f.value, key)
				return
			}
		}
		l.fail(k.Line, key, "unknown key%s", suggest(k.Value, fields))
	})
}

// pairs calls do for each pair of a mapping, and refuses a key given twice.
func (l *loader) pairs(n *yaml.Node, parent string, do func(k, v *yaml.Node, key string)) {
	seen := map[string]int{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		k, v := n.Content[i], n.Content[i+1]
		key := join(parent, k.Value)
		if first, twice := seen[k.Value]; twice {
			l.fail(k.Line, key, "already set in line %d", first)
			continue
		}
		seen[k.Value] = k.Line
		l.lines[key] = k.Line
		do(k, v, key)
	}
}

func (l *loader) value(n *yaml.Node, v reflect.Value, key string) {
	n = follow(n)
	t := v.Type()
	custom := reflect.PointerTo(t).Implements(yamlUnmarshalerType)
	switch {
	case isSection(t):
		l.section(n, v, key)
	case t.Kind() == reflect.Pointer && !isNull(n):
		if v.IsNil() {
			v.Set(reflect.New(t.Elem()))
		}
		l.value(n, v.Elem(), key)
	case t.Kind() == reflect.Slice && n.Kind == yaml.SequenceNode && !custom:
		list := reflect.MakeSlice(t, len(n.Content), len(n.Content))
		for i, item := range n.Content {
			l.value(item, list.Index(i), fmt.Sprintf("%s[%d]", key, i))
		}
		v.Set(list)
	case t.Kind() == reflect.Map && n.Kind == yaml.MappingNode && t.Key().Kind() == reflect.String && !custom:
		m := reflect.MakeMap(t)
		l.pairs(n, key, func(k, val *yaml.Node, key string) {
			item := reflect.New(t.Elem()).Elem()
			l.value(val, item, key)
			m.SetMapIndex(reflect.ValueOf(k.Value).Convert(t.Key()), item)
		})
		v.Set(m)
	default:
		l.scalar(n, v, key)
	}
}

func (l *loader) scalar(n *yaml.Node, v reflect.Value, key string) {
	if l.expand(n, key); l.bad[key] {
		return
	}
	if isNull(n) {
		l.fail(n.Line, key, "has no value")
		return
	}
	if v.Type() == durationType {
		d, err := time.ParseDuration(n.Value)
		if n.Kind != yaml.ScalarNode || err != nil {
			l.fail(n.Line, key, `not a duration such as "30s"`)
			return
		}
		v.SetInt(int64(d))
		return
	}
	if err := n.Decode(v.Addr().Interface()); err != nil {
		if _, secret := v.Interface().(Secret); secret {
			err = errors.New("must be text")
		}
		l.fail(n.Line, key, "%s", plain(err))
	}
}

var variable = regexp.MustCompile(`\$?\$\{([^}]*)\}`)

// expand replaces variables in a scalar and everything under other nodes.
func (l *loader) expand(n *yaml.Node, key string) {
	for _, c := range n.Content {
		l.expand(c, key)
	}
	if n.Kind != yaml.ScalarNode || !strings.Contains(n.Value, "${") {
		return
	}
	n.Value = variable.ReplaceAllStringFunc(n.Value, func(m string) string {
		if strings.HasPrefix(m, "$$") {
			return m[1:]
		}
		name := m[2 : len(m)-1]
		text, ok := l.getenv(name)
		if !ok {
			l.fail(n.Line, key, "variable %s is not set", name)
		}
		return text
	})
	// A bare ${PORT} becomes a number if it looks like one; a quoted one stays
	// text. Nothing an environment holds turns into null.
	if n.Style&(yaml.DoubleQuotedStyle|yaml.SingleQuotedStyle|yaml.LiteralStyle|yaml.FoldedStyle) == 0 {
		n.Tag = ""
		if n.ShortTag() == "!!null" {
			n.Tag = "!!str"
		}
	}
}

func follow(n *yaml.Node) *yaml.Node {
	if n.Kind == yaml.AliasNode {
		return n.Alias
	}
	return n
}

// plain shortens what the yaml package says to the part that helps: the line
// is known already, and a rejected value may be a credential.
func plain(err error) string {
	var te *yaml.TypeError
	if !errors.As(err, &te) || len(te.Errors) == 0 {
		return err.Error()
	}
	_, into, ok := strings.Cut(te.Errors[0], " into ")
	if !ok {
		return te.Errors[0]
	}
	switch into {
	case "int", "int8", "int16", "int32", "int64", "uint", "uint8", "uint16", "uint32", "uint64":
		return "not a whole number in range"
	case "bool":
		return "not true or false"
	default:
		return "cannot be read as " + into
	}
}

// suggest names the key that was probably meant.
func suggest(got string, fields []field) string {
	best, distance := "", 3
	for _, f := range fields {
		if d := editDistance(got, f.key); d < distance {
			best, distance = f.key, d
		}
	}
	if best == "" {
		return ""
	}
	return fmt.Sprintf(" (did you mean %s?)", best)
}

func editDistance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, row[j]+1, diagonal+1)
		}
	}
	return row[len(b)]
}
