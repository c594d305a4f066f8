package meter

import (
	"fmt"
	"regexp"
	"strconv"

	"tollgate/internal/money"
)

// Limits of what a price may say.
const (
	mostPlacesOfPrice = 12
	mostPer           = 1_000_000_000_000
)

var (
	meterName   = regexp.MustCompile(`^[a-z0-9]([a-z0-9_-]{0,61}[a-z0-9])?$`)
	counterName = regexp.MustCompile(`^[a-z][a-z0-9_]{0,31}$`)
	unitName    = regexp.MustCompile(`^[a-z][a-z0-9_]{0,47}$`)
	headerName  = regexp.MustCompile("^[A-Za-z0-9!#$%&'*+.^_`|~-]{1,128}$")
	methodName  = regexp.MustCompile(`^[A-Z][A-Z-]{0,31}$`)
	statusName  = regexp.MustCompile(`^([1-5](xx|[0-9][0-9])|any)$`)
	listName    = regexp.MustCompile(`^[a-z0-9][a-z0-9_-]{0,63}$`)
	plainField  = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_-]*(\.[A-Za-z_][A-Za-z0-9_-]*)*$`)
)

// problems collects what is wrong.
type problems []Problem

func (p *problems) say(field, format string, args ...any) {
	*p = append(*p, Problem{Field: field, Reason: fmt.Sprintf(format, args...)})
}

// mistaken says of what kind the last problem is.
func (p *problems) mistaken(m Mistake) { (*p)[len(*p)-1].Mistake = m }

func at(field string, i int) string { return field + "[" + strconv.Itoa(i) + "]" }

func quoted(s string) string { return strconv.Quote(s) }

// flaw is why a text is no number; the zero value is none.
type flaw struct {
	reason  string
	mistake Mistake
}

// readPrice reads an amount of dollars.
func readPrice(s string) (d decimal, f flaw) {
	d, ok := parseDecimal(s)
	switch {
	case s == "":
		f.reason = `it is missing: a decimal such as "2.50"`
	case len(s) > 1 && s[0] == '-':
		f = flaw{"it is negative", Negative}
	case !ok:
		f.reason = quoted(s) + ` is no decimal such as "2.50"`
	case d.decimals() > mostPlacesOfPrice:
		f = flaw{fmt.Sprintf("%q has more than %d decimals", s, mostPlacesOfPrice), TooPrecise}
	case d.cmp(whole(int64(mostCost/money.Dollar))) > 0:
		f.reason = "it is more than a million dollars"
	}
	return d, f
}

// readNumber reads a number that is no amount.
func readNumber(s string) (d decimal, f flaw) {
	d, ok := parseDecimal(s)
	switch {
	case len(s) > 1 && s[0] == '-':
		f.reason = "it is negative"
	case !ok:
		f.reason = quoted(s) + " is no decimal"
	case d.decimals() > mostPlacesOfPrice:
		f.reason = fmt.Sprintf("%q has more than %d decimals", s, mostPlacesOfPrice)
	}
	return d, f
}

// price reads an amount that may be left out.
func (p *problems) price(field, s string) *decimal { return p.read(field, s, readPrice) }

// number reads a number that may be left out.
func (p *problems) number(field, s string) *decimal { return p.read(field, s, readNumber) }

func (p *problems) read(field, s string, as func(string) (decimal, flaw)) *decimal {
	if s == "" {
		return nil
	}
	d, f := as(s)
	if f.reason != "" {
		p.say(field, "%s", f.reason)
		p.mistaken(f.mistake)
		return nil
	}
	return &d
}

// pattern compiles a regular expression.
func (p *problems) pattern(field, s string) *regexp.Regexp {
	re, err := regexp.Compile(s)
	if err != nil {
		p.say(field, "%s", err.Error())
		return nil
	}
	return re
}

// nanosOf is an amount rounded to a nano-dollar.
func nanosOf(d decimal) money.Nanos {
	var s sum
	s.add(d, dollar)
	n, _ := s.nanos()
	return n
}
