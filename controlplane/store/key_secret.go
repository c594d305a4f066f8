package store

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"tollgate/controlplane/access"
	"tollgate/controlplane/registry"
	"tollgate/internal/contract"
	"tollgate/internal/fault"
)

// keepOldSecret is how long an old secret is remembered when it has stopped working, so that its callers are told why.
const keepOldSecret = `interval '1 day'`

const (
	keepSecret = `
		INSERT INTO control.key_old_secret (key_id, sha256, shard, prefix, suffix, create_time, end_time)
		SELECT k.id, k.sha256, k.shard, k.prefix, k.suffix, coalesce(k.rotate_time, k.create_time), $2 FROM control.key k WHERE k.id = $1
		ON CONFLICT (key_id) DO UPDATE SET sha256 = excluded.sha256, shard = excluded.shard, prefix = excluded.prefix,
			suffix = excluded.suffix, create_time = excluded.create_time, end_time = excluded.end_time`
	replaceSecret    = `UPDATE control.key SET sha256 = $2, shard = $3, prefix = $4, suffix = $5, rotate_time = $6, revision = $7 WHERE id = $1`
	endSecret        = `UPDATE control.key_old_secret SET end_time = $2 WHERE key_id = $1`
	reviseKey        = `UPDATE control.key SET revision = $2 WHERE id = $1`
	forgetSecret     = `DELETE FROM control.key_old_secret WHERE key_id = $1`
	selectKeySecrets = `
		SELECT true, k.sha256, k.prefix, k.suffix, coalesce(k.rotate_time, k.create_time), NULL::timestamptz, o.key_id IS NOT NULL
		FROM control.key k LEFT JOIN control.key_old_secret o ON o.key_id = k.id WHERE k.id = $1
		UNION ALL
		SELECT false, o.sha256, o.prefix, o.suffix, o.create_time, o.end_time, true FROM control.key_old_secret o WHERE o.key_id = $1`
	selectSpentSecrets = `SELECT o.key_id FROM control.key_old_secret o WHERE o.end_time < statement_timestamp() - ` + keepOldSecret + ` ORDER BY o.key_id LIMIT $1`
)

// NewSecret is what a key is presented by from now on.
type NewSecret struct {
	Hash           [32]byte
	Prefix, Suffix string // empty for one that callers hold already
}

// RotateKey gives a key a new secret. The old one works until the overlap is over.
func (s *Store) RotateKey(ctx context.Context, actor string, in access.Scope, ref, etag string, to NewSecret, overlap time.Duration) (registry.Key, error) {
	return s.changeKey(ctx, actor, in, "rotate", ref, etag, func(ctx context.Context, c *change, k registry.Key) error {
		if !k.OverlapEnds.IsZero() {
			return fault.New(fault.FailedPrecondition, "Key %s has an old secret that works until %s, which would stop at once.", k.Name, k.OverlapEnds.UTC().Format(time.RFC3339)).
				WithHint("End the overlap first.")
		}
		var p registry.Problems
		if overlap < 0 || overlap > registry.MaxOverlap {
			p.Add("overlap", registry.Range, "The overlap %s is not between 0 and %d days.", overlap, int(registry.MaxOverlap.Hours()/24))
		}
		_, holder, err := c.keysLike(ctx, "", to.Hash)
		if err != nil {
			return err
		}
		if holder != "" {
			p.Add("secret_sha256", registry.Taken, "Key %s has this secret.", holder)
		}
		if err := p.Err("the rotation"); err != nil {
			return err
		}
		var b pgx.Batch
		b.Queue(keepSecret, k.ID, c.now.Add(overlap))
		b.Queue(replaceSecret, k.ID, to.Hash[:], contract.KeyShardOf(to.Hash), to.Prefix, to.Suffix, c.now, c.revision)
		if err := c.SendBatch(ctx, &b).Close(); err != nil {
			return fmt.Errorf("rotate key: %w", err)
		}
		return nil
	})
}

// EndKeyOverlap has the old secret of a key stop working at a time, or now if that is the zero time.
func (s *Store) EndKeyOverlap(ctx context.Context, actor string, in access.Scope, ref string, end time.Time, p *registry.Problems) (registry.Key, error) {
	return s.changeKey(ctx, actor, in, "end_overlap", ref, "", func(ctx context.Context, c *change, k registry.Key) error {
		if k.OverlapEnds.IsZero() {
			return fault.New(fault.FailedPrecondition, "Key %s has no old secret that works.", k.Name).WithHint("There is nothing to end.")
		}
		at, problems := c.now, p.Clone()
		if !end.IsZero() {
			at = end
			if end.Before(c.now) || end.After(c.now.Add(registry.MaxOverlap)) {
				problems.Add("end_time", registry.Range, "An old secret can stop between now and %d days from now, not at %s.",
					int(registry.MaxOverlap.Hours()/24), end.UTC().Format(time.RFC3339))
			}
		}
		if err := problems.Err("the overlap"); err != nil {
			return err
		}
		var b pgx.Batch
		b.Queue(endSecret, k.ID, at)
		b.Queue(reviseKey, k.ID, c.revision)
		if err := c.SendBatch(ctx, &b).Close(); err != nil {
			return fmt.Errorf("end overlap: %w", err)
		}
		return nil
	})
}

// KeySecret is a secret of a key, by its hash.
type KeySecret struct {
	Current        bool
	SHA256         []byte
	Prefix, Suffix string
	Created        time.Time
	Ends           *time.Time
	Counted        bool
}

// KeySecrets lists the secret that holds, then the old one as long as it is remembered.
func (s *Store) KeySecrets(ctx context.Context, in access.Scope, ref string) ([]KeySecret, error) {
	k, err := findKeyIn(ctx, s.db(ctx), in, ref)
	if err != nil {
		return nil, translate(err)
	}
	all, err := list(ctx, s.db(ctx), "secrets of a key", pgx.RowToStructByPos[KeySecret], selectKeySecrets, k.ID)
	return all, translate(err)
}

// sweepAtOnce bounds the changes that one sweep makes.
const sweepAtOnce = 100

// ForgetOldKeySecrets removes secrets that have stopped working a day ago or more, and says how many.
func (s *Store) ForgetOldKeySecrets(ctx context.Context) (int, error) {
	n := 0
	ctx = WithOrigin(ctx, Origin{Via: "system", Override: true}) // no file says anything of them
	err := s.change(ctx, "system", func(ctx context.Context, c *change) error {
		spent, err := list(ctx, c, "old secrets", pgx.RowTo[string], selectSpentSecrets, sweepAtOnce)
		if err != nil {
			return err
		}
		if n = len(spent); n == 0 {
			return errNoChange
		}
		for _, id := range spent {
			k, err := findKey(ctx, c, id)
			if isNotFound(err) {
				continue
			}
			if err != nil {
				return err
			}
			if err := c.touchKeys(ctx, selectKeyShard, id); err != nil {
				return err
			}
			if _, err := c.Exec(ctx, forgetSecret, id); err != nil {
				return fmt.Errorf("forget an old secret: %w", err)
			}
			c.record("forget_secret", "key", id, k, k)
		}
		return nil
	})
	return n, err
}
