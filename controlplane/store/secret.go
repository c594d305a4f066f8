package store

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"tollgate/controlplane/filter"
	"tollgate/controlplane/registry"
	"tollgate/internal/contract"
	"tollgate/internal/fault"
	"tollgate/internal/id"
)

const secretColumns = `s.id, s.name, s.description, s.reference, s.version, s.create_time, s.update_time, s.revision,
	CASE WHEN s.old_end_time > clock_timestamp() THEN s.old_end_time END,
	coalesce((SELECT g.owner FROM control.managed g WHERE g.kind = 'secret' AND g.object_id = s.id), ''),
	ARRAY(SELECT e.name FROM control.endpoint_secret es JOIN control.endpoint e ON e.id = es.endpoint_id
		WHERE es.secret_id = s.id ORDER BY e.name),
	ARRAY(SELECT m.name FROM control.model_secret ms JOIN control.model m ON m.id = ms.model_id
		WHERE ms.secret_id = s.id ORDER BY m.name),
	ARRAY(SELECT a.name FROM control.adapter_secret r JOIN control.adapter a ON a.id = r.adapter_id
		WHERE r.secret_id = s.id ORDER BY a.name)`

const (
	selectVendorSecrets = `SELECT ` + secretColumns + ` FROM control.secret s`
	selectSecret        = selectVendorSecrets + ` WHERE s.id = $1 OR s.name = $1`
	secretNameTaken     = `SELECT EXISTS (SELECT FROM control.secret s WHERE s.name = $1)`
	insertSecret        = `
		INSERT INTO control.secret (id, name, description, reference, version, envelope, revision, create_time, update_time)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $8)`
	// A reference has no value before it, and so has the first value after one.
	rotateSecret = `
		UPDATE control.secret SET envelope = $2, version = $3, reference = '', revision = $4, update_time = $5,
			old_envelope = CASE WHEN reference = '' THEN envelope END, old_end_time = CASE WHEN reference = '' THEN $6::timestamptz END
		WHERE id = $1`
	rollbackSecret = `
		UPDATE control.secret SET envelope = old_envelope, old_envelope = envelope, version = $2, revision = $3, update_time = $4, old_end_time = $5
		WHERE id = $1`
	describeSecret = `UPDATE control.secret SET description = $2, revision = $3 WHERE id = $1`
	referSecret    = `
		UPDATE control.secret SET description = $2, revision = $3, reference = $4, envelope = $5, version = $6, update_time = $7,
			old_envelope = NULL, old_end_time = NULL
		WHERE id = $1`
	deleteSecret     = `DELETE FROM control.secret WHERE id = $1`
	forgetOldSecrets = `UPDATE control.secret SET old_envelope = NULL, old_end_time = NULL WHERE old_end_time <= clock_timestamp()`
)

func scanSecret(row pgx.CollectableRow) (registry.Secret, error) {
	var s registry.Secret
	err := row.Scan(&s.ID, &s.Name, &s.Description, &s.Reference, &s.Version, &s.Created, &s.Updated, &s.Revision,
		&s.RollbackEnd, &s.ManagedBy, &s.Endpoints, &s.Models, &s.Adapters)
	return s, err
}

// Encrypt makes the envelope of a secret with the given id.
type Encrypt func(id string) ([]byte, error)

// Secret finds a secret by id or name.
func (s *Store) Secret(ctx context.Context, ref string) (registry.Secret, error) {
	sec, err := findSecret(ctx, s.db(ctx), ref)
	return sec, translate(err)
}

const usedSecret = `EXISTS (SELECT FROM control.endpoint_secret es WHERE es.secret_id = s.id)
	OR EXISTS (SELECT FROM control.model_secret ms WHERE ms.secret_id = s.id)
	OR EXISTS (SELECT FROM control.adapter_secret r WHERE r.secret_id = s.id)`

var secretList = listing[registry.Secret]{
	list: &filter.Secrets, what: "secrets", sql: selectVendorSecrets, scan: scanSecret,
	words: []string{`s.name`, `lower(s.description)`},
	fields: map[string]condition{
		"id":   anyOf(`s.id`),
		"used": yesOrNo(usedSecret),
		"kind": func(a *arguments, values []string) string {
			return `(CASE WHEN s.reference = '' THEN 'stored' ELSE 'reference' END) = ANY(` + a.add(values) + `::text[])`
		},
		"managed": managed("secret", `s.id`),
	},
	orders: map[string]ordering[registry.Secret]{
		"name":        byText(`s.name`, func(s *registry.Secret) string { return s.Name }),
		"create_time": byTime(`s.create_time`, func(s *registry.Secret) time.Time { return s.Created }),
		"update_time": byTime(`s.update_time`, func(s *registry.Secret) time.Time { return s.Updated }),
	},
	unique: `s.id`,
	ident:  func(s *registry.Secret) string { return s.ID },
}

// Secrets lists secrets.
func (s *Store) Secrets(ctx context.Context, q ListQuery) ([]registry.Secret, string, error) {
	return secretList.read(ctx, s.db(ctx), q)
}

// CreateSecret stores a new secret with the name, the description and the reference of sec. The value itself never comes
// here: encrypt makes its envelope, which for a reference is one of nothing.
func (s *Store) CreateSecret(ctx context.Context, actor string, sec registry.Secret, encrypt Encrypt, p *registry.Problems) (registry.Secret, error) {
	asked := sec
	err := s.change(ctx, actor, func(ctx context.Context, c *change) error {
		sec = registry.Secret{Name: asked.Name, Description: asked.Description, Reference: asked.Reference}
		var taken bool
		if !strings.ContainsRune(sec.Name, 0) {
			if err := c.QueryRow(ctx, secretNameTaken, sec.Name).Scan(&taken); err != nil {
				return fmt.Errorf("read secret: %w", err)
			}
		}
		problems := p.Clone()
		registry.CheckSecretName(problems, sec.Name, taken)
		registry.CheckSecretDescription(problems, sec.Description)
		if err := problems.Err("the secret"); err != nil {
			return err
		}
		sec.ID, sec.Version, sec.Created, sec.Updated, sec.Revision = id.New(id.Secret), 1, c.now, c.now, c.revision
		envelope, err := encrypt(sec.ID)
		if err != nil {
			return fmt.Errorf("encrypt secret: %w", err)
		}
		if _, err := c.Exec(ctx, insertSecret, sec.ID, sec.Name, sec.Description, sec.Reference, sec.Version, envelope, sec.Revision, sec.Created); err != nil {
			return fmt.Errorf("write secret: %w", err)
		}
		c.record("create", "secret", sec.ID, nil, sec)
		return nil
	})
	return sec, err
}

// changeSecret finds a secret, has f change it and records that.
func (s *Store) changeSecret(ctx context.Context, actor, ref, etag, action string, p *registry.Problems,
	f func(context.Context, *change, *registry.Secret) error,
) (registry.Secret, error) {
	var sec registry.Secret
	err := s.change(ctx, actor, func(ctx context.Context, c *change) (err error) {
		if sec, err = findSecret(ctx, c, ref); err != nil {
			return err
		}
		if err := compareETag("secret", sec.Name, etag, sec.ETag()); err != nil {
			return err
		}
		if err := p.Clone().Err("the secret"); err != nil {
			return err
		}
		old := sec
		if err := f(ctx, c, &sec); err != nil {
			return err
		}
		if sec.Version != old.Version && sec.Used() {
			c.touch(contract.ConfigRoutes)
		}
		c.record(action, "secret", sec.ID, old, sec)
		return nil
	})
	return sec, err
}

// nextValue makes the secret one with another value.
func (c *change) nextValue(sec *registry.Secret) {
	sec.Version, sec.Updated, sec.Revision = sec.Version+1, c.now, c.revision
}

// RotateSecret replaces a secret's value. The one before can be brought back for a while. A reference becomes a secret with
// a value of its own.
func (s *Store) RotateSecret(ctx context.Context, actor, ref, etag string, encrypt Encrypt, p *registry.Problems) (registry.Secret, error) {
	return s.changeSecret(ctx, actor, ref, etag, "rotate", p, func(ctx context.Context, c *change, sec *registry.Secret) error {
		envelope, err := encrypt(sec.ID)
		if err != nil {
			return fmt.Errorf("encrypt secret: %w", err)
		}
		c.nextValue(sec)
		end := c.now.Add(registry.RollbackWindow)
		sec.RollbackEnd = &end
		if sec.Reference != "" {
			sec.Reference, sec.RollbackEnd = "", nil
		}
		if _, err := c.Exec(ctx, rotateSecret, sec.ID, envelope, sec.Version, sec.Revision, sec.Updated, end); err != nil {
			return fmt.Errorf("write secret: %w", err)
		}
		return nil
	})
}

// RollbackSecret brings back the value that a secret had before. The one that it has now can be brought back in turn.
func (s *Store) RollbackSecret(ctx context.Context, actor, ref, etag string) (registry.Secret, error) {
	return s.changeSecret(ctx, actor, ref, etag, "rollback", nil, func(ctx context.Context, c *change, sec *registry.Secret) error {
		if sec.RollbackEnd == nil {
			return fault.New(fault.FailedPrecondition, "Secret %s has no value before that could be brought back.", sec.Name).
				WithHint("A value is kept for 24 hours after it was replaced. Rotate the secret to give it another value.")
		}
		c.nextValue(sec)
		end := c.now.Add(registry.RollbackWindow)
		sec.RollbackEnd = &end
		if _, err := c.Exec(ctx, rollbackSecret, sec.ID, sec.Version, sec.Revision, sec.Updated, end); err != nil {
			return fmt.Errorf("write secret: %w", err)
		}
		return nil
	})
}

// SecretUpdate is what to change of a secret; nil leaves it.
type SecretUpdate struct {
	Description *string
	Reference   *string
}

// UpdateSecret changes what is said about a secret. A stored value that becomes a reference is gone, and so is the one before;
// empty makes the envelope of nothing that takes its place.
func (s *Store) UpdateSecret(ctx context.Context, actor, ref, etag string, u SecretUpdate, empty Encrypt, p *registry.Problems) (registry.Secret, error) {
	p = p.Clone()
	if u.Description != nil {
		registry.CheckSecretDescription(p, *u.Description)
	}
	return s.changeSecret(ctx, actor, ref, etag, "update", p, func(ctx context.Context, c *change, sec *registry.Secret) error {
		same := u.Description == nil || *u.Description == sec.Description
		if !same {
			sec.Description = *u.Description
		}
		if u.Reference == nil || *u.Reference == sec.Reference {
			if same {
				return errNoChange
			}
			sec.Revision = c.revision
			if _, err := c.Exec(ctx, describeSecret, sec.ID, sec.Description, sec.Revision); err != nil {
				return fmt.Errorf("write secret: %w", err)
			}
			return nil
		}
		envelope, err := empty(sec.ID)
		if err != nil {
			return fmt.Errorf("encrypt secret: %w", err)
		}
		sec.Reference, sec.RollbackEnd = *u.Reference, nil
		c.nextValue(sec)
		if _, err := c.Exec(ctx, referSecret, sec.ID, sec.Description, sec.Revision, sec.Reference, envelope, sec.Version, sec.Updated); err != nil {
			return fmt.Errorf("write secret: %w", err)
		}
		return nil
	})
}

// DeleteSecret removes a secret that nothing refers to.
func (s *Store) DeleteSecret(ctx context.Context, actor, ref, etag string) error {
	return s.change(ctx, actor, func(ctx context.Context, c *change) error {
		sec, err := findSecret(ctx, c, ref)
		if err != nil {
			return err
		}
		if err := compareETag("secret", sec.Name, etag, sec.ETag()); err != nil {
			return err
		}
		if len(sec.Endpoints) > 0 {
			return fault.New(fault.FailedPrecondition, "Secret %s is used by the headers of: %s.", sec.Name, names(sec.Endpoints)).
				WithHint("Take the reference out of these endpoints first.")
		}
		if users := slices.Concat(prefixed("model ", sec.Models), prefixed("adapter ", sec.Adapters)); len(users) > 0 {
			return fault.New(fault.FailedPrecondition, "Secret %s is used by: %s.", sec.Name, names(users)).
				WithHint("Take the reference out of them first.")
		}
		if _, err := c.Exec(ctx, deleteSecret, sec.ID); err != nil {
			return fmt.Errorf("delete secret: %w", err)
		}
		c.record("delete", "secret", sec.ID, sec, nil)
		return nil
	})
}

func prefixed(prefix string, all []string) (out []string) {
	for _, s := range all {
		out = append(out, prefix+s)
	}
	return out
}

func findSecret(ctx context.Context, db querier, ref string) (registry.Secret, error) {
	return findOne(ctx, db, "secret", ref, selectSecret, scanSecret)
}
