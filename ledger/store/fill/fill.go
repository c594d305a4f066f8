// Package fill puts made-up records into a ledger's database, with the usage that they add up to, so that reading very many can be
// tried and measured. What it writes is as the ledger would have booked it of one edge whose requests drew on no budget: every check
// of the books holds afterwards. It is for tests; no ledger fills anything.
package fill

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// Options say what to make up.
type Options struct {
	Records int
	Days    int       // how many days they are spread over, the last of which is that of Until
	Until   time.Time // when the last one ended
	// Names that records have. A key belongs to one team and one customer, and mostly calls one endpoint.
	Keys, Endpoints, Teams, Customers, Models, Edges []string
	// Progress is told after each day, if it is set.
	Progress func(records int)
}

// Names makes n names that begin alike.
func Names(prefix string, n int) []string {
	out := make([]string, n)
	for i := range out {
		out[i] = fmt.Sprintf("%s%03d", prefix, i+1)
	}
	return out
}

func (o Options) validate() error {
	for what, list := range map[string][]string{
		"keys": o.Keys, "endpoints": o.Endpoints, "teams": o.Teams, "customers": o.Customers, "models": o.Models, "edges": o.Edges,
	} {
		if len(list) == 0 {
			return fmt.Errorf("there are no %s", what)
		}
	}
	if o.Records < 1 || o.Days < 1 || o.Until.IsZero() {
		return errors.New("records, days and the end have to be said")
	}
	return nil
}

const (
	day = 24 * time.Hour
	// part is where the records are kept: there always is one.
	part = 0
)

// Fill makes the records, a day in each transaction.
func Fill(ctx context.Context, pool *pgxpool.Pool, o Options) error {
	if err := o.validate(); err != nil {
		return err
	}
	inc := time.Now().UnixMicro() // no edge has it: theirs are far larger
	last := o.Until.UTC().Truncate(day)
	seq := 0
	for i := range o.Days {
		at := last.AddDate(0, 0, i+1-o.Days)
		end := at.Add(day)
		if end.After(o.Until) {
			end = o.Until
		}
		n := o.Records*(i+1)/o.Days - seq
		err := pgx.BeginFunc(ctx, pool, func(tx pgx.Tx) error { return fillDay(ctx, tx, o, inc, seq, n, at, end) })
		if err != nil {
			return fmt.Errorf("fill %s: %w", at.Format(time.DateOnly), err)
		}
		if seq += n; o.Progress != nil {
			o.Progress(seq)
		}
	}
	if _, err := pool.Exec(ctx, addIncarnation, inc, part, o.Edges[0], seq); err != nil {
		return err
	}
	for _, table := range []string{"request", "usage_series", "usage_hour_sums", "usage_day_sums", "usage_tag_hour_sums", "usage_tag_day_sums"} {
		if _, err := pool.Exec(ctx, `VACUUM ANALYZE ledger.`+table); err != nil {
			return err
		}
	}
	return nil
}

func fillDay(ctx context.Context, tx pgx.Tx, o Options, inc int64, seq, n int, from, to time.Time) error {
	name := "request_" + from.Format("20060102")
	for _, sql := range []string{
		`SET LOCAL synchronous_commit = off`, `SET LOCAL jit = off`, `SET LOCAL work_mem = '256MB'`,
		// As the ledger makes it; where it is there already, so much the better.
		`CREATE TABLE IF NOT EXISTS ledger.` + name + ` PARTITION OF ledger.request FOR VALUES FROM ('` +
			from.Format(time.DateOnly) + ` 00:00:00+00') TO ('` + from.AddDate(0, 0, 1).Format(time.DateOnly) + ` 00:00:00+00')`,
	} {
		if _, err := tx.Exec(ctx, sql); err != nil {
			return err
		}
	}
	if _, err := tx.Exec(ctx, addRecords, inc, seq, n, from, to.Sub(from).Seconds(), part, o.Keys, o.Endpoints, o.Teams, o.Customers, o.Models, o.Edges); err != nil {
		return err
	}
	for _, tags := range []bool{false, true} {
		series, sums := addSeries(tags), addSums(tags)
		if _, err := tx.Exec(ctx, series, inc, from, to); err != nil {
			return err
		}
		for _, sql := range sums {
			if _, err := tx.Exec(ctx, sql, inc, from, to); err != nil {
				return err
			}
		}
	}
	return nil
}
