package proxy

import (
	"context"
	"errors"

	controlv1 "tollgate/gen/tollgate/control/v1"
	eventv1 "tollgate/gen/tollgate/event/v1"
	"tollgate/internal/fault"
)

// Route tells where a request would go and with which headers, whoever sends it, whatever it costs and whether or not its endpoint is
// switched off. The key that it carries is taken for a good one. Of a request for a model it tells the endpoint alone.
func (g *Gateway) Route(ctx context.Context, q *eventv1.ExplainCall) (out *controlv1.Explanation) {
	x := newExplainer(g, q)
	c := x.c
	defer c.release()
	defer func() {
		if v := recover(); v != nil {
			c.logPanic(ctx, v)
			out = &controlv1.Explanation{Refusal: x.refusal(fault.New(fault.InternalError, "Something went wrong inside Tollgate."))}
		}
	}()
	err := c.split()
	if err == nil {
		err = c.match(ctx)
	}
	if f, ok := errors.AsType[*fault.Error](err); err != nil && (!ok || f.Code != fault.EndpointDisabled) {
		x.out.Refusal = x.refusal(err)
		return x.out
	}
	x.matched()
	if c.ask != nil {
		return x.out
	}
	if secret, ok := findCredential(c.x, c.query, c.endpoint.KeyHeader, func([32]byte) bool { return false }); ok {
		c.found.secret = secret
	}
	x.sent(0)
	return x.out
}
