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
func (l *line) request() *eventv1.LeaseLine {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.measure()
	consumed := l.consumed.Load() // before avail: it may only be behind
	avail := l.avail.Load()
	all, least := l.demand()
	need := int64(0)
	if avail < 0 || all > avail {
		need = min(sum(all, max(0, -avail))-max(0, avail), mostAsked)
	}
	want := int64(0)
	switch {
	case len(l.waiters) > 0 && need > 0:
		want = max(sum(all, l.burn*holdSeconds), l.ahead(true))
	case l.more || need > 0:
		want = l.ahead(false)
	}
	if !l.tell && need == 0 && want <= avail && l.returned == l.told {
		if l.more {
			l.more = false
			l.setLow()
		}
		return nil
	}
	if want = min(want, mostAsked); l.granted > manyTotal {
		want = max(0, need)
	}
	if len(l.waiters) > 0 && need > 0 {
		l.cold, l.warm = false, 0
	}
	l.more, l.tell, l.owed, l.void = false, false, true, false
	l.asked = l.version
	return &eventv1.LeaseLine{
		Window:      l.window.ToProto(),
		GrantedSeen: l.granted, Returned: l.returned,
		Used:     l.granted - l.returned - avail,
		Consumed: consumed,
		Need:     need, Want: want, Least: min(least, need),
	}
}

// apply takes in what the ledger says. Nothing of it can be too old to do harm: totals only grow,
// and what is not a total is ignored unless it comes with the newest total. It says whether that is
// news to waiting requests.
func (l *line) apply(g *eventv1.GrantLine) (news bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	news, _ = l.takeIn(g)
	return news
}

// takeIn is apply with the lock held. It also says whether the answer is the newest that there is.
func (l *line) takeIn(g *eventv1.GrantLine) (news, newest bool) {
	newest = g.GetGrantedTotal() >= l.granted && g.GetLimitVersion() >= l.version
	if more := g.GetGrantedTotal() - l.granted; more > 0 {
		l.count(g.GetGrantedTotal())
		l.gain(more)
		l.denied = 0
		news = true
	}
	if g.GetLimitVersion() > l.version {
		l.denied = 0
	}
	if g.GetLimitVersion() >= l.version {
		l.version = g.GetLimitVersion()
		l.limit.Store(g.GetLimit())
	}
	l.elsewhere.Store(max(l.elsewhere.Load(), g.GetSpentElsewhere()))
	if g.GetState() == eventv1.LeaseState_LEASE_STATE_UNSPECIFIED {
		// What others have spent, which the ledger tells unasked, answers nobody's need: neither is it
		// a sign that requests are answered, nor does it take back a refusal.
		return news, newest
	}
	l.answers++
	l.fails, l.away = 0, 0
	if newest {
		l.unknown = g.GetState() == eventv1.LeaseState_LEASE_STATE_UNKNOWN
		l.ample = g.GetState() == eventv1.LeaseState_LEASE_STATE_GRANTED
		if g.GetState() == eventv1.LeaseState_LEASE_STATE_EXHAUSTED {
			l.short.Store(true)
		}
	}
	return news, newest
}

// count keeps the sum of what an account that only warns was spent beyond its grants. What the ledger
// has granted to a total that covers all that was spent it has granted within the limit, and so all
// before it. The caller holds the lock.
func (l *line) count(granted int64) {
	if !l.terms.soft {
		return
	}
	switch covered := l.consumed.Load() + l.returned; {
	case granted > covered:
		l.over = 0
	default:
		l.over = sum(l.over, granted-l.granted)
	}
	l.setFloor()
}

// answered is apply for the answer to a request of this line. It also says when to ask again, if
// that is wanted.
func (l *line) answered(sent *eventv1.LeaseLine, g *eventv1.GrantLine) (news bool, after time.Duration, again bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.told = max(l.told, sent.GetReturned())
	l.owed = false
	if g.GetLimitVersion() < l.asked && g.GetState() != eventv1.LeaseState_LEASE_STATE_UNKNOWN {
		// The ledger knew a newer one before it was asked: its configuration was restored.
		l.version = g.GetLimitVersion()
	}
	l.toldTick = l.book.tick.Load()

	news, newest := l.takeIn(g)
	granted := g.GetState() == eventv1.LeaseState_LEASE_STATE_GRANTED
	unspent := g.GetGrantedTotal() - sent.GetReturned() - sent.GetUsed()
	switch {
	case l.void || !newest:
	case g.GetState() == eventv1.LeaseState_LEASE_STATE_EXHAUSTED:
		// What has gone back to it meanwhile it has on top of that, and so it soon will what is left
		// here and helps nobody.
		if !l.helps() {
			l.lose(0)
		}
		l.deny(sum(max(1, sent.GetLeast()), l.returned-sent.GetReturned()))
		news = true
	case l.over > 0 && l.avail.Load() <= 0 && sent.GetWant() > 0:
		l.deny(1) // it was asked for more, and has but booked what was spent
	}
	if sent.GetWant() > 0 {
		enough := unspent >= sent.GetWant() || unspent-sent.GetNeed() >= l.unit.Load()
		l.short.Store(!granted || !enough)
	}
	l.setLow()
	switch {
	case l.returned != l.told:
		return news, 0, true
	case l.early() && l.unknown:
		l.more = true
		return news, l.book.untilGiven(l.window.Start), true
	case !l.hopes():
		return news, 0, false
	case granted && unspent >= sent.GetNeed():
		return news, 0, true // more have come while the request was under way
	default:
		return news, pause(time.Duration(g.GetRetryAfterMs()) * time.Millisecond), true
	}
}

// failed follows a request without an answer. Whatever was to be told is to be told again. It returns how
// many of them there were in a row.
func (l *line) failed(sent *eventv1.LeaseLine) (fails int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.tell = true
	l.more = l.more || sent.GetWant() > 0
	l.fails++
	return int(l.fails)
}

// pause keeps a ledger that names no time, or a silly one, from being asked in a tight loop.
func pause(d time.Duration) time.Duration {
	const least, usual, most = 5 * time.Millisecond, 20 * time.Millisecond, 500 * time.Millisecond
	if d <= 0 {
		return usual
	}
	return min(max(d, least), most)
}

// deny remembers that the ledger has less to give than so much. The caller holds the lock.
func (l *line) deny(refused int64) {
	l.denied, l.refused = l.book.clock()+int64(l.book.cfg.Repeat), refused
}

// denies says whether the ledger is known not to have what is lacking. The caller holds the lock.
func (l *line) denies(lacks int64) bool {
	return lacks >= l.refused && l.book.before(l.denied)
}

// settled says that nothing of it is unspent, in flight, waited for or unknown to the ledger. What
// was spent beyond its grants has to be known while the window lasts.
func (l *line) settled(ended bool) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	avail := l.avail.Load()
	held := l.granted - l.returned - l.consumed.Load() - avail
	if l.terms.soft && l.low.Load() == off && !ended {
		return false // spending it would not be noticed
	}
	return (avail == 0 || avail < 0 && ended) && held <= 0 && l.returned == l.told && !l.owed && !l.tell && len(l.waiters) == 0
}
