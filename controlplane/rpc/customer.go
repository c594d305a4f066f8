package rpc

import (
	"context"
	"encoding/json"
	"fmt"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/types/known/structpb"

	"tollgate/controlplane/registry"
	"tollgate/controlplane/store"
	controlv1 "tollgate/gen/tollgate/control/v1"
	"tollgate/gen/tollgate/control/v1/controlv1connect"
)

type customerService struct {
	controlv1connect.UnimplementedCustomerServiceHandler

	store *store.Store
}

func (s *customerService) CreateCustomer(ctx context.Context, req *controlv1.CreateCustomerRequest) (*controlv1.CreateCustomerResponse, error) {
	p, m := problems("customer"), req.GetCustomer()
	v, err := s.store.CreateCustomer(ctx, actor(ctx), registry.Customer{
		Name: m.GetName(), DisplayName: m.GetDisplayName(), Blocked: m.GetBlocked(), Metadata: metadataFrom(m.GetMetadata(), p),
	}, req.GetDefaultBudget(), p)
	if err != nil {
		return nil, err
	}
	out, err := customerTo(&v)
	return &controlv1.CreateCustomerResponse{Customer: out}, err
}

func (s *customerService) GetCustomer(ctx context.Context, req *controlv1.GetCustomerRequest) (*controlv1.GetCustomerResponse, error) {
	v, err := s.store.Customer(ctx, req.GetCustomer())
	if err != nil {
		return nil, err
	}
	out, err := customerTo(&v)
	return &controlv1.GetCustomerResponse{Customer: out}, err
}

func (s *customerService) ListCustomers(ctx context.Context, req *controlv1.ListCustomersRequest) (*controlv1.ListCustomersResponse, error) {
	all, next, err := s.store.Customers(ctx, store.ListQuery{
		Page: store.Page{Size: int(req.GetPageSize()), Token: req.GetPageToken()}, Filter: req.GetFilter(),
	})
	if err != nil {
		return nil, err
	}
	out := &controlv1.ListCustomersResponse{NextPageToken: next}
	for i := range all {
		m, err := customerTo(&all[i])
		if err != nil {
			return nil, err
		}
		out.Customers = append(out.Customers, m)
	}
	return out, nil
}

func (s *customerService) UpdateCustomer(ctx context.Context, req *controlv1.UpdateCustomerRequest) (*controlv1.UpdateCustomerResponse, error) {
	p := problems("")
	patch := registry.CustomerPatch{DisplayName: req.DisplayName, Blocked: req.Blocked}
	if req.GetMetadata() != nil {
		patch.Metadata = new(metadataFrom(req.GetMetadata(), p))
	}
	v, err := s.store.UpdateCustomer(ctx, actor(ctx), req.GetCustomer(), patch, req.GetEtag(), p)
	if err != nil {
		return nil, err
	}
	out, err := customerTo(&v)
	return &controlv1.UpdateCustomerResponse{Customer: out}, err
}

func (s *customerService) DeleteCustomer(ctx context.Context, req *controlv1.DeleteCustomerRequest) (*controlv1.DeleteCustomerResponse, error) {
	if err := s.store.DeleteCustomer(ctx, actor(ctx), req.GetCustomer(), req.GetEtag()); err != nil {
		return nil, err
	}
	return &controlv1.DeleteCustomerResponse{}, nil
}

func customerTo(v *registry.Customer) (*controlv1.Customer, error) {
	metadata, err := metadataTo(v.Metadata)
	if err != nil {
		return nil, err
	}
	return &controlv1.Customer{
		Name: v.Name, DisplayName: v.DisplayName, Blocked: v.Blocked, Metadata: metadata, FirstSight: v.FirstSight,
		Etag: v.ETag(), Revision: v.Revision, CreateTime: timeTo(v.Created), ManagedBy: v.ManagedBy,
	}, nil
}

// metadataFrom is the JSON of what an owner keeps with an object; nil for nothing.
func metadataFrom(m *structpb.Struct, p *registry.Problems) json.RawMessage {
	if len(m.GetFields()) == 0 {
		return nil
	}
	raw, err := protojson.Marshal(m)
	if err != nil {
		p.Add("metadata", registry.Malformed, "The metadata cannot be kept as JSON: %s.", err)
		return nil
	}
	return raw
}

func metadataTo(raw json.RawMessage) (*structpb.Struct, error) {
	if len(raw) == 0 {
		return nil, nil
	}
	var m structpb.Struct
	if err := protojson.Unmarshal(raw, &m); err != nil {
		return nil, fmt.Errorf("stored metadata: %w", err)
	}
	return &m, nil
}
