package e2e_test

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/tidwall/gjson"

	controlv1 "tollgate/gen/tollgate/control/v1"
	"tollgate/internal/testenv"
)

var keyInFile = regexp.MustCompile(`(?m)^(master_key|sealing_key): "([^"]+)"`)

// surround gives the deployment a collector of traces, a provider of single sign-on, Vault and logs of everything.
func (d *drive) surround() (traces *heard, provider *idp) {
	t := d.t
	t.Helper()
	endpoint, traces := collector(t)
	provider = newIDP(t, "oidc@example.com", d.plant("OIDC client secret"), d.plant("OIDC code"), d.plant("OIDC access token"))
	token, file := d.plant("Vault token"), filepath.Join(d.dir, "of-a-file")
	vault := vaultOf(t, token, d.plant("value in Vault"))
	add := func(p *process, text string) {
		path := p.Args[len(p.Args)-1]
		old, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for _, found := range keyInFile.FindAllStringSubmatch(string(old), -1) {
			d.keep(found[1], found[2])
		}
		if err := os.WriteFile(path, append(old, text...), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(file, []byte(d.plant("value in a file")), 0o600); err != nil {
		t.Fatal(err)
	}
	add(d.control, fmt.Sprintf(`
public_url: "http://%s"
oidc: {issuer: %q, client_id: tollgate, client_secret: %q, default_role: viewer}
`, d.controlAddr, provider.URL, provider.secret))
	env := "LEAKS_VALUE=" + d.plant("value in the environment")
	for _, e := range d.edges {
		add(e, fmt.Sprintf("\nvault: {address: %q, token: %q}\nsecret_files: [%q]\n", vault, token, d.dir))
		e.Env = append(e.Env, env)
	}
	for _, p := range d.roles() {
		p.Args = append(p.Args, "--log-level", "debug")
		p.Env = append(p.Env, "OTEL_EXPORTER_OTLP_ENDPOINT="+endpoint)
	}
	u, err := url.Parse(d.databaseURL)
	if err != nil {
		t.Fatal(err)
	}
	if password, ok := u.User.Password(); ok {
		d.keep("password of the database", password)
	}
	return traces, provider
}

// secretsAndEndpoints stores credentials in every way, and makes what uses them.
func (d *drive) secretsAndEndpoints() {
	d.call("SecretService/CreateSecret", object{"name": "bria", "value": d.plant("value of a secret")})
	d.call("SecretService/RotateSecret", object{"secret": "bria", "value": d.plant("new value of a secret")})
	d.call("SecretService/RollbackSecret", object{"secret": "bria"})
	d.call("SecretService/RotateSecret", object{"secret": "bria", "value": d.plant("third value of a secret")})
	d.call("SecretService/UpdateSecret", object{"secret": "bria", "description": "of a vendor"})
	d.do(step{method: "SecretService/CreateSecret", body: object{"name": "bria", "value": d.plant("value of a taken name")}, fails: "already_exists"})
	d.do(step{method: "SecretService/CreateSecret", body: object{"name": "BAD NAME", "value": d.plant("value of a bad name")}, fails: "invalid_argument"})
	d.do(step{method: "SecretService/CreateSecret", body: object{"name": "both", "value": d.plant("value with a reference"), "reference": "env:X"}, fails: "invalid_argument"})
	d.do(step{method: "SecretService/CreateSecret", body: object{"name": "line", "value": d.plant("value with a line end") + "\n"}, fails: "invalid_argument"})
	d.do(step{method: "SecretService/CreateSecret", body: object{"name": "other", "value": d.plant("value nobody may store")}, as: "tgs_" + d.plant("wrong token"), fails: "unauthenticated"})
	d.do(step{method: "SecretService/CreateSecret", body: object{"name": "dry", "value": d.plant("value of a dry run")}, header: []string{"x-tollgate-dry-run", "true"}})
	headers := []object{{"name": "api_token", "value": "Bearer ${secret:bria}"}}
	for name, ref := range map[string]string{"of-env": "env:LEAKS_VALUE", "of-vault": "vault:secret/a#token", "of-file": "file:" + filepath.Join(d.dir, "of-a-file")} {
		d.call("SecretService/CreateSecret", object{"name": name, "reference": ref})
		headers = append(headers, object{"name": "x-" + name, "value": "${secret:" + name + "}"})
	}
	d.call("SecretService/CreateSecret", object{"name": "goner", "value": d.plant("value of a deleted secret")})
	d.call("SecretService/DeleteSecret", object{"secret": "goner"})

	endpoint := object{"name": "leaks", "path": "/leaks", "targets": []object{{"url": d.vendor.URL}}, "headers": headers, "price": object{"fixed": object{"perRequest": usd("1")}}}
	made := d.call("EndpointService/CreateEndpoint", object{"endpoint": endpoint}).Get("endpoint")
	d.call("EndpointService/UpdateEndpoint", object{"endpoint": object{"id": made.Get("id").Str, "name": "leaks", "description": "changed"}, "updateMask": "description"})
	d.call("EndpointService/SetEndpointEnabled", object{"endpoint": "leaks", "enabled": true})
	d.call("EndpointService/PreviewEndpoint", object{"endpoint": endpoint, "tries": []object{{"method": "POST", "path": "/leaks/x"}}})
	revisions := d.call("EndpointService/ListEndpointRevisions", object{"endpoint": "leaks"})
	d.call("EndpointService/RevertEndpoint", object{"endpoint": "leaks", "revision": revisions.Get("revisions.@reverse.0.revision").Value()})
	d.call("EndpointService/CreateEndpoint", object{"endpoint": object{"name": "goner", "path": "/goner", "targets": []object{{"url": d.vendor.URL}}, "price": object{"free": object{}}}})
	d.call("EndpointService/DeleteEndpoint", object{"endpoint": "goner"})

	adapter := object{"name": "translator", "target": object{"url": d.vendor.URL}, "headers": headers[:1]}
	d.call("AdapterService/CreateAdapter", object{"adapter": adapter})
	d.call("AdapterService/GetAdapter", object{"adapter": "translator"})
	d.call("AdapterService/UpdateAdapter", object{"adapter": adapter})
	model := object{"name": "m", "deployments": []object{{
		"name": "d", "target": object{"url": d.vendor.URL}, "schemas": []string{"SCHEMA_OPENAI_CHAT"}, "apiKey": "${secret:bria}", "model": "m", "price": object{"free": object{}},
	}}}
	d.call("ModelService/CreateModel", object{"model": model})
	d.call("ModelService/GetModel", object{"model": "m"})
	d.call("ModelService/UpdateModel", object{"model": model})
	d.call("EndpointService/CreateEndpoint", object{"endpoint": object{"name": "models", "path": "/models", "models": object{}}})
}

func usd(units string) object { return object{"currencyCode": "USD", "units": units} }

// keysAndTraffic makes keys, and requests with them in every place of a request, right and wrong.
func (d *drive) keysAndTraffic() {
	d.call("TeamService/CreateTeam", object{"name": "red"})
	d.call("TeamService/CreateTeam", object{"name": "blue"})
	d.call("TeamService/UpdateTeam", object{"team": "red", "description": "a", "updateMask": "description"})
	secret := func(name string) string {
		return d.call("KeyService/CreateKey", object{"name": name, "team": "red"}, "secret").Get("secret").Str
	}
	kept, rotated, revoked, blocked := secret("kept"), secret("rotated"), secret("revoked"), secret("blocked")
	again := step{method: "KeyService/CreateKey", body: object{"name": "again"}, header: []string{"Idempotency-Key", "the same"}, shows: []string{"secret"}}
	if first, second := d.do(again), d.do(again); first.Get("secret").Str != second.Get("secret").Str {
		d.t.Errorf("sent again: %s, not %s", second, first)
	}
	if dry := d.do(step{method: "KeyService/CreateKey", body: object{"name": "dry"}, header: []string{"x-tollgate-dry-run", "true"}}); dry.Get("secret").Exists() {
		d.t.Errorf("a dry run shows %s", dry)
	}
	next := d.call("KeyService/RotateKey", object{"key": "rotated", "overlap": "3600s"}, "secret").Get("secret").Str
	d.call("KeyService/UpdateKey", object{"key": "kept", "description": "kept", "updateMask": "description"})
	d.awaitLive()
	wrong := "tgk_" + d.plant("a key that nobody knows")
	for edge := range d.edges {
		for _, key := range []string{kept, rotated, next, revoked, blocked, wrong} {
			for _, headers := range [][]string{{"Authorization", "Bearer " + key}, {"X-Api-Key", key}, {"Authorization", "Basic " + base64.StdEncoding.EncodeToString([]byte("u:"+key))}, {"X-Custom", key}} {
				d.toEdge(edge, "/leaks/v1?a=1", headers...)
			}
			d.toEdge(edge, "/leaks/v1?key="+key)
			d.toEdge(edge, "/nowhere?api_key="+key)
			d.toEdge(edge, "/models/v1/chat/completions", "X-Api-Key", key)
		}
	}
	testenv.Eventually(d.t, eventually, func() error {
		if got := d.call("KeyService/GetKeyUse", object{"key": "kept"}); !got.Get("secrets.0").Exists() {
			return fmt.Errorf("no use of the key is known: %s", got)
		}
		return nil
	})
	d.call("KeyService/EndKeyOverlap", object{"key": "rotated"})
	d.call("KeyService/RevokeKey", object{"key": "revoked"})
	d.call("KeyService/BlockKey", object{"key": "blocked", "blocked": true})
	d.call("KeyService/GetKey", object{"key": "rotated"})
	d.call("ExplainService/Explain", object{"method": "POST", "path": "/leaks/v1?key=" + kept, "key": "kept", "headers": []object{{"name": "authorization", "value": "Bearer " + kept}, {"name": "x-api-key", "value": next}}})
	d.awaitLive()
	for edge := range d.edges {
		for _, key := range []string{kept, rotated, next, revoked, blocked} {
			d.toEdge(edge, "/leaks/v1", "X-Api-Key", key)
		}
		name := d.edges[edge].Name
		ticket := d.call("TryService/CreateTicket", object{"key": "kept", "node": name}, "ticket").Get("ticket").Str
		for at := range d.edges { // the other one first
			d.toEdge(at, "/leaks/ticket", "Authorization", "Bearer "+ticket)
		}
		d.toEdge(edge, "/leaks/ticket", "X-Api-Key", ticket)
		d.call("TryService/Invoke", object{"method": "POST", "path": "/leaks/try", "key": "kept", "node": name, "body": base64.StdEncoding.EncodeToString([]byte(callBody))})
		d.call("TryService/Invoke", object{"method": "POST", "path": "/leaks/try", "key": "kept", "node": name, "dryRun": true})
	}
}

// toEdge sends a request to an edge, whatever comes of it, and keeps the answer.
func (d *drive) toEdge(edge int, path string, headers ...string) {
	d.t.Helper()
	resp, body := d.cluster.send(edge, http.MethodPost, path, append(headers, "Content-Type", "application/json")...)
	d.keepAnswer(step{method: "edges"}, resp.Header, []byte(body))
}

// money sets budgets, limits and prices, and looks at what was spent.
func (d *drive) money() {
	budget := object{"name": "b", "key": "kept", "amount": usd("100"), "period": "PERIOD_MONTH"}
	d.call("BudgetService/CreateBudget", object{"budget": budget})
	d.call("BudgetService/GetBudget", object{"budget": "b"})
	d.call("BudgetService/UpdateBudget", object{"budget": "b", "amount": usd("200")})
	d.call("BudgetService/RaiseBudget", object{"budget": "b", "by": usd("5"), "untilReset": true})
	testenv.Eventually(d.t, eventually, func() error {
		_, err := d.rpc.budgets.GetBudgetState(d.t.Context(), &controlv1.GetBudgetStateRequest{Budget: "b"})
		return err
	})
	d.call("BudgetService/GetBudgetState", object{"budget": "b"})
	d.call("BudgetService/ResetBudget", object{"budget": "b"})
	limit := object{"name": "l", "key": "kept", "kind": "LIMIT_KIND_REQUESTS", "amount": "1000"}
	d.call("LimitService/CreateLimit", object{"limit": limit})
	d.call("LimitService/GetLimit", object{"limit": "l"})
	d.call("LimitService/UpdateLimit", object{"limit": "l", "amount": "2000"})
	d.call("PriceService/TestPrice", object{"endpoint": "leaks", "sample": object{"method": "POST", "path": "/leaks/x", "status": 200}})
	d.call("PriceBookService/GetPriceBook", nil)
	d.call("PriceBookService/ListModelPrices", object{"pageSize": 10})
	d.call("PriceBookService/SetModelPrice", object{"list": "openai", "price": object{"model": "m", "rates": []object{{"unit": "input_tokens", "price": "1", "per": "1000000"}}}})
	d.call("PriceBookService/DeleteModelPrice", object{"list": "openai", "model": "m"})
	d.call("PriceBookService/UpdatePriceBook", object{"dryRun": true, "source": "test", "date": "2026-01-01", "licence": "MIT", "file": base64.StdEncoding.EncodeToString([]byte(
		`{"gpt-x":{"litellm_provider":"openai","mode":"chat","input_cost_per_token":1e-6,"output_cost_per_token":2e-6}}`))})
	d.call("CustomerService/CreateCustomer", object{"customer": object{"name": "acme"}})
	d.call("CustomerService/GetCustomer", object{"customer": "acme"})
	d.call("CustomerService/UpdateCustomer", object{"customer": "acme", "displayName": "Acme"})
	d.call("TagService/SetTag", object{"tag": object{"name": "night", "description": "at night"}})
	d.call("SettingsService/UpdateSettings", object{"settings": object{"name": "Leaks"}, "updateMask": "name"})
	var records gjson.Result
	testenv.Eventually(d.t, eventually, func() error {
		if records = d.call("UsageService/ListRequests", object{"pageSize": 100}); len(records.Get("requests").Array()) < 5 {
			return fmt.Errorf("%s", records)
		}
		return nil
	})
	d.call("RequestService/GetRequest", object{"requestId": records.Get("requests.0.requestId").Str})
	d.call("UsageService/QueryUsage", object{"groupBy": []string{"USAGE_DIMENSION_KEY"}})
	d.call("UsageService/ExportRequests", object{"format": "EXPORT_FORMAT_NDJSON"})
	d.call("UsageService/RepriceRequests", object{"filter": object{"endpoint": "leaks"}, "perRequest": usd("2"), "dryRun": true})
	for _, path := range []string{"/export/usage.csv", "/export/requests.csv", "/export/requests.ndjson"} {
		d.fetch(plain, path, "Authorization", "Bearer "+adminToken)
	}
}

// fleet looks after edges, and lets one join.
func (d *drive) fleet() {
	d.call("EdgeService/GetNode", object{"node": "edge-1"})
	d.call("EdgeService/GetRollout", nil)
	d.call("EdgeService/DrainNode", object{"node": "edge-1", "end": true})
	d.call("EdgeService/ResetBreaker", object{"endpoint": "leaks"})
	d.call("EdgeService/ProbeTarget", object{"url": d.vendor.URL + "/probe"})
	d.do(step{method: "EdgeService/ProbeTarget", body: object{"url": "http://user:" + d.plant("password in a URL") + "@127.0.0.1:1/"}, fails: "invalid_argument"})
	token := d.call("EdgeService/CreateJoinToken", object{"node": "edge-9"}, "token")
	join := object{"token": token.Get("token").Str, "node": "edge-9", "version": "v1"}
	d.do(step{method: "EdgeService/Join", body: join, as: nobody, whole: true})
	d.do(step{method: "EdgeService/Join", body: join, as: nobody, fails: "unauthenticated"})
	d.do(step{method: "EdgeService/Join", body: object{"token": "tgj_" + d.plant("wrong join token")}, as: nobody, fails: "unauthenticated"})
}

// metrics are those of all roles that have some.
func (d *drive) metrics() []byte {
	var all bytes.Buffer
	urls := []string{"http://" + d.ledgerAddrs[0] + "/metrics"}
	for _, addr := range d.adminAddrs {
		urls = append(urls, "http://"+addr+"/-/metrics")
	}
	for _, at := range urls {
		resp, err := plain.Get(at)
		if err != nil {
			d.t.Fatal(err)
		}
		text, err := io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		if err != nil || resp.StatusCode != http.StatusOK {
			d.t.Errorf("%s: %s %v", at, resp.Status, err)
		}
		all.Write(text)
	}
	return all.Bytes()
}

// dump is what pg_dump writes of the rows of all schemas.
func (d *drive) dump() []byte {
	ctx, conn := d.t.Context(), d.db()
	rows, err := conn.Query(ctx, `SELECT format('%I.%I', n.nspname, c.relname) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
		WHERE n.nspname NOT IN ('pg_catalog', 'information_schema') AND c.relkind = 'r'`)
	if err != nil {
		d.t.Fatal(err)
	}
	tables, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		d.t.Fatal(err)
	}
	var all bytes.Buffer
	for _, table := range tables {
		all.WriteString(table + "\n")
		if _, err := conn.PgConn().CopyTo(ctx, &all, "COPY "+table+" TO STDOUT"); err != nil {
			d.t.Fatalf("%s: %v", table, err)
		}
	}
	if !strings.Contains(all.String(), "control.audit") {
		d.t.Errorf("the dump has %q", tables)
	}
	return all.Bytes()
}

// browser is a client that keeps cookies.
func browser(d *drive) *http.Client {
	jar, err := cookiejar.New(nil)
	if err != nil {
		d.t.Fatal(err)
	}
	return &http.Client{Transport: plain.Transport, Jar: jar}
}
