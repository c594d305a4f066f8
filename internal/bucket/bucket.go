// Package bucket counts what flows into a token bucket, exactly: in whole numbers, with the part of a
// token that is not there yet carried on. It knows no clock and no limit; whoever has a bucket hands in
// both, so that a limit may change while tokens flow.
package bucket

import (
	"math"
	"math/bits"
)

// Minute is the time over which a rate is counted, in nanoseconds.
const Minute = 60_000_000_000

// Rate is how fast tokens come: Amount in a minute, shared by Among. It must not be negative, and
// Among not less than 1.
type Rate struct {
	Amount, Among int64
}

// span is the time in which Amount tokens come, in nanoseconds.
func (r Rate) span() uint64 { return uint64(min(r.Among, math.MaxInt64/Minute)) * Minute }

// Bucket is how many tokens there are. The zero value is empty at time 0.
type Bucket struct {
	Tokens int64  // may be negative, for what was taken and is owed
	rest   uint64 // of the next token, in parts of Rate.span
	at     int64  // when it was last filled
}

// Empty is a bucket without tokens.
func Empty(now int64) Bucket { return Bucket{at: now} }

// Fill lets flow in what has come since it was last filled, up to most. A clock that goes back adds
// nothing, and what came before it went back is not counted again.
func (b *Bucket) Fill(now int64, r Rate, most int64) {
	elapsed := now - b.at
	if elapsed > 0 {
		b.at = now
	}
	if b.Tokens >= most {
		b.Tokens, b.rest = most, 0
		return
	}
	if elapsed <= 0 || r.Amount <= 0 {
		return
	}
	span := r.span()
	hi, lo := bits.Mul64(uint64(elapsed), uint64(r.Amount))
	lo, carry := bits.Add64(lo, min(b.rest, span-1), 0)
	hi += carry
	if hi >= span {
		b.Tokens, b.rest = most, 0
		return
	}
	came, rest := bits.Div64(hi, lo, span)
	if came >= uint64(most)-uint64(b.Tokens) { // also where the difference is more than an int64 holds
		b.Tokens, b.rest = most, 0
		return
	}
	b.Tokens += int64(came)
	b.rest = rest
}

// Until is how long after it was last filled there are n tokens, if none are taken meanwhile and it
// holds as many. The longest time stands for never.
func (b *Bucket) Until(n int64, r Rate) int64 {
	if b.Tokens >= n {
		return 0
	}
	return Time(n-b.Tokens, b.rest, r)
}

// Time is how long it takes for n tokens to come, where rest parts of one are there already.
func Time(n int64, rest uint64, r Rate) int64 {
	if n <= 0 {
		return 0
	}
	if r.Amount <= 0 {
		return math.MaxInt64
	}
	hi, lo := bits.Mul64(uint64(n), r.span())
	lo, borrow := bits.Sub64(lo, min(rest, r.span()-1), 0)
	hi -= borrow
	lo, carry := bits.Add64(lo, uint64(r.Amount)-1, 0) // rounded up: not a nanosecond too early
	hi += carry
	if hi >= uint64(r.Amount) {
		return math.MaxInt64
	}
	t, _ := bits.Div64(hi, lo, uint64(r.Amount))
	return int64(min(t, math.MaxInt64))
}
