package rpc

import (
	"context"
	"fmt"

	"google.golang.org/protobuf/types/known/timestamppb"

	"tollgate/controlplane/registry"
	"tollgate/controlplane/store"
	controlv1 "tollgate/gen/tollgate/control/v1"
)

type modelService struct{ store *store.Store }

func (s *modelService) CreateModel(ctx context.Context, req *controlv1.CreateModelRequest) (*controlv1.CreateModelResponse, error) {
	p := problems("model")
	m := modelFrom(req.GetModel(), p)
	m.ID = ""
	stored, err := s.store.CreateModel(ctx, actor(ctx), m, p)
	if err != nil {
		return nil, err
	}
	return &controlv1.CreateModelResponse{Model: modelTo(&stored)}, nil
}

func (s *modelService) GetModel(ctx context.Context, req *controlv1.GetModelRequest) (*controlv1.GetModelResponse, error) {
	m, err := s.store.Model(ctx, req.GetModel())
	if err != nil {
		return nil, err
	}
	return &controlv1.GetModelResponse{Model: modelTo(&m)}, nil
}

func (s *modelService) ListModels(ctx context.Context, req *controlv1.ListModelsRequest) (*controlv1.ListModelsResponse, error) {
	all, next, err := s.store.Models(ctx, store.ListQuery{
		Page: store.Page{Size: int(req.GetPageSize()), Token: req.GetPageToken()}, Filter: req.GetFilter(), OrderBy: req.GetOrderBy(),
	})
	if err != nil {
		return nil, err
	}
	return &controlv1.ListModelsResponse{Models: each(all, modelTo), NextPageToken: next}, nil
}

func (s *modelService) UpdateModel(ctx context.Context, req *controlv1.UpdateModelRequest) (*controlv1.UpdateModelResponse, error) {
	var stored registry.Model
	read := func(ctx context.Context) (*controlv1.Model, error) {
		old, err := s.store.Model(ctx, ref(req.GetModel().GetId(), req.GetModel().GetName()))
		return modelTo(&old), err
	}
	err := update(ctx, s.store, req, setByServer, read, func(ctx context.Context, req *controlv1.UpdateModelRequest) (err error) {
		p := problems("model")
		m := modelFrom(req.GetModel(), p)
		stored, err = s.store.UpdateModel(ctx, actor(ctx), m, req.GetModel().GetEtag(), p)
		return err
	})
	if err != nil {
		return nil, err
	}
	return &controlv1.UpdateModelResponse{Model: modelTo(&stored)}, nil
}

func (s *modelService) DeleteModel(ctx context.Context, req *controlv1.DeleteModelRequest) (*controlv1.DeleteModelResponse, error) {
	if err := s.store.DeleteModel(ctx, actor(ctx), req.GetModel(), req.GetEtag()); err != nil {
		return nil, err
	}
	return &controlv1.DeleteModelResponse{}, nil
}

// modelFrom reads a model from a request. What it cannot read goes into p.
func modelFrom(m *controlv1.Model, p *registry.Problems) registry.Model {
	out := registry.Model{
		ID: m.GetId(), Name: m.GetName(), Aliases: m.GetAliases(), Balance: registry.Balance(m.GetBalance()),
		Resilience: resilienceFrom(m, p),
	}
	for i, d := range m.GetDeployments() {
		part := p.Under(fmt.Sprintf("deployments[%d]", i))
		one := registry.Deployment{
			Name: d.GetName(), Target: targetFrom(d.GetTarget()), Schemas: schemasFrom(d.GetSchemas()), Adapter: d.GetAdapter(),
			Model: d.GetModel(), APIKey: d.GetApiKey(), Headers: headersFrom(d.GetHeaders()), Query: queryFrom(d.GetQuery()),
			Price: priceOf(d.GetPrice(), part), Timeout: durationFrom(d.GetTimeout(), "timeout", "The timeout", part),
		}
		if o := d.GetOptions(); o != nil {
			one.Options = &registry.VendorOptions{Message: o}
		}
		out.Deployments = append(out.Deployments, one)
	}
	return out
}

// modelTo is a model as it is answered with: what was left out is filled in, and what an operator should know of it is
// said.
func modelTo(m *registry.Model) *controlv1.Model {
	out := &controlv1.Model{
		Id: m.ID, Name: m.Name, Aliases: m.Aliases, Balance: controlv1.Balance(m.Balance),
		Retry: retryTo(m.Retry), Hedge: hedgeTo(m.Hedge), Breaker: breakerTo(m.Breaker), OutlierEjection: outlierTo(m.Outlier),
		Etag: m.ETag(), Revision: m.Revision, CreateTime: timestamppb.New(m.Created), UpdateTime: timestamppb.New(m.Updated),
		Warnings: warningsTo(m.Warnings()), ManagedBy: m.ManagedBy,
	}
	for i := range m.Deployments {
		d := &m.Deployments[i]
		one := &controlv1.Deployment{
			Name: d.Name, Target: targetTo(&d.Target), Schemas: schemasTo(d.Schemas), Adapter: d.Adapter, Model: d.Model, ApiKey: d.APIKey,
			Headers: headersTo(d.Headers), Query: queryTo(d.Query), Price: priceTo(&d.Price), Timeout: durationTo(d.Timeout),
		}
		if d.Options != nil {
			one.Options = d.Options.Message
		}
		out.Deployments = append(out.Deployments, one)
	}
	return out
}

func schemasFrom(all []controlv1.Schema) (out []registry.Schema) {
	for _, s := range all {
		out = append(out, registry.Schema(s))
	}
	return out
}

func schemasTo(all []registry.Schema) (out []controlv1.Schema) {
	for _, s := range all {
		out = append(out, controlv1.Schema(s))
	}
	return out
}
