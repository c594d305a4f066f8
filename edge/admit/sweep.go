package admit

import (
	"maps"
	"slices"
	"time"
)

// ticksIdle is how many sweeps fall into the time after which money is idle, and timesIdle for how
// many of those times what one request needs is kept.
const (
	ticksIdle = 20
	timesIdle = 6
)

// activate has sweeps look at a line.
func (b *Book) activate(l *line) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !l.active && !l.gone.Load() {
		l.active = true
		b.watched = append(b.watched, l)
	}
}

// Sweep returns idle money, repeats what is held, asks for the windows to come, and forgets those that
// are over. It looks only at lines of which something is left to do. Whoever drives a book by hand
// calls it about as often as Run does: twenty times in Config.Idle.
func (b *Book) Sweep() {
	b.tick.Add(1)
	watched, over := b.turn()
	for _, l := range watched {
		b.tend(l, over)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.watched = slices.DeleteFunc(b.watched, func(l *line) bool {
		ended := l.end <= over
		if !l.settled(ended) {
			return false
		}
		if l.active = false; ended {
			l.gone.Store(true)
			delete(b.lines, l.window)
			if b.current[l.window.Account] == l {
				delete(b.current, l.window.Account)
			}
		}
		return true
	})
}

// turn is what a sweep looks at, and the time up to which windows that have ended are done with.
func (b *Book) turn() (watched []*line, over int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := b.today()
	over = now - int64(b.cfg.Repeat/time.Second) // requests that began in time are done with it
	soon := false
	for _, end := range slices.Sorted(maps.Keys(b.ends)) {
		soon = soon || end > now && b.soon(end)
		if end > over {
			continue
		}
		for _, l := range b.ends[end] {
			if !l.active {
				l.active = true
				b.watched = append(b.watched, l)
			}
		}
		delete(b.ends, end)
	}
	if b.coarse.Store(now); soon {
		b.coarse.Store(0)
	}
	return slices.Clone(b.watched), over
}

// soon says whether a window ends before another sweep might be late to look.
func (b *Book) soon(end int64) bool {
	margin := max(5, int64(4*b.cfg.sweepEvery()/time.Second))
	return end-b.latest.Load() <= margin
}

// tend does what is to be done for one line.
func (b *Book) tend(l *line, over int64) {
	tick, unit, keep := b.tick.Load(), l.unit.Load(), int64(-1)
	if l.early() {
		l.tick.Store(tick) // its money is for later
	}
	idle := tick - l.tick.Load()
	switch {
	case l.end <= over:
		keep = 0
	case l.waiting.Load() > 0:
	case l.short.Load() && idle > 1, idle > timesIdle*ticksIdle:
		keep = 0
	case idle > ticksIdle:
		keep = unit
	}

	l.mu.Lock()
	l.measure()
	if l.warm++; idle > ticksIdle {
		l.cold, l.warm = true, 0
	} else if l.warm > 2*ticksIdle {
		l.cold, l.warm = false, 0
	}
	l.setFloor()
	if l.terms.soft && l.low.Load() == off {
		l.setLow() // what the ledger has refused it may have by now
	}
	tell := tick-l.toldTick >= max(1, uint32(b.cfg.Repeat/b.cfg.sweepEvery()))
	if tell {
		l.tell, l.toldTick = true, tick
	}
	l.mu.Unlock()

	if keep >= 0 && l.avail.Load() > keep {
		l.giveBack(keep, false)
	}
	if tell {
		l.sender.ask(l)
	}
	b.prepare(l)
}
