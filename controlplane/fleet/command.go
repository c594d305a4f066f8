package fleet

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"google.golang.org/protobuf/proto"

	eventv1 "tollgate/gen/tollgate/event/v1"
	"tollgate/internal/contract"
	"tollgate/internal/fault"
)

// obeyFor is how long an edge may take to do something. A probe of a target may take it five seconds.
const obeyFor = 7 * time.Second

// Command has an edge do something. The error is a fault, also where the edge could not.
func (f *Fleet) Command(ctx context.Context, edge string, cmd *eventv1.EdgeCommand) (*eventv1.EdgeReply, error) {
	if !contract.ValidEdgeName(edge) {
		return nil, noEdge(edge)
	}
	data, err := proto.Marshal(cmd)
	if err != nil {
		return nil, fmt.Errorf("command an edge: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, obeyFor)
	defer cancel()
	msg, err := f.bus.NATS().RequestWithContext(ctx, contract.EdgeCommand(edge), data)
	switch {
	case errors.Is(err, nats.ErrNoResponders):
		return nil, noEdge(edge)
	case err != nil:
		return nil, fault.New(fault.UnavailableErr, "The edge %s has not answered within %s.", edge, obeyFor).WithCause(err).
			WithHint("Check with `tollgate nodes` that it is live, and that NATS can be reached.")
	}
	var reply eventv1.EdgeReply
	if err := proto.Unmarshal(msg.Data, &reply); err != nil {
		return nil, fmt.Errorf("answer of an edge: %w", err)
	}
	if text := reply.GetError(); text != "" {
		return nil, fault.New(fault.UnavailableErr, "The edge %s cannot do that: %s", edge, text)
	}
	return &reply, nil
}

// Connected says whether edges can be reached at all.
func (f *Fleet) Connected() bool { return f.bus.Connected() }
