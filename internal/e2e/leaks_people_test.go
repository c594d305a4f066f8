package e2e_test

import (
	"encoding/base64"
	"net/http"
	"net/url"
	"strings"

	"github.com/tidwall/gjson"
)

// peopleAndPrograms sign in in every way, rightly and wrongly, and out again.
func (d *drive) peopleAndPrograms(provider *idp) {
	token := func(link string) string { return link[strings.LastIndex(link, "token=")+len("token="):] }
	made := d.call("PersonService/CreatePerson", object{"person": object{"email": "ada@example.com", "role": "ROLE_OWNER"}}, "link")
	ada, password := made.Get("person.id").Str, d.plant("password")
	link := token(made.Get("link").Str)
	d.do(step{method: "AccountService/RedeemLink", as: nobody, body: object{"token": "tgn_" + d.plant("wrong link"), "password": d.plant("password for a wrong link")}, fails: "unauthenticated"})
	d.do(step{method: "AccountService/GetLink", as: nobody, body: object{"token": "tgn_" + d.plant("wrong link to ask about")}, fails: "unauthenticated"})
	d.do(step{method: "AccountService/GetLink", as: nobody, body: object{"token": link}})
	d.do(step{method: "AccountService/RedeemLink", as: nobody, body: object{"token": link, "name": "Ada", "password": password}})
	d.do(step{method: "AccountService/RedeemLink", as: nobody, body: object{"token": link, "password": d.plant("password for a used link")}, fails: "unauthenticated"})
	d.do(step{method: "AccountService/SignIn", as: nobody, body: object{"email": "ada@example.com", "password": d.plant("wrong password")}, fails: "unauthenticated"})
	d.do(step{method: "AccountService/SignIn", as: nobody, body: object{"email": d.plant("password in the wrong field"), "password": "x"}, fails: "unauthenticated"})
	session := func() string {
		before := d.count("session cookie")
		d.do(step{method: "AccountService/SignIn", as: nobody, body: object{"email": "ada@example.com", "password": password}})
		return d.nth("session cookie", before)
	}
	mine := session()
	as := func(method string, body object) gjson.Result {
		d.t.Helper()
		return d.do(step{method: method, cookie: mine, body: body})
	}
	as("AccountService/GetCaller", nil)
	as("AccountService/ListSessions", nil)
	newer := d.plant("new password")
	d.do(step{method: "AccountService/ChangePassword", cookie: mine, body: object{"oldPassword": d.plant("wrong old password"), "newPassword": d.plant("refused new password")}, fails: "invalid_argument"})
	as("AccountService/ChangePassword", object{"oldPassword": password, "newPassword": newer})
	password = newer
	d.do(step{method: "AccountService/ListSignInMethods", as: nobody})

	started := d.do(step{method: "AccountService/StartDeviceSignIn", as: nobody, body: object{"agent": "leaks"}, shows: []string{"deviceCode"}})
	as("AccountService/GetDeviceSignIn", object{"userCode": started.Get("userCode").Str})
	as("AccountService/DecideDeviceSignIn", object{"userCode": started.Get("userCode").Str, "allow": true})
	poll := step{method: "AccountService/PollDeviceSignIn", as: nobody, body: object{"deviceCode": started.Get("deviceCode").Str}, shows: []string{"secret"}}
	device := d.do(poll).Get("secret").Str
	d.do(step{method: "AccountService/GetCaller", as: device})
	d.do(step{method: "AccountService/PollDeviceSignIn", as: nobody, body: object{"deviceCode": "tgd_" + d.plant("wrong device code")}, fails: "not_found"})

	session()
	for _, other := range as("AccountService/ListSessions", nil).Get("sessions").Array() {
		if !other.Get("current").Bool() {
			as("AccountService/EndSession", object{"session": other.Get("id").Str})
			break
		}
	}
	as("PersonService/GetPerson", object{"person": ada})
	as("PersonService/UpdatePerson", object{"person": ada, "name": "Ada L."})
	d.call("PersonService/CreateSignInLink", object{"person": ada}, "link")
	goner := d.call("PersonService/CreatePerson", object{"person": object{"email": "bob@example.com", "role": "ROLE_MEMBER"}}, "link").Get("person.id").Str
	d.call("TeamService/SetTeamMember", object{"team": "red", "person": goner, "role": "TEAM_ROLE_ADMIN"})
	d.call("TeamService/GetTeam", object{"team": "red"})
	d.call("TeamService/RemoveTeamMember", object{"team": "red", "person": goner})
	d.call("PersonService/DeletePerson", object{"person": goner})
	d.call("TeamService/DeleteTeam", object{"team": "blue"})

	program := d.call("TokenService/CreateToken", object{"token": object{"name": "ci", "role": "ROLE_ADMIN"}}, "secret").Get("secret").Str
	d.do(step{method: "AccountService/GetCaller", as: program})
	d.do(step{method: "KeyService/ListKeys", as: program})
	d.call("TokenService/RevokeToken", object{"token": "ci"})

	d.singleSignOn(provider)
	d.do(step{method: "AccountService/SignOut", cookie: mine})
}

// singleSignOn goes the way of a browser, and one that fails at the end.
func (d *drive) singleSignOn(provider *idp) {
	client := browser(d)
	client.CheckRedirect = func(r *http.Request, _ []*http.Request) error {
		if r.URL.Path == "/" {
			return http.ErrUseLastResponse
		}
		return nil
	}
	resp, err := client.Get("http://" + d.controlAddr + "/auth/oidc/start")
	if err != nil {
		d.t.Fatal(err)
	}
	_ = resp.Body.Close()
	home := &url.URL{Scheme: "http", Host: d.controlAddr, Path: "/"}
	for _, c := range client.Jar.Cookies(home) {
		d.keep("session cookie of single sign-on", c.Value)
	}
	if len(client.Jar.Cookies(home)) == 0 {
		d.t.Errorf("single sign-on ended with %s and no session", resp.Status)
	}
	idToken, verifier := provider.lastGiven()
	d.keep("ID token", idToken)
	d.keep("verifier", verifier)

	provider.mu.Lock()
	provider.secret = "another"
	provider.mu.Unlock()
	resp, err = browser(d).Get("http://" + d.controlAddr + "/auth/oidc/start")
	if err != nil {
		d.t.Fatal(err)
	}
	_ = resp.Body.Close()
	if resp.StatusCode == http.StatusOK {
		d.t.Errorf("a provider that refuses lets somebody in: %s", resp.Status)
	}
}

// told is what needs somebody, and whom: addresses of receivers are credentials.
func (d *drive) told() {
	d.call("OverviewService/GetOverview", nil)
	d.call("OverviewService/ListAttention", nil)
	d.call("OverviewService/GetFirstSteps", nil)
	d.call("OverviewService/DismissFirstSteps", object{"dismissed": true})
	d.call("SystemService/GetSignInSettings", nil)
	d.call("SystemService/GetRetention", nil)
	d.call("UsageService/QueryLatency", object{"bucket": "LATENCY_BUCKET_HOUR"})
	channel := object{"name": "told", "events": []string{"ATTENTION_KIND_EDGE_SILENT"}, "kind": "ALERT_CHANNEL_KIND_WEBHOOK", "url": d.vendor.URL + "/" + d.plant("receiver of alerts")}
	made := d.call("AlertService/CreateAlertChannel", object{"channel": channel}, "signingSecret")
	d.call("AlertService/TestAlertChannel", object{"channel": "told"})
	channel["id"] = made.Get("channel.id").Str
	channel["url"] = d.vendor.URL + "/" + d.plant("new receiver of alerts")
	d.call("AlertService/UpdateAlertChannel", object{"channel": channel, "updateMask": "url", "newSigningSecret": true}, "signingSecret")
	d.call("AlertService/TestAlertChannel", object{"channel": "told"})
	d.call("AlertService/GetAlertChannel", object{"channel": "told"})
	d.call("AlertService/ListAlertChannels", nil)
	d.call("AlertService/ListAlertDeliveries", nil)
	d.call("AlertService/DeleteAlertChannel", object{"channel": "told"})
}

// configuration comes in files, with secrets beside them and, of LiteLLM, in them.
func (d *drive) configuration() {
	text := func(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }
	file := func(s string) []object { return []object{{"name": "tollgate.yaml", "text": text(s)}} }
	const yaml = "version: 1\nowner: leaks\nsecrets: [{name: filed, from: env/FILED}]\nkeys: [{name: filed-NAME}]\n"
	input := func(name, value string) object {
		return object{"files": file(strings.ReplaceAll(yaml, "NAME", name)), "secrets": object{"filed": d.plant(value)}}
	}
	planned := d.call("ConfigService/Plan", object{"input": input("one", "secret of a plan"), "showUnchanged": true})
	d.call("ConfigService/Apply", object{"planId": planned.Get("planId").Str}, "keySecrets.filed-one")
	d.call("ConfigService/Plan", object{"input": input("two", "new secret of a plan")})
	d.call("ConfigService/Apply", object{"input": input("two", "secret of an apply")}, "keySecrets.filed-two")
	d.do(step{method: "ConfigService/Plan", body: object{"input": object{"files": file("version: 1\nsecrets: [{name: filed, value: " + d.plant("secret in a file") + "}]\n")}}, fails: "invalid_argument"})
	d.do(step{method: "ConfigService/Apply", body: object{"input": object{"files": file("version: 1\nkeys: [{name: filed-three, secret: " + d.plant("key in a file") + "}]\n")}}, fails: "invalid_argument"})
	d.call("ConfigService/Export", nil)
	d.do(step{method: "SecretService/RotateSecret", body: object{"secret": "filed", "value": d.plant("value beside a file")}, header: []string{"x-tollgate-override", "managed"}})
	d.call("ConfigService/ListDrift", nil)

	theirs := func(kind string) string {
		return "model_list:\n  - model_name: moved-" + kind + "\n    litellm_params: {model: openai/gpt-4o, api_key: " + d.plant("LiteLLM key of a model, "+kind) + ", api_base: \"" + d.vendor.URL + "\"}\n" +
			"general_settings:\n  master_key: sk-" + d.plant("LiteLLM master key, "+kind) + "\n  database_url: \"postgresql://u:" + d.plant("LiteLLM database, "+kind) + "@db/litellm\"\n" +
			"  pass_through_endpoints:\n    - {path: /moved-" + kind + ", target: \"" + d.vendor.URL + "\", headers: {Authorization: \"Bearer " + d.plant("LiteLLM header, "+kind) + "\"}}\n" +
			"litellm_settings:\n  success_callback: [langfuse]\nenvironment_variables: {LANGFUSE_SECRET_KEY: " + d.plant("LiteLLM variable, "+kind) + "}\n"
	}
	d.call("ConfigService/ConvertLiteLLM", object{"text": text(theirs("converted"))})
	d.do(step{method: "ConfigService/ConvertLiteLLM", body: object{"text": text("model_list: [" + d.plant("LiteLLM's broken file"))}, fails: "invalid_argument"})
	lite := object{"files": []object{{"name": "config.yaml", "text": text(theirs("applied"))}}, "dialect": "CONFIG_DIALECT_LITELLM"}
	d.call("ConfigService/Plan", object{"input": lite})
	d.call("ConfigService/Apply", object{"input": lite})
	d.call("ConfigService/Release", object{"owner": "leaks"})
}

// everythingIsRead asks for all that can be listed and found, once everything is there.
func (d *drive) everythingIsRead() {
	d.awaitLive()
	for method, body := range map[string]object{
		"AdapterService/ListAdapters": nil, "AuditService/ListAuditEntries": {"pageSize": 500}, "BudgetService/ListBudgets": {"withStates": true},
		"CustomerService/ListCustomers": nil, "EndpointService/ListEndpoints": nil, "EndpointService/GetEndpoint": {"endpoint": "leaks"}, "KeyService/ListKeys": nil,
		"LimitService/ListLimits": nil, "ModelService/ListModels": nil, "PersonService/ListPeople": nil, "SecretService/ListSecrets": nil,
		"SecretService/GetSecret": {"secret": "bria"}, "SecretService/ListSecretReferences": {"secret": "bria"}, "SettingsService/GetSettings": nil,
		"SystemService/GetInfo": nil, "SystemService/ListNodes": nil, "TagService/ListTags": nil, "TeamService/ListTeams": nil,
		"TemplateService/ListTemplates": nil, "TemplateService/GetTemplate": {"name": "openai"}, "TokenService/ListTokens": nil,
		"ConfigService/Export": nil, "ConfigService/ListDrift": nil, "UsageService/ListRequests": {"pageSize": 500},
	} {
		d.call(method, body)
	}
	for _, e := range d.call("AuditService/ListAuditEntries", object{"pageSize": 500}).Get("entries").Array() {
		d.call("AuditService/GetAuditEntry", object{"entry": e.Get("id").String()})
	}
	d.mu.Lock()
	var queries []string
	for name, secret := range d.secrets {
		if strings.HasPrefix(name, "KeyService") || strings.HasPrefix(name, "value") {
			queries = append(queries, secret)
		}
	}
	d.mu.Unlock()
	for _, secret := range queries { // somebody pastes it where it does not belong
		d.call("SearchService/Search", object{"query": secret})
		d.call("SearchService/Search", object{"query": secret[len(secret)-4:]})
	}
	for _, path := range []string{"/login", "/setup", "/healthz", "/readyz", "/schema/tollgate.json"} {
		d.fetch(plain, path)
	}
	// What is deleted is so at the end.
	for method, body := range map[string]object{
		"BudgetService/DeleteBudget": {"budget": "b"}, "LimitService/DeleteLimit": {"limit": "l"}, "CustomerService/DeleteCustomer": {"customer": "acme"},
		"TagService/DeleteTag": {"tag": "night"}, "ModelService/DeleteModel": {"model": "m"}, "AdapterService/DeleteAdapter": {"adapter": "translator"},
	} {
		d.call(method, body)
	}
	d.call("AuditService/ListAuditEntries", object{"pageSize": 500})
}

// count is how many secrets there are of a name, and nth the one that came behind n others.
func (d *drive) count(name string) (n int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for d.secrets[name+strings.Repeat("'", n)] != "" {
		n++
	}
	return n
}

func (d *drive) nth(name string, n int) string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.secrets[name+strings.Repeat("'", n)]
}
