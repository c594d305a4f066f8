package proxy

import (
	"context"
	"errors"
	"strings"
	"time"

	"tollgate/edge/adapter"
	"tollgate/edge/routing"
	"tollgate/internal/fault"
	"tollgate/internal/id"
	"tollgate/internal/meter/frame"
)

// ask is a request to an endpoint that serves models.
type ask struct {
	c   *call
	ctx context.Context //nolint:containedctx // of the exchange
	wanted
	wrong error // why nothing is answered there

	body    []byte          // in the schema that the caller speaks, without a content encoding
	foreign AdapterExchange // translates what the caller speaks into Chat Completions; nil for none
	spread  int64           // bytes of bodies that were made of it, which the room for bodies has lent

	name  string // of the model, as the caller gave it; the default where it gave none
	known string // under which the model was found
	model *routing.Model
	wild  string // what the "*" in the model's name stands for
	hops  []hop  // one for each deployment, in the same order
}

func newAsk(c *call) *ask {
	a := &ask{c: c}
	a.wanted, a.wrong = wantedOf(c.endpoint, c.x.Method, c.rest, c.x.Headers)
	return a
}

// models finds out which model a request is for and what each of its deployments would be sent. What needs no model is answered.
func (c *call) models(ctx context.Context) error {
	a := c.ask
	if a == nil {
		return nil
	}
	a.ctx = ctx
	switch {
	case a.wrong != nil:
		return a.wrong
	case a.op == opList || a.op == opOne:
		return a.list()
	}
	if total := c.endpoint.Total; total > 0 {
		var stop context.CancelFunc
		ctx, stop = context.WithTimeoutCause(ctx, total, errTotal)
		defer stop()
	}
	if err := a.read(ctx); err != nil {
		return err
	}
	if err := c.customerIn(ctx, a.body); err != nil {
		return err
	}
	if c.endpoint.Models.Adapter != nil {
		if err := a.understand(ctx); err != nil {
			return err
		}
	}
	named, err := modelOf(a.body)
	if err != nil {
		return err
	}
	if err := a.find(named.name); err != nil {
		return err
	}
	if named.to == 0 {
		// Translations insist on a model.
		a.body = named.with(a.body, a.known)
		if named, err = modelOf(a.body); err != nil {
			return err
		}
		if !a.lend(int64(len(a.body))) {
			return noRoom()
		}
	}
	return a.prepare(ctx, named)
}

// defaultModelBody is how long a request for a model may be, and an answer that is translated as a whole, where the configuration
// says nothing. It is what vendors take.
const defaultModelBody = 32 << 20

func (c *call) modelBody() int64 {
	if most := c.g.cfg.ModelBody; most > 0 {
		return most
	}
	return defaultModelBody
}

// read reads all of the body: which model it is for is anywhere in it.
func (a *ask) read(ctx context.Context) error {
	c, most := a.c, a.c.modelBody()
	switch {
	case c.x.Body == nil || c.x.Length == 0:
		return fault.New(fault.BodyInvalid, "The request has no body, which would say what is asked of which model.").
			WithHint("Send the request as JSON in the body.")
	case c.x.Length > most:
		return tooLarge(c.x.Length, most)
	}
	c.wrapBody(ctx, most+1)
	defer context.AfterFunc(ctx, c.x.Body.Interrupt)()
	whole, err := c.kept.ahead(most+1, c.x.Length, false)
	a.body = c.kept.bytes()
	switch n := int64(len(a.body)); {
	case err != nil:
		return c.unreadable(ctx, err)
	case n > most:
		return tooLarge(n, most)
	case !whole:
		return noRoom()
	}
	if uncoded(c.x.Headers) {
		return nil
	}
	full := false
	plain, whole := frame.Plain(a.body, joined(c.x.Headers, "Content-Encoding"), most, func(n int64) bool {
		full = !a.lend(n - a.spread)
		return !full
	})
	switch a.body = plain; {
	case whole:
		return nil
	case full:
		return noRoom()
	case int64(len(plain)) == most:
		return fault.New(fault.BodyTooLarge, "The body has more than %s when it is decompressed, the limit.", bytesText(most))
	default:
		return fault.New(fault.BodyInvalid, "The body is compressed in a way that can't be read.").
			WithHint("Send it without Content-Encoding, or with gzip, deflate, br or zstd.")
	}
}

// lend takes room for more bytes of bodies.
func (a *ask) lend(n int64) bool {
	if n > 0 && !a.c.g.room.take(n) {
		return false
	}
	a.spread += max(n, 0)
	return true
}

// release gives it back. It may be called again.
func (a *ask) release() {
	a.c.g.room.used.Add(-a.spread)
	a.spread, a.body = 0, nil
	for i := range a.hops {
		h := &a.hops[i]
		h.terms.release()
		h.body = nil
	}
}

func noRoom() error {
	return fault.New(fault.Overloaded, "This edge already keeps as many bodies of requests as it has room for.").WithRetryAfter(time.Second)
}

// find looks the model up.
func (a *ask) find(name string) error {
	c := a.c
	standard := c.endpoint.Models.Default
	a.name = name
	m, wild, ok := c.table.Model(name)
	if !ok && standard != "" {
		if a.name == "" {
			a.name = standard
		}
		name = standard
		m, wild, ok = c.table.Model(name)
	}
	switch {
	case name == "":
		return fault.New(fault.BodyInvalid, `The request names no model: the field "model" is missing.`).
			WithHint("Name one. GET /v1/models lists those that your key may ask for.")
	case !ok:
		return fault.New(fault.ModelNotFound, "There is no model %q.", clip(name, longestName))
	case !c.key.MayAsk(name):
		return fault.New(fault.ModelNotAllowed, "Key %s may not ask for model %q.", c.key.Name, clip(name, longestName))
	}
	a.model, a.known, a.wild = m, name, wild
	if m.Upstream.Err != nil {
		return m.Upstream.Err
	}
	c.pool = m.Upstream
	return nil
}

// call is what a translation for a deployment has to know.
func (a *ask) call(d *routing.Deployment, vendor string) *adapter.Call {
	_, unique, _ := strings.Cut(a.c.id.Text(id.Request), "_")
	return &adapter.Call{Asked: a.name, Model: vendor, Options: d.Options, Vendor: d.Name, ID: unique, Unix: a.c.began.Unix()}
}

// price finds out what each deployment that may be asked is charged by. One that has no price is not asked.
func (a *ask) price() error {
	a.c.free = true
	err := a.each(func(h *hop) error { return h.price(a) })
	for i := range a.hops {
		if h := &a.hops[i]; h.err == nil && !h.free {
			a.c.free = false
		}
	}
	return err
}

// each does something with each deployment that may still be asked. One with which it fails is not asked; if none is left, the
// first reason why is returned.
func (a *ask) each(do func(*hop) error) error {
	left := false
	for i := range a.hops {
		h := &a.hops[i]
		if h.err == nil {
			h.err = do(h)
			if h.err != nil {
				a.c.tries.Exclude(i)
			}
		}
		left = left || h.err == nil
	}
	if left {
		return nil
	}
	return a.reason()
}

// reason is why no deployment can be asked: what the first one that understands no such request says, because there the caller can do
// something about it.
func (a *ask) reason() error {
	for i := range a.hops {
		if _, ok := errors.AsType[*adapter.Error](a.hops[i].err); ok {
			return a.hops[i].err
		}
	}
	return a.hops[0].err
}

// hold is what is held: as much as the dearest of the deployments may cost.
func (a *ask) hold() {
	c := a.c
	c.amount = 0
	for i := range a.hops {
		h := &a.hops[i]
		if h.err != nil {
			continue
		}
		h.terms.hold(int64(len(h.body.data)), &c.g.costs)
		c.amount = max(c.amount, h.amount)
	}
}

// counts says whether units are counted that some deployment uses.
func (a *ask) counts() bool {
	for i := range a.hops {
		if h := &a.hops[i]; h.err == nil && !h.free && (h.by.Usage != nil || h.metered()) {
			return true
		}
	}
	return false
}
