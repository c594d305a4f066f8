package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"tollgate/internal/fault"
	"tollgate/internal/money"
	"tollgate/internal/pg"
	"tollgate/ledger/escrow"
)

// What operators decide about incarnations, they decide beside the leader: under the lock of the
// partition's row, which every transaction of its own takes first.

// IncarnationState is what is known of an incarnation in one partition.
type IncarnationState struct {
	Inc     int64
	Part    uint32
	Edge    string
	State   escrow.IncState
	HWM     uint64
	Since   time.Time   // when it spoke first
	Heard   time.Time   // when it spoke last
	Unspent money.Nanos // what it holds and has not spent, as far as is booked
}

const selectIncarnations = `
	SELECT i.inc, i.part, i.edge, i.state, i.hwm, i.since, i.heard,
		least(coalesce((SELECT sum(l.granted - l.returned - l.consumed) FROM ledger.lease l
			JOIN ledger.account_window a ON a.account_id = l.account_id AND a.gen = l.gen AND a.start = l.start AND a.part = i.part
			WHERE l.inc = i.inc), 0), 9223372036854775807)::bigint
	FROM ledger.incarnation i WHERE i.inc > 0 AND ($1 OR i.state <> 1)
	ORDER BY i.inc, i.part`

// Incarnations lists them by number and partition: those that have not ended as they should, or all.
func (s *Store) Incarnations(ctx context.Context, all bool) ([]IncarnationState, error) {
	rows, err := s.pool.Query(ctx, selectIncarnations, all)
	if err != nil {
		return nil, translate(err)
	}
	list, err := pgx.CollectRows(rows, scanIncarnation)
	return list, translate(err)
}

func scanIncarnation(row pgx.CollectableRow) (IncarnationState, error) {
	var i IncarnationState
	var part int32
	var hwm int64
	err := row.Scan(&i.Inc, &part, &i.Edge, &i.State, &hwm, &i.Since, &i.Heard, &i.Unspent)
	i.Part, i.HWM = uint32(part), uint64(hwm)
	return i, err
}

// silentFor is how long an incarnation must not have been heard before it may be given up. One that runs
// speaks every few seconds.
const silentFor = time.Minute

// WriteOff notes that an incarnation is lost, in every partition. What it holds stays spent, as it may
// have been. It returns how much that is.
func (s *Store) WriteOff(ctx context.Context, inc int64) (money.Nanos, error) {
	return s.giveUp(ctx, inc, escrow.Lost)
}

// Release gives free what an incarnation holds, in every partition, without knowing how much of it was
// spent. It returns how much that is: by so much, budgets may be overspent.
func (s *Store) Release(ctx context.Context, inc int64) (money.Nanos, error) {
	return s.giveUp(ctx, inc, escrow.Released)
}

func (s *Store) giveUp(ctx context.Context, inc int64, to escrow.IncState) (money.Nanos, error) {
	parts, err := s.parts(ctx)
	if err != nil {
		return 0, translate(err)
	}
	var sum money.Nanos
	known, changed := false, false
	for _, part := range parts {
		var done, here bool
		var nanos money.Nanos
		err := pg.InTx(ctx, s.pool, func(tx pgx.Tx) (err error) {
			nanos, done, err = giveUpIn(ctx, tx, part, inc, to)
			here = !errors.Is(err, pgx.ErrNoRows)
			if !here {
				return nil
			}
			return err
		})
		if err != nil {
			return sum, translate(fmt.Errorf("give up incarnation %d in partition %d: %w", inc, part, err))
		}
		known, changed = known || here, changed || done
		if sum, err = sum.Add(nanos); err != nil {
			return sum, err
		}
	}
	switch {
	case !known || inc == escrow.Corrections:
		return 0, fault.New(fault.ObjectNotFound, "No incarnation %d is known.", inc).WithHint("List them with `tollgate ledger incarnations`.")
	case !changed:
		return 0, fault.New(fault.FailedPrecondition, "Incarnation %d has been given up already, or has ended by itself.", inc).
			WithHint("Look at `tollgate ledger incarnations --all`.")
	}
	return sum, nil
}

const selectSilent = `SELECT i.heard < now() - make_interval(secs => $3) FROM ledger.incarnation i WHERE i.part = $1 AND i.inc = $2`

const selectHeld = `
	SELECT l.account_id, l.gen, l.start, l.inc, l.granted, l.returned, l.consumed FROM ledger.lease l
	JOIN ledger.account_window a ON a.account_id = l.account_id AND a.gen = l.gen AND a.start = l.start AND a.part = $2
	WHERE l.inc = $1`

// giveUpIn does it in one partition, if there is anything to do. It returns how much the incarnation held.
func giveUpIn(ctx context.Context, tx pgx.Tx, part uint32, inc int64, to escrow.IncState) (nanos money.Nanos, done bool, err error) {
	if err := lockAnyPart(ctx, tx, part); err != nil {
		return 0, false, err
	}
	var silent bool
	if err := tx.QueryRow(ctx, selectSilent, int32(part), inc, silentFor.Seconds()).Scan(&silent); err != nil {
		return 0, false, err
	}
	s := newState(part)
	load := &pgx.Batch{}
	queue(load, selectIncs, []any{int32(part), []int64{inc}}, s.scanInc)
	queue(load, selectHeld, []any{inc, int32(part)}, s.scanLease)
	if err := send(ctx, tx, load); err != nil {
		return 0, false, err
	}
	was := s.book.Incs[inc]
	if was.State.Ended() || was.State == to {
		return 0, false, nil
	}
	if was.State == escrow.Live && !silent {
		return 0, false, fault.New(fault.FailedPrecondition, "Incarnation %d of edge %s was heard less than a minute ago.", inc, was.Edge).
			WithHint("Stop the edge first, or wait until it has been silent for a minute.")
	}
	var windows columns
	for w := range s.book.Leases {
		windows.add(w)
	}
	if windows.rows() > 0 {
		load = &pgx.Batch{}
		queue(load, selectAccounts, windows.args(), s.scanAccount)
		if err := send(ctx, tx, load); err != nil {
			return 0, false, err
		}
	}
	s.loaded()
	for _, leases := range s.book.Leases {
		if nanos, err = nanos.Add(leases[inc].Unspent()); err != nil {
			return 0, false, err
		}
	}
	s.book.MarkLost(inc)
	kind := "incarnation_lost"
	if to == escrow.Released {
		s.book.Release(inc)
		kind = "incarnation_released"
	}
	change := &pgx.Batch{}
	s.queueChanges(change, nil)
	queueAnomalies(change, part, []Anomaly{{Kind: kind, Inc: inc, Edge: was.Edge, Detail: fmt.Sprintf("it held %d nano-dollars", nanos)}})
	return nanos, true, send(ctx, tx, change)
}

// BeginHistory begins a new history in every partition, because an older state of the database was
// brought back. Leaders lose the lead by that and take it again, and edges send what the database lacks.
// It returns how many partitions there are.
func (s *Store) BeginHistory(ctx context.Context) (partitions int64, err error) {
	tag, err := s.pool.Exec(ctx, `UPDATE ledger.ledger_part SET history = history + 1, epoch = epoch + 1`)
	if err != nil {
		return 0, translate(fmt.Errorf("begin a new history: %w", err))
	}
	return tag.RowsAffected(), nil
}
