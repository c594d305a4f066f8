package rpc

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"tollgate/controlplane/access"
	"tollgate/controlplane/attention"
	"tollgate/controlplane/fleet"
	"tollgate/controlplane/registry"
	"tollgate/controlplane/store"
	controlv1 "tollgate/gen/tollgate/control/v1"
	"tollgate/gen/tollgate/control/v1/controlv1connect"
	ledgerv1 "tollgate/gen/tollgate/ledger/v1"
	"tollgate/internal/contract"
	"tollgate/internal/fault"
	"tollgate/internal/money"
	"tollgate/internal/period"
)

type overviewService struct {
	controlv1connect.UnimplementedOverviewServiceHandler

	store  *store.Store
	ledger *Ledger
	board  *attention.Board
	usage  *usageService

	mu      sync.Mutex // guards what follows
	figures map[string]*figures
	sent    bool // a request was, once
}

// figures are what the ledger said of the money of some teams, or of all.
type figures struct {
	at    time.Time
	month *controlv1.MonthSpend
	day   *controlv1.DayTraffic
}

const (
	figuresFor  = 5 * time.Second // figures are shown again
	mostFigures = 1000            // sets of them that are kept
	hoursShown  = 24
)

func (s *overviewService) GetOverview(ctx context.Context, req *controlv1.GetOverviewRequest) (*controlv1.GetOverviewResponse, error) {
	teams, err := s.teams(ctx, req.GetTeam())
	if err != nil {
		return nil, err
	}
	view, err := s.board.Look(ctx)
	if err != nil {
		return nil, err
	}
	out := &controlv1.GetOverviewResponse{AsOf: timeTo(view.AsOf)}
	if access.From(ctx).Scope(access.EdgesRead).Everywhere {
		out.Fleet = summary(view.Nodes)
	}
	f, err := s.money(ctx, teams)
	if errors.Is(err, fault.New(fault.UnavailableErr, "")) {
		out.MoneyMissing = fault.From(err).Message
		return out, nil
	}
	if err != nil {
		return nil, err
	}
	out.Month = &controlv1.MonthSpend{Start: f.month.GetStart(), End: f.month.GetEnd(), Spent: f.month.GetSpent(), Requests: f.month.GetRequests()}
	out.Day = f.day
	if n := wholeBudget(view.Budgets, teams); n >= 0 && n < len(view.States) {
		out.Month.Budget, out.Month.State = budgetTo(&view.Budgets[n]), view.States[n]
	}
	return out, nil
}

// teams are those whose money is looked at, by name; one empty name for all money.
func (s *overviewService) teams(ctx context.Context, ref string) ([]string, error) {
	reach, err := teamsOf(ctx, s.store)
	if err != nil {
		return nil, err
	}
	if ref == "" {
		if reach.everywhere {
			return []string{""}, nil
		}
		return reach.teams, nil
	}
	name, err := s.usage.teamName(ctx, ref)
	switch {
	case err != nil:
		return nil, err
	case !reach.everywhere && !reach.covers(name):
		return nil, otherTeam(ref)
	}
	return []string{name}, nil
}

// wholeBudget is the place of the budget on all that the figures are about; -1 for none. One for a month is what they are about most.
func wholeBudget(budgets []registry.Budget, teams []string) int {
	if len(teams) != 1 {
		return -1
	}
	found := -1
	for n := range budgets {
		b := &budgets[n]
		whole := teams[0] == "" && b.Scope == registry.ScopeEverything || teams[0] != "" && b.Scope == registry.ScopeTeam && b.ScopeName == teams[0]
		if whole && (found < 0 || b.Period == period.Month && budgets[found].Period != period.Month) {
			found = n
		}
	}
	return found
}

// money is what the ledger says, or said a moment ago.
func (s *overviewService) money(ctx context.Context, teams []string) (*figures, error) {
	key := strings.Join(teams, "\n")
	s.mu.Lock()
	f := s.figures[key]
	s.mu.Unlock()
	now := time.Now()
	if f != nil && now.Sub(f.at) < figuresFor {
		return f, nil
	}
	settings, err := s.store.Settings(ctx)
	if err != nil {
		return nil, err
	}
	zone, err := time.LoadLocation(settings.TimeZone())
	if err != nil {
		zone = time.UTC
	}
	f = &figures{at: now}
	if f.month, err = s.month(ctx, teams, now, zone); err != nil {
		return nil, err
	}
	if f.day, err = s.day(ctx, teams, now); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.figures) >= mostFigures {
		clear(s.figures)
	}
	s.figures[key] = f
	return f, nil
}

// eachRow asks the ledger for the usage of teams and goes through its rows.
func (s *overviewService) eachRow(ctx context.Context, teams []string, req *ledgerv1.QueryUsageRequest, f func(*ledgerv1.UsageRow) error) error {
	for _, team := range teams {
		req.Team = team
		got, err := s.ledger.queryUsage(ctx, req)
		if err != nil {
			return err
		}
		for _, r := range got.GetRows() {
			if err := f(r); err != nil {
				return err
			}
		}
	}
	return nil
}

var byHour = []ledgerv1.UsageDimension{ledgerv1.UsageDimension_USAGE_DIMENSION_HOUR}

// hourForm is how the ledger writes an hour.
const hourForm = "2006-01-02T15"

// month adds up the days since the month began. The ledger has days of UTC, so that of the day on which it began elsewhere the hours
// are looked at.
func (s *overviewService) month(ctx context.Context, teams []string, now time.Time, zone *time.Location) (*controlv1.MonthSpend, error) {
	local := now.In(zone)
	start := time.Date(local.Year(), local.Month(), 1, 0, 0, 0, 0, zone)
	out := &controlv1.MonthSpend{Start: timeTo(start), End: timeTo(time.Date(local.Year(), local.Month()+1, 1, 0, 0, 0, 0, zone))}
	var spent money.Nanos
	add := func(r *ledgerv1.UsageRow) (err error) {
		out.Requests += r.GetRequests()
		spent, err = spent.Add(money.Nanos(r.GetCostNanos()))
		return err
	}
	first, today := start.UTC(), now.UTC()
	if first.Hour() != 0 || first.Minute() != 0 {
		day := first.Format(time.DateOnly)
		err := s.eachRow(ctx, teams, &ledgerv1.QueryUsageRequest{FromDay: day, ToDay: day, GroupBy: byHour}, func(r *ledgerv1.UsageRow) error {
			if hour, err := time.Parse(hourForm, r.GetHour()); err != nil || hour.Before(first) {
				return err
			}
			return add(r)
		})
		if err != nil {
			return nil, err
		}
		first = first.AddDate(0, 0, 1)
	}
	if from, to := first.Format(time.DateOnly), today.Format(time.DateOnly); from <= to {
		if err := s.eachRow(ctx, teams, &ledgerv1.QueryUsageRequest{FromDay: from, ToDay: to}, add); err != nil {
			return nil, err
		}
	}
	out.Spent = contract.MoneyToProto(spent)
	return out, nil
}

// day adds up the current hour and those before it.
func (s *overviewService) day(ctx context.Context, teams []string, now time.Time) (*controlv1.DayTraffic, error) {
	last := now.UTC().Truncate(time.Hour)
	first := last.Add(-(hoursShown - 1) * time.Hour)
	out := &controlv1.DayTraffic{Hours: make([]*controlv1.HourTraffic, hoursShown)}
	spent := make([]money.Nanos, hoursShown)
	for n := range out.GetHours() {
		out.Hours[n] = &controlv1.HourTraffic{Start: timeTo(first.Add(time.Duration(n) * time.Hour))}
	}
	before := first.Add(-hoursShown * time.Hour)
	req := &ledgerv1.QueryUsageRequest{FromDay: before.Format(time.DateOnly), ToDay: last.Format(time.DateOnly), GroupBy: byHour}
	err := s.eachRow(ctx, teams, req, func(r *ledgerv1.UsageRow) error {
		hour, err := time.Parse(hourForm, r.GetHour())
		if err != nil {
			return fmt.Errorf("hour of usage: %w", err)
		}
		n := int(hour.Sub(first) / time.Hour)
		switch {
		case hour.Before(before) || n >= hoursShown:
			return nil
		case hour.Before(first):
			out.RequestsBefore += r.GetRequests()
			out.ErrorsBefore += r.GetFailed()
			return nil
		}
		out.Requests += r.GetRequests()
		out.Errors += r.GetFailed()
		out.Hours[n].Requests += r.GetRequests()
		out.Hours[n].Errors += r.GetFailed()
		spent[n], err = spent[n].Add(money.Nanos(r.GetCostNanos()))
		return err
	})
	if err != nil {
		return nil, err
	}
	var total money.Nanos
	for n, cost := range spent {
		out.Hours[n].Spent = contract.MoneyToProto(cost)
		if total, err = total.Add(cost); err != nil {
			return nil, fmt.Errorf("add up usage: %w", err)
		}
	}
	out.Spent = contract.MoneyToProto(total)
	return out, nil
}

// summary is the fleet as one.
func summary(nodes []fleet.Node) *controlv1.FleetSummary {
	out := &controlv1.FleetSummary{Edges: int32(len(nodes))}
	var requests, p50 int64
	var seen time.Time
	for _, n := range nodes {
		seen = slices.MaxFunc([]time.Time{seen, n.LastSeen}, time.Time.Compare)
		switch n.Status {
		case fleet.Live:
			out.Live++
		case fleet.Behind:
			out.Behind++
		case fleet.Silent:
			out.Silent++
			continue // what it said is over
		}
		requests += n.GetRequests_10S()
		p50 += n.GetRequests_10S() * n.GetOverheadP50Us()
		if n.GetRequests_10S() > 0 {
			out.OverheadP99Us = max(out.GetOverheadP99Us(), n.GetOverheadP99Us())
		}
	}
	out.OverheadP50Us = p50 / cmp.Or(requests, 1)
	out.RequestRate = float64(requests) / 10
	if !seen.IsZero() {
		out.LastSeenTime = timeTo(seen)
	}
	return out
}
