// Package reconcile compares a vendor's invoice with what the ledger has booked, day by day and
// endpoint by endpoint, to the nano-dollar.
//
// Read takes the invoice, a CSV file whose columns the caller names, and adds its lines up by the
// vendor's days. Invoice.Span says which UTC days of usage are needed for them, Compare puts both side
// by side, and Report says where they differ. Nothing is guessed: a line that cannot be read, that is
// in another currency or that no rule maps to an endpoint is named with its number and left out of the
// sums, and a report with such lines does not agree.
//
// It reads no clock, no network and no file by itself.
package reconcile

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"time"

	"tollgate/internal/fault"
	"tollgate/internal/money"
)

// Usage is what the ledger has booked for an endpoint in one UTC hour or, where the vendor's days are
// UTC days, in one day. Exactly one of Day and Hour is set, as the ledger writes them: "2026-11-01" or
// "2026-11-01T13".
type Usage struct {
	Day, Hour string
	Endpoint  string // as the invoice's rules call it, so a name and not an id
	Requests  int64
	Cost      money.Nanos
}

// Options say what is compared and how closely.
type Options struct {
	// From and To are the first and the last of the vendor's days, "2026-11-01". Where one is empty it
	// is the invoice's own first or last day. Lines and usage of other days are left out.
	From, To string
	// Tolerance is how far invoice and books may be apart on one row. Vendors that round each line to
	// a cent need a cent for each line.
	Tolerance money.Nanos
}

// Row is one endpoint on one of the vendor's days.
type Row struct {
	Day, Endpoint string
	Invoice       money.Nanos // what the vendor charges
	Ours          money.Nanos // what was booked
	Difference    money.Nanos // Invoice less Ours: above zero, the vendor charges more than was booked
	Lines         int64       // of the invoice
	Quantity      int64       // of these lines, where the invoice has such a column
	Requests      int64       // that were booked
	Within        bool        // the tolerance
}

// Report is a comparison.
type Report struct {
	From, To string // first and last day
	Rows     []Row  // by day, then by endpoint
	Total    Row    // sums of the rows; Day and Endpoint are empty, Within says whether every row is
	// Problems are the invoice's lines that are not in the sums and should be, in their order.
	Problems []Problem
	// Ignored are the lines that a rule leaves out, and what they come to.
	Ignored       int64
	IgnoredAmount money.Nanos
	// Outside are the lines of days that are not compared.
	Outside int64
}

// Agrees says whether every row is within the tolerance and every line could be read.
func (r *Report) Agrees() bool { return r.Total.Within && len(r.Problems) == 0 }

// Compare puts an invoice and usage side by side. It refuses usage that it cannot sort into the
// vendor's days: UTC days where these are others, and hours that a midnight of the vendor's divides.
func Compare(inv *Invoice, usage []Usage, o Options) (*Report, error) {
	first, last := inv.days()
	r := &Report{
		From: cmp.Or(o.From, first), To: cmp.Or(o.To, last),
		Problems: inv.Problems, Ignored: inv.Ignored, IgnoredAmount: inv.IgnoredAmount,
	}
	for _, day := range []string{r.From, r.To} {
		if _, err := time.Parse(time.DateOnly, day); err != nil && day != "" {
			return nil, fault.New(fault.InvalidArgument, "%q is not a day such as 2026-11-01.", day)
		}
	}
	inside := func(day string) bool { return r.From <= day && day <= r.To }
	rows := map[group]Row{}
	for g, s := range inv.sums {
		if !inside(g.day) {
			r.Outside += s.lines
			continue
		}
		rows[g] = Row{Invoice: s.amount, Quantity: s.quantity, Lines: s.lines}
	}
	for _, u := range usage {
		day, err := u.day(inv.zone)
		if err != nil {
			return nil, err
		}
		if !inside(day) {
			continue
		}
		g := group{day, u.Endpoint}
		row := rows[g]
		row.Requests += u.Requests
		if row.Ours, err = row.Ours.Add(u.Cost); err != nil {
			return nil, fmt.Errorf("add up %s on %s: %w", u.Endpoint, day, err)
		}
		rows[g] = row
	}
	r.Total.Within = true
	for _, g := range slices.SortedFunc(maps.Keys(rows), group.compare) {
		row := rows[g]
		row.Day, row.Endpoint = g.day, g.endpoint
		diff, err := row.Invoice.Add(-row.Ours)
		if err != nil {
			return nil, fmt.Errorf("compare %s on %s: %w", g.endpoint, g.day, err)
		}
		row.Difference, row.Within = diff, -o.Tolerance <= diff && diff <= o.Tolerance
		if err := r.Total.add(row); err != nil {
			return nil, err
		}
		r.Rows = append(r.Rows, row)
	}
	return r, nil
}

func (t *Row) add(row Row) (err error) {
	if t.Invoice, err = t.Invoice.Add(row.Invoice); err != nil {
		return fmt.Errorf("add up the invoice: %w", err)
	}
	if t.Ours, err = t.Ours.Add(row.Ours); err != nil {
		return fmt.Errorf("add up the books: %w", err)
	}
	if t.Difference, err = t.Invoice.Add(-t.Ours); err != nil {
		return fmt.Errorf("compare the sums: %w", err)
	}
	t.Lines += row.Lines
	t.Quantity += row.Quantity
	t.Requests += row.Requests
	t.Within = t.Within && row.Within
	return nil
}

// group is what is added up together.
type group struct{ day, endpoint string }

func (g group) compare(h group) int {
	return cmp.Or(cmp.Compare(g.day, h.day), cmp.Compare(g.endpoint, h.endpoint))
}

const hourLayout = "2006-01-02T15"

// day is the vendor's day that u falls into.
func (u Usage) day(zone *time.Location) (string, error) {
	if u.Hour == "" {
		if _, err := time.Parse(time.DateOnly, u.Day); err != nil {
			return "", fmt.Errorf("usage of day %q: it is not a day such as 2026-11-01", u.Day)
		}
		if zone != time.UTC {
			return "", fault.New(fault.InvalidArgument, "Usage by UTC days cannot be compared with days of %s.", zone).
				WithHint("Group usage by hour.")
		}
		return u.Day, nil
	}
	start, err := time.Parse(hourLayout, u.Hour)
	if err != nil {
		return "", fmt.Errorf("usage of hour %q: it is not an hour such as 2026-11-01T13", u.Hour)
	}
	day := dayOf(start, zone)
	if dayOf(start.Add(time.Hour-1), zone) != day {
		return "", fault.New(fault.InvalidArgument, "Days of %s begin in the middle of a UTC hour, and usage is kept by UTC hours.", zone).
			WithHint("Compare with an invoice by days of UTC or of a zone that is whole hours away from it.")
	}
	return day, nil
}

func dayOf(t time.Time, zone *time.Location) string { return t.In(zone).Format(time.DateOnly) }
