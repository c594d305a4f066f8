package simulation_test

import (
	"slices"
	"time"

	"tollgate/edge/limit"
	eventv1 "tollgate/gen/tollgate/event/v1"
	"tollgate/ledger/limits"
)

// limited is a limit and what has passed it.
type limited struct {
	*eventv1.Limit

	passed []time.Time // that count against its rate, in order
}

// newLimits makes a rate and a concurrency, or none.
func newLimits(w *world) []*limited {
	if !w.shape.limits {
		return nil
	}
	rate := &eventv1.Limit{Id: 1, Kind: eventv1.LimitKind_LIMIT_KIND_REQUESTS, Amount: 60 * int64(1+w.rng.IntN(20)), Burst: int64(1 + w.rng.IntN(20))}
	concurrent := &eventv1.Limit{Id: 2, Kind: eventv1.LimitKind_LIMIT_KIND_CONCURRENT, Amount: int64(1 + w.rng.IntN(12))}
	var out []*limited
	for _, l := range []*eventv1.Limit{rate, concurrent} {
		l.Version, l.Name, l.Subject = 1, "limit", "everything"
		l.Scope, l.Fallback = eventv1.AccountScope_ACCOUNT_SCOPE_EVERYTHING, eventv1.LimitFallback_LIMIT_FALLBACK_CLOSED
		l.Part = uint32(w.rng.IntN(int(w.shape.parts)))
		out = append(out, &limited{Limit: l})
	}
	return out
}

// lead begins a leader's memory of limits.
func (p *partition) lead() {
	p.epoch++
	learn := limits.SessionEnd
	if p.w.is(permitsUnlearned) {
		learn = 0
	}
	p.limits = limits.New(p.w.now, learn)
	var own []*eventv1.Limit
	for _, l := range p.w.limits {
		if l.GetPart() == p.n {
			own = append(own, l.Limit)
		}
	}
	p.limits.Set(own)
}

// limit answers lines of rates and permits.
func (p *partition) limit(q packet) {
	req := decode(q.data, &eventv1.LeaseRequest{})
	reply := &eventv1.LeaseReply{Inc: req.GetInc(), LeaderEpoch: p.epoch}
	reply.Rates = p.limits.Rates(p.w.now, req.GetInc(), req.GetRates())
	grants, recalls := p.limits.Permits(p.w.now, req.GetInc(), req.GetEdge(), req.GetPermits())
	reply.Permits = grants
	if p.w.is(tokensForEver) {
		for _, g := range reply.GetRates() {
			g.TtlMs = 3_600_000
		}
	}
	p.w.send(packet{kind: limitAnswer, edge: q.edge, inc: q.inc, part: p.n, data: encode(reply), limits: q.limits})
	for _, r := range recalls {
		if e := p.w.edgeOf(r.Inc); e != nil {
			p.w.send(packet{kind: control, edge: e, part: p.n, data: encode(&eventv1.EdgeControl{Inc: r.Inc, PermitRecalls: []int64{r.Limit}})})
		}
	}
}

// bootLimits begins what an edge knows of limits.
func (e *edge) bootLimits() {
	e.limits = limit.New(limit.Config{Wait: time.Second, Now: e.steady}, nil, nil)
	e.buying, e.every = map[uint32]*limit.Exchange{}, nil
	for _, l := range e.w.limits {
		one, err := limit.NewLimit(l.Limit)
		if err != nil {
			panic(err)
		}
		e.every = append(e.every, one)
	}
}

// buy asks the ledgers for tokens and permits.
func (e *edge) buy() {
	for _, part := range e.limits.Parts() {
		if e.buying[part] != nil {
			continue
		}
		x, _ := e.limits.Next(part)
		if x == nil {
			continue
		}
		e.buying[part] = x
		req := &eventv1.LeaseRequest{Inc: e.inc, Edge: e.name, Part: part, Rates: x.Rates(), Permits: x.Permits()}
		e.w.send(packet{kind: limitQuestion, edge: e, inc: e.inc, part: part, data: encode(req), limits: x})
	}
}

func (e *edge) unbought(p packet) {
	if e.inc == p.inc && p.limits != nil && e.buying[p.part] == p.limits {
		delete(e.buying, p.part)
		p.limits.Failed()
	}
}

func (e *edge) bought(p packet) {
	if e.inc != p.inc || e.buying[p.part] != p.limits {
		return
	}
	delete(e.buying, p.part)
	e.confirmed = e.w.now
	p.limits.Done(decode(p.data, &eventv1.LeaseReply{}))
}

// pass notes that a request was admitted, with what it took of the limits at a time.
func (w *world) pass(at time.Time) {
	for _, l := range w.limits {
		if l.GetKind() != eventv1.LimitKind_LIMIT_KIND_REQUESTS {
			continue
		}
		i, _ := slices.BinarySearchFunc(l.passed, at, time.Time.Compare)
		l.passed = slices.Insert(l.passed, i, at)
		l.passed = l.passed[max(0, len(l.passed)-400):]
	}
}

// checkLimits: in any time t at most the burst passes, and what flows in during t and a chunk's life;
// and no more run at a time than are permitted, but for those whose edge the ledger could not hear.
func (w *world) checkLimits() {
	for _, l := range w.limits {
		switch l.GetKind() {
		case eventv1.LimitKind_LIMIT_KIND_REQUESTS:
			for i := range l.passed {
				last := len(l.passed) - 1
				t := l.passed[last].Sub(l.passed[i]) + limits.ChunkTTL
				if n, most := int64(last-i+1), l.GetBurst()+int64(t)*l.GetAmount()/int64(time.Minute)+1; n > most {
					w.fail("%d requests passed in %s, and at most %d may", n, t-limits.ChunkTTL, most)
				}
			}
		case eventv1.LimitKind_LIMIT_KIND_CONCURRENT:
			running := int64(0)
			for _, e := range w.edges {
				silent := w.now.Sub(e.confirmed) > limits.SessionTTL
				for _, f := range e.flight {
					if f.limited {
						f.excused = f.excused || silent
						if !f.excused {
							running++
						}
					}
				}
			}
			if running > l.GetAmount() {
				w.fail("%d requests run at a time, and %d may", running, l.GetAmount())
			}
		default:
		}
	}
}

// spendLimits: when all is quiet, one edge can have all of the permits.
func (w *world) spendLimits() {
	if len(w.limits) == 0 {
		return
	}
	e := w.edges[w.rng.IntN(len(w.edges))]
	most := w.limits[1].GetAmount()
	for range 600 {
		if int64(len(e.flight)) == most {
			w.count["limits used whole"]++
			break
		}
		if len(e.waiting) == 0 {
			e.request(nil, 1, e.every)
		}
		w.pump(1)
	}
	if n := int64(len(e.flight)); n != most && w.err == nil {
		w.fail("only %d of %d requests run at a time on %s", n, most, e.name)
	}
	for len(e.flight) > 0 {
		e.settle(e.flight[0], 0)
	}
}
