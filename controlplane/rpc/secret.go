package rpc

import (
	"context"
	"errors"
	"slices"
	"time"

	"tollgate/controlplane/registry"
	"tollgate/controlplane/store"
	controlv1 "tollgate/gen/tollgate/control/v1"
	"tollgate/gen/tollgate/control/v1/controlv1connect"
	"tollgate/internal/fault"
)

type secretService struct {
	controlv1connect.UnimplementedSecretServiceHandler

	store *store.Store
	vault Vault
	fleet Nodes
}

func (s *secretService) CreateSecret(ctx context.Context, req *controlv1.CreateSecretRequest) (*controlv1.CreateSecretResponse, error) {
	p := problems("")
	registry.CheckNewSecret(p, req.GetValue(), req.GetReference())
	asked := registry.Secret{Name: req.GetName(), Description: req.GetDescription(), Reference: req.GetReference()}
	sec, err := s.store.CreateSecret(ctx, actor(ctx), asked, s.encrypt(req.GetValue()), p)
	if err != nil {
		return nil, err
	}
	return &controlv1.CreateSecretResponse{Secret: secretTo(&sec)}, nil
}

func (s *secretService) encrypt(value string) store.Encrypt {
	return func(id string) ([]byte, error) { return s.vault.Encrypt(id, value) }
}

func (s *secretService) GetSecret(ctx context.Context, req *controlv1.GetSecretRequest) (*controlv1.GetSecretResponse, error) {
	sec, err := s.store.Secret(ctx, req.GetSecret())
	if err != nil {
		return nil, err
	}
	return &controlv1.GetSecretResponse{Secret: secretTo(&sec)}, nil
}

func (s *secretService) ListSecrets(ctx context.Context, req *controlv1.ListSecretsRequest) (*controlv1.ListSecretsResponse, error) {
	all, next, err := s.store.Secrets(ctx, store.ListQuery{
		Page: store.Page{Size: int(req.GetPageSize()), Token: req.GetPageToken()}, Filter: req.GetFilter(), OrderBy: req.GetOrderBy(),
	})
	if err != nil {
		return nil, err
	}
	return &controlv1.ListSecretsResponse{Secrets: each(all, secretTo), NextPageToken: next}, nil
}

func (s *secretService) UpdateSecret(ctx context.Context, req *controlv1.UpdateSecretRequest) (*controlv1.UpdateSecretResponse, error) {
	p := problems("")
	if req.Reference != nil {
		registry.CheckSecretReference(p, req.GetReference())
	}
	change := store.SecretUpdate{Description: req.Description, Reference: req.Reference}
	sec, err := s.store.UpdateSecret(ctx, actor(ctx), req.GetSecret(), req.GetEtag(), change, s.encrypt(""), p)
	if err != nil {
		return nil, err
	}
	return &controlv1.UpdateSecretResponse{Secret: secretTo(&sec)}, nil
}

func (s *secretService) RotateSecret(ctx context.Context, req *controlv1.RotateSecretRequest) (*controlv1.RotateSecretResponse, error) {
	p := problems("")
	registry.CheckSecretValue(p, req.GetValue())
	sec, err := s.store.RotateSecret(ctx, actor(ctx), req.GetSecret(), req.GetEtag(), s.encrypt(req.GetValue()), p)
	if err != nil {
		return nil, err
	}
	return &controlv1.RotateSecretResponse{Secret: secretTo(&sec)}, nil
}

func (s *secretService) RollbackSecret(ctx context.Context, req *controlv1.RollbackSecretRequest) (*controlv1.RollbackSecretResponse, error) {
	sec, err := s.store.RollbackSecret(ctx, actor(ctx), req.GetSecret(), req.GetEtag())
	if err != nil {
		return nil, err
	}
	return &controlv1.RollbackSecretResponse{Secret: secretTo(&sec)}, nil
}

func (s *secretService) DeleteSecret(ctx context.Context, req *controlv1.DeleteSecretRequest) (*controlv1.DeleteSecretResponse, error) {
	if err := s.store.DeleteSecret(ctx, actor(ctx), req.GetSecret(), req.GetEtag()); err != nil {
		return nil, err
	}
	return &controlv1.DeleteSecretResponse{}, nil
}

func (s *secretService) ListSecretReferences(ctx context.Context, req *controlv1.ListSecretReferencesRequest) (*controlv1.ListSecretReferencesResponse, error) {
	sec, err := s.store.Secret(ctx, req.GetSecret())
	if err != nil {
		return nil, err
	}
	out := &controlv1.ListSecretReferencesResponse{}
	if out.References, err = s.references(ctx, &sec); err != nil || !sec.Used() {
		return out, err // what nothing uses reaches no edge
	}
	st, err := s.store.State(ctx)
	if err != nil {
		return nil, err
	}
	for _, n := range s.fleet.Nodes(st.Current, time.Now()) {
		if controlv1.NodeStatus(n.Status) == controlv1.NodeStatus_NODE_STATUS_SILENT {
			continue
		}
		why, failed := n.GetUnresolvedSecrets()[sec.Name]
		out.Nodes = append(out.Nodes, &controlv1.SecretOnNode{Node: n.GetEdge(), Resolved: !failed, Error: why})
	}
	return out, nil
}

// references reads each user by its name. One that went away since uses nothing any more.
func (s *secretService) references(ctx context.Context, sec *registry.Secret) ([]*controlv1.SecretReference, error) {
	var all []*controlv1.SecretReference
	add := func(kind, name string, fields []string) {
		for _, field := range fields {
			all = append(all, &controlv1.SecretReference{Kind: kind, Name: name, Field: field})
		}
	}
	for _, name := range sec.Adapters {
		a, err := s.store.Adapter(ctx, name)
		if gone(err) {
			continue
		} else if err != nil {
			return nil, err
		}
		add("adapter", name, a.SecretPlaces(sec.Name))
	}
	for _, name := range sec.Endpoints {
		e, err := s.store.Endpoint(ctx, name)
		if gone(err) {
			continue
		} else if err != nil {
			return nil, err
		}
		add("endpoint", name, e.SecretPlaces(sec.Name))
	}
	for _, name := range sec.Models {
		m, err := s.store.Model(ctx, name)
		if gone(err) {
			continue
		} else if err != nil {
			return nil, err
		}
		add("model", name, m.SecretPlaces(sec.Name))
	}
	return slices.Clip(all), nil
}

func secretTo(s *registry.Secret) *controlv1.Secret {
	m := &controlv1.Secret{
		Id: s.ID, Name: s.Name, Endpoints: s.Endpoints, Models: s.Models, Adapters: s.Adapters,
		CreateTime: timeTo(s.Created), UpdateTime: timeTo(s.Updated), Version: s.Version, Description: s.Description,
		Reference: s.Reference, Etag: s.ETag(), Revision: s.Revision, ManagedBy: s.ManagedBy,
	}
	if s.RollbackEnd != nil {
		m.RollbackEndTime = timeTo(*s.RollbackEnd)
	}
	return m
}

// gone says whether something was there a moment ago and is not now.
func gone(err error) bool { return errors.Is(err, fault.New(fault.ObjectNotFound, "")) }
