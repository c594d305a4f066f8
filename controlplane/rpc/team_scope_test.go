package rpc_test

import (
	"slices"
	"testing"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	controlv1 "tollgate/gen/tollgate/control/v1"
)

// Guarantee: whoever administers a team sees and changes the keys and the members of this team and of no other: keys of others do not
// exist, none can be made outside or moved out, and a member sees and changes nothing.
func TestTeamAdminsKeepToTheirTeam(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.team("ours")
	b.team("theirs")
	b.key(&controlv1.CreateKeyRequest{Name: "our-key", Team: "ours"})
	b.key(&controlv1.CreateKeyRequest{Name: "their-key", Team: "theirs"})
	b.key(&controlv1.CreateKeyRequest{Name: "no-key"})
	admin, member := b.person(controlv1.Role_ROLE_MEMBER), b.person(controlv1.Role_ROLE_MEMBER)
	b.member(admin, "ours", controlv1.TeamRole_TEAM_ROLE_ADMIN)
	b.member(member, "ours", controlv1.TeamRole_TEAM_ROLE_MEMBER)
	services := controlServices()
	call := func(as somebody, service, method string, m proto.Message) (proto.Message, error) {
		t.Helper()
		return b.callAs(as.secret, services[service].Methods().ByName(protoreflect.Name(method)), m)
	}
	code := func(as somebody, want connect.Code, service, method string, m proto.Message) {
		t.Helper()
		before := b.revision()
		_, err := call(as, service, method, m)
		if connect.CodeOf(err) != want || b.revision() != before {
			t.Errorf("%s.%s of %v: %v, want %s", service, method, m, err, want)
		}
	}
	listed := func(as somebody) (names []string) {
		t.Helper()
		for _, k := range ask[*controlv1.ListKeysResponse](b, as.secret, "KeyService", "ListKeys", &controlv1.ListKeysRequest{}).GetKeys() {
			names = append(names, k.GetName())
		}
		return names
	}
	for _, as := range []somebody{admin, member} {
		if got := listed(as); !slices.Equal(got, []string{"our-key"}) {
			t.Errorf("keys listed: %v", got)
		}
		teams := ask[*controlv1.ListTeamsResponse](b, as.secret, "TeamService", "ListTeams", &controlv1.ListTeamsRequest{}).GetTeams()
		if len(teams) != 1 || teams[0].GetName() != "ours" || teams[0].GetKeys() != 1 || len(teams[0].GetMembers()) != 2 {
			t.Errorf("teams listed: %v", teams)
		}
		code(as, connect.CodeNotFound, "TeamService", "GetTeam", &controlv1.GetTeamRequest{Team: "theirs"})
		for _, other := range []string{"their-key", "no-key"} {
			code(as, connect.CodeNotFound, "KeyService", "GetKey", &controlv1.GetKeyRequest{Key: other})
			code(as, connect.CodeNotFound, "KeyService", "GetKeyUse", &controlv1.GetKeyUseRequest{Key: other})
		}
	}
	for _, other := range []string{"their-key", "no-key"} {
		code(admin, connect.CodeNotFound, "KeyService", "UpdateKey", &controlv1.UpdateKeyRequest{Key: other, Team: "ours"})
		code(admin, connect.CodeNotFound, "KeyService", "BlockKey", &controlv1.BlockKeyRequest{Key: other, Blocked: true})
		code(admin, connect.CodeNotFound, "KeyService", "RotateKey", &controlv1.RotateKeyRequest{Key: other})
		code(admin, connect.CodeNotFound, "KeyService", "EndKeyOverlap", &controlv1.EndKeyOverlapRequest{Key: other})
		code(admin, connect.CodeNotFound, "KeyService", "RevokeKey", &controlv1.RevokeKeyRequest{Key: other})
	}
	for _, team := range []string{"", "theirs", "nobody"} {
		code(admin, connect.CodePermissionDenied, "KeyService", "CreateKey", &controlv1.CreateKeyRequest{Name: "new", Team: team})
		code(admin, connect.CodePermissionDenied, "KeyService", "UpdateKey", &controlv1.UpdateKeyRequest{Key: "our-key", Team: team})
	}
	code(admin, connect.CodeNotFound, "TeamService", "SetTeamMember", &controlv1.SetTeamMemberRequest{Team: "theirs", Person: admin.email, Role: 1})
	code(admin, connect.CodeNotFound, "TeamService", "RemoveTeamMember", &controlv1.RemoveTeamMemberRequest{Team: "theirs", Person: admin.email})
	code(admin, connect.CodePermissionDenied, "TeamService", "UpdateTeam", &controlv1.UpdateTeamRequest{Team: "ours", Blocked: true})
	code(admin, connect.CodePermissionDenied, "TeamService", "DeleteTeam", &controlv1.DeleteTeamRequest{Team: "ours"})
	code(member, connect.CodePermissionDenied, "KeyService", "CreateKey", &controlv1.CreateKeyRequest{Name: "new", Team: "ours"})
	code(member, connect.CodePermissionDenied, "KeyService", "RevokeKey", &controlv1.RevokeKeyRequest{Key: "our-key"})
	code(member, connect.CodePermissionDenied, "TeamService", "RemoveTeamMember", &controlv1.RemoveTeamMemberRequest{Team: "ours", Person: admin.email})

	ask[*controlv1.CreateKeyResponse](b, admin.secret, "KeyService", "CreateKey", &controlv1.CreateKeyRequest{Name: "new", Team: "ours"})
	ask[*controlv1.RotateKeyResponse](b, admin.secret, "KeyService", "RotateKey", &controlv1.RotateKeyRequest{Key: "our-key"})
	ask[*controlv1.UpdateKeyResponse](b, admin.secret, "KeyService", "UpdateKey", &controlv1.UpdateKeyRequest{Key: "new", Description: "x", UpdateMask: paths("description")})
	ask[*controlv1.RemoveTeamMemberResponse](b, admin.secret, "TeamService", "RemoveTeamMember", &controlv1.RemoveTeamMemberRequest{Team: "ours", Person: member.email})
	if got := listed(admin); !slices.Equal(got, []string{"new", "our-key"}) {
		t.Errorf("keys listed: %v", got)
	}
	b.team("third")
	ask[*controlv1.DeleteTeamResponse](b, token, "TeamService", "DeleteTeam", &controlv1.DeleteTeamRequest{Team: "theirs", MoveKeysTo: "third"})
	moved := ask[*controlv1.GetKeyResponse](b, token, "KeyService", "GetKey", &controlv1.GetKeyRequest{Key: "their-key"}).GetKey()
	if moved.GetTeam() != "third" {
		t.Errorf("the key was moved to %q", moved.GetTeam())
	}
}
