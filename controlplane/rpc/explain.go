package rpc

import (
	"cmp"
	"context"

	"tollgate/controlplane/store"
	controlv1 "tollgate/gen/tollgate/control/v1"
	eventv1 "tollgate/gen/tollgate/event/v1"
)

// Edges take requests through their own stages and tell what they would do with them.
type Edges interface {
	Explain(ctx context.Context, edge string, call *eventv1.ExplainCall) (*controlv1.Explanation, error)
}

type explainService struct {
	store *store.Store
	edges Edges
}

// Explain knows nothing of routing: the answer is that of an edge, with the configuration that it serves.
func (s *explainService) Explain(ctx context.Context, req *controlv1.ExplainRequest) (*controlv1.ExplainResponse, error) {
	call := &eventv1.ExplainCall{
		Method: req.GetMethod(), Path: req.GetPath(), Headers: req.GetHeaders(), BodyBytes: cmp.Or(req.GetBodyBytes(), int64(len(req.GetBody()))),
		Body: req.GetBody(),
	}
	if ref := req.GetKey(); ref != "" {
		hash, err := s.store.KeyHash(ctx, ref)
		if err != nil {
			return nil, err
		}
		call.KeySha256 = hash
	}
	explanation, err := s.edges.Explain(ctx, req.GetEdge(), call)
	if err != nil {
		return nil, err
	}
	return &controlv1.ExplainResponse{Explanation: explanation}, nil
}
