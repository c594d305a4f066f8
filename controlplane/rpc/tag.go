package rpc

import (
	"context"

	"tollgate/controlplane/registry"
	"tollgate/controlplane/store"
	controlv1 "tollgate/gen/tollgate/control/v1"
	"tollgate/gen/tollgate/control/v1/controlv1connect"
)

type tagService struct {
	controlv1connect.UnimplementedTagServiceHandler

	store *store.Store
}

func (s *tagService) ListTags(ctx context.Context, req *controlv1.ListTagsRequest) (*controlv1.ListTagsResponse, error) {
	all, next, err := s.store.Tags(ctx, store.ListQuery{
		Page: store.Page{Size: int(req.GetPageSize()), Token: req.GetPageToken()}, Filter: req.GetFilter(),
	})
	if err != nil {
		return nil, err
	}
	return &controlv1.ListTagsResponse{Tags: each(all, tagTo), NextPageToken: next}, nil
}

func (s *tagService) SetTag(ctx context.Context, req *controlv1.SetTagRequest) (*controlv1.SetTagResponse, error) {
	t, err := s.store.SetTag(ctx, actor(ctx), registry.Tag{Name: req.GetTag().GetName(), Description: req.GetTag().GetDescription()}, problems("tag"))
	if err != nil {
		return nil, err
	}
	return &controlv1.SetTagResponse{Tag: tagTo(&t)}, nil
}

func (s *tagService) DeleteTag(ctx context.Context, req *controlv1.DeleteTagRequest) (*controlv1.DeleteTagResponse, error) {
	if err := s.store.DeleteTag(ctx, actor(ctx), req.GetTag()); err != nil {
		return nil, err
	}
	return &controlv1.DeleteTagResponse{}, nil
}

func tagTo(t *registry.Tag) *controlv1.Tag {
	return &controlv1.Tag{
		Name: t.Name, Description: t.Description, Keys: t.Keys, Budgets: t.Budgets, Limits: t.Limits,
		CreateTime: timeTo(t.Created), ManagedBy: t.ManagedBy,
	}
}
