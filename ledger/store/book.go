package store

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/jackc/pgx/v5"

	"tollgate/internal/contract"
	"tollgate/ledger/escrow"
	"tollgate/ledger/usage"
)

// Position is how far a stream has been read. It spares reading it again; what decides about an
// event is the mark of its incarnation.
type Position struct {
	Stream  string
	Created int64 // Unix nanoseconds; a stream made anew is another stream
	Seq     uint64
}

// Batch is a batch of events and what each adds to usage; an event that adds nothing has a zero Fact.
type Batch struct {
	escrow.Batch
	Facts []usage.Fact
}

// Mark is how far an incarnation's events are booked.
type Mark struct {
	Inc  int64
	Edge string
	HWM  uint64
	Gap  bool // events after HWM are missing
}

// Booked is what a flush did.
type Booked struct {
	Marks   []Mark            // one for each incarnation that had a batch in it
	Touched []contract.Window // on which something was spent
	Freed   []int64           // as in escrow.Outcome
	Events  int               // how many were booked now
}

// Position reads how far the stream has been read.
func (l *Leader) Position(ctx context.Context) (Position, error) {
	var p Position
	err := l.tx(ctx, txTimeout, func(ctx context.Context, tx pgx.Tx) error {
		var seq int64
		err := tx.QueryRow(ctx, `SELECT p.stream, p.stream_created, p.stream_seq FROM ledger.ledger_part p WHERE p.part = $1`,
			int32(l.part)).Scan(&p.Stream, &p.Created, &seq)
		p.Seq = uint64(seq)
		return err
	})
	return p, err
}

const movePosition = `
	UPDATE ledger.ledger_part SET stream = $3, stream_created = $4, stream_seq = $5
	WHERE part = $1 AND epoch = $2`

const selectSpent = `
	SELECT l.account_id, l.gen, l.start, l.inc, l.granted, l.returned, l.consumed
	FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::bigint[]) AS n (account_id, gen, start, inc)
	JOIN ledger.lease l ON l.account_id = n.account_id AND l.gen = n.gen AND l.start = n.start AND l.inc = n.inc`

// selectClosing reads all that incarnations hold which are about to end.
const selectClosing = `
	SELECT l.account_id, l.gen, l.start, l.inc, l.granted, l.returned, l.consumed
	FROM ledger.lease l
	JOIN ledger.account_window a ON a.account_id = l.account_id AND a.gen = l.gen AND a.start = l.start AND a.part = $2
	WHERE l.inc = ANY($1::bigint[])`

const selectAccounts = `
	SELECT a.account_id, a.gen, a.start, a.lim, a.alloc, a.overrun, a.version, a.closed, 0::bigint
	FROM unnest($1::bigint[], $2::bigint[], $3::bigint[]) AS n (account_id, gen, start)
	JOIN ledger.account_window a ON a.account_id = n.account_id AND a.gen = n.gen AND a.start = n.start`

// Book books batches in the order given and moves the position, in one transaction: money, usage and
// marks advance together or not at all.
func (l *Leader) Book(ctx context.Context, at Position, batches []Batch, anomalies []Anomaly) (Booked, error) {
	var out Booked
	err := l.tx(ctx, txTimeout, func(ctx context.Context, tx pgx.Tx) error {
		s, err := l.loadSpent(ctx, tx, batches)
		if err != nil {
			return err
		}
		var sums map[usage.Bucket]usage.Counts
		var late []Anomaly
		out, sums, late = s.apply(batches)

		change := &pgx.Batch{}
		queueExactly(change, 1, "move the position", movePosition, int32(l.part), l.epoch, at.Stream, at.Created, int64(at.Seq))
		s.queueChanges(change, nil)
		queueUsage(change, l.part, sums)
		queueAnomalies(change, l.part, append(late, anomalies...))
		return send(ctx, tx, change)
	})
	if err != nil {
		return Booked{}, fmt.Errorf("book up to %s %d: %w", at.Stream, at.Seq, err)
	}
	return out, nil
}

// loadSpent reads everything that the batches could change.
func (l *Leader) loadSpent(ctx context.Context, tx pgx.Tx, batches []Batch) (*state, error) {
	type key struct {
		w   contract.Window
		inc int64
	}
	edges := map[int64]string{}
	keys := map[key]bool{}
	var closing []int64
	for _, b := range batches {
		if _, ok := edges[b.Inc]; !ok {
			edges[b.Inc] = b.Edge
		}
		for _, e := range b.Events {
			for _, d := range e.Draws {
				keys[key{d.Window, b.Inc}] = true
			}
			if e.Close {
				closing = append(closing, b.Inc)
			}
		}
	}
	var leases columns
	var windows []contract.Window
	for k := range keys {
		leases.add(k.w, k.inc)
		windows = append(windows, k.w)
	}
	s := newState(l.part)
	load := &pgx.Batch{}
	if len(edges) > 0 {
		s.queueIncs(load, edges)
	}
	if leases.rows() > 0 {
		queue(load, selectSpent, leases.args(), s.scanLease)
	}
	if len(closing) > 0 {
		queue(load, selectClosing, []any{closing, int32(l.part)}, s.scanLease)
	}
	if err := send(ctx, tx, load); err != nil {
		return nil, err
	}
	for w := range s.book.Leases {
		windows = append(windows, w)
	}
	if len(windows) > 0 {
		set := windowSetOf(windows)
		load = &pgx.Batch{}
		queue(load, selectAccounts, []any{set.accounts, set.gens, set.starts}, s.scanAccount)
		if err := send(ctx, tx, load); err != nil {
			return nil, err
		}
	}
	s.loaded()
	return s, nil
}

func (s *state) apply(batches []Batch) (out Booked, sums map[usage.Bucket]usage.Counts, late []Anomaly) {
	sums = map[usage.Bucket]usage.Counts{}
	gaps := map[int64]bool{}
	touched := map[contract.Window]bool{}
	for _, b := range batches {
		got := s.book.Apply(b.Batch)
		gaps[b.Inc] = got.Verdict == escrow.Gap
		if got.Verdict != escrow.Accepted {
			continue
		}
		out.Freed = append(out.Freed, got.Freed...)
		for i := got.From; i < len(b.Events); i++ {
			out.Events++
			for _, d := range b.Events[i].Draws {
				touched[d.Window] = true
			}
			if f := b.Facts[i]; f != (usage.Fact{}) {
				sums[f.Bucket] = sums[f.Bucket].Add(f.Counts)
			}
		}
		if got.Late {
			late = append(late, Anomaly{Kind: "event_after_close", Inc: b.Inc, Edge: b.Edge, Detail: fmt.Sprintf("events %d to %d", b.First, b.Last())})
		}
	}
	for _, inc := range slices.Sorted(maps.Keys(gaps)) {
		i := s.book.Incs[inc]
		out.Marks = append(out.Marks, Mark{Inc: inc, Edge: i.Edge, HWM: i.HWM, Gap: gaps[inc]})
	}
	out.Touched = slices.SortedFunc(maps.Keys(touched), escrow.Compare)
	slices.Sort(out.Freed)
	out.Freed = slices.Compact(out.Freed)
	return out, sums, late
}

// Sums stop at the largest number instead of failing: an edge whose events could not be booked would
// never get rid of them.
const addUsage = `
	INSERT INTO ledger.usage_day AS u (day, key_id, endpoint_id, part, requests, failed, abandoned, cost_nanos)
	SELECT n.day, n.key_id, n.endpoint_id, $1, n.requests, n.failed, n.abandoned, n.cost
	FROM unnest($2::text[]::date[], $3::text[], $4::text[], $5::bigint[], $6::bigint[], $7::bigint[], $8::bigint[])
		AS n (day, key_id, endpoint_id, requests, failed, abandoned, cost)
	ON CONFLICT (day, key_id, endpoint_id, part) DO UPDATE SET
		requests = u.requests + excluded.requests, failed = u.failed + excluded.failed,
		abandoned = u.abandoned + excluded.abandoned,
		cost_nanos = least(u.cost_nanos::numeric + excluded.cost_nanos, 9223372036854775807)::bigint`

func queueUsage(b *pgx.Batch, part uint32, sums map[usage.Bucket]usage.Counts) {
	if len(sums) == 0 {
		return
	}
	var days, keys, endpoints []string
	var requests, failed, abandoned, cost []int64
	for _, k := range slices.SortedFunc(maps.Keys(sums), compareBuckets) {
		c := sums[k]
		days, keys, endpoints = append(days, k.Day), append(keys, k.KeyID), append(endpoints, k.EndpointID)
		requests, failed = append(requests, c.Requests), append(failed, c.Failed)
		abandoned, cost = append(abandoned, c.Abandoned), append(cost, int64(c.Cost))
	}
	b.Queue(addUsage, int32(part), days, keys, endpoints, requests, failed, abandoned, cost)
}

func compareBuckets(a, b usage.Bucket) int {
	return cmp.Or(cmp.Compare(a.Day, b.Day), cmp.Compare(a.KeyID, b.KeyID), cmp.Compare(a.EndpointID, b.EndpointID))
}
