package limits_test

import (
	"time"

	"google.golang.org/protobuf/proto"

	eventv1 "tollgate/gen/tollgate/event/v1"
	"tollgate/ledger/limits"
)

// lost says whether a message to or from an edge does not arrive.
func (w *world) lost(e *edge) bool { return w.now < e.cut || w.lossy && w.rng.IntN(20) == 0 }

// request sends what an edge asks, perhaps twice.
func (w *world) request(e *edge) {
	for again := true; again; again = w.lossy && w.rng.IntN(20) == 0 {
		if !w.lost(e) {
			w.net = append(w.net, packet{at: w.now + w.delay(), sent: w.now, edge: e, x: e.x})
		}
	}
}

// deliver hands over what has arrived.
func (w *world) deliver() {
	var later []packet
	arrived := w.net
	w.net = nil
	for _, p := range arrived {
		switch {
		case p.at > w.now:
			later = append(later, p)
		case w.now < p.edge.cut:
		case p.recalls != nil:
			p.edge.set.Recall(p.recalls)
		case p.reply != nil:
			w.answer(p)
		default:
			w.ask(p)
		}
	}
	w.net = append(later, w.net...)
}

// ask has a leader answer. Two may think that they lead.
func (w *world) ask(p packet) {
	var leading []*leader
	for _, l := range w.leaders {
		if l.ends == 0 || w.now < l.ends {
			leading = append(leading, l)
		}
	}
	l := leading[w.rng.IntN(len(leading))]
	permits := w.told(p)
	reply := &eventv1.LeaseReply{LeaderEpoch: l.epoch, Rates: l.book.Rates(w.ledgerTime(), p.edge.inc, p.x.Rates())}
	var recalls []limits.Recall
	reply.Permits, recalls = l.book.Permits(w.ledgerTime(), p.edge.inc, "edge", permits)
	w.spoil(p, reply)
	for again := true; again; again = w.lossy && w.rng.IntN(20) == 0 {
		if !w.lost(p.edge) {
			at := w.now + w.delay()
			if w.gate > 0 {
				at += w.gate - at%w.gate
			}
			w.net = append(w.net, packet{at: at, sent: p.sent, edge: p.edge, x: p.x, reply: reply})
		}
	}
	for _, r := range recalls {
		if e := w.edges[r.Inc-1]; !w.lost(e) {
			w.net = append(w.net, packet{at: w.now + w.delay(), edge: e, recalls: []int64{r.Limit}})
		}
	}
}

// told is the permit lines of a request as they reach the leader.
func (w *world) told(p packet) []*eventv1.PermitLine {
	lines := p.x.Permits()
	switch w.bug {
	case freedAtOnce, overtaken:
	default:
		return lines
	}
	var out []*eventv1.PermitLine
	for _, q := range lines {
		q = proto.CloneOf(q)
		if w.is(freedAtOnce) && w.rng.IntN(4) == 0 {
			q.Held, q.Want = 0, 0
		}
		if w.is(overtaken) {
			q.Seq = uint64(w.now)
		}
		out = append(out, q)
	}
	return out
}

// spoil breaks what the leader answers.
func (w *world) spoil(p packet, reply *eventv1.LeaseReply) {
	for i, q := range p.x.Permits() {
		reply.Permits[i].Seq = q.GetSeq()
		if w.is(freedAtOnce) {
			reply.Permits[i].Permits = max(reply.Permits[i].GetPermits(), q.GetHeld())
		}
	}
	if w.is(chunksLive) {
		for _, g := range reply.GetRates() {
			g.TtlMs = uint32(time.Hour / time.Millisecond)
		}
	}
	if w.is(oldLeaders) {
		reply.LeaderEpoch = int64(len(w.leaders))
	}
}

// answer hands an answer to its edge.
func (w *world) answer(p packet) {
	e := p.edge
	if w.is(fromArrival) || w.is(refundsLive) {
		p.reply = proto.CloneOf(p.reply)
		for _, g := range p.reply.GetRates() {
			if w.is(fromArrival) {
				g.TtlMs += uint32((w.now - p.sent) / time.Millisecond)
			} else if g.GetTokens() > 0 {
				g.Tokens += e.refunds
				e.refunds = 0
			}
		}
	}
	if e.x == p.x {
		e.x = nil
		if p.reply.GetLeaderEpoch() >= e.epoch {
			e.epoch, e.confirmed = p.reply.GetLeaderEpoch(), p.sent
		}
	}
	p.x.Done(p.reply)
}

// confirm answers in the ledger's place.
func (w *world) confirm(e *edge) {
	reply := &eventv1.LeaseReply{LeaderEpoch: int64(len(w.leaders))}
	for _, q := range e.x.Permits() {
		reply.Permits = append(reply.Permits, &eventv1.PermitGrant{
			Limit: q.GetLimit(), Seq: q.GetSeq(), Permits: q.GetHeld(), SessionTtlMs: uint32(limits.SessionTTL / time.Millisecond), Sharers: 1,
		})
	}
	e.x.Done(reply)
}
