package access

import (
	"slices"

	controlv1 "tollgate/gen/tollgate/control/v1"
)

// The permissions, by short names.
const (
	Anyone        = controlv1.Permission_PERMISSION_ANYONE
	SignedIn      = controlv1.Permission_PERMISSION_SIGNED_IN
	ConfigRead    = controlv1.Permission_PERMISSION_CONFIG_READ
	ConfigWrite   = controlv1.Permission_PERMISSION_CONFIG_WRITE
	KeysRead      = controlv1.Permission_PERMISSION_KEYS_READ
	KeysWrite     = controlv1.Permission_PERMISSION_KEYS_WRITE
	SecretsRead   = controlv1.Permission_PERMISSION_SECRETS_READ
	SecretsWrite  = controlv1.Permission_PERMISSION_SECRETS_WRITE
	MoneyRead     = controlv1.Permission_PERMISSION_MONEY_READ
	MoneyWrite    = controlv1.Permission_PERMISSION_MONEY_WRITE
	Try           = controlv1.Permission_PERMISSION_TRY
	EdgesRead     = controlv1.Permission_PERMISSION_EDGES_READ
	EdgesWrite    = controlv1.Permission_PERMISSION_EDGES_WRITE
	AuditRead     = controlv1.Permission_PERMISSION_AUDIT_READ
	PeopleRead    = controlv1.Permission_PERMISSION_PEOPLE_READ
	PeopleWrite   = controlv1.Permission_PERMISSION_PEOPLE_WRITE
	SettingsWrite = controlv1.Permission_PERMISSION_SETTINGS_WRITE
)

var (
	viewer  = Of(SignedIn, ConfigRead, KeysRead, SecretsRead, MoneyRead, EdgesRead)
	billing = viewer | Of(MoneyWrite)
	editor  = billing | Of(ConfigWrite, KeysWrite, SecretsWrite, Try)
	admin   = editor | Of(EdgesWrite, AuditRead, PeopleRead, PeopleWrite, SettingsWrite)

	teamMember = Of(SignedIn, KeysRead, MoneyRead)
	teamAdmin  = teamMember | Of(KeysWrite, MoneyWrite, Try)
)

// Everything is what an owner and the admin token of the configuration may do.
var Everything = admin

// OfRole is what a role may do everywhere.
func OfRole(r controlv1.Role) Set {
	switch r {
	case controlv1.Role_ROLE_OWNER:
		return Everything
	case controlv1.Role_ROLE_ADMIN:
		return admin
	case controlv1.Role_ROLE_EDITOR:
		return editor
	case controlv1.Role_ROLE_VIEWER:
		return viewer
	case controlv1.Role_ROLE_BILLING:
		return billing
	case controlv1.Role_ROLE_MEMBER:
		return Of(SignedIn)
	default:
		return 0
	}
}

// OfTeamRole is what a role in a team may do there.
func OfTeamRole(r controlv1.TeamRole) Set {
	switch r {
	case controlv1.TeamRole_TEAM_ROLE_ADMIN:
		return teamAdmin
	case controlv1.TeamRole_TEAM_ROLE_MEMBER:
		return teamMember
	default:
		return 0
	}
}

// Scope is where the caller may do p.
func (c *Caller) Scope(p controlv1.Permission) Scope {
	if c.Everywhere.Has(p) {
		return Scope{Everywhere: true}
	}
	var s Scope
	for team, role := range c.Teams {
		if OfTeamRole(role).Has(p) && (c.Within == 0 || c.Within.Has(p)) {
			s.Teams = append(s.Teams, team)
		}
	}
	slices.Sort(s.Teams)
	return s
}
