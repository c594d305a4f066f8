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
)

// maxDays bounds one question to what can be answered at once.
const maxDays = 3 * 366

// Query asks for sums over whole UTC days, both ends included. Of the filters, those that are empty
// let everything through.
type Query struct {
	From, To   string
	GroupBy    []Dimension
	KeyID      string
	EndpointID string
	Team       string
	Customer   string
	Tag        string
	Model      string
}

// By says whether q groups by d.
func (q Query) By(d Dimension) bool { return slices.Contains(q.GroupBy, d) }

// ByTags says whether q is about tags. A request counts in the group of each of its tags then, and in
// none if it has none; without tags in question it counts once.
func (q Query) ByTags() bool { return q.Tag != "" || q.By(ByTag) }

// Row is one group. What was not grouped by is empty.
type Row struct {
	Bucket Bucket
	Counts Counts
}

// Source holds the sums.
type Source interface {
	Usage(ctx context.Context, q Query) ([]Row, error)
}

// Ask checks a question and answers it: groups by cost, largest first.
func Ask(ctx context.Context, src Source, q Query) ([]Row, error) {
	from, errFrom := time.Parse(time.DateOnly, q.From)
	to, errTo := time.Parse(time.DateOnly, q.To)
	bad := fault.New(fault.InvalidArgument, "The days %s to %s are not a period to report on.", q.From, q.To)
	var violations []fault.Violation
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
	violations = append(violations, unstorable("", map[string]string{
		"key_id": q.KeyID, "endpoint_id": q.EndpointID, "team": q.Team, "customer": q.Customer, "tag": q.Tag, "model": q.Model,
	})...)
	if len(violations) > 0 {
		return nil, bad.WithViolations(violations...)
	}
	rows, err := src.Usage(ctx, q)
	if err == nil && len(rows) == 0 && len(q.GroupBy) == 0 {
		rows = []Row{{}} // the sum of nothing is a sum too
	}
	return rows, err
}
