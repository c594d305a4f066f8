package access

import (
	"slices"
	"strings"
	"time"

	"tollgate/controlplane/registry"
	controlv1 "tollgate/gen/tollgate/control/v1"
)

// Person is somebody who may sign in, without what proves that it is them.
type Person struct {
	ID           string       `json:"id"`
	Email        string       `json:"email"` // in lower case
	Name         string       `json:"name,omitempty"`
	Role         string       `json:"role"` // a word, as RoleWord makes it
	Disabled     bool         `json:"disabled,omitempty"`
	HasPassword  bool         `json:"has_password"`
	SingleSignOn bool         `json:"single_sign_on,omitempty"`
	Teams        []Membership `json:"-"`
	SignedIn     time.Time    `json:"-"`
	Created      time.Time    `json:"create_time"`
	Updated      time.Time    `json:"update_time"`
	Revision     int64        `json:"revision"`
}

// Membership is the place of a person in a team.
type Membership struct {
	TeamID string
	Team   string // name
	Role   controlv1.TeamRole
}

// ETag changes with every write.
func (p *Person) ETag() string { return registry.ETag(p.ID, p.Revision, p.Updated) }

// Session is one place where a person is signed in.
type Session struct {
	ID       string
	PersonID string
	Agent    string
	Address  string
	Created  time.Time
	Used     time.Time
	Expires  time.Time
}

// Token is what a program presents, without its secret.
type Token struct {
	ID          string    `json:"id"`
	Name        string    `json:"name"`
	Role        string    `json:"role,omitempty"`        // a word; empty where the permissions are listed
	Permissions []string  `json:"permissions,omitempty"` // words
	Team        string    `json:"team,omitempty"`        // name
	TeamID      string    `json:"-"`
	Creator     string    `json:"creator"`
	Suffix      string    `json:"suffix"`
	Expires     time.Time `json:"expire_time,omitzero"`
	Revoked     time.Time `json:"revoke_time,omitzero"`
	Used        time.Time `json:"-"`
	Created     time.Time `json:"create_time"`
	Revision    int64     `json:"revision"`
}

const (
	rolePrefix       = "ROLE_"
	permissionPrefix = "PERMISSION_"
)

// RoleWord is a role as people write it: "owner".
func RoleWord(r controlv1.Role) string { return word(r.String(), rolePrefix) }

// RoleOf is the role of a word, or none.
func RoleOf(word string) controlv1.Role {
	return controlv1.Role(controlv1.Role_value[constant(word, rolePrefix)])
}

// PermissionWord is a permission as people write it: "keys_read".
func PermissionWord(p controlv1.Permission) string { return word(p.String(), permissionPrefix) }

// PermissionOf is the permission of a word, or none.
func PermissionOf(word string) controlv1.Permission {
	return controlv1.Permission(controlv1.Permission_value[constant(word, permissionPrefix)])
}

// RoleWords are all roles that a person can have, the mightiest first.
func RoleWords() []string {
	var all []string
	for n := range len(controlv1.Role_name) {
		if r := controlv1.Role(n); r != controlv1.Role_ROLE_UNSPECIFIED {
			all = append(all, RoleWord(r))
		}
	}
	return all
}

func word(constant, prefix string) string {
	return strings.ToLower(strings.TrimPrefix(constant, prefix))
}

func constant(word, prefix string) string { return prefix + strings.ToUpper(word) }

// OfPerson is what a person may do who has signed in.
func OfPerson(p *Person) *Caller {
	c := &Caller{Actor: p.Email, PersonID: p.ID, Role: RoleOf(p.Role), Teams: map[string]controlv1.TeamRole{}}
	c.Everywhere = OfRole(c.Role)
	for _, m := range p.Teams {
		c.Teams[m.TeamID] = m.Role
	}
	return c
}

// OfToken is what the holder of a token may do. The rights of one that is bound to a team are those of the token as far as an
// admin of the team has them, in that team, and elsewhere none.
func OfToken(t *Token) *Caller {
	c := &Caller{Actor: "token " + t.Name, Token: t.Name, Role: RoleOf(t.Role), Expires: t.Expires}
	rights := Rights(t)
	if t.TeamID == "" {
		c.Everywhere = rights
		return c
	}
	c.Everywhere, c.Within = Of(SignedIn), rights
	c.Teams = map[string]controlv1.TeamRole{t.TeamID: controlv1.TeamRole_TEAM_ROLE_ADMIN}
	return c
}

// Rights are the permissions that a token is given.
func Rights(t *Token) Set {
	if t.Role != "" {
		return OfRole(RoleOf(t.Role))
	}
	s := Of(SignedIn)
	for _, p := range t.Permissions {
		s |= Of(PermissionOf(p))
	}
	return s
}

// MayGrant says whether the caller may hand on all these rights, everywhere or in a team.
func (c *Caller) MayGrant(role controlv1.Role, rights Set, teamID string) bool {
	if role == controlv1.Role_ROLE_OWNER && !c.Owner() {
		return false
	}
	if c.Everywhere.Contains(rights) {
		return true
	}
	if teamID == "" {
		return false
	}
	for _, p := range rights.List() {
		if !c.Scope(p).Covers(teamID) {
			return false
		}
	}
	return true
}

// Owner says whether the caller may also change owners.
func (c *Caller) Owner() bool { return c.Role == controlv1.Role_ROLE_OWNER }

// List is the set's permissions in order.
func (s Set) List() []controlv1.Permission {
	var all []controlv1.Permission
	for n := range controlv1.Permission_name {
		if p := controlv1.Permission(n); s.Has(p) {
			all = append(all, p)
		}
	}
	slices.Sort(all)
	return all
}
