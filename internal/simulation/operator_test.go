package simulation_test

import "time"

// setClock is somebody who sets the clock of a machine: back by up to an hour, or ahead by no more than
// ledgers let edges be.
func (e *edge) setClock() {
	e.skew = time.Duration(e.w.rng.Int64N(int64(time.Hour+time.Minute))) - time.Hour
	e.w.count["clock set"]++
}

// giveUp is an operator who takes a machine for lost that is not: what it holds is given away, and by so
// much budgets may be overspent.
func (e *edge) giveUp() {
	for _, p := range e.w.parts {
		held := p.book.Clone()
		p.book.MarkLost(e.inc)
		_, freed, ok := p.book.Release(e.inc)
		if !ok {
			continue
		}
		for win, leases := range held.Leases {
			e.w.of(win).lost += leases[e.inc].Unspent()
		}
		p.tell(freed)
		e.w.count["given up"]++
	}
}

// endedAt is the answer that a life of an edge gets which was given up.
func (e *edge) endedAt() {
	if !e.ended {
		e.ended = true
		e.book.GiveBack()
		e.w.count["told that it was given up"]++
	}
}

// restartEnded is the operator who does what the edge asks for then.
func (w *world) restartEnded() {
	for _, e := range w.edges {
		for _, p := range w.parts {
			if p.book.Incs[e.inc].State.Ended() {
				e.kill()
				break
			}
		}
	}
}
