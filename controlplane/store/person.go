package store

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"tollgate/controlplane/access"
	"tollgate/controlplane/registry"
	controlv1 "tollgate/gen/tollgate/control/v1"
	"tollgate/internal/fault"
	"tollgate/internal/id"
)

const personColumns = `p.id, p.email, p.name, p.role, p.disabled, p.password_hash IS NOT NULL, p.oidc_subject IS NOT NULL, p.sign_in_time,
	p.create_time, p.update_time, p.revision,
	ARRAY(SELECT t.id FROM control.team_member m JOIN control.team t ON t.id = m.team_id WHERE m.person_id = p.id ORDER BY t.name),
	ARRAY(SELECT t.name FROM control.team_member m JOIN control.team t ON t.id = m.team_id WHERE m.person_id = p.id ORDER BY t.name),
	ARRAY(SELECT m.role FROM control.team_member m JOIN control.team t ON t.id = m.team_id WHERE m.person_id = p.id ORDER BY t.name)`

const (
	selectPerson  = `SELECT ` + personColumns + ` FROM control.person p WHERE p.id = $1 OR p.email = lower($1)`
	personTaken   = `SELECT EXISTS (SELECT FROM control.person p WHERE p.email = $1)`
	countOwners   = `SELECT count(*) FROM control.person p WHERE p.role = 1 AND NOT p.disabled AND p.id <> $1`
	selectAnybody = `SELECT EXISTS (SELECT FROM control.person p WHERE p.role = 1)`
	insertPerson  = `INSERT INTO control.person (id, email, name, role, disabled, revision, create_time, update_time) VALUES ($1, $2, $3, $4, $5, $6, $7, $7)`
	updatePerson  = `UPDATE control.person SET name = $2, role = $3, disabled = $4, revision = $5, update_time = $6 WHERE id = $1`
	deletePerson  = `DELETE FROM control.person WHERE id = $1`
	endSessionsOf = `DELETE FROM control.session WHERE person_id = $1 AND id <> $2`
	dropLinksOf   = `DELETE FROM control.sign_in_link WHERE person_id = $1`
)

func scanPerson(row pgx.CollectableRow) (access.Person, error) {
	var p access.Person
	var role int16
	var signedIn *time.Time
	var ids, teams []string
	var roles []int16
	err := row.Scan(&p.ID, &p.Email, &p.Name, &role, &p.Disabled, &p.HasPassword, &p.SingleSignOn, &signedIn,
		&p.Created, &p.Updated, &p.Revision, &ids, &teams, &roles)
	p.Role = access.RoleWord(controlv1.Role(role))
	if signedIn != nil {
		p.SignedIn = *signedIn
	}
	for i := range min(len(ids), len(teams), len(roles)) {
		p.Teams = append(p.Teams, access.Membership{TeamID: ids[i], Team: teams[i], Role: controlv1.TeamRole(roles[i])})
	}
	return p, err
}

// Person finds a person by id or e-mail address.
func (s *Store) Person(ctx context.Context, ref string) (access.Person, error) {
	p, err := findPerson(ctx, s.db(ctx), ref)
	return p, translate(err)
}

func findPerson(ctx context.Context, db querier, ref string) (access.Person, error) {
	return findOne(ctx, db, "person", ref, selectPerson, scanPerson)
}

// HasOwner says whether an owner was ever set up.
func (s *Store) HasOwner(ctx context.Context) (bool, error) {
	var has bool
	err := s.db(ctx).QueryRow(ctx, selectAnybody).Scan(&has)
	return has, translate(err)
}

// CreatePerson stores a new person, and a link by which they set a password.
func (s *Store) CreatePerson(ctx context.Context, actor string, p access.Person, link [32]byte, linkFor time.Duration) (access.Person, error) {
	err := s.change(ctx, actor, func(ctx context.Context, c *change) error {
		if err := c.insertPerson(ctx, &p); err != nil {
			return err
		}
		if _, err := c.addLink(ctx, link, &p.ID, linkFor); err != nil {
			return err
		}
		c.record("create", "person", p.ID, nil, p)
		return nil
	})
	return p, err
}

func (c *change) insertPerson(ctx context.Context, p *access.Person) error {
	var taken bool
	if err := c.QueryRow(ctx, personTaken, p.Email).Scan(&taken); err != nil {
		return fmt.Errorf("read person: %w", err)
	}
	if taken {
		problems := registry.NewProblems("person")
		problems.Add("email", registry.Taken, "A person with the address %s exists.", p.Email)
		return problems.Err("the person")
	}
	p.ID, p.Created, p.Updated, p.Revision = id.New(id.Person), c.now, c.now, c.revision
	if _, err := c.Exec(ctx, insertPerson, p.ID, p.Email, p.Name, int16(access.RoleOf(p.Role)), p.Disabled, p.Revision, p.Created); err != nil {
		return fmt.Errorf("write person: %w", err)
	}
	return nil
}

// PersonPatch is what is changed of a person; nil leaves it.
type PersonPatch struct {
	Name     *string
	Role     *string
	Disabled *bool
}

// UpdatePerson changes a person. Owners are changed by owners only, and one always remains. A person who is disabled is signed
// out everywhere.
func (s *Store) UpdatePerson(ctx context.Context, actor string, byOwner bool, ref, etag string, patch PersonPatch) (access.Person, error) {
	var p access.Person
	err := s.change(ctx, actor, func(ctx context.Context, c *change) error {
		old, err := findPerson(ctx, c, ref)
		if err != nil {
			return err
		}
		if err := compareETag("person", old.Email, etag, old.ETag()); err != nil {
			return err
		}
		p = old
		set(&p.Name, patch.Name)
		set(&p.Role, patch.Role)
		set(&p.Disabled, patch.Disabled)
		if p.Name == old.Name && p.Role == old.Role && p.Disabled == old.Disabled {
			return errNoChange
		}
		if err := c.mayChange(ctx, &old, byOwner, p.Role == owner && !p.Disabled); err != nil {
			return err
		}
		if p.Role == owner && old.Role != owner && !byOwner {
			return onlyOwners()
		}
		p.Revision, p.Updated = c.revision, c.now
		if _, err := c.Exec(ctx, updatePerson, p.ID, p.Name, int16(access.RoleOf(p.Role)), p.Disabled, p.Revision, p.Updated); err != nil {
			return fmt.Errorf("write person: %w", err)
		}
		if p.Disabled {
			if err := c.signOut(ctx, p.ID); err != nil {
				return err
			}
		}
		c.record("update", "person", p.ID, old, p)
		return nil
	})
	return p, err
}

func set[T any](field *T, value *T) {
	if value != nil {
		*field = *value
	}
}

// owner is the word of the role.
const owner = "owner"

func onlyOwners() error {
	return fault.New(fault.PermissionDenied, "Only owners may change owners, or make others owners.")
}

// mayChange protects owners: from those who are none, and from being gone. Stays says whether the person will still be one who
// can sign in.
func (c *change) mayChange(ctx context.Context, p *access.Person, byOwner, stays bool) error {
	if p.Role != owner {
		return nil
	}
	if !byOwner {
		return onlyOwners()
	}
	if stays || p.Disabled {
		return nil
	}
	var others int
	if err := c.QueryRow(ctx, countOwners, p.ID).Scan(&others); err != nil {
		return fmt.Errorf("count owners: %w", err)
	}
	if others == 0 {
		return fault.New(fault.FailedPrecondition, "%s is the last owner: without one, nobody could make another.", p.Email).
			WithHint("Make somebody else an owner first.")
	}
	return nil
}

func (c *change) signOut(ctx context.Context, personID string) error {
	if _, err := c.Exec(ctx, endSessionsOf, personID, ""); err != nil {
		return fmt.Errorf("end sessions: %w", err)
	}
	if _, err := c.Exec(ctx, dropLinksOf, personID); err != nil {
		return fmt.Errorf("drop links: %w", err)
	}
	return nil
}

// DeletePerson removes a person and all by which they could sign in.
func (s *Store) DeletePerson(ctx context.Context, actor string, byOwner bool, ref, etag string) error {
	return s.change(ctx, actor, func(ctx context.Context, c *change) error {
		p, err := findPerson(ctx, c, ref)
		if err != nil {
			return err
		}
		if err := compareETag("person", p.Email, etag, p.ETag()); err != nil {
			return err
		}
		if err := c.mayChange(ctx, &p, byOwner, false); err != nil {
			return err
		}
		if _, err := c.Exec(ctx, deletePerson, p.ID); err != nil {
			return fmt.Errorf("delete person: %w", err)
		}
		c.record("delete", "person", p.ID, p, nil)
		return nil
	})
}
