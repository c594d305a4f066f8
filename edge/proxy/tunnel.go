package proxy

import (
	"context"
	"errors"
	"io"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	eventv1 "tollgate/gen/tollgate/event/v1"
)

// tunnel is a connection between a caller and a target that have switched to another protocol. Bytes go
// both ways as they come; each side may stop sending while it still reads.
type tunnel struct {
	t              *try
	caller, target Conn
	idle           time.Duration // longest silence of both; 0 for no limit
	silence        silence
	answered       atomic.Bool // the target has said all that it had to say

	mu      sync.Mutex // guards what follows
	failed  bool
	outcome eventv1.SpendOutcome // of a tunnel that was broken off
	unpaid  error                // why it was cut
}

// tunnel answers 101 and carries what both sides send until they are done.
func (t *try) tunnel(ctx context.Context) {
	c := t.c
	c.shared = true // by what carries either way
	headers := c.ourHeaders(fromTarget(c.lines, t.answer.Headers))
	c.begun, c.status = true, http.StatusSwitchingProtocols
	caller, err := c.x.Out.Switch(headers)
	if err != nil {
		t.end.outcome = untaken(ctx)
		c.x.Out.Abort()
		return
	}
	n := &tunnel{t: t, caller: caller, target: t.answer.Conn, idle: c.idle()}
	t.end.outcome = n.carry(ctx)
	t.whole = t.end.outcome == eventv1.SpendOutcome_SPEND_OUTCOME_OK
	if n.unpaid != nil {
		t.cut(n.unpaid)
	}
}

// carry copies both ways and says how it ended. When it returns, both connections are closed.
func (n *tunnel) carry(ctx context.Context) eventv1.SpendOutcome {
	if n.idle > 0 {
		n.silence = silenceOf(n.idle, func() { n.breakOff(eventv1.SpendOutcome_SPEND_OUTCOME_INTERRUPTED, nil) })
	}
	defer n.silence.stop()
	defer context.AfterFunc(ctx, func() { n.breakOff(untaken(ctx), nil) })()
	var up sync.WaitGroup
	// A bug in the way down must not leave the way up behind, which would go on with what is over then.
	defer up.Wait()
	defer n.close()
	up.Go(func() {
		defer func() {
			if v := recover(); v != nil {
				n.t.c.logPanic(ctx, v)
				n.breakOff(eventv1.SpendOutcome_SPEND_OUTCOME_INTERRUPTED, nil)
			}
		}()
		n.up(ctx)
	})
	n.down(ctx)
	up.Wait()
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.failed {
		return n.outcome
	}
	return eventv1.SpendOutcome_SPEND_OUTCOME_OK
}

// up carries what the caller sends.
func (n *tunnel) up(ctx context.Context) {
	m := &n.t.meter
	counted := m.reading != nil || m.usage != nil && m.usage.RequestBytes.Counted
	pay := func(p []byte) ([]byte, error) {
		if !counted {
			return p, nil
		}
		if err := n.t.payForBody(ctx, p); err != nil {
			return nil, err
		}
		return p, nil
	}
	switch err := n.pump(ctx, n.target, n.caller, pay); {
	case err == nil:
	case errors.Is(err, errWrite) && n.answered.Load():
		n.close() // the target is done with it, and what the caller still says goes nowhere
	case errors.Is(err, errWrite):
		n.breakOff(eventv1.SpendOutcome_SPEND_OUTCOME_INTERRUPTED, nil)
	default:
		n.breakOff(eventv1.SpendOutcome_SPEND_OUTCOME_CALLER_GONE, nil)
	}
}

// down carries what the target sends.
func (n *tunnel) down(ctx context.Context) {
	pay := func(p []byte) ([]byte, error) { return n.t.afford(ctx, p) }
	switch err := n.pump(ctx, n.caller, n.target, pay); {
	case err == nil:
		n.answered.Store(true)
	case errors.Is(err, errWrite):
		n.breakOff(eventv1.SpendOutcome_SPEND_OUTCOME_CALLER_GONE, nil)
	default:
		n.breakOff(eventv1.SpendOutcome_SPEND_OUTCOME_INTERRUPTED, nil)
	}
}

var errWrite = errors.New("it takes no more")

// pump copies one way until the end, and passes that on.
func (n *tunnel) pump(ctx context.Context, to, from Conn, pay func(p []byte) ([]byte, error)) error {
	in := bufferFor(-1)
	defer func() { in.leave() }()
	for {
		k, err := from.Read(*in.buf)
		if k > 0 {
			n.silence.again()
			piece, unpaid := pay((*in.buf)[:k])
			if len(piece) > 0 {
				if _, err := to.Write(piece); err != nil {
					return errWrite
				}
				n.silence.again()
			}
			if unpaid != nil {
				outcome := eventv1.SpendOutcome_SPEND_OUTCOME_CUT
				if ctx.Err() != nil {
					outcome, unpaid = untaken(ctx), nil
				}
				n.breakOff(outcome, unpaid)
				return nil
			}
		}
		switch {
		case err == nil:
			in.after(k)
		case errors.Is(err, io.EOF):
			_ = to.CloseWrite() // a side that is gone need not be told
			return nil
		default:
			return err
		}
	}
}

// breakOff ends the tunnel before its time. The first reason counts.
func (n *tunnel) breakOff(outcome eventv1.SpendOutcome, unpaid error) {
	n.mu.Lock()
	if !n.failed {
		n.failed, n.outcome, n.unpaid = true, outcome, unpaid
	}
	n.mu.Unlock()
	n.close()
}

// close ends both connections. It may be called again.
func (n *tunnel) close() {
	_ = n.caller.Close()
	_ = n.target.Close()
}
