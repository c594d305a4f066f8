package limits

import (
	"math"
	"time"

	eventv1 "tollgate/gen/tollgate/event/v1"
)

const (
	// recallEvery is how often holders of a limit are asked at most to give back what they do not use.
	recallEvery = 50 * time.Millisecond
	// recallMost bounds how many are asked at a time.
	recallMost = 64
	// afterRecall is when what was recalled may be there, and retryPermits when to ask if nothing was.
	afterRecall  = 5 * time.Millisecond
	retryPermits = 50 * time.Millisecond
	// retryLearning is how often edges ask at most while the leader learns.
	retryLearning = time.Second
)

// Recall asks an incarnation to give back permits that it does not use.
type Recall struct {
	Edge  string
	Inc   int64
	Limit int64
}

// permits is who may run requests of a limit.
type permits struct {
	sessions recent[session]
	booked   int64 // permits of all sessions
	short    int64 // what they want beyond them
	sharers  int64 // sessions that hold or want any
	without  int64 // sessions that want some and hold none
	recalled int64
}

// session is an edge that was heard lately.
type session struct {
	edge   string
	seq    uint64 // of its last line
	booked int64  // permits that it may hold
	want   int64
}

func (s *session) short() int64 { return max(0, s.want-s.booked) }

func (s *session) shares() int64 {
	if s.booked > 0 || s.want > 0 {
		return 1
	}
	return 0
}

func (s *session) without() int64 {
	if s.booked == 0 && s.want > 0 {
		return 1
	}
	return 0
}

// Permits answers lines of one incarnation that say how many permits it holds. What it says that it
// holds is believed, because requests may run with it; only what is given beyond is kept below the
// limit. It also says whom to ask for permits that lie idle.
func (b *Book) Permits(now time.Time, inc int64, edge string, lines []*eventv1.PermitLine) (grants []*eventv1.PermitGrant, recalls []Recall) {
	t := b.since(now)
	b.forget(t)
	grants = make([]*eventv1.PermitGrant, len(lines))
	for i, q := range lines {
		g := &eventv1.PermitGrant{Limit: q.GetLimit(), Seq: q.GetSeq()}
		grants[i] = g
		e := b.known(q.GetLimit(), eventv1.LimitKind_LIMIT_KIND_CONCURRENT)
		if e == nil {
			g.Unknown = true
			continue
		}
		*b.active.touch(q.GetLimit(), t) = e
		if e.permits == nil {
			e.permits = &permits{recalled: math.MinInt64}
		}
		p := e.permits
		p.expire(t)
		s := p.sessions.get(inc)
		if s != nil && q.GetSeq() <= s.seq {
			// It was overtaken. Its edge waits for the answer to another line.
			g.Permits = min(clamp(q.GetHeld()), s.booked)
			continue
		}
		learning := t < b.learn && !e.born
		s = p.sessions.touch(inc, t)
		p.take(s)
		s.edge, s.seq = edge, q.GetSeq()
		s.booked, s.want = clamp(q.GetHeld()), clamp(q.GetWant())
		p.put(s)
		g.Permits = p.allow(s, e.amount, learning)
		p.take(s)
		s.booked = max(s.booked, g.Permits)
		p.put(s)
		g.SessionTtlMs = uint32(SessionTTL / time.Millisecond)
		g.Sharers = uint32(p.sharers)
		switch {
		case g.Permits >= s.want:
		case learning:
			g.RetryAfterMs = millis(min(b.learn-t, int64(retryLearning)))
		default:
			g.RetryAfterMs = millis(int64(retryPermits))
			if found := p.recall(t, q.GetLimit(), inc); len(found) > 0 {
				recalls = append(recalls, found...)
				g.RetryAfterMs = millis(int64(afterRecall))
			}
		}
	}
	return grants, recalls
}

// allow is how many permits an edge may use from now on. It may be fewer than it holds; those stay
// booked until the edge says that it has given them up.
func (p *permits) allow(s *session, amount int64, learning bool) int64 {
	held, free, sharers := s.booked, amount-p.booked, max(1, p.sharers)
	more, others := s.short(), p.short-s.short()
	fair := (amount + sharers - 1) / sharers
	if p.without > s.without() {
		fair = max(1, amount/sharers) // nobody gets more while others have nothing
	}
	switch {
	case free < 0:
		// The limit was lowered, or requests outlived their session: whoever has more than his share
		// gives up of it.
		return max(held+free, min(held, amount/sharers))
	case learning:
		return held
	case others > free && held > fair:
		// Others go without, and nothing is free: whoever has more than his share makes room.
		return max(fair, held-(others-free))
	case others > free:
		return held + min(more, free, max(0, fair-held))
	case sharers == 1:
		return held + min(more, free)
	default:
		// There is something for all. Up to his share each gets what he wants, and beyond it so much that
		// others find something too.
		return held + min(more, free, max(fair-held, (free+2*sharers-1)/(2*sharers)))
	}
}

// recall lists holders that may have permits that lie idle, those first that were not heard for longest.
func (p *permits) recall(now, limit, inc int64) []Recall {
	if p.recalled != math.MinInt64 && now-p.recalled < int64(recallEvery) {
		return nil
	}
	var out []Recall
	p.sessions.each(func(other int64, s *session) bool {
		if other != inc && s.booked > 0 {
			out = append(out, Recall{s.edge, other, limit})
		}
		return len(out) < recallMost
	})
	if len(out) > 0 {
		p.recalled = now
	}
	return out
}

// expire frees the permits of edges that were not heard for too long.
func (p *permits) expire(now int64) {
	for {
		inc, _, at, ok := p.sessions.oldest()
		if !ok || at+int64(SessionEnd) > now {
			return
		}
		p.take(p.sessions.get(inc))
		p.sessions.drop(inc)
	}
}

// take takes a session out of the sums, for a change of it.
func (p *permits) take(s *session) {
	p.booked -= s.booked
	p.short -= s.short()
	p.sharers -= s.shares()
	p.without -= s.without()
}

// put counts it again.
func (p *permits) put(s *session) {
	p.booked += s.booked
	p.short += s.short()
	p.sharers += s.shares()
	p.without += s.without()
}
