package meter

import (
	"cmp"
	"maps"
	"slices"
	"strings"
	"sync/atomic"

	controlv1 "tollgate/gen/tollgate/control/v1"
)

// unit is what is billed.
type unit struct {
	name      string
	add       []int // counters
	subtract  []int
	otherwise int // unit whose price holds where there is none; -1 for none
	limited   bool
}

// unitRate is a price of a unit, and where it holds.
type unitRate struct {
	rate
	price   string // as it is written, without zeros
	per     int64
	above   int64
	variant string
}

// row is what a model costs: prices of each of the meter's units, those for larger numbers first, and of these the
// ones for a variant.
type row struct {
	rates [][]unitRate
}

// newRow makes a row. wrong is told of prices that make no sense, which are left out.
func newRow(p *controlv1.ModelPrice, units map[string]int, count int, wrong func(rate int, field string, f flaw)) *row {
	r := &row{rates: make([][]unitRate, count)}
	for i, up := range p.GetRates() {
		price, f := readPrice(up.GetPrice())
		if f.reason != "" {
			wrong(i, "price", f)
			continue
		}
		if up.GetPer() < 0 || up.GetPer() > mostPer {
			wrong(i, "per", flaw{reason: "it is between 0 and 1000000000000"})
			continue
		}
		if up.GetAbove() < 0 {
			wrong(i, "above", flaw{reason: "it is negative"})
			continue
		}
		u, ok := units[up.GetUnit()]
		if !ok {
			wrong(i, "unit", flaw{reason: "there is no unit " + quoted(up.GetUnit())})
			continue
		}
		per := max(up.GetPer(), 1)
		made, ok := newRate(price, per)
		if !ok {
			wrong(i, "price", flaw{reason: "it is too large or too precise"})
			continue
		}
		next := unitRate{made, price.String(), per, up.GetAbove(), up.GetVariant()}
		if slices.ContainsFunc(r.rates[u], func(o unitRate) bool { return o.above == next.above && o.variant == next.variant }) {
			wrong(i, "unit", flaw{reason: "there already is a price of " + quoted(up.GetUnit()) + " that holds just then"})
			continue
		}
		r.rates[u] = append(r.rates[u], next)
	}
	for _, rates := range r.rates {
		slices.SortStableFunc(rates, func(a, b unitRate) int {
			return cmp.Or(cmp.Compare(b.above, a.above), cmp.Compare(b.variant, a.variant))
		})
	}
	return r
}

// price finds what a unit costs; nil if the row has no price for it that holds.
func (m *Meter) price(r *row, u int, tier decimal, variant string) *unitRate {
	for ; u >= 0; u = m.units[u].otherwise {
		for i := range r.rates[u] {
			p := &r.rates[u][i]
			if (p.above == 0 || tier.cmp(whole(p.above)) > 0) && (p.variant == "" || p.variant == variant) {
				return p
			}
		}
	}
	return nil
}

// dearest is the most that a unit can cost; false if it has no price at all.
func (m *Meter) dearest(r *row, u int) (most rate, ok bool) {
	for ; u >= 0; u = m.units[u].otherwise {
		always := false
		for _, p := range r.rates[u] {
			if !ok || p.more(most) {
				most, ok = p.rate, true
			}
			always = always || p.above == 0 && p.variant == ""
		}
		if always {
			break
		}
	}
	return most, ok
}

// table is a list of models with their prices. Rows are made ready when they are asked for, and a few of them are kept,
// because lists have many and an endpoint uses few.
type table struct {
	models []*controlv1.ModelPrice
	units  map[string]int // of the meter
	count  int            // how many it has
	ready  atomic.Pointer[map[string]*row]
}

// mostReady is how many rows are kept ready.
const mostReady = 64

// find is the first row that matches a model; nil if none does.
func (t *table) find(model string) *row {
	ready := t.ready.Load()
	if ready != nil {
		if r := (*ready)[model]; r != nil {
			return r
		}
	}
	for _, p := range t.models {
		if !Matches(p.GetModel(), model) {
			continue
		}
		r := newRow(p, t.units, t.count, func(int, string, flaw) {})
		t.keep(ready, model, r)
		return r
	}
	return nil
}

// keep adds a row to those that are ready. Of two that do so at once one may be lost, which costs time and nothing else. Where
// there are enough it begins anew, so that nobody can fill them with names that nobody else uses.
func (t *table) keep(ready *map[string]*row, model string, r *row) {
	next := map[string]*row{model: r}
	if ready != nil && len(*ready) < mostReady {
		maps.Copy(next, *ready)
	}
	t.ready.CompareAndSwap(ready, &next)
}

// find is the row by which a model is priced.
func (m *Meter) find(model string) *row {
	if r := m.look(model); r != nil {
		return r
	}
	if bare, ok := strings.CutPrefix(model, "models/"); ok {
		return m.look(bare)
	}
	return nil
}

func (m *Meter) look(model string) *row {
	if as, ok := m.models[model]; ok {
		model = as
	}
	for _, t := range m.tables {
		if r := t.find(model); r != nil {
			return r
		}
	}
	return nil
}

// Matches says whether a name is what a pattern says, in which a star stands for any text. The case of letters does not
// matter. The name may be another pattern: then all that it matches is matched.
func Matches(pattern, name string) bool {
	p, n, star, from := 0, 0, -1, 0
	for n < len(name) {
		switch {
		case p < len(pattern) && pattern[p] == '*':
			star, from = p, n
			p++
		case p < len(pattern) && lower(pattern[p]) == lower(name[n]):
			p++
			n++
		case star >= 0:
			from++
			p, n = star+1, from
		default:
			return false
		}
	}
	for p < len(pattern) && pattern[p] == '*' {
		p++
	}
	return p == len(pattern)
}

func lower(c byte) byte {
	if c >= 'A' && c <= 'Z' {
		c += 'a' - 'A'
	}
	return c
}
