package store

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"tollgate/controlplane/registry"
	"tollgate/internal/id"
	"tollgate/internal/pg"
)

// Condition is something that lasts, and then has ended.
type Condition struct {
	ID         string
	Kind       string
	Severity   int16
	ObjectKind string
	ObjectID   string
	ObjectName string
	TeamID     string
	Sentence   string
	Figure     string
	Since      time.Time
	Gone       *time.Time // since when it was not there, while it may come back
}

// LastEnd is when the last condition of a kind ended that concerned a team, or none.
type LastEnd struct {
	Kind, TeamID string
	Time         time.Time
}

// ErrNotWatching means that another process looks for conditions.
var ErrNotWatching = errors.New("another process watches")

const (
	selectLastEnds = `SELECT c.kind, c.team_id, max(c.end_time) FROM control.condition c WHERE c.end_time IS NOT NULL GROUP BY c.kind, c.team_id`
	selectSince    = `SELECT c.id, c.since FROM control.condition c WHERE c.id = ANY($1) AND c.end_time IS NULL`
	takeWatch      = `
		INSERT INTO control.alert_watch AS w (holder, until) VALUES ($1, clock_timestamp() + $2::interval)
		ON CONFLICT (one) DO UPDATE SET holder = excluded.holder, until = excluded.until
		WHERE w.holder = excluded.holder OR w.until < clock_timestamp()`
	endWatch         = `DELETE FROM control.alert_watch WHERE holder = $1`
	selectConditions = `
		SELECT c.id, c.kind, c.severity, c.object_kind, c.object_id, c.object_name, c.team_id, c.sentence, c.figure, c.since, c.gone_time
		FROM control.condition c WHERE c.end_time IS NULL`
	beginCondition = `
		INSERT INTO control.condition (id, kind, severity, object_kind, object_id, object_name, team_id, sentence, figure, since)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
		ON CONFLICT (id) DO UPDATE SET severity = excluded.severity, object_name = excluded.object_name, team_id = excluded.team_id,
			sentence = excluded.sentence, figure = excluded.figure, since = excluded.since, gone_time = NULL, end_time = NULL`
	missCondition = `UPDATE control.condition SET gone_time = $2 WHERE id = $1`
	endCondition  = `UPDATE control.condition SET gone_time = NULL, end_time = $2 WHERE id = $1`
	// A channel that was not told of a beginning is not told of the end either.
	wasTold = `
		SELECT EXISTS (SELECT FROM control.alert_delivery d WHERE d.channel_id = $1 AND d.condition_id = $2 AND d.alert->>'event' = 'begin'
			AND d.create_time >= $3)`
	insertDelivery = `
		INSERT INTO control.alert_delivery (id, channel_id, condition_id, alert, create_time, next_time) VALUES ($1, $2, $3, $4, $5, $5)`
	forgetConditions = `DELETE FROM control.condition WHERE end_time < clock_timestamp() - interval '90 days'`
	forgetDeliveries = `
		DELETE FROM control.alert_delivery d WHERE d.next_time IS NULL AND d.create_time < clock_timestamp() - interval '30 days'
			AND NOT EXISTS (SELECT FROM control.condition c WHERE c.id = d.condition_id AND c.end_time IS NULL)`
)

// LastEnds tells when conditions ended last.
func (s *Store) LastEnds(ctx context.Context) ([]LastEnd, error) {
	all, err := list(ctx, s.db(ctx), "conditions", pgx.RowToStructByPos[LastEnd], selectLastEnds)
	return all, translate(err)
}

// ConditionsSince tells since when those of the conditions last that were noticed before.
func (s *Store) ConditionsSince(ctx context.Context, ids []string) (map[string]time.Time, error) {
	type since struct {
		ID   string
		Time time.Time
	}
	all, err := list(ctx, s.db(ctx), "conditions", pgx.RowToStructByPos[since], selectSince, ids)
	if err != nil {
		return nil, translate(err)
	}
	out := make(map[string]time.Time, len(all))
	for _, c := range all {
		out[c.ID] = c.Time
	}
	return out, nil
}

// Watch takes the right to look for conditions for a while, or keeps it, or fails with ErrNotWatching.
func (s *Store) Watch(ctx context.Context, holder string, lease time.Duration) error {
	return translate(watch(ctx, s.pool, holder, lease))
}

func watch(ctx context.Context, db executor, holder string, lease time.Duration) error {
	tag, err := db.Exec(ctx, takeWatch, holder, lease)
	if err != nil {
		return fmt.Errorf("take the watch: %w", err)
	}
	if tag.RowsAffected() == 0 {
		return ErrNotWatching
	}
	return nil
}

// EndWatch gives the right back.
func (s *Store) EndWatch(ctx context.Context, holder string) error {
	_, err := s.pool.Exec(ctx, endWatch, holder)
	return translate(err)
}

// Settlement is what is to be written of conditions.
type Settlement struct {
	Holder string
	Lease  time.Duration
	There  []Condition            // all that there are
	Known  func(kind string) bool // whether what is not there of a kind is gone, and not only unknown
	Calm   time.Duration          // for which a condition has to be gone until it has ended
	Ends   func(kind string) bool // whether the end of a kind is told
	Alert  func(event string, c *Condition, at time.Time) registry.Alert
}

// Settle writes which conditions began and which ended, together with the alerts about it: either is there with the other or not at
// all. It fails with ErrNotWatching, and does nothing, if the right to do so is another's meanwhile.
func (s *Store) Settle(ctx context.Context, t *Settlement) error {
	return translate(pg.InTx(ctx, s.pool, func(tx pgx.Tx) error {
		if err := watch(ctx, tx, t.Holder, t.Lease); err != nil {
			return err
		}
		var now time.Time
		if err := tx.QueryRow(ctx, readClock).Scan(&now); err != nil {
			return fmt.Errorf("read clock: %w", err)
		}
		open, err := list(ctx, tx, "conditions", pgx.RowToStructByPos[Condition], selectConditions)
		if err != nil {
			return err
		}
		x := &settling{Settlement: t, tx: tx, now: now}
		if x.channels, err = list(ctx, tx, "alert channels", scanChannel, selectChannels); err != nil {
			return err
		}
		return x.settle(ctx, open)
	}))
}

type settling struct {
	*Settlement

	tx       pgx.Tx
	now      time.Time
	channels []registry.AlertChannel
	writes   pgx.Batch
}

func (x *settling) settle(ctx context.Context, open []Condition) error {
	lasting := make(map[string]*Condition, len(open))
	for i := range open {
		lasting[open[i].ID] = &open[i]
	}
	there := map[string]bool{}
	for i := range x.There {
		c := &x.There[i]
		old := lasting[c.ID]
		switch {
		case there[c.ID]:
			continue
		case old == nil:
			if c.Since.After(x.now) { // by a clock that is ahead of the database's
				c.Since = x.now
			}
			x.writes.Queue(beginCondition, c.ID, c.Kind, c.Severity, c.ObjectKind, c.ObjectID, c.ObjectName, c.TeamID, c.Sentence, c.Figure, c.Since)
			x.tell(registry.AlertBegin, c)
		case old.Gone != nil: // it has come back
			x.writes.Queue(missCondition, c.ID, nil)
		}
		there[c.ID] = true
	}
	for i := range open {
		c := &open[i]
		switch {
		case there[c.ID] || !x.Known(c.Kind):
		case c.Gone == nil && x.Calm > 0:
			x.writes.Queue(missCondition, c.ID, x.now)
		case c.Gone == nil || x.now.Sub(*c.Gone) >= x.Calm:
			if c.Gone == nil {
				c.Gone = &x.now
			}
			x.writes.Queue(endCondition, c.ID, *c.Gone)
			if err := x.tellEnd(ctx, c); err != nil {
				return err
			}
		}
	}
	if x.writes.Len() == 0 {
		return nil
	}
	if err := x.tx.SendBatch(ctx, &x.writes).Close(); err != nil {
		return fmt.Errorf("write conditions: %w", err)
	}
	return nil
}

func (x *settling) tell(event string, c *Condition, only ...string) {
	for i := range x.channels {
		ch := &x.channels[i]
		if ch.Disabled || !slices.Contains(ch.Events, c.Kind) || event == registry.AlertEnd && !slices.Contains(only, ch.ID) {
			continue
		}
		alert := x.Alert(event, c, x.now)
		alert.ID = id.New(id.Alert)
		x.writes.Queue(insertDelivery, alert.ID, ch.ID, c.ID, alert, x.now)
	}
}

func (x *settling) tellEnd(ctx context.Context, c *Condition) error {
	if !x.Ends(c.Kind) {
		return nil
	}
	var told []string
	for i := range x.channels {
		var yes bool
		if err := x.tx.QueryRow(ctx, wasTold, x.channels[i].ID, c.ID, c.Since).Scan(&yes); err != nil {
			return fmt.Errorf("read alerts: %w", err)
		}
		if yes {
			told = append(told, x.channels[i].ID)
		}
	}
	x.tell(registry.AlertEnd, c, told...)
	return nil
}

// ForgetAlerts deletes what is too old to be of interest.
func (s *Store) ForgetAlerts(ctx context.Context) error {
	for _, sql := range []string{forgetDeliveries, forgetConditions} {
		if _, err := s.pool.Exec(ctx, sql); err != nil {
			return translate(fmt.Errorf("forget alerts: %w", err))
		}
	}
	return nil
}
