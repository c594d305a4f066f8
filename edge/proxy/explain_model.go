package proxy

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"

	"tollgate/edge/adapter"
	controlv1 "tollgate/gen/tollgate/control/v1"
	"tollgate/internal/fault"
)

// Begin and Write take the answer to what is asked of the edge itself, such as a list of models.
func (nowhere) Begin(int, []Header, int64) {}

func (nowhere) Write(p []byte) (int, error) { return len(p), nil }

// refusal is what the caller would be told, by the words of the catalogue and with the status of the caller's schema.
func (x *explainer) refusal(err error) *controlv1.ExplainedRefusal {
	a := x.c.ask
	if e, ok := errors.AsType[*adapter.Error](err); ok && a != nil {
		_, _, hint, _ := fault.Describe(fault.RequestUnsupported)
		return &controlv1.ExplainedRefusal{Status: int32(e.StatusIn(a.schema)), Code: string(fault.RequestUnsupported), Message: e.Message, Hint: hint}
	}
	f := fault.From(err)
	out := &controlv1.ExplainedRefusal{Status: int32(f.Status()), Code: string(f.Code), Message: f.Message, Hint: f.Hint}
	if a != nil {
		out.Status = int32(adapter.FromFault(f).StatusIn(a.schema))
	}
	return out
}

// asked says which model the request is for, and who could serve it.
func (x *explainer) asked() string {
	a := x.c.ask
	x.out.Model = clip(a.known, longestName)
	var can, not []string
	for i := range a.hops {
		if h := &a.hops[i]; h.err == nil {
			can = append(can, h.d.Name)
		} else {
			not = append(not, h.d.Name+" can't: "+x.refusal(h.err).GetMessage())
		}
	}
	text := "model " + a.model.Name
	if a.known != a.model.Name {
		text = fmt.Sprintf("model %s, which %q stands for,", a.model.Name, clip(a.known, longestName))
	}
	if x.c.isNew() {
		text = x.customer() + "; " + text
	}
	text += " is served by " + strings.Join(can, ", ")
	if len(not) > 0 {
		text += "; " + strings.Join(not, "; ")
	}
	return text
}

// answeredHere is the end of a request that no vendor gets.
func (x *explainer) answeredHere() string { return "the edge answers it, and it costs nothing" }

// usable is the first deployment that can be asked.
func (a *ask) usable() *hop {
	for i := range a.hops {
		if a.hops[i].err == nil {
			return &a.hops[i]
		}
	}
	return &a.hops[0]
}

// dearest is the deployment for which as much is held.
func (a *ask) dearest() *hop {
	h := a.usable()
	for i := range a.hops {
		if o := &a.hops[i]; o.err == nil && o.amount > h.amount {
			h = o
		}
	}
	return h
}

// pricedBy says what reads the request at the deployment that comes first.
func (x *explainer) pricedBy(h *hop) string {
	x.out.Price = priceText(h.by)
	switch p := h.plan; {
	case h.free:
		return "it costs nothing at " + h.d.Name
	case p == nil:
		return "it costs " + x.out.GetPrice() + " at " + h.d.Name
	case p.meter == nil:
		return "no meter of " + h.d.Name + " reads it: " + p.unread.Dollars() + " is charged, and it is marked as unpriced"
	default:
		x.out.Meter = p.meter.Name
		return "meter " + p.meter.Name + " of " + h.d.Name + " reads it"
	}
}

// deployed describes the request to a deployment, as sent does that of an endpoint.
func (x *explainer) deployed(number int) {
	c := x.c
	a, h := c.ask, c.ask.hops[number]
	x.out.Deployment = h.d.Name
	x.out.Price, x.out.Meter, x.out.Model = priceText(h.by), "", clip(a.known, longestName)
	if h.metered() {
		x.out.Meter, x.out.Model = h.plan.meter.Name, clip(cmp.Or(h.plan.hold.Model, a.known), longestName)
	}
	if h.out != nil {
		x.out.Dropped = h.out.Dropped()
	}
	if h.translates(a) {
		x.out.Translation = a.schema.String() + " to " + h.schema.String()
	}
	if h.remote != nil {
		x.out.Translation = strings.TrimPrefix(x.out.GetTranslation()+" by adapter "+h.d.Adapter.Name, adapter.Chat.String()+" to "+adapter.Chat.String()+" ")
	}
	d := *h.d
	d.Upstream = h.d.Upstream.Masked()
	h.d = &d
	t := d.Upstream.Targets[0]
	method, uri := h.line(c, d.Upstream, t)
	x.out.Host = cmp.Or(d.Upstream.HostText, t.Host)
	x.out.Url = method + " " + t.Scheme + "://" + t.Host + legible(uri, d.Upstream, -1)
	sent := map[string]bool{}
	for _, own := range c.hopHeaders(&h) {
		sent[lower(own.Name)] = true
		origin := x.origin(d.Upstream, -1, own)
		switch {
		case origin == "endpoint":
			origin = "deployment"
		case h.translates(a) && origin == "caller" && !strings.EqualFold(own.Name, "user-agent"):
			origin = "gateway"
		}
		x.out.Headers = append(x.out.Headers, &controlv1.ExplainedHeader{Name: own.Name, Value: own.Value, Origin: origin})
	}
	for _, own := range x.signature(d.Upstream) {
		sent[lower(own.GetName())] = true
		x.out.Headers = append(x.out.Headers, own)
	}
	for _, theirs := range c.x.Headers {
		if sent[lower(theirs.Name)] {
			continue
		}
		why := x.whyLeftOut(theirs)
		if h.translates(a) {
			why = "the translated request has headers of its own"
		}
		x.out.Headers = append(x.out.Headers, &controlv1.ExplainedHeader{Name: theirs.Name, Origin: "caller", Removed: why})
	}
}

// model finds out which model the request is for, and what each of its deployments would be sent.
func (x *explainer) model(ctx context.Context) error { return x.c.models(ctx) }
