// Package pg opens PostgreSQL, moves schemas forward and runs transactions
// that the database may ask to be repeated. It also names the errors a store
// reacts to, so that no store compares SQLSTATE codes.
//
// It holds no statement of the product. Those are in the stores, each of which
// owns one schema.
package pg

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
)

// Open makes a pool without connecting, so that a process starts with the
// database away and says so in its readiness. Only a malformed URL fails.
func Open(ctx context.Context, url string, maxConns int) (*pgxpool.Pool, error) {
	return open(ctx, url, maxConns, func(*pgx.ConnConfig) {})
}

// open also changes how connections are made.
func open(ctx context.Context, url string, maxConns int, change func(*pgx.ConnConfig)) (*pgxpool.Pool, error) {
	cfg, err := pgxpool.ParseConfig(url)
	if err != nil {
		return nil, fmt.Errorf("database URL: %w", hidePassword(err))
	}
	if maxConns > 0 {
		cfg.MaxConns = int32(min(maxConns, 10_000))
	}
	prepare(cfg.ConnConfig)
	change(cfg.ConnConfig)
	pool, err := pgxpool.NewWithConfig(ctx, cfg)
	if err != nil {
		return nil, fmt.Errorf("open database: %w", err)
	}
	return pool, nil
}

// prepare sees to what every connection of ours has.
func prepare(cfg *pgx.ConnConfig) {
	if cfg.ConnectTimeout == 0 {
		cfg.ConnectTimeout = 5 * time.Second
	}
	params := cfg.RuntimeParams
	if params["application_name"] == "" {
		params["application_name"] = "tollgate"
	}
	// Days and months of budgets are computed from times that come back.
	params["timezone"] = "UTC"
	cfg.AfterConnect = durable
}

// durable makes commits outlive the server on every connection. What is committed is told to others
// at once; a server that is set up to commit first and write later would take some of it back when it
// is killed. Stricter settings stay.
func durable(ctx context.Context, conn *pgconn.PgConn) error {
	const on = `SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') = 'off'`
	if _, err := conn.Exec(ctx, on).ReadAll(); err != nil {
		return fmt.Errorf("make commits durable: %w", err)
	}
	return nil
}

// hidePassword keeps the reason only: what the driver reports may quote the
// URL, and masks the password just where it could find it.
func hidePassword(err error) error {
	for next := errors.Unwrap(err); next != nil; next = errors.Unwrap(err) {
		err = next
	}
	return err
}

// Beginner is a pool or a connection.
type Beginner interface {
	BeginTx(ctx context.Context, opts pgx.TxOptions) (pgx.Tx, error)
}

// maxAttempts bounds repeating: contention that lasts longer is a design to
// mend, and the caller must hear of it.
const maxAttempts = 8

// InTx runs f in a transaction at the default isolation level; see InTxWith.
func InTx(ctx context.Context, db Beginner, f func(pgx.Tx) error) error {
	return InTxWith(ctx, db, pgx.TxOptions{}, f)
}

// InTxWith runs f in a transaction, commits if f returns nil and rolls back
// otherwise. Where the database ended it over a deadlock or a serialization
// conflict, it is run again from the start: f must have no effect outside the
// transaction that a second run would do twice.
func InTxWith(ctx context.Context, db Beginner, opts pgx.TxOptions, f func(pgx.Tx) error) error {
	return Repeat(ctx, func() error { return once(ctx, db, opts, f) })
}

// Repeat runs f, which is a transaction, again where the database ended it over a conflict.
func Repeat(ctx context.Context, f func() error) error {
	pause := 5 * time.Millisecond
	for attempt := 1; ; attempt++ {
		err := f()
		if err == nil || !IsConflict(err) {
			return err
		}
		if attempt == maxAttempts {
			return fmt.Errorf("transaction gave up after %d attempts: %w", attempt, err)
		}
		// Random, so that two that met do not meet again.
		timer := time.NewTimer(pause/2 + rand.N(pause))
		select {
		case <-ctx.Done():
			timer.Stop()
			return errors.Join(ctx.Err(), err)
		case <-timer.C:
		}
		pause *= 2
	}
}

func once(ctx context.Context, db Beginner, opts pgx.TxOptions, f func(pgx.Tx) error) error {
	tx, err := db.BeginTx(ctx, opts)
	if err != nil {
		return err
	}
	// Also on a panic in f. After a commit it does nothing. The context may
	// have ended; without one that lives, the connection would be thrown away.
	defer func() {
		end, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
		defer cancel()
		_ = tx.Rollback(end)
	}()
	if err := f(tx); err != nil {
		return err
	}
	return tx.Commit(ctx)
}
