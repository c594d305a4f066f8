package fastlane

import (
	"context"
	"errors"
	"sync"
	"time"

	"tollgate/edge/proxy"
	"tollgate/edge/proxy/nethttp"
)

// errand is a connection that is made on a goroutine of its own. Connecting takes a deep stack, and nothing else before an answer does:
// the caller's goroutine, which may wait for that for long, keeps a small one.
type errand struct {
	trip trip            // a copy: the caller's own costs no memory while connections are kept
	ctx  context.Context //nolint:containedctx // of the attempt
	done chan struct{}

	made *targetConn
	err  error
	bug  any
}

var errands = sync.Pool{New: func() any { return &errand{done: make(chan struct{}, 1)} }}

// apart makes a connection on a goroutine of its own, and waits for it.
func (r *trip) apart(ctx context.Context) (*targetConn, error) {
	e := errands.Get().(*errand) //nolint:forcetypeassert // the pool holds nothing else
	e.trip, e.ctx = *r, ctx
	go e.run()
	<-e.done
	made, err, bug := e.made, e.err, e.bug
	r.newer = e.trip.newer
	*e = errand{done: e.done}
	errands.Put(e)
	if bug != nil {
		panic(bug) // it costs the one request, as if it had happened here
	}
	return made, err
}

func (e *errand) run() {
	defer func() {
		e.bug = recover()
		e.done <- struct{}{}
	}()
	e.made, e.err = e.trip.dial(e.ctx)
}

// dial makes a connection.
func (r *trip) dial(ctx context.Context) (*targetConn, error) {
	var until time.Time
	if r.a.HeaderTimeout > 0 {
		until = time.Now().Add(r.a.HeaderTimeout - time.Duration(moment()-r.began))
	}
	made, err := r.target.direct.Dial(tied{ctx}, until)
	if errors.Is(err, nethttp.ErrHTTP2) {
		r.newer = made
		return nil, errNewer
	}
	if err == nil {
		var c *targetConn
		if c, err = newTargetConn(r.target, made); err == nil {
			return c, nil
		}
		_ = made.Close() // nothing was sent
	}
	e := &proxy.AttemptError{Sent: r.sent, Whole: r.sent, Err: err}
	late := !until.IsZero() && !time.Now().Before(until)
	switch {
	case ctx.Err() != nil:
		e.Failure, e.Text = proxy.FailCanceled, "the exchange ended"
	case late && r.conns == 0:
		e.Failure, e.Text = proxy.FailConnect, "it timed out"
	case late:
		e.Failure, e.Text = proxy.FailTimeout, r.a.HeaderTimeout.String()
	default:
		if e.Failure, e.Text = nethttp.Unconnected(err); e.Failure == 0 {
			e.Failure, e.Text = proxy.FailConnect, "the connection failed"
		}
	}
	return nil, e
}

// tied is the context of an attempt while its connection is made. What is derived from it is told of the end as the attempt itself is
// later, and not registered with what ends: the memory for that would be kept for as long as the exchange lasts.
type tied struct{ context.Context }

// Value finds nothing, so that package context asks AfterFunc.
func (tied) Value(any) any { return nil }

// AfterFunc is what package context derives with.
func (t tied) AfterFunc(f func()) (stop func() bool) {
	e := &notice{tell: f}
	e.binding.bind(t.Context, e)
	return e.stop
}

// notice tells what was derived from a tied context of its end.
type notice struct {
	tell func()

	mu      sync.Mutex // guards what follows
	binding binding
}

// interrupted may come while something is still being derived, which must not wait for itself.
func (e *notice) interrupted() { go e.tell() }

// stop may be called again, and by several.
func (e *notice) stop() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.binding.release()
}
