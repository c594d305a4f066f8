package rpc_test

import (
	"net/http"
	"strings"

	"google.golang.org/protobuf/proto"

	controlv1 "tollgate/gen/tollgate/control/v1"
)

const password = "correct horse battery"

func viewerOf(w *world) string { return w.person(controlv1.Role_ROLE_VIEWER).secret }

// withPassword makes somebody who has the password, and returns their address and a session.
func withPassword(w *world) (email, secret string) {
	w.t.Helper()
	made := ask[*controlv1.CreatePersonResponse](w.bundle, token, "PersonService", "CreatePerson", &controlv1.CreatePersonRequest{
		Person: &controlv1.Person{Email: w.name("p") + "@example.com", Role: controlv1.Role_ROLE_VIEWER},
	})
	_, link, _ := strings.Cut(made.GetLink(), "#token=")
	status, body, header := w.post("/tollgate.control.v1.AccountService/RedeemLink", `{"token":"`+link+`","password":"`+password+`"}`, "Authorization", "")
	cookie, err := http.ParseSetCookie(header.Get("Set-Cookie"))
	if status != http.StatusOK || err != nil {
		w.t.Fatalf("%d %s %v", status, body, err)
	}
	return made.GetPerson().GetEmail(), cookie.Value
}

var _ = covers("AccountService", map[string]cases{
	"GetCaller": {
		right: is(&controlv1.GetCallerRequest{}),
		check: func(w *world, res proto.Message) {
			if m := res.(*controlv1.GetCallerResponse); m.GetToken() != "admin" || len(m.GetPermissions()) < 10 {
				w.t.Errorf("%v", m)
			}
		},
	},
	"ListSignInMethods": {
		right: is(&controlv1.ListSignInMethodsRequest{}),
		check: func(w *world, res proto.Message) {
			if m := res.(*controlv1.ListSignInMethodsResponse); !m.GetPassword() || m.GetSingleSignOn() || !m.GetSetup() {
				w.t.Errorf("%v", m)
			}
		},
	},
	"SignIn": {
		right: func(w *world) proto.Message {
			email, _ := withPassword(w)
			return &controlv1.SignInRequest{Email: strings.ToUpper(email), Password: password}
		},
		wrong: []wrong{
			{violation: "email:required", request: is(&controlv1.SignInRequest{Password: "x"})},
			{violation: "password:required", request: is(&controlv1.SignInRequest{Email: "x"})},
		},
		without: map[string]string{"notFound": "who has an account is not told"},
	},
	"GetLink": {
		right: func(w *world) proto.Message {
			made := ask[*controlv1.CreatePersonResponse](w.bundle, token, "PersonService", "CreatePerson", &controlv1.CreatePersonRequest{
				Person: &controlv1.Person{Email: w.name("p") + "@example.com", Name: "Ada", Role: controlv1.Role_ROLE_VIEWER},
			})
			_, link, _ := strings.Cut(made.GetLink(), "#token=")
			return &controlv1.GetLinkRequest{Token: link}
		},
		check: func(w *world, res proto.Message) {
			if m := res.(*controlv1.GetLinkResponse); m.GetSetup() || m.GetName() != "Ada" || !strings.HasSuffix(m.GetEmail(), "@example.com") || m.GetExpireTime() == nil {
				w.t.Errorf("%v", m)
			}
		},
		wrong:   []wrong{{violation: "token:required", request: is(&controlv1.GetLinkRequest{})}},
		without: map[string]string{"notFound": "a link that does not work proves nothing: unauthenticated"},
	},
	"RedeemLink": {
		right: func(w *world) proto.Message {
			made := ask[*controlv1.CreatePersonResponse](w.bundle, token, "PersonService", "CreatePerson", &controlv1.CreatePersonRequest{
				Person: &controlv1.Person{Email: w.name("p") + "@example.com", Role: controlv1.Role_ROLE_VIEWER},
			})
			_, link, _ := strings.Cut(made.GetLink(), "#token=")
			return &controlv1.RedeemLinkRequest{Token: link, Name: "Ada", Password: password}
		},
		check: func(w *world, res proto.Message) {
			if p := res.(*controlv1.RedeemLinkResponse).GetPerson(); p.GetName() != "Ada" || !p.GetHasPassword() {
				w.t.Errorf("%v", p)
			}
		},
		wrong: []wrong{
			{violation: "token:required", request: is(&controlv1.RedeemLinkRequest{Password: password})},
			{violation: "password:out_of_range", request: is(&controlv1.RedeemLinkRequest{Token: "x", Password: "short"})},
			{violation: "email:invalid", request: is(&controlv1.RedeemLinkRequest{Token: "x", Email: "x", Password: password})},
		},
		without: map[string]string{"notFound": "a link that does not work proves nothing: unauthenticated"},
	},
	"SignOut": {as: viewerOf, right: is(&controlv1.SignOutRequest{})},
	"ChangePassword": {
		as:    viewerOf,
		right: is(&controlv1.ChangePasswordRequest{NewPassword: password}),
		wrong: []wrong{
			{violation: "new_password:required", request: is(&controlv1.ChangePasswordRequest{})},
			{violation: "new_password:out_of_range", request: is(&controlv1.ChangePasswordRequest{NewPassword: "short"})},
		},
		without: map[string]string{"notFound": "it names no object"},
	},
	"ListSessions": {
		as: viewerOf, right: is(&controlv1.ListSessionsRequest{}),
		check: func(w *world, res proto.Message) {
			if all := res.(*controlv1.ListSessionsResponse).GetSessions(); len(all) != 1 || !all[0].GetCurrent() {
				w.t.Errorf("%v", all)
			}
		},
	},
	"EndSession": {
		as: func(w *world) string { w.who = w.person(controlv1.Role_ROLE_VIEWER); return w.who.secret },
		right: func(w *world) proto.Message {
			other := w.signedIn(&controlv1.Person{Id: w.who.id, Email: w.who.email})
			all := ask[*controlv1.ListSessionsResponse](w.bundle, other.secret, "AccountService", "ListSessions", &controlv1.ListSessionsRequest{})
			for _, s := range all.GetSessions() {
				if s.GetCurrent() {
					return &controlv1.EndSessionRequest{Session: s.GetId()}
				}
			}
			return nil
		},
		wrong:    []wrong{{violation: "session:required", request: is(&controlv1.EndSessionRequest{})}},
		notFound: is(&controlv1.EndSessionRequest{Session: "ses_none"}),
	},
	"StartDeviceSignIn": {
		right: is(&controlv1.StartDeviceSignInRequest{Agent: "laptop"}),
		check: func(w *world, res proto.Message) {
			if m := res.(*controlv1.StartDeviceSignInResponse); len(m.GetUserCode()) != 9 || !strings.HasSuffix(m.GetUrl(), "/device?code="+m.GetUserCode()) {
				w.t.Errorf("%v", m)
			}
		},
		wrong: []wrong{{violation: "agent:invalid", request: is(&controlv1.StartDeviceSignInRequest{Agent: strings.Repeat("x", 200)})}},
	},
	"PollDeviceSignIn": {
		right: func(w *world) proto.Message {
			d, viewer := startDevice(w), w.person(controlv1.Role_ROLE_VIEWER)
			ask[*controlv1.DecideDeviceSignInResponse](w.bundle, viewer.secret, "AccountService", "DecideDeviceSignIn", &controlv1.DecideDeviceSignInRequest{UserCode: d.GetUserCode(), Allow: true})
			return &controlv1.PollDeviceSignInRequest{DeviceCode: d.GetDeviceCode()}
		},
		check: func(w *world, res proto.Message) {
			m := res.(*controlv1.PollDeviceSignInResponse)
			who := ask[*controlv1.GetCallerResponse](w.bundle, m.GetSecret(), "AccountService", "GetCaller", &controlv1.GetCallerRequest{})
			if who.GetPerson().GetId() == "" || who.GetPerson().GetId() != m.GetPerson().GetId() {
				w.t.Errorf("%v", who)
			}
		},
		wrong:    []wrong{{violation: "device_code:required", request: is(&controlv1.PollDeviceSignInRequest{})}},
		notFound: is(&controlv1.PollDeviceSignInRequest{DeviceCode: "tgd_none"}),
	},
	"GetDeviceSignIn": {
		as: viewerOf,
		right: func(w *world) proto.Message {
			return &controlv1.GetDeviceSignInRequest{UserCode: strings.ToLower(startDevice(w).GetUserCode())}
		},
		check: func(w *world, res proto.Message) {
			if m := res.(*controlv1.GetDeviceSignInResponse); m.GetAgent() != "laptop" || len(m.GetUserCode()) != 9 || m.GetExpireTime() == nil {
				w.t.Errorf("%v", m)
			}
		},
		wrong:    []wrong{{violation: "user_code:required", request: is(&controlv1.GetDeviceSignInRequest{})}},
		notFound: is(&controlv1.GetDeviceSignInRequest{UserCode: "BBBB-BBBB"}),
	},
	"DecideDeviceSignIn": {
		as: viewerOf,
		right: func(w *world) proto.Message {
			return &controlv1.DecideDeviceSignInRequest{UserCode: strings.ToLower(startDevice(w).GetUserCode()), Allow: true}
		},
		check: func(w *world, res proto.Message) {
			if res.(*controlv1.DecideDeviceSignInResponse).GetAgent() != "laptop" {
				w.t.Errorf("%v", res)
			}
		},
		wrong:    []wrong{{violation: "user_code:required", request: is(&controlv1.DecideDeviceSignInRequest{})}},
		notFound: is(&controlv1.DecideDeviceSignInRequest{UserCode: "BBBB-BBBB"}),
	},
})

func startDevice(w *world) *controlv1.StartDeviceSignInResponse {
	w.t.Helper()
	return ask[*controlv1.StartDeviceSignInResponse](w.bundle, "", "AccountService", "StartDeviceSignIn", &controlv1.StartDeviceSignInRequest{Agent: "laptop"})
}
