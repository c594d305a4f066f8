package access

import (
	"fmt"

	controlv1 "tollgate/gen/tollgate/control/v1"
	"tollgate/internal/fault"
)

// deed is what a permission allows, in words.
type deed struct {
	see  controlv1.Permission // what allows to see the same things, if that is less
	what string
}

var deeds = map[controlv1.Permission]deed{
	SignedIn:      {what: "call this"},
	ConfigRead:    {what: "see the configuration"},
	ConfigWrite:   {ConfigRead, "the configuration"},
	KeysRead:      {what: "see keys, teams, customers and tags"},
	KeysWrite:     {KeysRead, "keys, teams, customers and tags"},
	SecretsRead:   {what: "see which secrets there are"},
	SecretsWrite:  {SecretsRead, "secrets"},
	MoneyRead:     {what: "see budgets, limits, usage and requests"},
	MoneyWrite:    {MoneyRead, "budgets, limits and what requests cost"},
	Try:           {what: "send requests as other keys"},
	EdgesRead:     {what: "see edges"},
	EdgesWrite:    {EdgesRead, "edges"},
	AuditRead:     {what: "read the audit log"},
	PeopleRead:    {what: "see people and tokens"},
	PeopleWrite:   {PeopleRead, "people and tokens"},
	SettingsWrite: {ConfigRead, "the settings"},
}

// Denied is what to say to a caller who may not do what takes a permission.
func Denied(c *Caller, p controlv1.Permission) error {
	who := "This caller"
	switch {
	case c.Token != "":
		who = "The token " + c.Token
	case c.Role != controlv1.Role_ROLE_UNSPECIFIED:
		who = "Your role " + RoleWord(c.Role)
	}
	d, ok := deeds[p]
	what := "may not " + d.what
	switch {
	case !ok:
		what = "may not call this: nobody may"
	case d.see != controlv1.Permission_PERMISSION_UNSPECIFIED && c.Everywhere.Has(d.see):
		what = fmt.Sprintf("can see %s, not change them", d.what)
	case d.see != controlv1.Permission_PERMISSION_UNSPECIFIED:
		what = "may not change " + d.what
	}
	if ok && len(c.Scope(p).Teams) > 0 {
		what += " outside of teams"
	}
	return fault.New(fault.PermissionDenied, "%s %s.", who, what).
		WithHint("It takes the permission %s: ask an admin for a role or a token that has it.", PermissionWord(p))
}
