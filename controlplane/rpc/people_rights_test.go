package rpc_test

import (
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	controlv1 "tollgate/gen/tollgate/control/v1"
)

// Guarantee: admins cannot touch owners or become one; the last owner stays one; and nobody makes a token that may do more than
// they may.
func TestOwnersAreProtected(t *testing.T) {
	t.Parallel()
	b := setup(t)
	owner, admin := b.person(controlv1.Role_ROLE_OWNER), b.person(controlv1.Role_ROLE_ADMIN)
	people, tokens := controlServices()["PersonService"].Methods(), controlServices()["TokenService"].Methods()
	yes := true
	for _, test := range []struct {
		name, as, method string
		req              proto.Message
		want             string
	}{
		{"demote", admin.secret, "UpdatePerson", &controlv1.UpdatePersonRequest{Person: owner.id, Role: controlv1.Role_ROLE_VIEWER}, "permission_denied"},
		{"disable", admin.secret, "UpdatePerson", &controlv1.UpdatePersonRequest{Person: owner.id, Disabled: &yes}, "permission_denied"},
		{"delete", admin.secret, "DeletePerson", &controlv1.DeletePersonRequest{Person: owner.id}, "permission_denied"},
		{"take over", admin.secret, "CreateSignInLink", &controlv1.CreateSignInLinkRequest{Person: owner.id}, "permission_denied"},
		{"become one", admin.secret, "UpdatePerson", &controlv1.UpdatePersonRequest{Person: admin.id, Role: controlv1.Role_ROLE_OWNER}, "permission_denied"},
		{"make one", admin.secret, "CreatePerson", &controlv1.CreatePersonRequest{Person: &controlv1.Person{Email: "x@example.com", Role: controlv1.Role_ROLE_OWNER}}, "permission_denied"},
		{"last: demote", owner.secret, "UpdatePerson", &controlv1.UpdatePersonRequest{Person: owner.id, Role: controlv1.Role_ROLE_ADMIN}, "failed_precondition"},
		{"last: disable", owner.secret, "UpdatePerson", &controlv1.UpdatePersonRequest{Person: owner.id, Disabled: &yes}, "failed_precondition"},
		{"last: delete", owner.secret, "DeletePerson", &controlv1.DeletePersonRequest{Person: owner.id}, "failed_precondition"},
	} {
		before := b.revision()
		_, err := b.callAs(test.as, people.ByName(protoreflect.Name(test.method)), test.req)
		if got := failureOf(err); got.Reason != test.want || b.revision() != before {
			t.Errorf("%s: %v", test.name, got)
		}
	}
	token := &controlv1.CreateTokenRequest{Token: &controlv1.Token{Name: "root", Role: controlv1.Role_ROLE_OWNER}}
	if _, err := b.callAs(admin.secret, tokens.ByName("CreateToken"), token); failureOf(err).Reason != "permission_denied" {
		t.Errorf("a token of an owner: %v", err)
	}
	narrow := b.token(&controlv1.Token{Name: "hr", Permissions: []controlv1.Permission{
		controlv1.Permission_PERMISSION_PEOPLE_READ, controlv1.Permission_PERMISSION_PEOPLE_WRITE,
	}})
	token = &controlv1.CreateTokenRequest{Token: &controlv1.Token{Name: "more", Permissions: keysRead}}
	if _, err := b.callAs(narrow, tokens.ByName("CreateToken"), token); failureOf(err).Reason != "permission_denied" {
		t.Errorf("a token that may do more: %v", err)
	}
	if _, err := b.callAs(owner.secret, tokens.ByName("CreateToken"), token); err != nil {
		t.Error(err)
	}
	// With a second owner, the first may go.
	b.person(controlv1.Role_ROLE_OWNER)
	if _, err := b.callAs(owner.secret, people.ByName("DeletePerson"), &controlv1.DeletePersonRequest{Person: owner.id}); err != nil {
		t.Error(err)
	}
}

// Guarantee: somebody who makes people cannot raise anybody above themselves by it.
func TestPeopleMakersGainNothing(t *testing.T) {
	t.Parallel()
	b := setup(t)
	narrow := b.token(&controlv1.Token{Name: "hr", Permissions: []controlv1.Permission{
		controlv1.Permission_PERMISSION_PEOPLE_READ, controlv1.Permission_PERMISSION_PEOPLE_WRITE,
	}})
	people := controlServices()["PersonService"].Methods()
	viewer := b.person(controlv1.Role_ROLE_VIEWER)
	admin := b.person(controlv1.Role_ROLE_ADMIN)
	for name, call := range map[string]proto.Message{
		"CreatePerson":     &controlv1.CreatePersonRequest{Person: &controlv1.Person{Email: "y@example.com", Role: controlv1.Role_ROLE_ADMIN}},
		"UpdatePerson":     &controlv1.UpdatePersonRequest{Person: viewer.id, Role: controlv1.Role_ROLE_ADMIN},
		"CreateSignInLink": &controlv1.CreateSignInLinkRequest{Person: admin.id},
	} {
		if _, err := b.callAs(narrow, people.ByName(protoreflect.Name(name)), call); failureOf(err).Reason != "permission_denied" {
			t.Errorf("%s: %v", name, err)
		}
	}
	member := &controlv1.CreatePersonRequest{Person: &controlv1.Person{Email: "z@example.com", Role: controlv1.Role_ROLE_MEMBER}}
	if _, err := b.callAs(narrow, people.ByName("CreatePerson"), member); err != nil {
		t.Error(err)
	}
}

// Guarantee: a refusal says what the caller may do and what they may not, and who can help.
func TestDenialsSayWhy(t *testing.T) {
	t.Parallel()
	b := setup(t)
	viewer := b.person(controlv1.Role_ROLE_VIEWER)
	_, body, _ := b.post(createKey, `{"name":"x"}`, "Authorization", "Bearer "+viewer.secret)
	if !strings.Contains(body, "Your role viewer can see keys, teams, customers and tags, not change them.") || !strings.Contains(body, "keys_write") {
		t.Error(body)
	}
	_, body, _ = b.post("/tollgate.control.v1.AuditService/ListAuditEntries", `{}`, "Authorization", "Bearer "+viewer.secret)
	if !strings.Contains(body, "Your role viewer may not read the audit log.") {
		t.Error(body)
	}
	// A cookie counts as well, but not from another site.
	cookie := "tollgate_session=" + viewer.secret
	if status, body, _ := b.post("/tollgate.control.v1.AccountService/GetCaller", `{}`, "Authorization", "", "Cookie", cookie); status != 200 || !strings.Contains(body, viewer.email) {
		t.Error(status, body)
	}
	if status, body, _ := b.post("/tollgate.control.v1.AccountService/GetCaller", `{}`, "Authorization", "", "Cookie", cookie, "Sec-Fetch-Site", "cross-site"); status != 403 || !strings.Contains(body, "another site") {
		t.Error(status, body)
	}
}
