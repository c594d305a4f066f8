package rpc

import (
	"context"

	"tollgate/controlplane/access"
	"tollgate/controlplane/registry"
	"tollgate/controlplane/store"
	controlv1 "tollgate/gen/tollgate/control/v1"
)

type limitService struct{ store *store.Store }

func (s *limitService) CreateLimit(ctx context.Context, req *controlv1.CreateLimitRequest) (*controlv1.CreateLimitResponse, error) {
	m := req.GetLimit()
	l, err := s.store.CreateLimit(ctx, actor(ctx), spending(ctx), registry.Limit{
		Name: m.GetName(), Scoped: scopeFrom(m), Kind: registry.LimitKind(m.GetKind()),
		Amount: m.GetAmount(), Burst: m.GetBurst(), Fallback: registry.Fallback(m.GetFallback()),
	}, problems("limit"))
	if err != nil {
		return nil, err
	}
	return &controlv1.CreateLimitResponse{Limit: limitTo(&l)}, nil
}

func (s *limitService) GetLimit(ctx context.Context, req *controlv1.GetLimitRequest) (*controlv1.GetLimitResponse, error) {
	l, err := s.store.Limit(ctx, access.From(ctx).Scope(access.MoneyRead), req.GetLimit())
	if err != nil {
		return nil, err
	}
	return &controlv1.GetLimitResponse{Limit: limitTo(&l)}, nil
}

func (s *limitService) ListLimits(ctx context.Context, req *controlv1.ListLimitsRequest) (*controlv1.ListLimitsResponse, error) {
	all, next, err := s.store.Limits(ctx, access.From(ctx).Scope(access.MoneyRead), store.ListQuery{
		Page: store.Page{Size: int(req.GetPageSize()), Token: req.GetPageToken()}, Filter: req.GetFilter(), OrderBy: req.GetOrderBy(),
	})
	if err != nil {
		return nil, err
	}
	return &controlv1.ListLimitsResponse{Limits: each(all, limitTo), NextPageToken: next}, nil
}

func (s *limitService) UpdateLimit(ctx context.Context, req *controlv1.UpdateLimitRequest) (*controlv1.UpdateLimitResponse, error) {
	patch := registry.LimitPatch{Amount: req.Amount, Burst: req.Burst, Fallback: registry.Fallback(req.GetFallback())}
	l, err := s.store.UpdateLimit(ctx, actor(ctx), spending(ctx), req.GetLimit(), patch, req.GetEtag())
	if err != nil {
		return nil, err
	}
	return &controlv1.UpdateLimitResponse{Limit: limitTo(&l)}, nil
}

func (s *limitService) DeleteLimit(ctx context.Context, req *controlv1.DeleteLimitRequest) (*controlv1.DeleteLimitResponse, error) {
	if err := s.store.DeleteLimit(ctx, actor(ctx), spending(ctx), req.GetLimit(), req.GetEtag()); err != nil {
		return nil, err
	}
	return &controlv1.DeleteLimitResponse{}, nil
}

func limitTo(l *registry.Limit) *controlv1.Limit {
	m := &controlv1.Limit{
		Id: l.ID, Name: l.Name, Kind: controlv1.LimitKind(l.Kind), Amount: l.Amount, Burst: l.Burst,
		Fallback: controlv1.LimitFallback(l.Fallback), Etag: l.ETag(), Revision: l.Revision,
		CreateTime: timeTo(l.Created), UpdateTime: timeTo(l.Updated), ManagedBy: l.ManagedBy,
	}
	switch l.Scope {
	case registry.ScopeKey:
		m.Scope = &controlv1.Limit_Key{Key: l.ScopeName}
	case registry.ScopeTeam:
		m.Scope = &controlv1.Limit_Team{Team: l.ScopeName}
	case registry.ScopeCustomer:
		m.Scope = &controlv1.Limit_Customer{Customer: l.ScopeName}
	case registry.ScopeTag:
		m.Scope = &controlv1.Limit_Tag{Tag: l.ScopeName}
	case registry.ScopeEndpoint:
		m.Scope = &controlv1.Limit_Endpoint{Endpoint: l.ScopeName}
	case registry.ScopeEverything:
		m.Scope = &controlv1.Limit_Everything{Everything: true}
	}
	return m
}
