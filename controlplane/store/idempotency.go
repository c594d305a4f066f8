package store

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"tollgate/internal/fault"
)

const (
	claimCall = `
		INSERT INTO control.idempotency (actor, key, procedure, request_hash, create_time) VALUES ($1, $2, $3, $4, clock_timestamp())
		ON CONFLICT (actor, key) DO NOTHING`
	selectCall  = `SELECT procedure, request_hash, response FROM control.idempotency WHERE actor = $1 AND key = $2`
	answerCall  = `UPDATE control.idempotency SET response = $3 WHERE actor = $1 AND key = $2`
	releaseCall = `DELETE FROM control.idempotency WHERE actor = $1 AND key = $2 AND response IS NULL`
)

// Call is one that is made under a key by which it is recognised when it is sent again.
type Call struct {
	Actor     string
	Key       string
	Procedure string
	Hash      [32]byte // of the request
}

// Once runs f, which makes all changes of a call, unless the call was answered before: then it gives the answer that was kept.
// The answer that f gives is kept in the transaction of its changes, so neither is ever there without the other. What f fails
// with leaves the key free.
func (s *Store) Once(ctx context.Context, call Call, f func(context.Context) (answer []byte, err error)) (kept []byte, err error) {
	err = s.Together(ctx, call.Actor, false, func(ctx context.Context) error {
		c := openChange(ctx)
		if kept, err = claim(ctx, c, call); err != nil || kept != nil {
			return err
		}
		answer, err := f(ctx)
		if err != nil {
			return err
		}
		c.keep = true
		_, err = c.Exec(ctx, answerCall, call.Actor, call.Key, answer)
		return err
	})
	return kept, err
}

// Claim takes the key of a call that acts outside of the database, where no transaction can hold together what it does and what
// it answers. It gives the answer that was kept, if any; a call that runs, or of which it is not known how it ended, is refused.
func (s *Store) Claim(ctx context.Context, call Call) (kept []byte, err error) {
	return claim(ctx, s.pool, call)
}

// Keep stores the answer of a call that was claimed.
func (s *Store) Keep(ctx context.Context, call Call, answer []byte) error {
	_, err := s.pool.Exec(ctx, answerCall, call.Actor, call.Key, answer)
	return translate(err)
}

// Unclaim frees the key of a call that was refused before it did anything.
func (s *Store) Unclaim(ctx context.Context, call Call) error {
	_, err := s.pool.Exec(ctx, releaseCall, call.Actor, call.Key)
	return translate(err)
}

func claim(ctx context.Context, db executor, call Call) ([]byte, error) {
	tag, err := db.Exec(ctx, claimCall, call.Actor, call.Key, call.Procedure, call.Hash[:])
	if err != nil {
		return nil, translate(fmt.Errorf("claim call: %w", err))
	}
	if tag.RowsAffected() == 1 {
		return nil, nil
	}
	var procedure string
	var hash, response []byte
	err = db.QueryRow(ctx, selectCall, call.Actor, call.Key).Scan(&procedure, &hash, &response)
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return nil, fault.New(fault.IdempotencyReused, "A call with this Idempotency-Key was refused a moment ago: send it again.")
	case err != nil:
		return nil, translate(fmt.Errorf("read call: %w", err))
	case procedure != call.Procedure || [32]byte(hash) != call.Hash:
		return nil, fault.New(fault.IdempotencyReused, "This Idempotency-Key was used for another call.")
	case response == nil:
		return nil, fault.New(fault.IdempotencyReused, "The call with this Idempotency-Key is still being made, or its end was lost: it may or may not have had its effect.").
			WithHint("Look whether it had, and send it with a new key if not.")
	}
	return response, nil
}
