package rpc_test

import (
	"strings"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/proto"

	controlv1 "tollgate/gen/tollgate/control/v1"
)

var _ = covers("PersonService", map[string]cases{
	"CreatePerson": {
		right: func(w *world) proto.Message {
			return &controlv1.CreatePersonRequest{Person: &controlv1.Person{Email: w.name("Ada") + "@Example.com", Name: "Ada", Role: controlv1.Role_ROLE_EDITOR}}
		},
		check: func(w *world, res proto.Message) {
			made := res.(*controlv1.CreatePersonResponse)
			if p := made.GetPerson(); p.GetEmail() != strings.ToLower(p.GetEmail()) || p.GetEtag() == "" || p.GetHasPassword() || !strings.Contains(made.GetLink(), "/setup#token=tgn_") {
				w.t.Errorf("%v", made)
			}
		},
		wrong: []wrong{
			{violation: "person:required", request: is(&controlv1.CreatePersonRequest{})},
			{violation: "person.email:invalid", request: is(&controlv1.CreatePersonRequest{Person: &controlv1.Person{Email: "ada", Role: controlv1.Role_ROLE_EDITOR}})},
			{violation: "person.role:invalid", request: is(&controlv1.CreatePersonRequest{Person: &controlv1.Person{Email: "ada@example.com"}})},
			{violation: "person.email:taken", code: connect.CodeAlreadyExists, request: func(w *world) proto.Message {
				return &controlv1.CreatePersonRequest{Person: &controlv1.Person{Email: w.person(controlv1.Role_ROLE_VIEWER).email, Role: controlv1.Role_ROLE_EDITOR}}
			}},
		},
	},
	"GetPerson": {
		right: func(w *world) proto.Message {
			return &controlv1.GetPersonRequest{Person: w.person(controlv1.Role_ROLE_VIEWER).email}
		},
		wrong:    []wrong{{violation: "person:required", request: is(&controlv1.GetPersonRequest{})}},
		notFound: is(&controlv1.GetPersonRequest{Person: "nobody@example.com"}),
	},
	"ListPeople": {
		right: func(w *world) proto.Message {
			w.who = w.person(controlv1.Role_ROLE_BILLING)
			team := w.newTeam()
			w.member(w.who, team, controlv1.TeamRole_TEAM_ROLE_MEMBER)
			return &controlv1.ListPeopleRequest{PageSize: 1, Filter: "role:billing,viewer -disabled:yes team:" + team + " billing"}
		},
		check: func(w *world, res proto.Message) {
			if all := res.(*controlv1.ListPeopleResponse).GetPeople(); len(all) != 1 || all[0].GetId() != w.who.id {
				w.t.Errorf("%v", all)
			}
		},
		wrong: []wrong{
			{violation: "page_size:invalid", request: is(&controlv1.ListPeopleRequest{PageSize: -1})},
			{violation: "page_token:invalid", request: is(&controlv1.ListPeopleRequest{PageToken: "x"})},
			{violation: "filter:filter_field", request: is(&controlv1.ListPeopleRequest{Filter: "colour:red"})},
			{violation: "filter:filter_value", request: is(&controlv1.ListPeopleRequest{Filter: "role:king"})},
		},
	},
	"UpdatePerson": {
		right: func(w *world) proto.Message {
			return &controlv1.UpdatePersonRequest{Person: w.person(controlv1.Role_ROLE_VIEWER).id, Role: controlv1.Role_ROLE_BILLING}
		},
		check: func(w *world, res proto.Message) {
			if p := res.(*controlv1.UpdatePersonResponse).GetPerson(); p.GetRole() != controlv1.Role_ROLE_BILLING {
				w.t.Errorf("%v", p)
			}
		},
		wrong: []wrong{
			{violation: "person:required", request: is(&controlv1.UpdatePersonRequest{})},
			{violation: "role:invalid", request: is(&controlv1.UpdatePersonRequest{Person: "x", Role: 99})},
			{violation: "name:invalid", request: is(&controlv1.UpdatePersonRequest{Person: "x", Name: new(strings.Repeat("x", 200))})},
		},
		stale: func(w *world) proto.Message {
			return &controlv1.UpdatePersonRequest{Person: w.person(controlv1.Role_ROLE_VIEWER).id, Role: controlv1.Role_ROLE_BILLING, Etag: "old"}
		},
		notFound: is(&controlv1.UpdatePersonRequest{Person: "nobody@example.com"}),
	},
	"DeletePerson": {
		right: func(w *world) proto.Message {
			return &controlv1.DeletePersonRequest{Person: w.person(controlv1.Role_ROLE_VIEWER).id}
		},
		wrong: []wrong{{violation: "person:required", request: is(&controlv1.DeletePersonRequest{})}},
		stale: func(w *world) proto.Message {
			return &controlv1.DeletePersonRequest{Person: w.person(controlv1.Role_ROLE_VIEWER).id, Etag: "old"}
		},
		notFound: is(&controlv1.DeletePersonRequest{Person: "nobody@example.com"}),
	},
	"CreateSignInLink": {
		right: func(w *world) proto.Message {
			return &controlv1.CreateSignInLinkRequest{Person: w.person(controlv1.Role_ROLE_VIEWER).id}
		},
		check: func(w *world, res proto.Message) {
			if m := res.(*controlv1.CreateSignInLinkResponse); !strings.Contains(m.GetLink(), "#token=tgn_") || m.GetExpireTime() == nil {
				w.t.Errorf("%v", m)
			}
		},
		wrong:    []wrong{{violation: "person:required", request: is(&controlv1.CreateSignInLinkRequest{})}},
		notFound: is(&controlv1.CreateSignInLinkRequest{Person: "nobody@example.com"}),
	},
})
