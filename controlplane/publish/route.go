package publish

import (
	"tollgate/controlplane/registry"
	controlv1 "tollgate/gen/tollgate/control/v1"
	eventv1 "tollgate/gen/tollgate/event/v1"
)

// route is an endpoint as edges serve it. What has its default value is left out, so that an endpoint
// that uses nothing new looks to older edges as it always did.
func route(e *registry.Endpoint) *eventv1.RouteEndpoint {
	out := &eventv1.RouteEndpoint{
		Id: e.ID, Name: e.Name, Path: e.Path, Exact: e.Exact, Methods: e.Methods, Public: e.Public != nil,
		Forward: eventv1.ForwardMode(e.Forward), PassHeaders: e.PassHeaders, KeyHeader: e.KeyHeader,
		Headers: routeHeaders(e.Headers), Query: routeQuery(e.Query), HostText: e.Host.Text,
		Balance: balance(e.Balance), CredentialBalance: balance(e.CredentialBalance),
		PriceVersion: e.PriceVersion, Abandoned: eventv1.AbandonedPolicy(e.Abandoned),
		TimeoutMs: e.Timeout.Milliseconds(), ConnectTimeoutMs: e.Timeouts.Connect.Milliseconds(),
		IdleTimeoutMs: e.Timeouts.Idle.Milliseconds(), TotalTimeoutMs: e.Timeouts.Total.Milliseconds(),
		MaxBodyBytes: e.MaxBodyBytes, ForwardTraceContext: e.ForwardTraceContext,
		Disabled: e.Disabled,
	}
	switch e.Host.Kind {
	case registry.HostCaller:
		out.HostPolicy = eventv1.HostPolicy_HOST_POLICY_CALLER
	case registry.HostText:
		out.HostPolicy = eventv1.HostPolicy_HOST_POLICY_TEXT
	default:
	}
	for i := range e.Targets {
		out.Targets = append(out.Targets, e.Targets[i].URL) // for older edges
		out.RouteTargets = append(out.RouteTargets, routeTarget(&e.Targets[i]))
	}
	for _, c := range e.Credentials {
		out.Credentials = append(out.Credentials, &eventv1.RouteCredential{
			Name: c.Name, Headers: routeHeaders(c.Headers), Query: routeQuery(c.Query), Weight: c.Weight, Priority: c.Priority,
		})
	}
	price(out, &e.Price)
	out.AwsSigning = signing(e.AWS)
	resilience(out, &e.Resilience)
	out.Models = models(e.Models)
	return out
}

func routeTarget(t *registry.Target) *eventv1.RouteTarget {
	out := &eventv1.RouteTarget{Url: t.URL, Weight: t.Weight, Priority: t.Priority, Http: eventv1.TargetHttp(t.HTTP)}
	if s := t.TLS; s != nil {
		out.CaPem, out.ClientCertPem, out.ClientKey, out.ServerName = s.CAPEM, s.ClientCertPEM, s.ClientKey, s.ServerName
		out.SkipVerify, out.MinTls = s.SkipVerify, 12
		if s.MinVersion == registry.TLS13 {
			out.MinTls = 13
		}
	}
	return out
}

func routeHeaders(headers []registry.Header) (out []*eventv1.RouteHeader) {
	for _, h := range headers {
		out = append(out, &eventv1.RouteHeader{Name: h.Name, Value: h.Value, Mode: mode(h.Mode, registry.ModeSet)})
	}
	return out
}

func routeQuery(query []registry.Query) (out []*eventv1.RouteQuery) {
	for _, q := range query {
		out = append(out, &eventv1.RouteQuery{Name: q.Name, Value: q.Value, Mode: mode(q.Mode, registry.ModeDefault)})
	}
	return out
}

func mode(m, unspecified registry.Mode) eventv1.RouteMode {
	if m == unspecified {
		return eventv1.RouteMode_ROUTE_MODE_UNSPECIFIED
	}
	return eventv1.RouteMode(m)
}

func balance(b registry.Balance) eventv1.BalancePolicy {
	if b == registry.BalanceFailover {
		return eventv1.BalancePolicy_BALANCE_POLICY_UNSPECIFIED
	}
	return eventv1.BalancePolicy(b)
}

func resilience(out *eventv1.RouteEndpoint, r *registry.Resilience) {
	out.Retry, out.Hedge, out.Breaker, out.Outlier = retrying(r.Retry), hedge(r.Hedge), breaker(r.Breaker), outlier(r.Outlier)
	if h := r.Health; h != nil {
		out.Health = &eventv1.HealthPolicy{
			Path: h.Path, IntervalMs: h.Interval.Milliseconds(), TimeoutMs: h.Timeout.Milliseconds(), Statuses: h.Statuses,
			UnhealthyAfter: h.UnhealthyAfter, HealthyAfter: h.HealthyAfter,
		}
	}
}

func retrying(r *registry.Retry) *eventv1.RetryPolicy {
	if r == nil {
		return nil
	}
	return &eventv1.RetryPolicy{
		Attempts: r.Attempts, Statuses: r.Statuses, AnyMethod: r.AnyMethod,
		MaxBodyBytes: r.MaxBodyBytes, BudgetPercent: r.BudgetPercent, BackoffMs: r.Backoff.Milliseconds(),
	}
}

func hedge(h *registry.Hedge) *eventv1.HedgePolicy {
	if h == nil {
		return nil
	}
	return &eventv1.HedgePolicy{AfterMs: h.After.Milliseconds(), AnyMethod: h.AnyMethod}
}

func breaker(b *registry.Breaker) *eventv1.BreakerPolicy {
	if b == nil {
		return nil
	}
	return &eventv1.BreakerPolicy{
		MinAttempts: b.MinAttempts, FailPercent: b.FailPercent, WindowMs: b.Window.Milliseconds(), OpenMs: b.OpenFor.Milliseconds(),
	}
}

func outlier(o *registry.Outlier) *eventv1.OutlierPolicy {
	if o == nil {
		return nil
	}
	return &eventv1.OutlierPolicy{Failures: o.Failures, EjectMs: o.EjectFor.Milliseconds(), MaxPercent: o.MaxPercent}
}

// price gives edges a price as it is stored: they make of it what it means, as whoever tried it did.
func price(out *eventv1.RouteEndpoint, p *registry.Price) {
	out.PriceNanos, out.Free, out.Usage = int64(p.PerRequest), p.Free, usage(p.Usage)
	charge := p.Charge
	if p.Metered != nil {
		out.Metered = p.Metered.Message
	}
	if r := p.Reported; r != nil {
		out.Reported = &eventv1.ReportedPrice{Header: r.Header, CeilingNanos: int64(r.Ceiling), FallbackNanos: int64(r.Fallback)}
		charge = r.Charge
	}
	if charge != nil {
		out.Charge = charge.Message
	}
}

func signing(s *registry.AWSSigning) *controlv1.AwsSigning {
	if s == nil {
		return nil
	}
	return &controlv1.AwsSigning{
		Service: s.Service, Region: s.Region, AccessKeyId: s.AccessKeyID, SecretAccessKey: s.SecretAccessKey,
		SessionToken: s.SessionToken, RoleArn: s.RoleARN, ExternalId: s.ExternalID, StsUrl: s.STSURL,
	}
}

func usage(u *registry.Usage) *eventv1.UsagePrice {
	if u == nil {
		return nil
	}
	out := &eventv1.UsagePrice{
		BaseNanos: int64(u.PerRequest), HoldNanos: int64(u.Hold), Ceiling: u.Ceiling, FallbackNanos: int64(u.Fallback),
	}
	for _, r := range u.Rates {
		out.Rates = append(out.Rates, &eventv1.UsageRate{
			Unit: eventv1.UsageUnit(r.Unit), Header: r.Header, NanosPerMillion: int64(r.PerMillion),
		})
	}
	return out
}
