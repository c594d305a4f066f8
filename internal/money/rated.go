package money

import (
	"math"
	"math/bits"
)

// million is how many units a rate is for.
const million = 1_000_000

// Rated is a sum of units at their rates, exact to the millionth of a nano-dollar, that is rounded only
// when it is done. It never falls, and it does not wrap: beyond its 128 bits it stays at its largest,
// which is more than any amount. The zero value is nothing.
type Rated struct{ high, low uint64 } // in millionths of a nano-dollar

// largest is a Rated that no amount reaches.
var largest = Rated{math.MaxUint64, math.MaxUint64}

// Plus is r and n units at a price for a million of them. Neither is ever negative; if one is, it counts
// as nothing.
func (r Rated) Plus(n int64, perMillion Nanos) Rated {
	if n <= 0 || perMillion <= 0 {
		return r
	}
	high, low := bits.Mul64(uint64(n), uint64(perMillion))
	var carry uint64
	low, carry = bits.Add64(r.low, low, 0)
	if high, carry = bits.Add64(r.high, high, carry); carry > 0 {
		return largest
	}
	return Rated{high, low}
}

// PlusNanos is r and an amount, which is not negative.
func (r Rated) PlusNanos(a Nanos) Rated { return r.Plus(million, a) }

// Nanos is the sum rounded up to a whole nano-dollar: one rounding, never in the caller's favour. If it
// does not fit, it is Max and ErrOverflow.
func (r Rated) Nanos() (Nanos, error) {
	if r.high >= million {
		return Max, ErrOverflow
	}
	q, rest := bits.Div64(r.high, r.low, million)
	if rest > 0 && q < math.MaxUint64 {
		q++
	}
	if q > math.MaxInt64 {
		return Max, ErrOverflow
	}
	return Nanos(q), nil
}

// Within says whether the sum, rounded up, is no more than an amount.
func (r Rated) Within(most Nanos) bool {
	n, err := r.Nanos()
	return err == nil && n <= most
}

// Fits is how many units more, at a price for a million of them, keep the sum within an amount. It is
// 0 also for a sum that is beyond the amount.
func (r Rated) Fits(most, perMillion Nanos) int64 {
	if !r.Within(most) {
		return 0
	}
	if perMillion <= 0 {
		return math.MaxInt64
	}
	high, low := bits.Mul64(uint64(most), million)
	low, borrow := bits.Sub64(low, r.low, 0)
	high, _ = bits.Sub64(high, r.high, borrow)
	if high >= uint64(perMillion) {
		return math.MaxInt64
	}
	q, _ := bits.Div64(high, low, uint64(perMillion))
	return int64(min(q, math.MaxInt64))
}
