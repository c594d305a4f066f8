package proxy

import (
	"context"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"tollgate/edge/admit"
	eventv1 "tollgate/gen/tollgate/event/v1"
	"tollgate/internal/money"
)

// bank is a ledger with one edge and one limit for each account.
type bank struct{ limit int64 }

func (b *bank) Lease(_ context.Context, _ uint32, lines []*eventv1.LeaseLine) ([]*eventv1.GrantLine, error) {
	var out []*eventv1.GrantLine
	for _, l := range lines {
		g := &eventv1.GrantLine{Window: l.GetWindow(), State: eventv1.LeaseState_LEASE_STATE_GRANTED, Limit: b.limit, LimitVersion: 1}
		wanted := max(l.GetGrantedSeen(), l.GetUsed()+l.GetReturned()+max(l.GetNeed(), l.GetWant()))
		g.GrantedTotal = min(wanted, b.limit+l.GetReturned())
		if g.GetGrantedTotal() < l.GetUsed()+l.GetReturned()+l.GetNeed() {
			g.State = eventv1.LeaseState_LEASE_STATE_EXHAUSTED
		}
		out = append(out, g)
	}
	return out, nil
}

// booked are the budgets of an edge.
type booked struct{ *admit.Book }

func (b booked) Hold(ctx context.Context, into *admit.Hold, accounts []*admit.Account, amount money.Nanos) (Hold, error) {
	return into, b.Book.Hold(ctx, into, accounts, amount)
}

// Guarantee: requests that come to cost more than was held for them at first never overspend a budget
// together: they hold more while there is any, and are cut off then; and the budget can be spent nearly
// to its end.
func TestMeteredRequestsShareABudget(t *testing.T) {
	t.Parallel()
	const limit = 20_000
	log := slog.New(slog.DiscardHandler)
	book := admit.NewBook(admit.Config{Wait: time.Second, Ahead: 1}, &bank{limit: limit}, log)
	ctx, stop := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() { _ = book.Run(ctx) })
	defer running.Wait()
	defer stop()

	price := &eventv1.UsagePrice{HoldNanos: 50, Rates: []*eventv1.UsageRate{rate(responseBytes, 1_000_000)}}
	s := newStages(t, &eventv1.RouteEndpoint{Usage: price}, &script{})
	s.gateway.d.Budgets = booked{book}
	s.gateway.d.Upstream = upstreamFunc(func(ctx context.Context, a *Attempt) (*Answer, error) {
		to := &script{status: 200, length: -1}
		for range 30 {
			to.pieces = append(to.pieces, strings.Repeat("x", 30))
		}
		return to.RoundTrip(ctx, a)
	})
	var callers sync.WaitGroup
	for range 8 {
		callers.Go(func() {
			for range 6 {
				out := &got{}
				s.gateway.Serve(context.Background(), &Exchange{Method: "GET", Target: "/x", Out: out, Headers: []Header{{"Authorization", s.key}}})
				if whole := out.body.Len() == 900; out.status == 200 && whole == out.aborted {
					t.Errorf("%d bytes, aborted %v", out.body.Len(), out.aborted)
				}
			}
		})
	}
	callers.Wait()
	s.spool.mu.Lock()
	defer s.spool.mu.Unlock()
	var spent money.Nanos
	outcomes := map[eventv1.SpendOutcome]int{}
	for _, ends := range s.spool.ends {
		spent += ends[0].Cost
		outcomes[ends[0].Outcome]++
	}
	if len(s.spool.ends) != len(s.spool.intents) || spent > limit || spent < limit-100 || outcomes[outcomeCut] == 0 || outcomes[outcomeOK] == 0 {
		t.Errorf("%s of %d was spent, %v", spent, limit, outcomes)
	}
}
