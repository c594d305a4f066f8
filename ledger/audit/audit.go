// Package audit checks the books of the ledger against themselves: money that is set aside against what
// edges hold and have spent, records against sums, and draws against accounts, all as they were at one
// moment. It changes nothing and may run beside a ledger that works; what it finds is a defect or damage,
// never the ordinary course of things.
//
// What lies in the ordinary course of things and still wants to be looked at is reported beside: edges that
// are lost with what they hold, overruns, and the anomalies that the ledger has noted.
package audit

import (
	"context"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"tollgate/internal/money"
	"tollgate/ledger/escrow"
	"tollgate/ledger/store"
)

// Source holds the books. store.Store is one.
type Source interface {
	Audit(ctx context.Context, f func(context.Context, *store.Audit) error) error
}

// Report is what an audit has found.
type Report struct {
	At time.Time `json:"at"`
	OK bool      `json:"ok"` // every check holds
	// How much was looked at.
	Accounts     int64 `json:"accounts"`
	Windows      int64 `json:"windows"`
	Leases       int64 `json:"leases"`
	Incarnations int64 `json:"incarnations"`
	Requests     int64 `json:"requests"`
	Corrections  int64 `json:"corrections"`
	// FirstDay and LastDay are the UTC days of which the records are whole, and whose usage was compared
	// with them; empty if there is none.
	FirstDay string  `json:"first_day,omitempty"`
	LastDay  string  `json:"last_day,omitempty"`
	Checks   []Check `json:"checks"`
	// Lost are incarnations that were given up or are believed to be lost.
	Lost []Lost `json:"lost"`
	// Unaccounted is what they hold together: it was spent, or it was not.
	Unaccounted string `json:"unaccounted"`
	// Overrun is what was spent beyond what had been granted.
	Overrun string `json:"overrun"`
	// Anomalies are what the ledger has noted as it happened.
	Anomalies []Anomaly `json:"anomalies"`
}

// Check is one thing that has to hold.
type Check struct {
	Name   string `json:"name"`
	What   string `json:"what"`
	OK     bool   `json:"ok"`
	Broken int64  `json:"broken"` // how often it does not hold
	// Findings are the first of these.
	Findings []Finding `json:"findings,omitempty"`
}

// Finding is one place where a check does not hold.
type Finding struct {
	Part    uint32 `json:"part"`
	Subject string `json:"subject"`
	Detail  string `json:"detail"`
}

// Lost is an incarnation in one partition.
type Lost struct {
	Incarnation int64     `json:"incarnation,string"`
	Part        uint32    `json:"part"`
	Edge        string    `json:"edge"`
	State       string    `json:"state"`
	Heard       time.Time `json:"heard"`
	Unaccounted string    `json:"unaccounted"`
}

// Anomaly is a kind of thing that happened and should not.
type Anomaly struct {
	Kind  string    `json:"kind"`
	Count int64     `json:"count"`
	Last  time.Time `json:"last"`
}

// maxFindings bounds what is kept of each check. The first ones tell what is wrong; the number tells how
// far it goes.
const maxFindings = 100

// States are the names of what is known of an incarnation.
var States = map[escrow.IncState]string{
	escrow.Live: "live", escrow.Closed: "closed", escrow.Lost: "lost", escrow.Released: "released",
}

// Verify checks everything. It fails only where it could not look.
func Verify(ctx context.Context, src Source, now time.Time) (*Report, error) {
	r := &Report{At: now.UTC(), OK: true, Lost: []Lost{}, Anomalies: []Anomaly{}}
	err := src.Audit(ctx, func(ctx context.Context, a *store.Audit) error {
		n, err := a.Sizes(ctx)
		if err != nil {
			return fmt.Errorf("count: %w", err)
		}
		r.Accounts, r.Windows, r.Leases, r.Incarnations, r.Requests, r.Corrections = n.Accounts, n.Windows, n.Leases, n.Incarnations, n.Requests, n.Corrections
		r.Overrun = n.Overrun.String()
		from, to, err := a.Days(ctx)
		if err != nil {
			return err
		}
		if from.Before(to) {
			r.FirstDay, r.LastDay = from.Format(time.DateOnly), to.AddDate(0, 0, -1).Format(time.DateOnly)
		}
		for _, c := range store.Checks() {
			out := Check{Name: c.Name, What: c.What}
			err := a.Run(ctx, c, func(d store.Discrepancy) error {
				if out.Broken++; out.Broken <= maxFindings {
					out.Findings = append(out.Findings, Finding(d))
				}
				return nil
			})
			if err != nil {
				return err
			}
			out.OK = out.Broken == 0
			r.OK = r.OK && out.OK
			r.Checks = append(r.Checks, out)
		}
		return r.beside(ctx, a)
	})
	if err != nil {
		return nil, fmt.Errorf("verify the books: %w", err)
	}
	return r, nil
}

// beside reads what is no defect and wants to be looked at.
func (r *Report) beside(ctx context.Context, a *store.Audit) error {
	lost, err := a.Lost(ctx)
	if err != nil {
		return fmt.Errorf("list lost incarnations: %w", err)
	}
	var sum money.Nanos
	for _, i := range lost {
		r.Lost = append(r.Lost, Lost{i.Inc, i.Part, i.Edge, States[i.State], i.Heard.UTC(), i.Unspent.String()})
		if sum, err = sum.Add(i.Unspent); err != nil {
			return err
		}
	}
	r.Unaccounted = sum.String()
	kinds, err := a.Anomalies(ctx)
	if err != nil {
		return fmt.Errorf("count anomalies: %w", err)
	}
	for _, k := range kinds {
		r.Anomalies = append(r.Anomalies, Anomaly{k.Name, k.Count, k.Last.UTC()})
	}
	return nil
}

// Write writes a report for people.
func (r *Report) Write(w io.Writer) error {
	var b strings.Builder
	for _, c := range r.Checks {
		mark := "ok    "
		if !c.OK {
			mark = "BROKEN"
		}
		fmt.Fprintf(&b, "%s  %-13s  %s\n", mark, c.Name, c.What)
		for _, f := range c.Findings {
			fmt.Fprintf(&b, "        partition %d, %s: %s\n", f.Part, f.Subject, f.Detail)
		}
		if more := c.Broken - int64(len(c.Findings)); more > 0 {
			fmt.Fprintf(&b, "        and %d more\n", more)
		}
	}
	for _, l := range r.Lost {
		fmt.Fprintf(&b, "note    incarnation %d of edge %s is %s in partition %d; unaccounted: $%s\n", l.Incarnation, l.Edge, l.State, l.Part, l.Unaccounted)
	}
	if r.Overrun != money.Nanos(0).String() {
		fmt.Fprintf(&b, "note    $%s were spent beyond what had been granted\n", r.Overrun)
	}
	for _, a := range r.Anomalies {
		fmt.Fprintf(&b, "note    anomaly %s: %s, last %s\n", a.Kind, times(a.Count), a.Last.Format(time.RFC3339))
	}
	days := "none"
	if r.FirstDay != "" {
		days = r.FirstDay + " to " + r.LastDay
	}
	fmt.Fprintf(&b, "checked %d accounts, %d windows, %d leases, %d incarnations and %d records; days with all records: %s\n",
		r.Accounts, r.Windows, r.Leases, r.Incarnations, r.Requests, days)
	_, err := io.WriteString(w, b.String())
	return err
}

func times(n int64) string {
	if n == 1 {
		return "once"
	}
	return strconv.FormatInt(n, 10) + " times"
}
