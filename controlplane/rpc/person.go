package rpc

import (
	"context"
	"time"

	"tollgate/controlplane/access"
	"tollgate/controlplane/registry"
	"tollgate/controlplane/signin"
	"tollgate/controlplane/store"
	controlv1 "tollgate/gen/tollgate/control/v1"
	"tollgate/gen/tollgate/control/v1/controlv1connect"
	"tollgate/internal/fault"
)

type personService struct {
	controlv1connect.UnimplementedPersonServiceHandler

	store  *store.Store
	people *signin.Service
}

func (s *personService) CreatePerson(ctx context.Context, req *controlv1.CreatePersonRequest) (*controlv1.CreatePersonResponse, error) {
	m := req.GetPerson()
	p := access.Person{Email: signin.Email(m.GetEmail()), Name: m.GetName(), Role: access.RoleWord(m.GetRole()), Disabled: m.GetDisabled()}
	if p.Email == "" {
		bad := problems("person")
		bad.Add("email", registry.Malformed, "This is not an e-mail address.")
		return nil, bad.Err("the person")
	}
	if err := mayMake(ctx, m.GetRole()); err != nil {
		return nil, err
	}
	secret, hash, lasts := signin.Invite()
	stored, err := s.store.CreatePerson(ctx, actor(ctx), p, hash, lasts)
	if err != nil {
		return nil, err
	}
	return &controlv1.CreatePersonResponse{Person: personTo(&stored), Link: s.people.LinkTo(secret, visitOf(ctx).From)}, nil
}

// mayMake says whether the caller may give somebody a role: nobody gives more than they have.
func mayMake(ctx context.Context, r controlv1.Role) error {
	if access.From(ctx).MayGrant(r, access.OfRole(r), "") {
		return nil
	}
	if r == controlv1.Role_ROLE_OWNER {
		return fault.New(fault.PermissionDenied, "Only owners may make others owners.")
	}
	return fault.New(fault.PermissionDenied, "Nobody may give somebody a role that allows more than they may do themselves.")
}

// touch changes somebody under the lock that keeps true that the caller may.
func (s *personService) touch(ctx context.Context, ref string, f func(context.Context) error) error {
	return s.store.Together(ctx, actor(ctx), false, func(ctx context.Context) error {
		if err := s.mayTouch(ctx, ref); err != nil {
			return err
		}
		return f(ctx)
	})
}

// mayTouch says whether the caller may change somebody or let them set a new password: nobody takes the place of somebody who may
// do more.
func (s *personService) mayTouch(ctx context.Context, ref string) error {
	p, err := s.store.Person(ctx, ref)
	if err != nil {
		return err
	}
	r := access.RoleOf(p.Role)
	if access.From(ctx).MayGrant(r, access.OfRole(r), "") {
		return nil
	}
	if r == controlv1.Role_ROLE_OWNER {
		return fault.New(fault.PermissionDenied, "Only owners may change owners.")
	}
	return fault.New(fault.PermissionDenied, "Nobody may change somebody who may do more than they may do themselves.")
}

func (s *personService) GetPerson(ctx context.Context, req *controlv1.GetPersonRequest) (*controlv1.GetPersonResponse, error) {
	p, err := s.store.Person(ctx, req.GetPerson())
	if err != nil {
		return nil, err
	}
	return &controlv1.GetPersonResponse{Person: personTo(&p)}, nil
}

func (s *personService) ListPeople(ctx context.Context, req *controlv1.ListPeopleRequest) (*controlv1.ListPeopleResponse, error) {
	all, next, err := s.store.People(ctx, store.ListQuery{
		Page: store.Page{Size: int(req.GetPageSize()), Token: req.GetPageToken()}, Filter: req.GetFilter(),
	})
	if err != nil {
		return nil, err
	}
	return &controlv1.ListPeopleResponse{People: each(all, personTo), NextPageToken: next}, nil
}

func (s *personService) UpdatePerson(ctx context.Context, req *controlv1.UpdatePersonRequest) (*controlv1.UpdatePersonResponse, error) {
	patch := store.PersonPatch{Name: req.Name, Disabled: req.Disabled}
	if r := req.GetRole(); r != controlv1.Role_ROLE_UNSPECIFIED {
		if err := mayMake(ctx, r); err != nil {
			return nil, err
		}
		word := access.RoleWord(r)
		patch.Role = &word
	}
	var p access.Person
	err := s.touch(ctx, req.GetPerson(), func(ctx context.Context) (err error) {
		p, err = s.store.UpdatePerson(ctx, actor(ctx), access.From(ctx).Owner(), req.GetPerson(), req.GetEtag(), patch)
		return err
	})
	if err != nil {
		return nil, err
	}
	s.people.Forget()
	return &controlv1.UpdatePersonResponse{Person: personTo(&p)}, nil
}

func (s *personService) DeletePerson(ctx context.Context, req *controlv1.DeletePersonRequest) (*controlv1.DeletePersonResponse, error) {
	err := s.touch(ctx, req.GetPerson(), func(ctx context.Context) error {
		return s.store.DeletePerson(ctx, actor(ctx), access.From(ctx).Owner(), req.GetPerson(), req.GetEtag())
	})
	if err != nil {
		return nil, err
	}
	s.people.Forget()
	return &controlv1.DeletePersonResponse{}, nil
}

func (s *personService) CreateSignInLink(ctx context.Context, req *controlv1.CreateSignInLinkRequest) (*controlv1.CreateSignInLinkResponse, error) {
	var link string
	var end time.Time
	err := s.touch(ctx, req.GetPerson(), func(ctx context.Context) (err error) {
		link, end, err = s.people.CreateLink(ctx, access.From(ctx), req.GetPerson(), visitOf(ctx).From)
		return err
	})
	if err != nil {
		return nil, err
	}
	return &controlv1.CreateSignInLinkResponse{Link: link, ExpireTime: timeTo(end)}, nil
}

func personTo(p *access.Person) *controlv1.Person {
	return &controlv1.Person{
		Id: p.ID, Email: p.Email, Name: p.Name, Role: access.RoleOf(p.Role), Disabled: p.Disabled, HasPassword: p.HasPassword,
		SingleSignOn: p.SingleSignOn, Teams: membershipsTo(p.Teams), SignInTime: timeTo(p.SignedIn), Etag: p.ETag(),
		CreateTime: timeTo(p.Created), Revision: p.Revision,
	}
}

func membershipsTo(all []access.Membership) []*controlv1.TeamMembership {
	var out []*controlv1.TeamMembership
	for _, m := range all {
		out = append(out, &controlv1.TeamMembership{Team: m.Team, Role: m.Role})
	}
	return out
}
