package limit

import (
	"slices"

	eventv1 "tollgate/gen/tollgate/event/v1"
	"tollgate/internal/bucket"
)

// Wanted is a request that wants to pass. While it waits it has taken nothing.
type Wanted struct {
	set   *Set
	pass  *Pass
	never error // why no time would help
	until int64 // how long it waits
	turn  chan struct{}
	few   [8]prospect
	views []prospect // one for each hold
}

// prospect is what a waiting request can hope for of one limit.
type prospect struct {
	answers uint64 // of the ledger when it came
	state   state
	at      int64 // when it may pass, or when to ask
}

type state uint8

const (
	enough  state = iota // nothing is lacking just now
	waits                // the ledger may help in time
	refused              // it will not
	alone                // it cannot be asked
)

// waiter is a request that waits for n of a line.
type waiter struct {
	who *Wanted
	n   int64
}

// Begin registers a request that wants to pass. It is Acquire for who has other ways to let time pass:
// call Try until it is done, then End.
func (s *Set) Begin(p *Pass, limits []*Limit, units int64) *Wanted {
	p.reset(limits, units)
	now := s.now()
	if err := s.find(p, now); err != nil {
		return &Wanted{set: s, pass: p, never: err}
	}
	return s.queue(p, now)
}

// queue has a pass wait for its limits.
func (s *Set) queue(p *Pass, now int64) *Wanted {
	w := &Wanted{set: s, pass: p, until: now + int64(s.cfg.Wait), turn: make(chan struct{}, 1)}
	w.views = w.few[:0]
	for i := range p.holds {
		h := &p.holds[i]
		answers, ok := h.line.join(w, h.n)
		for !ok { // it was forgotten just now
			h.line = s.line(h.limit, now)
			answers, ok = h.line.join(w, h.n)
		}
		w.views = append(w.views, prospect{answers: answers})
	}
	return w
}

// End has it wait no longer. What it has taken, it keeps.
func (w *Wanted) End() {
	for i := range w.pass.holds {
		w.pass.holds[i].line.quit(w)
	}
}

// Until is when its time to wait is over, by the clock of the set's configuration.
func (w *Wanted) Until() int64 { return w.until }

// join counts w among those who wait, and says how many answers there were so far.
func (l *line) join(w *Wanted, n int64) (answers uint64, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.gone.Load() {
		return 0, false
	}
	l.waiting.Add(1)
	l.waiters = append(l.waiters, waiter{w, n})
	return l.answers, true
}

func (l *line) quit(w *Wanted) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.waiters = slices.DeleteFunc(l.waiters, func(o waiter) bool { return o.who == w })
	l.waiting.Add(-1)
}

// Try says whether waiting is over: the pass has taken everything, or there is a reason why it will
// not. Otherwise it has taken nothing, and is to try again when its turn comes or its time is over.
func (w *Wanted) Try() (done bool, err error) {
	if w.never != nil {
		return true, w.never
	}
	now := w.set.now()
	last, holds := now >= w.until, w.pass.holds
	if w.pass.take(now) {
		return true, nil
	}
	var worst *hold
	latest, deserted, asks := int64(0), false, false
	for i := range holds {
		h, v := &holds[i], &w.views[i]
		h.line.view(w, h, v, now, last)
		switch v.state {
		case refused:
			if worst == nil || v.at > latest {
				worst, latest = h, v.at
			}
		case alone:
			deserted = true
			h.line.part.ask(h.line, v.at)
		case waits:
			asks = true
			h.line.part.ask(h.line, v.at)
		case enough:
		}
	}
	switch {
	case worst != nil:
		return true, limited(worst, latest-now)
	case !deserted && !asks:
		return w.Try() // it came back while this was looked at
	case !deserted:
		return false, nil
	}
	for i := range holds {
		h := &holds[i]
		if h.line.take(h, now) {
			continue
		}
		if w.views[i].state != alone {
			w.pass.undo(i)
			return false, nil
		}
		if ok, at := h.line.takeAlone(h, now); !ok {
			w.pass.undo(i)
			if h.limit.fallback == eventv1.LimitFallback_LIMIT_FALLBACK_CLOSED {
				return true, unavailable(h)
			}
			return true, limited(h, at-now)
		}
	}
	return true, nil
}

// hopeless says that no time would help.
func (h *hold) hopeless() bool {
	if h.limit.kind == eventv1.LimitKind_LIMIT_KIND_CONCURRENT {
		return h.limit.amount == 0
	}
	return h.n > 0 && (h.limit.amount == 0 || h.n > h.limit.burst)
}

// view looks at what a waiting request can hope for.
func (l *line) view(w *Wanted, h *hold, v *prospect, now int64, last bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	silent := now < l.unknown || l.part.silent(now)
	if last && v.answers == l.answers {
		silent = true
	}
	v.at = max(now, l.unknown)
	if l.kind == eventv1.LimitKind_LIMIT_KIND_CONCURRENT {
		s := l.slots.Load()
		switch {
		case running(s) < permits(s) && now < l.valid.Load():
			v.state = enough
		case silent:
			v.state = alone
		case now < l.denied.until && l.denied.at > w.until || last:
			v.state, v.at = refused, now+int64(retryPermit)
		default:
			v.state, v.at = waits, max(now, l.denied.at)
		}
		return
	}
	left := l.left(now)
	if h.n <= left {
		v.state = enough
		return
	}
	if silent {
		v.state = alone
		return
	}
	lack := l.debt + h.n - left
	for _, o := range l.waiters {
		if o.who == w {
			break
		}
		lack += o.n
	}
	at := l.denied.when(lack, h.limit.amount, now)
	switch {
	case last:
		// Others were quicker. When it might be its turn is what the whole rate comes to.
		v.state, v.at = refused, max(at, now+1)
		if at <= now {
			v.at = now + min(bucket.Time(h.n, 0, bucket.Rate{Amount: h.limit.amount, Among: 1}), never-now)
		}
	case at > w.until:
		v.state, v.at = refused, at
	default:
		v.state, v.at = waits, max(now, at)
	}
}

// takeAlone takes what a limit allows this edge without the ledger. If that is too little, it says when
// it may be enough.
func (l *line) takeAlone(h *hold, now int64) (ok bool, at int64) {
	concurrent := l.kind == eventv1.LimitKind_LIMIT_KIND_CONCURRENT
	switch h.limit.fallback {
	case eventv1.LimitFallback_LIMIT_FALLBACK_CLOSED:
		return false, now
	case eventv1.LimitFallback_LIMIT_FALLBACK_OPEN:
		if h.taken = freely; concurrent {
			h.taken = permit
			return l.enterAnyway(mostPermits - 1), now
		}
		return true, now
	default:
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	among := max(1, l.sharers)
	if l.sharers == 0 {
		among = max(1, l.set.sharers.Load())
	}
	if concurrent {
		h.taken = permit
		// Each edge lets at least one pass: nothing at all would be a limit of 0.
		return l.enterAnyway(min(max(1, h.limit.amount/among), mostPermits-1)), now + int64(retryPermit)
	}
	heard := l.part.lastHeard()
	if now < l.unknown {
		heard = l.heard // the ledger speaks, but not of this limit
	}
	if heard != l.shareOf {
		// Until then the ledger gave this edge its tokens; only what has come since is its own.
		l.share, l.shareOf = bucket.Empty(heard), heard
	}
	rate := bucket.Rate{Amount: h.limit.amount, Among: among}
	most := max(1, h.limit.burst/among)
	l.share.Fill(now, rate, most)
	// More than the share holds at once passes when it is full, and is paid back.
	if need := min(h.n, most); l.share.Tokens < need {
		return false, now + min(l.share.Until(need, rate), never-now)
	}
	l.share.Tokens -= h.n
	h.taken = share
	return true, now
}
