package store

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"tollgate/controlplane/access"
	"tollgate/internal/id"
)

const sessionColumns = `s.id, s.person_id, s.agent, s.address, s.create_time, s.use_time, s.expire_time`

const (
	insertSession = `
		INSERT INTO control.session (id, sha256, person_id, agent, address, create_time, use_time, expire_time)
		SELECT $1, $2, $3, $4, $5, n, n, n + $6::interval FROM clock_timestamp() AS n
		RETURNING id, person_id, agent, address, create_time, use_time, expire_time`
	selectSession = `SELECT ` + sessionColumns + ` FROM control.session s JOIN control.person p ON p.id = s.person_id
		WHERE s.sha256 = $1 AND s.expire_time > clock_timestamp() AND s.use_time > clock_timestamp() - $2::interval AND NOT p.disabled`
	selectSessions = `SELECT ` + sessionColumns + ` FROM control.session s
		WHERE s.person_id = $1 AND s.expire_time > clock_timestamp() AND s.use_time > clock_timestamp() - $2::interval
		ORDER BY s.use_time DESC, s.id`
	useSession    = `UPDATE control.session SET use_time = clock_timestamp(), address = $2 WHERE id = $1 AND use_time < clock_timestamp() - interval '1 minute'`
	deleteSession = `DELETE FROM control.session WHERE id = $1 AND person_id = $2`
	signedIn      = `UPDATE control.person SET sign_in_time = clock_timestamp() WHERE id = $1`
	sweepSignIns  = `
		WITH s AS (DELETE FROM control.session WHERE expire_time < clock_timestamp() OR use_time < clock_timestamp() - $1::interval),
		l AS (DELETE FROM control.sign_in_link WHERE expire_time < clock_timestamp()),
		d AS (DELETE FROM control.device_sign_in WHERE expire_time < clock_timestamp())
		DELETE FROM control.idempotency WHERE create_time < clock_timestamp() - $2::interval`
)

func scanSession(row pgx.CollectableRow) (access.Session, error) {
	var s access.Session
	err := row.Scan(&s.ID, &s.PersonID, &s.Agent, &s.Address, &s.Created, &s.Used, &s.Expires)
	return s, err
}

// StartSession keeps a new session by the hash of its secret, and that the person signed in.
func (s *Store) StartSession(ctx context.Context, p *access.Person, how string, hash [32]byte, agent, address string, lasts time.Duration) (access.Session, error) {
	var session access.Session
	err := s.change(ctx, p.Email, func(ctx context.Context, c *change) (err error) {
		if session, err = c.startSession(ctx, p.ID, hash, agent, address, lasts); err != nil {
			return err
		}
		c.record("sign_in", "person", p.ID, nil, map[string]string{"name": p.Email, "by": how, "agent": agent})
		return nil
	})
	return session, err
}

func (c *change) startSession(ctx context.Context, personID string, hash [32]byte, agent, address string, lasts time.Duration) (access.Session, error) {
	all, err := list(ctx, c, "session", scanSession, insertSession, id.New(id.Session), hash[:], personID, agent, address, lasts)
	if err != nil {
		return access.Session{}, err
	}
	if _, err := c.Exec(ctx, signedIn, personID); err != nil {
		return access.Session{}, fmt.Errorf("write person: %w", err)
	}
	return all[0], nil
}

// Session finds a session that lasts, and whose it is, by the hash of its secret. It was used from the address; without one it is
// only looked at.
func (s *Store) Session(ctx context.Context, hash [32]byte, idle time.Duration, address string) (access.Session, access.Person, error) {
	all, err := list(ctx, s.pool, "session", scanSession, selectSession, hash[:], idle)
	if err != nil {
		return access.Session{}, access.Person{}, translate(err)
	}
	if len(all) == 0 {
		return access.Session{}, access.Person{}, notFound("session", "")
	}
	p, err := findPerson(ctx, s.pool, all[0].PersonID)
	if err != nil {
		return access.Session{}, access.Person{}, translate(err)
	}
	if address == "" {
		return all[0], p, nil
	}
	if _, err := s.pool.Exec(ctx, useSession, all[0].ID, address); err != nil {
		return access.Session{}, access.Person{}, translate(err)
	}
	return all[0], p, nil
}

// Sessions lists those of a person that last, the latest used first.
func (s *Store) Sessions(ctx context.Context, personID string, idle time.Duration) ([]access.Session, error) {
	all, err := list(ctx, s.db(ctx), "sessions", scanSession, selectSessions, personID, idle)
	return all, translate(err)
}

// EndSession ends a session of a person.
func (s *Store) EndSession(ctx context.Context, actor, personID, ref string) error {
	return s.change(ctx, actor, func(ctx context.Context, c *change) error {
		tag, err := c.Exec(ctx, deleteSession, ref, personID)
		if err != nil {
			return fmt.Errorf("end session: %w", err)
		}
		if tag.RowsAffected() == 0 {
			return notFound("session", ref)
		}
		c.record("sign_out", "person", personID, nil, map[string]string{"name": actor, "session": ref})
		return nil
	})
}

// SweepSignIns removes sessions, links and codes that have ended, and what was answered to calls that nobody sends again.
func (s *Store) SweepSignIns(ctx context.Context, idle, answers time.Duration) error {
	if _, err := s.pool.Exec(ctx, sweepSignIns, idle, answers); err != nil {
		return translate(fmt.Errorf("sweep sign-ins: %w", err))
	}
	return nil
}
