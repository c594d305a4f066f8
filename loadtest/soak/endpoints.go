package main

import (
	"fmt"
	"math/rand/v2"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	controlv1 "tollgate/gen/tollgate/control/v1"
	"tollgate/internal/contract"
	"tollgate/internal/money"
)

// endpoint is a new configuration of a kind, of which only the path and the price are always the same.
// Each is one with which every request is served.
func (c *changes) endpoint(name string) *controlv1.Endpoint {
	kind := kindOf("/" + name)
	e := &controlv1.Endpoint{
		Name: name, Path: "/" + name, Match: controlv1.MatchKind_MATCH_KIND_PREFIX,
		Price:   priceOf(kind),
		Balance: controlv1.Balance(1 + rand.IntN(3)),
		ForwardHeaders: []controlv1.ForwardHeaders{
			controlv1.ForwardHeaders_FORWARD_HEADERS_SAFE_LIST, controlv1.ForwardHeaders_FORWARD_HEADERS_ALL,
		}[rand.IntN(2)],
		Timeouts: &controlv1.Timeouts{
			Connect: durationpb.New(5 * time.Second), Idle: durationpb.New(time.Minute),
			Total: durationpb.New(time.Duration(2+rand.IntN(3)) * time.Minute),
		},
	}
	if kind == "silent" {
		e.Timeouts.Idle, e.Timeouts.Total = durationpb.New(24*time.Hour), nil
	}
	c.targets(e, kind)
	c.headers(e, kind)
	resilience(e, kind)
	return e
}

func priceOf(kind string) *controlv1.Price {
	if kind != "metered" {
		return &controlv1.Price{Kind: &controlv1.Price_Fixed_{Fixed: &controlv1.Price_Fixed{
			PerRequest: contract.MoneyToProto(prices[kind]), Charge: &controlv1.Charge{Methods: []string{"GET", "HEAD", "POST", "PUT"}},
		}}}
	}
	const million = 1_000_000
	return &controlv1.Price{Kind: &controlv1.Price_Usage_{Usage: &controlv1.Price_Usage{
		PerRequest: contract.MoneyToProto(prices[kind]), Hold: contract.MoneyToProto(1000 * unitPrice),
		Bound: controlv1.Price_BOUND_ESTIMATE,
		Rates: []*controlv1.Price_Rate{{
			Unit: controlv1.Price_UNIT_RESPONSE_HEADER, Header: "X-Units", PerMillion: contract.MoneyToProto(money.Nanos(million) * unitPrice),
		}},
	}}}
}

// targets chooses some of the vendor's addresses, in any order.
func (c *changes) targets(e *controlv1.Endpoint, kind string) {
	order := rand.Perm(len(c.vendors.urls))
	n := 1 + rand.IntN(len(order))
	if kind == "hedge" {
		n = max(n, 2)
	}
	version := controlv1.HttpVersion(rand.IntN(3))
	switch kind {
	case "grpc":
		version = controlv1.HttpVersion_HTTP_VERSION_2
	case "socket", "silent":
		version = controlv1.HttpVersion_HTTP_VERSION_1_1
	}
	for _, i := range order[:n] {
		t := &controlv1.Target{Url: c.vendors.urls[i] + "/" + e.GetName(), HttpVersion: version}
		if e.GetBalance() != controlv1.Balance_BALANCE_FAILOVER {
			t.Weight = 1 + rand.Uint32N(9)
		}
		e.Targets = append(e.Targets, t)
	}
}

// headers chooses how the credential is sent, and what else is.
func (c *changes) headers(e *controlv1.Endpoint, kind string) {
	credential := func(secret string) []*controlv1.Header {
		return []*controlv1.Header{{Name: credentialHeader, Value: "${secret:" + secret + "}"}}
	}
	// The vendor's 429 makes a credential rest, and all of them in the end.
	if kind != "errors" && kind != "retry" && rand.IntN(2) == 0 {
		e.CredentialBalance = controlv1.Balance(1 + rand.IntN(3))
		for i, secret := range secrets {
			e.Credentials = append(e.Credentials, &controlv1.Credential{Name: fmt.Sprintf("c%d", i+1), Headers: credential(secret)})
		}
	} else {
		e.Headers = credential(secrets[rand.IntN(len(secrets))])
	}
	switch mode := controlv1.Mode(rand.IntN(4)); mode {
	case controlv1.Mode_MODE_REMOVE:
		e.Headers = append(e.Headers, &controlv1.Header{Name: "X-Extra", Mode: mode})
	default:
		e.Headers = append(e.Headers, &controlv1.Header{Name: "X-Extra", Value: fmt.Sprint(rand.Int()), Mode: mode})
	}
	if rand.IntN(2) == 0 {
		e.Query = append(e.Query, &controlv1.QueryParameter{Name: "extra", Value: "a b&c", Mode: controlv1.Mode(rand.IntN(3))})
	}
}

// resilience chooses what happens when targets fail, in ways that only failing targets would notice.
func resilience(e *controlv1.Endpoint, kind string) {
	const never = 100_000 // more attempts than end within the window
	switch {
	case kind == "retry":
		e.Retry = &controlv1.Retry{Attempts: 3, AnyMethod: true, BudgetPercent: 100, Backoff: durationpb.New(10 * time.Millisecond)}
	case kind != "errors" && rand.IntN(2) == 0:
		e.Retry = &controlv1.Retry{Attempts: 1 + rand.Uint32N(3), AnyMethod: rand.IntN(2) == 0, MaxBodyBytes: 1 << rand.IntN(23)}
	}
	switch {
	case kind == "retry" || kind == "errors":
		e.Breaker = &controlv1.Breaker{MinAttempts: never}
	case rand.IntN(2) == 0:
		e.Breaker = &controlv1.Breaker{MinAttempts: 1 + rand.Uint32N(50), FailPercent: 50, Window: durationpb.New(5 * time.Second)}
	}
	if kind == "hedge" {
		e.Hedge = &controlv1.Hedge{After: durationpb.New(time.Duration(20+rand.IntN(200)) * time.Millisecond)}
	}
	if len(e.GetTargets()) > 1 && rand.IntN(2) == 0 {
		e.OutlierEjection = &controlv1.OutlierEjection{Failures: 1 + rand.Uint32N(10), EjectFor: durationpb.New(time.Second)}
	}
	if rand.IntN(2) == 0 {
		e.HealthCheck = &controlv1.HealthCheck{Path: "/healthz", Interval: durationpb.New(time.Duration(1+rand.IntN(3)) * time.Second)}
	}
}
