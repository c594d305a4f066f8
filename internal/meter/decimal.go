package meter

import (
	"math/big"
	"math/bits"
	"strconv"
	"strings"
)

// What a number may look like, so that nobody can make the arithmetic long.
const (
	mostDigits   = 64
	mostExponent = 30
)

// pow10 are the powers of ten that fit into 64 bits.
var pow10 = func() (p [20]uint64) {
	p[0] = 1
	for i := 1; i < len(p); i++ {
		p[i] = p[i-1] * 10
	}
	return p
}()

// decimal is a number that is not negative, exactly: coef times ten to the exp. The zero value is 0.
type decimal struct {
	coef uint64
	exp  int32
	big  *big.Int // the coefficient, where it does not fit; never changed
}

// whole is a decimal of a whole number; of a negative one it is 0.
func whole(n int64) decimal { return decimal{coef: uint64(max(n, 0))} }

// one is the number 1.
var one = decimal{coef: 1}

// mostCount is larger than any number that is counted.
var mostCount = decimal{coef: 1, exp: 18}

// parseDecimal reads a decimal as JSON writes numbers, also with an exponent. Negative ones, and those that are too long or
// too large, are none.
func parseDecimal(s string) (decimal, bool) {
	if d, ok := wholeNumber(s); ok {
		return d, true
	}
	negative := false
	if s != "" && s[0] == '-' {
		negative, s = true, s[1:]
	}
	var (
		d      decimal
		digits int
		text   [mostDigits]byte
		dot    = -1
		i      int
		seen   bool
	)
	for ; i < len(s); i++ {
		switch c := s[i]; {
		case c >= '0' && c <= '9':
			seen = true
			if digits == 0 && c == '0' {
				if dot >= 0 {
					d.exp--
				}
				continue // leading zeros are no digits
			}
			if digits == mostDigits {
				return decimal{}, false
			}
			text[digits] = c
			digits++
			if dot >= 0 {
				d.exp--
			}
		case c == '.' && dot < 0 && seen:
			dot = i
		case (c == 'e' || c == 'E') && seen && dot != i-1:
			e, err := strconv.ParseInt(s[i+1:], 10, 32)
			if err != nil || e > mostExponent || e < -mostExponent {
				return decimal{}, false
			}
			d.exp += int32(e)
			i = len(s)
		default:
			return decimal{}, false
		}
	}
	if !seen || dot == len(s)-1 || d.exp < -mostDigits-mostExponent {
		return decimal{}, false
	}
	for digits > 0 && text[digits-1] == '0' {
		digits--
		d.exp++
	}
	if digits == 0 {
		return decimal{}, true
	}
	if negative {
		return decimal{}, false
	}
	if digits <= 19 {
		for _, c := range text[:digits] {
			d.coef = d.coef*10 + uint64(c-'0')
		}
	} else {
		d.big, _ = new(big.Int).SetString(string(text[:digits]), 10)
	}
	if d.cmp(mostCount) > 0 {
		return decimal{}, false
	}
	return d, true
}

// wholeNumber reads a number of digits alone, as almost all are that are counted; false if it is not one, or a long one.
func wholeNumber[T string | []byte](s T) (decimal, bool) {
	const most = 18 // of these all are fewer than mostCount
	if len(s) == 0 || len(s) > most {
		return decimal{}, false
	}
	var n uint64
	for i := range len(s) {
		c := s[i] - '0'
		if c > 9 {
			return decimal{}, false
		}
		n = n*10 + uint64(c)
	}
	return decimal{coef: n}, true
}

// isZero says whether it is 0.
func (d decimal) isZero() bool { return d.coef == 0 && (d.big == nil || d.big.Sign() == 0) }

// coefficient is the coefficient as a large number.
func (d decimal) coefficient() *big.Int {
	if d.big != nil {
		return d.big
	}
	return new(big.Int).SetUint64(d.coef)
}

// made is a decimal of a large coefficient.
func made(coef *big.Int, exp int32) decimal {
	if coef.IsUint64() {
		return decimal{coef: coef.Uint64(), exp: exp}
	}
	return decimal{big: coef, exp: exp}
}

// aligned are the coefficients of two numbers for the lower one of their exponents; false if they do not fit.
func aligned(a, b decimal) (x, y uint64, exp int32, ok bool) {
	if a.big != nil || b.big != nil {
		return 0, 0, 0, false
	}
	if a.coef == 0 {
		return 0, b.coef, b.exp, true
	}
	if b.coef == 0 {
		return a.coef, 0, a.exp, true
	}
	x, y, exp = a.coef, b.coef, min(a.exp, b.exp)
	if a.exp > exp {
		x, ok = shifted(x, a.exp-exp)
	} else {
		y, ok = shifted(y, b.exp-exp)
	}
	return x, y, exp, ok
}

func shifted(x uint64, by int32) (uint64, bool) {
	if by >= int32(len(pow10)) {
		return 0, false
	}
	high, low := bits.Mul64(x, pow10[by])
	return low, high == 0
}

func bigAligned(a, b decimal) (x, y *big.Int, exp int32) {
	exp = min(a.exp, b.exp)
	return bigShifted(a.coefficient(), a.exp-exp), bigShifted(b.coefficient(), b.exp-exp), exp
}

func bigShifted(x *big.Int, by int32) *big.Int {
	return new(big.Int).Mul(x, bigPow10(by))
}

func bigPow10(n int32) *big.Int {
	return new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(n)), nil)
}

// plus is the sum.
func (d decimal) plus(e decimal) decimal {
	if x, y, exp, ok := aligned(d, e); ok {
		if sum, carry := bits.Add64(x, y, 0); carry == 0 {
			return decimal{coef: sum, exp: exp}
		}
	}
	x, y, exp := bigAligned(d, e)
	return made(x.Add(x, y), exp)
}

// minus is the difference, or 0 where e is larger.
func (d decimal) minus(e decimal) decimal {
	if x, y, exp, ok := aligned(d, e); ok {
		if x <= y {
			return decimal{}
		}
		return decimal{coef: x - y, exp: exp}
	}
	x, y, exp := bigAligned(d, e)
	if x.Cmp(y) <= 0 {
		return decimal{}
	}
	return made(x.Sub(x, y), exp)
}

// times is the product.
func (d decimal) times(e decimal) decimal {
	if d.big == nil && e.big == nil {
		if high, low := bits.Mul64(d.coef, e.coef); high == 0 {
			return decimal{coef: low, exp: d.exp + e.exp}
		}
	}
	return made(new(big.Int).Mul(d.coefficient(), e.coefficient()), d.exp+e.exp)
}

// cmp is -1, 0 or 1 as d is less than, equal to or more than e.
func (d decimal) cmp(e decimal) int {
	if x, y, _, ok := aligned(d, e); ok {
		switch {
		case x < y:
			return -1
		case x > y:
			return 1
		}
		return 0
	}
	x, y, _ := bigAligned(d, e)
	return x.Cmp(y)
}

// ceil is the number rounded up to a whole one, at most the largest int64.
func (d decimal) ceil() int64 {
	const most = 1<<63 - 1
	if d.exp >= 0 {
		if n, ok := shifted(d.coef, d.exp); ok && d.big == nil && n <= most {
			return int64(n)
		}
		return most
	}
	if d.big == nil {
		if -d.exp >= int32(len(pow10)) {
			return int64(min(d.coef, 1))
		}
		p := pow10[-d.exp]
		n := d.coef / p
		if d.coef%p > 0 {
			n++
		}
		return int64(min(n, most))
	}
	q, r := new(big.Int).QuoRem(d.big, bigPow10(-d.exp), new(big.Int))
	if r.Sign() > 0 {
		q.Add(q, big.NewInt(1))
	}
	if !q.IsInt64() {
		return most
	}
	return q.Int64()
}

// decimals is how many digits it has after the point.
func (d decimal) decimals() int {
	text := d.String()
	_, after, _ := strings.Cut(text, ".")
	return len(after)
}

// String is the number without an exponent, and without zeros at its end.
func (d decimal) String() string {
	var room [32]byte
	return string(d.append(room[:0]))
}

// append adds what String writes to a text.
func (d decimal) append(b []byte) []byte {
	if d.isZero() {
		return append(b, '0')
	}
	if d.big == nil && d.exp >= 0 { // as almost all counts are
		b = strconv.AppendUint(b, d.coef, 10)
		for range d.exp {
			b = append(b, '0')
		}
		return b
	}
	digits := d.coefficient().String()
	if d.exp >= 0 {
		return append(append(b, digits...), strings.Repeat("0", int(d.exp))...)
	}
	places := int(-d.exp)
	if len(digits) <= places {
		digits = strings.Repeat("0", places-len(digits)+1) + digits
	}
	before, after := digits[:len(digits)-places], strings.TrimRight(digits[len(digits)-places:], "0")
	if after == "" {
		return append(b, before...)
	}
	return append(append(append(b, before...), '.'), after...)
}
