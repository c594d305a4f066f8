package meter

import (
	"bytes"
	"slices"
	"sync/atomic"
	"unicode/utf8"

	"tollgate/internal/meter/frame"
)

// Most frames are read at a glance, and have plain values alone. What is here takes them in where they are, without a text
// or a document of their own. It counts just what counts of the same values in a document.

// mostFields is more than a frame has.
const mostFields = 64

// fields takes in a frame that was read at a glance.
func (r *Reading) fields(f *frame.Frame, looks *looks) {
	if len(f.Fields) == 0 {
		return
	}
	r.before = ""            // what comes next is not what came last
	var at [mostFields]uint8 // by the slot of a path: which field it is, from 1
	for i, x := range f.Fields {
		at[looks.slots[x.Path]] = uint8(i + 1)
	}
	find := func(s *source) (found field, ok bool) {
		i := at[s.path%mostFields]
		if i == 0 || s.event != "" && s.event != f.Event {
			return field{}, false
		}
		x := f.Fields[i-1]
		return field{f.Value(x), x.Text}, true
	}
	from := inFrame
	if f.Sent {
		from = inMessage
	}
	m := r.m
	for i := 0; i < len(looks.asks); i++ {
		k := &looks.asks[i]
		if at[k.slot%mostFields] == 0 {
			continue
		}
		v, ok := find(k.source)
		if !ok {
			continue
		}
		taken, changed := r.tallies[k.tally].takeField(v, k.counter, k.source)
		r.stale = r.stale || changed
		if taken {
			i += k.others
		}
	}
	for i := range m.texts {
		s := &m.texts[i]
		if s.place != from {
			continue
		}
		if v, ok := find(s); ok && len(v.raw) > 0 && string(v.raw) != r.texts[i] {
			r.texts[i], r.stale = m.text(s, v.raw), true
		}
	}
	for i := range m.conditions {
		c := &m.conditions[i]
		if r.holds[i] || c.source.place != from {
			continue
		}
		if v, ok := find(&c.source); ok && c.holdsField(v) {
			r.holds[i], r.stale = true, true
		}
	}
}

// ask is what a counter asks of the frames of one side.
type ask struct {
	source  *source
	counter *counter
	slot    int // of the path
	tally   int
	others  int // how many sources follow that are not asked once this one has a number
}

// questions are all that the counters ask of one side.
func (m *Meter) questions(sent bool) (asks []ask) {
	for i := range m.counters {
		c := &m.counters[i]
		for j := range c.sources {
			a := &c.sources[j]
			if !a.grouped || a.sent != sent {
				continue
			}
			for k := range a.group {
				asks = append(asks, ask{&a.group[k], c, a.group[k].path, a.tally, len(a.group) - 1 - k})
			}
		}
	}
	return asks
}

// field is a plain value that is there: a text without backslashes, a number, true or false.
type field struct {
	raw    []byte
	quoted bool // it is a text
}

// number is the value as a number. It is one only if it is written as one, unless quoted ones are.
func (v field) number(quoted bool) (decimal, bool) {
	switch {
	case v.quoted && !quoted:
		return decimal{}, false
	case v.quoted:
		v.raw = bytes.Trim(v.raw, " \t")
	}
	if d, ok := wholeNumber(v.raw); ok {
		return d, true
	}
	return parseDecimal(string(v.raw))
}

// takeField takes in what take does of the same value.
func (t *tally) takeField(v field, c *counter, src *source) (taken, changed bool) {
	switch c.how {
	case howMany:
		return true, t.put(one, total, src)
	case length:
		if !v.quoted {
			return false, false
		}
		return true, t.put(whole(int64(utf8.RuneCount(v.raw))), total, src)
	case last, first, total, largest:
	}
	d, ok := v.number(c.quoted)
	if !ok {
		return false, false
	}
	return true, t.put(d, c.how, src)
}

// holdsField says what holds does of the same value.
func (c *condition) holdsField(v field) bool {
	if len(c.in) == 0 {
		return len(v.raw) > 0 && (v.quoted || v.raw[0] != 'f')
	}
	return slices.Contains(c.in, string(v.raw))
}

// names are some of the texts that came last, so that they need no memory of their own when they come again.
type names [16]atomic.Pointer[string]

// mostName is how long a text is that is kept for others.
const mostName = 128

// text is a text that a source has, for the reading to keep.
func (m *Meter) text(s *source, raw []byte) string {
	n := len(raw)
	if !s.recurs || n == 0 || n > mostName {
		return string(raw)
	}
	return m.names.text(raw)
}

// text is a text that is not empty as a string, that of an earlier one if it is the same.
func (t *names) text(raw []byte) string {
	n := len(raw)
	place := &t[(n+int(raw[n/2])*3+int(raw[n-1])*7)%len(t)]
	if known := place.Load(); known != nil && *known == string(raw) {
		return *known
	}
	text := string(raw)
	place.Store(&text)
	return text
}
