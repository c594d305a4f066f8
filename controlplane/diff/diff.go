// Package diff says what is different between two forms of an object, field by field, as people read it. It promises that every
// difference is told exactly once, in an order that depends on nothing but the two forms, and that no part of a value that is to be
// hidden is in the answer. It is not for applying differences, and knows no kind of object.
package diff

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// Hidden stands for a value that must not be seen.
const Hidden = "(changed)"

// Change is a field before and after.
type Change struct {
	Path   string // "price.per_request", "headers[1].value"; empty for the whole
	Before string // as JSON; empty if there was none
	After  string // as JSON; empty if there is none
}

// JSON compares two forms in JSON; one that is empty stands for an object that is not there. Objects and lists of them are compared by
// their parts, and a list of plain values is one value. Null and an empty list are the same as nothing. Where hidden says so, a field
// and all within it is one value that is not shown; nil hides nothing.
func JSON(before, after []byte, hidden func(path string) bool) []Change {
	if hidden == nil {
		hidden = func(string) bool { return false }
	}
	c := comparison{hidden: hidden}
	c.compare("", read(before), read(after))
	return c.found
}

// read keeps numbers as they are written. What is not JSON is a text.
func read(raw []byte) any {
	if len(bytes.TrimSpace(raw)) == 0 {
		return nil
	}
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		return string(raw)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return string(raw)
	}
	return tidy(v)
}

// tidy leaves out what is the same as nothing, at every depth.
func tidy(v any) any {
	switch v := v.(type) {
	case map[string]any:
		for name, part := range v {
			if part = tidy(part); part == nil {
				delete(v, name)
			} else {
				v[name] = part
			}
		}
	case []any:
		if len(v) == 0 {
			return nil
		}
		for i := range v {
			v[i] = tidy(v[i])
		}
	}
	return v
}

type comparison struct {
	hidden func(path string) bool
	found  []Change
}

// compare tells what differs below a path. What is new or gone is told by its parts as well, so that what is hidden stays so.
func (c *comparison) compare(path string, before, after any) {
	if path != "" && c.hidden(path) {
		if a, b := text(before), text(after); a != b {
			c.found = append(c.found, Change{path, masked(a), masked(b)})
		}
		return
	}
	was, is := members(before), members(after)
	first, second := elements(before), elements(after)
	switch {
	case len(was)+len(is) > 0 && (before == nil || was != nil) && (after == nil || is != nil):
		names := slices.AppendSeq(slices.Collect(maps.Keys(was)), maps.Keys(is))
		slices.Sort(names)
		for _, name := range slices.Compact(names) {
			c.compare(member(path, name), was[name], is[name])
		}
	case (parted(first) || parted(second)) && (before == nil || first != nil) && (after == nil || second != nil):
		for i := range max(len(first), len(second)) {
			c.compare(path+"["+strconv.Itoa(i)+"]", at(first, i), at(second, i))
		}
	case before != nil && after != nil && (len(was)+len(is) > 0 || parted(first) || parted(second)):
		c.compare(path, before, nil) // of two kinds: one goes, the other comes
		c.compare(path, nil, after)
	default:
		if a, b := text(before), text(after); a != b {
			c.found = append(c.found, Change{path, a, b})
		}
	}
}

func members(v any) map[string]any {
	m, _ := v.(map[string]any)
	return m
}

func elements(v any) []any {
	l, _ := v.([]any)
	return l
}

func at(list []any, i int) any {
	if i < len(list) {
		return list[i]
	}
	return nil
}

// parted says whether a list has parts of its own to compare.
func parted(list []any) bool {
	return slices.ContainsFunc(list, func(v any) bool { return members(v) != nil || elements(v) != nil })
}

// member is the path of a member. A name that could be taken for a path is quoted.
func member(path, name string) string {
	if name == "" || strings.ContainsFunc(name, func(r rune) bool { return strings.ContainsRune(".[]\"\\", r) || r <= ' ' }) {
		return path + "[" + strconv.Quote(name) + "]"
	}
	if path == "" {
		return name
	}
	return path + "." + name
}

// text is a value as JSON, the same for the same value.
func text(v any) string {
	if v == nil {
		return ""
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return Hidden // it was read from JSON, so it can be written
	}
	return strings.TrimSuffix(b.String(), "\n")
}

func masked(text string) string {
	if text == "" {
		return ""
	}
	return Hidden
}
