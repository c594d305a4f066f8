package rpc

import (
	"context"

	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"tollgate/controlplane/registry"
	"tollgate/controlplane/store"
	controlv1 "tollgate/gen/tollgate/control/v1"
)

type adapterService struct{ store *store.Store }

func (s *adapterService) CreateAdapter(ctx context.Context, req *controlv1.CreateAdapterRequest) (*controlv1.CreateAdapterResponse, error) {
	p := problems("adapter")
	a := adapterFrom(req.GetAdapter(), p)
	a.ID = ""
	stored, err := s.store.CreateAdapter(ctx, actor(ctx), a, p)
	if err != nil {
		return nil, err
	}
	return &controlv1.CreateAdapterResponse{Adapter: adapterTo(&stored)}, nil
}

func (s *adapterService) GetAdapter(ctx context.Context, req *controlv1.GetAdapterRequest) (*controlv1.GetAdapterResponse, error) {
	a, err := s.store.Adapter(ctx, req.GetAdapter())
	if err != nil {
		return nil, err
	}
	return &controlv1.GetAdapterResponse{Adapter: adapterTo(&a)}, nil
}

func (s *adapterService) ListAdapters(ctx context.Context, req *controlv1.ListAdaptersRequest) (*controlv1.ListAdaptersResponse, error) {
	all, next, err := s.store.Adapters(ctx, store.ListQuery{
		Page: store.Page{Size: int(req.GetPageSize()), Token: req.GetPageToken()}, Filter: req.GetFilter(), OrderBy: req.GetOrderBy(),
	})
	if err != nil {
		return nil, err
	}
	return &controlv1.ListAdaptersResponse{Adapters: each(all, adapterTo), NextPageToken: next}, nil
}

func (s *adapterService) UpdateAdapter(ctx context.Context, req *controlv1.UpdateAdapterRequest) (*controlv1.UpdateAdapterResponse, error) {
	var stored registry.Adapter
	read := func(ctx context.Context) (*controlv1.Adapter, error) {
		old, err := s.store.Adapter(ctx, ref(req.GetAdapter().GetId(), req.GetAdapter().GetName()))
		return adapterTo(&old), err
	}
	err := update(ctx, s.store, req, setByServer, read, func(ctx context.Context, req *controlv1.UpdateAdapterRequest) (err error) {
		p := problems("adapter")
		a := adapterFrom(req.GetAdapter(), p)
		stored, err = s.store.UpdateAdapter(ctx, actor(ctx), a, req.GetAdapter().GetEtag(), p)
		return err
	})
	if err != nil {
		return nil, err
	}
	return &controlv1.UpdateAdapterResponse{Adapter: adapterTo(&stored)}, nil
}

func (s *adapterService) DeleteAdapter(ctx context.Context, req *controlv1.DeleteAdapterRequest) (*controlv1.DeleteAdapterResponse, error) {
	if err := s.store.DeleteAdapter(ctx, actor(ctx), req.GetAdapter(), req.GetEtag()); err != nil {
		return nil, err
	}
	return &controlv1.DeleteAdapterResponse{}, nil
}

func adapterFrom(m *controlv1.Adapter, p *registry.Problems) registry.Adapter {
	return registry.Adapter{
		ID: m.GetId(), Name: m.GetName(), Target: targetFrom(m.GetTarget()), MaxBytes: m.GetMaxBytes(),
		Timeout: durationFrom(m.GetTimeout(), "timeout", "The timeout", p), Headers: headersFrom(m.GetHeaders()),
	}
}

func adapterTo(a *registry.Adapter) *controlv1.Adapter {
	return &controlv1.Adapter{
		Id: a.ID, Name: a.Name, Target: targetTo(&a.Target), Timeout: durationpb.New(a.Timeout), MaxBytes: a.MaxBytes,
		Headers: headersTo(a.Headers), Etag: a.ETag(), Revision: a.Revision,
		CreateTime: timestamppb.New(a.Created), UpdateTime: timestamppb.New(a.Updated), ManagedBy: a.ManagedBy,
	}
}
