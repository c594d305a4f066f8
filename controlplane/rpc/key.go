package rpc

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"tollgate/controlplane/registry"
	"tollgate/controlplane/store"
	controlv1 "tollgate/gen/tollgate/control/v1"
	"tollgate/internal/contract"
)

// What keys look like: a prefix by which scanners for leaked credentials find them, and 256 random
// bits. The first characters are kept to recognise a key by.
const (
	keyPrefix = "tgk_"
	keyBytes  = 32
	shown     = 8
)

type keyService struct {
	store *store.Store
}

func (s *keyService) CreateKey(ctx context.Context, req *controlv1.CreateKeyRequest) (*controlv1.CreateKeyResponse, error) {
	p := problems("")
	k := registry.Key{
		Name: req.GetName(), Endpoints: req.GetEndpoints(), Models: req.GetModels(), Charged: chargedFrom(req),
		Expires: timeFrom(req.GetExpireTime(), "expire_time", "expiry", p),
	}
	var secret string
	var hash [32]byte
	if imported := req.GetSecretSha256(); len(imported) > 0 {
		copy(hash[:], imported)
	} else {
		secret = newKey()
		hash, k.Prefix = contract.KeyHash([]byte(secret)), secret[:shown]
	}
	stored, err := s.store.CreateKey(ctx, actor(ctx), k, hash, p)
	if err != nil {
		return nil, err
	}
	return &controlv1.CreateKeyResponse{Key: keyTo(&stored), Secret: secret}, nil
}

func newKey() string {
	raw := make([]byte, keyBytes)
	rand.Read(raw) // never fails: the runtime ends the process instead
	return keyPrefix + base64.RawURLEncoding.EncodeToString(raw)
}

func (s *keyService) GetKey(ctx context.Context, req *controlv1.GetKeyRequest) (*controlv1.GetKeyResponse, error) {
	k, err := s.store.Key(ctx, req.GetKey())
	if err != nil {
		return nil, err
	}
	return &controlv1.GetKeyResponse{Key: keyTo(&k)}, nil
}

func (s *keyService) ListKeys(ctx context.Context, req *controlv1.ListKeysRequest) (*controlv1.ListKeysResponse, error) {
	all, next, err := s.store.Keys(ctx, store.Page{Size: int(req.GetPageSize()), Token: req.GetPageToken()})
	if err != nil {
		return nil, err
	}
	return &controlv1.ListKeysResponse{Keys: each(all, keyTo), NextPageToken: next}, nil
}

func (s *keyService) UpdateKey(ctx context.Context, req *controlv1.UpdateKeyRequest) (*controlv1.UpdateKeyResponse, error) {
	var models *[]string
	if m := req.GetModels(); m != nil {
		names := m.GetNames()
		models = &names
	}
	k, err := s.store.UpdateKey(ctx, actor(ctx), req.GetKey(), chargedFrom(req), models, problems(""))
	if err != nil {
		return nil, err
	}
	return &controlv1.UpdateKeyResponse{Key: keyTo(&k)}, nil
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
	k, err := s.store.RevokeKey(ctx, actor(ctx), req.GetKey())
	if err != nil {
		return nil, err
	}
	return &controlv1.RevokeKeyResponse{Key: keyTo(&k)}, nil
}

func keyTo(k *registry.Key) *controlv1.Key {
	return &controlv1.Key{
		Id: k.ID, Name: k.Name, Prefix: k.Prefix, Restricted: k.Restricted, Endpoints: k.Endpoints,
		ExpireTime: timeTo(k.Expires), RevokeTime: timeTo(k.Revoked),
		CreateTime: timeTo(k.Created), Revision: k.Revision,
		Team: k.Team, Customer: k.Customer, Tags: k.Tags, Models: k.Models,
	}
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
