package filter

import (
	"tollgate/controlplane/access"
)

// People are those of PersonService.
var People = List{
	Title: "People", Method: "PersonService.ListPeople", Words: "the e-mail address and the name",
	Fields: []Field{
		{Name: "role", About: "What they may do everywhere.", Values: access.RoleWords()},
		{Name: "team", About: "Name or identifier of a team that they belong to."},
		{Name: "disabled", About: "Whether they may not sign in.", Values: yesNo},
	},
	Orders: []string{"email"},
}
