package limits

import (
	"math"
	"time"

	eventv1 "tollgate/gen/tollgate/event/v1"
	"tollgate/internal/bucket"
)

// patience is how long an edge may be thought to keep a request waiting for tokens. Who has to wait
// longer gives up, and nobody needs to wait behind him.
const patience = 50 * time.Millisecond

// rate is the bucket of a limit and who draws on it.
type rate struct {
	bucket   bucket.Bucket
	askers   recent[asker]
	promised int64     // tokens that those who wait were put off for
	promises []promise // in the order in which they were made
}

// asker is an edge that asked lately, and what it was put off for.
type asker struct{ n, due int64 }

type promise struct{ inc, due int64 }

// Rates answers lines of one incarnation that ask for tokens. Whoever needs tokens gets them as long as
// there are any, and more than it needs in proportion to what is there and to how many share it: one
// hot edge can use nearly all of a limit, and a hundred find something left.
func (b *Book) Rates(now time.Time, inc int64, lines []*eventv1.RateLine) []*eventv1.RateGrant {
	t := b.since(now)
	b.forget(t)
	out := make([]*eventv1.RateGrant, len(lines))
	for i, q := range lines {
		g := &eventv1.RateGrant{Limit: q.GetLimit()}
		out[i] = g
		e := b.known(q.GetLimit(), eventv1.LimitKind_LIMIT_KIND_REQUESTS, eventv1.LimitKind_LIMIT_KIND_UNITS)
		if e == nil {
			g.Unknown = true
			continue
		}
		if e.amount == 0 && e.rate == nil {
			g.RetryAfterMs = millis(math.MaxInt64)
			continue
		}
		*b.active.touch(q.GetLimit(), t) = e
		if e.rate == nil {
			e.rate = &rate{bucket: b.unused(e, t)}
		}
		e.fill(t)
		need := clamp(q.GetNeed())
		tokens, wait := e.rate.vend(t, inc, need, max(need, clamp(q.GetWant())), e)
		g.Tokens, g.RetryAfterMs = tokens, millis(wait)
		g.TtlMs = uint32(ChunkTTL / time.Millisecond)
		g.Sharers = uint32(e.rate.askers.len())
	}
	return out
}

// unused is the bucket of a limit of which this leader has vended nothing.
func (b *Book) unused(e *entry, now int64) bucket.Bucket {
	out := bucket.Empty(0)
	if e.born {
		out = bucket.Empty(now)
		out.Tokens = e.burst
	}
	return out
}

// fill lets flow in what has come. What came before an edit is counted at the lower of both rates.
func (e *entry) fill(now int64) {
	amount := e.amount
	if e.edited {
		amount = min(amount, e.was)
		e.edited = false
	}
	e.rate.bucket.Fill(now, bucket.Rate{Amount: amount, Among: 1}, e.burst)
}

// vend takes tokens out of the bucket for an incarnation. If they are fewer than it needs, it also
// says when the rest may be there.
func (r *rate) vend(now, inc, need, want int64, e *entry) (tokens, wait int64) {
	r.expire(now)
	a := r.askers.touch(inc, now)
	r.promised -= a.n
	*a = asker{}
	share := r.bucket.Tokens
	if n := int64(r.askers.len()); n > 1 {
		share /= 2 * n
	}
	switch {
	case e.amount == 0: // nothing passes, whatever is left in the bucket
	case r.bucket.Tokens >= need:
		tokens = max(need, min(want, share))
	case e.kind == eventv1.LimitKind_LIMIT_KIND_REQUESTS:
		// Each token lets a request pass. Of units, fewer than a request needs help nobody.
		tokens = max(0, r.bucket.Tokens)
	}
	r.bucket.Tokens -= tokens
	if tokens >= need {
		return tokens, 0
	}
	lack := need - tokens
	if lack > e.burst || e.amount == 0 {
		return tokens, math.MaxInt64
	}
	wait = r.bucket.Until(lack+r.promised, bucket.Rate{Amount: e.amount, Among: 1})
	if wait <= int64(patience) {
		*a = asker{lack, now + wait}
		r.promised += lack
		r.promises = append(r.promises, promise{inc, now + wait})
	}
	return tokens, wait
}

// expire forgets who has not asked for long, and promises whose time has come.
func (r *rate) expire(now int64) {
	for len(r.promises) > 0 && r.promises[0].due <= now {
		p := r.promises[0]
		r.promises = r.promises[1:]
		if a := r.askers.get(p.inc); a != nil && a.due == p.due {
			r.promised -= a.n
			*a = asker{}
		}
	}
	for {
		inc, a, at, ok := r.askers.oldest()
		if !ok || at+int64(sharing) > now {
			return
		}
		r.promised -= a.n
		r.askers.drop(inc)
	}
}

// millis rounds up, so that nobody comes back too early. The longest time stands for never.
func millis(ns int64) uint32 {
	ms := ns / int64(time.Millisecond)
	if ns%int64(time.Millisecond) > 0 {
		ms++
	}
	return uint32(min(ms, math.MaxUint32))
}
