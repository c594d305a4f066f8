package apply_test

import (
	"context"
	"errors"
	"testing"

	"connectrpc.com/connect"
	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"

	controlv1 "tollgate/gen/tollgate/control/v1"
	"tollgate/gen/tollgate/control/v1/controlv1connect"
	"tollgate/internal/cli/apply"
	"tollgate/internal/plan"
)

// models is a server of models that stores nothing where nothing changes.
type models struct {
	controlv1connect.ModelServiceClient

	stored *controlv1.Model
	alias  string // of another model
	writes int
}

func (s *models) store(m *controlv1.Model) *controlv1.Model {
	next := proto.CloneOf(m)
	next.Id, next.Etag, next.Revision, next.Balance = "mdl_x", "etag", int64(s.writes), controlv1.Balance_BALANCE_FAILOVER
	if !proto.Equal(s.stored, next) {
		s.writes++
		next.Revision = int64(s.writes)
		s.stored = next
	}
	return proto.CloneOf(s.stored)
}

func (s *models) GetModel(_ context.Context, req *controlv1.GetModelRequest) (*controlv1.GetModelResponse, error) {
	switch {
	case req.GetModel() == s.alias:
		return &controlv1.GetModelResponse{Model: &controlv1.Model{Name: "another", Aliases: []string{s.alias}, Id: "mdl_y", Etag: "etag"}}, nil
	case s.stored == nil:
		return nil, connect.NewError(connect.CodeNotFound, errors.New("no"))
	}
	return &controlv1.GetModelResponse{Model: proto.CloneOf(s.stored)}, nil
}

func (s *models) CreateModel(_ context.Context, req *controlv1.CreateModelRequest) (*controlv1.CreateModelResponse, error) {
	if req.GetModel().GetName() == s.alias {
		return nil, connect.NewError(connect.CodeAlreadyExists, errors.New("it is an alias of another"))
	}
	return &controlv1.CreateModelResponse{Model: s.store(req.GetModel())}, nil
}

func (s *models) UpdateModel(_ context.Context, req *controlv1.UpdateModelRequest) (*controlv1.UpdateModelResponse, error) {
	if req.GetModel().GetEtag() != "etag" || req.GetModel().GetId() != "mdl_x" {
		return nil, connect.NewError(connect.CodeAborted, errors.New("stale"))
	}
	return &controlv1.UpdateModelResponse{Model: s.store(req.GetModel())}, nil
}

// Guarantee: applying a plan again writes no model, and a change of the plan is written; a model whose name is an alias of
// another is refused, and the other one stays as it is.
func TestApplyModels(t *testing.T) {
	t.Parallel()
	server := &models{}
	wanted := &controlv1.Model{Name: "gpt-4o", Deployments: []*controlv1.Deployment{{Name: "openai"}}}
	run := func() apply.Result {
		t.Helper()
		r, err := apply.Apply(t.Context(), apply.Clients{Models: server}, &plan.Plan{Models: []*controlv1.Model{wanted}})
		if err != nil || len(r.Actions) != 1 || r.Actions[0].Kind != apply.Model || r.Actions[0].Name != "gpt-4o" {
			t.Fatalf("%+v, %v", r, err)
		}
		return r.Actions[0].Result
	}
	got := []apply.Result{run(), run()}
	wanted.Aliases = []string{"best"}
	got = append(got, run(), run())
	if diff := cmp.Diff([]apply.Result{apply.Created, apply.Unchanged, apply.Updated, apply.Unchanged}, got); diff != "" || server.writes != 2 {
		t.Errorf("%d writes, -want +got\n%s", server.writes, diff)
	}
	server = &models{alias: "gpt-4o"}
	_, err := apply.Apply(t.Context(), apply.Clients{Models: server}, &plan.Plan{Models: []*controlv1.Model{wanted}})
	at, ok := errors.AsType[*apply.Error](err)
	if !ok || at.Kind != apply.Model || connect.CodeOf(err) != connect.CodeAlreadyExists || server.writes != 0 {
		t.Errorf("%d writes, err = %v", server.writes, err)
	}
}
