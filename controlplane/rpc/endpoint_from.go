package rpc

import (
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	"tollgate/controlplane/registry"
	controlv1 "tollgate/gen/tollgate/control/v1"
)

// endpointFrom reads an endpoint from a request. What it cannot read goes into p, and the registry
// judges the rest, so that the caller hears of everything at once.
func endpointFrom(m *controlv1.Endpoint, p *registry.Problems) registry.Endpoint {
	e := registry.Endpoint{
		ID:                  m.GetId(),
		Name:                m.GetName(),
		Path:                m.GetPath(),
		Exact:               m.GetMatch() == controlv1.MatchKind_MATCH_KIND_EXACT,
		Methods:             m.GetMethods(),
		Balance:             registry.Balance(m.GetBalance()),
		Headers:             headersFrom(m.GetHeaders()),
		Query:               queryFrom(m.GetQuery()),
		CredentialBalance:   registry.Balance(m.GetCredentialBalance()),
		Forward:             registry.Forward(m.GetForwardHeaders()),
		PassHeaders:         m.GetPassHeaders(),
		KeyHeader:           m.GetKeyHeader(),
		Abandoned:           registry.Abandoned(m.GetAbandoned()),
		MaxBodyBytes:        m.GetMaxBodyBytes(),
		ForwardTraceContext: m.GetForwardTraceContext(),
		Disabled:            m.GetDisabled(),
		Description:         m.GetDescription(),
	}
	if models := m.GetModels(); models != nil {
		e.Models = &registry.Models{Schemas: schemasFrom(models.GetSchemas()), Adapter: models.GetAdapter(), Default: models.GetDefaultModel()}
		if m.GetPrice() != nil {
			p.Add("price", registry.Forbidden, "An endpoint that serves models has no price: the deployments of the models say what they cost. Leave it out.")
		}
	} else {
		e.Price = priceOf(m.GetPrice(), p)
	}
	if public := m.GetAccess().GetPublic(); public != nil {
		e.Public = &registry.Public{RequestsPerMinute: public.GetRequestsPerMinute(), Burst: public.GetBurst()}
	}
	switch k := m.GetHostHeader().GetKind().(type) {
	case *controlv1.HostHeader_Caller_:
		e.Host.Kind = registry.HostCaller
	case *controlv1.HostHeader_Text:
		e.Host = registry.Host{Kind: registry.HostText, Text: k.Text}
	default:
		e.Host.Kind = registry.HostTarget
	}
	if s := m.GetAwsSigning(); s != nil {
		e.AWS = &registry.AWSSigning{
			Service: s.GetService(), Region: s.GetRegion(), AccessKeyID: s.GetAccessKeyId(), SecretAccessKey: s.GetSecretAccessKey(),
			SessionToken: s.GetSessionToken(), RoleARN: s.GetRoleArn(), ExternalID: s.GetExternalId(), STSURL: s.GetStsUrl(),
		}
	}
	for _, t := range m.GetTargets() {
		e.Targets = append(e.Targets, targetFrom(t))
	}
	for _, c := range m.GetCredentials() {
		e.Credentials = append(e.Credentials, registry.Credential{
			Name: c.GetName(), Headers: headersFrom(c.GetHeaders()), Query: queryFrom(c.GetQuery()),
			Weight: c.GetWeight(), Priority: c.GetPriority(),
		})
	}
	e.Timeout = durationFrom(m.GetTimeout(), "timeout", "The timeout", p)
	e.Timeouts = registry.Timeouts{
		Connect: durationFrom(m.GetTimeouts().GetConnect(), "timeouts.connect", "The time for a connection", p),
		Idle:    durationFrom(m.GetTimeouts().GetIdle(), "timeouts.idle", "The longest silence", p),
		Total:   durationFrom(m.GetTimeouts().GetTotal(), "timeouts.total", "The time for everything", p),
	}
	e.Resilience = resilienceFrom(m, p)
	if h := m.GetHealthCheck(); h != nil {
		e.Health = &registry.Health{
			Path:     h.GetPath(),
			Interval: durationFrom(h.GetInterval(), "health_check.interval", "The time between two checks", p),
			Timeout:  durationFrom(h.GetTimeout(), "health_check.timeout", "The time for an answer", p),
			Statuses: h.GetStatuses(), UnhealthyAfter: h.GetUnhealthyAfter(), HealthyAfter: h.GetHealthyAfter(),
		}
	}
	return e
}

func headersFrom(all []*controlv1.Header) (out []registry.Header) {
	for _, h := range all {
		out = append(out, registry.Header{Name: h.GetName(), Value: h.GetValue(), Mode: registry.Mode(h.GetMode())})
	}
	return out
}

func queryFrom(all []*controlv1.QueryParameter) (out []registry.Query) {
	for _, q := range all {
		out = append(out, registry.Query{Name: q.GetName(), Value: q.GetValue(), Mode: registry.Mode(q.GetMode())})
	}
	return out
}

func targetFrom(m *controlv1.Target) registry.Target {
	t := registry.Target{
		URL: m.GetUrl(), Weight: m.GetWeight(), Priority: m.GetPriority(), HTTP: registry.HTTPVersion(m.GetHttpVersion()),
	}
	if s := m.GetTls(); s != nil {
		t.TLS = &registry.TLS{
			CAPEM: s.GetCaPem(), ClientCertPEM: s.GetClientCertPem(), ClientKey: s.GetClientKey(),
			ServerName: s.GetServerName(), MinVersion: registry.TLSVersion(s.GetMinVersion()), SkipVerify: s.GetSkipVerify(),
		}
	}
	return t
}

// resilienceFrom reads what endpoints and models have alike.
func resilienceFrom(m interface {
	GetRetry() *controlv1.Retry
	GetHedge() *controlv1.Hedge
	GetBreaker() *controlv1.Breaker
	GetOutlierEjection() *controlv1.OutlierEjection
}, p *registry.Problems,
) (r registry.Resilience) {
	if t := m.GetRetry(); t != nil {
		r.Retry = &registry.Retry{
			Attempts: t.GetAttempts(), Statuses: t.GetStatuses(), AnyMethod: t.GetAnyMethod(),
			MaxBodyBytes: t.GetMaxBodyBytes(), BudgetPercent: t.GetBudgetPercent(),
			Backoff: durationFrom(t.GetBackoff(), "retry.backoff", "The wait before a retry", p),
		}
	}
	if h := m.GetHedge(); h != nil {
		r.Hedge = &registry.Hedge{After: durationFrom(h.GetAfter(), "hedge.after", "The wait before a second attempt", p), AnyMethod: h.GetAnyMethod()}
	}
	if b := m.GetBreaker(); b != nil {
		r.Breaker = &registry.Breaker{
			MinAttempts: b.GetMinAttempts(), FailPercent: b.GetFailPercent(),
			Window:  durationFrom(b.GetWindow(), "breaker.window", "The time for which attempts count", p),
			OpenFor: durationFrom(b.GetOpenFor(), "breaker.open_for", "The time for which it is open", p),
		}
	}
	if o := m.GetOutlierEjection(); o != nil {
		r.Outlier = &registry.Outlier{
			Failures: o.GetFailures(), MaxPercent: o.GetMaxPercent(),
			EjectFor: durationFrom(o.GetEjectFor(), "outlier_ejection.eject_for", "The time for which a target is ejected", p),
		}
	}
	return r
}

// durationFrom is 0 for one that is not set, which stands for a default.
func durationFrom(d *durationpb.Duration, field, what string, p *registry.Problems) time.Duration {
	if d == nil {
		return 0
	}
	if err := d.CheckValid(); err != nil {
		p.Add(field, registry.Malformed, "%s is not a valid duration.", what)
	}
	if d.AsDuration() == 0 {
		p.Add(field, registry.Range, "%s is 0: leave it out for the default.", what)
	}
	return d.AsDuration()
}
