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
	"github.com/tidwall/gjson"

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
	origin   Origin
	revision int64
	now      time.Time // the database's clock, so that several control planes agree
	dirty    map[string]bool
	audit    []entry
	keep     bool // commit also without a change of the configuration
}

// entry is an audit row to be.
type entry struct {
	action, kind, id string
	before, after    any
	origin           Origin
}

const (
	// clock_timestamp() is read by a statement of its own: beside FOR UPDATE it would be read before
	// the wait for the lock.
	lockRevision = `SELECT n FROM control.revision FOR UPDATE`
	readClock    = `SELECT clock_timestamp()`
	setRevision  = `UPDATE control.revision SET n = $1`
	insertAudit  = `
		INSERT INTO control.audit (id, at, actor, action, kind, object_id, revision, before, after, object_name, via, address, request_id)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)`
	insertDirty = `
		INSERT INTO control.dirty (subject, revision) SELECT s, $2 FROM unnest($1::text[]) WITH ORDINALITY AS u (s, n) ORDER BY n
		ON CONFLICT (subject) DO UPDATE SET revision = excluded.revision`
	notifyChange = `SELECT pg_notify('` + Channel + `', $1)`
)

// change runs f under the lock and commits what it did as the next revision. Whatever f returns an
// error for leaves no trace, the revision included. Within Together it is a part of that change instead.
func (s *Store) change(ctx context.Context, actor string, f func(context.Context, *change) error) error {
	if c := openChange(ctx); c != nil {
		// Each change comes from where its own caller says: a file may be applied within a call that is made once.
		whole := c.origin
		c.origin = originOf(ctx)
		err := f(ctx, c)
		c.origin = whole
		if !errors.Is(err, errNoChange) {
			return translate(err)
		}
		return nil
	}
	return s.commit(ctx, actor, func(ctx context.Context, c *change) error {
		if err := f(ctx, c); err != nil {
			return err
		}
		if len(c.audit) == 0 {
			return errors.New("change without an audit entry")
		}
		return c.finish(ctx)
	})
}

// commit runs f in a transaction under the lock. f may be run again.
func (s *Store) commit(ctx context.Context, actor string, f func(context.Context, *change) error) error {
	err := pg.InTx(ctx, s.pool, func(tx pgx.Tx) error {
		c := &change{Tx: tx, actor: actor, origin: originOf(ctx), dirty: map[string]bool{contract.ConfigHead: true}}
		if err := c.begin(ctx); err != nil {
			return err
		}
		return f(ctx, c)
	})
	if errors.Is(err, errNoChange) {
		return nil
	}
	return translate(err)
}

// Together makes all changes in f one: they have one revision and are committed at its end, or, if it fails or
// with dryRun, leave no trace. Reads with the context that f gets see what was changed before. f may be run again, so what it
// keeps outside must begin anew. Within another call of it, they are a part of that one's changes. A change that failed with a
// fault has done nothing, and others may follow it.
func (s *Store) Together(ctx context.Context, actor string, dryRun bool, f func(context.Context) error) error {
	if c := openChange(ctx); c != nil {
		return c.within(ctx, dryRun, f)
	}
	return s.commit(ctx, actor, func(ctx context.Context, c *change) error {
		if err := f(context.WithValue(ctx, openKey{}, c)); err != nil {
			return err
		}
		if len(c.audit) == 0 {
			if c.keep {
				return nil
			}
			return errNoChange
		}
		if err := c.finish(ctx); err != nil {
			return err
		}
		if dryRun {
			return errNoChange
		}
		return nil
	})
}

// planEach has the database plan each statement for its values. A plan that was made while a table was small reads all of it, which
// takes too long when it is done for each of thousands of objects that one change makes.
const planEach = `SET LOCAL plan_cache_mode = force_custom_plan`

// Many prepares the change that is open for making many objects.
func (s *Store) Many(ctx context.Context) error {
	c := openChange(ctx)
	if c == nil {
		return errors.New("no change is open")
	}
	if _, err := c.Exec(ctx, planEach); err != nil {
		return translate(fmt.Errorf("plan each statement: %w", err))
	}
	return nil
}

// within makes changes that are a part of others: they leave no trace if they fail, or with dryRun. They come from where the
// context says, which may be a file although the others do not.
func (c *change) within(ctx context.Context, dryRun bool, f func(context.Context) error) error {
	whole, entries, subjects, keep, origin := c.Tx, len(c.audit), maps.Clone(c.dirty), c.keep, c.origin
	part, err := whole.Begin(ctx)
	if err != nil {
		return translate(fmt.Errorf("begin a part of a change: %w", err))
	}
	c.Tx, c.origin = part, originOf(ctx)
	err = f(ctx)
	if err == nil && dryRun {
		err = c.guard(ctx)
	}
	c.Tx, c.origin = whole, origin
	if err == nil && !dryRun {
		return translate(part.Commit(ctx))
	}
	c.audit, c.dirty, c.keep = c.audit[:entries], subjects, keep
	return translate(errors.Join(err, part.Rollback(ctx)))
}

type openKey struct{}

func openChange(ctx context.Context) *change {
	c, _ := ctx.Value(openKey{}).(*change)
	return c
}

// db is what reads go to: the change that is open, or the pool.
func (s *Store) db(ctx context.Context) querier {
	if c := openChange(ctx); c != nil {
		return c
	}
	return s.pool
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
	c.audit = append(c.audit, entry{action, kind, id, before, after, c.origin})
}

// touch marks subjects to be published.
func (c *change) touch(subjects ...string) {
	for _, s := range subjects {
		c.dirty[s] = true
	}
}

// finish writes all that every change writes in one round trip.
func (c *change) finish(ctx context.Context) error {
	if err := c.guard(ctx); err != nil {
		return err
	}
	subjects := slices.Sorted(maps.Keys(c.dirty)) // whoever locks several of their rows locks them in this order
	var b pgx.Batch
	b.Queue(setRevision, c.revision)
	for _, e := range c.audit {
		before, err := auditJSON(e.before)
		if err != nil {
			return err
		}
		after, err := auditJSON(e.after)
		if err != nil {
			return err
		}
		b.Queue(insertAudit, id.New(id.Audit), c.now, c.actor, e.action, e.kind, e.id, c.revision, before, after,
			nameIn(after, before), e.origin.via(), e.origin.Address, e.origin.RequestID)
	}
	b.Queue(insertDirty, subjects, c.revision)
	b.Queue(notifyChange, fmt.Sprint(c.revision))
	if err := c.SendBatch(ctx, &b).Close(); err != nil {
		return fmt.Errorf("record change: %w", err)
	}
	return nil
}

// nameIn is the name of an object in the first of its forms that has one.
func nameIn(forms ...[]byte) string {
	for _, form := range forms {
		if name := gjson.GetBytes(form, "name"); name.Type == gjson.String {
			return name.Str
		}
	}
	return ""
}

// Record leaves an entry of the audit for what an administrator did outside of the configuration. It is
// a revision like any other, in which nothing changes.
func (s *Store) Record(ctx context.Context, actor, action, kind, object string, what any) error {
	o := originOf(ctx)
	o.Override = true // what a file owns does not change by it
	return s.change(WithOrigin(ctx, o), actor, func(_ context.Context, c *change) error {
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
