package rpc_test

import (
	"crypto/rand"
	"testing"
	"time"

	"tollgate/controlplane/access"
	"tollgate/controlplane/signin"
	"tollgate/controlplane/store"
	controlv1 "tollgate/gen/tollgate/control/v1"
)

// somebody is a person with a session.
type somebody struct {
	id, email, secret string
}

// person makes somebody with a role who is signed in.
func (b *bundle) person(role controlv1.Role) somebody {
	b.t.Helper()
	email := access.RoleWord(role) + "-" + rand.Text()[:6] + "@example.com"
	made := ask[*controlv1.CreatePersonResponse](b, token, "PersonService", "CreatePerson", &controlv1.CreatePersonRequest{
		Person: &controlv1.Person{Email: email, Role: role},
	}).GetPerson()
	return b.signedIn(made)
}

// signedIn begins a session of somebody without the work of a password.
func (b *bundle) signedIn(p *controlv1.Person) somebody {
	b.t.Helper()
	secret := signin.SessionPrefix + rand.Text()
	_, err := store.New(b.pool).StartSession(b.t.Context(), &access.Person{ID: p.GetId(), Email: p.GetEmail()}, "test", signin.Hash(secret), "test", "127.0.0.1", time.Hour)
	if err != nil {
		b.t.Fatal(err)
	}
	return somebody{p.GetId(), p.GetEmail(), secret}
}

// member puts somebody into a team.
func (b *bundle) member(who somebody, team string, role controlv1.TeamRole) {
	b.t.Helper()
	_, err := b.pool.Exec(b.t.Context(), `INSERT INTO control.team_member (team_id, person_id, role) SELECT t.id, $2, $3 FROM control.team t WHERE t.name = $1`,
		team, who.id, int16(role))
	if err != nil {
		b.t.Fatal(err)
	}
}

// token makes a token and returns its secret.
func (b *bundle) token(t *controlv1.Token) string {
	b.t.Helper()
	return ask[*controlv1.CreateTokenResponse](b, token, "TokenService", "CreateToken", &controlv1.CreateTokenRequest{Token: t}).GetSecret()
}

// Guarantee: a credential works until it is ended, and in the process that ended it not a moment longer; who it belonged to is
// not told apart from one that never was.
func TestEndedCredentialsEnd(t *testing.T) {
	t.Parallel()
	b := setup(t)
	viewer := b.person(controlv1.Role_ROLE_VIEWER)
	secret := b.token(&controlv1.Token{Name: "ci", Role: controlv1.Role_ROLE_EDITOR})
	who := ask[*controlv1.GetCallerResponse](b, secret, "AccountService", "GetCaller", &controlv1.GetCallerRequest{})
	if who.GetToken() != "ci" || who.GetPerson() != nil {
		t.Errorf("token: %v", who)
	}
	if who := ask[*controlv1.GetCallerResponse](b, viewer.secret, "AccountService", "GetCaller", &controlv1.GetCallerRequest{}); who.GetPerson().GetEmail() != viewer.email {
		t.Errorf("session: %v", who)
	}
	ask[*controlv1.RevokeTokenResponse](b, token, "TokenService", "RevokeToken", &controlv1.RevokeTokenRequest{Token: "ci"})
	disabled := true
	ask[*controlv1.UpdatePersonResponse](b, token, "PersonService", "UpdatePerson", &controlv1.UpdatePersonRequest{Person: viewer.email, Disabled: &disabled})
	method := controlServices()["AccountService"].Methods().ByName("GetCaller")
	for _, secret := range []string{secret, viewer.secret, signin.TokenPrefix + "x", signin.SessionPrefix + "x", "x", ""} {
		_, err := b.callAs(secret, method, &controlv1.GetCallerRequest{})
		if got := failureOf(err); got.Reason != "unauthenticated" {
			t.Errorf("%.6s…: %v", secret, got)
		}
	}
}
