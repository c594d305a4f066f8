package store

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"tollgate/internal/pg"
	"tollgate/ledger/usage"
)

// Reprice corrects the records that a filter lets through and that are unpriced, so that each of which the
// price says what it costs does cost that. What it has done when it fails stays done, and is what it returns
// beside the error: it may be run again. A dry run says what it would do.
func (s *Store) Reprice(ctx context.Context, f usage.Filter, p usage.Repricing, dryRun bool) (usage.Repriced, error) {
	out, err := s.reprice(ctx, f, p, dryRun)
	out.Sort()
	if err != nil {
		return out, translate(fmt.Errorf("reprice requests: %w", err))
	}
	return out, nil
}

func (s *Store) reprice(ctx context.Context, f usage.Filter, p usage.Repricing, dryRun bool) (out usage.Repriced, err error) {
	f.Unpriced = true
	from, to, err := s.span(ctx, usage.Listing{Filter: f})
	if err != nil {
		return out, err
	}
	parts, err := s.parts(ctx)
	if err != nil {
		return out, err
	}
	for _, part := range parts {
		c := corrector{store: s, part: part, filter: f, price: p, dryRun: dryRun, out: &out}
		for lo := from; lo.Before(to); lo = lo.Truncate(day).Add(day) {
			if err := c.day(ctx, lo, earlier(to, lo.Truncate(day).Add(day))); err != nil {
				return out, err
			}
		}
	}
	if dryRun {
		return out, nil
	}
	freed, err := s.FinishCorrections(ctx)
	out.Freed = append(out.Freed, freed...)
	return out, err
}

// parts are the partitions that ever had a leader.
func (s *Store) parts(ctx context.Context) ([]uint32, error) {
	rows, err := s.pool.Query(ctx, `SELECT p.part FROM ledger.ledger_part p ORDER BY p.part`)
	if err != nil {
		return nil, err
	}
	parts, err := pgx.CollectRows(rows, pgx.RowTo[int32])
	out := make([]uint32, len(parts))
	for i, p := range parts {
		out[i] = uint32(p)
	}
	return out, err
}

// lockAnyPart locks a partition's row against its leader and everybody else.
func lockAnyPart(ctx context.Context, tx pgx.Tx, part uint32) error {
	var epoch int64
	return tx.QueryRow(ctx, lockAny, int32(part)).Scan(&epoch)
}

// corrector corrects the records of a partition.
type corrector struct {
	store  *Store
	part   uint32
	filter usage.Filter
	price  usage.Repricing
	dryRun bool
	out    *usage.Repriced
}

// day corrects what ended in a span of time, some at a time.
func (c *corrector) day(ctx context.Context, from, to time.Time) error {
	var after usage.Cursor
	for {
		var done usage.Repriced
		var last usage.Cursor
		var n int
		err := pg.InTx(ctx, c.store.pool, func(tx pgx.Tx) (err error) {
			done = usage.Repriced{}
			if !c.dryRun {
				if err := lockAnyPart(ctx, tx, c.part); err != nil {
					return err
				}
			}
			found, err := c.find(ctx, tx, from, to, after)
			if n = len(found); err != nil || n == 0 {
				return err
			}
			end := found[n-1]
			last = usage.Cursor{Ended: time.UnixMilli(end.Event.GetUnixMs()).UTC(), Position: end.Position}
			return c.correct(ctx, tx, found, &done)
		})
		if err != nil {
			return err
		}
		sum, err := c.out.Plus(done)
		if err != nil {
			return err
		}
		*c.out = sum
		if n < correctAtOnce {
			return nil
		}
		after = last
	}
}

func (c *corrector) find(ctx context.Context, tx pgx.Tx, from, to time.Time, after usage.Cursor) ([]usage.Record, error) {
	sql, args := recordQuery(c.filter, from, to)
	args = append(args, int32(c.part))
	sql += fmt.Sprintf(" AND r.part = $%d", len(args))
	sql, args = withPage(sql, args, usage.Listing{OldestFirst: true, After: after}, correctAtOnce)
	rows, err := tx.Query(ctx, sql, args...)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, scanRecord)
}

// correct writes the corrections of records and does what follows from them in the partition. A record that is
// a correction stands for all that it and those before it come to.
func (c *corrector) correct(ctx context.Context, tx pgx.Tx, found []usage.Record, done *usage.Repriced) error {
	wholes, err := wholesOf(ctx, tx, c.part, found)
	if err != nil {
		return err
	}
	var list []correction
	for _, w := range wholes {
		cost, why, err := c.price.Cost(w)
		if err != nil {
			return err
		}
		if why != "" {
			done.Stays(w.Record.Event.GetEndpointId(), why)
			continue
		}
		one := correction{of: w.Record, cost: cost - w.Cost}
		if done.Difference, err = done.Difference.Add(one.cost); err != nil {
			return err
		}
		list = append(list, one)
	}
	done.Corrected = int64(len(list))
	if c.dryRun {
		return nil
	}
	done.Freed, err = writeCorrections(ctx, tx, c.part, list)
	return err
}
