package main

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"connectrpc.com/connect"

	controlv1 "tollgate/gen/tollgate/control/v1"
	"tollgate/gen/tollgate/control/v1/controlv1connect"
	"tollgate/internal/contract"
	"tollgate/internal/money"
)

// clients are the services of the control plane that the test uses.
type clients struct {
	endpoints controlv1connect.EndpointServiceClient
	keys      controlv1connect.KeyServiceClient
	budgets   controlv1connect.BudgetServiceClient
	usage     controlv1connect.UsageServiceClient
	system    controlv1connect.SystemServiceClient
}

func newClients(server, token string) clients {
	hc := &http.Client{Timeout: 10 * time.Second}
	auth := connect.WithInterceptors(connect.UnaryInterceptorFunc(func(next connect.UnaryFunc) connect.UnaryFunc {
		return func(ctx context.Context, req connect.AnyRequest) (connect.AnyResponse, error) {
			req.Header().Set("Authorization", "Bearer "+token)
			return next(ctx, req)
		}
	}))
	return clients{
		endpoints: controlv1connect.NewEndpointServiceClient(hc, server, auth),
		keys:      controlv1connect.NewKeyServiceClient(hc, server, auth),
		budgets:   controlv1connect.NewBudgetServiceClient(hc, server, auth),
		usage:     controlv1connect.NewUsageServiceClient(hc, server, auth),
		system:    controlv1connect.NewSystemServiceClient(hc, server, auth),
	}
}

// createEndpoint makes the one endpoint that all scenarios call. All of the caller's headers go
// along, so that a key which was not removed would reach the vendor.
func (s *stack) createEndpoint(ctx context.Context, target string) error {
	_, err := s.endpoints.CreateEndpoint(ctx, &controlv1.CreateEndpointRequest{Endpoint: &controlv1.Endpoint{
		Name: "load", Path: "/load", Match: controlv1.MatchKind_MATCH_KIND_PREFIX,
		Targets:        []*controlv1.Target{{Url: target}},
		ForwardHeaders: controlv1.ForwardHeaders_FORWARD_HEADERS_ALL,
		Price: &controlv1.Price{Kind: &controlv1.Price_Fixed_{Fixed: &controlv1.Price_Fixed{
			PerRequest: contract.MoneyToProto(price),
		}}},
	}})
	if err != nil {
		return fmt.Errorf("create the endpoint: %w", err)
	}
	return nil
}

// key is what a scenario calls with.
type key struct{ id, secret string }

// createKey makes a key and the budget that limits it.
func (s *stack) createKey(ctx context.Context, sc scenario) (key, error) {
	made, err := s.keys.CreateKey(ctx, &controlv1.CreateKeyRequest{Name: sc.name})
	if err != nil {
		return key{}, fmt.Errorf("create the key: %w", err)
	}
	period := controlv1.Period_PERIOD_MONTH
	if sc.requests > 0 {
		period = controlv1.Period_PERIOD_TOTAL // one that no midnight fills again
	}
	_, err = s.budgets.CreateBudget(ctx, &controlv1.CreateBudgetRequest{Budget: &controlv1.Budget{
		Name: sc.name, Scope: &controlv1.Budget_Key{Key: sc.name},
		Amount: contract.MoneyToProto(sc.budget()), Period: period,
	}})
	if err != nil {
		return key{}, fmt.Errorf("create the budget: %w", err)
	}
	return key{made.GetKey().GetId(), made.GetSecret()}, nil
}

const (
	liveTimeout = 30 * time.Second
	pollEvery   = 100 * time.Millisecond
)

// bookedTimeout is a variable for a test in which it runs out.
var bookedTimeout = 20 * time.Second

// poll asks until the answer is yes; no answer in time is a no, and no error.
func poll(ctx context.Context, within time.Duration, ask func(context.Context) (bool, error)) (bool, error) {
	timeout := time.NewTimer(within)
	defer timeout.Stop()
	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	for {
		if yes, err := ask(ctx); yes || err != nil {
			return yes, err
		}
		select {
		case <-ctx.Done():
			return false, context.Cause(ctx)
		case <-timeout.C:
			return false, nil
		case <-tick.C:
		}
	}
}

// awaitLive returns once every edge serves the newest revision.
func (s *stack) awaitLive(ctx context.Context) error {
	live := 0
	ok, err := poll(ctx, liveTimeout, func(ctx context.Context) (bool, error) {
		resp, err := s.system.ListNodes(ctx, &controlv1.ListNodesRequest{})
		if err != nil {
			return false, fmt.Errorf("list the edges: %w", err)
		}
		live = 0
		for _, n := range resp.GetNodes() {
			if n.GetRevision() == resp.GetRevision() {
				live++
			}
		}
		return live == s.edges, nil
	})
	if err == nil && !ok {
		err = fmt.Errorf("%d of %d edges serve the newest revision after %s", live, s.edges, liveTimeout)
	}
	return err
}

// booked is what the ledger has of a key.
type booked struct {
	requests int64
	cost     money.Nanos
	whole    bool // no edge has events left that the ledger has not confirmed
}

// awaitBooked waits until the ledger has booked what the vendor counted, or up to spare requests more, and the spools are empty, and
// returns what it has then. It may be less or more than it should: that is for the report to say.
func (s *stack) awaitBooked(ctx context.Context, keyIDs []string, vendor, spare int64) (booked, error) {
	var b booked
	_, err := poll(ctx, bookedTimeout, func(ctx context.Context) (bool, error) {
		nodes, err := s.system.ListNodes(ctx, &controlv1.ListNodesRequest{})
		if err != nil {
			return false, fmt.Errorf("list the edges: %w", err)
		}
		b = booked{whole: true}
		for _, id := range keyIDs {
			usage, err := s.usage.QueryUsage(ctx, &controlv1.QueryUsageRequest{Key: id})
			if err != nil {
				return false, fmt.Errorf("ask the ledger: %w", err)
			}
			cost, err := contract.MoneyFromProto(usage.GetTotal().GetCost())
			if err != nil {
				return false, fmt.Errorf("the ledger's total: %w", err)
			}
			b.requests, b.cost = b.requests+usage.GetTotal().GetRequests(), b.cost+cost
		}
		for _, n := range nodes.GetNodes() {
			b.whole = b.whole && n.GetSpoolEvents() == 0
		}
		return b.whole && b.cost >= money.Nanos(vendor)*price && b.cost <= money.Nanos(vendor+spare)*price, nil
	})
	return b, err
}
