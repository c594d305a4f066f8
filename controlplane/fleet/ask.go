package fleet

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"google.golang.org/protobuf/proto"

	controlv1 "tollgate/gen/tollgate/control/v1"
	eventv1 "tollgate/gen/tollgate/event/v1"
	"tollgate/internal/contract"
	"tollgate/internal/fault"
)

// askFor is how long an edge may take to answer. It holds money for the request it explains, which may
// take it a round trip to the ledger.
const askFor = 5 * time.Second

// Explain asks an edge what it would do with a request: the one that is named, or any for an empty name.
func (f *Fleet) Explain(ctx context.Context, edge string, call *eventv1.ExplainCall) (*controlv1.Explanation, error) {
	if edge != "" && !contract.ValidEdgeName(edge) {
		return nil, noEdge(edge)
	}
	data, err := proto.Marshal(call)
	if err != nil {
		return nil, fmt.Errorf("ask an edge: %w", err)
	}
	ask := nats.NewMsg(contract.Explain(edge))
	if ask.Data = data; f.sealing != nil {
		if ask.Data, err = f.sealing.Seal(data, contract.SealedQuestion); err != nil {
			return nil, fmt.Errorf("ask an edge: %w", err)
		}
		ask.Header.Set(contract.SealedHeader, contract.SealedQuestion)
	}
	ctx, cancel := context.WithTimeout(ctx, askFor)
	defer cancel()
	msg, err := f.bus.NATS().RequestMsgWithContext(ctx, ask)
	switch {
	case errors.Is(err, nats.ErrNoResponders):
		return nil, noEdge(edge)
	case err != nil:
		return nil, fault.New(fault.UnavailableErr, "No edge has answered within %s.", askFor).WithCause(err).
			WithHint("Check with `tollgate nodes` that an edge is live, and that NATS can be reached.")
	}
	var reply eventv1.ExplainReply
	if err := proto.Unmarshal(msg.Data, &reply); err != nil {
		return nil, fmt.Errorf("answer of an edge: %w", err)
	}
	if text := reply.GetError(); text != "" {
		return nil, fault.New(fault.UnavailableErr, "The edge cannot explain the request: %s", text)
	}
	return reply.GetExplanation(), nil
}

func noEdge(name string) error {
	if name == "" {
		return fault.New(fault.UnavailableErr, "No edge is connected that could explain the request.").
			WithHint("Start an edge, or check with `tollgate nodes` why there is none.")
	}
	return fault.New(fault.UnavailableErr, "There is no edge %.63q connected.", name).
		WithHint("List the edges with `tollgate nodes`.")
}
