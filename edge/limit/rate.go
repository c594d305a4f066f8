package limit

import (
	"time"

	eventv1 "tollgate/gen/tollgate/event/v1"
)

// burn measures how fast tokens are used, so that as many can be asked for ahead.
type burn struct {
	given, lost int64 // of all chunks: what they had, and what was left of them in the end
	used        int64 // when it was last measured
	at          int64 // when that was
	pace        int64 // tokens in the time ahead
}

// measure notes what was used since it last did. The caller holds mu.
func (l *line) measure(now int64) {
	const least = int64(50 * time.Millisecond)
	elapsed := now - l.burn.at
	if elapsed < least {
		return
	}
	left := int64(0)
	for _, c := range l.chunks {
		left += c.left.Load()
	}
	used := l.burn.given - l.burn.lost - left
	more := max(0, used-l.burn.used)
	l.burn.used, l.burn.at = used, now
	if more > 0 {
		l.seen = now
	}
	// Half of what it is taken for is what was measured last; after a pause, all of it.
	pace := int64(0)
	if more < mostOwed {
		pace = more * int64(ahead) / elapsed
	}
	if elapsed < int64(time.Second) {
		pace = (l.burn.pace + pace) / 2
	}
	l.burn.pace = pace
}

// rateLine is what to ask the ledger for, or nil if there is enough.
func (l *line) rateLine(now int64) *eventv1.RateLine {
	l.asking.Store(false)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.bury(now)
	l.measure(now)
	left, wanted, need := l.left(now), int64(0), int64(0)
	for _, w := range l.waiters {
		if wanted += w.n; need == 0 && w.n > left {
			need = w.n - left // of units, what lets the first pass that cannot
		}
	}
	if l.kind == eventv1.LimitKind_LIMIT_KIND_REQUESTS {
		need = max(0, wanted-left)
	}
	if l.debt > 0 {
		// First come the debts, in bites that are not harder to get than a request's tokens.
		need = min(l.debt, max(1, l.bite))
	}
	want := l.debt + wanted + l.burn.pace - left
	if need == 0 && (l.burn.pace == 0 || left > l.burn.pace/2) {
		return nil
	}
	l.toldAt = now
	return &eventv1.RateLine{Limit: l.id, Need: need, Want: max(need, want)}
}

// granted takes in the ledger's answer to a line that was sent at a time.
func (l *line) granted(sent, now int64, q *eventv1.RateLine, g *eventv1.RateGrant) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.answers++
	if g.GetUnknown() {
		l.unknown = now + int64(unheard)
		return
	}
	l.unknown, l.heard = 0, now
	l.heardOf(int64(g.GetSharers()))
	got := min(max(g.GetTokens(), 0), mostOwed)
	if got >= q.GetNeed() {
		l.denied = denial{}
	} else {
		l.denied = denial{lack: q.GetNeed() - got, at: now + millis(g.GetRetryAfterMs()), until: now + int64(trust)}
	}
	pay := min(l.debt, got)
	l.debt -= pay
	l.add(got-pay, sent+millis(g.GetTtlMs()), now)
	if l.debt > 0 {
		l.part.ask(l, max(l.denied.at, now+int64(paceAhead)))
	}
}

// add puts tokens where requests find them. The caller holds mu.
func (l *line) add(n, end, now int64) {
	if n <= 0 || now >= end {
		return
	}
	l.bury(now)
	l.burn.given += n
	for _, c := range l.chunks {
		c.low.Store(0) // the newest one says when to ask
	}
	var c *chunk
	if last := len(l.chunks) - 1; last >= 0 && l.chunks[last].end <= end && end-l.chunks[last].end < int64(together) {
		c = l.chunks[last]
		c.left.Add(n)
	} else {
		c = &chunk{end: end}
		c.left.Store(n)
		at := len(l.chunks)
		for at > 0 && l.chunks[at-1].end > end {
			at--
		}
		l.chunks = append(l.chunks, nil)
		copy(l.chunks[at+1:], l.chunks[at:])
		l.chunks[at] = c
	}
	c.low.Store(min(l.burn.pace, c.left.Load()) / 2)
	if cur := l.current.Load(); cur == nil || cur.left.Load() <= 0 {
		l.current.Store(c)
	}
}

// heardOf notes how many edges share the limit. The caller holds mu.
func (l *line) heardOf(sharers int64) {
	if sharers <= 0 {
		return
	}
	l.sharers = sharers
	if sharers > l.set.sharers.Load() {
		l.set.sharers.Store(sharers) // a race loses an estimate
	}
}

// millis is a time that came in milliseconds.
func millis(ms uint32) int64 { return int64(ms) * int64(time.Millisecond) }
