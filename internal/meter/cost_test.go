package meter

import (
	"math/big"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"tollgate/internal/money"
)

// numberText are texts of numbers as vendors write them, and worse.
func numberText() *rapid.Generator[string] {
	return rapid.Custom(func(t *rapid.T) string {
		text := rapid.StringMatching(`[0-9]{1,18}`).Draw(t, "whole")
		if rapid.Bool().Draw(t, "dotted") {
			text += "." + rapid.StringMatching(`[0-9]{1,40}`).Draw(t, "fraction")
		}
		if rapid.Bool().Draw(t, "scientific") {
			text += "e-" + rapid.StringMatching(`[0-9]|[12][0-9]|30`).Draw(t, "exponent")
		}
		return text
	})
}

// fraction is the number that a text is.
func fraction(t interface{ Fatalf(string, ...any) }, text string) *big.Rat {
	r, ok := new(big.Rat).SetString(text)
	if !ok {
		t.Fatalf("%q is no number", text)
	}
	return r
}

// Guarantee: a number is exactly what its text says, and is written without loss.
func TestDecimalsAreExact(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		text := numberText().Draw(t, "text")
		d, ok := parseDecimal(text)
		if !ok {
			t.Fatalf("%q is a number", text)
		}
		if d.rat().Cmp(fraction(t, text)) != 0 || fraction(t, d.String()).Cmp(fraction(t, text)) != 0 {
			t.Fatalf("%q is read as %s", text, d)
		}
	})
}

// Guarantee: sums, differences, products and comparisons are exact; a difference is never below 0.
func TestDecimalArithmetic(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		x, y := numberText().Draw(t, "x"), numberText().Draw(t, "y")
		a, _ := parseDecimal(x)
		b, _ := parseDecimal(y)
		p, q := fraction(t, x), fraction(t, y)
		check := func(what string, got decimal, want *big.Rat) {
			if got.rat().Cmp(want) != 0 {
				t.Fatalf("%s %s %s = %s", x, what, y, got)
			}
		}
		check("+", a.plus(b), new(big.Rat).Add(p, q))
		check("*", a.times(b), new(big.Rat).Mul(p, q))
		difference := new(big.Rat).Sub(p, q)
		if difference.Sign() < 0 {
			difference.SetInt64(0)
		}
		check("-", a.minus(b), difference)
		if a.cmp(b) != p.Cmp(q) {
			t.Fatalf("%s is compared with %s as %d", x, y, a.cmp(b))
		}
		up := new(big.Int).Add(p.Num(), new(big.Int).Sub(p.Denom(), big.NewInt(1)))
		if want := up.Quo(up, p.Denom()); want.Cmp(big.NewInt(a.ceil())) != 0 {
			t.Fatalf("%s is rounded up to %d, not %s", x, a.ceil(), want)
		}
	})
}

// Guarantee: what is no number, is negative, or is long enough to be costly, is none.
func TestDecimalRefuses(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		"", ".", "-", "-1", "-0.1", "+1", "1.", ".5", "1e", "1e+", "1.e5", "e5", "1e31", "1e-31", "1_000", "0x10", "NaN", "Infinity", "1 ", "1,5",
		"1e19", "1000000000000000001", strings.Repeat("1", 65), "0." + strings.Repeat("1", 65), "0." + strings.Repeat("0", 100) + "1", "--1", "1-1", "1.2.3", "1e5e5",
	} {
		if d, ok := parseDecimal(text); ok {
			t.Errorf("%q is read as %s", text, d)
		}
	}
	for text, want := range map[string]string{
		"0": "0", "-0": "0", "0.0": "0", "6.11e-05": "0.0000611", "1E3": "1000", "2.50": "2.5", "007": "7", "1e+18": "1000000000000000000",
		"0." + strings.Repeat("0", 40) + "1": "0." + strings.Repeat("0", 40) + "1",
	} {
		if d, ok := parseDecimal(text); !ok || d.String() != want {
			t.Errorf("%q is read as %s, %t; want %s", text, d, ok, want)
		}
	}
}

// Guarantee: a cost is the exact sum of all its terms, rounded once, half to even, whatever the terms are.
func TestSumsAreRoundedOnceHalfToEven(t *testing.T) {
	t.Parallel()
	type term struct {
		count, price string
		per          int64
	}
	terms := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) term {
		price := rapid.StringMatching(`[0-9]{1,5}(\.[0-9]{1,12})?`).Draw(t, "price")
		per := rapid.OneOf(rapid.SampledFrom([]int64{1, 2, 3, 7, 60, 100, 1000, 3600, 1_000_000}), rapid.Int64Range(1, mostPer)).Draw(t, "per")
		count := rapid.OneOf(rapid.StringMatching(`[0-9]{1,7}`), rapid.StringMatching(`[0-9]{1,6}\.[0-9]{1,9}`), numberText()).Draw(t, "count")
		return term{count, price, per}
	}), 0, 8)
	rapid.Check(t, func(t *rapid.T) {
		var s sum
		want := new(big.Rat)
		for _, x := range terms.Draw(t, "terms") {
			price, flaw := readPrice(x.price)
			r, ok := newRate(price, x.per)
			if flaw.reason != "" || !ok {
				t.Fatalf("price %s per %d: %s, %t", x.price, x.per, flaw.reason, ok)
			}
			d, _ := parseDecimal(x.count)
			s.add(d, r)
			one := new(big.Rat).Mul(fraction(t, x.count), fraction(t, x.price))
			want.Add(want, one.Quo(one, new(big.Rat).SetInt64(x.per)))
		}
		want.Mul(want, new(big.Rat).SetInt64(int64(money.Dollar)))
		got, ok := s.nanos()
		half := new(big.Rat).Sub(want, new(big.Rat).SetInt64(int64(got)))
		off := half.Abs(half).Cmp(big.NewRat(1, 2))
		large := want.Cmp(new(big.Rat).SetInt64(int64(mostCost))) > 0
		switch {
		case large && ok && off > 0, large && got != mostCost:
			t.Fatalf("%s is rounded to %d, %t", want.FloatString(12), got, ok)
		case !large && (!ok || off > 0 || off == 0 && got%2 != 0):
			t.Fatalf("%s is rounded to %d, %t", want.FloatString(12), got, ok)
		}
	})
}

// Guarantee: costs that vendors make do not leave the fast path, so that they allocate nothing.
func TestCommonSumsDoNotAllocate(t *testing.T) {
	price := func(text string, per int64) rate {
		d, _ := parseDecimal(text)
		r, _ := newRate(d, per)
		return r
	}
	tokens, audio, gpu := price("2.50", 1_000_000), price("0.0043", 60), price("0.12", 3600)
	duration, _ := parseDecimal("25.933313")
	allocs := testing.AllocsPerRun(100, func() {
		var s sum
		s.add(whole(1420), tokens)
		s.add(duration, audio)
		s.add(duration, gpu)
		if _, ok := s.nanos(); !ok || s.big != nil {
			t.Error("the sum is a large number")
		}
	})
	if allocs != 0 {
		t.Errorf("%v allocations", allocs)
	}
}

// Guarantee: an amount is written with all its decimals, or says that they do not end.
func TestAmountsOfLines(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		count, price string
		per          int64
		want         string
	}{
		{"1420", "2.5", 1_000_000, "0.00355"},
		{"25.933313", "0.0043", 60, "0.001858554098333333333333…"},
		{"3", "1", 3, "1"},
		{"0", "1", 3, "0"},
	} {
		count, _ := parseDecimal(c.count)
		price, _ := parseDecimal(c.price)
		r, _ := newRate(price, c.per)
		var s sum
		s.add(count, r)
		if got := s.dollars(); got != c.want {
			t.Errorf("%s x %s/%d = %s, want %s", c.count, c.price, c.per, got, c.want)
		}
	}
}

// Guarantee: a star stands for any text, also for another pattern's, and case does not matter.
func TestGlobs(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		pattern, name string
		want          bool
	}{
		{"gpt-4o", "GPT-4o", true},
		{"gpt-4o", "gpt-4o-mini", false},
		{"gpt-4o-*", "gpt-4o-2024-08-06", true},
		{"gpt-4o-*", "gpt-4o", false},
		{"*", "", true},
		{"*anthropic.claude*-v1:0", "us.anthropic.claude-3-haiku-v1:0", true},
		{"*a*b*", "xaybaz", true},
		{"*a*b", "xaybaz", false},
		{"", "a", false},
		{"a**", "a", true},
		{"a*a", "a", false},
		{"a*a", "aa", true},
		{"gpt-*", "gpt-", true},
		{"gpt-*", "gpt-4*", true},
		{"gpt-4*", "gpt-*", false},
	} {
		if got := Matches(c.pattern, c.name); got != c.want {
			t.Errorf("%q matches %q: %t", c.pattern, c.name, got)
		}
	}
}
