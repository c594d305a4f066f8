package store

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"

	"tollgate/controlplane/registry"
	"tollgate/internal/contract"
	"tollgate/internal/fault"
	"tollgate/internal/id"
)

const secretColumns = `s.id, s.name, s.create_time, s.update_time, s.revision,
	ARRAY(SELECT e.name FROM control.endpoint_secret es JOIN control.endpoint e ON e.id = es.endpoint_id
		WHERE es.secret_id = s.id ORDER BY e.name),
	ARRAY(SELECT m.name FROM control.model_secret ms JOIN control.model m ON m.id = ms.model_id
		WHERE ms.secret_id = s.id ORDER BY m.name),
	ARRAY(SELECT a.name FROM control.adapter_secret r JOIN control.adapter a ON a.id = r.adapter_id
		WHERE r.secret_id = s.id ORDER BY a.name)`

const (
	selectSecret     = `SELECT ` + secretColumns + ` FROM control.secret s WHERE s.id = $1 OR s.name = $1`
	selectSecretPage = `SELECT ` + secretColumns + ` FROM control.secret s WHERE s.name > $1 ORDER BY s.name LIMIT $2`
	secretNameTaken  = `SELECT EXISTS (SELECT FROM control.secret s WHERE s.name = $1)`
	insertSecret     = `
		INSERT INTO control.secret (id, name, envelope, revision, create_time, update_time)
		VALUES ($1, $2, $3, $4, $5, $5)`
	rotateSecret = `UPDATE control.secret SET envelope = $2, revision = $3, update_time = $4 WHERE id = $1`
	deleteSecret = `DELETE FROM control.secret WHERE id = $1`
)

func scanSecret(row pgx.CollectableRow) (registry.Secret, error) {
	var s registry.Secret
	err := row.Scan(&s.ID, &s.Name, &s.Created, &s.Updated, &s.Revision, &s.Endpoints, &s.Models, &s.Adapters)
	return s, err
}

// Encrypt makes the envelope of a secret with the given id.
type Encrypt func(id string) ([]byte, error)

// Secrets lists secrets by name.
func (s *Store) Secrets(ctx context.Context, page Page) ([]registry.Secret, string, error) {
	after, limit, err := page.open()
	if err != nil {
		return nil, "", err
	}
	all, err := list(ctx, s.pool, "secrets", scanSecret, selectSecretPage, after, limit)
	if err != nil {
		return nil, "", translate(err)
	}
	all, next := closePage(all, limit, func(s *registry.Secret) string { return s.Name })
	return all, next, nil
}

// CreateSecret stores a new secret. The value itself never comes here: encrypt makes its envelope.
func (s *Store) CreateSecret(ctx context.Context, actor, name string, encrypt Encrypt, p *registry.Problems) (registry.Secret, error) {
	var sec registry.Secret
	err := s.change(ctx, actor, func(ctx context.Context, c *change) error {
		var taken bool
		if !strings.ContainsRune(name, 0) {
			if err := c.QueryRow(ctx, secretNameTaken, name).Scan(&taken); err != nil {
				return fmt.Errorf("read secret: %w", err)
			}
		}
		problems := p.Clone()
		registry.CheckSecretName(problems, name, taken)
		if err := problems.Err("the secret"); err != nil {
			return err
		}
		sec = registry.Secret{ID: id.New(id.Secret), Name: name, Created: c.now, Updated: c.now, Revision: c.revision}
		envelope, err := encrypt(sec.ID)
		if err != nil {
			return fmt.Errorf("encrypt secret: %w", err)
		}
		if _, err := c.Exec(ctx, insertSecret, sec.ID, sec.Name, envelope, sec.Revision, sec.Created); err != nil {
			return fmt.Errorf("write secret: %w", err)
		}
		c.record("create", "secret", sec.ID, nil, sec)
		return nil
	})
	return sec, err
}

// RotateSecret replaces a secret's value.
func (s *Store) RotateSecret(ctx context.Context, actor, ref string, encrypt Encrypt, p *registry.Problems) (registry.Secret, error) {
	var sec registry.Secret
	err := s.change(ctx, actor, func(ctx context.Context, c *change) (err error) {
		if sec, err = findSecret(ctx, c, ref); err != nil {
			return err
		}
		if err := p.Clone().Err("the secret"); err != nil {
			return err
		}
		old := sec
		envelope, err := encrypt(sec.ID)
		if err != nil {
			return fmt.Errorf("encrypt secret: %w", err)
		}
		sec.Updated, sec.Revision = c.now, c.revision
		if _, err := c.Exec(ctx, rotateSecret, sec.ID, envelope, sec.Revision, sec.Updated); err != nil {
			return fmt.Errorf("write secret: %w", err)
		}
		if sec.Used() {
			c.touch(contract.ConfigRoutes)
		}
		c.record("rotate", "secret", sec.ID, old, sec)
		return nil
	})
	return sec, err
}

// DeleteSecret removes a secret that nothing refers to.
func (s *Store) DeleteSecret(ctx context.Context, actor, ref string) error {
	return s.change(ctx, actor, func(ctx context.Context, c *change) error {
		sec, err := findSecret(ctx, c, ref)
		if err != nil {
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
