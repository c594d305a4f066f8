// Package sight answers edges that see a customer for the first time: the customer is created, with the budget that the settings have
// for new ones, and the edge is told so. Any control plane may answer, and answering twice changes nothing. It holds no rule: which
// customers are created, and with what, the store decides under the lock of the configuration.
package sight

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/nats-io/nats.go"
	"google.golang.org/protobuf/proto"

	"tollgate/controlplane/store"
	eventv1 "tollgate/gen/tollgate/event/v1"
	"tollgate/internal/bus"
	"tollgate/internal/contract"
)

const (
	// queue is what control planes take the questions from.
	queue = "controlplane"
	// answerWithin is longer than an edge waits, so that what it asked for is there when it asks again.
	answerWithin = 5 * time.Second
	// atOnce is how many questions are answered at a time. Creating customers is one after the other in any case; who is there
	// already need not wait for that.
	atOnce = 8
)

// Sight answers. Make it with New and run it with Run.
type Sight struct {
	store *store.Store
	bus   *bus.Conn
	log   *slog.Logger
}

// New makes a Sight; the store and the connection stay their owner's.
func New(st *store.Store, conn *bus.Conn, log *slog.Logger) *Sight { return &Sight{st, conn, log} }

// Run answers until ctx ends.
func (s *Sight) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	questions, ended := make(chan *nats.Msg), make(chan struct{})
	for range atOnce {
		go func() {
			defer func() { ended <- struct{}{} }()
			for {
				select {
				case msg := <-questions:
					s.answer(ctx, msg)
				case <-ctx.Done():
					return
				}
			}
		}()
	}
	end, err := s.bus.Subscribe(contract.CustomerSeen, queue, func(msg *nats.Msg) {
		select {
		case questions <- msg:
		case <-ctx.Done():
		}
	})
	if err == nil {
		<-ctx.Done()
		if wrong := end(); wrong != nil {
			s.log.DebugContext(ctx, "subscription did not end in order", "err", wrong)
		}
	}
	cancel()
	for range atOnce {
		<-ended
	}
	return err
}

func (s *Sight) answer(ctx context.Context, msg *nats.Msg) {
	ctx, cancel := context.WithTimeout(ctx, answerWithin)
	defer cancel()
	var reply eventv1.CustomerKnown
	var seen eventv1.CustomerSeen
	if err := proto.Unmarshal(msg.Data, &seen); err != nil {
		s.log.ErrorContext(ctx, "what an edge tells of a customer cannot be read", "err", err)
		reply.Error = "it cannot read the question, which is of another version."
	} else {
		ctx := store.WithOrigin(ctx, store.Origin{Via: "system"})
		revision, known, err := s.store.SeeCustomer(ctx, "edge "+seen.GetEdge(), seen.GetCustomer())
		switch {
		case err != nil:
			s.log.WarnContext(ctx, "customer that an edge has seen is not created", "edge", seen.GetEdge(), "err", err)
			reply.Error = "the customer could not be created."
		case !known:
			reply.Error = "customers are not created on first sight."
		default:
			reply.Revision = revision
		}
	}
	data, err := proto.Marshal(&reply)
	if err == nil {
		err = msg.Respond(data)
	}
	if err != nil && !errors.Is(err, nats.ErrConnectionClosed) {
		s.log.WarnContext(ctx, "edge not answered", "err", err)
	}
}
