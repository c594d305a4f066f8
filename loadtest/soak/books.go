package main

import (
	"context"
	"fmt"
	"maps"
	"strings"
	"time"

	controlv1 "tollgate/gen/tollgate/control/v1"
	"tollgate/internal/contract"
	"tollgate/internal/money"
	"tollgate/loadtest/deployment"
)

// awaitBooks returns when the ledger has what the vendor is owed, kind by kind and as what the team has
// spent of its budget, and no edge has anything left to tell. Otherwise it says what differs.
func (c *changes) awaitBooks(ctx context.Context, v *vendors) error {
	for deadline := time.Now().Add(bookWithin); ; {
		wrong, err := c.books(ctx, v)
		if err != nil || wrong == "" {
			return err
		}
		if time.Now().After(deadline) || !deployment.Pause(ctx, 200*time.Millisecond) {
			return fmt.Errorf("after %s: %s", bookWithin, wrong)
		}
	}
}

// books compares once.
func (c *changes) books(ctx context.Context, v *vendors) (wrong string, err error) {
	usage, err := c.rpc.usage.QueryUsage(ctx, &controlv1.QueryUsageRequest{
		GroupBy: []controlv1.UsageDimension{controlv1.UsageDimension_USAGE_DIMENSION_ENDPOINT},
	})
	if err != nil {
		return "", fmt.Errorf("ask the ledger: %w", err)
	}
	booked := map[string]money.Nanos{}
	c.mu.Lock()
	for _, row := range usage.GetRows() {
		amount, err := contract.MoneyFromProto(row.GetCost())
		if err != nil {
			c.mu.Unlock()
			return "", err
		}
		if amount > 0 {
			booked[c.kinds[row.GetEndpointId()]] += amount
		}
	}
	c.mu.Unlock()
	v.mu.Lock()
	owed := maps.Clone(v.owed)
	v.mu.Unlock()
	var list []string
	var total money.Nanos
	for kind := range prices {
		total += owed[kind]
		if booked[kind] != owed[kind] {
			list = append(list, fmt.Sprintf("for %s the ledger has booked $%s, and the vendor is owed $%s", kind, booked[kind], owed[kind]))
		}
	}
	state, err := c.rpc.budgets.GetBudgetState(ctx, &controlv1.GetBudgetStateRequest{Budget: team})
	if err != nil {
		return "", fmt.Errorf("ask for the budget: %w", err)
	}
	if spent, err := contract.MoneyFromProto(state.GetState().GetSpent()); err != nil || spent != total {
		list = append(list, fmt.Sprintf("$%s of the budget are spent, and the vendor is owed $%s", spent, total))
	}
	nodes, err := c.rpc.system.ListNodes(ctx, &controlv1.ListNodesRequest{})
	if err != nil {
		return "", fmt.Errorf("list the edges: %w", err)
	}
	for _, n := range nodes.GetNodes() {
		if n.GetSpoolEvents() > 0 {
			list = append(list, fmt.Sprintf("%s has %d events that the ledger has not confirmed", n.GetId(), n.GetSpoolEvents()))
		}
	}
	return strings.Join(list, "; "), nil
}
