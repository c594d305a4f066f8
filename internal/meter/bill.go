package meter

import (
	"strings"

	"tollgate/internal/meter/frame"
	"tollgate/internal/money"
)

// Bill is what an exchange costs. Of one that says that a job is done which it did not begin, Cost, Unpriced, Units and
// Counts are the job's; the request that asks costs nothing itself.
type Bill struct {
	Charged  bool        // it is charged at all
	Cost     money.Nanos // with the fallback, if it is unpriced
	Unpriced []string    // why its cost is not known
	Meter    string
	Model    string // as the target said it, or else the caller
	Variant  string
	Units    int64  // against limits
	Counts   string // "prompt=1420,cached=1280"; what is unpriced has notes for Reprice before them
	Job      *Told  // of a request that began or tells of a job

	partial bool     // what was counted does not make the cost
	reading *Reading // it was made from
}

// Counted is a counter and what it has found.
type Counted struct {
	Name, Value, Source string // Value is empty if nothing was found
}

// Line is one line of a bill. Amount ends in "…" if its decimals do not.
type Line struct {
	Unit, Quantity, Price string
	Per                   int64
	Amount                string
}

// End makes the bill. Nothing may be read after it.
func (r *Reading) End(e End) *Bill {
	m := r.m
	b := &r.bill
	b.Meter, b.reading = m.Name, r
	if r.over || m.Free {
		r.over = true
		return b
	}
	r.finish(e)
	b.Model, b.Variant, b.Counts = r.text(m.modelTexts), r.variant(), r.counted()
	b.Charged = r.Charged()
	if counts := m.job == nil || r.settleJob(b, e); counts && b.Charged {
		r.price(b, e)
		if j := b.Job; j != nil && !j.Begins && len(b.Unpriced) > 0 && b.Cost == 0 {
			j.AsBegun = true // nothing is held for who asks: what was when it began stands for what is not known
		}
	}
	if len(b.Unpriced) > 0 {
		b.Counts = r.notes(b)
	}
	return b
}

// finish takes in what is known at the end.
func (r *Reading) finish(e End) {
	if r.out != nil {
		r.out.End(e.Whole)
	}
	if r.in != nil {
		r.in.End(e.Whole)
		r.unread = r.unread || r.received > 0 && r.frames == 0 && r.kind != frame.Messages
	}
	r.over, r.elapsed = true, e.Elapsed
	r.stale = true
	if now := &r.m.stages[ended]; !now.empty() {
		r.stage(now, func(s *source) value {
			switch {
			case s.place == measure:
				return textValue(r.measured(s).String(), true)
			case e.Trailer != nil:
				text := e.Trailer(s.name)
				return textValue(text, text != "")
			default:
				return value{}
			}
		})
	}
}

// settleJob says what an exchange says of a job, and charges what was held where that begins. It says whether what was
// counted is to be charged.
func (r *Reading) settleJob(b *Bill, e End) (counts bool) {
	j, told := r.m.job, r.told()
	if !r.charged {
		return false
	}
	if told != nil && told.State == Failed {
		b.Job, b.Charged = told, false
		return false
	}
	if !b.Charged {
		return false
	}
	b.Job = told
	switch {
	case told == nil && r.any(j.done):
		b.Charged = j.begins // nobody can say whose cost it would be otherwise
	case told == nil:
		if b.Charged = j.begins; j.begins {
			b.Cost, b.Unpriced, b.partial = e.Held, []string{"the answer does not name the job"}, true
		}
	case told.State == Running:
		if b.Charged = j.begins; j.begins {
			b.Cost = e.Held
		}
	case told.AsBegun:
		b.Charged = false
	default:
		return true
	}
	return b.Charged && told == nil && len(b.Unpriced) == 0
}

// price makes the cost of an answer that is charged.
func (r *Reading) price(b *Bill, e End) {
	a := r.account(true)
	b.Cost, b.Unpriced, b.Units = a.cost, a.why, a.units
	if !e.Whole && r.m.late.frames && r.streamed() {
		b.Unpriced, b.partial = append(b.Unpriced, "the answer broke off"), true
	}
	if r.in != nil && r.m.late.frames {
		if trouble := r.in.Trouble(); trouble != "" {
			b.Unpriced, b.partial = append(b.Unpriced, trouble), true
		}
	}
	if r.out != nil {
		if trouble := r.out.Trouble(); trouble != "" {
			b.Unpriced = append(b.Unpriced, "of what was sent: "+trouble)
		}
	}
	if len(b.Unpriced) == 0 {
		return
	}
	known := b.Cost
	if r.m.fallback.held {
		b.Cost = max(known, e.Held)
	} else if b.Cost += r.m.fallback.amount; e.Held > 0 {
		b.Cost = max(known, min(b.Cost, e.Held)) // what nobody knows overspends no budget
	}
	if r.m.maximum != nil {
		b.Cost = min(b.Cost, *r.m.maximum)
	}
	b.Cost = min(b.Cost, mostCost)
}

// account is what an exchange comes to.
type account struct {
	cost  money.Nanos
	why   []string // it is not known, if anybody asks
	asked bool
	known bool
	units int64
	row   *row
	tier  decimal
}

// blame says why the cost is not known. Most do not ask, as long as more is to come.
func (a *account) blame(why ...string) {
	if a.known = false; a.asked {
		a.why = append(a.why, strings.Join(why, ""))
	}
}

// account makes an account. asked says whether it is to be told why the cost is not known.
func (r *Reading) account(asked bool) (a account) {
	m := r.m
	a.asked, a.known = asked, true
	var s sum
	if m.base != nil {
		s.add(*m.base, dollar)
	}
	for i := range m.counters {
		c := &m.counters[i]
		_, src := r.count(i)
		if src == nil && !c.optional && c.fallback == nil {
			a.blame(c.name, " was not found")
		} else if doubt := r.doubt(c, src); doubt != "" {
			a.blame(doubt)
		}
	}
	if doubt := r.unsaid(m.variantTexts); doubt != "" && len(m.units) > 0 {
		a.blame(doubt)
	}
	if len(m.units) > 0 {
		r.lookUp(&a)
	}
	var units decimal
	variant := r.variant()
	for u := range m.units {
		n := r.quantity(u)
		if m.units[u].limited {
			units = units.plus(n)
		}
		if n.isZero() || a.row == nil {
			continue
		}
		p := m.price(a.row, u, a.tier, variant)
		if p == nil {
			a.blame(spaced(m.units[u].name), " has no price")
			continue
		}
		s.add(n, p.rate)
	}
	a.units = units.ceil()
	cost, ok := s.nanos()
	if !ok {
		a.blame("it comes to more than a million dollars")
	}
	a.cost = m.clamp(cost)
	return a
}

// lookUp finds the prices: of the first name of a model that is in a list. So the answer's name counts, and the
// request's where the answer says another for what was asked for.
func (r *Reading) lookUp(a *account) {
	m := r.m
	for _, id := range m.tier {
		n, _ := r.count(id)
		a.tier = a.tier.plus(n)
	}
	name := ""
	for _, i := range m.modelTexts {
		if r.texts[i] == "" {
			if s := &m.texts[i]; name == "" && r.hides(s.place) {
				a.blame(s.text, " could not be read")
			}
			continue
		}
		if a.row = m.find(r.texts[i]); a.row != nil {
			return
		}
		if name == "" {
			name = r.texts[i]
		}
	}
	switch {
	case name != "":
		a.blame("the model ", quoted(name), " is in no list of prices")
	default:
		if a.row = m.find(""); a.row == nil {
			a.blame("no model is named")
		}
	}
}

// doubt says why what a counter has found, or what stands for nothing, may not be what the exchange says: a place that
// comes before could not be read. Then it is not known, instead of being less than it is.
func (r *Reading) doubt(c *counter, found *source) string {
	if c.only >= 0 && (found != nil || !r.unread) {
		return ""
	}
	for i := range c.sources {
		a := &c.sources[i]
		switch {
		case a.grouped && found != nil && (found.place == inFrame || found.place == inMessage) && a.sent == (found.place == inMessage):
			return ""
		case a.grouped:
			if r.unread && !a.sent {
				return c.name + " was not found in an answer that could not be read"
			}
		case &a.single == found:
			return ""
		default:
			if doubt := r.tallies[a.tally].doubt; doubt != "" {
				return doubt
			}
		}
	}
	return ""
}

// unsaid says which of some texts could not be read, if that comes before all that were.
func (r *Reading) unsaid(slots []int) string {
	for _, i := range slots {
		if r.texts[i] != "" {
			return ""
		}
		if s := &r.m.texts[i]; r.hides(s.place) {
			return s.text + " could not be read"
		}
	}
	return ""
}

// variant is the variant of the prices that hold.
func (r *Reading) variant() string {
	name := r.text(r.m.variantTexts)
	if as, ok := r.m.variants[name]; ok {
		return as
	}
	return name
}

// count is what a counter has found and where; without a source it is what stands for nothing.
func (r *Reading) count(id int) (decimal, *source) {
	c := &r.m.counters[id]
	if c.only >= 0 && r.tallies[c.only].found { // almost all are so
		return r.tallies[c.only].sum, r.tallies[c.only].src
	}
	for i := range c.sources {
		a := &c.sources[i]
		if !a.grouped && a.single.place == measure {
			return r.measured(&a.single), &a.single
		}
		if t := &r.tallies[a.tally]; t.found {
			return t.sum, t.src
		}
	}
	if c.fallback != nil {
		return *c.fallback, nil
	}
	return decimal{}, nil
}

// quantity is how much there is of a unit.
func (r *Reading) quantity(u int) (n decimal) {
	of := &r.m.units[u]
	for _, id := range of.add {
		if d, _ := r.count(id); !d.isZero() {
			n = n.plus(d)
		}
	}
	if len(of.subtract) == 0 || n.isZero() {
		return n
	}
	var off decimal
	for _, id := range of.subtract {
		if d, _ := r.count(id); !d.isZero() {
			off = off.plus(d)
		}
	}
	return n.minus(off)
}

// counted writes down the counters that were found.
func (r *Reading) counted() string {
	var room [128]byte
	b := room[:0]
	for i := range r.m.counters {
		n, src := r.count(i)
		if src == nil {
			continue
		}
		if len(b) > 0 {
			b = append(b, ',')
		}
		b = n.append(append(append(b, r.m.counters[i].name...), '='))
	}
	return string(b)
}

// Detail is how a bill comes about, for people who try a price.
func (b *Bill) Detail() (counters []Counted, lines []Line) {
	r := b.reading
	if r == nil || r.m.Free {
		return nil, nil
	}
	m := r.m
	for i := range m.counters {
		c := Counted{Name: m.counters[i].name}
		n, src := r.count(i)
		switch {
		case src != nil:
			c.Value, c.Source = n.String(), src.text
		case m.counters[i].fallback != nil:
			c.Value, c.Source = n.String(), "default"
		}
		counters = append(counters, c)
	}
	if !b.Charged || b.Job != nil && b.Job.State == Running {
		return counters, nil
	}
	return counters, r.lines(b)
}

func (r *Reading) lines(b *Bill) (lines []Line) {
	m := r.m
	var known sum
	add := func(name string, n decimal, p rate, price string, per int64) {
		var s sum
		s.add(n, p)
		known.add(n, p)
		lines = append(lines, Line{name, n.String(), price, per, s.dollars()})
	}
	if m.base != nil && !m.base.isZero() {
		add("base", one, rateOf(*m.base), m.base.String(), 1)
	}
	var a account
	if len(m.units) > 0 {
		r.lookUp(&a)
	}
	for u := range m.units {
		n := r.quantity(u)
		if n.isZero() || a.row == nil {
			continue
		}
		if p := m.price(a.row, u, a.tier, r.variant()); p != nil {
			add(m.units[u].name, n, p.rate, p.price, p.per)
		}
	}
	sofar, _ := known.nanos()
	line := func(name string, amount money.Nanos) {
		lines = append(lines, Line{Unit: name, Quantity: "1", Price: amount.String(), Per: 1, Amount: amount.String()})
	}
	clamped := m.clamp(sofar)
	switch {
	case clamped > sofar:
		line("minimum", clamped-sofar)
	case clamped < sofar:
		line("maximum", clamped-sofar)
	}
	if b.Cost > clamped {
		line("fallback", b.Cost-clamped)
	}
	return lines
}

// rateOf is an amount as the price of one.
func rateOf(d decimal) rate {
	r, _ := newRate(d, 1)
	return r
}
