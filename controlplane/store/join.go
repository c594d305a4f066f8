package store

import (
	"context"
	"crypto/sha256"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"

	"tollgate/internal/fault"
)

// JoinToken lets one new edge have its settings, once.
type JoinToken struct {
	Node, Region string // that the edge is to have; empty where that is left to it
	Creator      string
	ExpireTime   time.Time
}

const (
	insertJoin = `
		WITH gone AS (DELETE FROM control.join_token WHERE expire_time < clock_timestamp() - interval '1 day')
		INSERT INTO control.join_token (sha256, node, region, creator, expire_time)
		VALUES ($1, $2, $3, $4, clock_timestamp() + $5::interval) RETURNING expire_time`
	selectJoin = `
		SELECT node, region, creator, expire_time, use_time, expire_time <= clock_timestamp()
		FROM control.join_token WHERE sha256 = $1`
	takeJoin = `
		UPDATE control.join_token SET use_time = clock_timestamp()
		WHERE sha256 = $1 AND use_time IS NULL AND expire_time > clock_timestamp() RETURNING expire_time`
)

// CreateJoinToken keeps a token by its hash for a while. It is no change of the configuration.
func (s *Store) CreateJoinToken(ctx context.Context, token string, t JoinToken, life time.Duration) (JoinToken, error) {
	hash := sha256.Sum256([]byte(token))
	err := s.db(ctx).QueryRow(ctx, insertJoin, hash[:], t.Node, t.Region, t.Creator, life).Scan(&t.ExpireTime)
	return t, translate(err)
}

// FindJoinToken finds a token that still works.
func (s *Store) FindJoinToken(ctx context.Context, token string) (JoinToken, error) {
	hash := sha256.Sum256([]byte(token))
	var t JoinToken
	var used *time.Time
	var expired bool
	err := s.db(ctx).QueryRow(ctx, selectJoin, hash[:]).Scan(&t.Node, &t.Region, &t.Creator, &t.ExpireTime, &used, &expired)
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return JoinToken{}, noJoin("is not one")
	case err != nil:
		return JoinToken{}, translate(err)
	case used != nil:
		return JoinToken{}, noJoin("was used before")
	case expired:
		return JoinToken{}, noJoin("has expired")
	}
	return t, nil
}

// TakeJoinToken makes a token stop working. Of several that try at once one succeeds.
func (s *Store) TakeJoinToken(ctx context.Context, token string) error {
	hash := sha256.Sum256([]byte(token))
	var expires time.Time
	err := s.db(ctx).QueryRow(ctx, takeJoin, hash[:]).Scan(&expires)
	if errors.Is(err, pgx.ErrNoRows) {
		return noJoin("was used before or has expired")
	}
	return translate(err)
}

func noJoin(why string) error {
	return fault.New(fault.UnauthenticatedErr, "The join token %s.", why).WithHint("Make another with `tollgate edge join-token`.")
}
