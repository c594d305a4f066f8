package client

import (
	"context"
	"errors"
	"iter"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/proto"

	controlv1 "tollgate/gen/tollgate/control/v1"
)

// Tail follows requests as they end, until ctx ends. When the connection breaks it is made again, and goes on after the last message:
// one whose Gap is set may have requests missing before it. A message without requests says that nothing happened. The sequence
// ends with an error: that of ctx, or one that trying again cannot mend.
func (c *Client) Tail(ctx context.Context, req *controlv1.TailRequestsRequest) iter.Seq2[*controlv1.TailRequestsResponse, error] {
	req = proto.CloneOf(req)
	if req == nil {
		req = &controlv1.TailRequestsRequest{}
	}
	return follow(ctx, c, func(ctx context.Context) (*connect.ServerStreamForClient[controlv1.TailRequestsResponse], error) {
		return c.Requests.TailRequests(ctx, req)
	}, func(m *controlv1.TailRequestsResponse) {
		if token := m.GetResumeToken(); token != "" {
			req.ResumeToken, req.Since = token, nil
		}
	})
}

// Changes follows what changes in the configuration, until ctx ends, as Tail follows requests. Where the next message's Reset is
// set, what changed cannot be told one by one, because that is too long ago or the database was restored: everything that
// the program remembers has to be read again.
func (c *Client) Changes(ctx context.Context, req *controlv1.WatchChangesRequest) iter.Seq2[*controlv1.WatchChangesResponse, error] {
	req = proto.CloneOf(req)
	if req == nil {
		req = &controlv1.WatchChangesRequest{}
	}
	epoch := int64(0)
	return follow(ctx, c, func(ctx context.Context) (*connect.ServerStreamForClient[controlv1.WatchChangesResponse], error) {
		return c.System.WatchChanges(ctx, req)
	}, func(m *controlv1.WatchChangesResponse) {
		if epoch != 0 && m.GetEpoch() != epoch { // revisions of another history say nothing about this one
			m.Reset_ = true
		}
		epoch, req.AfterRevision = m.GetEpoch(), m.GetRevision()
	})
}

// Fleet follows the edges, until ctx ends: all of them at once, and again whenever something about them changes.
func (c *Client) Fleet(ctx context.Context) iter.Seq2[*controlv1.WatchFleetResponse, error] {
	return follow(ctx, c, func(ctx context.Context) (*connect.ServerStreamForClient[controlv1.WatchFleetResponse], error) {
		return c.Edges.WatchFleet(ctx, &controlv1.WatchFleetRequest{})
	}, func(*controlv1.WatchFleetResponse) {})
}

// follow opens a stream again and again. What was received is noted before it is handed on, so the next stream begins after it.
// A first connection is tried as often as any call; once there was one, the server is waited for.
func follow[M any](ctx context.Context, c *Client, open func(context.Context) (*connect.ServerStreamForClient[M], error), note func(*M)) iter.Seq2[*M, error] {
	return func(yield func(*M, error) bool) {
		heard := false
		for try := 1; ; try++ {
			received, more, err := once(ctx, c.quiet, open, func(m *M) bool {
				note(m)
				return yield(m, nil)
			})
			if !more {
				return
			}
			if received {
				heard, try = true, 1
			}
			switch {
			case ctx.Err() != nil:
				err = context.Cause(ctx)
			case err != nil && !passing(err), err != nil && !heard && try >= c.retry.Attempts:
			default:
				if pause(ctx, c.retry.after(min(try, 16), err)) == nil {
					continue
				}
				err = context.Cause(ctx)
			}
			yield(nil, err)
			return
		}
	}
}

var errQuiet = errors.New("the stream went quiet")

// once follows one stream to its end: whether anything came, whether more is wanted, and why it ended. A connection that has said
// nothing for too long is dead, whatever the network believes.
func once[M any](parent context.Context, quiet time.Duration, open func(context.Context) (*connect.ServerStreamForClient[M], error), take func(*M) bool) (received, more bool, err error) {
	ctx, cancel := context.WithCancelCause(parent)
	defer cancel(nil)
	watch := time.AfterFunc(quiet, func() { cancel(errQuiet) })
	defer watch.Stop()
	s, err := open(ctx)
	if err == nil {
		for s.Receive() {
			received = true
			watch.Stop() // the program may take its time
			if !take(s.Msg()) {
				cancel(nil)
				_ = s.Close() // nobody listens
				return received, false, nil
			}
			watch.Reset(quiet)
		}
		err = s.Err()
		_ = s.Close() // the reason is known
	}
	if errors.Is(context.Cause(ctx), errQuiet) && parent.Err() == nil {
		err = &Error{Code: Unavailable, Message: "The server said nothing for too long.", cause: errQuiet}
	}
	return received, true, describe(err)
}
