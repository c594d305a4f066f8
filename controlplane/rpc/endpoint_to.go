package rpc

import (
	"time"

	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"tollgate/controlplane/registry"
	controlv1 "tollgate/gen/tollgate/control/v1"
)

// endpointTo is an endpoint as it is answered with: what was left out is filled in, and what an operator
// should know of it is said.
func endpointTo(e *registry.Endpoint) *controlv1.Endpoint {
	m := &controlv1.Endpoint{
		Id:                  e.ID,
		Name:                e.Name,
		Path:                e.Path,
		Match:               controlv1.MatchKind_MATCH_KIND_PREFIX,
		Methods:             e.Methods,
		Access:              &controlv1.Access{Kind: &controlv1.Access_Keys_{Keys: &controlv1.Access_Keys{}}},
		Balance:             controlv1.Balance(e.Balance),
		Headers:             headersTo(e.Headers),
		Query:               queryTo(e.Query),
		HostHeader:          hostTo(e.Host),
		CredentialBalance:   controlv1.Balance(e.CredentialBalance),
		ForwardHeaders:      controlv1.ForwardHeaders(e.Forward),
		PassHeaders:         e.PassHeaders,
		KeyHeader:           e.KeyHeader,
		Timeout:             durationpb.New(e.Timeout),
		MaxBodyBytes:        e.MaxBodyBytes,
		ForwardTraceContext: e.ForwardTraceContext,
		Etag:                e.ETag(),
		Revision:            e.Revision,
		CreateTime:          timestamppb.New(e.Created),
		UpdateTime:          timestamppb.New(e.Updated),
		Abandoned:           controlv1.Abandoned(e.Abandoned),
		Disabled:            e.Disabled,
		Description:         e.Description,
		ManagedBy:           e.ManagedBy,
	}
	if e.Exact {
		m.Match = controlv1.MatchKind_MATCH_KIND_EXACT
	}
	if o := e.Models; o != nil {
		m.Models = &controlv1.Models{Schemas: schemasTo(o.Schemas), Adapter: o.Adapter, DefaultModel: o.Default}
	} else {
		m.Price = priceTo(&e.Price)
	}
	if e.Public != nil {
		m.Access.Kind = &controlv1.Access_Public_{Public: &controlv1.Access_Public{
			RequestsPerMinute: e.Public.RequestsPerMinute, Burst: e.Public.Burst,
		}}
	}
	if s := e.AWS; s != nil {
		m.AwsSigning = &controlv1.AwsSigning{
			Service: s.Service, Region: s.Region, AccessKeyId: s.AccessKeyID, SecretAccessKey: s.SecretAccessKey,
			SessionToken: s.SessionToken, RoleArn: s.RoleARN, ExternalId: s.ExternalID, StsUrl: s.STSURL,
		}
	}
	for i := range e.Targets {
		m.Targets = append(m.Targets, targetTo(&e.Targets[i]))
	}
	for _, c := range e.Credentials {
		m.Credentials = append(m.Credentials, &controlv1.Credential{
			Name: c.Name, Headers: headersTo(c.Headers), Query: queryTo(c.Query), Weight: c.Weight, Priority: c.Priority,
		})
	}
	if e.Timeouts != (registry.Timeouts{}) {
		m.Timeouts = &controlv1.Timeouts{
			Connect: durationTo(e.Timeouts.Connect), Idle: durationTo(e.Timeouts.Idle), Total: durationTo(e.Timeouts.Total),
		}
	}
	m.Retry, m.Hedge, m.Breaker, m.OutlierEjection = retryTo(e.Retry), hedgeTo(e.Hedge), breakerTo(e.Breaker), outlierTo(e.Outlier)
	if h := e.Health; h != nil {
		m.HealthCheck = &controlv1.HealthCheck{
			Path: h.Path, Interval: durationTo(h.Interval), Timeout: durationTo(h.Timeout), Statuses: h.Statuses,
			UnhealthyAfter: h.UnhealthyAfter, HealthyAfter: h.HealthyAfter,
		}
	}
	m.Warnings = warningsTo(e.Warnings())
	return m
}

func warningsTo(all []registry.Warning) (out []*controlv1.Warning) {
	for _, w := range all {
		out = append(out, &controlv1.Warning{Field: w.Field, Code: w.Code, Text: w.Text})
	}
	return out
}

func headersTo(all []registry.Header) (out []*controlv1.Header) {
	for _, h := range all {
		out = append(out, &controlv1.Header{Name: h.Name, Value: h.Value, Mode: controlv1.Mode(h.Mode)})
	}
	return out
}

func queryTo(all []registry.Query) (out []*controlv1.QueryParameter) {
	for _, q := range all {
		out = append(out, &controlv1.QueryParameter{Name: q.Name, Value: q.Value, Mode: controlv1.Mode(q.Mode)})
	}
	return out
}

func hostTo(h registry.Host) *controlv1.HostHeader {
	switch h.Kind {
	case registry.HostCaller:
		return &controlv1.HostHeader{Kind: &controlv1.HostHeader_Caller_{Caller: &controlv1.HostHeader_Caller{}}}
	case registry.HostText:
		return &controlv1.HostHeader{Kind: &controlv1.HostHeader_Text{Text: h.Text}}
	default:
		return &controlv1.HostHeader{Kind: &controlv1.HostHeader_Target_{Target: &controlv1.HostHeader_Target{}}}
	}
}

func targetTo(t *registry.Target) *controlv1.Target {
	m := &controlv1.Target{Url: t.URL, Weight: t.Weight, Priority: t.Priority, HttpVersion: controlv1.HttpVersion(t.HTTP)}
	if s := t.TLS; s != nil {
		m.Tls = &controlv1.TargetTLS{
			CaPem: s.CAPEM, ClientCertPem: s.ClientCertPEM, ClientKey: s.ClientKey,
			ServerName: s.ServerName, MinVersion: controlv1.TlsVersion(s.MinVersion), SkipVerify: s.SkipVerify,
		}
	}
	return m
}

func retryTo(r *registry.Retry) *controlv1.Retry {
	if r == nil {
		return nil
	}
	return &controlv1.Retry{
		Attempts: r.Attempts, Statuses: r.Statuses, AnyMethod: r.AnyMethod,
		MaxBodyBytes: r.MaxBodyBytes, BudgetPercent: r.BudgetPercent, Backoff: durationTo(r.Backoff),
	}
}

func hedgeTo(h *registry.Hedge) *controlv1.Hedge {
	if h == nil {
		return nil
	}
	return &controlv1.Hedge{After: durationTo(h.After), AnyMethod: h.AnyMethod}
}

func breakerTo(b *registry.Breaker) *controlv1.Breaker {
	if b == nil {
		return nil
	}
	return &controlv1.Breaker{
		MinAttempts: b.MinAttempts, FailPercent: b.FailPercent, Window: durationTo(b.Window), OpenFor: durationTo(b.OpenFor),
	}
}

func outlierTo(o *registry.Outlier) *controlv1.OutlierEjection {
	if o == nil {
		return nil
	}
	return &controlv1.OutlierEjection{Failures: o.Failures, EjectFor: durationTo(o.EjectFor), MaxPercent: o.MaxPercent}
}

// durationTo is not set for one that stands for a default.
func durationTo(d time.Duration) *durationpb.Duration {
	if d == 0 {
		return nil
	}
	return durationpb.New(d)
}
