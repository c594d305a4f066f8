package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"tollgate/controlplane/access"
)

const (
	insertDevice = `
		INSERT INTO control.device_sign_in (device_sha256, user_code, agent, expire_time)
		VALUES ($1, $2, $3, clock_timestamp() + $4::interval) RETURNING expire_time`
	countDevices  = `SELECT count(*) FROM control.device_sign_in WHERE expire_time > clock_timestamp()`
	decideDevice  = `UPDATE control.device_sign_in SET person_id = $2, decision = $3 WHERE user_code = $1 AND decision = 0 AND expire_time > clock_timestamp() RETURNING agent`
	selectDevice  = `SELECT d.user_code, d.agent, d.expire_time FROM control.device_sign_in d WHERE d.user_code = $1 AND d.decision = 0 AND d.expire_time > clock_timestamp()`
	selectDecided = `SELECT d.decision, coalesce(d.person_id, ''), d.agent FROM control.device_sign_in d WHERE d.device_sha256 = $1 AND d.expire_time > clock_timestamp() FOR UPDATE`
	lookAtDevice  = `SELECT d.decision FROM control.device_sign_in d WHERE d.device_sha256 = $1 AND d.expire_time > clock_timestamp()`
	deleteDevice  = `DELETE FROM control.device_sign_in WHERE device_sha256 = $1`
)

// maxDevices bounds how many command lines wait at a time: anybody may begin to.
const maxDevices = 10_000

// ErrTooManyDevices says that no more command lines can wait.
var ErrTooManyDevices = errors.New("too many command lines wait to be let in")

// StartDevice keeps that a command line waits to be let in.
func (s *Store) StartDevice(ctx context.Context, hash [32]byte, userCode, agent string, lasts time.Duration) (end time.Time, err error) {
	var waiting int
	if err := s.pool.QueryRow(ctx, countDevices).Scan(&waiting); err != nil {
		return end, translate(fmt.Errorf("count devices: %w", err))
	}
	if waiting >= maxDevices {
		return end, ErrTooManyDevices
	}
	if err := s.pool.QueryRow(ctx, insertDevice, hash[:], userCode, agent, lasts).Scan(&end); err != nil {
		return end, translate(fmt.Errorf("write device: %w", err))
	}
	return end, nil
}

// Device is a command line that waits.
type Device struct {
	UserCode string
	Agent    string
	Expires  time.Time
}

// Device finds what waits with a code.
func (s *Store) Device(ctx context.Context, userCode string) (Device, error) {
	d, err := findOne(ctx, s.db(ctx), "code", userCode, selectDevice, pgx.RowToStructByPos[Device])
	return d, translate(err)
}

// DecideDevice allows or refuses what waits with a code to act as a person.
func (s *Store) DecideDevice(ctx context.Context, actor, personID, userCode string, allow bool) (agent string, err error) {
	err = s.change(ctx, actor, func(ctx context.Context, c *change) error {
		decision, action := 1, "allow_device"
		if !allow {
			decision, action = 2, "refuse_device"
		}
		all, err := list(ctx, c, "device", pgx.RowTo[string], decideDevice, userCode, personID, decision)
		if err != nil {
			return err
		}
		if len(all) == 0 {
			return notFound("code", userCode)
		}
		agent = all[0]
		c.record(action, "person", personID, nil, map[string]string{"name": actor, "agent": agent})
		return nil
	})
	return agent, err
}

// Decision is what became of a command line that waits.
type Decision int

// The decisions.
const (
	Undecided Decision = iota
	Allowed
	Refused
)

// FinishDevice makes the session of a command line that was let in, once.
func (s *Store) FinishDevice(ctx context.Context, device, hash [32]byte, address string, lasts time.Duration) (Decision, access.Session, access.Person, error) {
	type row struct {
		Decision int16
		PersonID string
		Agent    string
	}
	var decided row
	var session access.Session
	var p access.Person
	// Anybody may ask, as often as they like: what has no end yet takes no lock.
	known, err := list(ctx, s.pool, "device", pgx.RowTo[int16], lookAtDevice, device[:])
	switch {
	case err != nil:
		return Undecided, session, p, translate(err)
	case len(known) == 0:
		return Undecided, session, p, notFound("device code", "")
	case known[0] == int16(Undecided):
		return Undecided, session, p, nil
	}
	err = s.change(ctx, "", func(ctx context.Context, c *change) error {
		all, err := list(ctx, c, "device", pgx.RowToStructByPos[row], selectDecided, device[:])
		if err != nil {
			return err
		}
		if len(all) == 0 {
			return notFound("device code", "")
		}
		if decided = all[0]; decided.Decision == int16(Undecided) {
			return errNoChange
		}
		if _, err := c.Exec(ctx, deleteDevice, device[:]); err != nil {
			return fmt.Errorf("delete device: %w", err)
		}
		if p, err = findPerson(ctx, c, decided.PersonID); err != nil {
			return err
		}
		if p.Disabled {
			decided.Decision = int16(Refused)
		}
		c.actor = p.Email
		what := map[string]string{"name": p.Email, "by": "device", "agent": decided.Agent}
		if decided.Decision == int16(Refused) {
			c.record("refuse_device", "person", p.ID, nil, what)
			return nil
		}
		if session, err = c.startSession(ctx, p.ID, hash, decided.Agent, address, lasts); err != nil {
			return err
		}
		c.record("sign_in", "person", p.ID, nil, what)
		return nil
	})
	return Decision(decided.Decision), session, p, err
}
