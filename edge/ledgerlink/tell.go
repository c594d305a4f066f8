package ledgerlink

import (
	"context"
	"math/rand/v2"
	"time"

	eventv1 "tollgate/gen/tollgate/event/v1"
)

const (
	// tellSpools is how often requests to a partition carry the state of spools. Looking them up costs
	// the ledger more than a lease does.
	tellSpools = 2 * time.Second
	// tellIdle is when a partition is told of them although nothing else is to be said, and up to as much
	// later, so that not all edges speak at once. An edge that is silent would not notice that a database
	// was restored and needs its events again, and it frees what was booked some minutes later.
	tellIdle = 10 * time.Second
	// looks is how often that is looked at meanwhile.
	looks = 10
)

// told is what a partition was told, and has told.
type told struct {
	at      time.Time // when it answered a request with the state of spools
	due     time.Time // when it is told of them for their own sake
	history int64     // the newest that a mark of it was of
}

// of is what is known of a partition. The caller holds the lock.
func (l *Link) of(part uint32) *told {
	t, ok := l.told[part]
	if !ok {
		t = &told{due: time.Now().Add(rand.N(l.idle))}
		l.told[part] = t
	}
	return t
}

// states are the spools that a request to a partition tells of, once in a while.
func (l *Link) states(part uint32) []*eventv1.SpoolState {
	if l.spools.States == nil {
		return nil
	}
	l.mu.Lock()
	recent := time.Since(l.of(part).at) < tellSpools
	l.mu.Unlock()
	if recent {
		return nil
	}
	return l.spools.States(part)
}

// heard takes in what a partition answered to the state of spools.
func (l *Link) heard(p *eventv1.LeaseRequest, marks []*eventv1.Mark) {
	if len(p.GetSpools()) == 0 || len(marks) == 0 {
		return // it could not look: it is told again with the next request
	}
	now := time.Now()
	l.mu.Lock()
	t := l.of(p.GetPart())
	t.at, t.due = now, now.Add(l.idle+rand.N(l.idle))
	l.mu.Unlock()
	l.mark(marks)
}

// mark hands on how far spools are booked. Marks of a newer history show that the database of a partition
// was restored: it waits to hear what this edge holds before it grants anything to anybody.
func (l *Link) mark(marks []*eventv1.Mark) {
	for _, m := range marks {
		if l.spools.Mark != nil {
			l.spools.Mark(m)
		}
		l.mu.Lock()
		t := l.of(m.GetPart())
		newer := t.history > 0 && m.GetEpoch() > t.history
		t.history = max(t.history, m.GetEpoch())
		if newer {
			t.at, t.due = time.Time{}, time.Time{} // it hears soon that the spools know it, too
		}
		book := l.book
		l.mu.Unlock()
		if newer {
			l.log.Warn("the ledger's database was restored; it is told all that this edge holds", "part", m.GetPart(), "history", m.GetEpoch())
			if book != nil {
				book.Resync(m.GetPart())
			}
		}
	}
}

// tell has partitions hear of spools that have heard nothing of them for a while, until ctx ends. What is
// not answered is told again later.
func (l *Link) tell(ctx context.Context) {
	if l.spools.States == nil || l.spools.Parts == nil {
		return
	}
	look := time.NewTicker(l.idle / looks)
	defer look.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-look.C:
		}
		for _, part := range l.spools.Parts() {
			if !l.isDue(part) || ctx.Err() != nil {
				continue
			}
			p := &eventv1.LeaseRequest{Part: part, Spools: l.spools.States(part)}
			if len(p.GetSpools()) == 0 {
				continue
			}
			reply, err := l.ask(ctx, p)
			if err != nil {
				l.log.Debug("partition was not told of spools", "part", part, "err", err)
				continue
			}
			l.heard(p, reply.GetMarks())
		}
	}
}

// isDue says whether a partition is to be told of spools for their own sake, and puts off the next time.
func (l *Link) isDue(part uint32) bool {
	now := time.Now()
	l.mu.Lock()
	defer l.mu.Unlock()
	t := l.of(part)
	if now.Before(t.due) {
		return false
	}
	t.due = now.Add(l.idle/2 + rand.N(l.idle/2))
	return true
}
