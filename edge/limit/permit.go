package limit

import eventv1 "tollgate/gen/tollgate/event/v1"

// A line's slots are two numbers that change together: how many requests run, and how many permits
// allow them. More may run than that, after permits were taken away; none begins then.
const slotBits = 32

func slots(running, permits int64) uint64 { return uint64(running)<<slotBits | uint64(permits) }

func running(s uint64) int64 { return int64(s >> slotBits) }

func permits(s uint64) int64 { return int64(s & (1<<slotBits - 1)) }

// enter begins a request, if a permit is there and confirmed.
func (l *line) enter(now int64) bool {
	for {
		s := l.slots.Load()
		if running(s) >= permits(s) || now >= l.valid.Load() {
			return false
		}
		if l.slots.CompareAndSwap(s, slots(running(s)+1, permits(s))) {
			l.crowd(running(s) + 1)
			return true
		}
	}
}

// enterAnyway begins a request without the ledger, if fewer than most run.
func (l *line) enterAnyway(most int64) bool {
	for {
		s := l.slots.Load()
		if running(s) >= most {
			return false
		}
		if l.slots.CompareAndSwap(s, slots(running(s)+1, permits(s))) {
			l.crowd(running(s) + 1)
			return true
		}
	}
}

// crowd notes how many run.
func (l *line) crowd(n int64) {
	for {
		peak := l.peak.Load()
		if n <= peak || l.peak.CompareAndSwap(peak, n) {
			return
		}
	}
}

// leave ends a request. Its permit stays here for the next one, unless others wait for it.
func (l *line) leave() {
	for {
		s := l.slots.Load()
		if l.slots.CompareAndSwap(s, slots(running(s)-1, permits(s))) {
			break
		}
	}
	if l.recalled.Load() != 0 {
		if now := l.set.now(); now < l.recalled.Load() {
			l.part.ask(l, now)
		}
	}
}

// lower gives up permits down to n, but for those with which requests run, and says how many are held
// then. A request that begins at the same time is seen: both numbers change together.
func (l *line) lower(n int64) (held int64) {
	for {
		s := l.slots.Load()
		to := min(permits(s), max(n, running(s)))
		if l.slots.CompareAndSwap(s, slots(running(s), to)) {
			return max(to, running(s))
		}
	}
}

// crowded is the most requests that ran at once lately. The caller holds mu.
func (l *line) crowded(now int64) int64 {
	quarter := int64(idle) / int64(len(l.peaks))
	for range l.peaks {
		if now-l.peakAt < quarter {
			break
		}
		copy(l.peaks[1:], l.peaks[:])
		// What runs now counts for the quarter that begins, because it may end unseen within it.
		l.peaks[0] = l.peak.Swap(running(l.slots.Load()))
		l.peakAt += quarter
	}
	if now-l.peakAt >= quarter {
		l.peakAt = now
	}
	most := max(l.peak.Load(), running(l.slots.Load()))
	for _, p := range l.peaks {
		most = max(most, p)
	}
	return most
}

// permitLine is what to tell the ledger of permits, or nil if there is nothing to say.
func (l *line) permitLine(now int64) *eventv1.PermitLine {
	l.mu.Lock()
	defer l.mu.Unlock()
	keep := l.crowded(now)
	if now >= l.valid.Load() || now < l.recalled.Load() {
		keep = 0
	}
	held := l.lower(keep)
	run := running(l.slots.Load())
	want := max(min(run+int64(len(l.waiters)), mostPermits-1), held)
	if held == 0 && want == 0 && l.told == 0 {
		return nil
	}
	l.told, l.toldAt = held, now
	return &eventv1.PermitLine{Limit: l.id, Held: held, Want: want, Seq: l.set.seq.Add(1)}
}

// permitted takes in the ledger's answer to a line that was sent at a time.
func (l *line) permitted(sent, now int64, g *eventv1.PermitGrant) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.answers++
	if g.GetUnknown() {
		l.unknown = now + int64(unheard)
		l.part.ask(l, l.unknown)
		return
	}
	l.unknown, l.heard, l.denied = 0, now, denial{}
	l.heardOf(int64(g.GetSharers()))
	given := min(max(g.GetPermits(), 0), mostPermits-1)
	for {
		s := l.slots.Load()
		if l.slots.CompareAndSwap(s, slots(running(s), given)) {
			break
		}
	}
	l.told = max(l.told, given)
	l.valid.Store(max(l.valid.Load(), sent+min(millis(g.GetSessionTtlMs()), int64(session))))
	if g.GetRetryAfterMs() > 0 {
		at := now + min(millis(g.GetRetryAfterMs()), int64(trust))
		l.denied = denial{at: at, until: at}
	}
	if l.told > 0 {
		l.part.ask(l, sent+int64(renew))
	}
}
