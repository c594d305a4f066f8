package admit

import (
	"math"
	"strconv"
	"strings"
	"time"

	"tollgate/internal/fault"
	"tollgate/internal/money"
	"tollgate/internal/period"
)

// retryAfter is when it makes sense to try again if the answer may soon be another.
const retryAfter = time.Second

func exhausted(l *line, amount int64) *fault.Error {
	l.mu.Lock()
	who, needs := l.terms.owner(), money.Nanos(amount).Dollars()
	l.mu.Unlock()
	var err *fault.Error
	switch left, known := l.left(); {
	case !known:
		err = fault.New(fault.BudgetExhausted, "%s has too little left%s; this request needs %s.", who, l.calendar.during(), needs)
	case left >= amount:
		err = fault.New(fault.BudgetExhausted, "%s has %s left%s, but other requests hold it; this request needs %s.", who, money.Nanos(left).Dollars(), l.calendar.during(), needs)
	default:
		err = fault.New(fault.BudgetExhausted, "%s has %s left%s; this request needs %s.", who, money.Nanos(max(0, left)).Dollars(), l.calendar.during(), needs)
	}
	const ask = "Ask your gateway admin to raise the budget. "
	switch end := time.Unix(l.end, 0).UTC().Format(time.RFC3339); {
	case l.calendar.period == period.Rolling:
		return err.WithHint(ask+"What is spent counts for %s; the oldest of them is over at %s.", days(l.calendar.days), end)
	case l.end == math.MaxInt64:
		return err.WithHint(ask + "It does not reset by itself.")
	default:
		return err.WithHint(ask+"It resets %s.", end)
	}
}

func unavailable(l *line, amount int64) *fault.Error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return fault.New(fault.BudgetUnavailable, "The ledger did not answer, and this edge holds too little of the budget%s of %s: this request needs %s.",
		l.terms.named(), l.terms.subject, money.Nanos(amount).Dollars()).WithRetryAfter(retryAfter)
}

// overtaken is for a request of which others were quicker to take what came, while there is more.
func overtaken(l *line, amount int64) *fault.Error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return fault.New(fault.BudgetUnavailable, "More requests wait for the budget%s of %s than the ledger could serve in time: this request needs %s.",
		l.terms.named(), l.terms.subject, money.Nanos(amount).Dollars()).WithRetryAfter(retryAfter)
}

func notKnown(l *line) *fault.Error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return fault.New(fault.BudgetUnavailable, "The ledger does not know this period of the budget%s of %s yet.", l.terms.named(), l.terms.subject).
		WithHint("Try again shortly. If it persists, compare the clocks of this edge and of the ledger.").WithRetryAfter(retryAfter)
}

// owner begins a sentence with what the budget limits: "Budget team-monthly: team search".
func (t terms) owner() string {
	if t.name == "" {
		return title(t.subject)
	}
	return "Budget " + t.name + ": " + t.subject
}

// named is the name of the budget inside a sentence, if it has one.
func (t terms) named() string {
	if t.name == "" {
		return ""
	}
	return " " + t.name
}

// title begins a sentence with s.
func title(s string) string {
	if s == "" {
		return "The budget"
	}
	return strings.ToUpper(s[:1]) + s[1:]
}

// during is the period at the end of "has $4.00 left".
func (c *calendar) during() string {
	switch {
	case c.period == period.Hour:
		return " this hour"
	case c.period == period.Day, c.period == period.Rolling && c.days == 1:
		return " today"
	case c.period == period.Week:
		return " this week"
	case c.period == period.Month:
		return " this month"
	case c.period == period.Rolling:
		return " for these " + days(c.days)
	default:
		return ""
	}
}

// days counts days in words: "1 day", "7 days".
func days(n uint32) string {
	if n == 1 {
		return "1 day"
	}
	return strconv.FormatUint(uint64(n), 10) + " days"
}
