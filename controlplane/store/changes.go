package store

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

// Change is that something was done to an object.
type Change struct {
	Revision int64
	Kind     string
	ID       string
	Name     string
	Action   string
	Actor    string
	Time     time.Time
	Teams    []string // ids of the teams that it belongs to, and did before
}

// Of whom a change is: the team that the object belongs to now, and the one that it belonged to by what it was before.
const (
	changedTeams = `array_remove(ARRAY[
		CASE a.kind
			WHEN 'team' THEN a.object_id
			WHEN 'key' THEN (SELECT k.team_id FROM control.key k WHERE k.id = a.object_id)
			WHEN 'budget' THEN (SELECT coalesce(b.team_id, k.team_id) FROM control.budget b LEFT JOIN control.key k ON k.id = b.key_id WHERE b.id = a.object_id)
			WHEN 'limit' THEN (SELECT coalesce(l.team_id, k.team_id) FROM control.traffic_limit l LEFT JOIN control.key k ON k.id = l.key_id WHERE l.id = a.object_id)
		END,
		CASE WHEN a.kind = 'key' THEN (SELECT t.id FROM control.team t WHERE t.name = a.before->>'team')
			WHEN a.kind IN ('budget', 'limit') AND a.before->>'scope' = 'team' THEN a.before->>'scope_id'
			WHEN a.kind IN ('budget', 'limit') AND a.before->>'scope' = 'key' THEN (SELECT k.team_id FROM control.key k WHERE k.id = a.before->>'scope_id')
		END], NULL)`
	selectChanges = `
		SELECT a.revision, a.kind, a.object_id, a.object_name, a.action, a.actor, a.at, ` + changedTeams + `
		FROM control.audit a WHERE a.revision > $1 AND a.revision <= $2 ORDER BY a.revision, a.id`
)

// Changes lists what was done after one revision up to another.
func (s *Store) Changes(ctx context.Context, after, upTo int64) ([]Change, error) {
	all, err := list(ctx, s.pool, "changes", pgx.RowToStructByPos[Change], selectChanges, after, upTo)
	return all, translate(err)
}

// Listener hears of changes on a connection of its own. It is not safe for concurrent use.
type Listener struct{ conn *pgx.Conn }

// Listen begins to listen for changes.
func (s *Store) Listen(ctx context.Context) (*Listener, error) {
	conn, err := pgx.ConnectConfig(ctx, s.own)
	if err != nil {
		return nil, fmt.Errorf("connect listener: %w", err)
	}
	l := &Listener{conn}
	if _, err := conn.Exec(ctx, listen); err != nil {
		l.Close()
		return nil, fmt.Errorf("listen for changes: %w", err)
	}
	return l, nil
}

// Wait returns when a change was committed or the time has passed.
func (l *Listener) Wait(ctx context.Context, most time.Duration) error {
	return waitForChange(ctx, l.conn, most)
}

// Close ends the connection.
func (l *Listener) Close() { closeQuickly(l.conn) }
