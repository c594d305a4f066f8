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

func at(field string, i int) string { return field + "[" + strconv.Itoa(i) + "]" }

func quoted(s string) string { return strconv.Quote(s) }

// readPrice reads an amount of dollars. The reason says why it is none.
func readPrice(s string) (d decimal, reason string) {
	d, ok := parseDecimal(s)
	switch {
	case s == "":
		return d, `it is missing: a decimal such as "2.50"`
	case len(s) > 1 && s[0] == '-':
		return d, "it is negative"
	case !ok:
		return d, quoted(s) + ` is no decimal such as "2.50"`
	case d.decimals() > mostPlacesOfPrice:
		return d, fmt.Sprintf("%q has more than %d decimals", s, mostPlacesOfPrice)
	case d.cmp(whole(int64(mostCost/money.Dollar))) > 0:
		return d, "it is more than a million dollars"
	}
	return d, ""
}

// readNumber reads a number that is no amount. The reason says why it is none.
func readNumber(s string) (d decimal, reason string) {
	d, ok := parseDecimal(s)
	switch {
	case len(s) > 1 && s[0] == '-':
		return d, "it is negative"
	case !ok:
		return d, quoted(s) + " is no decimal"
	case d.decimals() > mostPlacesOfPrice:
		return d, fmt.Sprintf("%q has more than %d decimals", s, mostPlacesOfPrice)
	}
	return d, ""
}

// price reads an amount that may be left out.
func (p *problems) price(field, s string) *decimal {
	if s == "" {
		return nil
	}
	d, reason := readPrice(s)
	if reason != "" {
		p.say(field, "%s", reason)
		return nil
	}
	return &d
}

// number reads a number that may be left out.
func (p *problems) number(field, s string) *decimal {
	if s == "" {
		return nil
	}
	d, reason := readNumber(s)
	if reason != "" {
		p.say(field, "%s", reason)
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
