package meter

import (
	"slices"

	controlv1 "tollgate/gen/tollgate/control/v1"
)

func (c *compiler) counters(list []*controlv1.Counter) {
	c.counterIDs = make(map[string]int, len(list))
	for i, p := range list {
		field := at(c.where+".counters", i)
		if !counterName.MatchString(p.GetName()) {
			c.say(field+".name", "%q is no name: a-z, 0-9 and _, a letter first, at most 32", p.GetName())
		}
		if _, again := c.counterIDs[p.GetName()]; again {
			c.say(field+".name", "there already is a counter %q", p.GetName())
		}
		c.counterIDs[p.GetName()] = len(c.m.counters)
		c.m.counters = append(c.m.counters, c.counter(field, p))
	}
}

func (c *compiler) counter(field string, p *controlv1.Counter) counter {
	out := counter{name: p.GetName(), quoted: p.GetQuoted(), optional: p.GetOptional()}
	how, ok := aggregates[p.GetAggregate()]
	if !ok {
		c.say(field+".aggregate", "%q is none of last, first, sum, max, count and length", p.GetAggregate())
	}
	out.how = how
	c.m.adds = c.m.adds || how == total || how == howMany || how == length
	out.fallback = c.number(field+".default", p.GetDefault())
	if len(p.GetSources()) == 0 {
		c.say(field+".sources", "say where the number is")
	}
	for j, sp := range p.GetSources() {
		s := c.source(at(field+".sources", j), sp, false)
		if s.place == constant && how != howMany && how != length {
			if _, ok := parseDecimal(s.name); !ok {
				c.say(at(field+".sources", j)+".constant", "%q is no number", s.name)
			}
		}
		if s.place == inFrame || s.place == inMessage {
			sent := s.place == inMessage
			if sent {
				c.m.messages.use(s.path, how)
			} else {
				c.m.frames.use(s.path, how)
			}
			same := slices.IndexFunc(out.sources, func(a alternative) bool { return a.grouped && a.sent == sent })
			if same >= 0 {
				out.sources[same].group = append(out.sources[same].group, s)
				continue
			}
			out.sources = append(out.sources, alternative{group: []source{s}, grouped: true, sent: sent, tally: c.m.tallies})
		} else {
			out.sources = append(out.sources, alternative{single: s, tally: c.m.tallies})
		}
		c.m.tallies++
	}
	return out
}

func (c *compiler) units(list []*controlv1.Unit) {
	c.unitIDs = make(map[string]int, len(list))
	for i, p := range list {
		field := at(c.where+".units", i)
		if !unitName.MatchString(p.GetName()) {
			c.say(field+".name", "%q is no name: a-z, 0-9 and _, a letter first, at most 48", p.GetName())
		}
		if _, again := c.unitIDs[p.GetName()]; again {
			c.say(field+".name", "there already is a unit %q", p.GetName())
		}
		c.unitIDs[p.GetName()] = i
		u := unit{name: p.GetName(), otherwise: -1, limited: !p.GetUnlimited()}
		if len(p.GetAdd()) == 0 {
			if id, ok := c.counterIDs[p.GetName()]; ok {
				u.add = []int{id}
			} else {
				c.say(field+".add", "it names no counters, and there is none of the name %q", p.GetName())
			}
		}
		for j, name := range p.GetAdd() {
			u.add = c.used(at(field+".add", j), u.add, name)
		}
		for j, name := range p.GetSubtract() {
			u.subtract = c.used(at(field+".subtract", j), u.subtract, name)
		}
		c.m.units = append(c.m.units, u)
	}
	for i, p := range list {
		if p.GetOtherwise() == "" {
			continue
		}
		field := at(c.where+".units", i) + ".otherwise"
		if id, ok := c.unitIDs[p.GetOtherwise()]; ok {
			c.m.units[i].otherwise = id
		} else {
			c.say(field, "there is no unit %q", p.GetOtherwise())
		}
	}
	for i := range list {
		c.cycle(at(c.where+".units", i)+".otherwise", i)
	}
}

// cycle breaks a chain that comes back to where it began, so that nobody follows it for ever.
func (c *compiler) cycle(field string, from int) {
	steps := 0
	for u := c.m.units[from].otherwise; u >= 0; u = c.m.units[u].otherwise {
		if steps++; u == from || steps > len(c.m.units) {
			c.say(field, "it leads back to itself")
			c.m.units[from].otherwise = -1
			return
		}
	}
}

func (c *compiler) used(field string, ids []int, name string) []int {
	id, ok := c.counterIDs[name]
	switch {
	case !ok:
		c.say(field, "there is no counter %q", name)
	case slices.Contains(ids, id):
		c.say(field, "%q is there twice", name)
	default:
		ids = append(ids, id)
	}
	return ids
}

func (c *compiler) prices(p *controlv1.Meter, book Book) {
	for i, mp := range p.GetPrices() {
		field := at(c.where+".prices", i)
		if mp.GetModel() == "" {
			c.say(field+".model", `it is missing; "*" is for any model`)
		}
		newRow(mp, c.unitIDs, len(c.m.units), func(j int, name string, f flaw) {
			c.say(at(field+".rates", j)+"."+name, "%s", f.reason)
			c.mistaken(f.mistake)
		})
		for j, up := range mp.GetRates() {
			if up.GetAbove() > 0 && len(p.GetTier()) == 0 {
				c.say(at(field+".rates", j)+".above", "the meter says no tier, the counters that it would be above")
			}
			if up.GetVariant() != "" && len(p.GetVariant()) == 0 {
				c.say(at(field+".rates", j)+".variant", "the meter does not say where the variant is")
			}
		}
	}
	if len(p.GetPrices()) > 0 {
		c.m.tables = append(c.m.tables, &table{models: p.GetPrices(), units: c.unitIDs, count: len(c.m.units)})
	}
	switch name := p.GetBook(); {
	case name == "":
	case !listName.MatchString(name):
		c.say(c.where+".book", "%q is no name of a list", name)
	case book != nil:
		if models := book(name); len(models) > 0 {
			c.m.tables = append(c.m.tables, &table{models: models, units: c.unitIDs, count: len(c.m.units)})
		}
	}
	if len(p.GetUnits()) > 0 && len(p.GetPrices()) == 0 && p.GetBook() == "" {
		c.say(c.where+".prices", "the meter has units, and no prices for them and no list of the price book")
	}
}

func (c *compiler) amounts(p *controlv1.Meter) {
	m := c.m
	m.base = c.price(c.where+".base", p.GetBase())
	if d := c.price(c.where+".minimum", p.GetMinimum()); d != nil {
		m.minimum = nanosOf(*d)
	}
	if d := c.price(c.where+".maximum", p.GetMaximum()); d != nil {
		most := nanosOf(*d)
		m.maximum = &most
		if m.minimum > most {
			c.say(c.where+".maximum", "it is less than the minimum")
		}
	}
}

// useful says it if a meter could never charge anything, which somebody should mean.
func (c *compiler) useful() {
	m := c.m
	if len(m.units) == 0 && (m.base == nil || m.base.isZero()) && m.minimum == 0 && m.job == nil {
		c.say(c.where, "it has no units and no base, so that nothing is ever charged; say free: true if that is meant")
	}
	if m.maximum != nil && *m.maximum == 0 {
		c.say(c.where+".maximum", "nothing is ever charged with it; say free: true if that is meant")
	}
	if m.job != nil && !m.job.begins {
		return // requests that ask cost nothing, so that nothing is held for them
	}
	begins := m.job != nil
	h := m.hold
	if (begins || len(m.units) > 0 && m.maximum == nil) && (h.amount == nil || h.amount.isZero()) && h.least == 0 {
		c.say(c.where+".hold.least", "say what is held at least before a request is sent, more than 0")
	}
}

func (c *compiler) hold(p *controlv1.MeterHold) {
	m, field := c.m, c.where+".hold"
	m.hold.amount = c.price(field+".amount", p.GetAmount())
	m.hold.learned = p.GetLearned()
	if d := c.price(field+".least", p.GetLeast()); d != nil {
		m.hold.least = nanosOf(*d)
	}
	m.hold.bounds = make([]*bound, len(m.units))
	for i, bp := range p.GetBounds() {
		where := at(field+".bounds", i)
		b := c.bound(where, bp)
		id, ok := c.unitIDs[bp.GetUnit()]
		switch {
		case !ok:
			c.say(where+".unit", "there is no unit %q", bp.GetUnit())
		case m.hold.bounds[id] != nil:
			c.say(where+".unit", "there already is a bound of %q", bp.GetUnit())
		default:
			m.hold.bounds[id] = b
		}
	}
}

func (c *compiler) bound(field string, p *controlv1.Bound) *bound {
	b := &bound{enforce: p.GetEnforce()}
	for i, sp := range p.GetSources() {
		b.sources = append(b.sources, c.source(at(field+".sources", i), sp, true))
	}
	switch p.GetAggregate() {
	case "", "count", "length":
		b.how = aggregates[p.GetAggregate()]
	default:
		c.say(field+".aggregate", "%q is none of count and length", p.GetAggregate())
	}
	if p.GetTimes() != nil {
		times := c.source(field+".times", p.GetTimes(), true)
		b.times = &times
	}
	b.factor = c.number(field+".factor", p.GetFactor())
	b.plus = c.number(field+".plus", p.GetPlus())
	b.assume = c.number(field+".assume", p.GetAssume())
	if b.enforce != "" {
		c.m.wantsBody = true
		c.m.wanted.path(b.enforce)
		if !plainField.MatchString(b.enforce) {
			c.say(field+".enforce", "it is made of plain names, such as max_completion_tokens")
		}
		if p.GetAssume() == "" {
			c.say(field+".assume", "say to what %s is set", b.enforce)
		}
		if c.m.webSocket {
			c.say(field+".enforce", "a WebSocket has no body to set a field in")
		}
	}
	if len(b.sources) == 0 && b.times == nil && b.factor == nil && b.plus == nil && b.assume == nil {
		c.say(field, "say how much it is at most: sources, times, factor, plus or assume")
	}
	return b
}
