package rpc

import (
	"context"
	"slices"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/proto"

	controlv1 "tollgate/gen/tollgate/control/v1"
)

const (
	fleetAtMost  = 500 * time.Millisecond // between two messages
	fleetLooks   = time.Second            // an edge that falls silent tells nobody
	fleetAtLeast = 10 * time.Second       // between two messages when nothing changes, so that a dead connection is noticed
)

// WatchFleet sends the whole fleet when it has changed. A database that is away meanwhile does not end it: edges go on.
func (s *edgeService) WatchFleet(ctx context.Context, _ *controlv1.WatchFleetRequest, stream *connect.ServerStream[controlv1.WatchFleetResponse]) error {
	var told []*controlv1.Node
	var toldRevision int64
	var sent time.Time
	for {
		changed := s.fleet.Changed() // before it is looked at, so that nothing falls in between
		all, newest, err := s.nodes(ctx)
		if err != nil && sent.IsZero() {
			return err
		}
		if err == nil {
			now := &controlv1.WatchFleetResponse{Revision: newest.Revision, Time: timeTo(time.Now())}
			for _, n := range all {
				now.Nodes = append(now.Nodes, nodeTo(n))
			}
			if newest.Revision != toldRevision || time.Since(sent) >= fleetAtLeast || !slices.EqualFunc(told, now.GetNodes(), sameNode) {
				if err := sendWithin(ctx, func() error { return stream.Send(now) }); err != nil {
					return err
				}
				told, toldRevision, sent = now.GetNodes(), newest.Revision, time.Now()
			}
		}
		if !s.wait(ctx, nil, fleetAtMost) || !s.wait(ctx, changed, fleetLooks-fleetAtMost) {
			return nil
		}
	}
}

// sameNode says whether nothing about an edge has changed but that it was heard once more.
func sameNode(a, b *controlv1.Node) bool {
	if a.GetLastSeenTime().AsTime().Equal(b.GetLastSeenTime().AsTime()) {
		return proto.Equal(a, b)
	}
	c := proto.CloneOf(a)
	c.LastSeenTime, c.SpoolAgeMs = b.GetLastSeenTime(), b.GetSpoolAgeMs()
	return proto.Equal(c, b)
}

// wait waits for a channel or a while. It says whether there is a reason to go on: neither has the caller left, nor does the
// process stop.
func (s *edgeService) wait(ctx context.Context, changed <-chan struct{}, most time.Duration) bool {
	t := time.NewTimer(most)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-s.stopping:
		return false
	case <-changed:
	case <-t.C:
	}
	return true
}
