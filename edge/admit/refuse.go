package admit

import (
	"math"
	"strings"
	"time"

	"tollgate/internal/fault"
	"tollgate/internal/money"
	"tollgate/internal/period"
)

// retryAfter is when it makes sense to try again if the answer may soon be another.
const retryAfter = time.Second

func exhausted(l *line, amount int64) *fault.Error {
	who, needs := title(l.subject), money.Nanos(amount).Dollars()
	var err *fault.Error
	switch left, known := l.left(); {
	case !known:
		err = fault.New(fault.BudgetExhausted, "%s has too little left%s; this request needs %s.", who, during(l.period), needs)
	case left >= amount:
		err = fault.New(fault.BudgetExhausted, "%s has %s left%s, but other requests hold it; this request needs %s.", who, money.Nanos(left).Dollars(), during(l.period), needs)
	default:
		err = fault.New(fault.BudgetExhausted, "%s has %s left%s; this request needs %s.", who, money.Nanos(max(0, left)).Dollars(), during(l.period), needs)
	}
	if l.end == math.MaxInt64 {
		return err.WithHint("Ask your gateway admin to raise the budget. It does not reset by itself.")
	}
	return err.WithHint("Ask your gateway admin to raise the budget. It resets %s.", time.Unix(l.end, 0).UTC().Format(time.RFC3339))
}

func unavailable(l *line, amount int64) *fault.Error {
	return fault.New(fault.BudgetUnavailable, "The ledger did not answer, and this edge holds too little of the budget of %s: this request needs %s.",
		l.subject, money.Nanos(amount).Dollars()).WithRetryAfter(retryAfter)
}

func notKnown(l *line) *fault.Error {
	return fault.New(fault.BudgetUnavailable, "The ledger does not know this period of the budget of %s yet.", l.subject).
		WithHint("Try again shortly. If it persists, compare the clocks of this edge and of the ledger.").WithRetryAfter(retryAfter)
}

// title begins a sentence with s.
func title(s string) string {
	if s == "" {
		return "The budget"
	}
	return strings.ToUpper(s[:1]) + s[1:]
}

func during(p period.Period) string {
	switch p {
	case period.Hour:
		return " this hour"
	case period.Day:
		return " today"
	case period.Week:
		return " this week"
	case period.Month:
		return " this month"
	default:
		return ""
	}
}
