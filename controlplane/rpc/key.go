package rpc

import (
	"context"
	"slices"
	"time"

	"google.golang.org/protobuf/types/known/fieldmaskpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"tollgate/controlplane/access"
	"tollgate/controlplane/registry"
	"tollgate/controlplane/store"
	controlv1 "tollgate/gen/tollgate/control/v1"
	"tollgate/gen/tollgate/control/v1/controlv1connect"
)

type keyService struct {
	controlv1connect.UnimplementedKeyServiceHandler

	store *store.Store
	uses  KeyUses
}

// keysOf is where the caller may see keys, or change them.
func keysOf(ctx context.Context, p controlv1.Permission) access.Scope {
	return access.From(ctx).Scope(p)
}

func (s *keyService) CreateKey(ctx context.Context, req *controlv1.CreateKeyRequest) (*controlv1.CreateKeyResponse, error) {
	p := problems("")
	made := secretFrom(req.GetSecretSha256())
	n := store.NewKey{
		Key: registry.Key{
			Name: req.GetName(), Endpoints: req.GetEndpoints(), Models: req.GetModels(), Charged: chargedFrom(req),
			Expires:     timeFrom(req.GetExpireTime(), "expire_time", "expiry", p),
			Description: req.GetDescription(), Methods: req.GetMethods(), Networks: req.GetNetworks(),
			Metadata: metadataFrom(req.GetMetadata(), p), Blocked: req.GetBlocked(),
			Prefix: made.Prefix, Suffix: made.Suffix,
		},
		Hash: made.Hash, Budget: defaultBudgetFrom(req.GetBudget(), p.Under("budget")), NoDefaults: req.GetNoDefaults(),
	}
	stored, err := s.store.CreateKey(ctx, actor(ctx), keysOf(ctx, access.KeysWrite), n, p)
	if err != nil {
		return nil, err
	}
	m, err := keyTo(&stored)
	return &controlv1.CreateKeyResponse{Key: m, Secret: made.text}, err
}

func (s *keyService) GetKey(ctx context.Context, req *controlv1.GetKeyRequest) (*controlv1.GetKeyResponse, error) {
	k, err := s.store.Key(ctx, keysOf(ctx, access.KeysRead), req.GetKey())
	if err != nil {
		return nil, err
	}
	m, err := keyTo(&k)
	return &controlv1.GetKeyResponse{Key: m}, err
}

func (s *keyService) ListKeys(ctx context.Context, req *controlv1.ListKeysRequest) (*controlv1.ListKeysResponse, error) {
	all, next, err := s.store.Keys(ctx, keysOf(ctx, access.KeysRead), listQuery(req))
	if err != nil {
		return nil, err
	}
	keys, err := eachOrFail(all, keyTo)
	return &controlv1.ListKeysResponse{Keys: keys, NextPageToken: next}, err
}

// listQuery reads what all requests for a filtered list have.
func listQuery(m interface {
	GetPageSize() int32
	GetPageToken() string
	GetFilter() string
	GetOrderBy() string
},
) store.ListQuery {
	return store.ListQuery{
		Page: store.Page{Size: int(m.GetPageSize()), Token: m.GetPageToken()}, Filter: m.GetFilter(), OrderBy: m.GetOrderBy(),
	}
}

// eachOrFail makes messages of objects.
func eachOrFail[T, M any](all []T, to func(*T) (M, error)) ([]M, error) {
	out := make([]M, len(all))
	for i := range all {
		var err error
		if out[i], err = to(&all[i]); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// fieldsOf are the fields that a request without an object of its own changes. What is not named in known is a problem of the mask.
func fieldsOf(mask *fieldmaskpb.FieldMask, known []string, p *registry.Problems) func(field string) bool {
	for _, path := range mask.GetPaths() {
		if !slices.Contains(known, path) {
			p.Add("update_mask", maskPath, "There is no field %s to change here.", clipPath(path))
		}
	}
	return func(field string) bool { return slices.Contains(mask.GetPaths(), field) }
}

var keyFields = []string{
	"team", "customer", "tags", "models", "endpoints", "restricted", "expire_time", "description", "methods", "networks", "metadata",
}

func (s *keyService) UpdateKey(ctx context.Context, req *controlv1.UpdateKeyRequest) (*controlv1.UpdateKeyResponse, error) {
	p := problems("")
	mask := req.GetUpdateMask()
	if mask == nil {
		mask = &fieldmaskpb.FieldMask{Paths: []string{"team", "customer", "tags"}}
		if req.GetModels() != nil {
			mask.Paths = append(mask.Paths, "models")
		}
	}
	changes := fieldsOf(mask, keyFields, p)
	expires, metadata := timeFrom(req.GetExpireTime(), "expire_time", "expiry", p), metadataFrom(req.GetMetadata(), p)
	if changes("restricted") && !req.GetRestricted() && len(req.GetEndpoints()) > 0 {
		p.Add("endpoints", registry.Forbidden, "Endpoints limit a key that is restricted: leave them out, or set restricted.")
	}
	edit := func(k *registry.Key) {
		for field, change := range map[string]func(){
			"team":        func() { k.Team = req.GetTeam() },
			"customer":    func() { k.Customer = req.GetCustomer() },
			"tags":        func() { k.Tags = req.GetTags() },
			"models":      func() { k.Models = req.GetModels().GetNames() },
			"endpoints":   func() { k.Endpoints, k.Restricted = req.GetEndpoints(), true },
			"expire_time": func() { k.Expires = expires },
			"description": func() { k.Description = req.GetDescription() },
			"methods":     func() { k.Methods = req.GetMethods() },
			"networks":    func() { k.Networks = req.GetNetworks() },
			"metadata":    func() { k.Metadata = metadata },
		} {
			if changes(field) {
				change()
			}
		}
		if changes("restricted") { // after the endpoints, which imply it
			if k.Restricted = req.GetRestricted(); !k.Restricted {
				k.Endpoints = nil
			}
		}
	}
	k, err := s.store.UpdateKey(ctx, actor(ctx), keysOf(ctx, access.KeysWrite), req.GetKey(), req.GetEtag(), edit, p)
	if err != nil {
		return nil, err
	}
	m, err := keyTo(&k)
	return &controlv1.UpdateKeyResponse{Key: m}, err
}

// chargedFrom reads whom a key's requests are charged to.
func chargedFrom(m interface {
	GetTeam() string
	GetCustomer() string
	GetTags() []string
},
) registry.Charged {
	return registry.Charged{Team: m.GetTeam(), Customer: m.GetCustomer(), Tags: m.GetTags()}
}

func (s *keyService) RevokeKey(ctx context.Context, req *controlv1.RevokeKeyRequest) (*controlv1.RevokeKeyResponse, error) {
	k, err := s.store.RevokeKey(ctx, actor(ctx), keysOf(ctx, access.KeysWrite), req.GetKey(), req.GetEtag())
	if err != nil {
		return nil, err
	}
	m, err := keyTo(&k)
	return &controlv1.RevokeKeyResponse{Key: m}, err
}

func (s *keyService) BlockKey(ctx context.Context, req *controlv1.BlockKeyRequest) (*controlv1.BlockKeyResponse, error) {
	k, err := s.store.BlockKey(ctx, actor(ctx), keysOf(ctx, access.KeysWrite), req.GetKey(), req.GetEtag(), req.GetBlocked())
	if err != nil {
		return nil, err
	}
	m, err := keyTo(&k)
	return &controlv1.BlockKeyResponse{Key: m}, err
}

var keyStatuses = map[registry.KeyStatus]controlv1.KeyStatus{
	registry.KeyActive:   controlv1.KeyStatus_KEY_STATUS_ACTIVE,
	registry.KeyRotating: controlv1.KeyStatus_KEY_STATUS_ROTATING,
	registry.KeyExpiring: controlv1.KeyStatus_KEY_STATUS_EXPIRING,
	registry.KeyExpired:  controlv1.KeyStatus_KEY_STATUS_EXPIRED,
	registry.KeyBlocked:  controlv1.KeyStatus_KEY_STATUS_BLOCKED,
	registry.KeyRevoked:  controlv1.KeyStatus_KEY_STATUS_REVOKED,
}

func keyTo(k *registry.Key) (*controlv1.Key, error) {
	metadata, err := metadataTo(k.Metadata)
	if err != nil {
		return nil, err
	}
	return &controlv1.Key{
		Id: k.ID, Name: k.Name, Prefix: k.Prefix, Suffix: k.Suffix, Restricted: k.Restricted, Endpoints: k.Endpoints,
		ExpireTime: timeTo(k.Expires), RevokeTime: timeTo(k.Revoked),
		CreateTime: timeTo(k.Created), Revision: k.Revision, Etag: k.ETag(),
		Team: k.Team, Customer: k.Customer, Tags: k.Tags, Models: k.Models,
		Description: k.Description, Methods: k.Methods, Networks: k.Networks, Metadata: metadata, Blocked: k.Blocked,
		OverlapEndTime: timeTo(k.OverlapEnds), RotateTime: timeTo(k.Rotated), Status: keyStatuses[k.Status], ManagedBy: k.ManagedBy,
	}, nil
}

// timeTo leaves a time that is not set out.
func timeTo(t time.Time) *timestamppb.Timestamp {
	if t.IsZero() {
		return nil
	}
	return timestamppb.New(t)
}

// timeFrom reads a time; one that cannot be read is a problem of its field.
func timeFrom(m *timestamppb.Timestamp, field, what string, p *registry.Problems) time.Time {
	if m == nil {
		return time.Time{}
	}
	if err := m.CheckValid(); err != nil {
		p.Add(field, registry.Malformed, "The %s is not a valid time.", what)
	}
	return m.AsTime()
}
