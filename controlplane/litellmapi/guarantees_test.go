package litellmapi_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/tidwall/gjson"

	"tollgate/internal/contract"
)

// count is how many rows a query has.
func (p *proxy) count(sql string, args ...any) (n int) {
	p.t.Helper()
	if err := p.pool.QueryRow(p.t.Context(), sql, args...).Scan(&n); err != nil {
		p.t.Fatal(err)
	}
	return n
}

// rpc makes a call of the control plane's own API.
func (p *proxy) rpc(procedure, body string) string {
	p.t.Helper()
	req := httptest.NewRequestWithContext(p.t.Context(), http.MethodPost, "/tollgate.control.v1."+procedure, strings.NewReader(body))
	req.Header.Set("Authorization", "Bearer "+adminToken)
	req.Header.Set("Content-Type", "application/json")
	w := httptest.NewRecorder()
	p.control.ServeHTTP(w, req)
	if w.Code != http.StatusOK {
		p.t.Fatalf("%s: %d %s", procedure, w.Code, w.Body)
	}
	return w.Body.String()
}

// Guarantee: without a token that is known nothing is answered but whether the process lives, in LiteLLM's form of a refusal; a
// token may be in either of the headers that LiteLLM reads.
func TestTokens(t *testing.T) {
	t.Parallel()
	p := setup(t)
	for _, token := range []string{"", "sk-1234", "tga_wrong"} {
		for _, call := range []string{"GET /key/list", "POST /key/generate", "GET /config/pass_through_endpoint", "GET /health", "GET /spend/logs", "POST /budget/new"} {
			method, path, _ := strings.Cut(call, " ")
			status, text, h := p.send(token, method, path, "{}")
			if status != http.StatusUnauthorized || gjson.Get(text, "error.type").Str != "auth_error" || gjson.Get(text, "error.code").Str != "401" ||
				!strings.HasPrefix(gjson.Get(text, "error.message").Str, "Authentication Error, ") || h.Get("WWW-Authenticate") == "" {
				t.Errorf("%s with %q: %d %s", call, token, status, text)
			}
		}
		if status, text, _ := p.send(token, "GET", "/health/liveliness", ""); status != http.StatusOK {
			t.Errorf("liveliness: %d %s", status, text)
		}
	}
	if n := p.count(`SELECT count(*) FROM control.key`); n != 0 {
		t.Errorf("%d keys were made", n)
	}
	for _, header := range []string{"x-litellm-api-key", "Authorization"} {
		for _, value := range []string{adminToken, "Bearer " + adminToken} {
			if status, text, _ := p.send("", "GET", "/key/list", "", header, value); status != http.StatusOK {
				t.Errorf("%s: %s: %d %s", header, value, status, text)
			}
		}
	}
}

// Guarantee: a token can do here what it can do elsewhere and no more: one that may only see changes nothing, and one whose rights
// end at a team sees and makes that team's keys only.
func TestRights(t *testing.T) {
	t.Parallel()
	p := setup(t)
	p.ok("POST", "/team/new", `{"team_alias": "red"}`)
	p.ok("POST", "/team/new", `{"team_alias": "blue"}`)
	p.ok("POST", "/key/generate", `{"key_alias": "of-blue", "team_id": "blue"}`)
	viewer := gjson.Get(p.rpc("TokenService/CreateToken", `{"token": {"name": "viewer", "role": "ROLE_VIEWER"}}`), "secret").Str
	red := gjson.Get(p.rpc("TokenService/CreateToken", `{"token": {"name": "red", "team": "red", "permissions": ["PERMISSION_KEYS_READ", "PERMISSION_KEYS_WRITE", "PERMISSION_MONEY_READ", "PERMISSION_MONEY_WRITE"]}}`), "secret").Str
	before := p.count(`SELECT n FROM control.revision`)
	for _, c := range []struct {
		token, method, path, body string
		want                      int
	}{
		{viewer, "GET", "/key/list", "", 200},
		{viewer, "POST", "/key/generate", "{}", 403},
		{viewer, "POST", "/team/new", `{"team_alias": "x"}`, 403},
		{viewer, "POST", "/customer/new", `{"user_id": "x"}`, 403},
		{viewer, "POST", "/budget/new", `{"budget_id": "x"}`, 403},
		{viewer, "POST", "/config/pass_through_endpoint", `{"path": "/x", "target": "https://x.example.com"}`, 403},
		{red, "POST", "/key/generate", `{"team_id": "blue"}`, 404},
		{red, "POST", "/key/generate", `{}`, 403},
		{red, "GET", "/key/info?key=of-blue", "", 404},
		{red, "POST", "/key/delete", `{"keys": ["of-blue"]}`, 404},
		{red, "GET", "/config/pass_through_endpoint", "", 403},
	} {
		if status, text, _ := p.send(c.token, c.method, c.path, c.body); status != c.want {
			t.Errorf("%s %s %s: %d %s, want %d", c.method, c.path, c.body, status, text, c.want)
		}
	}
	if after := p.count(`SELECT n FROM control.revision`); after != before {
		t.Errorf("revision %d became %d", before, after)
	}
	if status, text, _ := p.send(red, "POST", "/key/generate", `{"team_id": "red", "key_alias": "mine", "max_budget": 1}`); status != 200 {
		t.Errorf("%d %s", status, text)
	}
	_, text, _ := p.send(red, "GET", "/key/list?return_full_object=true", "")
	if gjson.Get(text, "total_count").Int() != 1 || gjson.Get(text, "keys.0.key_alias").Str != "mine" {
		t.Error(text)
	}
	if n := p.count(`SELECT count(*) FROM control.audit WHERE via = 'litellm' AND actor = 'token red'`); n == 0 {
		t.Error("the audit does not say who made the key, and how")
	}
}

// Guarantee: a call is made whole or not at all: a key whose budget is refused is not there.
func TestWholeOrNotAtAll(t *testing.T) {
	t.Parallel()
	p := setup(t)
	p.ok("POST", "/key/generate", `{"key_alias": "a", "max_budget": 1, "tpm_limit": 5}`)
	before := p.count(`SELECT n FROM control.revision`)
	for _, body := range []string{
		`{"key_alias": "half", "rpm_limit": 10, "max_budget": 99999999999}`,
		`{"key_alias": "half", "rpm_limit": 9999999999999}`,
		`{"key_alias": "half", "max_budget": 1, "budget_duration": "1d", "budget_limits": [{"budget_duration": "24h", "max_budget": 2}]}`,
	} {
		if status, text, _ := p.send(adminToken, "POST", "/key/generate", body); status != http.StatusBadRequest {
			t.Errorf("%s: %d %s", body, status, text)
		}
	}
	if after := p.count(`SELECT n FROM control.revision`); after != before {
		t.Errorf("revision %d became %d", before, after)
	}
	if n := p.count(`SELECT count(*) FROM control.key WHERE name = 'half'`); n != 0 {
		t.Error("half a key is there")
	}
}

// Guarantee: a dry run says what would be wrong and leaves no trace, and a call that is sent again under one Idempotency-Key makes one
// key and answers with it.
func TestDryRunAndOnce(t *testing.T) {
	t.Parallel()
	p := setup(t)
	before := p.count(`SELECT n FROM control.revision`)
	text, _ := p.ok("POST", "/key/generate", `{"key_alias": "a", "max_budget": 1}`, "x-tollgate-dry-run", "true")
	if n := p.count(`SELECT n FROM control.revision`); n != before || p.count(`SELECT count(*) FROM control.key`) != 0 {
		t.Error("the dry run left a trace")
	}
	if gjson.Get(text, "key").Exists() {
		t.Errorf("a dry run shows a key that works for nobody: %s", text)
	}
	first, _ := p.ok("POST", "/key/generate", `{"key_alias": "a", "max_budget": 1}`, "Idempotency-Key", "k1")
	again, _ := p.ok("POST", "/key/generate", `{"key_alias": "a", "max_budget": 1}`, "Idempotency-Key", "k1")
	if first != again || gjson.Get(first, "key").Str == "" {
		t.Errorf("%s, and again %s", first, again)
	}
	if status, text, _ := p.send(adminToken, "POST", "/key/generate", `{"key_alias": "b"}`, "Idempotency-Key", "k1"); status != http.StatusConflict {
		t.Errorf("another call under the key: %d %s", status, text)
	}
	if n := p.count(`SELECT count(*) FROM control.key`); n != 1 {
		t.Errorf("%d keys", n)
	}
}

// Guarantee: the key that is answered is the one that edges know, by the SHA-256 of its text, also one that the caller chose.
func TestKeysAreKnownByTheirHash(t *testing.T) {
	t.Parallel()
	p := setup(t)
	for _, body := range []string{`{}`, `{"key": "sk-chosen-0123456789"}`} {
		text, _ := p.ok("POST", "/key/generate", body)
		hash := contract.KeyHash([]byte(gjson.Get(text, "key").Str))
		if p.count(`SELECT count(*) FROM control.key WHERE sha256 = $1`, hash[:]) != 1 || gjson.Get(text, "token").Str != fmt.Sprintf("%x", hash) {
			t.Error(text)
		}
	}
}

// Guarantee C4: what a file owns is shown as such and cannot be changed, unless the caller insists.
func TestEntriesOfFilesAreReadOnly(t *testing.T) {
	t.Parallel()
	p := setup(t)
	p.ok("POST", "/config/pass_through_endpoint", `{"path": "/bria", "target": "https://bria.example.com"}`)
	if _, err := p.pool.Exec(t.Context(), `INSERT INTO control.managed (kind, object_id, name, owner, settings, revision, apply_time)
		SELECT 'endpoint', id, name, 'infra.yaml', '{}', 1, now() FROM control.endpoint`); err != nil {
		t.Fatal(err)
	}
	text, _ := p.ok("GET", "/config/pass_through_endpoint", "")
	if !gjson.Get(text, "endpoints.0.is_from_config").Bool() {
		t.Error(text)
	}
	for _, c := range []string{"POST /config/pass_through_endpoint/bria", "DELETE /config/pass_through_endpoint?endpoint_id=bria"} {
		method, path, _ := strings.Cut(c, " ")
		if status, text, _ := p.send(adminToken, method, path, `{"timeout": 5}`); status != http.StatusConflict || !strings.Contains(gjson.Get(text, "detail.error").Str, "infra.yaml") {
			t.Errorf("%s: %d %s", c, status, text)
		}
	}
	p.ok("POST", "/config/pass_through_endpoint/bria", `{"timeout": 5}`, "x-tollgate-override", "managed")
}

// Guarantee C6: no answer and no log has the value of a header or of a key, but for the one answer that makes the key.
func TestNothingSecretIsShown(t *testing.T) {
	t.Parallel()
	p := setup(t)
	made, _ := p.ok("POST", "/config/pass_through_endpoint", `{"path": "/bria", "target": "https://bria.example.com", "headers": {"api_token": "`+vendorSecret+`"}}`)
	listed, _ := p.ok("GET", "/config/pass_through_endpoint", "")
	kept, _ := p.ok("POST", "/config/pass_through_endpoint/bria", `{"headers": {"api_token": "********"}}`)
	if n := p.count(`SELECT count(*) FROM control.endpoint e WHERE e.headers::text LIKE '%${secret:%'`); n != 1 {
		t.Error("the header was lost")
	}
	text, _ := p.ok("POST", "/key/generate", `{"key_alias": "app"}`)
	key := gjson.Get(text, "key").Str
	info, _ := p.ok("GET", "/key/info?key=app", "")
	var audit bytes.Buffer
	rows, err := p.pool.Query(t.Context(), `SELECT coalesce(before::text, '') || coalesce(after::text, '') FROM control.audit`)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		var s string
		if err := rows.Scan(&s); err != nil {
			t.Fatal(err)
		}
		audit.WriteString(s)
	}
	for where, text := range map[string]string{"create": made, "list": listed, "update": kept, "info": info, "logs": p.logs.String(), "audit": audit.String()} {
		if strings.Contains(text, vendorSecret) || strings.Contains(text, key) {
			t.Errorf("%s shows a secret", where)
		}
	}
}

// Guarantee C7: of writers at once who change different fields none loses what another has written, and one who says which state it
// has seen is refused when there is another.
func TestWritersLoseNothing(t *testing.T) {
	t.Parallel()
	p := setup(t)
	p.ok("POST", "/config/pass_through_endpoint", `{"path": "/bria", "target": "https://bria.example.com", "cost_per_request": 1}`)
	p.ok("POST", "/key/generate", `{"key_alias": "app"}`)
	var wg sync.WaitGroup
	for _, body := range []string{`{"timeout": 7}`, `{"methods": ["POST"]}`, `{"include_subpath": true}`, `{"cost_per_request": 2}`, `{"default_query_params": {"v": "1"}}`} {
		wg.Go(func() {
			if status, text, _ := p.send(adminToken, "POST", "/config/pass_through_endpoint/bria", body); status != http.StatusOK {
				t.Errorf("%s: %d %s", body, status, text)
			}
		})
	}
	for _, body := range []string{`{"key": "app", "metadata": {"a": "1"}}`, `{"key": "app", "max_budget": 3}`, `{"key": "app", "rpm_limit": 4}`, `{"key": "app", "tags": ["x"]}`, `{"key": "app", "user_id": "u"}`, `{"key": "app", "models": ["m"]}`} {
		wg.Go(func() {
			if status, text, _ := p.send(adminToken, "POST", "/key/update", body); status != http.StatusOK {
				t.Errorf("%s: %d %s", body, status, text)
			}
		})
	}
	wg.Wait()
	text, h := p.ok("GET", "/config/pass_through_endpoint?endpoint_id=bria", "")
	e := gjson.Get(text, "endpoints.0")
	if e.Get("timeout").Raw != "7.0" || e.Get("methods.0").Str != "POST" || !e.Get("include_subpath").Bool() || e.Get("cost_per_request").Raw != "2.0" || e.Get("default_query_params.v").Str != "1" {
		t.Error(text)
	}
	etag := h.Get("ETag")
	p.ok("POST", "/config/pass_through_endpoint/bria", `{"timeout": 8}`, "If-Match", etag)
	if status, text, _ := p.send(adminToken, "POST", "/config/pass_through_endpoint/bria", `{"timeout": 9}`, "If-Match", etag); status != http.StatusPreconditionFailed {
		t.Errorf("with an old etag: %d %s", status, text)
	}
	text, _ = p.ok("GET", "/key/info?key=app", "")
	k := gjson.Get(text, "info")
	if k.Get("metadata.a").Str != "1" || k.Get("max_budget").Raw != "3.0" || k.Get("rpm_limit").Int() != 4 || k.Get("tags.0").Str != "x" || k.Get("user_id").Str != "u" || k.Get("models.0").Str != "m" {
		t.Error(text)
	}
}

// Guarantee: many calls at once, more than the control plane has connections to the database, all end.
func TestManyCallsAtOnce(t *testing.T) {
	t.Parallel()
	p := setup(t)
	const calls = 40
	var wg sync.WaitGroup
	for i := range calls {
		wg.Go(func() {
			body, _ := json.Marshal(map[string]any{"key_alias": fmt.Sprintf("k%d", i), "max_budget": 1})
			if status, text, _ := p.send(adminToken, "POST", "/key/generate", string(body)); status != http.StatusOK {
				t.Errorf("%d %s", status, text)
			}
		})
	}
	wg.Wait()
	if n := p.count(`SELECT count(*) FROM control.budget`); n != calls {
		t.Errorf("%d budgets", n)
	}
}

// Guarantee: a team that the importer made is found by the id that it had at LiteLLM, and shown with it.
func TestImportedTeamsKeepTheirIds(t *testing.T) {
	t.Parallel()
	p := setup(t)
	p.rpc("TeamService/CreateTeam", `{"name": "data", "metadata": {"litellm_team_id": "6f0b-1", "floor": "3"}}`)
	p.ok("POST", "/key/generate", `{"team_id": "6f0b-1", "key_alias": "a"}`)
	text, _ := p.ok("GET", "/team/info?team_id=6f0b-1", "")
	if gjson.Get(text, "team_id").Str != "6f0b-1" || gjson.Get(text, "keys.0.team_id").Str != "6f0b-1" || gjson.Get(text, "team_info.metadata").Raw == "" ||
		gjson.Get(text, "team_info.metadata.litellm_team_id").Exists() || gjson.Get(text, "team_info.metadata.floor").Str != "3" {
		t.Error(text)
	}
}
