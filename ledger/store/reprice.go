package store

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	eventv1 "tollgate/gen/tollgate/event/v1"
	"tollgate/internal/contract"
	"tollgate/internal/fault"
	"tollgate/internal/money"
	"tollgate/internal/pg"
	"tollgate/ledger/escrow"
	"tollgate/ledger/usage"
)

// A correction is a record of incarnation 0: it has the time, the names and the draws of the record that
// it corrects, and of its amounts the differences. It is written, added to usage and charged to the
// accounts of its partition in one transaction, under the lock of the partition's row, so that no record
// is ever corrected twice. Accounts of other partitions are charged under the locks of those, each up to
// a mark that moves in the same transaction: whoever is killed in between leaves something that the next
// one finishes.

// correctAtOnce is how many records one transaction corrects, which is how long a partition waits for it.
const correctAtOnce = 500

// Reprice corrects the records that a filter lets through and that are unpriced, so that each costs what
// the price says. What it has done when it fails stays done, and is what it returns beside the error: it
// may be run again. A dry run says what it would do.
func (s *Store) Reprice(ctx context.Context, f usage.Filter, p usage.Price, dryRun bool) (usage.Repriced, error) {
	out, err := s.reprice(ctx, f, p, dryRun)
	slices.Sort(out.Freed)
	out.Freed = slices.Compact(out.Freed)
	if err != nil {
		return out, translate(fmt.Errorf("reprice requests: %w", err))
	}
	return out, nil
}

func (s *Store) reprice(ctx context.Context, f usage.Filter, p usage.Price, dryRun bool) (out usage.Repriced, err error) {
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
	price  usage.Price
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
		sum, err := c.out.Difference.Add(done.Difference)
		if err != nil {
			return err
		}
		c.out.Corrected, c.out.Difference, c.out.Freed = c.out.Corrected+done.Corrected, sum, append(c.out.Freed, done.Freed...)
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

// correct writes the corrections of records and does what follows from them in the partition.
func (c *corrector) correct(ctx context.Context, tx pgx.Tx, found []usage.Record, done *usage.Repriced) error {
	diffs := make([]int64, len(found))
	charges := map[contract.Window]money.Nanos{}
	for i, r := range found {
		cost, err := c.price.Cost(r.Event.GetUnits())
		if err != nil {
			return fault.New(fault.InvalidArgument, "At this price, a request of %d units costs more than an amount can be.", r.Event.GetUnits())
		}
		diff := cost - money.Nanos(r.Event.GetCostNanos())
		if done.Difference, err = done.Difference.Add(diff); err != nil {
			return err
		}
		diffs[i] = int64(diff)
		if err := charge(charges, r.Event, c.part, diff); err != nil {
			return err
		}
	}
	done.Corrected = int64(len(found))
	if c.dryRun {
		return nil
	}
	b := &pgx.Batch{}
	c.queueRecords(b, found, diffs)
	queueCorrectedUsage(b, c.part, found, diffs)
	if err := send(ctx, tx, b); err != nil {
		return err
	}
	freed, err := bookCharges(ctx, tx, c.part, charges)
	done.Freed = freed
	return err
}

// charge adds what a correction changes of a partition's account-windows.
func charge(charges map[contract.Window]money.Nanos, e *eventv1.SpendEvent, part uint32, diff money.Nanos) error {
	for _, d := range e.GetDraws() {
		if d.GetPart() != part {
			continue
		}
		w := contract.WindowOf(d.GetWindow())
		sum, err := charges[w].Add(diff)
		if err != nil {
			return fmt.Errorf("charge %v: %w", w, err)
		}
		charges[w] = sum
	}
	return nil
}

// Corrections are numbered like events, by a mark of their own. It is one that has ended, so that nobody
// waits for it to speak.
const numberCorrections = `
	INSERT INTO ledger.incarnation AS i (inc, part, edge, closed, hwm)
	VALUES (0, $1, '', true, $2 + coalesce((SELECT max(r.seq) FROM ledger.request r WHERE r.inc = 0 AND r.part = $1), 0))
	ON CONFLICT (inc, part) DO UPDATE SET hwm = i.hwm + $2`

// Of the draws, every fifth number is an amount.
const addCorrections = `
	INSERT INTO ledger.request (ended, inc, seq, cost, reserved, units, price_version, duration_us, corrects_inc, corrects_seq,
		part, attempt, status, outcome, unpriced, request_id, edge, key_id, endpoint_id, team, customer, model, tags, draws)
	SELECT r.ended, 0, i.hwm - cardinality($3::bigint[]) + n.i, n.diff, 0, 0, r.price_version, 0, r.inc, r.seq,
		r.part, r.attempt, r.status, r.outcome, false, r.request_id, r.edge, r.key_id, r.endpoint_id, r.team, r.customer, r.model, r.tags,
		(SELECT array_agg(CASE WHEN d.i % 5 = 0 THEN n.diff ELSE d.v END ORDER BY d.i) FROM unnest(r.draws) WITH ORDINALITY AS d (v, i))
	FROM unnest($2::timestamptz[], $3::bigint[], $4::bigint[], $5::bigint[]) WITH ORDINALITY AS n (ended, inc, seq, diff, i)
	JOIN ledger.request r ON r.ended = n.ended AND r.ended >= $6 AND r.ended <= $7 AND r.part = $1 AND r.inc = n.inc AND r.seq = n.seq
	JOIN ledger.incarnation i ON i.inc = 0 AND i.part = $1`

func (c *corrector) queueRecords(b *pgx.Batch, found []usage.Record, diffs []int64) {
	times := make([]time.Time, len(found))
	incs, seqs := make([]int64, len(found)), make([]int64, len(found))
	for i, r := range found {
		times[i], incs[i], seqs[i] = time.UnixMilli(r.Event.GetUnixMs()).UTC(), r.Position.Inc, int64(r.Position.Seq)
	}
	b.Queue(numberCorrections, int32(c.part), int64(len(found)))
	queueExactly(b, len(found), "correct records", addCorrections, int32(c.part), times, incs, seqs, diffs, times[0], times[len(times)-1])
}

// What is corrected has a series, because it was added up.
const addCorrectedUsage = `
	INSERT INTO ledger.usage_delta (hour, series, requests, failed, abandoned, unpriced, units, cost_nanos, part, tagged)
	SELECT n.hour, s.series, 0, 0, 0, - n.priced, 0, n.cost, $1, n.tag <> ''
	FROM unnest($2::timestamptz[], $3::text[], $4::text[], $5::int[], $6::text[], $7::text[], $8::text[], $9::text[], $10::bigint[], $11::bigint[])
			AS n (hour, key_id, endpoint_id, status, team, customer, model, tag, priced, cost)
	JOIN ledger.usage_series s ON s.part = $1 AND s.key_id = n.key_id AND s.endpoint_id = n.endpoint_id AND s.status = n.status
		AND s.team = n.team AND s.customer = n.customer AND s.model = n.model AND s.tag = n.tag`

func queueCorrectedUsage(b *pgx.Batch, part uint32, found []usage.Record, diffs []int64) {
	sums := usage.Sums{}
	for i, r := range found {
		at := usage.Slot{Hour: r.Event.GetUnixMs() / time.Hour.Milliseconds(), Series: usage.SeriesOf(r.Event)}
		for _, tag := range slices.Concat([]string{""}, r.Event.GetTags()) {
			at.Series.Tag = tag
			c := sums[at]
			sums[at] = usage.Counts{Requests: c.Requests + 1, Cost: c.Cost + money.Nanos(diffs[i])}
		}
	}
	var hours []time.Time
	var text [6][]string
	var status []int32
	var priced, cost []int64
	for at, c := range sums {
		s := at.Series
		hours, status = append(hours, time.Unix(at.Hour*3600, 0).UTC()), append(status, int32(s.Status))
		priced, cost = append(priced, c.Requests), append(cost, int64(c.Cost))
		for k, v := range [...]string{s.KeyID, s.EndpointID, s.Team, s.Customer, s.Model, s.Tag} {
			text[k] = append(text[k], v)
		}
	}
	queueExactly(b, len(hours), "add corrections to usage", addCorrectedUsage,
		int32(part), hours, text[0], text[1], status, text[2], text[3], text[4], text[5], priced, cost)
}

// bookCharges changes account-windows of a partition, whose lock the transaction holds. It returns the
// accounts of which something became free.
func bookCharges(ctx context.Context, tx pgx.Tx, part uint32, charges map[contract.Window]money.Nanos) ([]int64, error) {
	if len(charges) == 0 {
		return nil, nil
	}
	s := newState(part)
	var leases columns
	for w := range charges {
		leases.add(w, escrow.Corrections)
	}
	load := &pgx.Batch{}
	queue(load, selectAccounts, leases[:3].args(), s.scanAccount)
	queue(load, selectSpent, leases.args(), s.scanLease)
	if err := send(ctx, tx, load); err != nil {
		return nil, err
	}
	s.loaded()
	var freed []int64
	for w, nanos := range charges {
		if _, ok := s.book.Accounts[w]; !ok {
			continue // it is over, and nothing is kept of it any more
		}
		if s.book.Correct(w, nanos) {
			freed = append(freed, w.Account)
		}
	}
	change := &pgx.Batch{}
	s.queueChanges(change, nil)
	return freed, send(ctx, tx, change)
}

// behind are the partitions whose accounts have yet to be charged what corrections of others say.
const behind = `
	SELECT p.part, i.part FROM ledger.ledger_part p
	JOIN ledger.incarnation i ON i.inc = 0 AND i.part <> p.part
	LEFT JOIN ledger.correction_mark m ON m.part = p.part AND m.source = i.part
	WHERE i.hwm > coalesce(m.seq, 0) ORDER BY 1, 2`

// FinishCorrections charges accounts what corrections say that other partitions keep. It returns the
// accounts of which something became free.
func (s *Store) FinishCorrections(ctx context.Context) (freed []int64, err error) {
	rows, err := s.pool.Query(ctx, behind)
	if err != nil {
		return nil, translate(err)
	}
	type pair struct{ part, source int32 }
	pairs, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (pair, error) {
		var p pair
		err := row.Scan(&p.part, &p.source)
		return p, err
	})
	if err != nil {
		return nil, translate(err)
	}
	for _, p := range pairs {
		for more := true; more; {
			var some []int64
			err := pg.InTx(ctx, s.pool, func(tx pgx.Tx) (err error) {
				some, more, err = chargeHere(ctx, tx, uint32(p.part), uint32(p.source))
				return err
			})
			if err != nil {
				return freed, translate(fmt.Errorf("charge partition %d the corrections of %d: %w", p.part, p.source, err))
			}
			freed = append(freed, some...)
		}
	}
	return freed, nil
}

const selectMark = `SELECT m.seq FROM ledger.correction_mark m WHERE m.part = $1 AND m.source = $2`

// What a partition's corrections are is read without its lock: they are numbered in the order in which
// they become visible, so that there are never any before the last that is seen.
const selectCorrections = `
	SELECT r.seq, r.cost, r.draws FROM ledger.request r
	WHERE r.inc = 0 AND r.part = $1 AND r.seq > $2 ORDER BY r.seq LIMIT $3`

const setMark = `
	INSERT INTO ledger.correction_mark (part, source, seq) VALUES ($1, $2, $3)
	ON CONFLICT (part, source) DO UPDATE SET seq = excluded.seq`

// chargeHere charges a partition's accounts some of the corrections that another one keeps.
func chargeHere(ctx context.Context, tx pgx.Tx, part, source uint32) (freed []int64, more bool, err error) {
	if err := lockAnyPart(ctx, tx, part); err != nil {
		return nil, false, err
	}
	var last int64
	if err := tx.QueryRow(ctx, selectMark, int32(part), int32(source)).Scan(&last); err != nil && !errors.Is(err, pgx.ErrNoRows) {
		return nil, false, err
	}
	rows, err := tx.Query(ctx, selectCorrections, int32(source), last, correctAtOnce)
	if err != nil {
		return nil, false, err
	}
	charges := map[contract.Window]money.Nanos{}
	n := 0
	for rows.Next() {
		var diff money.Nanos
		var draws []int64
		if err := rows.Scan(&last, &diff, &draws); err != nil {
			rows.Close()
			return nil, false, err
		}
		e := &eventv1.SpendEvent{Draws: drawsOf(draws)}
		if err := charge(charges, e, part, diff); err != nil {
			rows.Close()
			return nil, false, err
		}
		n++
	}
	if err := rows.Err(); err != nil || n == 0 {
		return nil, false, err
	}
	freed, err = bookCharges(ctx, tx, part, charges)
	if err != nil {
		return nil, false, err
	}
	_, err = tx.Exec(ctx, setMark, int32(part), int32(source), last)
	return freed, n == correctAtOnce, err
}
