package store

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"tollgate/internal/pg"
)

// What ledger.expect fails with.
const (
	codeLost  = "TG001" // the partition has another leader
	codeMoved = "TG002" // a row is not as it was read
)

// lockPart waits for the partition's row, and fails if the partition has another leader. What follows it in
// a batch is then not run.
const lockPart = `SELECT ledger.expect((SELECT p.epoch FROM ledger.ledger_part p WHERE p.part = $1 FOR UPDATE), $2, 'epoch', '` + codeLost + `')`

// lockAny is the lock of the row for whoever is no leader and holds up the one there is.
const lockAny = `SELECT p.epoch FROM ledger.ledger_part p WHERE p.part = $1 FOR UPDATE`

// queueExactly adds a statement that must change so many rows. With any other number the database is not as
// it was read: the statement fails, and with it the transaction, even if its commit is on the way.
func queueExactly(b *pgx.Batch, want int, what, sql string, args ...any) {
	b.Queue(exactly(sql, what, len(args)), append(slices.Clip(args), int64(want))...)
}

// exact has the statements that exactly made of others. There are only so many.
var exact sync.Map // of string by string

func exactly(sql, what string, args int) string {
	if made, ok := exact.Load(sql); ok {
		if made, ok := made.(string); ok {
			return made
		}
	}
	made := fmt.Sprintf(`WITH done AS (%s RETURNING 1) SELECT ledger.expect((SELECT count(*) FROM done), $%d, '%s', '%s')`, sql, args+1, what, codeMoved)
	exact.Store(sql, made)
	return made
}

// turn is a transaction that takes as few trips to the database as there are decisions in it: it begins
// with the first batch, and is committed with the last. Before the first statement of the first batch, the
// partition's row is locked. A statement that fails makes the database pass over all that follows, so that
// nothing has been done then.
type turn struct {
	l     *Leader
	large bool // see planAnew
	begun bool
}

// send runs the statements of a batch. An answer shows that the lock was held when they were sent.
func (t *turn) send(ctx context.Context, b *pgx.Batch) error {
	if !t.begun {
		head := &pgx.Batch{}
		head.Queue(`BEGIN`)
		if t.large {
			head.Queue(planAnew)
		}
		head.Queue(lockPart, int32(t.l.part), t.l.epoch)
		b.QueuedQueries = slices.Insert(b.QueuedQueries, 0, head.QueuedQueries...)
		t.begun = true
	}
	if b.Len() == 0 {
		return nil
	}
	now := time.Now()
	if err := t.l.conn.SendBatch(ctx, b).Close(); err != nil {
		return err
	}
	t.l.alive.Store(&now)
	return nil
}

// commit runs the statements of a batch and makes the transaction take effect, if none of them fails. What
// they answer is known too late to change that.
func (t *turn) commit(ctx context.Context, b *pgx.Batch) error {
	var end pgconn.CommandTag
	b.Queue(`COMMIT`).Exec(func(tag pgconn.CommandTag) error {
		end = tag
		return nil
	})
	if err := t.send(ctx, b); err != nil {
		return err
	}
	if end.String() != "COMMIT" {
		return pgx.ErrTxCommitRollback
	}
	return nil
}

// end makes the connection ready for the next transaction. Where it cannot, the connection is gone.
func (t *turn) end(ctx context.Context) {
	if t.l.conn.IsClosed() || t.l.conn.PgConn().TxStatus() == 'I' {
		return
	}
	if _, err := t.l.conn.Exec(ctx, `ROLLBACK`); err != nil {
		_ = t.l.conn.Close(ctx)
	}
}

// turn runs f, which commits what it did. Large says that it has a lot to do; see planAnew. See tx for what
// ends it.
func (l *Leader) turn(ctx context.Context, within time.Duration, large bool, f func(context.Context, *turn) error) error {
	return l.alone(ctx, within, func(ctx context.Context) error {
		return pg.Repeat(ctx, func() error {
			t := &turn{l: l, large: large}
			defer func() {
				// The context may have ended, but the connection is worth keeping.
				end, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
				defer cancel()
				t.end(end)
			}()
			return f(ctx, t)
		})
	})
}

// fixPlans has statements planned once, which is what a lease and the like want: each of its statements
// finds some rows by their keys, whatever the tables hold, and planning it anew takes longer than running
// it. The plan is made when tables may be empty and is kept when they no longer are, so what only suits small
// tables is ruled out.
const fixPlans = `SELECT set_config(s, CASE s WHEN 'plan_cache_mode' THEN 'force_generic_plan' ELSE 'off' END, false)
	FROM unnest(ARRAY['plan_cache_mode', 'enable_seqscan', 'enable_hashjoin', 'enable_mergejoin', 'enable_material', 'jit']) s`

// planAnew undoes that for a transaction: a good plan of its statements depends on how much they are about.
const planAnew = `SELECT set_config(s, CASE s WHEN 'plan_cache_mode' THEN 'auto' ELSE 'on' END, true)
	FROM unnest(ARRAY['plan_cache_mode', 'enable_seqscan', 'enable_hashjoin', 'enable_mergejoin', 'enable_material']) s`

// tx runs f in a transaction that holds the lock of the partition's row, and commits it. The end of ctx does
// not cut it off in the middle, because that would cost the connection and with it the leadership.
func (l *Leader) tx(ctx context.Context, f func(context.Context, pgx.Tx) error) error {
	return l.alone(ctx, txTimeout, func(ctx context.Context) error {
		return pg.InTx(ctx, l.conn, func(tx pgx.Tx) error {
			head := &pgx.Batch{}
			head.Queue(planAnew)
			head.Queue(lockPart, int32(l.part), l.epoch)
			if err := l.send(ctx, tx, head); err != nil {
				return err
			}
			return f(ctx, tx)
		})
	})
}

// send runs the statements of a batch. An answer shows that the lock was held when they were sent.
func (l *Leader) send(ctx context.Context, tx pgx.Tx, b *pgx.Batch) error {
	now := time.Now()
	if err := send(ctx, tx, b); err != nil {
		return err
	}
	l.alive.Store(&now)
	return nil
}

// alone runs f when it is its turn, and says what its errors mean for the leadership.
func (l *Leader) alone(ctx context.Context, within time.Duration, f func(context.Context) error) error {
	select {
	case <-l.free:
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { l.free <- struct{}{} }()
	if err := ctx.Err(); err != nil {
		return err
	}
	if l.conn.IsClosed() {
		return ErrLost
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), within)
	defer cancel()
	err := f(ctx)
	if err == nil {
		return nil
	}
	if refused, ok := errors.AsType[*pgconn.PgError](err); ok && refused.Code == codeLost || l.conn.IsClosed() || pg.IsUnavailable(err) {
		return fmt.Errorf("%w: %w", ErrLost, err)
	}
	return err
}
