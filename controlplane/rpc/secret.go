package rpc

import (
	"context"

	"tollgate/controlplane/registry"
	"tollgate/controlplane/store"
	controlv1 "tollgate/gen/tollgate/control/v1"
)

type secretService struct {
	store *store.Store
	vault Vault
}

func (s *secretService) CreateSecret(ctx context.Context, req *controlv1.CreateSecretRequest) (*controlv1.CreateSecretResponse, error) {
	p := problems("")
	registry.CheckSecretValue(p, req.GetValue())
	sec, err := s.store.CreateSecret(ctx, actor(ctx), req.GetName(), s.encrypt(req.GetValue()), p)
	if err != nil {
		return nil, err
	}
	return &controlv1.CreateSecretResponse{Secret: secretTo(&sec)}, nil
}

func (s *secretService) encrypt(value string) store.Encrypt {
	return func(id string) ([]byte, error) { return s.vault.Encrypt(id, value) }
}

func (s *secretService) ListSecrets(ctx context.Context, req *controlv1.ListSecretsRequest) (*controlv1.ListSecretsResponse, error) {
	all, next, err := s.store.Secrets(ctx, store.Page{Size: int(req.GetPageSize()), Token: req.GetPageToken()})
	if err != nil {
		return nil, err
	}
	return &controlv1.ListSecretsResponse{Secrets: each(all, secretTo), NextPageToken: next}, nil
}

func (s *secretService) RotateSecret(ctx context.Context, req *controlv1.RotateSecretRequest) (*controlv1.RotateSecretResponse, error) {
	p := problems("")
	registry.CheckSecretValue(p, req.GetValue())
	sec, err := s.store.RotateSecret(ctx, actor(ctx), req.GetSecret(), s.encrypt(req.GetValue()), p)
	if err != nil {
		return nil, err
	}
	return &controlv1.RotateSecretResponse{Secret: secretTo(&sec)}, nil
}

func (s *secretService) DeleteSecret(ctx context.Context, req *controlv1.DeleteSecretRequest) (*controlv1.DeleteSecretResponse, error) {
	if err := s.store.DeleteSecret(ctx, actor(ctx), req.GetSecret()); err != nil {
		return nil, err
	}
	return &controlv1.DeleteSecretResponse{}, nil
}

func secretTo(s *registry.Secret) *controlv1.Secret {
	return &controlv1.Secret{
		Id: s.ID, Name: s.Name, Endpoints: s.Endpoints, Models: s.Models, Adapters: s.Adapters,
		CreateTime: timeTo(s.Created), UpdateTime: timeTo(s.Updated),
	}
}
