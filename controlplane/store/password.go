package store

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"tollgate/controlplane/access"
	"tollgate/internal/fault"
)

const (
	selectPassword = `SELECT coalesce(p.password_hash, '') FROM control.person p WHERE p.id = $1`
	updatePassword = `UPDATE control.person SET password_hash = $2, revision = $3, update_time = $4 WHERE id = $1`
	updateName     = `UPDATE control.person SET name = $2 WHERE id = $1`
	insertLink     = `
		INSERT INTO control.sign_in_link (sha256, person_id, expire_time, create_time)
		VALUES ($1, $2, clock_timestamp() + $3::interval, clock_timestamp()) RETURNING expire_time`
	lookAtLink = `
		SELECT l.person_id IS NULL, coalesce(p.email, ''), coalesce(p.name, ''), l.expire_time
		FROM control.sign_in_link l LEFT JOIN control.person p ON p.id = l.person_id
		WHERE l.sha256 = $1 AND l.expire_time > clock_timestamp() AND NOT coalesce(p.disabled, false)`
	takeLink       = `DELETE FROM control.sign_in_link WHERE sha256 = $1 AND expire_time > clock_timestamp() RETURNING coalesce(person_id, '')`
	dropSetupLinks = `DELETE FROM control.sign_in_link WHERE person_id IS NULL`
)

// PasswordHash is what a password of a person is compared with; empty if there is none.
func (s *Store) PasswordHash(ctx context.Context, personID string) (string, error) {
	hash, err := findOne(ctx, s.db(ctx), "person", personID, selectPassword, pgx.RowTo[string])
	return hash, translate(err)
}

// SetPassword replaces the hash of a person's password and ends their sessions but one.
func (s *Store) SetPassword(ctx context.Context, actor, personID, hash, exceptSession string) error {
	return s.change(ctx, actor, func(ctx context.Context, c *change) error {
		p, err := findPerson(ctx, c, personID)
		if err != nil {
			return err
		}
		if err := c.setPassword(ctx, &p, hash, exceptSession); err != nil {
			return err
		}
		c.record("set_password", "person", p.ID, nil, p)
		return nil
	})
}

func (c *change) setPassword(ctx context.Context, p *access.Person, hash, exceptSession string) error {
	p.Revision, p.Updated, p.HasPassword = c.revision, c.now, true
	if _, err := c.Exec(ctx, updatePassword, p.ID, hash, p.Revision, p.Updated); err != nil {
		return fmt.Errorf("write password: %w", err)
	}
	if _, err := c.Exec(ctx, dropLinksOf, p.ID); err != nil {
		return fmt.Errorf("drop links: %w", err)
	}
	if _, err := c.Exec(ctx, endSessionsOf, p.ID, exceptSession); err != nil {
		return fmt.Errorf("end sessions: %w", err)
	}
	return nil
}

func (c *change) addLink(ctx context.Context, link [32]byte, personID *string, lasts time.Duration) (end time.Time, err error) {
	if err := c.QueryRow(ctx, insertLink, link[:], personID, lasts).Scan(&end); err != nil {
		return time.Time{}, fmt.Errorf("write link: %w", err)
	}
	return end, nil
}

// CreateLink keeps a link by which a person sets a new password; their links before end.
func (s *Store) CreateLink(ctx context.Context, actor string, byOwner bool, ref string, link [32]byte, lasts time.Duration) (end time.Time, err error) {
	err = s.change(ctx, actor, func(ctx context.Context, c *change) error {
		p, err := findPerson(ctx, c, ref)
		if err != nil {
			return err
		}
		if p.Role == owner && !byOwner {
			return onlyOwners()
		}
		if p.Disabled {
			return fault.New(fault.FailedPrecondition, "%s may not sign in.", p.Email).WithHint("Enable the person first.")
		}
		if _, err := c.Exec(ctx, dropLinksOf, p.ID); err != nil {
			return fmt.Errorf("drop links: %w", err)
		}
		if end, err = c.addLink(ctx, link, &p.ID, lasts); err != nil {
			return err
		}
		c.record("create_link", "person", p.ID, nil, p)
		return nil
	})
	return end, err
}

// CreateSetupLink keeps the link for an owner, which whoever runs the server makes. All such links end when one is used, and
// that is what the audit shows: to make one changes nothing.
func (s *Store) CreateSetupLink(ctx context.Context, link [32]byte, lasts time.Duration) error {
	if _, err := s.pool.Exec(ctx, insertLink, link[:], nil, lasts); err != nil {
		return translate(fmt.Errorf("write link: %w", err))
	}
	return nil
}

// Redeemed is what somebody says of themselves who uses a link.
type Redeemed struct {
	Link         [32]byte
	Name         string // empty leaves the one that is known
	Email        string // of an owner that a setup link makes
	PasswordHash string
}

// Link is what a link is for.
type Link struct {
	Setup   bool   // it makes an owner
	Email   string // of the person otherwise
	Name    string
	Expires time.Time
}

// Link fails for a link that RedeemLink would refuse. Anybody may ask, so it takes no lock.
func (s *Store) Link(ctx context.Context, link [32]byte) (Link, error) {
	all, err := list(ctx, s.db(ctx), "link", pgx.RowToStructByPos[Link], lookAtLink, link[:])
	if err != nil {
		return Link{}, translate(err)
	}
	if len(all) == 0 {
		return Link{}, noLink()
	}
	return all[0], nil
}

func noLink() error {
	return fault.New(fault.UnauthenticatedErr, "The link does not work: it was used, or it has expired.").
		WithHint("Ask for a new one; whoever runs the server gets one for an owner with `tollgate admin link`.")
}

// RedeemLink uses a link up: it sets the password of whom it is for, or makes an owner.
func (s *Store) RedeemLink(ctx context.Context, r Redeemed) (access.Person, error) {
	var p access.Person
	err := s.change(ctx, "", func(ctx context.Context, c *change) error {
		var personID string
		rows, err := c.Query(ctx, takeLink, r.Link[:])
		if err != nil {
			return fmt.Errorf("read link: %w", err)
		}
		all, err := pgx.CollectRows(rows, pgx.RowTo[string])
		if err != nil {
			return fmt.Errorf("read link: %w", err)
		}
		if len(all) == 0 {
			return noLink()
		}
		if personID = all[0]; personID == "" {
			p = access.Person{Email: r.Email, Name: r.Name, Role: owner}
			err = c.makeOwner(ctx, &p)
		} else {
			p, err = findPerson(ctx, c, personID)
		}
		if err != nil {
			return err
		}
		if p.Disabled {
			return fault.New(fault.UnauthenticatedErr, "%s may not sign in.", p.Email)
		}
		if r.Name != "" && r.Name != p.Name {
			p.Name = r.Name
			if _, err := c.Exec(ctx, updateName, p.ID, p.Name); err != nil {
				return fmt.Errorf("write person: %w", err)
			}
		}
		if err := c.setPassword(ctx, &p, r.PasswordHash, ""); err != nil {
			return err
		}
		c.actor = p.Email
		c.record("redeem_link", "person", p.ID, nil, p)
		return nil
	})
	return p, err
}

// makeOwner stores an owner, or makes the person with the address one.
func (c *change) makeOwner(ctx context.Context, p *access.Person) error {
	if p.Email == "" {
		return fault.New(fault.InvalidArgument, "Say the e-mail address of the owner.").
			WithViolations(fault.Violation{Field: "email", Code: "required", Reason: "Say the e-mail address of the owner."})
	}
	if _, err := c.Exec(ctx, dropSetupLinks); err != nil {
		return fmt.Errorf("drop links: %w", err)
	}
	var taken bool
	if err := c.QueryRow(ctx, personTaken, p.Email).Scan(&taken); err != nil {
		return fmt.Errorf("read person: %w", err)
	}
	if !taken {
		return c.insertPerson(ctx, p)
	}
	old, err := findPerson(ctx, c, p.Email)
	if err != nil {
		return err
	}
	name := p.Name
	if *p = old; name != "" {
		p.Name = name
	}
	p.Role, p.Disabled = owner, false
	if _, err := c.Exec(ctx, updatePerson, p.ID, p.Name, int16(1), false, c.revision, c.now); err != nil {
		return fmt.Errorf("write person: %w", err)
	}
	return nil
}
