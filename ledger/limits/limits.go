// Package limits decides what edges get of limits that apply to all of them together: tokens of
// rates, which are void a second after an edge asked for them, and permits for requests at a time,
// which an edge holds for as long as it says so. It is the state of one leader of one partition and
// nothing of it is durable: a new leader starts with empty buckets, and gives no permits until every
// edge had the time to say what it holds.
//
// Nothing in this package reads a clock or a network. What was vended in any time t is at most the
// burst and what flows in during t, so that what edges use of it in any time t is at most the burst
// and what flows in during t and a chunk's life.
package limits

import (
	"slices"
	"time"

	eventv1 "tollgate/gen/tollgate/event/v1"
)

// How long what an edge was told is good for.
const (
	// ChunkTTL is how long after an edge asked for tokens it may use them.
	ChunkTTL = time.Second
	// SessionTTL is how long after an edge told its permits it may start requests with them.
	SessionTTL = 8 * time.Second
	// SessionEnd is how long after an edge was last heard its permits are free for others. The time
	// from SessionTTL to it is for clocks that run apart and for requests that are ending.
	SessionEnd = 12 * time.Second
)

// sharing is for how long after it asked an edge counts among those who share a rate.
const sharing = 5 * time.Second

// most bounds numbers that come from outside, so that sums of them cannot overflow.
const most = 1 << 40

// Book is what the leader of one partition knows of limits. It is not safe for concurrent use.
type Book struct {
	start  time.Time
	learn  int64 // until then permits are not given beyond what edges hold
	loaded bool
	gen    uint64 // counts calls of Set
	limits map[int64]*entry
	active recent[*entry] // those that have state, by when they were last asked for
}

// entry is a limit, or one that was deleted but may not be forgotten yet.
type entry struct {
	kind          eventv1.LimitKind
	amount, burst int64
	was           int64  // amount before an edit after which nothing was counted yet; see fill
	edited        bool   // whether was is set
	gen           uint64 // call of Set that named it last
	born          bool   // it was made while this leader led: nobody has used it before
	rate          *rate
	permits       *permits
}

// New makes the book of a leader that begins at now. For as long as learn, no permits are given
// beyond what edges say that they hold already.
func New(now time.Time, learn time.Duration) *Book {
	return &Book{start: now, learn: int64(learn), limits: map[int64]*entry{}}
}

// Set says which limits there are. The first call tells those that the leader found when it began; of
// those, any amount may have been vended just before. What later calls add is new, and begins with
// its whole burst.
func (b *Book) Set(limits []*eventv1.Limit) {
	first := !b.loaded
	b.loaded = true
	b.gen++
	for _, l := range limits {
		e, ok := b.limits[l.GetId()]
		if !ok {
			e = &entry{born: !first}
			b.limits[l.GetId()] = e
		}
		amount := max(0, l.GetAmount())
		if e.rate != nil && amount != e.amount {
			// When exactly it was edited, this does not know: until the next look the lower one counts.
			if !e.edited || e.amount < e.was {
				e.was = e.amount
			}
			e.edited = true
		}
		e.kind, e.amount, e.burst, e.gen = l.GetKind(), amount, max(0, l.GetBurst()), b.gen
	}
	for id, e := range b.limits {
		// One that was there when this leader began is remembered: if it came back as a new one, it would
		// begin with its whole burst, after another leader may have vended it.
		if e.gen != b.gen && e.born && e.rate == nil && e.permits == nil {
			delete(b.limits, id)
		}
	}
}

// Len is how many limits have state: those that edges asked for lately.
func (b *Book) Len() int { return b.active.len() }

// since is a time as the book counts it. A monotonic clock is used where there is one.
func (b *Book) since(now time.Time) int64 { return max(0, int64(now.Sub(b.start))) }

// known is a limit of one of these kinds, or nil.
func (b *Book) known(id int64, kinds ...eventv1.LimitKind) *entry {
	e := b.limits[id]
	if e == nil || e.gen != b.gen {
		return nil
	}
	if !slices.Contains(kinds, e.kind) {
		return nil
	}
	return e
}

// forget drops the state of limits that say nothing any more: a bucket that is full again, permits
// that nobody holds. It looks at few, because it is called with every request.
func (b *Book) forget(now int64) {
	const looks = 4
	for range looks {
		id, e, at, ok := b.active.oldest()
		if !ok || at+int64(sharing) > now {
			return
		}
		if e.rate != nil {
			if e.fill(now); e.rate.bucket.Tokens >= e.burst {
				e.rate = nil
			}
		}
		if e.permits != nil {
			if e.permits.expire(now); e.permits.sessions.len() == 0 {
				e.permits = nil
			}
		}
		if e.rate != nil || e.permits != nil {
			b.active.touch(id, now)
			continue
		}
		b.active.drop(id)
		// Without state it counts as full, or as empty since the leader began: both were looked at.
		if e.gen != b.gen {
			delete(b.limits, id)
		}
	}
}

// clamp keeps what edges say within what any edge could mean.
func clamp(n int64) int64 { return min(max(n, 0), most) }
