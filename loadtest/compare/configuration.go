package main

import (
	"context"
	"fmt"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	controlv1 "tollgate/gen/tollgate/control/v1"
	"tollgate/internal/contract"
	"tollgate/internal/money"
	"tollgate/loadtest/compare/vendor"
)

// Endpoints, by the first segment of the path. Other proxies have the first two.
const (
	full   = "full"   // everything on
	secure = "secure" // the same, to the vendor in TLS
	open   = "open"   // without authentication
	fixed  = "fixed"  // at a fixed price, so that nobody reads the answer
)

const (
	team         = "compare"
	budgetAmount = 1_000_000 * money.Dollar // far more than anybody spends
	promptPrice  = 1000 * money.Nanos(1)    // of a token: a dollar a million
	outputPrice  = 3000 * money.Nanos(1)
	messagePrice = 100 * money.Nanos(1) // of a message that comes back over a WebSocket
	unknownPrice = money.Dollar / 100   // of a request whose caller left, so that nobody knows what it used
	// requestPrice is what each request but a WebSocket costs, by meters or not.
	requestPrice = vendor.PromptTokens*promptPrice + vendor.CompletionTokens*outputPrice
)

// configure makes the endpoints, the key and, if asked, the four budgets that limit it.
func (s *stack) configure(ctx context.Context, v vendor.Addresses, ca string, budgets bool) error {
	if _, err := s.rpc.secrets.CreateSecret(ctx, &controlv1.CreateSecretRequest{Name: "vendor", Value: "vendor-secret"}); err != nil {
		return fmt.Errorf("create the secret: %w", err)
	}
	if _, err := s.rpc.teams.CreateTeam(ctx, &controlv1.CreateTeamRequest{Name: team}); err != nil {
		return fmt.Errorf("create the team: %w", err)
	}
	key, err := s.rpc.keys.CreateKey(ctx, &controlv1.CreateKeyRequest{Name: "compare", Team: team})
	if err != nil {
		return fmt.Errorf("create the key: %w", err)
	}
	s.key = key.GetSecret()
	for _, e := range endpoints(v, ca) {
		if _, err := s.rpc.endpoints.CreateEndpoint(ctx, &controlv1.CreateEndpointRequest{Endpoint: e}); err != nil {
			return fmt.Errorf("create endpoint %s: %w", e.GetName(), err)
		}
	}
	if !budgets {
		return nil
	}
	scopes := []*controlv1.Budget{
		{Name: "key", Scope: &controlv1.Budget_Key{Key: "compare"}},
		{Name: "team", Scope: &controlv1.Budget_Team{Team: team}},
		{Name: "everything", Scope: &controlv1.Budget_Everything{Everything: true}},
	}
	for _, e := range []string{full, secure, open, fixed} {
		scopes = append(scopes, &controlv1.Budget{Name: e, Scope: &controlv1.Budget_Endpoint{Endpoint: e}})
	}
	for _, b := range scopes {
		b.Amount, b.Period = contract.MoneyToProto(budgetAmount), controlv1.Period_PERIOD_MONTH
		if _, err := s.rpc.budgets.CreateBudget(ctx, &controlv1.CreateBudgetRequest{Budget: b}); err != nil {
			return fmt.Errorf("create budget %s: %w", b.GetName(), err)
		}
	}
	return nil
}

func endpoints(v vendor.Addresses, ca string) []*controlv1.Endpoint {
	list := []*controlv1.Endpoint{
		{Name: full, Price: metered(), Targets: []*controlv1.Target{{Url: "http://" + v.Plain}}},
		{Name: secure, Price: metered(), Targets: []*controlv1.Target{{
			Url: "https://" + v.TLS, Tls: &controlv1.TargetTLS{CaPem: ca, ServerName: "localhost"}, HttpVersion: controlv1.HttpVersion_HTTP_VERSION_1_1,
		}}},
		{Name: open, Price: metered(), Targets: []*controlv1.Target{{Url: "http://" + v.Plain}}, Access: &controlv1.Access{
			Kind: &controlv1.Access_Public_{Public: &controlv1.Access_Public{RequestsPerMinute: 1_000_000_000, Burst: 1_000_000}},
		}},
		{Name: fixed, Price: &controlv1.Price{Kind: &controlv1.Price_Fixed_{Fixed: &controlv1.Price_Fixed{
			PerRequest: contract.MoneyToProto(requestPrice),
		}}}, Targets: []*controlv1.Target{{Url: "http://" + v.Plain}}},
	}
	for _, e := range list {
		e.Path, e.Match = "/"+e.GetName(), controlv1.MatchKind_MATCH_KIND_PREFIX
		e.Headers = []*controlv1.Header{{Name: "Authorization", Value: "Bearer ${secret:vendor}"}}
		e.Timeouts = &controlv1.Timeouts{Idle: durationpb.New(10 * time.Minute)}
	}
	return list
}

// metered is a price by what the answer says was used, as those of chats are; of a WebSocket, by its messages.
func metered() *controlv1.Price {
	frame := func(path string) []*controlv1.Source {
		return []*controlv1.Source{{Place: &controlv1.Source_Frame{Frame: path}}}
	}
	amount := func(n money.Nanos) string { return n.String() }
	return &controlv1.Price{Kind: &controlv1.Price_Metered{Metered: &controlv1.Metered{
		Meters: []*controlv1.Meter{
			{
				Name: "chat", Model: frame("model"), Match: &controlv1.MeterMatch{Methods: []string{"POST"}},
				Counters: []*controlv1.Counter{
					{Name: "prompt", Sources: frame("usage.prompt_tokens")},
					{Name: "completion", Sources: frame("usage.completion_tokens")},
				},
				Units: []*controlv1.Unit{{Name: "input", Add: []string{"prompt"}}, {Name: "output", Add: []string{"completion"}}},
				Prices: []*controlv1.ModelPrice{{Model: vendor.Model, Rates: []*controlv1.UnitPrice{
					{Unit: "input", Price: amount(promptPrice)}, {Unit: "output", Price: amount(outputPrice)},
				}}},
				Hold: &controlv1.MeterHold{Amount: "0.01"},
			},
			{
				Name: "socket", Match: &controlv1.MeterMatch{Websocket: true},
				Counters: []*controlv1.Counter{{
					Name: "messages", Sources: []*controlv1.Source{{Place: &controlv1.Source_Measure{Measure: "frames"}}}, Default: "0",
				}},
				Units: []*controlv1.Unit{{Name: "messages"}},
				Prices: []*controlv1.ModelPrice{{Model: "*", Rates: []*controlv1.UnitPrice{
					{Unit: "messages", Price: amount(messagePrice)},
				}}},
				Hold: &controlv1.MeterHold{Amount: "0.01"},
			},
		},
		Unmatched: "refuse", Fallback: amount(unknownPrice),
	}}}
}
