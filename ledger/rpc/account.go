package rpc

import (
	"context"
	"time"

	ledgerv1 "tollgate/gen/tollgate/ledger/v1"
)

type accountService struct{ src Source }

// ListAccountStates reads the current window of each account.
func (s *accountService) ListAccountStates(ctx context.Context, req *ledgerv1.ListAccountStatesRequest) (*ledgerv1.ListAccountStatesResponse, error) {
	now := time.Now()
	states, err := s.src.AccountStates(ctx, req.GetAccounts(), now)
	if err != nil {
		return nil, err
	}
	res := &ledgerv1.ListAccountStatesResponse{AsOfUnixMs: now.UnixMilli()}
	for _, st := range states {
		p := &ledgerv1.AccountState{
			Account: st.Account.ID, Gen: st.Window.Gen, Start: st.Window.Start, End: st.End, LimitNanos: int64(st.Limit),
			SpentNanos: int64(st.Spent), HeldNanos: int64(st.Held), OverrunNanos: int64(st.Overrun),
		}
		for _, w := range st.Warnings {
			p.Warnings = append(p.Warnings, &ledgerv1.AccountWarning{Percent: w.Percent, UnixMs: w.At.UnixMilli(), SpentNanos: int64(w.Spent)})
		}
		res.States = append(res.States, p)
	}
	return res, nil
}
