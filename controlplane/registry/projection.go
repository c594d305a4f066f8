package registry

import (
	"math/big"
	"time"

	"tollgate/internal/money"
)

// Recent is what was spent lately on what a budget applies to, counted from full hours.
type Recent struct {
	Day, Week           money.Nanos // in the last day, and in the last seven or since the budget's period began
	DayBegan, WeekBegan time.Time   // from when on it counts
	Requests            int64       // in the last seven days
	First               time.Time   // the hour of the first of these; zero if there was none
}

// Standing is how a budget is spent.
type Standing uint8

// The standings. The numbers are those of the protobuf enumeration.
const (
	StandingOK Standing = iota + 1
	StandingAtRisk
	StandingExhausted
)

// Projection is where the spending of a budget leads.
type Projection struct {
	Standing      Standing
	Known         bool        // there is enough to tell a pace
	Pace          money.Nanos // an hour
	After, Before time.Time   // between these it runs out; zero if it lasts
	Projected     money.Nanos // spent when the period ends
	Ends          bool        // Projected is of an end that comes before it runs out
}

const (
	fewestRequests = 3
	shortestPace   = time.Hour
	// soon is when a budget that never starts anew is at risk, and farthest how far a projection looks at all.
	soon     = 7 * 24 * time.Hour
	farthest = 10 * 366 * 24 * time.Hour
)

// Project says where a budget's spending leads: the limit and what is spent of it, what was spent lately, and when the period ends, the
// zero time for never. Warned says whether the last of its warnings has come.
//
// The pace is the larger of that of the last day and that of the last seven days or since the period began, each since there were
// requests at all. Where the two differ by more than 30 percent, it runs out between what both say.
func Project(limit, spent money.Nanos, r Recent, now, end time.Time, warned bool) Projection {
	var p Projection
	p.Standing = StandingOK
	if warned {
		p.Standing = StandingAtRisk
	}
	if spent >= limit {
		p.Standing = StandingExhausted
	}
	if r.Requests < fewestRequests || r.First.IsZero() || now.Sub(r.First) < shortestPace {
		return p
	}
	fast, slow := rateOf(r.Day, r.DayBegan, r.First, now), rateOf(r.Week, r.WeekBegan, r.First, now)
	if fast.Cmp(slow) < 0 {
		fast, slow = slow, fast
	}
	p.Known, p.Pace = true, times(fast, time.Hour)
	if p.Standing == StandingExhausted {
		return p
	}
	left := limit - spent
	last := now.Add(farthest)
	if !end.IsZero() && end.Before(last) {
		last = end
	}
	if at, ok := runsOut(left, fast, now, last); ok {
		p.After, p.Before = at, at
		if differ(fast, slow) {
			if p.Before, ok = runsOut(left, slow, now, last); !ok {
				p.Before = last
			}
		}
		if !end.IsZero() || at.Sub(now) < soon {
			p.Standing = StandingAtRisk
		}
		return p
	}
	if !end.IsZero() {
		total, err := spent.Add(times(fast, max(end.Sub(now), 0)))
		p.Ends, p.Projected = err == nil, total
	}
	return p
}

// rateOf is what is spent in a nanosecond.
func rateOf(cost money.Nanos, began, first, now time.Time) *big.Rat {
	if first.After(began) {
		began = first
	}
	return big.NewRat(max(int64(cost), 0), int64(max(now.Sub(began), shortestPace)))
}

// times is what is spent in a time at a rate, rounded down.
func times(rate *big.Rat, d time.Duration) money.Nanos {
	product := new(big.Rat).Mul(rate, new(big.Rat).SetInt64(int64(d)))
	n := new(big.Int).Quo(product.Num(), product.Denom())
	if !n.IsInt64() {
		return money.Max
	}
	return min(money.Nanos(n.Int64()), money.Max)
}

// runsOut is when something is spent at a rate, if that is before the last time that counts.
func runsOut(left money.Nanos, rate *big.Rat, now, last time.Time) (time.Time, bool) {
	if rate.Sign() <= 0 {
		return time.Time{}, false
	}
	takes := new(big.Rat).Quo(new(big.Rat).SetInt64(int64(left)), rate)
	n := new(big.Int).Quo(takes.Num(), takes.Denom())
	if !n.IsInt64() || n.Int64() >= int64(last.Sub(now)) {
		return time.Time{}, false
	}
	return now.Add(time.Duration(n.Int64())), true
}

// differ says whether the faster of two rates is more than 30 percent above the slower one.
func differ(fast, slow *big.Rat) bool {
	return new(big.Rat).Mul(fast, big.NewRat(10, 1)).Cmp(new(big.Rat).Mul(slow, big.NewRat(13, 1))) > 0
}
