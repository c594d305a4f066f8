package rpc

import (
	"context"
	"net/http"
	"time"

	"connectrpc.com/connect"

	"tollgate/controlplane/access"
	"tollgate/controlplane/signin"
	"tollgate/controlplane/store"
	controlv1 "tollgate/gen/tollgate/control/v1"
	"tollgate/gen/tollgate/control/v1/controlv1connect"
)

type accountService struct {
	controlv1connect.UnimplementedAccountServiceHandler

	store  *store.Store
	people *signin.Service
}

func (s *accountService) GetCaller(ctx context.Context, _ *controlv1.GetCallerRequest) (*controlv1.GetCallerResponse, error) {
	c := access.From(ctx)
	out := &controlv1.GetCallerResponse{Token: c.Token, Permissions: c.Everywhere.List(), ExpireTime: timeTo(c.Expires)}
	if c.PersonID != "" {
		p, err := s.store.Person(ctx, c.PersonID)
		if err != nil {
			return nil, err
		}
		out.Person, out.Teams = personTo(&p), membershipsTo(p.Teams)
		return out, nil
	}
	for id, role := range c.Teams {
		t, err := s.store.Team(ctx, store.Anywhere, id)
		if err != nil {
			return nil, err
		}
		out.Teams = append(out.Teams, &controlv1.TeamMembership{Team: t.Name, Role: role})
	}
	return out, nil
}

func (s *accountService) ListSignInMethods(ctx context.Context, _ *controlv1.ListSignInMethodsRequest) (*controlv1.ListSignInMethodsResponse, error) {
	m, err := s.people.Methods(ctx)
	if err != nil {
		return nil, err
	}
	return &controlv1.ListSignInMethodsResponse{Password: true, SingleSignOn: m.SingleSignOn, Provider: m.Provider, Setup: m.Setup}, nil
}

func (s *accountService) SignIn(ctx context.Context, req *controlv1.SignInRequest) (*controlv1.SignInResponse, error) {
	started, err := s.people.SignIn(ctx, req.GetEmail(), req.GetPassword(), visitOf(ctx).From)
	if err != nil {
		return nil, err
	}
	setCookie(ctx, s.people.Cookie(visitOf(ctx).Request, started))
	return &controlv1.SignInResponse{Person: personTo(&started.Person)}, nil
}

func (s *accountService) GetLink(ctx context.Context, req *controlv1.GetLinkRequest) (*controlv1.GetLinkResponse, error) {
	l, err := s.people.Link(ctx, req.GetToken())
	if err != nil {
		return nil, err
	}
	return &controlv1.GetLinkResponse{Setup: l.Setup, Email: l.Email, Name: l.Name, ExpireTime: timeTo(l.Expires)}, nil
}

func (s *accountService) RedeemLink(ctx context.Context, req *controlv1.RedeemLinkRequest) (*controlv1.RedeemLinkResponse, error) {
	started, err := s.people.RedeemLink(ctx, req.GetToken(), req.GetName(), req.GetEmail(), req.GetPassword(), visitOf(ctx).From)
	if err != nil {
		return nil, err
	}
	setCookie(ctx, s.people.Cookie(visitOf(ctx).Request, started))
	return &controlv1.RedeemLinkResponse{Person: personTo(&started.Person)}, nil
}

// setCookie gives a browser its session. Other clients find it in the header as well, and have no use for it.
func setCookie(ctx context.Context, c *http.Cookie) {
	if info, ok := connect.CallInfoForHandlerContext(ctx); ok {
		info.ResponseHeader().Add("Set-Cookie", c.String())
		info.ResponseHeader().Set("Cache-Control", "no-store")
	}
}

func (s *accountService) SignOut(ctx context.Context, _ *controlv1.SignOutRequest) (*controlv1.SignOutResponse, error) {
	c := access.From(ctx)
	if err := s.people.EndSession(ctx, c, c.Session); err != nil {
		return nil, err
	}
	setCookie(ctx, s.people.NoCookie(visitOf(ctx).Request))
	return &controlv1.SignOutResponse{}, nil
}

func (s *accountService) ChangePassword(ctx context.Context, req *controlv1.ChangePasswordRequest) (*controlv1.ChangePasswordResponse, error) {
	err := s.people.ChangePassword(ctx, access.From(ctx), req.GetOldPassword(), req.GetNewPassword(), visitOf(ctx).From.Address)
	if err != nil {
		return nil, err
	}
	return &controlv1.ChangePasswordResponse{}, nil
}

func (s *accountService) ListSessions(ctx context.Context, _ *controlv1.ListSessionsRequest) (*controlv1.ListSessionsResponse, error) {
	c := access.From(ctx)
	all, err := s.people.Sessions(ctx, c)
	if err != nil {
		return nil, err
	}
	out := &controlv1.ListSessionsResponse{}
	for _, one := range all {
		out.Sessions = append(out.Sessions, &controlv1.Session{
			Id: one.ID, Agent: one.Agent, Address: one.Address, CreateTime: timeTo(one.Created), UseTime: timeTo(one.Used),
			ExpireTime: timeTo(one.Expires), Current: one.ID == c.Session,
		})
	}
	return out, nil
}

func (s *accountService) EndSession(ctx context.Context, req *controlv1.EndSessionRequest) (*controlv1.EndSessionResponse, error) {
	if err := s.people.EndSession(ctx, access.From(ctx), req.GetSession()); err != nil {
		return nil, err
	}
	return &controlv1.EndSessionResponse{}, nil
}

func (s *accountService) StartDeviceSignIn(ctx context.Context, req *controlv1.StartDeviceSignInRequest) (*controlv1.StartDeviceSignInResponse, error) {
	from := visitOf(ctx).From
	if from.Agent = req.GetAgent(); from.Agent == "" {
		from.Agent = "A command line"
	}
	d, err := s.people.StartDevice(ctx, from)
	if err != nil {
		return nil, err
	}
	return &controlv1.StartDeviceSignInResponse{
		DeviceCode: d.DeviceCode, UserCode: d.UserCode, Url: d.URL, ExpireTime: timeTo(d.Expires), IntervalSeconds: int32(d.Interval / time.Second),
	}, nil
}

func (s *accountService) PollDeviceSignIn(ctx context.Context, req *controlv1.PollDeviceSignInRequest) (*controlv1.PollDeviceSignInResponse, error) {
	started, err := s.people.PollDevice(ctx, req.GetDeviceCode(), visitOf(ctx).From)
	if err != nil {
		return nil, err
	}
	return &controlv1.PollDeviceSignInResponse{Secret: started.Secret, Person: personTo(&started.Person), ExpireTime: timeTo(started.Session.Expires)}, nil
}

func (s *accountService) GetDeviceSignIn(ctx context.Context, req *controlv1.GetDeviceSignInRequest) (*controlv1.GetDeviceSignInResponse, error) {
	d, err := s.people.WaitingDevice(ctx, access.From(ctx), req.GetUserCode(), visitOf(ctx).From.Address)
	if err != nil {
		return nil, err
	}
	return &controlv1.GetDeviceSignInResponse{UserCode: d.UserCode, Agent: d.Agent, ExpireTime: timeTo(d.Expires)}, nil
}

func (s *accountService) DecideDeviceSignIn(ctx context.Context, req *controlv1.DecideDeviceSignInRequest) (*controlv1.DecideDeviceSignInResponse, error) {
	agent, err := s.people.DecideDevice(ctx, access.From(ctx), req.GetUserCode(), req.GetAllow(), visitOf(ctx).From.Address)
	if err != nil {
		return nil, err
	}
	return &controlv1.DecideDeviceSignInResponse{Agent: agent}, nil
}
