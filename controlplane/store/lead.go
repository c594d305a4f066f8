package store

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"time"

	"github.com/jackc/pgx/v5"

	"tollgate/internal/contract"
	"tollgate/internal/pg"
)

// ErrNotLeader means that another process publishes.
var ErrNotLeader = errors.New("another process publishes")

const (
	// The number is arbitrary; within the database it stands for "publishes the configuration".
	tryLead = `SELECT pg_try_advisory_lock(7305420915331)`
	listen  = `LISTEN ` + Channel
	// Rows are locked in the order in which changes lock them. One that a change has made newer meanwhile
	// does not meet the condition any more, and stays.
	deleteDirty = `WITH done AS MATERIALIZED (
			SELECT d.subject FROM control.dirty d WHERE d.subject = ANY($1) AND d.revision <= $2
			ORDER BY d.subject COLLATE "C" FOR UPDATE)` + deleteDone
	deleteOlder = `WITH done AS MATERIALIZED (
			SELECT d.subject FROM control.dirty d WHERE d.revision <= $1
			ORDER BY d.subject COLLATE "C" FOR UPDATE)` + deleteDone
	deleteDone   = ` DELETE FROM control.dirty d USING done WHERE d.subject = done.subject`
	setPublish   = `UPDATE control.published SET epoch = $1, n = $2`
	nextRevision = `UPDATE control.revision SET n = n + 1 RETURNING epoch, n`
	raiseEpoch   = `UPDATE control.revision SET epoch = greatest(epoch, $1) + 1 RETURNING epoch, n`
	// Numbers given out in the lost history are in the ledger's books, so they must not come again.
	skipNumbers = `SELECT setval('control.budget_account_id_seq', (SELECT s.last_value FROM control.budget_account_id_seq s) + 1000000),
		setval('control.traffic_limit_number_seq', (SELECT s.last_value FROM control.traffic_limit_number_seq s) + 1000000)`
)

// Lead is the right to publish. It is an advisory lock on a connection of its own, and all that the
// publisher reads and writes goes through that connection: whoever has lost the lock can read
// nothing to publish. It is not safe for concurrent use.
type Lead struct {
	conn      *pgx.Conn
	endpoints endpointRows
}

// Lead takes the right to publish, or fails with ErrNotLeader at once.
func (s *Store) Lead(ctx context.Context) (*Lead, error) {
	conn, err := pgx.ConnectConfig(ctx, s.locking("publisher"))
	if err != nil {
		return nil, fmt.Errorf("connect publisher: %w", err)
	}
	l := &Lead{conn: conn}
	var got bool
	if err := conn.QueryRow(ctx, tryLead).Scan(&got); err != nil {
		l.Close()
		return nil, fmt.Errorf("take publisher's lock: %w", err)
	}
	if !got {
		l.Close()
		return nil, ErrNotLeader
	}
	if _, err := conn.Exec(ctx, listen); err != nil {
		l.Close()
		return nil, fmt.Errorf("listen for changes: %w", err)
	}
	return l, nil
}

// locking is how to connect for holding a lock. The lock of a machine that vanished is freed when the server notices, which
// it does within seconds, and that of a process that stands still somewhat later: its holder is never silent for so long.
func (s *Store) locking(who string) *pgx.ConnConfig {
	cfg := s.own.Copy()
	maps.Copy(cfg.RuntimeParams, map[string]string{
		"application_name": "tollgate-" + who, "idle_session_timeout": "30000", "idle_in_transaction_session_timeout": "30000",
		"tcp_keepalives_idle": "2", "tcp_keepalives_interval": "1", "tcp_keepalives_count": "3", "tcp_user_timeout": "5000",
	})
	return cfg
}

// Close gives the right back.
func (l *Lead) Close() { closeQuickly(l.conn) }

func closeQuickly(conn *pgx.Conn) {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	_ = conn.Close(ctx) // the server ends a session whose client is gone
}

// Wait returns when a change was committed or the time has passed.
func (l *Lead) Wait(ctx context.Context, most time.Duration) error {
	return waitForChange(ctx, l.conn, most)
}

func waitForChange(ctx context.Context, conn *pgx.Conn, most time.Duration) error {
	limited, cancel := context.WithTimeout(ctx, most)
	defer cancel()
	_, err := conn.WaitForNotification(limited)
	if err != nil && limited.Err() != nil && !conn.IsClosed() {
		return ctx.Err()
	}
	if err != nil {
		return fmt.Errorf("wait for a change: %w", err)
	}
	return nil
}

// State reads how far the configuration and the stream are.
func (l *Lead) State(ctx context.Context) (State, error) { return readState(ctx, l.conn) }

// Done records that everything up to v has been published, of which subjects were dirty. Subjects
// that changed again since stay dirty.
func (l *Lead) Done(ctx context.Context, v contract.Version, subjects []string) error {
	var b pgx.Batch
	b.Queue(deleteDirty, subjects, v.Revision)
	return l.finish(ctx, &b, v)
}

// DoneAll records that every subject has been published as of v.
func (l *Lead) DoneAll(ctx context.Context, v contract.Version) error {
	var b pgx.Batch
	b.Queue(deleteOlder, v.Revision)
	return l.finish(ctx, &b, v)
}

func (l *Lead) finish(ctx context.Context, b *pgx.Batch, v contract.Version) error {
	b.Queue(setPublish, v.Epoch, v.Revision)
	if err := l.conn.SendBatch(ctx, b).Close(); err != nil { // one implicit transaction
		return fmt.Errorf("record publication: %w", err)
	}
	return nil
}

// NewRevision makes a revision in which nothing changed, so that what was published can be published
// again as something newer.
func (l *Lead) NewRevision(ctx context.Context) (contract.Version, error) {
	var v contract.Version
	if err := l.conn.QueryRow(ctx, nextRevision).Scan(&v.Epoch, &v.Revision); err != nil {
		return v, fmt.Errorf("make a revision: %w", err)
	}
	return v, nil
}

// NewEpoch begins an epoch above that of the database and of seen, because the stream holds values
// of a history that the database does not know.
func (l *Lead) NewEpoch(ctx context.Context, seen int64) (contract.Version, error) {
	var v contract.Version
	err := pg.InTx(ctx, l.conn, func(tx pgx.Tx) error {
		if err := tx.QueryRow(ctx, raiseEpoch, seen).Scan(&v.Epoch, &v.Revision); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, skipNumbers)
		return err
	})
	if err != nil {
		return v, fmt.Errorf("begin epoch: %w", err)
	}
	return v, nil
}
