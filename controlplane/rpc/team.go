package rpc

import (
	"context"

	"tollgate/controlplane/access"
	"tollgate/controlplane/registry"
	"tollgate/controlplane/store"
	controlv1 "tollgate/gen/tollgate/control/v1"
	"tollgate/gen/tollgate/control/v1/controlv1connect"
)

type teamService struct {
	controlv1connect.UnimplementedTeamServiceHandler

	store *store.Store
}

func (s *teamService) CreateTeam(ctx context.Context, req *controlv1.CreateTeamRequest) (*controlv1.CreateTeamResponse, error) {
	p := problems("")
	t, err := s.store.CreateTeam(ctx, actor(ctx), registry.Team{
		Name: req.GetName(), Description: req.GetDescription(), Endpoints: req.GetEndpoints(), Restricted: req.GetRestricted(),
		Models: req.GetModels(), Metadata: metadataFrom(req.GetMetadata(), p),
	}, p)
	if err != nil {
		return nil, err
	}
	m, err := teamTo(&t)
	return &controlv1.CreateTeamResponse{Team: m}, err
}

func (s *teamService) GetTeam(ctx context.Context, req *controlv1.GetTeamRequest) (*controlv1.GetTeamResponse, error) {
	t, err := s.store.Team(ctx, keysOf(ctx, access.KeysRead), req.GetTeam())
	if err != nil {
		return nil, err
	}
	m, err := teamTo(&t)
	return &controlv1.GetTeamResponse{Team: m}, err
}

func (s *teamService) ListTeams(ctx context.Context, req *controlv1.ListTeamsRequest) (*controlv1.ListTeamsResponse, error) {
	all, next, err := s.store.Teams(ctx, keysOf(ctx, access.KeysRead), listQuery(req))
	if err != nil {
		return nil, err
	}
	teams, err := eachOrFail(all, teamTo)
	return &controlv1.ListTeamsResponse{Teams: teams, NextPageToken: next}, err
}

var teamFields = []string{"name", "description", "endpoints", "restricted", "models", "metadata", "blocked"}

func (s *teamService) UpdateTeam(ctx context.Context, req *controlv1.UpdateTeamRequest) (*controlv1.UpdateTeamResponse, error) {
	p := problems("")
	changes := fieldsOf(req.GetUpdateMask(), teamFields, p)
	if req.GetUpdateMask() == nil {
		// Everything but a name that is not given.
		changes = func(field string) bool { return field != "name" || req.GetName() != "" }
	}
	metadata := metadataFrom(req.GetMetadata(), p)
	edit := func(t *registry.Team) {
		for field, change := range map[string]func(){
			"name":        func() { t.Name = req.GetName() },
			"description": func() { t.Description = req.GetDescription() },
			"endpoints":   func() { t.Endpoints = req.GetEndpoints() },
			"restricted":  func() { t.Restricted = req.GetRestricted() },
			"models":      func() { t.Models = req.GetModels() },
			"metadata":    func() { t.Metadata = metadata },
			"blocked":     func() { t.Blocked = req.GetBlocked() },
		} {
			if changes(field) {
				change()
			}
		}
		switch {
		case changes("endpoints") && !changes("restricted"):
			t.Restricted = true // as with keys
		case changes("restricted") && !changes("endpoints") && !t.Restricted:
			t.Endpoints = nil
		}
	}
	t, err := s.store.UpdateTeam(ctx, actor(ctx), req.GetTeam(), req.GetEtag(), edit, p)
	if err != nil {
		return nil, err
	}
	m, err := teamTo(&t)
	return &controlv1.UpdateTeamResponse{Team: m}, err
}

func (s *teamService) DeleteTeam(ctx context.Context, req *controlv1.DeleteTeamRequest) (*controlv1.DeleteTeamResponse, error) {
	if err := s.store.DeleteTeam(ctx, actor(ctx), req.GetTeam(), req.GetEtag(), req.GetMoveKeysTo(), problems("")); err != nil {
		return nil, err
	}
	return &controlv1.DeleteTeamResponse{}, nil
}

func (s *teamService) SetTeamMember(ctx context.Context, req *controlv1.SetTeamMemberRequest) (*controlv1.SetTeamMemberResponse, error) {
	t, err := s.store.SetTeamMember(ctx, actor(ctx), keysOf(ctx, access.KeysWrite), req.GetTeam(), req.GetPerson(), int32(req.GetRole()))
	if err != nil {
		return nil, err
	}
	m, err := teamTo(&t)
	return &controlv1.SetTeamMemberResponse{Team: m}, err
}

func (s *teamService) RemoveTeamMember(ctx context.Context, req *controlv1.RemoveTeamMemberRequest) (*controlv1.RemoveTeamMemberResponse, error) {
	t, err := s.store.RemoveTeamMember(ctx, actor(ctx), keysOf(ctx, access.KeysWrite), req.GetTeam(), req.GetPerson())
	if err != nil {
		return nil, err
	}
	m, err := teamTo(&t)
	return &controlv1.RemoveTeamMemberResponse{Team: m}, err
}

func teamTo(t *registry.Team) (*controlv1.Team, error) {
	metadata, err := metadataTo(t.Metadata)
	if err != nil {
		return nil, err
	}
	m := &controlv1.Team{
		Id: t.ID, Name: t.Name, CreateTime: timeTo(t.Created), Revision: t.Revision, Etag: t.ETag(), Description: t.Description,
		Endpoints: t.Endpoints, Restricted: t.Restricted, Models: t.Models, Metadata: metadata, Blocked: t.Blocked,
		Keys: t.Keys, ManagedBy: t.ManagedBy,
	}
	for _, who := range t.Members {
		m.Members = append(m.Members, &controlv1.TeamMember{PersonId: who.PersonID, Email: who.Email, Role: controlv1.TeamRole(who.Role)})
	}
	return m, nil
}
