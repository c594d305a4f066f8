package store

import (
	"context"

	"github.com/jackc/pgx/v5"
)

const (
	selectKeyHashes = `SELECT k.id, k.sha256 FROM control.key k WHERE k.id = ANY($1)`
	selectKeyOfHash = `
		SELECT k.id FROM control.key k WHERE k.sha256 = decode($1, 'hex')
		UNION ALL SELECT o.key_id FROM control.key_old_secret o WHERE o.sha256 = decode($1, 'hex') AND o.end_time > statement_timestamp()`
)

// KeyHashes are the SHA-256 of the secrets of keys, by id. Whether somebody may see the keys is the caller's to find out.
func (s *Store) KeyHashes(ctx context.Context, ids []string) (map[string][]byte, error) {
	type row struct {
		ID   string
		Hash []byte
	}
	all, err := list(ctx, s.db(ctx), "hashes of keys", pgx.RowToStructByPos[row], selectKeyHashes, ids)
	out := make(map[string][]byte, len(all))
	for _, r := range all {
		out[r.ID] = r.Hash
	}
	return out, translate(err)
}

// KeyOfHash is the id of the key that has a secret with this SHA-256, in hex. Whether somebody may see the key is the caller's to
// find out.
func (s *Store) KeyOfHash(ctx context.Context, hash string) (string, error) {
	id, err := findOne(ctx, s.db(ctx), "key", hash, selectKeyOfHash, pgx.RowTo[string])
	return id, translate(err)
}
