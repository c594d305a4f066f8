package proxy

import (
	"context"
	"errors"
	"io"

	"tollgate/internal/fault"
	"tollgate/internal/meter/frame"
)

// defaultMeterBody is how much of a body is read for a meter where the configuration says nothing.
const defaultMeterBody = 4 << 20

// readAhead reads the body where what the request costs at most is in it. As much is read as is kept: of a longer one
// the meter sees the beginning, and the rest goes on as it comes.
func (c *call) readAhead(ctx context.Context) error {
	if c.ask != nil || !c.metered() {
		return nil
	}
	if c.plan.meter.WantsBody() {
		if err := c.readBody(ctx); err != nil {
			return err
		}
	}
	return c.once()
}

func (c *call) readBody(ctx context.Context) error {
	r := &c.plan.request
	if c.x.Body == nil {
		r.Body, r.Whole = []byte{}, true
		return nil
	}
	most := c.meterBody()
	if total := c.endpoint.Total; total > 0 {
		var stop context.CancelFunc
		ctx, stop = context.WithTimeoutCause(ctx, total, errTotal)
		defer stop()
	}
	whole, err := c.beginning(ctx, most)
	if err != nil {
		return err
	}
	r.Body, r.Whole, r.Sealed = c.kept.data, whole, sealed(c.x.Headers)
	if !uncoded(c.x.Headers) {
		var plain bool
		room := func(n int64) bool { return c.kept.reserve(int64(len(c.kept.data)) + n) }
		r.Body, plain = frame.Plain(r.Body, get(c.x.Headers, "Content-Encoding"), 4*most, room)
		r.Whole = r.Whole && plain
	}
	if !r.Whole {
		r.LetGo() // the rest passes by, and nobody keeps the beginning for long
	}
	return nil
}

func (c *call) meterBody() int64 {
	if most := c.g.cfg.MeterBody; most > 0 {
		return most
	}
	return defaultMeterBody
}

// beginning reads up to so many bytes of the body, and says whether that is all of it. It may be called again with as many.
func (c *call) beginning(ctx context.Context, most int64) (whole bool, err error) {
	if c.kept == nil {
		c.wrapBody(ctx, most)
	} else {
		c.kept.ctx = ctx
	}
	if c.kept.size == 0 { // else it has come, and nothing is waited for
		defer context.AfterFunc(ctx, c.x.Body.Interrupt)()
	}
	if whole, err = c.kept.ahead(most, c.x.Length, len(c.x.TrailerNames) > 0); err != nil {
		return false, c.unreadable(ctx, err)
	}
	return whole, nil
}

// unreadable is why a body could not be read before the request was sent.
func (c *call) unreadable(ctx context.Context, err error) error {
	switch {
	case ctx.Err() != nil:
		return c.ended(ctx)
	case c.body.over():
		return tooLarge(c.body.seen(), c.limit)
	default:
		return fault.New(fault.BodyInvalid, "The body of the request ended early or was malformed.").WithCause(err)
	}
}

// ahead reads up to so many bytes of the body before any attempt does, as far as there is room to keep them, and says
// whether that is all of it. length is that of the body, -1 if nobody knows.
func (k *kept) ahead(most, length int64, trailers bool) (whole bool, err error) {
	if k.size > 0 {
		return true, k.fill()
	}
	const step = 32 << 10
	for k.end == nil {
		next := min(most-int64(len(k.data)), step)
		if length >= 0 {
			next = min(next, length-int64(len(k.data))+1) // one more, to see its end
		}
		if next <= 0 || !k.reserve(int64(len(k.data))+next) {
			return false, nil
		}
		if have := len(k.data); cap(k.data)-have < int(next) {
			k.data = append(make([]byte, 0, max(2*have, have+int(next))), k.data...)
		}
		n, err := k.from.Read(k.data[len(k.data) : len(k.data)+int(next)])
		k.data = k.data[:len(k.data)+n]
		if k.end = err; err != nil && !errors.Is(err, io.EOF) {
			return false, err
		}
	}
	if length > 0 && !trailers && length == int64(len(k.data)) {
		k.size = length // so that it leaves in one piece
	}
	return true, nil
}
