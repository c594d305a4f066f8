package money_test

import (
	"errors"
	"math"
	"math/big"
	"testing"

	"pgregory.net/rapid"

	"tollgate/internal/money"
)

// amounts are of every size, the largest among them.
func amounts() *rapid.Generator[int64] {
	return rapid.OneOf(rapid.Int64Range(0, 100), rapid.Int64Range(0, 1e12), rapid.Int64Range(0, math.MaxInt64))
}

var bigMillion = big.NewInt(1_000_000)

// Guarantee: what many units at many rates cost is the exact sum, rounded up once, or ErrOverflow; and
// it is within an amount exactly if it is not more.
func TestRatedIsExact(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		var r money.Rated
		sum := new(big.Int)
		for range rapid.IntRange(0, 12).Draw(t, "terms") {
			n, p := amounts().Draw(t, "units"), amounts().Draw(t, "price")
			if rapid.Bool().Draw(t, "nanos") {
				r = r.PlusNanos(money.Nanos(p))
				sum.Add(sum, new(big.Int).Mul(big.NewInt(p), bigMillion))
				continue
			}
			r = r.Plus(n, money.Nanos(p))
			sum.Add(sum, new(big.Int).Mul(big.NewInt(n), big.NewInt(p)))
		}
		want := ceil(sum)
		got, err := r.Nanos()
		most := amounts().Draw(t, "most")
		if within := r.Within(money.Nanos(most)); within != (want.Cmp(big.NewInt(most)) <= 0) {
			t.Fatalf("within %d is %v of %s", most, within, want)
		}
		if !want.IsInt64() {
			if !errors.Is(err, money.ErrOverflow) || got != money.Max {
				t.Fatalf("%s is said to be %d, %v", want, got, err)
			}
			return
		}
		if err != nil || int64(got) != want.Int64() {
			t.Fatalf("sum is %d, %v; want %s", got, err, want)
		}
	})
}

func ceil(millionths *big.Int) *big.Int {
	up := new(big.Int).Add(millionths, big.NewInt(999_999))
	return up.Div(up, bigMillion)
}

// Guarantee: as many units as are said to fit do, and not one more.
func TestRatedFits(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		r := money.Rated{}.PlusNanos(money.Nanos(amounts().Draw(t, "base"))).
			Plus(amounts().Draw(t, "units"), money.Nanos(amounts().Draw(t, "rate")))
		most, price := money.Nanos(amounts().Draw(t, "most")), money.Nanos(amounts().Draw(t, "price"))
		n := r.Fits(most, price)
		switch {
		case !r.Within(most):
			if n != 0 {
				t.Fatalf("%d more fit where it is too much already", n)
			}
		case !r.Plus(n, price).Within(most):
			t.Fatalf("%d do not fit", n)
		case n < math.MaxInt64 && r.Plus(n+1, price).Within(most):
			t.Fatalf("more than %d fit", n)
		}
	})
}

// Guarantee: what is negative counts as nothing, and a sum beyond all amounts stays there.
func TestRatedDoesNotWrap(t *testing.T) {
	t.Parallel()
	if got, err := (money.Rated{}).Plus(-5, 5).Plus(5, -5).PlusNanos(-1).Nanos(); got != 0 || err != nil {
		t.Errorf("negative terms come to %d, %v", got, err)
	}
	r := money.Rated{}
	for range 20 {
		r = r.Plus(math.MaxInt64, money.Max)
		if got, err := r.Nanos(); got != money.Max || !errors.Is(err, money.ErrOverflow) {
			t.Fatalf("it has wrapped to %d, %v", got, err)
		}
	}
}
