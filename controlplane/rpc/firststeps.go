package rpc

import (
	"cmp"
	"context"

	"tollgate/controlplane/access"
	"tollgate/controlplane/store"
	controlv1 "tollgate/gen/tollgate/control/v1"
	ledgerv1 "tollgate/gen/tollgate/ledger/v1"
)

// GetFirstSteps looks at what is there of what the caller may see.
func (s *overviewService) GetFirstSteps(ctx context.Context, _ *controlv1.GetFirstStepsRequest) (*controlv1.GetFirstStepsResponse, error) {
	caller, one := access.From(ctx), store.ListQuery{Page: store.Page{Size: 1}}
	endpoints, _, err := s.store.Endpoints(ctx, one)
	if err != nil {
		return nil, err
	}
	keys, _, err := s.store.Keys(ctx, caller.Scope(access.KeysRead), one)
	if err != nil {
		return nil, err
	}
	budgets, _, err := s.store.Budgets(ctx, caller.Scope(access.MoneyRead), one)
	if err != nil {
		return nil, err
	}
	sent, err := s.requestSent(ctx)
	if err != nil {
		return nil, err
	}
	out := &controlv1.GetFirstStepsResponse{Steps: []*controlv1.FirstStep{
		{Kind: controlv1.FirstStepKind_FIRST_STEP_KIND_ENDPOINT, Done: len(endpoints) > 0},
		{Kind: controlv1.FirstStepKind_FIRST_STEP_KIND_KEY, Done: len(keys) > 0},
		{Kind: controlv1.FirstStepKind_FIRST_STEP_KIND_REQUEST, Done: sent},
		{Kind: controlv1.FirstStepKind_FIRST_STEP_KIND_BUDGET, Done: len(budgets) > 0},
	}}
	out.Dismissed, err = s.store.FirstStepsDismissed(ctx, stepsOf(caller))
	return out, err
}

// requestSent says whether a request was sent, by the books or, where those cannot be read, by what edges count.
func (s *overviewService) requestSent(ctx context.Context) (bool, error) {
	reach, err := teamsOf(ctx, s.store)
	if err != nil {
		return false, err
	}
	s.mu.Lock()
	sent := s.sent && reach.everywhere
	s.mu.Unlock()
	if sent {
		return true, nil
	}
	teams := reach.teams
	if reach.everywhere {
		teams = []string{""}
	}
	for _, team := range teams {
		got, err := s.ledger.listRequests(ctx, &ledgerv1.ListRequestsRequest{Filter: &ledgerv1.RequestFilter{Team: team}, PageSize: 1})
		if err != nil {
			break
		}
		sent = sent || len(got.GetRequests()) > 0
	}
	if !reach.everywhere {
		return sent, nil
	}
	if !sent {
		view, err := s.board.Look(ctx)
		if err != nil {
			return false, err
		}
		for _, n := range view.Nodes {
			sent = sent || n.GetRequests() > 0
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sent = sent
	return sent, nil
}

func (s *overviewService) DismissFirstSteps(ctx context.Context, req *controlv1.DismissFirstStepsRequest) (*controlv1.DismissFirstStepsResponse, error) {
	if err := s.store.DismissFirstSteps(ctx, stepsOf(access.From(ctx)), req.GetDismissed()); err != nil {
		return nil, err
	}
	return &controlv1.DismissFirstStepsResponse{}, nil
}

// stepsOf is by whom it is kept what somebody wants to see: a person, whatever they are called, or a token.
func stepsOf(c *access.Caller) string { return cmp.Or(c.PersonID, c.Actor) }
