package usage

import (
	"context"
	"slices"
	"time"

	"tollgate/internal/fault"
)

// Dimension is what sums can be grouped by.
type Dimension uint8

// The dimensions.
const (
	ByKey Dimension = iota + 1
	ByEndpoint
	ByDay
	ByTeam
	ByCustomer
	ByTag
	ByModel
	ByStatus
	ByHour
	ByStatusClass
	ByEdge // sums are not kept by it: records are added up
)

// maxDays bounds one question to what can be answered at once, and maxByEdge one for which records are read: 31 days, and those in
// which they begin and end.
const (
	maxDays   = 3 * 366
	maxByEdge = 33 * 24 * time.Hour
)

// Query asks for sums over whole days of a zone, both ends included, or over hours. Of the filters, those that are
// empty let everything through.
type Query struct {
	From, To string
	// Begin and End are full hours, the end not included, in place of the days if they are set.
	Begin, End time.Time
	// Zone is the zone of the days; empty is UTC.
	Zone       string
	GroupBy    []Dimension
	KeyID      string
	EndpointID string
	Team       string
	Customer   string
	Tag        string
	Model      string
	// StatusClass is the first digit of statuses; 0 for all.
	StatusClass uint32
	// Where selects further: all of it has to match.
	Where []Match
	// Top keeps the groups that cost most, so many, and adds up the rest; 0 keeps all. Days and hours are no groups here.
	Top int
}

// Span is the hours that q is about.
func (q Query) Span() (Span, error) {
	zone, err := time.LoadLocation(q.Zone)
	if err != nil {
		return Span{}, err
	}
	if q.Begin.IsZero() {
		return spanOfDays(q.From, q.To, zone)
	}
	return Span{q.Begin.UTC(), q.End.UTC(), zone}, nil
}

// By says whether q groups by d.
func (q Query) By(d Dimension) bool { return slices.Contains(q.GroupBy, d) }

// ByTags says whether q is about tags. A request counts in the group of each of its tags then, and in
// none if it has none; without tags in question it counts once.
func (q Query) ByTags() bool {
	return q.Tag != "" || q.By(ByTag) || slices.ContainsFunc(q.Where, func(m Match) bool { return m.Of == ByTag })
}

// ByEdges says whether q is about edges. Sums are not kept by edge, so it is answered from records.
func (q Query) ByEdges() bool {
	return q.By(ByEdge) || slices.ContainsFunc(q.Where, func(m Match) bool { return m.Of == ByEdge })
}

// Row is one group. What was not grouped by is empty.
type Row struct {
	Bucket      Bucket
	StatusClass uint32
	Counts      Counts
	// Errors are the requests that the target answered with 5xx or did not answer.
	Errors int64
	// Other says that the row stands for all groups beyond the top ones.
	Other bool
}

// Source holds the sums.
type Source interface {
	Usage(ctx context.Context, q Query) ([]Row, error)
	// RecentUsage adds up hours that AskRecent has chosen, for each of scopes.
	RecentUsage(ctx context.Context, scopes []Scope, week, day time.Time) ([]Recent, error)
}

// Ask checks a question and answers it: groups by cost, largest first.
func Ask(ctx context.Context, src Source, q Query) ([]Row, error) {
	violations := q.checkTime()
	violations = append(violations, unstorable("", map[string]string{
		"key_id": q.KeyID, "endpoint_id": q.EndpointID, "team": q.Team, "customer": q.Customer, "tag": q.Tag, "model": q.Model,
	})...)
	violations = append(violations, checkAll("", q.Where, true)...)
	if span, err := q.Span(); len(violations) == 0 && err == nil && q.ByEdges() && span.To.Sub(span.From) > maxByEdge {
		violations = append(violations, fault.Violation{Field: "group_by", Code: "invalid", Reason: "usage by edge is added up for 31 days at most"})
	}
	if len(violations) > 0 {
		return nil, fault.New(fault.InvalidArgument, "This is no usage to report on.").WithViolations(violations...)
	}
	rows, err := src.Usage(ctx, q)
	if err == nil && len(rows) == 0 && len(q.GroupBy) == 0 {
		rows = []Row{{}} // the sum of nothing is a sum too
	}
	return rows, err
}

func (q Query) checkTime() []fault.Violation {
	if _, err := time.LoadLocation(q.Zone); err != nil || q.Zone == "Local" {
		return []fault.Violation{{Field: "time_zone", Code: "invalid", Reason: "it is not a time zone"}}
	}
	if !q.Begin.IsZero() {
		switch full := func(t time.Time) bool { return t.Equal(t.Truncate(time.Hour)) }; {
		case !full(q.Begin) || !full(q.End):
			return []fault.Violation{{Field: "from_unix", Code: "invalid", Reason: "it is not about full hours"}}
		case !q.Begin.Before(q.End):
			return []fault.Violation{{Field: "to_unix", Code: "invalid", Reason: "it is not after from_unix"}}
		case q.End.Sub(q.Begin) > maxDays*24*time.Hour:
			return []fault.Violation{{Field: "from_unix", Code: "invalid", Reason: "the period is longer than three years"}}
		}
		return nil
	}
	var violations []fault.Violation
	from, errFrom := time.Parse(time.DateOnly, q.From)
	to, errTo := time.Parse(time.DateOnly, q.To)
	if errFrom != nil {
		violations = append(violations, fault.Violation{Field: "from_day", Code: "invalid", Reason: "it is not a day such as 2026-11-01"})
	}
	if errTo != nil {
		violations = append(violations, fault.Violation{Field: "to_day", Code: "invalid", Reason: "it is not a day such as 2026-11-01"})
	}
	if len(violations) == 0 {
		switch days := int(to.Sub(from)/(24*time.Hour)) + 1; {
		case days < 1:
			violations = append(violations, fault.Violation{Field: "to_day", Code: "invalid", Reason: "it is before from_day"})
		case days > maxDays:
			violations = append(violations, fault.Violation{Field: "from_day", Code: "invalid", Reason: "the period is longer than three years"})
		}
	}
	return violations
}
