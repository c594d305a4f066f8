package rpc

import (
	"context"
	"fmt"

	typemoney "google.golang.org/genproto/googleapis/type/money"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"tollgate/controlplane/registry"
	"tollgate/controlplane/store"
	controlv1 "tollgate/gen/tollgate/control/v1"
	"tollgate/internal/contract"
	"tollgate/internal/money"
)

type endpointService struct{ store *store.Store }

func (s *endpointService) CreateEndpoint(ctx context.Context, req *controlv1.CreateEndpointRequest) (*controlv1.CreateEndpointResponse, error) {
	p := problems("endpoint")
	e := endpointFrom(req.GetEndpoint(), p)
	e.ID = ""
	stored, err := s.store.CreateEndpoint(ctx, actor(ctx), e, p)
	if err != nil {
		return nil, err
	}
	return &controlv1.CreateEndpointResponse{Endpoint: endpointTo(&stored)}, nil
}

func (s *endpointService) GetEndpoint(ctx context.Context, req *controlv1.GetEndpointRequest) (*controlv1.GetEndpointResponse, error) {
	e, err := s.store.Endpoint(ctx, req.GetEndpoint())
	if err != nil {
		return nil, err
	}
	return &controlv1.GetEndpointResponse{Endpoint: endpointTo(&e)}, nil
}

func (s *endpointService) ListEndpoints(ctx context.Context, req *controlv1.ListEndpointsRequest) (*controlv1.ListEndpointsResponse, error) {
	all, next, err := s.store.Endpoints(ctx, store.Page{Size: int(req.GetPageSize()), Token: req.GetPageToken()})
	if err != nil {
		return nil, err
	}
	return &controlv1.ListEndpointsResponse{Endpoints: each(all, endpointTo), NextPageToken: next}, nil
}

func (s *endpointService) UpdateEndpoint(ctx context.Context, req *controlv1.UpdateEndpointRequest) (*controlv1.UpdateEndpointResponse, error) {
	p := problems("endpoint")
	e := endpointFrom(req.GetEndpoint(), p)
	stored, err := s.store.UpdateEndpoint(ctx, actor(ctx), e, req.GetEndpoint().GetEtag(), p)
	if err != nil {
		return nil, err
	}
	return &controlv1.UpdateEndpointResponse{Endpoint: endpointTo(&stored)}, nil
}

func (s *endpointService) DeleteEndpoint(ctx context.Context, req *controlv1.DeleteEndpointRequest) (*controlv1.DeleteEndpointResponse, error) {
	if err := s.store.DeleteEndpoint(ctx, actor(ctx), req.GetEndpoint(), req.GetEtag()); err != nil {
		return nil, err
	}
	return &controlv1.DeleteEndpointResponse{}, nil
}

// endpointFrom reads an endpoint from a request. What it cannot read goes into p, and the registry
// judges the rest, so that the caller hears of everything at once.
func endpointFrom(m *controlv1.Endpoint, p *registry.Problems) registry.Endpoint {
	e := registry.Endpoint{
		ID:                  m.GetId(),
		Name:                m.GetName(),
		Path:                m.GetPath(),
		Exact:               m.GetMatch() == controlv1.MatchKind_MATCH_KIND_EXACT,
		Methods:             m.GetMethods(),
		Forward:             registry.Forward(m.GetForwardHeaders()),
		KeyHeader:           m.GetKeyHeader(),
		MaxBodyBytes:        m.GetMaxBodyBytes(),
		ForwardTraceContext: m.GetForwardTraceContext(),
		Abandoned:           registry.Abandoned(m.GetAbandoned()),
	}
	for _, t := range m.GetTargets() {
		e.Targets = append(e.Targets, t.GetUrl())
	}
	for _, h := range m.GetHeaders() {
		e.Headers = append(e.Headers, registry.Header{Name: h.GetName(), Value: h.GetValue()})
	}
	switch k := m.GetPrice().GetKind().(type) {
	case *controlv1.Price_Free_:
		e.Price.Free = true
	case *controlv1.Price_Fixed_:
		e.Price.PerRequest = amountFrom(k.Fixed.GetPerRequest(), "price.fixed.per_request", p)
	case *controlv1.Price_Usage_:
		e.Price.Usage = usageFrom(k.Usage, p)
	default:
		p.Add("price", registry.Required, "Say what a request costs: an amount, what it uses, or free.")
	}
	if t := m.GetTimeout(); t != nil {
		if err := t.CheckValid(); err != nil {
			p.Add("timeout", registry.Malformed, "The timeout is not a valid duration.")
		}
		if e.Timeout = t.AsDuration(); e.Timeout == 0 {
			p.Add("timeout", registry.Range, "The timeout is 0: leave it out for %s.", registry.DefaultTimeout)
		}
	}
	return e
}

func usageFrom(m *controlv1.Price_Usage, p *registry.Problems) *registry.Usage {
	const field = "price.usage."
	u := &registry.Usage{
		PerRequest: amountFrom(m.GetPerRequest(), field+"per_request", p),
		Hold:       amountFrom(m.GetHold(), field+"hold", p),
		Fallback:   amountFrom(m.GetFallback(), field+"fallback", p),
		Ceiling:    m.GetBound() == controlv1.Price_BOUND_CEILING,
	}
	for i, r := range m.GetRates() {
		u.Rates = append(u.Rates, registry.Rate{
			Unit: registry.Unit(r.GetUnit()), Header: r.GetHeader(),
			PerMillion: amountFrom(r.GetPerMillion(), fmt.Sprintf("%srates[%d].per_million", field, i), p),
		})
	}
	return u
}

func usageTo(u *registry.Usage) *controlv1.Price_Usage {
	m := &controlv1.Price_Usage{Hold: contract.MoneyToProto(u.Hold), Bound: controlv1.Price_BOUND_ESTIMATE}
	if u.Ceiling {
		m.Bound = controlv1.Price_BOUND_CEILING
	}
	if u.PerRequest != 0 {
		m.PerRequest = contract.MoneyToProto(u.PerRequest)
	}
	if u.Fallback != 0 {
		m.Fallback = contract.MoneyToProto(u.Fallback)
	}
	for _, r := range u.Rates {
		m.Rates = append(m.Rates, &controlv1.Price_Rate{
			Unit: controlv1.Price_Unit(r.Unit), Header: r.Header, PerMillion: contract.MoneyToProto(r.PerMillion),
		})
	}
	return m
}

// amountFrom reads an amount; one that cannot be read is a problem of its field.
func amountFrom(m *typemoney.Money, field string, p *registry.Problems) money.Nanos {
	n, err := contract.MoneyFromProto(m)
	if err != nil {
		p.Add(field, registry.Malformed, "The amount cannot be used: %s.", err)
	}
	return n
}

func endpointTo(e *registry.Endpoint) *controlv1.Endpoint {
	m := &controlv1.Endpoint{
		Id:                  e.ID,
		Name:                e.Name,
		Path:                e.Path,
		Match:               controlv1.MatchKind_MATCH_KIND_PREFIX,
		Methods:             e.Methods,
		ForwardHeaders:      controlv1.ForwardHeaders(e.Forward),
		KeyHeader:           e.KeyHeader,
		Price:               &controlv1.Price{Kind: &controlv1.Price_Free_{Free: &controlv1.Price_Free{}}},
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
	switch {
	case e.Price.Usage != nil:
		m.Price.Kind = &controlv1.Price_Usage_{Usage: usageTo(e.Price.Usage)}
	case !e.Price.Free:
		m.Price.Kind = &controlv1.Price_Fixed_{Fixed: &controlv1.Price_Fixed{PerRequest: contract.MoneyToProto(e.Price.PerRequest)}}
	}
	for _, t := range e.Targets {
		m.Targets = append(m.Targets, &controlv1.Target{Url: t})
	}
	for _, h := range e.Headers {
		m.Headers = append(m.Headers, &controlv1.Header{Name: h.Name, Value: h.Value})
	}
	return m
}

// each translates a list.
func each[T, M any](all []T, to func(*T) *M) []*M {
	out := make([]*M, len(all))
	for i := range all {
		out[i] = to(&all[i])
	}
	return out
}
