package store

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	eventv1 "tollgate/gen/tollgate/event/v1"
)

// A database that was restored, or that stands in for one that failed, may lack what was committed. From
// then on its history has another number: marks of it may be lower than edges remember, and they send
// again what it lacks.

// identity tells a database from its copies. The timeline grows with each server that took over from
// another one or was brought back to an earlier time.
type identity struct{ system, timeline int64 }

// identify asks the server. What it does not tell, because it is one of another kind or tells its owner
// alone, is 0.
func identify(ctx context.Context, conn *pgx.Conn) (identity, error) {
	var id identity
	ask := func(sql string, to any) error {
		err := conn.QueryRow(ctx, sql).Scan(to)
		if _, refused := errors.AsType[*pgconn.PgError](err); refused {
			return nil
		}
		return err
	}
	if err := ask(`SELECT system_identifier FROM pg_control_system()`, &id.system); err != nil {
		return id, err
	}
	// The name of the file that is written to begins with the timeline. The control file has it only
	// from the next checkpoint on.
	var name string
	if err := ask(`SELECT pg_walfile_name(pg_current_wal_lsn())`, &name); err != nil {
		return id, err
	}
	if len(name) >= 8 {
		if n, err := strconv.ParseInt(name[:8], 16, 64); err == nil {
			id.timeline = n
		}
	}
	return id, nil
}

// Records that are kept from now on are not all of those that end now: a clock may be ahead.
const takePart = `
	INSERT INTO ledger.ledger_part AS p (part, epoch, owner, history, led_history, system_identifier, timeline, records_since)
	VALUES ($1, 1, $2, 1, 1, $3, $4, CASE WHEN $5 THEN '-infinity'::timestamptz ELSE 'infinity' END)
	ON CONFLICT (part) DO UPDATE SET epoch = p.epoch + 1, owner = excluded.owner,
		history = p.history + CASE WHEN $3 <> 0 AND p.system_identifier <> 0 AND $3 <> p.system_identifier
			OR $4 <> 0 AND p.timeline <> 0 AND $4 <> p.timeline THEN 1 ELSE 0 END,
		system_identifier = CASE WHEN $3 = 0 THEN p.system_identifier ELSE $3 END,
		timeline = CASE WHEN $4 = 0 THEN p.timeline ELSE $4 END,
		records_since = CASE WHEN NOT $5 THEN 'infinity' WHEN p.records_since = 'infinity' THEN now() + interval '1 minute' ELSE p.records_since END
	RETURNING p.epoch, p.history, p.led_history`

// take makes the connection's session the leader.
func (l *Leader) take(ctx context.Context, owner string) error {
	var locked bool
	if err := l.conn.QueryRow(ctx, `SELECT pg_try_advisory_lock($1, $2)`, int32(lockClass), int32(l.part)).Scan(&locked); err != nil {
		return fmt.Errorf("lock partition %d: %w", l.part, err)
	}
	if !locked {
		return ErrTaken
	}
	id, err := identify(ctx, l.conn)
	if err != nil {
		return fmt.Errorf("identify the database: %w", err)
	}
	err = pgx.BeginFunc(ctx, l.conn, func(tx pgx.Tx) error {
		var led int64
		if err := tx.QueryRow(ctx, takePart, int32(l.part), owner, id.system, id.timeline, l.keepRecords).Scan(&l.epoch, &l.history, &led); err != nil {
			return err
		}
		b := &pgx.Batch{}
		if l.newHistory = led != l.history; l.newHistory {
			b.Queue(`UPDATE ledger.ledger_part SET led_history = history WHERE part = $1`, int32(l.part))
			queueAnomalies(b, l.part, []Anomaly{{
				Kind: "database_restored", Detail: fmt.Sprintf("history %d begins on system %d, timeline %d", l.history, id.system, id.timeline),
			}})
		}
		b.Queue(adoptUsage, int32(l.part))
		return send(ctx, tx, b)
	})
	if err != nil {
		return fmt.Errorf("take partition %d: %w", l.part, err)
	}
	if _, err := l.conn.Exec(ctx, fixPlans); err != nil {
		return fmt.Errorf("fix plans: %w", err)
	}
	return nil
}

// adoptUsage takes over what a leader of the release before has added to its table.
const adoptUsage = `
	WITH old AS (
		DELETE FROM ledger.usage_day u WHERE u.part = $1 RETURNING u.*
	), named AS (
		INSERT INTO ledger.usage_series (part, key_id, endpoint_id, status, team, customer, model, tag)
		SELECT DISTINCT $1::int, o.key_id, o.endpoint_id, 0, '', '', '', '' FROM old o
		ON CONFLICT (part, key_id, endpoint_id, status, team, customer, model, tag) DO UPDATE SET tag = ''
		RETURNING series, key_id, endpoint_id
	)
	INSERT INTO ledger.usage_delta (hour, series, requests, failed, abandoned, unpriced, units, cost_nanos, part, tagged)
	SELECT o.day::timestamp AT TIME ZONE 'UTC', n.series, o.requests, o.failed, o.abandoned, 0, o.requests, o.cost_nanos, $1, false
	FROM old o JOIN named n ON n.key_id = o.key_id AND n.endpoint_id = o.endpoint_id`

// History is the number of the database's history. It grows when the database was restored.
func (l *Leader) History() int64 { return l.history }

// NewHistory says whether the history began after the leader before: this one has to expect that edges
// hold grants which the database does not know.
func (l *Leader) NewHistory() bool { return l.newHistory }

// Restored begins a new history, because the database lacks something that it had. It is for the leader
// after this one.
func (l *Leader) Restored(ctx context.Context) error {
	err := l.tx(ctx, func(ctx context.Context, tx pgx.Tx) error {
		_, err := tx.Exec(ctx, `UPDATE ledger.ledger_part SET history = greatest(history, $2) + 1 WHERE part = $1`, int32(l.part), l.ahead.Load())
		return err
	})
	if err != nil {
		return fmt.Errorf("begin a new history of partition %d: %w", l.part, err)
	}
	return nil
}

const selectMarks = `
	SELECT i.inc, i.edge, i.hwm FROM ledger.incarnation i WHERE i.part = $1 AND i.inc = ANY($2::bigint[])`

// Marks says how far incarnations' events are booked, and whether their edge knows of more than there is:
// then the database was restored and nobody has noticed yet, which Restored puts right.
func (l *Leader) Marks(ctx context.Context, edge string, states []*eventv1.SpoolState) (marks []Mark, restored bool, err error) {
	incs := make([]int64, len(states))
	for i, s := range states {
		incs[i] = s.GetInc()
	}
	found := map[int64]Mark{}
	err = l.turn(ctx, txTimeout, false, func(ctx context.Context, t *turn) error {
		clear(found)
		b := &pgx.Batch{}
		b.Queue(hearIncs, int32(l.part), incs)
		queue(b, selectMarks, []any{int32(l.part), incs}, func(row pgx.CollectableRow) error {
			var m Mark
			var hwm int64
			err := row.Scan(&m.Inc, &m.Edge, &hwm)
			m.HWM = uint64(hwm)
			found[m.Inc] = m
			return err
		})
		return t.commit(ctx, b)
	})
	if err != nil {
		return nil, false, fmt.Errorf("read marks of %d incarnations: %w", len(states), err)
	}
	for _, s := range states {
		m, ok := found[s.GetInc()]
		if !ok {
			m = Mark{Inc: s.GetInc(), Edge: edge}
		}
		marks = append(marks, m)
		if s.GetHistory() > l.history || s.GetHistory() == l.history && s.GetHwm() > m.HWM {
			restored = true
			l.ahead.Store(max(l.ahead.Load(), s.GetHistory()))
		}
	}
	return marks, restored, nil
}

// Live lists the incarnations that have not ended and are not known to be lost.
func (l *Leader) Live(ctx context.Context) ([]int64, error) {
	var out []int64
	err := l.tx(ctx, func(ctx context.Context, tx pgx.Tx) error {
		rows, err := tx.Query(ctx, `SELECT i.inc FROM ledger.incarnation i WHERE i.part = $1 AND i.state = 0 AND i.inc > 0 ORDER BY i.inc`, int32(l.part))
		if err != nil {
			return err
		}
		out, err = pgx.CollectRows(rows, pgx.RowTo[int64])
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("list live incarnations: %w", err)
	}
	return out, nil
}
