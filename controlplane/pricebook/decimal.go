package pricebook

import (
	"strconv"
	"strings"
)

const (
	// mostPlaces is how many decimal places a price of the book has at most, and mostDigits how long its text is.
	// A number that needs more is said for more units.
	mostPlaces = 12
	mostDigits = 32
	// mostExponent bounds what a file can make of a few characters.
	mostExponent = 64
	mostPer      = 1_000_000_000_000
)

// Shift is a decimal number in text, as JSON has it, times a power of ten: exactly, without exponent and without
// needless zeros. It fails for what is no number, is negative or is out of all proportion.
func Shift(number string, places int) (string, bool) {
	mantissa, exponent := number, 0
	if i := strings.IndexAny(number, "eE"); i >= 0 {
		e, err := strconv.Atoi(number[i+1:])
		if err != nil || e < -mostExponent || e > mostExponent {
			return "", false
		}
		mantissa, exponent = number[:i], e
	}
	whole, fraction, point := strings.Cut(mantissa, ".")
	digits := whole + fraction
	if whole == "" || point && fraction == "" || len(digits) > 2*mostExponent || strings.Trim(digits, "0123456789") != "" {
		return "", false
	}
	// The point stands behind so many digits; zeros make room for it.
	at := len(whole) + exponent + places
	if at < 1 {
		digits, at = strings.Repeat("0", 1-at)+digits, 1
	}
	if at > len(digits) {
		digits += strings.Repeat("0", at-len(digits))
	}
	whole, fraction = strings.TrimLeft(digits[:at], "0"), strings.TrimRight(digits[at:], "0")
	if whole == "" {
		whole = "0"
	}
	if fraction == "" {
		return whole, true
	}
	return whole + "." + fraction, true
}

// places is how many digits a decimal has after its point.
func places(decimal string) int {
	_, fraction, _ := strings.Cut(decimal, ".")
	return len(fraction)
}

// affordable says whether a price is at most a million dollars, which is the most that meters count with.
func affordable(decimal string) bool {
	whole, _, _ := strings.Cut(decimal, ".")
	return len(whole) < len("1000000") || decimal == "1000000"
}

// amount is the price of one unit, said for so many units as people do or, if it needs more places than a price
// can have, for more of them.
func amount(one string, perPower int) (price string, per int64, ok bool) {
	per = 1
	for range perPower {
		per *= 10
	}
	for ; per <= mostPer; per, perPower = per*1000, perPower+3 {
		if price, ok = Shift(one, perPower); !ok || places(price) <= mostPlaces {
			break
		}
	}
	return price, per, ok && per <= mostPer && len(price) <= mostDigits && affordable(price)
}
