package proxy

import (
	"context"
	"errors"
	"strings"
	"sync"

	"tollgate/edge/routing"
	"tollgate/edge/spool"
	eventv1 "tollgate/gen/tollgate/event/v1"
	"tollgate/internal/fault"
	metering "tollgate/internal/meter"
	"tollgate/internal/money"
)

// errCeiling means that a request may cost no more than what was held for it.
var errCeiling = errors.New("it would cost more than was held")

// meter counts what one attempt uses and sees to it that what it comes to is held before it goes on. It
// is told of the request's body by the engine and of the answer by the call, each in its goroutine.
type meter struct {
	usage   *routing.Usage    // nil: the price is not by usage
	reading *metering.Reading // nil: the price is not by meters; guarded by mu
	pot     *pot
	spool   Recorder
	keep    bool        // what it has cost is recorded as it grows, because that is charged if the edge dies
	step    money.Nanos // more is held in no smaller steps, where there is as much

	mu       sync.Mutex // guards what follows
	ticket   spool.Ticket
	amount   money.Nanos // held
	safe     money.Nanos // of that, what is on disk
	recorded money.Nanos // cost that is on disk
	promised int64       // bytes of the request's body that amount covers
	fixed    money.Rated // what does not depend on bodies, as far as it is known
	named    int64       // units that headers name
	over     bool        // nothing goes on any more
	unpriced bool        // a header that counts was missing
	short    bool        // no more could be held for an answer that goes on all the same
	partial  bool        // what has gone on of a stream ends inside a frame
	last     byte        // the last byte that went on of it
	silent   bool        // the answer has no body
	stream   bool        // it is a readable stream of events
	tunnel   bool        // it is a connection, which goes on as long as it is paid for
	used     used
}

// used is what has been counted of the bodies.
type used struct {
	sent, received, events int64
	counter                eventCounter
}

// reserve is what is held before a request leaves, whose body has as many bytes if that is known. It is
// at least the smallest amount, so that a budget with nothing left admits nothing.
func reserve(usage *routing.Usage, length int64) money.Nanos {
	sum, err := money.Rated{}.PlusNanos(usage.Base).Plus(max(length, 0), usage.RequestBytes.PerMillion).Nanos()
	if err == nil {
		sum, err = sum.Add(usage.Hold)
	}
	if most := 100 * mostCost; err != nil || sum > most {
		return most // which no budget has
	}
	return max(sum, 1)
}

// counts says whether the meter has begun to count. It does not change after that.
func (m *meter) counts() bool { return m.usage != nil || m.reading != nil }

// begin starts to count for an attempt: by usage, or as a reading does it.
func (m *meter) begin(t *try, ticket spool.Ticket, reading *metering.Reading) {
	c := t.c // nobody else knows of it yet
	m.pot, m.spool, m.keep = &c.spend.pot, c.g.d.Spool, keepsCost(c.endpoint.Abandoned)
	m.ticket, m.amount, m.safe = ticket, t.amount, t.amount
	if m.reading = reading; reading != nil {
		m.step = t.amount / 2
		return
	}
	m.usage, m.step = t.by.Usage, t.by.Usage.Hold
	m.promised = max(t.request.Length, 0)
	m.fixed = money.Rated{}.PlusNanos(m.usage.Base)
}

// held is how much is held by now.
func (m *meter) held() money.Nanos {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.amount
}

// sum is what it comes to, of which n bytes of the request's body are.
func (m *meter) sum(u *used, sent int64) money.Rated {
	return m.fixed.Plus(sent, m.usage.RequestBytes.PerMillion).
		Plus(u.received, m.usage.ResponseBytes.PerMillion).
		Plus(u.events, m.usage.ResponseEvents.PerMillion)
}

// due is what must be held: a body whose length was told is covered to its end.
func (m *meter) due(u *used) money.Rated { return m.sum(u, max(u.sent, m.promised)) }

// mostCost is the most that a request is charged. A count that comes to more is wrong, and sums of such
// costs would not fit anywhere.
const mostCost = 1_000_000 * money.Dollar

// cost is what is charged if it ends here.
func (m *meter) cost() money.Nanos {
	if m.reading != nil {
		cost, _ := m.reading.Cost()
		return min(cost, mostCost)
	}
	cost, _ := m.sum(&m.used, m.used.sent).Nanos() // beyond all amounts it is the largest
	if m.usage.Ceiling {
		cost = min(cost, m.amount)
	}
	return min(cost, mostCost)
}

// cover holds more until next is paid for. Whatever goes on after it is covered, on disk as well.
func (m *meter) cover(ctx context.Context, next *used) error {
	due := m.due(next)
	if due.Within(m.safe) {
		return nil
	}
	if m.usage.Ceiling {
		return errCeiling
	}
	sum, err := due.Nanos()
	if err != nil {
		return fault.New(fault.BudgetExhausted, "No budget has as much as that costs.").WithCause(err)
	}
	cost, _ := m.sum(next, next.sent).Nanos() // no more than what is due
	return m.hold(ctx, sum, cost)
}

// hold sees to it that so much is held, on disk as well, for what costs so much if it ends here.
func (m *meter) hold(ctx context.Context, sum, cost money.Nanos) (err error) {
	if short := sum - m.amount; short > 0 {
		err = m.extend(ctx, short)
	}
	if m.amount > m.safe {
		err = errors.Join(err, m.record(cost))
	}
	return err
}

// extend holds what is short and somewhat more, so that it need not be asked for with each piece; where
// there is not as much, what is short, or else all that is left of the tightest budget.
func (m *meter) extend(ctx context.Context, short money.Nanos) error {
	more := max(short, m.step, m.amount/8)
	if more > money.Max-m.amount {
		more = short
	}
	err := m.pot.Extend(ctx, more)
	if err != nil && more > short && ctx.Err() == nil {
		more = short // which may be at hand, also while the ledger is away
		err = m.pot.Extend(ctx, more)
	}
	if err == nil {
		m.amount += more
		return nil
	}
	if left, ok := m.pot.Remaining(); ok && 0 < left && left < short && isExhausted(err) && m.pot.Extend(ctx, left) == nil {
		m.amount += left
	}
	return err
}

func isExhausted(err error) bool { return errors.Is(err, fault.New(fault.BudgetExhausted, "")) }

// record writes down what is held and what it costs.
func (m *meter) record(cost money.Nanos) error {
	cost = min(cost, m.amount)
	if err := m.spool.Partial(m.ticket, m.amount, cost); err != nil {
		return err
	}
	m.recorded, m.safe = cost, m.amount
	return nil
}

// note records what it has cost where that matters: first, and each time it has grown by an eighth of
// what is held. If the spool cannot, what it recorded before holds.
func (m *meter) note() {
	if !m.keep {
		return
	}
	if cost := m.cost(); cost-m.recorded > m.amount/8 || m.recorded == 0 && cost > 0 {
		_ = m.record(cost)
	}
}

// pay is asked before a piece of the request's body goes on.
func (m *meter) pay(ctx context.Context, p []byte) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.over {
		return errOver
	}
	if m.reading != nil {
		m.reading.Sent(p)
		if m.tunnel {
			return m.afford(ctx)
		}
		m.follow(ctx)
		return nil
	}
	next := m.used
	next.sent += int64(len(p))
	if err := m.cover(ctx, &next); err != nil {
		return err
	}
	m.used = next
	return nil
}

// answered takes in the headers of an answer that is charged. With an error nothing of it may go on.
func (m *meter) answered(ctx context.Context, method string, a *Answer) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.reading != nil {
		m.begun(ctx, a)
		return nil
	}
	for _, rate := range m.usage.Headers {
		n, ok := count(get(a.Headers, rate.Name))
		if !ok {
			m.missing()
			continue
		}
		m.named += min(n, maxUnits-m.named)
		m.fixed = m.fixed.Plus(n, rate.PerMillion)
	}
	m.silent = bodyless(method, a.Status) || a.Length == 0
	events, readable := isEventStream(get(a.Headers, "Content-Type")), uncoded(a.Headers)
	m.stream = events && readable
	if m.usage.ResponseEvents.Counted && events && !readable && !m.silent {
		m.missing()
	}
	next := m.used
	if err := m.cover(ctx, &next); err != nil {
		return err
	}
	m.note()
	return nil
}

// missing charges for something that the target did not tell.
func (m *meter) missing() {
	m.unpriced = true
	m.fixed = m.fixed.PlusNanos(m.usage.Fallback)
}

// received says how much of a piece of the answer may go on. An error says why that is not all of it.
func (m *meter) received(ctx context.Context, p []byte) (fits int, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.reading != nil {
		return m.read(ctx, p)
	}
	return m.count(ctx, p)
}

// count is received where the price is by usage. mu is held.
//
//go:noinline
func (m *meter) count(ctx context.Context, p []byte) (fits int, err error) {
	next := m.used
	next.received += int64(len(p))
	if m.stream {
		next.events += next.counter.count(p)
	}
	if err := m.cover(ctx, &next); err != nil {
		if ctx.Err() != nil {
			return 0, err
		}
		return m.fit(p), err
	}
	m.used = next
	m.note()
	return len(p), nil
}

// fit counts as much of p as is covered by what is held, and says how much that is. A stream of events
// is cut between two events if there is such a place in p.
func (m *meter) fit(p []byte) (n int) {
	whole, wholeAt := m.used, 0
	found := m.stream && !m.used.counter.begun
	for n < len(p) {
		room := m.due(&m.used).Fits(m.safe, m.usage.ResponseBytes.PerMillion)
		size := int(min(room, int64(len(p)-n)))
		if !m.stream {
			m.used.received += int64(size)
			return n + size
		}
		next := m.used
		k, event := next.counter.next(p[n : n+size])
		next.received += int64(k)
		if event {
			next.events++
		}
		if k == 0 || !m.due(&next).Within(m.safe) {
			break
		}
		m.used, n = next, n+k
		if !next.counter.begun {
			whole, wholeAt, found = next, n, true
		}
	}
	if found {
		m.used, n = whole, wholeAt
	}
	return n
}

// where says whether the answer is a stream of events and whether what went on of it ends in a line.
func (m *meter) where() (stream, inLine bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.reading != nil {
		return m.stream, m.last != 0 && m.last != '\n' && m.last != '\r'
	}
	return m.stream, m.used.counter.inLine()
}

// known is what it will cost, if that is known now that the answer begins.
func (m *meter) known(complete bool) (money.Nanos, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.reading != nil {
		cost, final := m.reading.Cost()
		return min(cost, mostCost), final
	}
	depends := m.usage.ResponseBytes.PerMillion > 0 || m.usage.ResponseEvents.PerMillion > 0
	if depends && !m.silent || !complete && m.usage.RequestBytes.PerMillion > 0 {
		return 0, false
	}
	return m.cost(), true
}

// maxUnits is more than a request uses of anything.
const maxUnits = 1 << 50

// end stops the meter: nothing goes on any more. It may be called again.
func (m *meter) end() (cost money.Nanos, units int64, unpriced bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.over = true
	units = m.named
	if m.usage.RequestBytes.Counted {
		units += m.used.sent
	}
	if m.usage.ResponseBytes.Counted {
		units += m.used.received
	}
	if m.usage.ResponseEvents.Counted {
		units += m.used.events
	}
	cost = m.cost()
	return cost, units, m.unpriced || cost == mostCost
}

// count reads a whole number as a header has it: digits, and nothing else.
func count(value string) (n int64, ok bool) {
	value = strings.Trim(value, " \t")
	if value == "" {
		return 0, false
	}
	for i := range len(value) {
		c := value[i]
		if c < '0' || c > '9' || n > maxUnits/10 {
			return 0, false
		}
		n = n*10 + int64(c-'0')
	}
	return n, true
}

// uncoded says whether the body of an answer is what it is, and not compressed.
func uncoded(headers []Header) bool {
	encoding := get(headers, "Content-Encoding")
	return encoding == "" || strings.EqualFold(encoding, "identity")
}

// isEventStream says whether an answer of a content type is a stream of server-sent events.
func isEventStream(contentType string) bool {
	if len(contentType) < len("text/event-stream") || contentType == "application/json" {
		return false
	}
	kind, _, _ := strings.Cut(contentType, ";")
	return strings.EqualFold(strings.Trim(kind, " \t"), "text/event-stream")
}

// keepsCost says whether the policy charges what was last recorded.
func keepsCost(p eventv1.AbandonedPolicy) bool {
	return p == eventv1.AbandonedPolicy_ABANDONED_POLICY_METERED
}
