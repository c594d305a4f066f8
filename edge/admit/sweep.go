package admit

import (
	"context"
	"slices"
	"sync"
)

// ticksIdle is how many sweeps fall into the time after which money is idle.
const ticksIdle = 4

// activate has sweeps look at a line.
func (b *Book) activate(l *line) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !l.active && !l.gone.Load() {
		l.active = true
		b.watched = append(b.watched, l)
	}
}

// sweep returns idle money, repeats what is held, and forgets windows that are over. It looks only
// at lines of which something is left to do.
func (b *Book) sweep() {
	tick := b.tick.Add(1)
	repeat := max(1, uint32(b.cfg.Repeat/(b.cfg.Idle/ticksIdle)))
	now := b.cfg.Now()

	b.mu.Lock()
	if now.After(b.latest) {
		b.latest = now
	}
	over := b.latest.Add(-b.cfg.Repeat).Unix() // requests that began in time are done with it
	for end, lines := range b.ends {
		if end <= over {
			delete(b.ends, end)
			for _, l := range lines {
				if !l.active {
					l.active = true
					b.watched = append(b.watched, l)
				}
			}
		}
	}
	watched := slices.Clone(b.watched)
	b.mu.Unlock()

	for _, l := range watched {
		ended := l.end <= over
		idle := tick-l.tick.Load() > ticksIdle && l.waiting.Load() == 0
		if (idle || ended) && l.avail.Load() > 0 {
			l.giveBack(false)
		}
		l.mu.Lock()
		tell := tick-l.toldTick >= repeat
		if tell {
			l.tell, l.toldTick = true, tick
		}
		l.mu.Unlock()
		if tell {
			b.sender(l.part).ask(l)
		}
	}

	b.mu.Lock()
	defer b.mu.Unlock()
	b.watched = slices.DeleteFunc(b.watched, func(l *line) bool {
		if !l.settled() {
			return false
		}
		if l.active = false; l.end <= over {
			l.gone.Store(true)
			delete(b.lines, l.window)
			if b.current[l.window.Account] == l {
				delete(b.current, l.window.Account)
			}
		}
		return true
	})
}

// ReturnAll returns everything that is unspent and waits, not for long, until the ledger has heard
// of it. It is for the end of a process, after its requests.
func (b *Book) ReturnAll() {
	b.mu.Lock()
	parts := map[uint32][]*line{}
	for _, l := range b.watched {
		parts[l.part] = append(parts[l.part], l)
	}
	b.mu.Unlock()
	ctx, cancel := context.WithTimeout(context.Background(), b.cfg.Wait)
	defer cancel()
	var wg sync.WaitGroup
	defer wg.Wait()
	for part, lines := range parts {
		s := b.sender(part)
		wg.Go(func() {
			// What a request under way brings is to be returned as well.
			s.busy.Lock()
			defer s.busy.Unlock()
			for _, l := range lines {
				l.giveBack(false)
			}
			for chunk := range slices.Chunk(lines, mostLines) {
				s.exchange(ctx, chunk, true)
			}
		})
	}
}
