package meter

import (
	"net/url"
	"slices"
	"strings"

	"tollgate/internal/money"
)

// What is written before the counts of an exchange whose cost is not known, so that it can be priced later by nothing
// else. No counter has such a name.
const (
	notePartial = "@partial" // what was counted is not all there is, or does not make the cost
	noteModel   = "@model"   // a name by which prices are looked up; one for each, in order
	noteVariant = "@variant" // as it was said
)

// Partial is what is put before counts of which some are left out.
const Partial = notePartial + "=1,"

// notes are those of an exchange.
func (r *Reading) notes(b *Bill) string {
	var all []string
	if b.partial {
		all = append(all, notePartial+"=1")
	}
	for _, i := range r.m.modelTexts {
		if r.texts[i] == "" {
			continue
		}
		if note := noteModel + "=" + url.QueryEscape(r.texts[i]); !slices.Contains(all, note) {
			all = append(all, note)
		}
	}
	if variant := r.text(r.m.variantTexts); variant != "" {
		all = append(all, noteVariant+"="+url.QueryEscape(variant))
	}
	if b.Counts != "" {
		all = append(all, b.Counts)
	}
	return strings.Join(all, ",")
}

// Count is a counter and what it has found, as a decimal.
type Count struct{ Name, Value string }

// Counts reads what a bill says was counted.
func Counts(text string) []Count {
	all, _ := readCounts(text)
	return all.list
}

// counts are the counts of a bill and what is noted of them.
type counts struct {
	list    []Count
	partial bool
	models  []string
	variant string
}

// readCounts reads counts. It says whether all of it could be read.
func readCounts(text string) (c counts, ok bool) {
	ok = true
	if text == "" {
		return c, ok
	}
	for pair := range strings.SplitSeq(text, ",") {
		name, value, is := strings.Cut(pair, "=")
		note := ""
		if is && strings.HasPrefix(name, "@") {
			var err error
			note, err = url.QueryUnescape(value)
			is = err == nil
		}
		switch {
		case !is || name == "":
			ok = false
		case name == notePartial:
			c.partial = true
		case name == noteModel:
			c.models = append(c.models, note)
		case name == noteVariant:
			c.variant = note
		case name[0] == '@':
			ok = false // of a newer version
		default:
			c.list = append(c.list, Count{name, value})
		}
	}
	return c, ok
}

// Recorded is what was written down of an exchange whose cost was not known.
type Recorded struct {
	Meter  string // that has read it, or of a job the request that began it
	Model  string
	Counts string
	// Job says that the counts are of the end of a job, of which another meter may have read.
	Job bool
}

// Reprice makes the cost of an exchange of what was written down of it, by the prices of this plan. Where that does not
// say what it costs, why says why not.
func (p *Plan) Reprice(rec Recorded) (cost money.Nanos, why []string) {
	c, ok := readCounts(rec.Counts)
	switch {
	case rec.Meter == "":
		return 0, []string{"no meter has read it"}
	case !ok:
		return 0, []string{"what was counted of it cannot be read"}
	case c.partial:
		return 0, []string{"what was counted of it is not all there is"}
	}
	if len(c.models) == 0 && rec.Model != "" {
		c.models = []string{rec.Model}
	}
	meters, reason := p.counted(rec, c.list)
	if reason != "" {
		return 0, []string{reason}
	}
	for i, m := range meters {
		a, reason := m.again(c)
		switch {
		case reason != "":
			return 0, []string{reason}
		case len(a.why) > 0:
			return 0, a.why
		case i > 0 && a.cost != cost:
			return 0, []string{"it is not known which meter has read how its job ended"}
		}
		cost = a.cost
	}
	return cost, nil
}

// counted are the meters that can have counted something. Of the end of a job these may be several, because what is
// written down names the one that read how it began.
func (p *Plan) counted(rec Recorded, list []Count) (meters []*Meter, reason string) {
	i := slices.IndexFunc(p.meters, func(m *Meter) bool { return m.Name == rec.Meter })
	if i < 0 {
		return nil, "the price has no meter " + quoted(rec.Meter) + " any more"
	}
	m := p.meters[i]
	switch {
	case !rec.Job && m.job != nil && !m.job.tells:
		return nil, "it began a job, of whose end nothing is known"
	case !rec.Job:
		return p.meters[i : i+1], ""
	}
	for _, m := range p.meters {
		if m.job != nil && m.job.tells && m.knows(list) {
			meters = append(meters, m)
		}
	}
	if len(meters) == 0 {
		return nil, "no meter counts what was counted of its job"
	}
	return meters, ""
}

// knows says whether all of some counts, of which there are some, are the meter's.
func (m *Meter) knows(list []Count) bool {
	for _, c := range list {
		if !slices.ContainsFunc(m.counters, func(o counter) bool { return o.name == c.Name }) {
			return false
		}
	}
	return len(list) > 0
}

// again is what counts come to: the account of an exchange in which each counter has found what is written down.
func (m *Meter) again(c counts) (a account, reason string) {
	if m.Free {
		return a, ""
	}
	same := *m
	r := &Reading{m: &same, tallies: make([]tally, len(m.counters))}
	same.counters = make([]counter, len(m.counters))
	for i, o := range m.counters {
		same.counters[i] = counter{name: o.name, optional: o.optional, fallback: o.fallback, only: -1, sources: []alternative{{grouped: true, tally: i}}}
		for _, said := range c.list {
			if said.Name != o.name {
				continue
			}
			n, ok := parseDecimal(said.Value)
			if !ok {
				return a, "what was counted of it cannot be read"
			}
			r.tallies[i] = tally{sum: n, src: &source{}, found: true}
		}
	}
	r.texts = append(slices.Clone(c.models), c.variant)
	same.modelTexts = make([]int, len(c.models))
	for i := range same.modelTexts {
		same.modelTexts[i] = i
	}
	same.variantTexts = []int{len(c.models)}
	same.texts = make([]source, len(r.texts)) // all of them were read
	return r.account(true), ""
}
