// Package period divides time into the calendar periods of budgets: hour, day, ISO week, month, one
// that never ends, or the days of a period that rolls. Boundaries follow the wall clock of a time zone, daylight saving included; it
// keeps no state and reads no clock.
package period

import (
	"fmt"
	"time"
)

// Period is how often a budget starts anew.
type Period uint8

// The periods.
const (
	Total Period = iota + 1
	Hour
	Day
	Week
	Month
	// Rolling covers the last so many days. Its windows are days; how many of them count together is
	// the account's to say.
	Rolling
)

// Parse reads a period's name.
func Parse(s string) (Period, error) {
	for p := Total; p <= Rolling; p++ {
		if p.String() == s {
			return p, nil
		}
	}
	return 0, fmt.Errorf("%q is not a period: use total, hour, day, week, month or rolling", s)
}

// Valid says whether p is one of the periods.
func (p Period) Valid() bool { return p >= Total && p <= Rolling }

// String is the period's name.
func (p Period) String() string {
	switch p {
	case Total:
		return "total"
	case Hour:
		return "hour"
	case Day:
		return "day"
	case Week:
		return "week"
	case Month:
		return "month"
	case Rolling:
		return "rolling"
	default:
		return fmt.Sprintf("period(%d)", uint8(p))
	}
}

// Window is one period of a budget, [Start, End) in Unix seconds. Both are 0 for Total.
type Window struct{ Start, End int64 }

// At is the window that t falls into.
func (p Period) At(t time.Time, zone *time.Location) Window {
	t = t.In(zone)
	y, m, d := t.Date()
	switch p {
	case Hour:
		// Counted back from t, not built from wall-clock fields: those name two instants when
		// clocks go back.
		start := t.Unix() - int64(t.Minute())*60 - int64(t.Second())
		return Window{start, p.hourEnd(start, zone)}
	case Day, Rolling:
		return Window{midnight(y, m, d, zone), midnight(y, m, d+1, zone)}
	case Week:
		back := (int(t.Weekday()) + 6) % 7 // days since Monday
		return Window{midnight(y, m, d-back, zone), midnight(y, m, d-back+7, zone)}
	case Month:
		return Window{midnight(y, m, 1, zone), midnight(y, m+1, 1, zone)}
	default:
		return Window{}
	}
}

// hourEnd is an hour after start, or the change of the zone's offset if that comes first and is no
// whole number of hours.
func (p Period) hourEnd(start int64, zone *time.Location) int64 {
	at := time.Unix(start, 0).In(zone)
	end := start + 3600
	if _, change := at.ZoneBounds(); !change.IsZero() && change.Unix() < end && change.Unix() > start {
		return change.Unix()
	}
	return end
}

// midnight is the first instant of a day. In zones where clocks jump over midnight that is the
// instant of the jump.
func midnight(y int, m time.Month, d int, zone *time.Location) int64 {
	want := time.Date(y, m, d, 12, 0, 0, 0, zone)
	t := time.Date(y, m, d, 0, 0, 0, 0, zone)
	if t.Day() != want.Day() {
		if _, change := t.ZoneBounds(); !change.IsZero() {
			return change.Unix()
		}
	}
	return t.Unix()
}
