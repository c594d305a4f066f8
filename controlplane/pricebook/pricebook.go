// Package pricebook reads files of model prices: LiteLLM's, those of genai-prices and Tollgate's own. It makes
// rows of them, says what it left out and why, and how two books differ. Every number goes from the file's
// text to decimal text without a float in between.
//
// It stores nothing and charges nothing: which book holds is the store's to say, and what a request costs is
// that of package meter.
package pricebook

import (
	"cmp"
	"math/big"
	"slices"
	"strings"

	"google.golang.org/protobuf/proto"

	controlv1 "tollgate/gen/tollgate/control/v1"
)

// Book is what a file says.
type Book struct {
	Source, Date, Licence string
	Rows                  []Row    // by list and model
	Skipped               []string // what was left out, and why
}

// Row is what a model costs in a list.
type Row struct {
	List  string
	Price *controlv1.ModelPrice
}

// Key is by what a model is told from others: names are compared without regard to case.
func Key(model string) string { return strings.ToLower(model) }

func (r *Row) id() rowID { return rowID{r.List, Key(r.Price.GetModel())} }

type rowID struct{ list, model string }

func byID(a, b Row) int {
	x, y := a.id(), b.id()
	return cmp.Or(strings.Compare(x.list, y.list), strings.Compare(x.model, y.model))
}

// Normalize brings a price into the form in which it is kept: decimals without needless zeros, an amount of units
// always named, rates in order. It makes a copy.
func Normalize(p *controlv1.ModelPrice) *controlv1.ModelPrice {
	out := proto.CloneOf(p)
	for _, r := range out.GetRates() {
		if text, ok := Shift(r.GetPrice(), 0); ok {
			r.Price = text
		}
		r.Per = max(r.GetPer(), 1)
	}
	slices.SortStableFunc(out.GetRates(), func(a, b *controlv1.UnitPrice) int {
		return cmp.Or(strings.Compare(a.GetUnit(), b.GetUnit()), cmp.Compare(a.GetAbove(), b.GetAbove()), strings.Compare(a.GetVariant(), b.GetVariant()))
	})
	return out
}

// Order is the order in which rows of a list are tried: names before globs, and of globs the one that says most of
// a name first.
func Order(a, b *controlv1.ModelPrice) int {
	globs := func(m string) int { return min(strings.Count(m, "*"), 1) }
	says := func(m string) int { return len(m) - strings.Count(m, "*") }
	x, y := a.GetModel(), b.GetModel()
	return cmp.Or(cmp.Compare(globs(x), globs(y)), cmp.Compare(says(y), says(x)), strings.Compare(Key(x), Key(y)))
}

// Change is a row that differs between two books. Before is nil if it is added, After if it is removed.
type Change struct {
	List, Model   string
	Before, After *controlv1.ModelPrice
}

// Diff says what makes one book the other, by list and model. Prices are compared by what they come to: 2.50 for
// a million is 0.0000025 for one.
func Diff(before, after []Row) (changes []Change) {
	is := map[rowID]*controlv1.ModelPrice{}
	for i := range after {
		is[after[i].id()] = after[i].Price
	}
	was := map[rowID]bool{}
	var rows []Row
	at := map[rowID]Change{}
	note := func(r Row, c Change) {
		c.List, c.Model = r.List, r.Price.GetModel()
		rows, at[r.id()] = append(rows, r), c
	}
	for _, r := range before {
		was[r.id()] = true
		switch now, ok := is[r.id()]; {
		case !ok:
			note(r, Change{Before: r.Price})
		case !Same(r.Price, now):
			note(r, Change{Before: r.Price, After: now})
		}
	}
	for _, r := range after {
		if !was[r.id()] {
			note(r, Change{After: r.Price})
		}
	}
	slices.SortFunc(rows, byID)
	for i := range rows {
		changes = append(changes, at[rows[i].id()])
	}
	return changes
}

// Same says whether a model costs the same by both.
func Same(a, b *controlv1.ModelPrice) bool {
	x, y := amounts(a), amounts(b)
	if len(x) != len(y) {
		return false
	}
	for of, amount := range x {
		if other, ok := y[of]; !ok || amount.Cmp(other) != 0 {
			return false
		}
	}
	return true
}

// rateID is what a rate is for.
type rateID struct {
	unit, variant string
	above         int64
}

func of(r *controlv1.UnitPrice) rateID { return rateID{r.GetUnit(), r.GetVariant(), r.GetAbove()} }

func amounts(p *controlv1.ModelPrice) map[rateID]*big.Rat {
	out := map[rateID]*big.Rat{}
	for _, r := range p.GetRates() {
		amount := new(big.Rat)
		if whole, ok := Shift(r.GetPrice(), 0); ok {
			amount.SetString(whole)
		}
		out[of(r)] = amount.Quo(amount, new(big.Rat).SetInt64(max(r.GetPer(), 1)))
	}
	return out
}
