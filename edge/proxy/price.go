package proxy

import (
	"context"
	"strings"
	"unicode/utf8"

	"tollgate/edge/spool"
	eventv1 "tollgate/gen/tollgate/event/v1"
	"tollgate/internal/fault"
	"tollgate/internal/id"
	metering "tollgate/internal/meter"
	"tollgate/internal/money"
)

// planned is what is known before it is sent of a request whose price is more than a number.
type planned struct {
	meter   *metering.Meter // nil: none reads it, and what it costs is not known
	unread  money.Nanos     // charged then
	request metering.Request
	hold    metering.Hold
	edits   edits
}

// price finds out what the request is charged by. Nothing of its body was read, and nothing is held.
func (c *call) price(context.Context) error {
	if c.ask != nil {
		return c.ask.price()
	}
	e := c.endpoint
	c.by = e
	if c.free = e.Free || !e.Charge.Request(c.x.Method, c.x.Upgrade != ""); c.free || e.Plan == nil {
		return nil
	}
	if c.header == nil {
		c.header = func(name string) string { return get(c.x.Headers, name) } // once for all exchanges that have this memory
	}
	p := &c.planned
	r := &p.request // which is empty
	r.Method, r.Path, r.Query, r.WebSocket, r.Length, r.Header = c.x.Method, c.rest, c.query, c.x.Upgrade == "websocket", c.x.Length, c.header
	return c.find(p)
}

// once refuses a request that says twice what its price looks at: its target may take the other value.
func (t *terms) once() error {
	twice := t.plan.meter.Doubled(&t.plan.request)
	if twice == "" {
		return nil
	}
	return fault.New(fault.BodyInvalid, "The request has the %s more than once, and readers do not agree which of them counts.", clip(twice, 2*longestName)).
		WithHint("Send it once: the price of the request depends on it.")
}

// shortPath is a path for people, who need no more of a long one.
func shortPath(path string) string {
	const most = 80
	if path == "" {
		return "this path"
	}
	if len(path) > most {
		path = clip(path, most) + "…"
	}
	return path
}

// clip is the beginning of a text, without a part of a character at its end.
func clip(s string, most int) string {
	if len(s) <= most {
		return s
	}
	for most > 0 && !utf8.RuneStart(s[most]) {
		most--
	}
	return s[:most]
}

// longestName is how much of a name that callers and targets say is recorded.
const longestName = 256

// read makes the bill of an attempt that a meter has read, and learns from it.
func (t *try) read(given money.Nanos) {
	c := t.c
	var trailers []Header
	if t.whole && t.answer != nil && t.answer.Trailers != nil {
		trailers = t.answer.Trailers()
	}
	b := t.meter.bill(t.whole, t.elapsed(), trailers)
	t.last.Meter = b.Meter
	if !t.end.metered {
		return // it was never answered, or not for the caller
	}
	c.spend.metered = true
	t.last.Model, t.last.Counts = clip(b.Model, longestName), b.Counts
	t.end.cost, t.end.unpriced = 0, false
	if !b.Charged && b.Job == nil {
		return
	}
	cost, unpriced := min(max(b.Cost, 0), mostCost), len(b.Unpriced) > 0 || b.Cost > mostCost
	if t.dear || t.end.outcome == eventv1.SpendOutcome_SPEND_OUTCOME_CUT {
		cost = min(cost, given) // no budget has more, or the caller left before it was held: nothing of that went on
	}
	switch j := b.Job; {
	case j == nil:
		if t.end.cost, t.last.Units = cost, b.Units; !unpriced {
			c.g.costs.learn(costKey{t.by.ID, t.plan.meter.Name, t.plan.hold.Model}, cost)
		}
	case j.Begins:
		t.begins(b, cost, given)
	default:
		t.last.Job = jobOf(b, cost, unpriced)
		return // what it asks after is charged, and not the asking
	}
	if t.end.unpriced = unpriced; unpriced {
		c.g.d.Log.Info("request unpriced", "request_id", c.id.Text(id.Request), "endpoint", c.endpoint.Name, "meter", b.Meter,
			"why", strings.Join(b.Unpriced, "; "))
	}
}

// begins charges a request that begins a job: what is held as long as nobody knows how it ends.
func (t *try) begins(b *metering.Bill, cost, given money.Nanos) {
	j := b.Job
	if j.State == metering.Running || j.State == metering.Done && j.AsBegun {
		cost = max(cost, given)
	}
	if j.State == metering.Failed {
		cost = 0
	}
	t.end.cost, t.last.Units = cost, b.Units
	t.last.Job = jobOf(b, cost, len(b.Unpriced) > 0)
}

// jobOf is what is recorded of a job.
func jobOf(b *metering.Bill, cost money.Nanos, unpriced bool) *spool.Job {
	j := b.Job
	out := &spool.Job{ID: j.ID, AsBegun: j.AsBegun, TTL: j.TTL, ExpiresFree: j.Free, Begins: j.Begins}
	switch j.State {
	case metering.Done:
		out.State = eventv1.SpendJobState_SPEND_JOB_STATE_DONE
		out.Cost, out.Unpriced, out.Units, out.Counts, out.Model = cost, unpriced, b.Units, b.Counts, clip(b.Model, longestName)
	case metering.Failed:
		out.State = eventv1.SpendJobState_SPEND_JOB_STATE_FAILED
	default:
		out.State = eventv1.SpendJobState_SPEND_JOB_STATE_RUNNING
	}
	return out
}
