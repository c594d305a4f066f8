// Package money counts US dollars as whole billionths, so that prices far below a cent stay exact.
// It adds, compares, parses and prints, and reports overflow; it never rounds except a Rated, once
// and upward, and it knows nothing of accounts or budgets. No float enters or leaves it.
package money

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
)

// Nanos is an amount in billionths of a US dollar: 1_000_000_000 is one dollar. It reaches about
// nine billion dollars either way.
type Nanos int64

// Dollar is one US dollar.
const Dollar Nanos = 1_000_000_000

// Max is the largest amount.
const Max Nanos = math.MaxInt64

// ErrOverflow means that an amount does not fit.
var ErrOverflow = errors.New("money: amount does not fit")

// ErrPrecision means that an amount has more than nine decimals.
var ErrPrecision = errors.New("more than nine decimals")

// Add is a+b, or ErrOverflow.
func (a Nanos) Add(b Nanos) (Nanos, error) {
	sum := a + b
	if (b > 0 && sum < a) || (b < 0 && sum > a) {
		return 0, ErrOverflow
	}
	return sum, nil
}

// FromParts joins whole units and billionths of the same sign, as google.type.Money has them.
func FromParts(units int64, nanos int32) (Nanos, error) {
	if nanos <= -1_000_000_000 || nanos >= 1_000_000_000 {
		return 0, fmt.Errorf("money: %d billionths are not less than one unit", nanos)
	}
	if (units > 0 && nanos < 0) || (units < 0 && nanos > 0) {
		return 0, errors.New("money: units and billionths have different signs")
	}
	const most = math.MaxInt64 / int64(Dollar)
	if units > most || units < -most {
		return 0, ErrOverflow
	}
	return Nanos(units * int64(Dollar)).Add(Nanos(nanos))
}

// Parts splits an amount as google.type.Money has it.
func (a Nanos) Parts() (units int64, nanos int32) {
	return int64(a / Dollar), int32(a % Dollar)
}

// Parse reads a decimal such as "12", "12.00", "-0.5" or "0.000000001". It refuses exponents, more
// than nine decimals and anything else that it cannot hold exactly.
func Parse(s string) (Nanos, error) {
	text, negative := strings.CutPrefix(s, "-")
	whole, frac, dotted := strings.Cut(text, ".")
	if whole == "" || (dotted && frac == "") || !digits(whole) || !digits(frac) {
		return 0, fmt.Errorf("money: %q is not a decimal amount such as 12.00", s)
	}
	if len(strings.TrimRight(frac, "0")) > 9 {
		return 0, fmt.Errorf("money: %q has %w", s, ErrPrecision)
	}
	units, err := strconv.ParseInt(whole, 10, 64)
	if err != nil {
		return 0, ErrOverflow
	}
	frac = (frac + "000000000")[:9]
	nanos, err := strconv.ParseInt(frac, 10, 32)
	if err != nil {
		return 0, fmt.Errorf("money: %q: %w", s, err)
	}
	if negative {
		units, nanos = -units, -nanos
	}
	return FromParts(units, int32(nanos))
}

func digits(s string) bool {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return true
}

// String is the exact decimal with at least two places: "12.00", "0.0000015", "-3.50".
func (a Nanos) String() string { return string(a.Append(make([]byte, 0, 24))) }

// Append appends what String is.
func (a Nanos) Append(to []byte) []byte {
	u := uint64(a)
	if a < 0 {
		to, u = append(to, '-'), -u
	}
	to = append(strconv.AppendUint(to, u/uint64(Dollar), 10), '.')
	var frac [9]byte
	end, rest := len(frac), u%uint64(Dollar)
	for i := len(frac) - 1; i >= 0; i-- {
		frac[i] = byte('0' + rest%10)
		rest /= 10
	}
	for end > 2 && frac[end-1] == '0' {
		end--
	}
	return append(to, frac[:end]...)
}

// Dollars is String with a dollar sign, for people: "$12.00", "-$3.50".
func (a Nanos) Dollars() string {
	if s, negative := strings.CutPrefix(a.String(), "-"); negative {
		return "-$" + s
	}
	return "$" + a.String()
}
