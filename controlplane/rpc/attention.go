package rpc

import (
	"context"
	"slices"

	"tollgate/controlplane/access"
	"tollgate/controlplane/attention"
	controlv1 "tollgate/gen/tollgate/control/v1"
	ledgerv1 "tollgate/gen/tollgate/ledger/v1"
)

// NewBoard makes a board of the same sources that the handlers work with.
func NewBoard(d Deps) *attention.Board {
	from := attention.Sources{Store: d.Store, Fleet: d.Fleet, Bus: d.Bus, Drift: newConfigService(d).allDrift}
	if d.Ledger != nil && d.Ledger.accounts != nil {
		from.Ledger = d.Ledger
	}
	return attention.New(from)
}

// allDrift lists what is not as its file says, for whoever may see it. To compare everything takes a while, so that it is done only
// if something that a file manages was changed by other means.
func (s *configService) allDrift(ctx context.Context) ([]*controlv1.Drift, error) {
	if may, err := s.store.MayHaveDrifted(ctx); err != nil || !may {
		return nil, err
	}
	everybody := access.With(ctx, &access.Caller{Actor: "system", Everywhere: access.Everything})
	res, err := s.ListDrift(everybody, &controlv1.ListDriftRequest{})
	return res.GetDrift(), err
}

// UnpricedRequests counts requests without a price by the id of their endpoint.
func (l *Ledger) UnpricedRequests(ctx context.Context, fromDay, toDay string) (map[string]int64, error) {
	got, err := l.queryUsage(ctx, &ledgerv1.QueryUsageRequest{
		FromDay: fromDay, ToDay: toDay, GroupBy: []ledgerv1.UsageDimension{ledgerv1.UsageDimension_USAGE_DIMENSION_ENDPOINT},
	})
	if err != nil {
		return nil, err
	}
	out := map[string]int64{}
	for _, r := range got.GetRows() {
		if r.GetUnpriced() > 0 && r.GetEndpointId() != "" {
			out[r.GetEndpointId()] += r.GetUnpriced()
		}
	}
	return out, nil
}

const (
	usualAttention = 50
	mostAttention  = 1000
)

func (s *overviewService) ListAttention(ctx context.Context, req *controlv1.ListAttentionRequest) (*controlv1.ListAttentionResponse, error) {
	view, err := s.board.Look(ctx)
	if err != nil {
		return nil, err
	}
	limit := int(req.GetLimit())
	if limit == 0 {
		limit = usualAttention
	}
	limit = min(limit, mostAttention)
	caller := access.From(ctx)
	out := &controlv1.ListAttentionResponse{AsOf: timeTo(view.AsOf)}
	counts := map[attention.Kind]*controlv1.AttentionCount{}
	for n := range view.Items {
		i := &view.Items[n]
		if !i.Listed() || !attention.Visible(caller, i.Kind, i.TeamID) || len(req.GetKinds()) > 0 && !slices.Contains(req.GetKinds(), i.Kind) {
			continue
		}
		if counts[i.Kind] == nil { // the first is the worst
			counts[i.Kind] = &controlv1.AttentionCount{Kind: i.Kind, Severity: i.Severity}
			out.Counts = append(out.Counts, counts[i.Kind])
		}
		counts[i.Kind].Count++
		if len(out.GetItems()) < limit {
			out.Items = append(out.Items, attentionTo(i))
		}
	}
	ends, err := s.store.LastEnds(ctx)
	if err != nil {
		return nil, err
	}
	for _, e := range ends {
		kind := attention.KindOf(e.Kind)
		if kind != attention.BudgetWarned && attention.Visible(caller, kind, e.TeamID) && (out.GetLastEndTime() == nil || e.Time.After(out.GetLastEndTime().AsTime())) {
			out.LastEndTime = timeTo(e.Time)
		}
	}
	return out, nil
}

func attentionTo(i *attention.Item) *controlv1.AttentionItem {
	return &controlv1.AttentionItem{
		Id: i.ID(), Severity: i.Severity, Kind: i.Kind, ObjectKind: i.ObjectKind, ObjectId: i.ObjectID, ObjectName: i.ObjectName,
		Sentence: i.Sentence, Since: timeTo(i.Since), Verb: i.Verb, Figure: i.Figure, Team: i.Team,
	}
}
