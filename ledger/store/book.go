package store

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	eventv1 "tollgate/gen/tollgate/event/v1"
	"tollgate/internal/contract"
	"tollgate/internal/money"
	"tollgate/ledger/escrow"
)

// Position is how far a stream has been read. It spares reading it again; what decides about an
// event is the mark of its incarnation.
type Position struct {
	Stream  string
	Created int64 // Unix nanoseconds; a stream made anew is another stream
	Seq     uint64
}

// Batch is a batch of events with the records of them. The draws of an event are those of accounts that
// the partition owns, and the record has those of all. An event that another partition keeps the record
// of has none, and neither has one that closes.
type Batch struct {
	escrow.Batch
	Records []*eventv1.SpendEvent
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
	Forced  money.Nanos       // spent beyond what had been granted
	Events  int               // how many were booked now
}

// Position reads how far the stream has been read.
func (l *Leader) Position(ctx context.Context) (Position, error) {
	var p Position
	err := l.tx(ctx, func(ctx context.Context, tx pgx.Tx) error {
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
	SELECT ` + windowColumns + `, 0::bigint` + rollingColumns + `
	FROM unnest($1::bigint[], $2::bigint[], $3::bigint[]) AS n (account_id, gen, start)
	JOIN ledger.account_window a ON a.account_id = n.account_id AND a.gen = n.gen AND a.start = n.start` + rollingJoin

// Book books batches in the order given and moves the position. Money, usage and marks advance together or
// not at all; while leases are asked for, that is true of one part of the batches after the other, and the
// position moves with the last. With an error, what is returned was booked before it.
func (l *Leader) Book(ctx context.Context, at Position, batches []Batch, anomalies []Anomaly) (all Booked, err error) {
	defer func() { all.sort() }()
	for {
		next, rest := cut(batches, l.pace.most(time.Now()))
		f := &flush{batches: next}
		err = l.turn(ctx, txTimeout, true, func(ctx context.Context, t *turn) error {
			began := time.Now()
			f.begin(l.part)
			if err := f.run(ctx, t); err != nil {
				return err
			}
			change := &pgx.Batch{}
			f.queueHeard(change)
			f.queueChanges(change, nil)
			notes := f.late
			if len(rest) == 0 {
				queueExactly(change, 1, "move the position", movePosition, int32(l.part), l.epoch, at.Stream, at.Created, int64(at.Seq))
				notes = slices.Concat(notes, anomalies)
			}
			queueAnomalies(change, l.part, notes)
			if err := t.commit(ctx, change); err != nil {
				return err
			}
			l.series.remember(f.series)
			l.pace.booked(f.out.Events, time.Since(began))
			return nil
		})
		if err != nil {
			return all, fmt.Errorf("book up to %s %d: %w", at.Stream, at.Seq, err)
		}
		all.add(f.out)
		if batches = rest; len(batches) == 0 {
			return all, nil
		}
	}
}

// add adds what was booked next.
func (b *Booked) add(next Booked) {
	for _, m := range next.Marks {
		if i := slices.IndexFunc(b.Marks, func(old Mark) bool { return old.Inc == m.Inc }); i >= 0 {
			b.Marks[i] = m
		} else {
			b.Marks = append(b.Marks, m)
		}
	}
	b.Touched, b.Freed = append(b.Touched, next.Touched...), append(b.Freed, next.Freed...)
	b.Forced += next.Forced
	b.Events += next.Events
}

// sort makes what is listed be there once.
func (b *Booked) sort() {
	slices.SortFunc(b.Touched, contract.Window.Compare)
	slices.Sort(b.Freed)
	b.Touched, b.Freed = slices.Compact(b.Touched), slices.Compact(b.Freed)
}
