package usage

import (
	"fmt"
	"strconv"

	"tollgate/internal/fault"
)

// Match selects by one dimension: any of Values has to be there, or none of them if Not is set. An empty value is that of
// attempts that have none. Statuses are written "404", or "4xx" for all that begin so.
type Match struct {
	Of     Dimension
	Values []string
	Not    bool
}

const maxMatch = 100

// check refuses what nothing can match, and what would be added up wrongly: sums by tag count a request once for each of its tags.
func (m Match) check(field string, ofSums bool) []fault.Violation {
	bad := func(reason string) []fault.Violation {
		return []fault.Violation{{Field: field, Code: "invalid", Reason: reason}}
	}
	switch {
	case m.Of == 0 || m.Of == ByDay || m.Of == ByHour:
		return bad("it does not say by what it selects")
	case len(m.Values) == 0 || len(m.Values) > maxMatch:
		return bad(fmt.Sprintf("it has %d values", len(m.Values)))
	case ofSums && m.Of == ByTag && (m.Not || len(m.Values) > 1 || m.Values[0] == ""):
		return bad("usage is filtered by one tag, because a request may have several")
	}
	for _, v := range m.Values {
		if !storable(v) {
			return bad(notStorable)
		}
		if _, _, ok := StatusOf(v); !ok && (m.Of == ByStatus || m.Of == ByStatusClass) {
			return bad("it is no status such as 404 or 4xx")
		}
	}
	return nil
}

func checkAll(prefix string, all []Match, ofSums bool) (out []fault.Violation) {
	for i, m := range all {
		out = append(out, m.check(fmt.Sprintf("%sfilters[%d]", prefix, i), ofSums)...)
	}
	return out
}

// StatusOf reads a status, or a class of statuses, of which it gives the first digit.
func StatusOf(text string) (status uint32, class, ok bool) {
	if len(text) == 3 && text[1:] == "xx" && text[0] >= '0' && text[0] <= '9' {
		return uint32(text[0] - '0'), true, true
	}
	n, err := strconv.ParseUint(text, 10, 16)
	return uint32(n), false, err == nil
}
