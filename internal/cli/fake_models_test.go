package cli_test

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	controlv1 "tollgate/gen/tollgate/control/v1"
	"tollgate/gen/tollgate/control/v1/controlv1connect"
	"tollgate/internal/fault"
)

type modelService struct {
	controlv1connect.UnimplementedModelServiceHandler
	*fake
}

func (s modelService) check(m *controlv1.Model) error {
	for i, d := range m.GetDeployments() {
		if !strings.HasPrefix(d.GetTarget().GetUrl(), "http") {
			return refuse(fault.New(fault.InvalidArgument, "Model %s cannot be stored.", m.GetName()).WithViolations(
				fault.Violation{Field: fmt.Sprintf("model.deployments[%d].target.url", i), Code: "invalid", Reason: "Must be an http or https URL."}))
		}
	}
	return nil
}

// store keeps a model as the real server does: what is the same stays as it is, and deployments have names.
func (s modelService) store(m *controlv1.Model) *controlv1.Model {
	m = proto.CloneOf(m)
	for i, d := range m.GetDeployments() {
		if d.GetName() == "" {
			_, rest, _ := strings.Cut(d.GetTarget().GetUrl(), "://")
			host, _, _ := strings.Cut(rest, "/")
			d.Name, _, _ = strings.Cut(host, ":")
			if i > 0 {
				d.Name += fmt.Sprintf("-%d", i+1)
			}
		}
	}
	m.Id = "id_" + m.GetName()
	if have := s.models[m.GetName()]; have != nil {
		m.Etag, m.Revision, m.CreateTime, m.UpdateTime, m.Warnings = have.GetEtag(), have.GetRevision(), have.GetCreateTime(), have.GetUpdateTime(), have.GetWarnings()
		if proto.Equal(m, have) {
			return have
		}
	}
	m.Revision = s.next()
	m.Etag = fmt.Sprintf("etag-%d", m.GetRevision())
	m.CreateTime, m.UpdateTime = timestamppb.New(clock), timestamppb.New(clock)
	m.Warnings = nil
	for i, d := range m.GetDeployments() {
		if strings.HasPrefix(d.GetTarget().GetUrl(), "http://") {
			m.Warnings = append(m.Warnings, &controlv1.Warning{Field: fmt.Sprintf("deployments[%d].target.url", i), Code: "target_plain", Text: "It is not encrypted."})
		}
	}
	s.models[m.GetName()] = m
	return m
}

func (s modelService) CreateModel(_ context.Context, req *controlv1.CreateModelRequest) (*controlv1.CreateModelResponse, error) {
	if err := free(s.models, "model", req.GetModel().GetName()); err != nil {
		return nil, err
	}
	if err := s.check(req.GetModel()); err != nil {
		return nil, err
	}
	return &controlv1.CreateModelResponse{Model: s.store(req.GetModel())}, nil
}

func (s modelService) GetModel(_ context.Context, req *controlv1.GetModelRequest) (*controlv1.GetModelResponse, error) {
	for _, m := range s.models {
		if slices.Contains(m.GetAliases(), req.GetModel()) {
			return &controlv1.GetModelResponse{Model: m}, nil
		}
	}
	m, err := find(s.models, "model", req.GetModel())
	return &controlv1.GetModelResponse{Model: m}, err
}

func (s modelService) ListModels(_ context.Context, req *controlv1.ListModelsRequest) (*controlv1.ListModelsResponse, error) {
	items, next := page(s.models, req.GetPageToken())
	return &controlv1.ListModelsResponse{Models: items, NextPageToken: next}, nil
}

func (s modelService) UpdateModel(_ context.Context, req *controlv1.UpdateModelRequest) (*controlv1.UpdateModelResponse, error) {
	have, err := find(s.models, "model", req.GetModel().GetName())
	if err != nil {
		return nil, err
	}
	if req.GetModel().GetEtag() != have.GetEtag() {
		return nil, refuse(fault.New(fault.StaleETag, "Model %s was changed by somebody else.", have.GetName()))
	}
	if err := s.check(req.GetModel()); err != nil {
		return nil, err
	}
	return &controlv1.UpdateModelResponse{Model: s.store(req.GetModel())}, nil
}

func (s modelService) DeleteModel(_ context.Context, req *controlv1.DeleteModelRequest) (*controlv1.DeleteModelResponse, error) {
	if _, err := find(s.models, "model", req.GetModel()); err != nil {
		return nil, err
	}
	delete(s.models, req.GetModel())
	return &controlv1.DeleteModelResponse{}, nil
}

type adapterService struct {
	controlv1connect.UnimplementedAdapterServiceHandler
	*fake
}

func (s adapterService) store(a *controlv1.Adapter) *controlv1.Adapter {
	a = proto.CloneOf(a)
	a.Id = "id_" + a.GetName()
	if have := s.adapters[a.GetName()]; have != nil {
		a.Etag, a.Revision, a.CreateTime, a.UpdateTime = have.GetEtag(), have.GetRevision(), have.GetCreateTime(), have.GetUpdateTime()
		if proto.Equal(a, have) {
			return have
		}
	}
	a.Revision = s.next()
	a.Etag = fmt.Sprintf("etag-%d", a.GetRevision())
	a.CreateTime, a.UpdateTime = timestamppb.New(clock), timestamppb.New(clock)
	s.adapters[a.GetName()] = a
	return a
}

func (s adapterService) CreateAdapter(_ context.Context, req *controlv1.CreateAdapterRequest) (*controlv1.CreateAdapterResponse, error) {
	if err := free(s.adapters, "adapter", req.GetAdapter().GetName()); err != nil {
		return nil, err
	}
	return &controlv1.CreateAdapterResponse{Adapter: s.store(req.GetAdapter())}, nil
}

func (s adapterService) GetAdapter(_ context.Context, req *controlv1.GetAdapterRequest) (*controlv1.GetAdapterResponse, error) {
	a, err := find(s.adapters, "adapter", req.GetAdapter())
	return &controlv1.GetAdapterResponse{Adapter: a}, err
}

func (s adapterService) ListAdapters(_ context.Context, req *controlv1.ListAdaptersRequest) (*controlv1.ListAdaptersResponse, error) {
	items, next := page(s.adapters, req.GetPageToken())
	return &controlv1.ListAdaptersResponse{Adapters: items, NextPageToken: next}, nil
}

func (s adapterService) UpdateAdapter(_ context.Context, req *controlv1.UpdateAdapterRequest) (*controlv1.UpdateAdapterResponse, error) {
	have, err := find(s.adapters, "adapter", req.GetAdapter().GetName())
	if err != nil {
		return nil, err
	}
	if req.GetAdapter().GetEtag() != have.GetEtag() {
		return nil, refuse(fault.New(fault.StaleETag, "Adapter %s was changed by somebody else.", have.GetName()))
	}
	return &controlv1.UpdateAdapterResponse{Adapter: s.store(req.GetAdapter())}, nil
}

func (s adapterService) DeleteAdapter(_ context.Context, req *controlv1.DeleteAdapterRequest) (*controlv1.DeleteAdapterResponse, error) {
	if _, err := find(s.adapters, "adapter", req.GetAdapter()); err != nil {
		return nil, err
	}
	for _, e := range s.endpoints {
		if e.GetModels().GetAdapter() == req.GetAdapter() {
			return nil, refuse(fault.New(fault.FailedPrecondition, "Adapter %s is used by endpoint %s.", req.GetAdapter(), e.GetName()))
		}
	}
	delete(s.adapters, req.GetAdapter())
	return &controlv1.DeleteAdapterResponse{}, nil
}
