package store

import (
	"context"
	"fmt"

	"tollgate/controlplane/access"
	"tollgate/internal/fault"
)

const (
	selectSubject = `SELECT ` + personColumns + ` FROM control.person p WHERE p.oidc_subject = $1`
	updateSubject = `UPDATE control.person SET oidc_subject = $2 WHERE id = $1`
)

// SingleSignOn is what a provider says of somebody who signed in there.
type SingleSignOn struct {
	Subject string // issuer and subject: who it is, whatever their address is by now
	Email   string // verified, in lower case
	Name    string
	Role    string // that follows from their groups; empty for none
	Default string // role of somebody who is not known; empty refuses them
}

// SignInBy finds the person whom a provider knows, lets in somebody new where that is wanted, and lets the role follow what the
// provider says. The last owner stays one all the same.
func (s *Store) SignInBy(ctx context.Context, in SingleSignOn) (access.Person, error) {
	var p access.Person
	err := s.change(ctx, in.Email, func(ctx context.Context, c *change) error {
		known, err := list(ctx, c, "person", scanPerson, selectSubject, in.Subject)
		if err != nil {
			return err
		}
		if len(known) == 0 {
			if known, err = list(ctx, c, "person", scanPerson, selectPerson, in.Email); err != nil {
				return err
			}
			if len(known) > 0 && known[0].SingleSignOn {
				return fault.New(fault.PermissionDenied, "%s belongs to somebody else at the provider.", in.Email).
					WithHint("Ask an admin to delete that person first.")
			}
		}
		if len(known) == 0 {
			return c.letIn(ctx, in, &p)
		}
		p = known[0]
		if p.Disabled {
			return fault.New(fault.PermissionDenied, "%s may not sign in.", p.Email).WithHint("Ask an admin to enable the person.")
		}
		if !p.SingleSignOn {
			if _, err := c.Exec(ctx, updateSubject, p.ID, in.Subject); err != nil {
				return fmt.Errorf("write person: %w", err)
			}
			p.SingleSignOn = true
		}
		return c.follow(ctx, in, &p, known[0])
	})
	return p, err
}

func (c *change) letIn(ctx context.Context, in SingleSignOn, p *access.Person) error {
	*p = access.Person{Email: in.Email, Name: in.Name, Role: in.Role, SingleSignOn: true}
	if p.Role == "" {
		p.Role = in.Default
	}
	if p.Role == "" {
		return fault.New(fault.PermissionDenied, "%s is not known here.", in.Email).WithHint("Ask an admin to add you.")
	}
	if err := c.insertPerson(ctx, p); err != nil {
		return err
	}
	if _, err := c.Exec(ctx, updateSubject, p.ID, in.Subject); err != nil {
		return fmt.Errorf("write person: %w", err)
	}
	c.record("create", "person", p.ID, nil, *p)
	return nil
}

// follow gives a person the role and, if they have none, the name that the provider says.
func (c *change) follow(ctx context.Context, in SingleSignOn, p *access.Person, old access.Person) error {
	if in.Role != "" && in.Role != p.Role && c.mayChange(ctx, p, true, false) == nil {
		p.Role = in.Role
	}
	if p.Name == "" {
		p.Name = in.Name
	}
	if p.Role == old.Role && p.Name == old.Name && p.SingleSignOn == old.SingleSignOn {
		return errNoChange
	}
	p.Revision, p.Updated = c.revision, c.now
	if _, err := c.Exec(ctx, updatePerson, p.ID, p.Name, int16(access.RoleOf(p.Role)), p.Disabled, p.Revision, p.Updated); err != nil {
		return fmt.Errorf("write person: %w", err)
	}
	c.record("update", "person", p.ID, old, *p)
	return nil
}
