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
		Price:               priceTo(&e.Price),
		Timeout:             durationpb.New(e.Timeout),
		MaxBodyBytes:        e.MaxBodyBytes,
		ForwardTraceContext: e.ForwardTraceContext,
		Etag:                e.ETag(),
		Revision:            e.Revision,
		CreateTime:          timestamppb.New(e.Created),
		UpdateTime:          timestamppb.New(e.Updated),
		Abandoned:           controlv1.Abandoned(e.Abandoned),
	}
	if e.Exact {
		m.Match = controlv1.MatchKind_MATCH_KIND_EXACT
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
	resilienceTo(m, &e.Resilience)
	for _, w := range e.Warnings() {
		m.Warnings = append(m.Warnings, &controlv1.Warning{Field: w.Field, Code: w.Code, Text: w.Text})
	}
	return m
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

func resilienceTo(m *controlv1.Endpoint, r *registry.Resilience) {
	if t := r.Retry; t != nil {
		m.Retry = &controlv1.Retry{
			Attempts: t.Attempts, Statuses: t.Statuses, AnyMethod: t.AnyMethod,
			MaxBodyBytes: t.MaxBodyBytes, BudgetPercent: t.BudgetPercent, Backoff: durationTo(t.Backoff),
		}
	}
	if h := r.Hedge; h != nil {
		m.Hedge = &controlv1.Hedge{After: durationTo(h.After), AnyMethod: h.AnyMethod}
	}
	if b := r.Breaker; b != nil {
		m.Breaker = &controlv1.Breaker{
			MinAttempts: b.MinAttempts, FailPercent: b.FailPercent, Window: durationTo(b.Window), OpenFor: durationTo(b.OpenFor),
		}
	}
	if h := r.Health; h != nil {
		m.HealthCheck = &controlv1.HealthCheck{
			Path: h.Path, Interval: durationTo(h.Interval), Timeout: durationTo(h.Timeout), Statuses: h.Statuses,
			UnhealthyAfter: h.UnhealthyAfter, HealthyAfter: h.HealthyAfter,
		}
	}
	if o := r.Outlier; o != nil {
		m.OutlierEjection = &controlv1.OutlierEjection{Failures: o.Failures, EjectFor: durationTo(o.EjectFor), MaxPercent: o.MaxPercent}
	}
}

// durationTo is not set for one that stands for a default.
func durationTo(d time.Duration) *durationpb.Duration {
	if d == 0 {
		return nil
	}
	return durationpb.New(d)
}
