package edge

import (
	"context"
	"errors"
	"fmt"

	"google.golang.org/protobuf/proto"

	eventv1 "tollgate/gen/tollgate/event/v1"
	"tollgate/internal/contract"
)

// tellOfCustomer has a control plane see to a customer that this edge does not know. It returns when the customer is there.
func (n *Node) tellOfCustomer(ctx context.Context, name string) error {
	data, err := proto.Marshal(&eventv1.CustomerSeen{Customer: name, Edge: n.cfg.Name})
	if err != nil {
		return fmt.Errorf("tell of a customer: %w", err)
	}
	msg, err := n.conn.NATS().RequestWithContext(ctx, contract.CustomerSeen, data)
	if err != nil {
		return fmt.Errorf("tell of a customer: %w", err)
	}
	var known eventv1.CustomerKnown
	if err := proto.Unmarshal(msg.Data, &known); err != nil {
		return fmt.Errorf("answer about a customer: %w", err)
	}
	if text := known.GetError(); text != "" {
		return errors.New("the control plane: " + text)
	}
	return nil
}
