package limit

import (
	"context"
	"sync"
	"time"

	eventv1 "tollgate/gen/tollgate/event/v1"
)

// part is the way to the ledger of one partition: one request at a time, so that everything that
// comes up while one is under way goes along with the next.
type part struct {
	set   *Set
	id    uint32
	wake  chan struct{}
	turn  chan struct{} // holds one while somebody runs an exchange; guards quiet
	quiet bool          // the last request had no answer

	mu     sync.Mutex // guards the fields below, and the lines' queued and due
	queue  []*line
	busy   *Exchange
	epoch  int64 // of the newest leader that answered
	heard  int64 // when one did
	fails  int   // requests without an answer since
	failed int64 // when the last of them was given up
	again  int64 // when to ask after that
}

// Exchange is a request to the ledger that is under way.
type Exchange struct {
	part    *part
	sent    int64
	rates   []*eventv1.RateLine
	permits []*eventv1.PermitLine
	rateOf  []*line
	permOf  []*line
}

// Rates are the lines that ask for tokens.
func (x *Exchange) Rates() []*eventv1.RateLine { return x.rates }

// Permits are the lines that tell permits.
func (x *Exchange) Permits() []*eventv1.PermitLine { return x.permits }

// ask has a line told to the ledger at a time, or sooner if that was asked for before.
func (p *part) ask(l *line, at int64) {
	p.mu.Lock()
	sooner := false
	switch {
	case !l.queued:
		l.queued, l.due = true, at
		p.queue = append(p.queue, l)
		sooner = true
	case at < l.due:
		l.due = at
		sooner = true
	}
	p.mu.Unlock()
	if !sooner {
		return
	}
	select {
	case p.wake <- struct{}{}:
	default:
	}
}

// silent says whether the ledger was asked in vain a moment ago.
func (p *part) silent(now int64) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.busy != nil && now-p.busy.sent > int64(p.set.cfg.Wait) {
		return true // a request is under way for longer than anybody waits
	}
	return p.fails > 0 && now-p.failed < int64(gone)
}

// lastHeard is when the ledger last answered.
func (p *part) lastHeard() int64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.heard
}

// next makes a request of the lines that are due, or says when some will be.
func (p *part) next() (x *Exchange, wait time.Duration) {
	for {
		now := p.set.now()
		batch, wait := p.batch(now)
		if len(batch) == 0 {
			return nil, wait
		}
		x := &Exchange{part: p, sent: now}
		for _, l := range batch {
			if l.kind == eventv1.LimitKind_LIMIT_KIND_CONCURRENT {
				if q := l.permitLine(now); q != nil {
					x.permits, x.permOf = append(x.permits, q), append(x.permOf, l)
					continue
				}
			} else if q := l.rateLine(now); q != nil {
				x.rates, x.rateOf = append(x.rates, q), append(x.rateOf, l)
				continue
			}
			// There seems to be enough by now. Whoever waits is to see for himself, and ask again if it
			// is gone by then: nobody else would.
			l.wake()
		}
		if len(x.rates)+len(x.permits) == 0 {
			continue
		}
		p.mu.Lock()
		p.busy = x
		p.mu.Unlock()
		return x, 0
	}
}

// batch takes what is due out of the queue, and says when the rest will be.
func (p *part) batch(now int64) (batch []*line, wait time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	wait = time.Hour
	if p.busy != nil {
		return nil, wait // its end looks again
	}
	if now < p.again {
		return nil, time.Duration(p.again - now)
	}
	rest := p.queue[:0]
	for _, l := range p.queue {
		if l.due > now || len(batch) == mostLines {
			wait = min(wait, time.Duration(max(l.due-now, 0)))
			rest = append(rest, l)
			continue
		}
		l.queued = false
		batch = append(batch, l)
	}
	clear(p.queue[len(rest):])
	p.queue = rest
	return batch, wait
}

// Done takes in the ledger's answer. An answer that comes late, twice or from a leader that another
// has replaced changes nothing.
func (x *Exchange) Done(reply *eventv1.LeaseReply) {
	p := x.part
	now := p.set.now()
	p.mu.Lock()
	if p.busy != x {
		p.mu.Unlock()
		return
	}
	if reply.GetLeaderEpoch() < p.epoch {
		p.busy, p.again = nil, now+int64(deposed)
		p.mu.Unlock()
		x.unanswered(now)
		return
	}
	p.busy, p.epoch, p.heard, p.fails, p.again = nil, reply.GetLeaderEpoch(), now, 0, 0
	p.mu.Unlock()

	rates := make(map[int64]*eventv1.RateGrant, len(reply.GetRates()))
	for _, g := range reply.GetRates() {
		rates[g.GetLimit()] = g
	}
	for i, l := range x.rateOf {
		if g := rates[l.id]; g != nil {
			l.granted(x.sent, now, x.rates[i], g)
		} else {
			l.unanswered(now)
		}
		l.wake()
	}
	permits := make(map[int64]*eventv1.PermitGrant, len(reply.GetPermits()))
	for _, g := range reply.GetPermits() {
		permits[g.GetLimit()] = g
	}
	for i, l := range x.permOf {
		if g := permits[l.id]; g != nil && g.GetSeq() == x.permits[i].GetSeq() {
			l.permitted(x.sent, now, g)
		} else {
			l.unanswered(now)
		}
		l.wake()
	}
	p.look()
}

// Failed says that there will be no answer. Whatever the ledger gave is void: tokens because nobody
// has them, and permits because the next line says what is held.
func (x *Exchange) Failed() {
	const first, most, doublings = 50 * time.Millisecond, 500 * time.Millisecond, 4
	p := x.part
	now := p.set.now()
	p.mu.Lock()
	if p.busy != x {
		p.mu.Unlock()
		return
	}
	p.busy, p.failed = nil, now
	p.again = now + int64(min(first<<min(p.fails, doublings), most))
	p.fails++
	p.mu.Unlock()
	x.unanswered(now)
}

// unanswered has all its lines told again.
func (x *Exchange) unanswered(now int64) {
	for _, l := range x.rateOf {
		l.unanswered(now)
		l.wake()
	}
	for _, l := range x.permOf {
		l.unanswered(now)
		l.wake()
	}
	x.part.look()
}

// unanswered has a line told again if it still has something to say.
func (l *line) unanswered(now int64) {
	if l.kind == eventv1.LimitKind_LIMIT_KIND_CONCURRENT {
		l.mu.Lock()
		l.told = max(l.told, 1) // who knows what the ledger has given
		l.mu.Unlock()
	}
	l.part.ask(l, now)
}

// look has the sender look at the queue.
func (p *part) look() {
	select {
	case p.wake <- struct{}{}:
	default:
	}
}

// run sends until ctx ends.
func (p *part) run(ctx context.Context) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for ctx.Err() == nil {
		p.turn <- struct{}{}
		x, wait := p.next()
		if x != nil {
			p.exchange(ctx, x)
			<-p.turn
			continue
		}
		<-p.turn
		timer.Reset(wait)
		select {
		case <-ctx.Done():
		case <-p.wake:
		case <-timer.C:
		}
	}
}

// exchange asks the ledger. The caller holds turn.
func (p *part) exchange(ctx context.Context, x *Exchange) {
	reply, err := p.set.asker.Limits(ctx, p.id, x.rates, x.permits)
	if err != nil {
		x.Failed()
	} else {
		x.Done(reply)
	}
	if ctx.Err() == nil {
		p.report(err)
	}
}

// report logs when the ledger stops answering and when it answers again. The caller holds turn.
func (p *part) report(err error) {
	silent := err != nil
	if p.quiet == silent {
		return
	}
	p.quiet = silent
	if silent {
		p.set.log.Warn("ledger does not answer about limits", "part", p.id, "err", err)
	} else {
		p.set.log.Info("ledger answers about limits", "part", p.id)
	}
}
