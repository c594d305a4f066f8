package meter

import (
	"math/big"
	"math/bits"

	"tollgate/internal/money"
)

// mostCost is the most that a request is charged. A count that comes to more is wrong, and sums of such costs would
// not fit anywhere.
const mostCost = 1_000_000 * money.Dollar

// rate is what one of something costs in nano-dollars: num/den, reduced. It is 0 only if num is.
type rate struct{ num, den uint64 }

// dollar is one dollar for one.
var dollar = rate{uint64(money.Dollar), 1}

// newRate is the rate of a price in dollars for so many. It fits for every price up to a million dollars with up to
// 12 decimals.
func newRate(price decimal, per int64) (rate, bool) {
	if price.big != nil {
		return rate{}, false
	}
	num, den := price.coef, uint64(max(per, 1))
	if num == 0 {
		return rate{0, 1}, true
	}
	var ok bool
	if exp := price.exp + 9; exp >= 0 {
		num, ok = shifted(num, exp)
	} else {
		den, ok = shifted(den, -exp)
	}
	g := gcd(num, den)
	return rate{num / g, den / g}, ok
}

func (r rate) isZero() bool { return r.num == 0 }

// more says whether r is dearer than s.
func (r rate) more(s rate) bool {
	ah, al := bits.Mul64(r.num, s.den)
	bh, bl := bits.Mul64(s.num, r.den)
	return ah > bh || ah == bh && al > bl
}

func gcd(a, b uint64) uint64 {
	for b > 0 {
		a, b = b, a%b
	}
	return max(a, 1)
}

// sum is an exact sum of nano-dollars, a fraction. It is 128 bits over 64 as long as they are enough, which is so for
// everything that vendors count, and a large number otherwise. The zero value is 0.
type sum struct {
	high, low uint64
	den       uint64 // 0 stands for 1
	big       *big.Rat
}

// add adds so many at a rate.
func (s *sum) add(count decimal, r rate) {
	if count.isZero() || r.isZero() {
		return
	}
	if s.big == nil && count.big == nil && s.addSmall(count, r) {
		return
	}
	term := new(big.Rat).SetFrac(new(big.Int).SetUint64(r.num), new(big.Int).SetUint64(r.den))
	s.big = new(big.Rat).Add(s.rat(), term.Mul(term, count.rat()))
}

func (s *sum) addSmall(count decimal, r rate) bool {
	coef, num, den := count.coef, r.num, r.den
	if count.exp >= 0 {
		var ok bool
		if coef, ok = shifted(coef, count.exp); !ok {
			return false
		}
	} else {
		// Tens that cancel against the rate are taken out first, so that the denominator stays small.
		tens := -count.exp
		for ; tens > 0 && num%10 == 0; tens-- {
			num /= 10
		}
		var ok bool
		if den, ok = shifted(den, tens); !ok {
			return false
		}
	}
	if g := gcd(coef, den); g > 1 {
		coef, den = coef/g, den/g
	}
	if g := gcd(num, den); g > 1 {
		num, den = num/g, den/g
	}
	high, low := bits.Mul64(coef, num)
	mine := max(s.den, 1)
	if mine == den {
		return s.put(s.high, s.low, high, low, den)
	}
	g := gcd(mine, den)
	h, common := bits.Mul64(mine/g, den)
	if h > 0 {
		return false
	}
	ah, al, ok1 := mul128(s.high, s.low, den/g)
	bh, bl, ok2 := mul128(high, low, mine/g)
	return ok1 && ok2 && s.put(ah, al, bh, bl, common)
}

// put sets the sum to the sum of two numerators.
func (s *sum) put(ah, al, bh, bl, den uint64) bool {
	low, carry := bits.Add64(al, bl, 0)
	high, carry := bits.Add64(ah, bh, carry)
	if carry > 0 {
		return false
	}
	s.high, s.low, s.den = high, low, den
	return true
}

func mul128(high, low, by uint64) (h, l uint64, ok bool) {
	over, mid := bits.Mul64(high, by)
	carry, l := bits.Mul64(low, by)
	h, c := bits.Add64(mid, carry, 0)
	return h, l, over == 0 && c == 0
}

// rat is the number as a fraction.
func (d decimal) rat() *big.Rat {
	if d.exp >= 0 {
		return new(big.Rat).SetInt(bigShifted(d.coefficient(), d.exp))
	}
	return new(big.Rat).SetFrac(d.coefficient(), bigPow10(-d.exp))
}

func (s *sum) rat() *big.Rat {
	if s.big != nil {
		return s.big
	}
	num := new(big.Int).SetUint64(s.high)
	num.Lsh(num, 64).Or(num, new(big.Int).SetUint64(s.low))
	return new(big.Rat).SetFrac(num, new(big.Int).SetUint64(max(s.den, 1)))
}

// nanos is the sum rounded half to even to a nano-dollar: the one rounding of a request. What is more than a request
// may cost is mostCost, and false.
func (s *sum) nanos() (money.Nanos, bool) {
	if s.big == nil {
		den := max(s.den, 1)
		if s.high >= den {
			return mostCost, false
		}
		q, r := bits.Div64(s.high, s.low, den)
		if q > uint64(mostCost) {
			return mostCost, false
		}
		if half := den - r; r > half || r == half && q%2 == 1 {
			q++
		}
		if money.Nanos(q) > mostCost {
			return mostCost, false
		}
		return money.Nanos(q), true
	}
	q, r := new(big.Int).QuoRem(s.big.Num(), s.big.Denom(), new(big.Int))
	if c := r.Lsh(r, 1).Cmp(s.big.Denom()); c > 0 || c == 0 && q.Bit(0) == 1 {
		q.Add(q, big.NewInt(1))
	}
	if !q.IsInt64() || money.Nanos(q.Int64()) > mostCost {
		return mostCost, false
	}
	return money.Nanos(q.Int64()), true
}

// mostPlaces is how many decimals of an amount are written.
const mostPlaces = 24

// dollars is the sum in dollars as a decimal, which ends in "…" where its digits do not.
func (s *sum) dollars() string {
	x := new(big.Rat).Quo(s.rat(), new(big.Rat).SetInt64(int64(money.Dollar)))
	num := bigShifted(x.Num(), mostPlaces)
	q, r := num.QuoRem(num, x.Denom(), new(big.Int))
	text := made(q, -mostPlaces).String()
	if r.Sign() > 0 {
		text += "…"
	}
	return text
}
