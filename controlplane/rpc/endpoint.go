package rpc

import (
	"context"

	"tollgate/controlplane/registry"
	"tollgate/controlplane/store"
	controlv1 "tollgate/gen/tollgate/control/v1"
	"tollgate/gen/tollgate/control/v1/controlv1connect"
)

type endpointService struct {
	controlv1connect.UnimplementedEndpointServiceHandler

	store  *store.Store
	drafts Drafts
}

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
	all, next, err := s.store.Endpoints(ctx, store.ListQuery{
		Page: store.Page{Size: int(req.GetPageSize()), Token: req.GetPageToken()}, Filter: req.GetFilter(), OrderBy: req.GetOrderBy(),
	})
	if err != nil {
		return nil, err
	}
	return &controlv1.ListEndpointsResponse{Endpoints: each(all, endpointTo), NextPageToken: next}, nil
}

// setByServer are fields that no update changes.
var setByServer = []string{"id", "etag", "revision", "create_time", "update_time", "warnings", "managed_by", "disabled"}

func (s *endpointService) UpdateEndpoint(ctx context.Context, req *controlv1.UpdateEndpointRequest) (*controlv1.UpdateEndpointResponse, error) {
	var stored registry.Endpoint
	read := func(ctx context.Context) (*controlv1.Endpoint, error) {
		old, err := s.store.Endpoint(ctx, ref(req.GetEndpoint().GetId(), req.GetEndpoint().GetName()))
		return endpointTo(&old), err
	}
	err := update(ctx, s.store, req, setByServer, read, func(ctx context.Context, req *controlv1.UpdateEndpointRequest) (err error) {
		p := problems("endpoint")
		e := endpointFrom(req.GetEndpoint(), p)
		stored, err = s.store.UpdateEndpoint(ctx, actor(ctx), e, req.GetEndpoint().GetEtag(), p)
		return err
	})
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

func (s *endpointService) SetEndpointEnabled(ctx context.Context, req *controlv1.SetEndpointEnabledRequest) (*controlv1.SetEndpointEnabledResponse, error) {
	e, err := s.store.SetEndpointEnabled(ctx, actor(ctx), req.GetEndpoint(), req.GetEnabled(), req.GetEtag())
	if err != nil {
		return nil, err
	}
	return &controlv1.SetEndpointEnabledResponse{Endpoint: endpointTo(&e)}, nil
}

// each translates a list.
func each[T, M any](all []T, to func(*T) *M) []*M {
	out := make([]*M, len(all))
	for i := range all {
		out[i] = to(&all[i])
	}
	return out
}
