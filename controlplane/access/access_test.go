package access_test

import (
	"testing"

	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	"tollgate/controlplane/access"
	controlv1 "tollgate/gen/tollgate/control/v1"
)

// Guarantee: every method of the API says who may call it; one that says nothing can be called by nobody.
func TestEveryMethodHasARule(t *testing.T) {
	t.Parallel()
	methods := 0
	protoregistry.GlobalFiles.RangeFilesByPackage("tollgate.control.v1", func(file protoreflect.FileDescriptor) bool {
		for i := range file.Services().Len() {
			s := file.Services().Get(i)
			for j := range s.Methods().Len() {
				methods++
				procedure := "/" + string(s.FullName()) + "/" + string(s.Methods().Get(j).Name())
				if _, ok := access.Method(procedure); !ok {
					t.Errorf("%s has no rule", procedure)
				}
			}
		}
		return true
	})
	if methods < 100 {
		t.Errorf("only %d methods were looked at", methods)
	}
	everything := &access.Caller{Everywhere: access.Everything}
	rule, ok := access.Method("/tollgate.control.v1.KeyService/NoSuchMethod")
	if ok || rule.Allows(everything) {
		t.Error("a method without a rule may be called")
	}
}

// Guarantee: rights in a team count for methods that look at teams, and for no others.
func TestTeamRightsEndAtTeams(t *testing.T) {
	t.Parallel()
	c := &access.Caller{Everywhere: access.OfRole(controlv1.Role_ROLE_MEMBER), Teams: map[string]controlv1.TeamRole{
		"b": controlv1.TeamRole_TEAM_ROLE_ADMIN, "a": controlv1.TeamRole_TEAM_ROLE_MEMBER,
	}}
	for _, test := range []struct {
		rule access.Rule
		want bool
	}{
		{access.Rule{Permission: access.Anyone}, true},
		{access.Rule{Permission: access.SignedIn}, true},
		{access.Rule{Permission: access.KeysRead}, false},
		{access.Rule{Permission: access.KeysRead, Team: true}, true},
		{access.Rule{Permission: access.KeysWrite, Team: true}, true},
		{access.Rule{Permission: access.ConfigWrite, Team: true}, false},
	} {
		if got := test.rule.Allows(c); got != test.want {
			t.Errorf("%+v: %t", test.rule, got)
		}
	}
	if s := c.Scope(access.KeysWrite); s.Everywhere || !s.Covers("b") || s.Covers("a") || s.Covers("") {
		t.Errorf("scope %+v", s)
	}
	if s := c.Scope(access.KeysRead); !s.Covers("a") || !s.Covers("b") {
		t.Errorf("scope %+v", s)
	}
}
