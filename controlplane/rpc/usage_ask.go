package rpc

import (
	"context"
	"fmt"
	"slices"
	"time"

	"tollgate/controlplane/access"
	"tollgate/controlplane/registry"
	controlv1 "tollgate/gen/tollgate/control/v1"
	ledgerv1 "tollgate/gen/tollgate/ledger/v1"
	"tollgate/internal/fault"
	"tollgate/internal/id"
)

// The zone that means the same as none.
const utc = "UTC"

// asked turns a question into the ledger's, with names resolved and times filled in.
func (s *usageService) asked(ctx context.Context, req *controlv1.QueryUsageRequest, now time.Time) (*ledgerv1.QueryUsageRequest, error) {
	p := problems("")
	ask := &ledgerv1.QueryUsageRequest{Customer: req.GetCustomer(), Tag: req.GetTag(), Model: req.GetModel(), TopN: req.GetTopN()}
	if ask.TimeZone = req.GetTimeZone(); ask.GetTimeZone() == utc {
		ask.TimeZone = "" // an older ledger knows it, too
	}
	if ask.GetTimeZone() != "" {
		registry.CheckZone(p, ask.GetTimeZone())
	}
	if req.GetFromTime() != nil || req.GetToTime() != nil {
		from, to := hours(req, now, p)
		ask.FromUnix, ask.ToUnix = from.Unix(), to.Unix()
		ask.FromDay, ask.ToDay = from.Format(time.DateOnly), to.Format(time.DateOnly)
	} else {
		zone, err := time.LoadLocation(ask.GetTimeZone())
		if err != nil {
			zone = time.UTC // the problem is noted
		}
		ask.FromDay, ask.ToDay = days(req, now.In(zone), p)
	}
	if class := req.GetStatusClass(); class != "" {
		ask.StatusClass = uint32(class[0] - '0') // the schema has made sure of its form
	}
	for _, d := range req.GetGroupBy() {
		ask.GroupBy = append(ask.GroupBy, ledgerv1.UsageDimension(d)) // the enumerations are the same
	}
	checkFilters(req.GetFilters(), true, p)
	checkByEdge(req, ask, p)
	if err := p.Err("the query"); err != nil {
		return nil, err
	}
	var err error
	if ask.KeyId, err = s.keyID(ctx, req.GetKey()); err != nil {
		return nil, err
	}
	if ask.EndpointId, err = s.endpointID(ctx, req.GetEndpoint()); err != nil {
		return nil, err
	}
	if ask.Team, err = s.ownTeams(ctx, req.GetTeam(), "team", req.GetFilters()); err != nil {
		return nil, err
	}
	ask.Filters, err = s.filters(ctx, req.GetFilters())
	return ask, err
}

// hours are the full hours that a question is about.
func hours(req *controlv1.QueryUsageRequest, now time.Time, p *registry.Problems) (from, to time.Time) {
	for field, day := range map[string]string{"from_day": req.GetFromDay(), "to_day": req.GetToDay()} {
		if day != "" {
			p.Add(field, registry.Forbidden, "The time is said by from_time and to_time, or by days: leave out one of both.")
		}
	}
	if to = timeFrom(req.GetToTime(), "to_time", "end", p); to.IsZero() {
		to = now
	}
	if from = timeFrom(req.GetFromTime(), "from_time", "beginning", p); from.IsZero() {
		from = to.AddDate(0, 0, -defaultDays)
	}
	if !from.Before(to) && !p.Has("from_time") && !p.Has("to_time") {
		p.Add("from_time", registry.Range, "It begins at %s, which is not before its end, %s.", from.UTC().Format(time.RFC3339), to.UTC().Format(time.RFC3339))
	}
	if to.Sub(from) > mostYears*366*24*time.Hour {
		p.Add("from_time", registry.Range, "The time is longer than three years.")
	}
	from, to = from.UTC().Truncate(time.Hour), to.UTC().Add(time.Hour-1).Truncate(time.Hour)
	return from, to
}

// mostYears bounds a question, as the ledger does.
const mostYears = 3

// mostByEdge bounds a question about edges, for which records are read, as the ledger does.
const mostByEdge = 31

// checkByEdge notes that a question about edges asks for too long a time.
func checkByEdge(req *controlv1.QueryUsageRequest, ask *ledgerv1.QueryUsageRequest, p *registry.Problems) {
	const edge = controlv1.UsageDimension_USAGE_DIMENSION_EDGE
	at := slices.IndexFunc(req.GetFilters(), func(f *controlv1.UsageFilter) bool { return f.GetOf() == edge })
	field := fmt.Sprintf("filters[%d].of", at)
	if slices.Contains(req.GetGroupBy(), edge) {
		field = "group_by"
	} else if at < 0 {
		return
	}
	from, err1 := time.Parse(time.DateOnly, ask.GetFromDay())
	to, err2 := time.Parse(time.DateOnly, ask.GetToDay())
	if err1 == nil && err2 == nil && to.Sub(from) > mostByEdge*24*time.Hour {
		p.Add(field, registry.Range, "Usage by edge is added up from the records of requests, for %d days at most: ask for less time.", mostByEdge)
	}
}

// byEdges says whether a question is about edges, which an older ledger refuses.
func byEdges(ask *ledgerv1.QueryUsageRequest) bool {
	const edge = ledgerv1.UsageDimension_USAGE_DIMENSION_EDGE
	return slices.Contains(ask.GetGroupBy(), edge) || slices.ContainsFunc(ask.GetFilters(), func(f *ledgerv1.UsageFilter) bool { return f.GetOf() == edge })
}

// checkFilters notes what cannot be asked. Statuses are checked here, so that whoever sends a bad one is told which.
func checkFilters(list []*controlv1.UsageFilter, ofSums bool, p *registry.Problems) {
	for i, f := range list {
		field := fmt.Sprintf("filters[%d]", i)
		switch f.GetOf() {
		case controlv1.UsageDimension_USAGE_DIMENSION_TAG:
			if ofSums && (f.GetNot() || len(f.GetValues()) > 1 || slices.Contains(f.GetValues(), "")) {
				p.Add(field+".values", registry.Forbidden, "Usage is filtered by one tag only, and not by its absence: a request may have several tags, and would be added up several times.")
			}
		case controlv1.UsageDimension_USAGE_DIMENSION_STATUS, controlv1.UsageDimension_USAGE_DIMENSION_STATUS_CLASS:
			for k, v := range f.GetValues() {
				if !isStatus(v) {
					p.Add(fmt.Sprintf("%s.values[%d]", field, k), registry.Malformed, "%q is no status: write it like 404 or 4xx.", v)
				}
			}
		default:
		}
	}
}

// isStatus says whether a text is a status or a class of them: "404", "4xx", "0".
func isStatus(text string) bool {
	if text == "0" {
		return true
	}
	digit := func(b byte) bool { return b >= '0' && b <= '9' }
	return len(text) == 3 && digit(text[0]) && (text[1:] == "xx" || digit(text[1]) && digit(text[2]))
}

// filters turns filters into the ledger's. What was deleted since is found by its id: its usage stays.
func (s *usageService) filters(ctx context.Context, list []*controlv1.UsageFilter) ([]*ledgerv1.UsageFilter, error) {
	var out []*ledgerv1.UsageFilter
	for _, f := range list {
		m := &ledgerv1.UsageFilter{Of: ledgerv1.UsageDimension(f.GetOf()), Not: f.GetNot()}
		for _, v := range f.GetValues() {
			var err error
			switch f.GetOf() {
			case controlv1.UsageDimension_USAGE_DIMENSION_KEY:
				v, err = s.keyID(ctx, v)
			case controlv1.UsageDimension_USAGE_DIMENSION_ENDPOINT:
				v, err = s.endpointID(ctx, v)
			case controlv1.UsageDimension_USAGE_DIMENSION_TEAM:
				v, err = s.teamName(ctx, v)
			default:
			}
			if err != nil {
				return nil, err
			}
			m.Values = append(m.Values, v)
		}
		out = append(out, m)
	}
	return out, nil
}

// ownTeams is ownTeam for a question that may also name teams in a filter. Whoever may see only some teams need not name one
// beside a filter that lets no other through.
func (s *usageService) ownTeams(ctx context.Context, ref, field string, list []*controlv1.UsageFilter) (string, error) {
	named := slices.IndexFunc(list, func(f *controlv1.UsageFilter) bool {
		return f.GetOf() == controlv1.UsageDimension_USAGE_DIMENSION_TEAM && !f.GetNot()
	})
	if ref != "" || named < 0 {
		return s.ownTeam(ctx, ref, field)
	}
	reach, err := teamsOf(ctx, s.store)
	if err != nil || reach.everywhere {
		return "", err
	}
	for _, team := range list[named].GetValues() {
		name, err := s.teamName(ctx, team)
		if err != nil {
			return "", err
		}
		if !reach.covers(name) {
			return "", otherTeam(team)
		}
	}
	return "", nil
}

// olderLedger is what a ledger of the version before cannot tell: it would leave out a part of the question.
func olderLedger() error {
	return fault.New(fault.UnavailableErr, "The ledger is older than this control plane, and does not know this question yet.").
		WithHint("Upgrade the ledger and ask again.")
}

// keyID is the id of a key that is named by id or name.
func (s *usageService) keyID(ctx context.Context, ref string) (string, error) {
	if ref == "" || id.Is(id.Key, ref) {
		return ref, nil
	}
	k, err := s.store.Key(ctx, access.From(ctx).Scope(access.MoneyRead), ref)
	return k.ID, err
}

// endpointID also takes the id of an endpoint that was deleted since: its usage stays.
func (s *usageService) endpointID(ctx context.Context, ref string) (string, error) {
	if ref == "" || id.Is(id.Endpoint, ref) {
		return ref, nil
	}
	e, err := s.store.Endpoint(ctx, ref)
	return e.ID, err
}
