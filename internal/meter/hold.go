package meter

import (
	"slices"
	"strings"
	"time"

	"github.com/tidwall/gjson"

	"tollgate/internal/money"
)

// hold says what is held before a request is sent.
type hold struct {
	amount  *decimal // for every request
	bounds  []*bound // by unit; nil for none
	learned bool
	least   money.Nanos
}

// bound is how much of a unit a request uses at most.
type bound struct {
	sources []source
	how     aggregate
	times   *source
	factor  *decimal
	plus    *decimal
	assume  *decimal
	enforce string
}

// injection is a field that is set for the meter's sake.
type injection struct {
	when *condition
	edit Edit
}

// Hold says what is to be held for a request.
func (m *Meter) Hold(r *Request, learned Learned) Hold {
	h := Hold{Model: m.asked(r)}
	if m.Free || !m.charge.method(r) || m.job != nil && !m.job.begins {
		h.Bound, h.Reason = true, "it costs nothing"
		return h
	}
	h.Edits = m.edits(r)
	if m.hold.amount != nil {
		h.Amount, h.Reason = max(nanosOf(*m.hold.amount), 1), "what is held for every such request"
		return h
	}
	est := m.estimate(r)
	switch {
	case est.missing == "":
		h.Amount, h.Bound, h.Reason = est.cost, true, est.reason(h.Model)
		h.Edits = append(h.Edits, est.edits...)
	case m.maximum != nil:
		h.Amount, h.Bound, h.Reason = *m.maximum, true, "the most that it can cost"
	default:
		h.Amount, h.Reason = m.guess(h.Model, learned)
		h.Reason += ": " + est.missing
	}
	if h.Amount < m.hold.least {
		h.Amount, h.Reason = m.hold.least, "the least that is held, more than "+h.Reason
	}
	if h.Amount == 0 && h.Bound && m.base != nil && len(m.units) == 0 {
		return h // a price of nothing
	}
	h.Amount = max(h.Amount, 1)
	return h
}

// guess is what is held where there is no bound.
func (m *Meter) guess(model string, learned Learned) (money.Nanos, string) {
	if m.hold.learned && learned != nil {
		if amount, ok := learned(m.Name, model); ok {
			return amount, "what almost all such requests have cost"
		}
	}
	if m.fallback.amount > m.hold.least {
		return m.fallback.amount, "the fallback, which is charged if its cost stays unknown"
	}
	return m.hold.least, "the least that is held"
}

// asked is the model that a request names.
func (m *Meter) asked(r *Request) string {
	for _, i := range m.modelTexts {
		if s := &m.texts[i]; s.early() {
			if name := plainText(s.find(r, nil)); name != "" {
				return name
			}
		}
	}
	return ""
}

// asks is what the model costs that a request asks for; nil if none of the names that it says is in a list.
func (m *Meter) asks(r *Request) *row {
	named := false
	for _, i := range m.modelTexts {
		s := &m.texts[i]
		if !s.early() {
			continue
		}
		if name := plainText(s.find(r, nil)); name != "" {
			named = true
			if found := m.find(name); found != nil {
				return found
			}
		} else if r.hidden(s.place) {
			return nil
		}
	}
	if named {
		return nil
	}
	return m.find("")
}

// edits are the fields that are to be set for the meter's sake.
func (m *Meter) edits(r *Request) (edits []Edit) {
	for _, in := range m.injections {
		if r.Sealed || !r.document() || !r.parsed.object || in.edit.there(r) {
			continue
		}
		if in.when == nil || in.when.holds(in.when.source.find(r, nil)) {
			edits = append(edits, in.edit)
		}
	}
	return edits
}

// there says whether the caller has set the field. One who wants not to get what is left out for them anyway has not: they
// must not keep from being counted what they use.
func (e *Edit) there(r *Request) bool {
	switch f := r.field(e.Path); f.Type {
	case gjson.Null:
		return false
	case gjson.False:
		return e.Strip == "" || e.Value != "true"
	default:
		return f.Exists()
	}
}

// estimate is the most that a request can cost.
type estimate struct {
	cost    money.Nanos
	missing string // why there is no bound; empty if there is one
	parts   []string
	edits   []Edit
}

func (e *estimate) reason(model string) string {
	if len(e.parts) == 0 {
		return "it costs the same every time"
	}
	text := "the bound of " + strings.Join(e.parts, ", ")
	if model != "" {
		text += " of " + model
	}
	return text
}

func (m *Meter) estimate(r *Request) (e estimate) {
	var s sum
	if m.base != nil {
		s.add(*m.base, dollar)
	}
	if len(m.units) > 0 {
		found := m.asks(r)
		if found == nil {
			return estimate{missing: "the model is in no list"}
		}
		if e.missing = m.bounds(r, found, &s, &e); e.missing != "" {
			return estimate{missing: e.missing}
		}
	}
	cost, _ := s.nanos()
	e.cost = m.clamp(cost)
	return e
}

// bounds adds the most of each unit at its dearest price. What it returns says which is missing.
func (m *Meter) bounds(r *Request, found *row, s *sum, e *estimate) (missing string) {
	dear := make([]rate, len(m.units))
	most := make([]*decimal, len(m.units))
	for u := range m.units {
		dear[u], _ = m.dearest(found, u)
		if n, ok := m.known(r, u); ok {
			most[u] = &n
			continue
		}
		b := m.hold.bounds[u]
		if b == nil {
			continue
		}
		n, edit, reason := b.find(r)
		if reason != "" {
			if dear[u].isZero() {
				continue
			}
			return reason
		}
		if edit != nil {
			e.edits = append(e.edits, *edit)
		}
		most[u] = &n
	}
	for u := range m.units {
		if most[u] != nil || dear[u].isZero() {
			continue
		}
		within := m.container(u, most)
		if within < 0 {
			return "nothing bounds the " + spaced(m.units[u].name) + " that it uses"
		}
		if dear[u].more(dear[within]) {
			dear[within] = dear[u]
		}
	}
	for u := range m.units {
		if most[u] == nil || dear[u].isZero() {
			continue
		}
		s.add(*most[u], dear[u])
		e.parts = append(e.parts, grouped(*most[u])+" "+spaced(m.units[u].name))
	}
	return ""
}

// container finds a unit with a bound in which another is contained: one that takes off all that the other adds. All that
// it bounds could then be of the dearer one of both.
func (m *Meter) container(u int, most []*decimal) int {
	for c := range m.units {
		if most[c] == nil || m.hold.bounds[c] == nil {
			continue
		}
		if !slices.ContainsFunc(m.units[u].add, func(id int) bool { return !slices.Contains(m.units[c].subtract, id) }) {
			return c
		}
	}
	return -1
}

// known is how much of a unit there will be, where the request itself says all of it.
func (m *Meter) known(r *Request, u int) (decimal, bool) {
	var n decimal
	for _, id := range m.units[u].add {
		d, ok := m.counters[id].early(r)
		if !ok {
			return n, false
		}
		n = n.plus(d)
	}
	for _, id := range m.units[u].subtract {
		d, ok := m.counters[id].early(r)
		if !ok {
			return n, false
		}
		n = n.minus(d)
	}
	return n, true
}

// early is what a counter will be, if that is known before the request is sent.
func (c *counter) early(r *Request) (decimal, bool) {
	for i := range c.sources {
		a := &c.sources[i]
		if a.grouped {
			return decimal{}, false
		}
		if a.single.place == measure && a.single.name == requestBytes {
			return r.bytes()
		}
		if !a.single.early() {
			return decimal{}, false
		}
		var t tally
		v := a.single.find(r, nil)
		if taken, _ := t.take(v, c.how, c.quoted, &a.single); v.there && taken {
			return t.sum, true
		}
		if a.single.doubt(r, v) != "" {
			return decimal{}, false
		}
	}
	if c.fallback != nil {
		return *c.fallback, true
	}
	return decimal{}, true
}

// bytes is how long the body is.
func (r *Request) bytes() (decimal, bool) {
	switch {
	case r.Length >= 0:
		return whole(r.Length), true
	case r.Whole:
		return whole(int64(len(r.Body))), true
	default:
		return decimal{}, false
	}
}

// find is how much it is at most, and what has to be set for that. The reason says why that is not known.
func (b *bound) find(r *Request) (n decimal, edit *Edit, reason string) {
	n, there, reason := b.number(r)
	if reason != "" {
		return n, nil, reason
	}
	if !there {
		if n, edit, reason = b.assumed(r); reason != "" {
			return n, nil, reason
		}
	}
	if b.times != nil {
		v := b.times.find(r, nil)
		switch k, ok := number(v, b.times.place == inForm); {
		case ok:
			n = n.times(k)
		case v.there:
			return n, nil, b.times.text + " is no number"
		case r.hidden(b.times.place):
			return n, nil, b.times.text + " could not be read"
		}
	}
	if b.factor != nil {
		n = n.times(*b.factor)
	}
	if b.plus != nil {
		n = n.plus(*b.plus)
	}
	if n.cmp(mostCount) > 0 {
		n = mostCount
	}
	return n, edit, ""
}

// number is the number that the request says.
func (b *bound) number(r *Request) (n decimal, there bool, reason string) {
	if len(b.sources) == 0 {
		if b.assume != nil {
			return n, false, ""
		}
		if b.times != nil || b.factor != nil {
			n = one
		}
		return n, true, ""
	}
	for i := range b.sources {
		s := &b.sources[i]
		if s.place == measure {
			if n, there = r.bytes(); there {
				return n, true, ""
			}
			continue
		}
		v := s.find(r, nil)
		if !v.there {
			if r.hidden(s.place) {
				return n, false, s.text + " could not be read"
			}
			continue
		}
		var t tally
		if taken, _ := t.take(v, b.how, false, s); !taken {
			if beyond(v) {
				return mostCount, true, ""
			}
			return n, false, s.text + " is no number"
		}
		return t.sum, true, ""
	}
	return n, false, ""
}

// beyond says whether a request has a number that is above all counts. It is not taken for none: who asks for more than there can be
// would have less held than who asks for much.
func beyond(v value) bool {
	if !v.doc || v.typed.Type != gjson.Number {
		return false
	}
	raw := v.typed.Raw
	_, ok := parseDecimal(raw)
	return !ok && raw[0] != '-' && !strings.Contains(raw, "e-") && !strings.Contains(raw, "E-")
}

// assumed is the number where the request has none.
func (b *bound) assumed(r *Request) (n decimal, edit *Edit, reason string) {
	switch {
	case b.assume == nil:
		return n, nil, b.names() + " is not set"
	case b.enforce == "":
		return *b.assume, nil, ""
	case r.Sealed || !r.document() || !r.parsed.object:
		return n, nil, b.enforce + " cannot be set in this body"
	case r.field(b.enforce).Exists() && r.field(b.enforce).Type != gjson.Null:
		return n, nil, b.enforce + " is no number"
	default:
		return *b.assume, &Edit{Path: b.enforce, Value: b.assume.String(), Bound: true}, ""
	}
}

func (b *bound) names() string {
	names := make([]string, 0, len(b.sources))
	for i := range b.sources {
		names = append(names, b.sources[i].text)
	}
	return strings.Join(names, " or ")
}

// clamp keeps a cost between the least and the most of a request.
func (m *Meter) clamp(cost money.Nanos) money.Nanos {
	cost = max(cost, m.minimum)
	if m.maximum != nil {
		cost = min(cost, *m.maximum)
	}
	return cost
}

func spaced(name string) string { return strings.ReplaceAll(name, "_", " ") }

// grouped writes a number with commas between thousands.
func grouped(d decimal) string {
	before, after, dotted := strings.Cut(d.String(), ".")
	for i := len(before) - 3; i > 0; i -= 3 {
		before = before[:i] + "," + before[i:]
	}
	if dotted {
		return before + "." + after
	}
	return before
}

// plainText is a name: a text, or what is written without quotes.
func plainText(v value) string {
	if v.doc && (v.typed.Type == gjson.JSON || v.typed.Type == gjson.Null) {
		return ""
	}
	return v.String()
}

// secondsOf are the seconds of a time.
func secondsOf(d time.Duration) decimal { return decimal{coef: uint64(max(d, 0)), exp: -9} }
