package money_test

import (
	"math"
	"math/big"
	"testing"

	"pgregory.net/rapid"

	"tollgate/internal/money"
)

// Guarantee: what is printed parses to the same amount, for every amount.
func TestParseUndoesString(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		a := money.Nanos(rapid.Int64Range(-math.MaxInt64, math.MaxInt64).Draw(t, "nanos"))
		got, err := money.Parse(a.String())
		if err != nil || got != a {
			t.Fatalf("Parse(%q) = %d, %v; want %d", a.String(), got, err, a)
		}
		units, nanos := a.Parts()
		if back, err := money.FromParts(units, nanos); err != nil || back != a {
			t.Fatalf("FromParts(%d, %d) = %d, %v; want %d", units, nanos, back, err, a)
		}
	})
}

// Guarantee: a sum is exact, or ErrOverflow.
func TestAddReportsOverflow(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		a, b := rapid.Int64().Draw(t, "a"), rapid.Int64().Draw(t, "b")
		want := new(big.Int).Add(big.NewInt(a), big.NewInt(b))
		got, err := money.Nanos(a).Add(money.Nanos(b))
		if want.IsInt64() != (err == nil) || (err == nil && int64(got) != want.Int64()) {
			t.Fatalf("%d + %d = %d, %v; want %s", a, b, got, err, want)
		}
	})
}

func TestParseRefuses(t *testing.T) {
	t.Parallel()
	for _, s := range []string{"", ".", "1.", ".5", "1e3", "+1", "--1", "1,00", "0x1", " 1", "1 ", "NaN", "0.0000000001", "9999999999999999999", "9223372037"} {
		if got, err := money.Parse(s); err == nil {
			t.Errorf("Parse(%q) = %s; want an error", s, got)
		}
	}
}

func TestText(t *testing.T) {
	t.Parallel()
	for in, want := range map[money.Nanos]string{
		0: "$0.00", 12 * money.Dollar: "$12.00", 1500: "$0.0000015", -3_500_000_000: "-$3.50", 1: "$0.000000001",
	} {
		if got := in.Dollars(); got != want {
			t.Errorf("%d prints %q; want %q", int64(in), got, want)
		}
	}
}
