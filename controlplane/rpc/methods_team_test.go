package rpc_test

import (
	"strings"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/structpb"

	controlv1 "tollgate/gen/tollgate/control/v1"
)

var _ = covers("TeamService", map[string]cases{
	"CreateTeam": {
		right: func(w *world) proto.Message {
			return &controlv1.CreateTeamRequest{
				Name: w.name("team"), Description: "all of it", Restricted: true, Models: []string{"gpt-*"},
				Metadata: &structpb.Struct{Fields: map[string]*structpb.Value{"cost": structpb.NewNumberValue(7)}},
			}
		},
		check: func(w *world, res proto.Message) {
			made := res.(*controlv1.CreateTeamResponse).GetTeam()
			got := must[*controlv1.GetTeamResponse](w.t)(w.teams.GetTeam(w.t.Context(), &controlv1.GetTeamRequest{Team: made.GetName()})).GetTeam()
			if made.GetId() == "" || !proto.Equal(got, made) {
				w.t.Errorf("made %v, read %v", made, got)
			}
		},
		wrong: []wrong{
			{violation: "name:invalid", request: is(&controlv1.CreateTeamRequest{Name: "A team"})},
			{violation: "endpoints[0]:unknown", request: is(&controlv1.CreateTeamRequest{Name: "new", Restricted: true, Endpoints: []string{"nowhere"}})},
			{violation: "endpoints:forbidden", request: is(&controlv1.CreateTeamRequest{Name: "new", Endpoints: []string{"nowhere"}})},
			{violation: "description:invalid", request: is(&controlv1.CreateTeamRequest{Name: "new", Description: "\x00"})},
			{violation: "name:taken", request: func(w *world) proto.Message { return &controlv1.CreateTeamRequest{Name: w.newTeam()} }, code: connect.CodeAlreadyExists},
		},
	},
	"GetTeam": {
		right:    func(w *world) proto.Message { return &controlv1.GetTeamRequest{Team: w.newTeam()} },
		wrong:    []wrong{{violation: "team:required", request: is(&controlv1.GetTeamRequest{})}},
		notFound: is(&controlv1.GetTeamRequest{Team: "nobody"}),
	},
	"ListTeams": {
		right: is(&controlv1.ListTeamsRequest{Filter: "blocked:no managed:no -member:nobody@example.com team", OrderBy: "-create_time"}),
		wrong: []wrong{
			{violation: "page_size:invalid", request: is(&controlv1.ListTeamsRequest{PageSize: -1})},
			{violation: "page_token:invalid", request: is(&controlv1.ListTeamsRequest{PageToken: "x"})},
			{violation: "filter:filter_field", request: is(&controlv1.ListTeamsRequest{Filter: "colour:red"})},
			{violation: "filter:filter_value", request: is(&controlv1.ListTeamsRequest{Filter: "blocked:maybe"})},
			{violation: "order_by:order_by_field", request: is(&controlv1.ListTeamsRequest{OrderBy: "colour"})},
		},
	},
	"DeleteTeam": {
		right: func(w *world) proto.Message { return &controlv1.DeleteTeamRequest{Team: w.newTeam()} },
		wrong: []wrong{
			{violation: "team:required", request: is(&controlv1.DeleteTeamRequest{})},
			{violation: "move_keys_to:unknown", request: func(w *world) proto.Message {
				return &controlv1.DeleteTeamRequest{Team: w.newTeam(), MoveKeysTo: "nobody"}
			}},
		},
		notFound: is(&controlv1.DeleteTeamRequest{Team: "nobody"}),
		stale: func(w *world) proto.Message {
			team, etag := w.staleTeam()
			return &controlv1.DeleteTeamRequest{Team: team, Etag: etag}
		},
	},
	"UpdateTeam": {
		right: func(w *world) proto.Message {
			return &controlv1.UpdateTeamRequest{Team: w.newTeam(), Name: w.name("renamed"), Blocked: true, UpdateMask: paths("name", "blocked")}
		},
		check: func(w *world, res proto.Message) {
			m := res.(*controlv1.UpdateTeamResponse).GetTeam()
			got := must[*controlv1.GetTeamResponse](w.t)(w.teams.GetTeam(w.t.Context(), &controlv1.GetTeamRequest{Team: m.GetName()})).GetTeam()
			if !strings.HasPrefix(m.GetName(), "renamed") || !m.GetBlocked() || !proto.Equal(got, m) {
				w.t.Errorf("updated %v, read %v", m, got)
			}
		},
		wrong: []wrong{
			{violation: "team:required", request: is(&controlv1.UpdateTeamRequest{})},
			{violation: "update_mask:mask_path", request: func(w *world) proto.Message {
				return &controlv1.UpdateTeamRequest{Team: w.newTeam(), UpdateMask: paths("members")}
			}},
			{violation: "name:required", request: func(w *world) proto.Message {
				return &controlv1.UpdateTeamRequest{Team: w.newTeam(), UpdateMask: paths("name")}
			}},
			{violation: "name:taken", code: connect.CodeAlreadyExists, request: func(w *world) proto.Message {
				return &controlv1.UpdateTeamRequest{Team: w.newTeam(), Name: w.newTeam(), UpdateMask: paths("name")}
			}},
			{violation: "endpoints[0]:unknown", request: func(w *world) proto.Message {
				return &controlv1.UpdateTeamRequest{Team: w.newTeam(), Endpoints: []string{"nowhere"}, UpdateMask: paths("endpoints")}
			}},
		},
		stale: func(w *world) proto.Message {
			team, etag := w.staleTeam()
			return &controlv1.UpdateTeamRequest{Team: team, Etag: etag}
		},
		notFound: is(&controlv1.UpdateTeamRequest{Team: "nobody"}),
	},
	"SetTeamMember": {
		right: func(w *world) proto.Message {
			return &controlv1.SetTeamMemberRequest{Team: w.newTeam(), Person: w.person(controlv1.Role_ROLE_MEMBER).email, Role: controlv1.TeamRole_TEAM_ROLE_ADMIN}
		},
		check: func(w *world, res proto.Message) {
			m := res.(*controlv1.SetTeamMemberResponse).GetTeam()
			if len(m.GetMembers()) != 1 || m.GetMembers()[0].GetRole() != controlv1.TeamRole_TEAM_ROLE_ADMIN || m.GetMembers()[0].GetEmail() == "" {
				w.t.Errorf("members %v", m.GetMembers())
			}
			again := must[*controlv1.SetTeamMemberResponse](w.t)(w.teams.SetTeamMember(w.t.Context(), &controlv1.SetTeamMemberRequest{
				Team: m.GetId(), Person: m.GetMembers()[0].GetPersonId(), Role: controlv1.TeamRole_TEAM_ROLE_ADMIN,
			})).GetTeam()
			if !proto.Equal(again, m) {
				w.t.Errorf("the same again changed %v to %v", m, again)
			}
			listed := must[*controlv1.ListTeamsResponse](w.t)(w.teams.ListTeams(w.t.Context(), &controlv1.ListTeamsRequest{Filter: "member:" + m.GetMembers()[0].GetEmail()})).GetTeams()
			if len(listed) != 1 || !proto.Equal(listed[0], m) {
				w.t.Errorf("teams of the member are %v", listed)
			}
		},
		wrong: []wrong{
			{violation: "team:required", request: is(&controlv1.SetTeamMemberRequest{Person: "x", Role: 1})},
			{violation: "person:required", request: is(&controlv1.SetTeamMemberRequest{Team: "x", Role: 1})},
			{violation: "role:invalid", request: is(&controlv1.SetTeamMemberRequest{Team: "x", Person: "x"})},
			{violation: "", code: connect.CodeNotFound, request: func(w *world) proto.Message {
				return &controlv1.SetTeamMemberRequest{Team: w.newTeam(), Person: "nobody@example.com", Role: 1}
			}},
		},
		notFound: is(&controlv1.SetTeamMemberRequest{Team: "nobody", Person: "x", Role: 1}),
	},
	"RemoveTeamMember": {
		right: func(w *world) proto.Message {
			team, who := w.newTeam(), w.person(controlv1.Role_ROLE_MEMBER)
			w.member(who, team, controlv1.TeamRole_TEAM_ROLE_MEMBER)
			return &controlv1.RemoveTeamMemberRequest{Team: team, Person: who.id}
		},
		check: func(w *world, res proto.Message) {
			if m := res.(*controlv1.RemoveTeamMemberResponse).GetTeam(); len(m.GetMembers()) != 0 {
				w.t.Errorf("members %v", m.GetMembers())
			}
		},
		wrong: []wrong{
			{violation: "team:required", request: is(&controlv1.RemoveTeamMemberRequest{Person: "x"})},
			{violation: "person:required", request: is(&controlv1.RemoveTeamMemberRequest{Team: "x"})},
		},
		notFound: is(&controlv1.RemoveTeamMemberRequest{Team: "nobody", Person: "x"}),
	},
})

// staleTeam makes a team and returns its name with an etag that was right once.
func (w *world) staleTeam() (name, etag string) {
	w.t.Helper()
	m := w.team(w.name("team"))
	must[*controlv1.UpdateTeamResponse](w.t)(w.teams.UpdateTeam(w.t.Context(), &controlv1.UpdateTeamRequest{Team: m.GetId(), Blocked: true, UpdateMask: paths("blocked")}))
	return m.GetName(), m.GetEtag()
}

// newTeam makes a team and returns its name.
func (w *world) newTeam() string {
	w.t.Helper()
	name := w.name("team")
	must[*controlv1.CreateTeamResponse](w.t)(w.teams.CreateTeam(w.t.Context(), &controlv1.CreateTeamRequest{Name: name}))
	return name
}
