package store

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"
)

// Envelope is something that only the master key opens.
type Envelope struct {
	At   string // where it is, in the order of EachEnvelope
	ID   string // that it is bound to
	Name string // for people
	Data []byte

	place int
}

// envelopePlaces are the columns in which envelopes are. Each statement gives up to $2 of them after $1; each update replaces one
// that is still the same.
var envelopePlaces = []struct{ read, write string }{
	{
		`SELECT s.id, s.id, 'secret ' || s.name, s.envelope FROM control.secret s WHERE s.id > $1 ORDER BY s.id LIMIT $2`,
		`UPDATE control.secret SET envelope = $3 WHERE id = $1 AND envelope = $2`,
	},
	{
		`SELECT s.id, s.id, 'the value before of secret ' || s.name, s.old_envelope FROM control.secret s
			WHERE s.id > $1 AND s.old_envelope IS NOT NULL ORDER BY s.id LIMIT $2`,
		`UPDATE control.secret SET old_envelope = $3 WHERE id = $1 AND old_envelope = $2`,
	},
	{
		// A key has no line end in it, so that what is put together has one meaning. It is bound with a NUL in between.
		`SELECT i.actor || chr(10) || i.key, 'answer:' || i.actor || chr(10) || i.key, 'the answer to a call of ' || i.actor, i.response FROM control.idempotency i
			WHERE i.response IS NOT NULL AND (i.actor || chr(10) || i.key) > $1 ORDER BY i.actor || chr(10) || i.key LIMIT $2`,
		`UPDATE control.idempotency SET response = $3 WHERE actor || chr(10) || key = $1 AND response = $2`,
	},
	{
		`SELECT p.id, p.id, 'plan ' || p.id, p.envelope FROM control.plan p WHERE p.id > $1 ORDER BY p.id LIMIT $2`,
		`UPDATE control.plan SET envelope = $3 WHERE id = $1 AND envelope = $2`,
	},
	{
		`SELECT c.id, c.id, 'alert channel ' || c.name, c.envelope FROM control.alert_channel c WHERE c.id > $1 ORDER BY c.id LIMIT $2`,
		`UPDATE control.alert_channel SET envelope = $3 WHERE id = $1 AND envelope = $2`,
	},
}

// ErrNotKeeper means that another process keeps the secrets.
var ErrNotKeeper = errors.New("another process keeps the secrets")

// The number is arbitrary; within the database it stands for "keeps the secrets".
const tryKeep = `SELECT pg_try_advisory_lock(7305420915332)`

// Keeper is the right to keep the secrets: to move envelopes to the master key and to delete values that are too old. It is an
// advisory lock on a connection of its own, and not safe for concurrent use.
type Keeper struct{ conn *pgx.Conn }

// KeepSecrets takes that right, or fails with ErrNotKeeper at once.
func (s *Store) KeepSecrets(ctx context.Context) (*Keeper, error) {
	conn, err := pgx.ConnectConfig(ctx, s.locking("keeper"))
	if err != nil {
		return nil, fmt.Errorf("connect keeper of secrets: %w", err)
	}
	var got bool
	if err := conn.QueryRow(ctx, tryKeep).Scan(&got); err != nil {
		closeQuickly(conn)
		return nil, fmt.Errorf("take lock of secrets: %w", err)
	}
	if !got {
		closeQuickly(conn)
		return nil, ErrNotKeeper
	}
	return &Keeper{conn}, nil
}

// Close gives the right back.
func (k *Keeper) Close() { closeQuickly(k.conn) }

// ForgetOld deletes the values before that can no longer be brought back, and says how many there were. Nothing that anybody sees
// changes by it, so that it is no revision.
func (k *Keeper) ForgetOld(ctx context.Context) (int64, error) {
	tag, err := k.conn.Exec(ctx, forgetOldSecrets)
	return tag.RowsAffected(), err
}

// EachEnvelope calls f with every envelope, a few read at a time, until f fails.
func (k *Keeper) EachEnvelope(ctx context.Context, few int, f func(Envelope) error) error {
	for place, p := range envelopePlaces {
		for after := ""; ; {
			all, err := list(ctx, k.conn, "envelopes", func(row pgx.CollectableRow) (Envelope, error) {
				e := Envelope{place: place}
				err := row.Scan(&e.At, &e.ID, &e.Name, &e.Data)
				if i := strings.LastIndexByte(e.ID, '\n'); i >= 0 {
					e.ID = e.ID[:i] + "\x00" + e.ID[i+1:]
				}
				return e, err
			}, p.read, after, few)
			if err != nil {
				return err
			}
			for _, e := range all {
				if err := f(e); err != nil {
					return err
				}
				after = e.At
			}
			if len(all) < few {
				break
			}
		}
	}
	return nil
}

// Replace puts another envelope in the place of one, if that is still there. It is no revision: what it holds is the same.
func (k *Keeper) Replace(ctx context.Context, e Envelope, with []byte) error {
	_, err := k.conn.Exec(ctx, envelopePlaces[e.place].write, e.At, e.Data, with)
	return err
}
