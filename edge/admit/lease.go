package admit

import (
	"time"

	eventv1 "tollgate/gen/tollgate/event/v1"
)

// mostAsked is more than requests need at a time; the ledger refuses numbers that could overflow its
// sums. What is granted and returned over and over counts against them too, so that an edge that has
// been given manyTotal asks for no more than it needs.
const (
	mostAsked = 1 << 61
	manyTotal = 1 << 60
)

// request is what to tell the ledger, or nil if there is nothing to say. With tell there always is.
func (l *line) request(tell bool) *eventv1.LeaseLine {
	l.mu.Lock()
	defer l.mu.Unlock()
	consumed := l.consumed.Load() // before avail: it may only be behind
	avail := l.avail.Load()
	demand := l.demand()
	need := min(max(0, demand-avail), mostAsked)
	want := int64(0)
	if need > 0 || l.want > 0 {
		want = max(l.want, demand)
		for _, w := range l.waiters {
			want = max(want, times(w.amount, l.book.cfg.Ahead))
		}
	}
	if !tell && !l.tell && need == 0 && want <= avail && l.returned == l.told {
		l.want = 0
		return nil
	}
	if want = min(want, mostAsked); l.granted > manyTotal {
		want = need
	}
	l.want, l.tell, l.owed, l.void = 0, false, true, false
	l.asked = l.version
	return &eventv1.LeaseLine{
		Window:      l.window.ToProto(),
		GrantedSeen: l.granted, Returned: l.returned,
		Used:     l.granted - l.returned - avail,
		Consumed: consumed,
		Need:     need, Want: want,
	}
}

// apply takes in what the ledger says. Nothing of it can be too old to do harm: totals only grow,
// and what is not a total is ignored unless it comes with the newest total. It says whether that is
// news to waiting requests.
func (l *line) apply(g *eventv1.GrantLine) (news bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	old := g.GetGrantedTotal() < l.granted || g.GetLimitVersion() < l.version
	if more := g.GetGrantedTotal() - l.granted; more > 0 {
		l.granted = g.GetGrantedTotal()
		l.avail.Add(more)
		news = true
	}
	if g.GetLimitVersion() > l.version {
		l.denied = time.Time{}
	}
	if g.GetLimitVersion() >= l.version {
		l.version = g.GetLimitVersion()
		l.limit.Store(g.GetLimit())
	}
	l.elsewhere.Store(max(l.elsewhere.Load(), g.GetSpentElsewhere()))
	if g.GetState() == eventv1.LeaseState_LEASE_STATE_UNSPECIFIED {
		// What others have spent, which the ledger tells unasked, answers nobody's need: neither is it
		// a sign that requests are answered, nor does it take back a refusal.
		return news
	}
	l.answers++
	l.fails, l.away = 0, time.Time{}
	if old {
		return news
	}
	l.unknown = g.GetState() == eventv1.LeaseState_LEASE_STATE_UNKNOWN
	l.denied = time.Time{}
	if g.GetState() == eventv1.LeaseState_LEASE_STATE_EXHAUSTED {
		l.short.Store(true)
		// What the ledger has said does not count what is on its way back to it, nor a change that it
		// told of since it was asked.
		if l.returned == l.told && !l.void {
			l.denied = time.Now().Add(l.book.cfg.Repeat)
			news = true
		}
	}
	return news
}

// answered is apply for the answer to a request of this line. It also says when to ask again, if
// that is wanted.
func (l *line) answered(sent *eventv1.LeaseLine, g *eventv1.GrantLine) (news bool, after time.Duration, again bool) {
	l.mu.Lock()
	l.told = max(l.told, sent.GetReturned())
	l.owed = false
	if g.GetLimitVersion() < l.asked && g.GetState() != eventv1.LeaseState_LEASE_STATE_UNKNOWN {
		// The ledger knew a newer one before it was asked: its configuration was restored.
		l.version = g.GetLimitVersion()
	}
	l.toldTick = l.book.tick.Load()
	l.mu.Unlock()

	news = l.apply(g)

	l.mu.Lock()
	defer l.mu.Unlock()
	unspent := g.GetGrantedTotal() - sent.GetReturned() - sent.GetUsed()
	if sent.GetWant() > 0 {
		full := g.GetState() == eventv1.LeaseState_LEASE_STATE_GRANTED && unspent >= sent.GetWant()
		l.short.Store(!full)
		l.low.Store(0)
		if full {
			l.low.Store(sent.GetWant() / 10 * 3)
		}
	}
	switch {
	case l.returned != l.told:
		return news, 0, true
	case l.demand() <= l.avail.Load() || !l.denied.IsZero():
		return news, 0, false
	case g.GetState() == eventv1.LeaseState_LEASE_STATE_GRANTED && unspent >= sent.GetNeed():
		return news, 0, true // more have come while the request was under way
	default:
		return news, pause(time.Duration(g.GetRetryAfterMs()) * time.Millisecond), true
	}
}

// failed follows a request without an answer. Whatever was to be told is to be told again.
func (l *line) failed() (after time.Duration) {
	const first, most, doublings = 50 * time.Millisecond, 500 * time.Millisecond, 4
	l.mu.Lock()
	defer l.mu.Unlock()
	l.tell = true
	l.fails++
	return min(first<<min(l.fails-1, doublings), most)
}

// pause keeps a ledger that names no time, or a silly one, from being asked in a tight loop.
func pause(d time.Duration) time.Duration {
	const least, usual, most = 5 * time.Millisecond, 20 * time.Millisecond, 500 * time.Millisecond
	if d <= 0 {
		return usual
	}
	return min(max(d, least), most)
}

// settled says that nothing of it is unspent, in flight, waited for or unknown to the ledger.
func (l *line) settled() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	held := l.granted - l.returned - l.consumed.Load() - l.avail.Load()
	return l.avail.Load() <= 0 && held <= 0 && l.returned == l.told && !l.owed && !l.tell && len(l.waiters) == 0
}
