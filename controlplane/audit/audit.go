// Package audit makes of what an object was and what it became the differences that people read: money and times as they are
// written, without what changes with every write, and without values that must not be seen. It promises that a value that looks
// like a credential is in neither a difference nor a summary. It reads and stores nothing.
package audit

import (
	"bytes"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/tidwall/gjson"

	"tollgate/controlplane/diff"
	"tollgate/internal/headervalue"
	"tollgate/internal/money"
)

// noise are the last parts of paths that change with every write and say nothing.
var noise = []string{"id", "revision", "create_time", "update_time", "price_version"}

// Changes are the differences between two forms of an object in JSON, as the store has them; one that is empty stands for an
// object that is not there.
func Changes(before, after []byte) []diff.Change {
	all := diff.JSON(before, after, func(path string) bool { return hidden(path, before) || hidden(path, after) })
	all = slices.DeleteFunc(all, func(c diff.Change) bool { return slices.Contains(noise, last(c.Path)) })
	for i := range all {
		all[i] = readable(all[i])
	}
	return all
}

func last(path string) string {
	return path[strings.LastIndexByte(path, '.')+1:]
}

// credential fits names of what carries a credential.
var credential = regexp.MustCompile(`(?i)auth|token|secret|passw|passphrase|credential|cookie|signature|session|\bkey|key\b|[-_]key|key[-_]|apikey`)

// fingerprints fits names of fields that no one has a use for seeing, and some a bad one.
var fingerprints = regexp.MustCompile(`(?i)(^|_)(sha256|hash|digest|envelope|password)$`)

// hidden says whether the field at the path must not be seen.
func hidden(path string, form []byte) bool {
	name := last(path)
	if fingerprints.MatchString(name) {
		return true
	}
	switch name {
	case "value":
		return hiddenValue(strings.TrimSuffix(strings.TrimSuffix(path, "value"), "."), form)
	case "url":
		_, query, ok := strings.Cut(at(path, form).String(), "?")
		return ok && credential.MatchString(query)
	default:
		return false
	}
}

// hiddenValue judges the value of a header or the like by the name that stands beside it.
func hiddenValue(parent string, form []byte) bool {
	of := at(parent, form)
	value := of.Get("value")
	if !value.Exists() || !credential.MatchString(of.Get("name").String()) && of.Get("name").Exists() {
		return false
	}
	return value.Type != gjson.String || !harmless(value.String())
}

// harmless says whether a value is nothing but references and the name of a scheme.
func harmless(text string) bool {
	v, err := headervalue.Parse(text)
	if err != nil || len(v.Refs()) == 0 {
		return false
	}
	rest, err := v.Text(func(headervalue.Ref) (string, error) { return "", nil })
	if err != nil {
		return false
	}
	rest = strings.ToLower(strings.TrimSpace(rest))
	return slices.Contains([]string{"", "bearer", "basic", "token", "apikey", "key", "bot"}, rest)
}

// at finds what a path leads to. Names that are quoted in it are in no field that anything is hidden by.
func at(path string, form []byte) gjson.Result {
	if path == "" {
		return gjson.ParseBytes(form)
	}
	return gjson.GetBytes(form, strings.TrimPrefix(strings.NewReplacer("[", ".", "]", "").Replace(path), "."))
}

// readable writes money in dollars and times in words.
func readable(c diff.Change) diff.Change {
	for suffix, write := range map[string]func(string) (string, bool){"_nanos": dollars, "_ns": duration} {
		path, ok := strings.CutSuffix(c.Path, suffix)
		if !ok {
			continue
		}
		before, good := write(c.Before)
		after, fine := write(c.After)
		if good && fine {
			return diff.Change{Path: path, Before: before, After: after}
		}
	}
	return c
}

func dollars(text string) (string, bool) {
	return written(text, func(n int64) string { return money.Nanos(n).String() })
}

func duration(text string) (string, bool) {
	return written(text, func(n int64) string { return time.Duration(n).String() })
}

func written(text string, write func(int64) string) (string, bool) {
	if text == "" {
		return "", true
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return "", false
	}
	return strconv.Quote(write(n)), true
}

// Bounds of a summary.
const (
	mostTold = 3
	mostText = 80
)

// Summary tells changes of an object that was there and still is in a line: "price.per_request 10.00 → 12.00". Of one that was made
// or removed there is nothing to tell beyond that.
func Summary(changes []diff.Change, existed, exists bool) string {
	if existed != exists {
		return ""
	}
	// What is of the object itself says more than what is of one of its parts.
	changes = slices.Clone(changes)
	slices.SortStableFunc(changes, func(a, b diff.Change) int { return strings.Count(a.Path, "[") - strings.Count(b.Path, "[") })
	var words []string
	for i, c := range changes {
		if i == mostTold {
			words = append(words, fmt.Sprintf("%d more", len(changes)-mostTold))
			break
		}
		switch {
		case c.Before == diff.Hidden || c.After == diff.Hidden:
			words = append(words, strings.TrimSpace(c.Path+" "+diff.Hidden))
		case c.Before == "":
			words = append(words, c.Path+" "+short(c.After))
		case c.After == "":
			words = append(words, c.Path+" "+short(c.Before)+" → none")
		default:
			words = append(words, c.Path+" "+short(c.Before)+" → "+short(c.After))
		}
	}
	return strings.Join(words, ", ")
}

// short is a value as people write it, on one line.
func short(text string) string {
	var s string
	if json.Unmarshal([]byte(text), &s) == nil {
		text = s
	} else {
		var tight bytes.Buffer
		if json.Compact(&tight, []byte(text)) == nil {
			text = tight.String()
		}
	}
	text = strings.Join(strings.Fields(text), " ")
	if r := []rune(text); len(r) > mostText {
		return string(r[:mostText]) + "…"
	}
	return text
}
