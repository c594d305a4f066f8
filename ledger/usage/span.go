package usage

import (
	"errors"
	"time"
)

// Sums are kept by hour and, in far fewer rows, by day of UTC. A span of hours is put together of both: of whole days as far
// as that takes less, and of hours for the rest. A day of another zone is the day of UTC by the same name, without the hours that
// are another day's there, and with those of its neighbours that are its own.

// Span is the full hours from From up to To, which is not included, and the zone of its days.
type Span struct {
	From, To time.Time
	Zone     *time.Location
}

// Part is an hour that is added to a day, or taken off one.
type Part struct {
	Hour  time.Time
	Day   string // empty if days are not told apart
	Minus bool
}

// Parts is what to add up: whole days of UTC, both included and empty for none, and hours.
type Parts struct {
	FirstDay, LastDay string
	Hours             []Part
}

// Day is the day of the span's zone that an hour belongs to: the one in which it begins.
func (s Span) Day(hour time.Time) string { return hour.In(s.Zone).Format(time.DateOnly) }

// Days are the days of the zone that the span has hours of, and the first of its hours that each has.
func (s Span) Days() (starts []time.Time, names []string) {
	for hour := s.From; hour.Before(s.To); hour = hour.Add(time.Hour) {
		if day := s.Day(hour); len(names) == 0 || names[len(names)-1] != day {
			starts, names = append(starts, hour), append(names, day)
		}
	}
	return starts, names
}

// spanOfDays is the hours that begin in days of a zone.
func spanOfDays(from, to string, zone *time.Location) (Span, error) {
	first, err1 := time.Parse(time.DateOnly, from)
	last, err2 := time.Parse(time.DateOnly, to)
	if err := errors.Join(err1, err2); err != nil {
		return Span{}, err
	}
	return Span{firstHour(first, zone), firstHour(last.AddDate(0, 0, 1), zone), zone}, nil
}

// firstHour is the first full hour of UTC that begins in a day of a zone. Days may begin late, where clocks go forward at midnight.
func firstHour(day time.Time, zone *time.Location) time.Time {
	name := day.Format(time.DateOnly)
	at := day.Add(-15 * time.Hour) // no zone is further ahead
	for at.In(zone).Format(time.DateOnly) < name {
		at = at.Add(time.Hour)
	}
	return at
}

// Parts puts the span together. Days are told apart only if byDay says so.
func (s Span) Parts(byDay bool) Parts {
	type day struct {
		name         string
		whole, hours []Part // what is to be added beside the whole day, and without it
	}
	var days []day
	for at := s.From.Truncate(24 * time.Hour); at.Before(s.To); at = at.AddDate(0, 0, 1) {
		d := day{name: at.Format(time.DateOnly)}
		is := "" // where the day's own sum puts its hours
		if byDay {
			is = d.name
		}
		for hour := at; hour.Before(at.AddDate(0, 0, 1)); hour = hour.Add(time.Hour) {
			in, belongs := !hour.Before(s.From) && hour.Before(s.To), ""
			if byDay {
				belongs = s.Day(hour)
			}
			if in {
				d.hours = append(d.hours, Part{Hour: hour, Day: belongs})
			}
			if in && belongs == is {
				continue
			}
			d.whole = append(d.whole, Part{Hour: hour, Day: is, Minus: true})
			if in {
				d.whole = append(d.whole, Part{Hour: hour, Day: belongs})
			}
		}
		days = append(days, d)
	}
	// The longest run of days that are better taken whole.
	from, to := 0, 0
	for i := 0; i < len(days); i++ {
		first := i
		for i < len(days) && len(days[i].whole) < len(days[i].hours) {
			i++
		}
		if i-first > to-from {
			from, to = first, i
		}
	}
	var p Parts
	for i, d := range days {
		if i >= from && i < to {
			p.Hours = append(p.Hours, d.whole...)
		} else {
			p.Hours = append(p.Hours, d.hours...)
		}
	}
	if to > from {
		p.FirstDay, p.LastDay = days[from].name, days[to-1].name
	}
	return p
}
