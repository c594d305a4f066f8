package meter

import (
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/tidwall/gjson"
)

// aggregate says which of several values counts.
type aggregate uint8

const (
	last aggregate = iota
	first
	total
	largest
	howMany
	length
)

var aggregates = map[string]aggregate{
	"": last, "last": last, "first": first, "sum": total, "max": largest, "count": howMany, "length": length,
}

// counter is a number that is read.
type counter struct {
	name     string
	how      aggregate
	quoted   bool
	optional bool
	fallback *decimal // what it is if it is not found
	sources  []alternative
	only     int // the tally of its one alternative, if that is what frames of the answer say; otherwise -1
}

func (c *counter) single() int {
	if len(c.sources) != 1 || !c.sources[0].grouped || c.sources[0].sent {
		return -1
	}
	return c.sources[0].tally
}

// alternative is one of the places that are tried in order. All sources in frames are one together, and so are all in
// messages of the caller: from these values come one by one, and are kept in a tally.
type alternative struct {
	group   []source // of frames or messages
	single  source
	tally   int // which of the reading's tallies
	sent    bool
	grouped bool
}

// tally is what came of values so far.
type tally struct {
	sum   decimal
	src   *source // that had the last one
	found bool
	doubt string // why nothing was found there, where that does not say that there is nothing
}

// take takes a value in. It is ignored if it is no number. It says whether the tally is another now.
func (t *tally) take(v value, how aggregate, quoted bool, src *source) (taken, changed bool) {
	switch how {
	case howMany:
		n := whole(1)
		if v.doc && v.typed.IsArray() {
			n = whole(elements(v.typed))
		}
		return true, t.put(n, total, src)
	case length:
		n, ok := characters(v, src.length, 0)
		if !ok {
			return false, false
		}
		return true, t.put(whole(n), total, src)
	case last, first, total, largest:
	}
	if v.doc && v.typed.IsArray() {
		v.typed.ForEach(func(_, item gjson.Result) bool {
			if d, ok := number(docValue(item), quoted); ok {
				changed = t.put(d, how, src) || changed
				taken = true
			}
			return how != first || !t.found
		})
		return taken, changed
	}
	d, ok := number(v, quoted)
	if !ok {
		return false, false
	}
	return true, t.put(d, how, src)
}

func (t *tally) put(d decimal, how aggregate, src *source) (changed bool) {
	before := *t
	switch {
	case !t.found || how == last:
		t.sum = d
	case how == total:
		t.sum = t.sum.plus(d)
	case how == largest && d.cmp(t.sum) > 0:
		t.sum = d
	default:
		return false
	}
	if t.sum.cmp(mostCount) > 0 {
		t.sum = mostCount
	}
	t.found, t.src = true, src
	return !before.found || before.sum.cmp(t.sum) != 0
}

// number is the value as a number. In a document it is one only if it is written as one, unless quoted ones are.
func number(v value, quoted bool) (decimal, bool) {
	switch {
	case !v.there:
		return decimal{}, false
	case !v.doc:
		return parseDecimal(strings.Trim(v.text, " \t"))
	case v.typed.Type == gjson.Number:
		return parseDecimal(v.typed.Raw)
	case v.typed.Type == gjson.String && quoted:
		return parseDecimal(strings.Trim(v.typed.Str, " \t"))
	default:
		return decimal{}, false
	}
}

func elements(array gjson.Result) (n int64) {
	array.ForEach(func(_, _ gjson.Result) bool {
		n++
		return true
	})
	return n
}

// mostNested is how deep texts may be within arrays.
const mostNested = 8

// characters is how many Unicode characters a text has, or all texts of an array. A number that is told in place of a
// text is its length.
func characters(v value, told bool, depth int) (n int64, ok bool) {
	switch {
	case !v.there:
		return 0, false
	case !v.doc:
		return int64(utf8.RuneCountInString(v.text)), true
	case v.typed.Type == gjson.String:
		return int64(utf8.RuneCountInString(v.typed.Str)), true
	case v.typed.Type == gjson.Number && told:
		n, err := strconv.ParseInt(v.typed.Raw, 10, 64)
		return n, err == nil
	case v.typed.IsArray() && depth < mostNested:
		v.typed.ForEach(func(_, item gjson.Result) bool {
			if k, is := characters(docValue(item), told, depth+1); is {
				n, ok = n+k, true
			}
			return true
		})
	}
	return n, ok
}
