// Package access says who may do what: which permissions a role has, which permission each method of the API needs, and what a
// caller's rights end at. The rules are data and pure functions; how a caller proves who they are is no matter of this package.
package access

import (
	"context"
	"maps"
	"time"

	controlv1 "tollgate/gen/tollgate/control/v1"
)

// Set is a set of permissions.
type Set uint64

// Of makes a set.
func Of(all ...controlv1.Permission) Set {
	var s Set
	for _, p := range all {
		s |= 1 << uint(p)
	}
	return s
}

// Has says whether p is in the set.
func (s Set) Has(p controlv1.Permission) bool { return s&(1<<uint(p)) != 0 }

// Contains says whether all of t are in the set.
func (s Set) Contains(t Set) bool { return s&t == t }

// Caller is who calls, and what they may do. It never changes.
type Caller struct {
	Actor    string // for the audit: an e-mail address, "token NAME", "admin"
	PersonID string // empty for tokens
	Session  string // id of the session; empty for tokens
	Token    string // name of the token; empty for people
	Via      string // "api", "cli" or "console"
	Address  string
	Expires  time.Time // of the session or token; zero for never

	Role       controlv1.Role                // for what is said to people, and for owners
	Everywhere Set                           // what they may do everywhere
	Teams      map[string]controlv1.TeamRole // by id of the team: what they are there
	Within     Set                           // bounds what follows from Teams; 0 for nothing more
}

// SameRights says whether the other may do the same, and is the same.
func (c *Caller) SameRights(other *Caller) bool {
	return c.Actor == other.Actor && c.Role == other.Role && c.Everywhere == other.Everywhere && c.Within == other.Within && maps.Equal(c.Teams, other.Teams)
}

type callerKey struct{}

// With makes a context that knows its caller.
func With(ctx context.Context, c *Caller) context.Context {
	return context.WithValue(ctx, callerKey{}, c)
}

// From is the caller of a context: one who may do nothing where there is none.
func From(ctx context.Context) *Caller {
	if c, ok := ctx.Value(callerKey{}).(*Caller); ok {
		return c
	}
	return &Caller{}
}

// Scope is where a caller has a permission.
type Scope struct {
	Everywhere bool
	Teams      []string // ids, sorted; of no account with Everywhere
}

// Covers says whether something that belongs to a team is in the scope. What belongs to none has the empty id.
func (s Scope) Covers(teamID string) bool {
	if s.Everywhere {
		return true
	}
	for _, t := range s.Teams {
		if t == teamID && teamID != "" {
			return true
		}
	}
	return false
}
