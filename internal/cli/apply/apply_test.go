package apply_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"connectrpc.com/connect"
	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"

	controlv1 "tollgate/gen/tollgate/control/v1"
	"tollgate/gen/tollgate/control/v1/controlv1connect"
	"tollgate/internal/cli/apply"
	"tollgate/internal/plan"
)

// endpoints is a server that writes out what was left out, and writes nothing where nothing changes, as
// the real one does.
type endpoints struct {
	controlv1connect.EndpointServiceClient

	stored *controlv1.Endpoint
	writes int
	fail   error
}

func (s *endpoints) store(e *controlv1.Endpoint) *controlv1.Endpoint {
	next := proto.CloneOf(e)
	next.Id, next.Etag, next.Revision = "ep_x", "etag", int64(s.writes)
	slices.Sort(next.Methods)
	if next.GetTimeout() == nil {
		next.Timeout = durationpb.New(10 * time.Minute)
	}
	next.Balance = controlv1.Balance_BALANCE_FAILOVER
	next.Warnings = []*controlv1.Warning{{Field: "targets[0].url", Code: "target_plain"}}
	if !proto.Equal(s.stored, next) {
		s.writes++
		next.Revision = int64(s.writes)
		s.stored = next
	}
	return proto.CloneOf(s.stored)
}

func (s *endpoints) GetEndpoint(context.Context, *controlv1.GetEndpointRequest) (*controlv1.GetEndpointResponse, error) {
	if s.stored == nil {
		return nil, connect.NewError(connect.CodeNotFound, errors.New("no"))
	}
	return &controlv1.GetEndpointResponse{Endpoint: proto.CloneOf(s.stored)}, nil
}

func (s *endpoints) CreateEndpoint(_ context.Context, req *controlv1.CreateEndpointRequest) (*controlv1.CreateEndpointResponse, error) {
	if s.fail != nil {
		return nil, s.fail
	}
	return &controlv1.CreateEndpointResponse{Endpoint: s.store(req.GetEndpoint())}, nil
}

func (s *endpoints) UpdateEndpoint(_ context.Context, req *controlv1.UpdateEndpointRequest) (*controlv1.UpdateEndpointResponse, error) {
	if req.GetEndpoint().GetEtag() != "etag" {
		return nil, connect.NewError(connect.CodeAborted, errors.New("stale"))
	}
	return &controlv1.UpdateEndpointResponse{Endpoint: s.store(req.GetEndpoint())}, nil
}

// Guarantee: applying a plan again writes no endpoint, although the server spells it out; a change of
// the plan is written, and so is a setting that the plan no longer has.
func TestApplyAgain(t *testing.T) {
	t.Parallel()
	server := &endpoints{}
	wanted := &controlv1.Endpoint{Name: "bria", Path: "/bria", Methods: []string{"POST", "GET"}}
	run := func() apply.Result {
		t.Helper()
		before := proto.CloneOf(wanted)
		r, err := apply.Apply(t.Context(), apply.Clients{Endpoints: server}, &plan.Plan{Endpoints: []*controlv1.Endpoint{wanted}})
		if err != nil || len(r.Actions) != 1 {
			t.Fatalf("%+v, %v", r, err)
		}
		if !proto.Equal(before, wanted) {
			t.Error("the plan was changed")
		}
		return r.Actions[0].Result
	}
	var got []apply.Result
	got = append(got, run(), run())
	wanted.Timeout = durationpb.New(time.Minute)
	got = append(got, run(), run())
	wanted.Timeout = nil
	got = append(got, run(), run())
	want := []apply.Result{apply.Created, apply.Unchanged, apply.Updated, apply.Unchanged, apply.Updated, apply.Unchanged}
	if diff := cmp.Diff(want, got); diff != "" || server.writes != 3 {
		t.Errorf("%d writes\n%s", server.writes, diff)
	}
}

// Guarantee: a failure names what it was met at, and keeps the server's answer.
func TestApplyFailure(t *testing.T) {
	t.Parallel()
	server := &endpoints{fail: connect.NewError(connect.CodeInvalidArgument, errors.New("no"))}
	_, err := apply.Apply(t.Context(), apply.Clients{Endpoints: server}, &plan.Plan{Endpoints: []*controlv1.Endpoint{{Name: "bria"}}})
	at, ok := errors.AsType[*apply.Error](err)
	if !ok || at.Kind != apply.Endpoint || at.Name != "bria" || connect.CodeOf(err) != connect.CodeInvalidArgument {
		t.Errorf("err = %v", err)
	}
}
