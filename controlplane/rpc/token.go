package rpc

import (
	"context"

	"tollgate/controlplane/access"
	"tollgate/controlplane/registry"
	"tollgate/controlplane/signin"
	"tollgate/controlplane/store"
	controlv1 "tollgate/gen/tollgate/control/v1"
	"tollgate/gen/tollgate/control/v1/controlv1connect"
	"tollgate/internal/fault"
)

// suffixLength is how much of a secret is kept to recognise it by.
const suffixLength = 4

type tokenService struct {
	controlv1connect.UnimplementedTokenServiceHandler

	store  *store.Store
	people *signin.Service
}

func (s *tokenService) CreateToken(ctx context.Context, req *controlv1.CreateTokenRequest) (*controlv1.CreateTokenResponse, error) {
	m, p := req.GetToken(), problems("token")
	t := access.Token{Name: m.GetName(), Team: m.GetTeam(), Expires: timeFrom(m.GetExpireTime(), "expire_time", "expiry", p)}
	if m.GetRole() != controlv1.Role_ROLE_UNSPECIFIED {
		t.Role = access.RoleWord(m.GetRole())
	}
	for _, permission := range m.GetPermissions() {
		t.Permissions = append(t.Permissions, access.PermissionWord(permission))
	}
	switch {
	case t.Role == "" && len(t.Permissions) == 0:
		p.Add("permissions", registry.Required, "Give the token a role or permissions.")
	case t.Role != "" && len(t.Permissions) > 0:
		p.Add("permissions", registry.Malformed, "Give the token a role or permissions, not both.")
	case t.Role == access.RoleWord(controlv1.Role_ROLE_MEMBER):
		p.Add("role", registry.Malformed, "A member may do nothing but what their teams allow, and a token is no member: give it permissions and a team.")
	}
	secret, hash := signin.NewToken()
	t.Suffix = secret[len(secret)-suffixLength:]
	stored, err := s.store.CreateToken(ctx, actor(ctx), t, hash, s.mayGrant(ctx), p)
	if err != nil {
		return nil, err
	}
	return &controlv1.CreateTokenResponse{Token: tokenTo(&stored), Secret: secret}, nil
}

// mayGrant keeps callers from handing on more than they have.
func (s *tokenService) mayGrant(ctx context.Context) func(*access.Token) error {
	c := access.From(ctx)
	return func(t *access.Token) error {
		if c.MayGrant(access.RoleOf(t.Role), access.Rights(t), t.TeamID) {
			return nil
		}
		return fault.New(fault.PermissionDenied, "Nobody may make a token that may do more than they may do themselves.").
			WithHint("Give it fewer permissions, or ask an owner to make it.")
	}
}

func (s *tokenService) ListTokens(ctx context.Context, req *controlv1.ListTokensRequest) (*controlv1.ListTokensResponse, error) {
	all, next, err := s.store.Tokens(ctx, store.Page{Size: int(req.GetPageSize()), Token: req.GetPageToken()})
	if err != nil {
		return nil, err
	}
	return &controlv1.ListTokensResponse{Tokens: each(all, tokenTo), NextPageToken: next}, nil
}

func (s *tokenService) RevokeToken(ctx context.Context, req *controlv1.RevokeTokenRequest) (*controlv1.RevokeTokenResponse, error) {
	owner := access.From(ctx).Owner()
	t, err := s.store.RevokeToken(ctx, actor(ctx), req.GetToken(), func(t *access.Token) error {
		if t.Role == access.RoleWord(controlv1.Role_ROLE_OWNER) && !owner {
			return fault.New(fault.PermissionDenied, "Only owners may revoke tokens of owners.")
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	s.people.Forget()
	return &controlv1.RevokeTokenResponse{Token: tokenTo(&t)}, nil
}

func tokenTo(t *access.Token) *controlv1.Token {
	m := &controlv1.Token{
		Id: t.ID, Name: t.Name, Role: access.RoleOf(t.Role), Team: t.Team, ExpireTime: timeTo(t.Expires), RevokeTime: timeTo(t.Revoked),
		UseTime: timeTo(t.Used), CreateTime: timeTo(t.Created), Creator: t.Creator, Suffix: t.Suffix,
	}
	for _, word := range t.Permissions {
		m.Permissions = append(m.Permissions, access.PermissionOf(word))
	}
	return m
}
