package bucket_test

import (
	"math"
	"math/big"
	"testing"

	"pgregory.net/rapid"

	"tollgate/internal/bucket"
)

// Guarantee: however often a bucket is looked at, exactly what the rate brings flows in, and not a part
// of a token is lost or made.
func TestNothingIsLostToRounding(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		r := bucket.Rate{Amount: rapid.Int64Range(0, 1e12).Draw(t, "amount"), Among: rapid.Int64Range(1, 1e4).Draw(t, "among")}
		b := bucket.Empty(0)
		now := int64(0)
		for range rapid.IntRange(1, 30).Draw(t, "looks") {
			now += rapid.Int64Range(0, 1e12).Draw(t, "later")
			b.Fill(now, r, math.MaxInt64)
			b.Fill(now-rapid.Int64Range(0, now).Draw(t, "back"), r, math.MaxInt64)
		}
		want := new(big.Int).Mul(big.NewInt(now), big.NewInt(r.Amount))
		want.Div(want, new(big.Int).Mul(big.NewInt(bucket.Minute), big.NewInt(r.Among)))
		if !want.IsInt64() {
			want.SetInt64(math.MaxInt64)
		}
		if b.Tokens != want.Int64() {
			t.Fatalf("%d tokens, not %v", b.Tokens, want)
		}
	})
}

// Guarantee: when Until says there are enough, there are, and a nanosecond before there were not.
func TestUntilIsExact(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		r := bucket.Rate{Amount: rapid.Int64Range(1, 1e9).Draw(t, "amount"), Among: rapid.Int64Range(1, 100).Draw(t, "among")}
		b := bucket.Empty(0)
		b.Tokens = rapid.Int64Range(-1000, 1000).Draw(t, "tokens")
		start := rapid.Int64Range(0, 1e10).Draw(t, "start")
		b.Fill(start, r, math.MaxInt64)
		n := b.Tokens + rapid.Int64Range(1, 1000).Draw(t, "n")
		wait := b.Until(n, r)
		early, late := b, b
		early.Fill(start+wait-1, r, math.MaxInt64)
		late.Fill(start+wait, r, math.MaxInt64)
		if early.Tokens >= n || late.Tokens < n || late.Until(n, r) != 0 {
			t.Fatalf("in %d: %d before and %d then, not %d", wait, early.Tokens, late.Tokens, n)
		}
	})
}

// Guarantee: no number makes a bucket overflow or run over.
func TestExtremes(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		number := rapid.OneOf(rapid.Int64Range(0, math.MaxInt64), rapid.SampledFrom([]int64{0, 1, math.MaxInt64}))
		b := bucket.Empty(0)
		b.Tokens = rapid.OneOf(rapid.Int64(), rapid.SampledFrom([]int64{math.MinInt64, math.MaxInt64})).Draw(t, "tokens")
		r := bucket.Rate{Amount: number.Draw(t, "amount"), Among: max(1, number.Draw(t, "among"))}
		most := number.Draw(t, "most")
		for range 3 {
			before := min(b.Tokens, most)
			b.Fill(number.Draw(t, "now"), r, most)
			if b.Tokens > most || b.Tokens < before {
				t.Fatalf("%d tokens of %d after %d", b.Tokens, most, before)
			}
			if b.Until(number.Draw(t, "n"), r) < 0 {
				t.Fatal("time goes back")
			}
		}
	})
	if b := bucket.Empty(0); b.Until(1, bucket.Rate{Among: 1}) != math.MaxInt64 {
		t.Error("nothing comes, but not never")
	}
}
