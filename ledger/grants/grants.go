// Package grants answers edges that ask for money, tokens and permits. Requests for money that arrive
// together share a transaction, and nobody is answered before it is committed: a grant that was told is
// durable. Tokens and permits need no transaction. It also speaks to edges unasked: recalls of unspent
// money and permits, marks of booked events, changes of limits.
//
// What is lost on the way only delays: edges ask again, and every amount is a total.
package grants

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"google.golang.org/protobuf/proto"

	eventv1 "tollgate/gen/tollgate/event/v1"
	"tollgate/internal/contract"
	"tollgate/internal/fault"
	"tollgate/ledger/escrow"
	"tollgate/ledger/store"
)

const (
	// maxLines is how many lines share a transaction. They gather by themselves while the one before
	// commits; a request that comes alone waits for nobody.
	maxLines = 500
	// maxWaiting is how many requests may wait. An edge whose request is dropped asks again.
	maxWaiting = 4096
)

// Leader decides lines durably. store.Leader is one.
type Leader interface {
	Part() uint32
	Epoch() int64
	History() int64
	Lease(ctx context.Context, lines []escrow.Line, m *escrow.Memory) (escrow.Outcome, error)
	// Marks says how far the incarnations are booked, and whether an edge knew of more than the database.
	Marks(ctx context.Context, edge string, states []*eventv1.SpoolState) (marks []store.Mark, restored bool, err error)
}

// Accounts says of which windows money may be granted.
type Accounts interface {
	Grantable(w contract.Window, now time.Time) bool
}

// Counter counts what became of requests. A nil one is not allowed; Uncounted counts nothing.
type Counter interface {
	Leased(lines int, out escrow.Outcome)
}

// Uncounted counts nothing.
type Uncounted struct{}

// Leased is part of Counter.
func (Uncounted) Leased(int, escrow.Outcome) {}

// ErrRestored ends the term of a leader whose database turned out to have gone back.
var ErrRestored = errors.New("the database is older than what edges have seen of it")

// Deps are what a Server works with.
type Deps struct {
	Leader   Leader
	Accounts Accounts
	Limits   *Limiter // nil for none
	Push     *Push
	NATS     *nats.Conn
	// Hold keeps new money back for a while after the database was restored; nil for never.
	Hold  *Hold
	Count Counter
	Log   *slog.Logger
}

// Server answers the requests of one partition during one term of its leader.
type Server struct {
	Deps
	memory *escrow.Memory
	askers askers
	queue  chan request
	ready  chan struct{} // closed once requests are taken
	ended  chan struct{} // closed once none is answered any more
}

// New makes a server for a leader.
func New(d Deps) *Server {
	if d.Count == nil {
		d.Count = Uncounted{}
	}
	return &Server{
		Deps: d, memory: escrow.NewMemory(), askers: newAskers(), queue: make(chan request, maxWaiting),
		ready: make(chan struct{}), ended: make(chan struct{}),
	}
}

// Run answers, once, until ctx ends or the leadership is lost. A transaction that has begun is finished and
// answered first.
func (s *Server) Run(ctx context.Context) error {
	defer close(s.ended)
	msgs := make(chan *nats.Msg, maxWaiting)
	sub, err := s.NATS.ChanSubscribe(contract.Lease(s.Leader.Part()), msgs)
	if err != nil {
		return fmt.Errorf("answer lease requests: %w", err)
	}
	defer func() { _ = sub.Unsubscribe() }() // fails only on a connection that is closed
	ctx, cancel := context.WithCancel(ctx)
	var reader sync.WaitGroup
	reader.Go(func() { s.read(ctx, msgs) })
	defer reader.Wait()
	defer cancel()
	close(s.ready)
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case first := <-s.queue:
			if err := s.decide(ctx, s.collect(first)); err != nil {
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

// read takes what comes over NATS.
func (s *Server) read(ctx context.Context, msgs <-chan *nats.Msg) {
	for {
		select {
		case <-ctx.Done():
			return
		case m := <-msgs:
			answer := func(p *eventv1.LeaseReply) {
				data, err := proto.Marshal(p)
				if err == nil {
					err = m.Respond(data)
				}
				if err != nil {
					s.Log.Debug("lease reply not sent", "err", err) // the edge asks again
				}
			}
			var p eventv1.LeaseRequest
			if err := proto.Unmarshal(m.Data, &p); err != nil {
				s.refuse(0, fmt.Errorf("decode lease request: %w", err), answer)
				continue
			}
			s.accept(&p, answer)
		}
	}
}

// Lease answers a request that came by another way than NATS.
func (s *Server) Lease(ctx context.Context, p *eventv1.LeaseRequest) (*eventv1.LeaseReply, error) {
	got := make(chan *eventv1.LeaseReply, 1)
	s.accept(p, func(r *eventv1.LeaseReply) { got <- r })
	select {
	case r := <-got:
		return r, nil
	case <-s.ended:
		return nil, fault.New(fault.UnavailableErr, "This ledger does not lead the partition any more.")
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (s *Server) refuse(inc int64, err error, answer func(*eventv1.LeaseReply)) {
	s.Log.Error("lease request refused", "inc", inc, "err", err)
	answer(&eventv1.LeaseReply{Inc: inc, Error: err.Error()})
}

// accept answers what needs no transaction and queues the rest. Answer is called once or not at all.
func (s *Server) accept(p *eventv1.LeaseRequest, answer func(*eventv1.LeaseReply)) {
	lines, err := Lines(p, s.Leader.Part())
	if err != nil {
		s.refuse(p.GetInc(), err, answer)
		return
	}
	now := time.Now()
	reply := &eventv1.LeaseReply{Inc: p.GetInc(), LeaderEpoch: s.Leader.Epoch(), LedgerUnixMs: now.UnixMilli()}
	recalls, err := s.Limits.answer(now, p, reply)
	s.Push.RecallPermits(recalls)
	if len(lines)+len(p.GetSpools()) > 0 {
		select {
		case s.queue <- request{p.GetInc(), p.GetEdge(), lines, p.GetSpools(), reply, answer}:
		default: // it asks again
		}
		return
	}
	if err != nil {
		s.Log.Warn("no tokens and permits are given", "part", s.Leader.Part(), "err", err)
		reply.Error = err.Error()
	}
	answer(reply)
}

// collect takes what has arrived.
func (s *Server) collect(first request) []request {
	all := []request{first}
	for lines := len(first.lines); lines < maxLines; {
		select {
		case r := <-s.queue:
			all = append(all, r)
			lines += len(r.lines)
		default:
			return all
		}
	}
	return all
}

// decide runs one transaction and answers. A leader that was replaced stays silent, because another
// one answers.
func (s *Server) decide(ctx context.Context, all []request) error {
	// First, because money that a restored database seems to have may have been granted before.
	for _, r := range all {
		if err := s.mark(ctx, r); err != nil {
			return err
		}
	}
	lines, hold := s.prepare(all)
	var out escrow.Outcome
	var err error
	if len(lines) > 0 {
		out, err = s.Leader.Lease(ctx, lines, s.memory)
	}
	switch {
	case errors.Is(err, store.ErrLost) || ctx.Err() != nil && err != nil:
		return err
	case err != nil && len(all) > 1:
		// One of them may be what the database does not take. The others must not suffer.
		for _, r := range all {
			r.spools = nil // told
			if err := s.decide(ctx, []request{r}); err != nil {
				return err
			}
		}
		return nil
	case err != nil:
		s.Log.ErrorContext(ctx, "lease request failed", "edge", all[0].edge, "inc", all[0].inc, "err", err)
		all[0].answer(&eventv1.LeaseReply{Inc: all[0].inc, Error: "nothing was done: see the ledger's log"})
		return nil
	}
	answers := out.Answers
	for _, r := range all {
		finish(r, answers[:len(r.lines)], hold)
		r.answer(r.reply)
		answers = answers[len(r.lines):]
	}
	s.follow(ctx, len(lines), out)
	return nil
}

// prepare gathers the lines and what deciding them takes.
func (s *Server) prepare(all []request) (lines []escrow.Line, hold bool) {
	now := time.Now()
	for _, r := range all {
		s.Hold.heard(now, r)
	}
	hold = s.Hold.holds(now)
	for _, r := range all {
		for i := range r.lines {
			q := &r.lines[i]
			q.Grantable = s.Accounts.Grantable(q.Window, now)
			q.Hold = hold
			q.Active = s.askers.count(q.Window, q.Inc, now)
		}
		lines = append(lines, r.lines...)
	}
	return lines, hold
}

// mark tells an edge how far its spools are booked. One that has seen more than is booked has seen a
// database that was ahead of this one.
func (s *Server) mark(ctx context.Context, r request) error {
	if len(r.spools) == 0 {
		return nil
	}
	marks, restored, err := s.Leader.Marks(ctx, r.edge, r.spools)
	switch {
	case errors.Is(err, store.ErrLost):
		return err
	case err != nil:
		s.Log.WarnContext(ctx, "marks were not read", "edge", r.edge, "err", err) // the edge asks again
		return nil
	case restored:
		return fmt.Errorf("%w: edge %s", ErrRestored, r.edge)
	}
	for _, m := range marks {
		r.reply.Marks = append(r.reply.Marks, s.Push.mark(m))
	}
	return nil
}

// follow tells whom an outcome concerns.
func (s *Server) follow(ctx context.Context, lines int, out escrow.Outcome) {
	if lines == 0 {
		return
	}
	s.Count.Leased(lines, out)
	for _, h := range out.Healed {
		s.Log.WarnContext(ctx, "an edge knew of a grant that the database had lost", "account", h.Window.Account, "inc", h.Inc, "nanos", int64(h.Nanos))
	}
	for _, r := range s.Push.Recall(out.Recalls) {
		s.memory.Recalled(r)
	}
	s.memory.Told(out)
	s.Push.Changed(out.Freed)
}
