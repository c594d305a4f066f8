package usage

import (
	"context"
	"time"

	"tollgate/internal/fault"
	"tollgate/internal/money"
)

// Scope is what recent sums are asked for.
type Scope struct {
	By    Dimension // key, endpoint, team, customer or tag; 0 for everything
	Value string
	Since time.Time // what came before is left out of the week; zero for nothing
}

// Recent is what a scope has used lately, counted from full hours.
type Recent struct {
	Day, Week           money.Nanos
	DayBegan, WeekBegan time.Time
	Requests            int64     // in the last seven days
	First               time.Time // the hour of the first of these; zero for none
}

// AskRecent adds up the last day and the last seven for each scope. The hour that runs counts as far as it has come.
func AskRecent(ctx context.Context, src Source, scopes []Scope, now time.Time) ([]Recent, error) {
	hour := now.UTC().Truncate(time.Hour)
	week, day := hour.Add(-(7*24-1)*time.Hour), hour.Add(-23*time.Hour)
	for i := range scopes {
		if !storable(scopes[i].Value) {
			return nil, fault.New(fault.InvalidArgument, "A scope is malformed.")
		}
		// Sums are of hours, so an hour in which a period begins counts whole.
		if since := scopes[i].Since.UTC(); since.After(week) {
			scopes[i].Since = since.Truncate(time.Hour)
		} else {
			scopes[i].Since = week
		}
	}
	all, err := src.RecentUsage(ctx, scopes, week, day)
	if err != nil {
		return nil, err
	}
	for i := range all {
		all[i].DayBegan, all[i].WeekBegan = day, scopes[i].Since
	}
	return all, nil
}
