package main

import (
	"context"
	"fmt"
	"time"

	controlv1 "tollgate/gen/tollgate/control/v1"
	"tollgate/internal/contract"
	"tollgate/internal/money"
)

const (
	bookWithin = time.Minute
	askEvery   = 20 * time.Millisecond
)

// books is what callers have sent through the edges of a stack, and so what its ledger must have.
type books struct {
	stack *stack
	sent  sent
	owed  money.Nanos
}

// settled counts what was sent and returns when the ledger has booked it, to the nano-dollar.
func (b *books) settled(ctx context.Context, r sent) error {
	b.sent.requests += r.requests
	priced := r.requests - r.left
	if r.messages > 0 { // they cost something, and not the requests that opened the way for them
		priced = 0
	}
	b.owed += money.Nanos(priced)*requestPrice + money.Nanos(r.messages)*messagePrice + money.Nanos(r.left)*unknownPrice
	var requests int64
	var cost money.Nanos
	for deadline := time.Now().Add(bookWithin); time.Now().Before(deadline); {
		usage, err := b.stack.rpc.usage.QueryUsage(ctx, &controlv1.QueryUsageRequest{})
		if err != nil {
			return fmt.Errorf("ask the ledger: %w", err)
		}
		requests = usage.GetTotal().GetRequests()
		if cost, err = contract.MoneyFromProto(usage.GetTotal().GetCost()); err != nil {
			return fmt.Errorf("the ledger's total: %w", err)
		}
		if requests == b.sent.requests && cost == b.owed {
			return nil
		}
		time.Sleep(askEvery)
	}
	return fmt.Errorf("callers sent %d requests for $%s, and the ledger has booked %d for $%s", b.sent.requests, b.owed, requests, cost)
}

// awaitLive returns once every edge serves the newest revision.
func (s *stack) awaitLive(ctx context.Context) error {
	for deadline := time.Now().Add(bookWithin); time.Now().Before(deadline); time.Sleep(askEvery) {
		resp, err := s.rpc.system.ListNodes(ctx, &controlv1.ListNodesRequest{})
		if err != nil {
			return fmt.Errorf("list the edges: %w", err)
		}
		live := 0
		for _, n := range resp.GetNodes() {
			if n.GetRevision() == resp.GetRevision() {
				live++
			}
		}
		if live == len(s.edges) {
			return nil
		}
	}
	return fmt.Errorf("the edges did not take over the configuration within %s", bookWithin)
}
