package edge

import (
	"context"
	"errors"

	"github.com/nats-io/nats.go"
	"google.golang.org/protobuf/proto"

	eventv1 "tollgate/gen/tollgate/event/v1"
	"tollgate/internal/contract"
)

// explainers is the queue in which edges take the questions that any of them may answer.
const explainers = "explain"

// explain answers what this edge would do with requests, as long as NATS is there to ask. One question is
// answered at a time: they are people's.
func (n *Node) explain(ctx context.Context) error {
	var ends []func() error
	defer func() {
		for _, end := range ends {
			if err := end(); err != nil {
				n.log.Debug("subscription did not end in order", "err", err)
			}
		}
	}()
	for _, name := range []string{"", n.cfg.Name} {
		end, err := n.conn.Subscribe(contract.Explain(name), explainers, func(msg *nats.Msg) { n.answer(ctx, msg) })
		if err != nil {
			return err
		}
		ends = append(ends, end)
	}
	<-ctx.Done()
	return nil
}

func (n *Node) answer(ctx context.Context, msg *nats.Msg) {
	var reply eventv1.ExplainReply
	var call eventv1.ExplainCall
	data, err := msg.Data, error(nil)
	if msg.Header.Get(contract.SealedHeader) != "" { // control planes of before send questions as they are
		data, err = n.sealing.Open(msg.Data, contract.SealedQuestion)
	}
	if err == nil {
		err = proto.Unmarshal(data, &call)
	}
	if err != nil {
		n.log.Error("question cannot be read", "subject", msg.Subject, "err", err)
		reply.Error = "it cannot read the question, which is of another version."
	} else {
		reply.Explanation = n.gateway.Explain(ctx, &call)
		reply.Explanation.Edge = n.cfg.Name
	}
	if data, err = proto.Marshal(&reply); err == nil {
		err = msg.Respond(data)
	}
	if err != nil && !errors.Is(err, nats.ErrConnectionClosed) {
		n.log.Warn("question not answered", "err", err)
	}
}
