package proxy

import (
	"context"
	"slices"

	"tollgate/edge/admit"
	"tollgate/edge/limit"
	"tollgate/edge/routing"
	eventv1 "tollgate/gen/tollgate/event/v1"
)

// bound is what a request must keep within: the limits that it has passed, and the accounts that it
// draws on. Few of either cost no allocation.
type bound struct {
	pass     Pass        // nil if it is within no limit, or has been released
	place    *limit.Pass // memory for it; nil until there was one
	accounts [8]*admit.Account
	limits   [8]*limit.Limit
}

// accounts are those of the key, of the endpoint and of everything, and of the customer and the tags
// that the request names. One that comes twice is drawn on once.
func (c *call) accounts() []*admit.Account {
	list := append(append(c.bound.accounts[:0], c.key.Accounts...), c.endpoint.Accounts...)
	c.named(func(b *routing.Bounds) { list = append(list, b.Accounts...) })
	return list
}

// limits are the same for limits.
func (c *call) limits() []*limit.Limit {
	list := append(append(c.bound.limits[:0], c.key.Limits...), c.endpoint.Limits...)
	c.named(func(b *routing.Bounds) { list = append(list, b.Limits...) })
	return list
}

// named visits the bounds of what only the request has named. Those of the key's own customer and tags
// came with the key.
func (c *call) named(visit func(*routing.Bounds)) {
	if c.met != nil {
		visit(c.met)
	} else if c.labels.customer != c.key.Customer {
		if b := c.table.Customer(c.labels.customer); b != nil {
			visit(b)
		}
	}
	if len(c.labels.tags) == len(c.key.Tags) {
		return
	}
	for _, tag := range c.labels.tags {
		if slices.Contains(c.key.Tags, tag) {
			continue
		}
		if b := c.table.Tag(tag); b != nil {
			visit(b)
		}
	}
}

// within waits until the limits let the request through, or refuses it.
func (c *call) within(ctx context.Context) error {
	limits := c.limits()
	if len(limits) == 0 {
		return nil
	}
	if c.bound.place == nil {
		c.bound.place = &limit.Pass{}
	}
	pass, err := c.g.d.Limits.Acquire(ctx, c.bound.place, limits, c.estimate(limits))
	if err != nil {
		return err
	}
	c.bound.pass = pass // first: whatever happens from here on, it is given back
	return nil
}

// estimate is how many units the request is taken for: what those before it used, but no more than passes
// at once. A guess must not keep out what may turn out to be less; if it does not, that is settled.
func (c *call) estimate(limits []*limit.Limit) int64 {
	if !c.counts() {
		return 1
	}
	units := c.g.learned.guess(c.endpoint.ID)
	for _, l := range limits {
		if l.Kind() == eventv1.LimitKind_LIMIT_KIND_UNITS {
			units = min(units, l.Burst())
		}
	}
	return max(units, 1)
}

// counts says whether units are counted that the request uses, and not just that there was one.
func (c *call) counts() bool {
	if c.ask != nil {
		return c.ask.counts()
	}
	return c.endpoint.Usage != nil || c.metered()
}

// settlePass tells the limits what was used, and what their next requests may be taken for. Without an
// attempt nothing was, and release gives it all back.
func (c *call) settlePass() {
	s := &c.spend
	if c.bound.pass == nil || s.attempt == 0 {
		return
	}
	if s.metered {
		c.g.learned.learn(c.endpoint.ID, s.units)
	}
	c.bound.pass.Settle(s.units)
}

// release is the end of the request for its limits and for the memory that all share. It may be called again.
func (c *call) release() {
	defer c.releaseBody()
	if pass := c.bound.pass; pass != nil {
		c.bound.pass = nil
		pass.Release()
	}
}

// releaseBody gives up the body, which no attempt needs any more. It may be called again.
func (c *call) releaseBody() {
	if c.kept != nil {
		c.kept.release()
	}
	if c.ask != nil {
		c.ask.release()
	}
	c.terms.release()
}
