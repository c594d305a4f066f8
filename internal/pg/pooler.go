package pg

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
)

// openPooled is Open for a URL that leads to a pooler of transactions, such as
// PgBouncer, where each transaction may run on another of the server's
// sessions. Nothing is left behind in one: no statement is prepared under a
// name, and no setting is changed.
func openPooled(ctx context.Context, url string, maxConns int) (*pgxpool.Pool, error) {
	return open(ctx, url, maxConns, func(cfg *pgx.ConnConfig) {
		// What a statement takes and gives is remembered here, and the statement
		// itself is sent each time. Values travel as they do without a pooler.
		cfg.DefaultQueryExecMode = pgx.QueryExecModeCacheDescribe
		cfg.AfterConnect = durableAlready
	})
}

// ErrNotDurable means that commits would be told to others before they are safe, and that a pooler
// is in the way of changing it.
var ErrNotDurable = errors.New("synchronous_commit is off, which cannot be changed through a pooler: run ALTER DATABASE … SET synchronous_commit = on")

// durableAlready is durable where a setting would stay with some session of the server, which the
// next transaction need not meet.
func durableAlready(ctx context.Context, conn *pgconn.PgConn) error {
	const on = `SELECT current_setting('synchronous_commit') = 'off'`
	results, err := conn.Exec(ctx, on).ReadAll()
	if err != nil {
		return fmt.Errorf("see whether commits are durable: %w", err)
	}
	if len(results) == 1 && len(results[0].Rows) == 1 && string(results[0].Rows[0][0]) == "t" {
		return ErrNotDurable
	}
	return nil
}

// OpenWith is Open for a database that may have a pooler of transactions in front: url leads to the
// pooler, and direct past it, or is empty where there is no pooler. It also says how to make
// connections that stand for something by themselves, by the lock that they hold or by what they
// listen to.
func OpenWith(ctx context.Context, url, direct string, maxConns int) (*pgxpool.Pool, *pgx.ConnConfig, error) {
	if direct == "" {
		pool, err := Open(ctx, url, maxConns)
		if err != nil {
			return nil, nil, err
		}
		return pool, pool.Config().ConnConfig, nil
	}
	own, err := pgx.ParseConfig(direct)
	if err != nil {
		return nil, nil, fmt.Errorf("direct database URL: %w", hidePassword(err))
	}
	prepare(own)
	pool, err := openPooled(ctx, url, maxConns)
	if err != nil {
		return nil, nil, err
	}
	return pool, own, nil
}
