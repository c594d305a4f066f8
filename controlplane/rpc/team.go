package rpc

import (
	"context"

	"tollgate/controlplane/registry"
	"tollgate/controlplane/store"
	controlv1 "tollgate/gen/tollgate/control/v1"
)

type teamService struct{ store *store.Store }

func (s *teamService) CreateTeam(ctx context.Context, req *controlv1.CreateTeamRequest) (*controlv1.CreateTeamResponse, error) {
	t, err := s.store.CreateTeam(ctx, actor(ctx), req.GetName())
	if err != nil {
		return nil, err
	}
	return &controlv1.CreateTeamResponse{Team: teamTo(&t)}, nil
}

func (s *teamService) GetTeam(ctx context.Context, req *controlv1.GetTeamRequest) (*controlv1.GetTeamResponse, error) {
	t, err := s.store.Team(ctx, req.GetTeam())
	if err != nil {
		return nil, err
	}
	return &controlv1.GetTeamResponse{Team: teamTo(&t)}, nil
}

func (s *teamService) ListTeams(ctx context.Context, req *controlv1.ListTeamsRequest) (*controlv1.ListTeamsResponse, error) {
	all, next, err := s.store.Teams(ctx, store.Page{Size: int(req.GetPageSize()), Token: req.GetPageToken()})
	if err != nil {
		return nil, err
	}
	return &controlv1.ListTeamsResponse{Teams: each(all, teamTo), NextPageToken: next}, nil
}

func (s *teamService) DeleteTeam(ctx context.Context, req *controlv1.DeleteTeamRequest) (*controlv1.DeleteTeamResponse, error) {
	if err := s.store.DeleteTeam(ctx, actor(ctx), req.GetTeam()); err != nil {
		return nil, err
	}
	return &controlv1.DeleteTeamResponse{}, nil
}

func teamTo(t *registry.Team) *controlv1.Team {
	return &controlv1.Team{Id: t.ID, Name: t.Name, CreateTime: timeTo(t.Created), Revision: t.Revision}
}
