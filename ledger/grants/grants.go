// Package grants answers edges that ask for money. Requests that arrive together share a transaction,
// and nobody is answered before it is committed: a grant that was told is durable. It also speaks to
// edges unasked: recalls of unspent money, marks of booked events, changes of limits.
//
// What is lost on the way only delays: edges ask again, and every amount is a total.
package grants

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/nats-io/nats.go"
	"google.golang.org/protobuf/proto"

	eventv1 "tollgate/gen/tollgate/event/v1"
	"tollgate/internal/contract"
	"tollgate/ledger/escrow"
	"tollgate/ledger/store"
)

const (
	// maxLines is how many lines share a transaction, and gather how long the first of them waits
	// for others at most. Under load they gather by themselves while the one before commits.
	maxLines = 500
	gather   = 500 * time.Microsecond
	// maxWaiting is how many requests may wait. An edge whose request is dropped asks again.
	maxWaiting = 4096
	// maxRequest is how many lines a request may have.
	maxRequest = 20_000
)

// Leader decides lines durably. store.Leader is one.
type Leader interface {
	Part() uint32
	Lease(ctx context.Context, lines []escrow.Line, m *escrow.Memory) (escrow.Outcome, error)
}

// Accounts says of which windows money may be granted.
type Accounts interface {
	Grantable(w contract.Window, now time.Time) bool
}

// Server answers lease requests of one partition.
type Server struct {
	leader   Leader
	accounts Accounts
	push     *Push
	nc       *nats.Conn
	log      *slog.Logger
	memory   *escrow.Memory
	askers   askers
	ready    chan struct{} // closed once requests are taken
}

// New makes a server for a leader.
func New(leader Leader, accounts Accounts, push *Push, nc *nats.Conn, log *slog.Logger) *Server {
	return &Server{leader, accounts, push, nc, log, escrow.NewMemory(), askers{}, make(chan struct{})}
}

// Run answers, once, until ctx ends or the leadership is lost. A transaction that has begun is finished and
// answered first.
func (s *Server) Run(ctx context.Context) error {
	msgs := make(chan *nats.Msg, maxWaiting)
	sub, err := s.nc.ChanSubscribe(contract.Lease(s.leader.Part()), msgs)
	if err != nil {
		return fmt.Errorf("answer lease requests: %w", err)
	}
	defer func() { _ = sub.Unsubscribe() }() // fails only on a connection that is closed
	close(s.ready)
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case first := <-msgs:
			if err := s.decide(ctx, s.collect(first, msgs)); err != nil {
				return err
			}
		}
	}
}

// Ready returns once requests are taken, which they are even before NATS can be reached.
func (s *Server) Ready(ctx context.Context) error {
	select {
	case <-s.ready:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// request is a message with its lines.
type request struct {
	msg   *nats.Msg
	inc   int64
	lines []escrow.Line
}

// collect takes what has arrived, and what does within a moment.
func (s *Server) collect(first *nats.Msg, msgs <-chan *nats.Msg) []request {
	var all []request
	lines := 0
	add := func(m *nats.Msg) {
		r, err := s.read(m)
		if err != nil {
			s.log.Error("lease request refused", "err", err)
			s.respond(m, &eventv1.LeaseReply{Error: err.Error()})
			return
		}
		all = append(all, r)
		lines += len(r.lines)
	}
	add(first)
	timer := time.NewTimer(gather)
	defer timer.Stop()
	for lines < maxLines {
		select {
		case m := <-msgs:
			add(m)
		case <-timer.C:
			return all
		}
	}
	return all
}

var errNone = errors.New("a request needs between one and 20000 lines")

// read decodes a request. It never trusts it: the bytes come from another process.
func (s *Server) read(m *nats.Msg) (request, error) {
	var p eventv1.LeaseRequest
	if err := proto.Unmarshal(m.Data, &p); err != nil {
		return request{}, fmt.Errorf("decode lease request: %w", err)
	}
	r, err := Lines(&p, s.leader.Part())
	if err != nil {
		return request{}, err
	}
	now := time.Now()
	for i := range r {
		q := &r[i]
		q.Grantable = s.accounts.Grantable(q.Window, now)
		q.Active = s.askers.count(q.Window, q.Inc, now)
	}
	return request{m, p.GetInc(), r}, nil
}

// Lines checks a request and takes it apart. Amounts are checked line by line when they are decided.
func Lines(p *eventv1.LeaseRequest, part uint32) ([]escrow.Line, error) {
	switch {
	case p.GetInc() <= 0:
		return nil, fmt.Errorf("incarnation %d is not positive", p.GetInc())
	case !contract.ValidEdgeName(p.GetEdge()):
		return nil, fmt.Errorf("edge name %q is malformed", p.GetEdge())
	case p.GetPart() != part:
		return nil, fmt.Errorf("lines of partition %d were sent to partition %d", p.GetPart(), part)
	case len(p.GetLines()) == 0 || len(p.GetLines()) > maxRequest:
		return nil, errNone
	}
	lines := make([]escrow.Line, len(p.GetLines()))
	for i, l := range p.GetLines() {
		w := contract.WindowOf(l.GetWindow())
		if w.Start < 0 {
			return nil, fmt.Errorf("window of account %d starts at %d", w.Account, w.Start)
		}
		lines[i] = escrow.Line{Window: w, Inc: p.GetInc(), Edge: p.GetEdge(), Ask: ask(l)}
	}
	return lines, nil
}

// decide runs one transaction and answers. A leader that was replaced stays silent, because another
// one answers.
func (s *Server) decide(ctx context.Context, all []request) error {
	if len(all) == 0 {
		return nil
	}
	var lines []escrow.Line
	for _, r := range all {
		lines = append(lines, r.lines...)
	}
	out, err := s.leader.Lease(ctx, lines, s.memory)
	switch {
	case errors.Is(err, store.ErrLost) || ctx.Err() != nil && err != nil:
		return err
	case err != nil && len(all) > 1:
		// One of them may be what the database does not take. The others must not suffer.
		for _, r := range all {
			if err := s.decide(ctx, []request{r}); err != nil {
				return err
			}
		}
		return nil
	case err != nil:
		s.log.ErrorContext(ctx, "lease request failed", "edge", all[0].lines[0].Edge, "inc", all[0].inc, "err", err)
		s.respond(all[0].msg, &eventv1.LeaseReply{Inc: all[0].inc, Error: "nothing was done: see the ledger's log"})
		return nil
	}
	now := time.Now()
	for _, r := range all {
		s.respond(r.msg, reply(r, out.Answers[:len(r.lines)], now))
		out.Answers = out.Answers[len(r.lines):]
	}
	for _, h := range out.Healed {
		s.log.WarnContext(ctx, "an edge knew of a grant that the database had lost", "account", h.Window.Account, "inc", h.Inc, "nanos", int64(h.Nanos))
	}
	for _, r := range s.push.Recall(out.Recalls) {
		s.memory.Recalled(r)
	}
	s.push.Changed(out.Freed)
	return nil
}

func (s *Server) respond(m *nats.Msg, p *eventv1.LeaseReply) {
	data, err := proto.Marshal(p)
	if err == nil {
		err = m.Respond(data)
	}
	if err != nil {
		s.log.Debug("lease reply not sent", "err", err) // the edge asks again
	}
}

// askers are who asked for which window in the last minute: that many share what is free.
type askers map[contract.Window]map[int64]time.Time

const active = time.Minute

// maxAskers bounds the memory. Forgetting makes grants larger for a while, and nothing else.
const maxAskers = 200_000

func (a askers) count(w contract.Window, inc int64, now time.Time) int {
	if len(a) > maxAskers {
		clear(a)
	}
	of := a[w]
	if of == nil {
		of = map[int64]time.Time{}
		a[w] = of
	}
	of[inc] = now
	if len(of) > 1 {
		for i, at := range of {
			if now.Sub(at) > active {
				delete(of, i)
			}
		}
	}
	return len(of)
}
