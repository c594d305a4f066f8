package limits_test

import (
	"time"

	eventv1 "tollgate/gen/tollgate/event/v1"
)

// arrive has a request come that draws on every limit.
func (e *edge) arrive() {
	w := e.w
	w.offered++
	r := &request{units: 1 + w.rng.Int64N(20)}
	if w.runs > 0 {
		r.ends = w.now + time.Duration(w.rng.Int64N(int64(w.runs)))
	}
	r.want = e.set.Begin(&r.pass, e.limits, r.units)
	e.wants = append(e.wants, r)
}

// step is what an edge does in a tick.
func (e *edge) step() {
	w := e.w
	if w.cut > 0 && w.now >= e.cut && w.rng.IntN(10_000) == 0 {
		e.cut = w.now + time.Duration(w.rng.Int64N(int64(w.cut)))
	}
	e.finish()
	waiting := e.wants[:0]
	for _, r := range e.wants {
		done, err := r.want.Try()
		if !done {
			waiting = append(waiting, r)
			continue
		}
		r.want.End()
		if err == nil {
			e.pass(r)
		}
	}
	clear(e.wants[len(waiting):])
	e.wants = waiting
	if (int(w.now/tick)+e.n)%100 == 0 {
		e.set.Sweep()
	}
	if e.x != nil && w.now-e.sent >= w.timeout {
		if w.is(noSession) {
			w.confirm(e)
		}
		e.x.Failed()
		e.x = nil
	}
	if e.x == nil {
		if x, _ := e.set.Next(0); x != nil {
			e.x, e.sent = x, w.now
			w.request(e)
		}
	}
}

// pass writes down what a request took.
func (e *edge) pass(r *request) {
	w := e.w
	r.began = w.now
	for _, l := range w.limits {
		n := int64(1)
		if l.GetKind() == eventv1.LimitKind_LIMIT_KIND_UNITS {
			n = r.units
		}
		r.at = append(r.at, len(w.passed[l.GetId()]))
		w.passed[l.GetId()] = append(w.passed[l.GetId()], passage{w.now, n})
	}
	if r.ends <= w.now {
		r.ends = w.now
	}
	e.runs = append(e.runs, r)
}

// finish ends requests. Some turn out not to have been sent, or to have been smaller.
func (e *edge) finish() {
	w := e.w
	running := e.runs[:0]
	for _, r := range e.runs {
		if r.ends > w.now {
			running = append(running, r)
			continue
		}
		actual, sent := r.units, true
		if w.estimates {
			actual, sent = w.rng.Int64N(r.units+1), w.rng.IntN(4) > 0
		}
		if !sent {
			actual = 0
		} else {
			r.pass.Settle(actual)
		}
		r.pass.Release()
		for i, l := range w.limits {
			at := &w.passed[l.GetId()][r.at[i]]
			dead := w.now-r.began > time.Second
			switch {
			case l.GetKind() == eventv1.LimitKind_LIMIT_KIND_UNITS:
				if dead {
					e.refunds += at.n - actual
				}
				at.n = actual
			case !sent:
				at.n = 0
			}
		}
	}
	clear(e.runs[len(running):])
	e.runs = running
}
