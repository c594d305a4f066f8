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
	"tollgate/internal/money"
	"tollgate/internal/pg"
	"tollgate/ledger/escrow"
	"tollgate/ledger/usage"
)

// A correction is a record of incarnation 0: it has the time, the names and the draws of the record that
// it corrects, and of its amounts the differences. It is written, added to usage and charged to the
// accounts of its partition in one transaction, under the lock of the partition's row, so that no record
// is ever corrected twice. What a correction leaves unpriced is corrected by another one, which corrects the
// first. Accounts of other partitions are charged under the locks of those, each up to a mark that moves in
// the same transaction: whoever is killed in between leaves something that the next one finishes.

// correctAtOnce is how many records one transaction corrects, which is how long a partition waits for it.
const correctAtOnce = 500

// correction is one to be written.
type correction struct {
	of       usage.Record // the last one of its request: a settlement, or a correction of it
	cost     money.Nanos  // differences
	units    int64
	unpriced bool   // whether it is not known for certain even now
	counts   string // of the job that ended; empty for none
	state    eventv1.SpendJobState
}

// All records of a chain have the same time, so they are kept and dropped together.
// A correction that says nothing of counts leaves them as they were.
const selectWholes = `
	WITH RECURSIVE chain AS (
		SELECT n.i, 0 AS depth, r.ended, r.cost, r.units, r.counts, r.corrects_inc, r.corrects_seq
		FROM unnest($2::timestamptz[], $3::bigint[], $4::bigint[]) WITH ORDINALITY AS n (ended, inc, seq, i)
		JOIN ledger.request r ON r.ended = n.ended AND r.ended >= $5 AND r.ended <= $6 AND r.part = $1 AND r.inc = n.inc AND r.seq = n.seq
		UNION ALL
		SELECT c.i, c.depth + 1, r.ended, r.cost, r.units, r.counts, r.corrects_inc, r.corrects_seq FROM chain c
		JOIN ledger.request r ON r.ended = c.ended AND r.ended >= $5 AND r.ended <= $6 AND r.part = $1
			AND r.inc = c.corrects_inc AND r.seq = c.corrects_seq
	)
	SELECT c.i, sum(c.cost)::bigint, sum(c.units)::bigint,
		coalesce((array_agg(c.counts ORDER BY c.depth) FILTER (WHERE c.counts IS NOT NULL))[1], '')
	FROM chain c GROUP BY c.i`

// wholesOf adds up what records come to. Most correct nothing, and come to what they say.
func wholesOf(ctx context.Context, tx pgx.Tx, part uint32, list []usage.Record) ([]usage.Whole, error) {
	out := make([]usage.Whole, len(list))
	var chained []usage.Record
	var at []int
	for i, r := range list {
		e := r.Event
		out[i] = usage.Whole{Record: r, Cost: money.Nanos(e.GetCostNanos()), Units: e.GetUnits(), Counts: e.GetCounts()}
		if r.Corrects != nil {
			chained, at = append(chained, r), append(at, i)
		}
	}
	if len(chained) == 0 {
		return out, nil
	}
	b := &pgx.Batch{}
	queue(b, selectWholes, placesOf(chained).args(part), func(row pgx.CollectableRow) error {
		var i, units int64
		var cost money.Nanos
		var counts string
		err := row.Scan(&i, &cost, &units, &counts)
		if err == nil {
			w := &out[at[i-1]]
			w.Cost, w.Units, w.Counts = cost, units, counts
		}
		return err
	})
	return out, send(ctx, tx, b)
}

// places are where records are, as the arrays that statements unnest, and the time that they span.
type places struct {
	times       []time.Time
	incs, seqs  []int64
	first, last time.Time
}

func (p *places) add(ended time.Time, inc, seq int64) {
	if len(p.times) == 0 || ended.Before(p.first) {
		p.first = ended
	}
	if len(p.times) == 0 || ended.After(p.last) {
		p.last = ended
	}
	p.times, p.incs, p.seqs = append(p.times, ended), append(p.incs, inc), append(p.seqs, seq)
}

func placesOf(list []usage.Record) *places {
	p := &places{}
	for _, r := range list {
		p.add(time.UnixMilli(r.Event.GetUnixMs()).UTC(), r.Position.Inc, int64(r.Position.Seq))
	}
	return p
}

// args are the first six arguments of a statement.
func (p *places) args(part uint32) []any {
	return []any{int32(part), p.times, p.incs, p.seqs, p.first, p.last}
}

// writeCorrections writes corrections and does what follows from them in the partition, whose lock the
// transaction holds. It returns the accounts of which something became free.
func writeCorrections(ctx context.Context, tx pgx.Tx, part uint32, list []correction) ([]int64, error) {
	if len(list) == 0 {
		return nil, nil
	}
	charges := map[contract.Window]money.Nanos{}
	for _, c := range list {
		if err := charge(charges, c.of.Event, part, c.cost); err != nil {
			return nil, err
		}
	}
	b := &pgx.Batch{}
	queueCorrections(b, part, list)
	queueCorrectedUsage(b, part, list)
	if err := send(ctx, tx, b); err != nil {
		return nil, err
	}
	return bookCharges(ctx, tx, part, charges)
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
		part, attempt, status, outcome, unpriced, was_unpriced, request_id, edge, key_id, endpoint_id, team, customer, model, tags, draws,
		meter, counts, job, job_state, deployment)
	SELECT r.ended, 0, i.hwm - cardinality($3::bigint[]) + n.i, n.cost, 0, n.units, r.price_version, 0, r.inc, r.seq,
		r.part, r.attempt, r.status, r.outcome, n.unpriced, r.unpriced, r.request_id, r.edge, r.key_id, r.endpoint_id, r.team, r.customer, r.model, r.tags,
		(SELECT array_agg(CASE WHEN d.i % 5 = 0 THEN n.cost ELSE d.v END ORDER BY d.i) FROM unnest(r.draws) WITH ORDINALITY AS d (v, i)),
		r.meter, nullif(n.counts, ''), r.job, nullif(n.state, 0), r.deployment
	FROM unnest($2::timestamptz[], $3::bigint[], $4::bigint[], $7::bigint[], $8::bigint[], $9::boolean[], $10::text[], $11::smallint[])
			WITH ORDINALITY AS n (ended, inc, seq, cost, units, unpriced, counts, state, i)
	JOIN ledger.request r ON r.ended = n.ended AND r.ended >= $5 AND r.ended <= $6 AND r.part = $1 AND r.inc = n.inc AND r.seq = n.seq
	JOIN ledger.incarnation i ON i.inc = 0 AND i.part = $1`

func queueCorrections(b *pgx.Batch, part uint32, list []correction) {
	at := &places{}
	var costs, units []int64
	var unpriced []bool
	var counts []string
	var states []int16
	for _, c := range list {
		at.add(time.UnixMilli(c.of.Event.GetUnixMs()).UTC(), c.of.Position.Inc, int64(c.of.Position.Seq))
		costs, units, unpriced = append(costs, int64(c.cost)), append(units, c.units), append(unpriced, c.unpriced)
		counts, states = append(counts, c.counts), append(states, int16(c.state))
	}
	b.Queue(numberCorrections, int32(part), int64(len(list)))
	queueExactly(b, len(list), "correct records", addCorrections, append(at.args(part), costs, units, unpriced, counts, states)...)
}

// What is corrected has a series, because it was added up.
const addCorrectedUsage = `
	INSERT INTO ledger.usage_delta (hour, series, requests, failed, abandoned, unpriced, units, cost_nanos, part, tagged)
	SELECT n.hour, s.series, 0, 0, 0, n.unpriced, n.units, n.cost, $1, n.tag <> ''
	FROM unnest($2::timestamptz[], $3::text[], $4::text[], $5::int[], $6::text[], $7::text[], $8::text[], $9::text[], $10::bigint[], $11::bigint[], $12::bigint[])
			AS n (hour, key_id, endpoint_id, status, team, customer, model, tag, unpriced, units, cost)
	JOIN ledger.usage_series s ON s.part = $1 AND s.key_id = n.key_id AND s.endpoint_id = n.endpoint_id AND s.status = n.status
		AND s.team = n.team AND s.customer = n.customer AND s.model = n.model AND s.tag = n.tag`

func queueCorrectedUsage(b *pgx.Batch, part uint32, list []correction) {
	sums := usage.Sums{}
	for _, c := range list {
		e := c.of.Event
		var unpriced int64
		switch {
		case c.unpriced && !e.GetUnpriced():
			unpriced = 1
		case !c.unpriced && e.GetUnpriced():
			unpriced = -1
		}
		at := usage.Slot{Hour: e.GetUnixMs() / time.Hour.Milliseconds(), Series: usage.SeriesOf(e)}
		for _, tag := range slices.Concat([]string{""}, e.GetTags()) {
			at.Series.Tag = tag
			n := sums[at]
			n.Unpriced, n.Units, n.Cost = n.Unpriced+unpriced, n.Units+c.units, n.Cost+c.cost
			sums[at] = n
		}
	}
	var hours []time.Time
	var text [6][]string
	var status []int32
	var unpriced, units, cost []int64
	for at, c := range sums {
		s := at.Series
		hours, status = append(hours, time.Unix(at.Hour*3600, 0).UTC()), append(status, int32(s.Status))
		unpriced, units, cost = append(unpriced, c.Unpriced), append(units, c.Units), append(cost, int64(c.Cost))
		for k, v := range [...]string{s.KeyID, s.EndpointID, s.Team, s.Customer, s.Model, s.Tag} {
			text[k] = append(text[k], v)
		}
	}
	queueExactly(b, len(hours), "add corrections to usage", addCorrectedUsage,
		int32(part), hours, text[0], text[1], status, text[2], text[3], text[4], text[5], unpriced, units, cost)
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
