package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"tollgate/internal/contract"
	"tollgate/internal/id"
	"tollgate/internal/pg"
)

// Channel is notified of every committed change.
const Channel = "tollgate_config"

// errNoChange ends a transaction in which there is nothing to do: it is rolled back and counts as
// success.
var errNoChange = errors.New("nothing to change")

// change is a transaction that holds the lock of the revision row.
type change struct {
	pgx.Tx
	actor    string
	revision int64
	now      time.Time // the database's clock, so that several control planes agree
	dirty    map[string]bool
	audit    *entry
}

// entry is an audit row to be.
type entry struct {
	action, kind, id string
	before, after    any
}

const (
	// clock_timestamp() is read by a statement of its own: beside FOR UPDATE it would be read before
	// the wait for the lock.
	lockRevision = `SELECT n FROM control.revision FOR UPDATE`
	readClock    = `SELECT clock_timestamp()`
	setRevision  = `UPDATE control.revision SET n = $1`
	insertAudit  = `
		INSERT INTO control.audit (id, at, actor, action, kind, object_id, revision, before, after)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)`
	insertDirty = `
		INSERT INTO control.dirty (subject, revision) SELECT s, $2 FROM unnest($1::text[]) WITH ORDINALITY AS u (s, n) ORDER BY n
		ON CONFLICT (subject) DO UPDATE SET revision = excluded.revision`
	notifyChange = `SELECT pg_notify('` + Channel + `', $1)`
)

// change runs f under the lock and commits what it did as the next revision. Whatever f returns an
// error for leaves no trace, the revision included.
func (s *Store) change(ctx context.Context, actor string, f func(context.Context, *change) error) error {
	err := pg.InTx(ctx, s.pool, func(tx pgx.Tx) error {
		c := &change{Tx: tx, actor: actor, dirty: map[string]bool{contract.ConfigHead: true}}
		if err := c.begin(ctx); err != nil {
			return err
		}
		if err := f(ctx, c); err != nil {
			return err
		}
		return c.finish(ctx)
	})
	if errors.Is(err, errNoChange) {
		return nil
	}
	return translate(err)
}

func (c *change) begin(ctx context.Context) error {
	if err := c.QueryRow(ctx, lockRevision).Scan(&c.revision); err != nil {
		return fmt.Errorf("lock revision: %w", err)
	}
	c.revision++
	if err := c.QueryRow(ctx, readClock).Scan(&c.now); err != nil {
		return fmt.Errorf("read clock: %w", err)
	}
	return nil
}

// record says what was done to what. Before and after are registry types, none of which holds a
// credential.
func (c *change) record(action, kind, id string, before, after any) {
	c.audit = &entry{action, kind, id, before, after}
}

// touch marks subjects to be published.
func (c *change) touch(subjects ...string) {
	for _, s := range subjects {
		c.dirty[s] = true
	}
}

// finish writes all that every change writes in one round trip.
func (c *change) finish(ctx context.Context) error {
	if c.audit == nil {
		return errors.New("change without an audit entry")
	}
	before, err := auditJSON(c.audit.before)
	if err != nil {
		return err
	}
	after, err := auditJSON(c.audit.after)
	if err != nil {
		return err
	}
	subjects := slices.Sorted(maps.Keys(c.dirty)) // whoever locks several of their rows locks them in this order
	var b pgx.Batch
	b.Queue(setRevision, c.revision)
	b.Queue(insertAudit, id.New(id.Audit), c.now, c.actor, c.audit.action, c.audit.kind, c.audit.id, c.revision, before, after)
	b.Queue(insertDirty, subjects, c.revision)
	b.Queue(notifyChange, fmt.Sprint(c.revision))
	if err := c.SendBatch(ctx, &b).Close(); err != nil {
		return fmt.Errorf("record change: %w", err)
	}
	return nil
}

// Record leaves an entry of the audit for what an administrator did outside of the configuration. It is
// a revision like any other, in which nothing changes.
func (s *Store) Record(ctx context.Context, actor, action, kind, object string, what any) error {
	return s.change(ctx, actor, func(_ context.Context, c *change) error {
		c.record(action, kind, object, nil, what)
		return nil
	})
}

func auditJSON(v any) ([]byte, error) {
	if v == nil {
		return nil, nil
	}
	raw, err := json.Marshal(v)
	if err != nil {
		return nil, fmt.Errorf("audit entry: %w", err)
	}
	return raw, nil
}
