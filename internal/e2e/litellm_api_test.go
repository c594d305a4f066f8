package e2e_test

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/tidwall/gjson"

	"tollgate/internal/testenv"
)

// script is what somebody has written against LiteLLM's management calls.
type script struct {
	c    *cluster
	addr string
}

func (s *script) call(method, path, body string, want int) string {
	s.c.t.Helper()
	req, err := http.NewRequestWithContext(s.c.t.Context(), method, "http://"+s.addr+path, strings.NewReader(body))
	if err != nil {
		s.c.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+adminToken)
	req.Header.Set("Content-Type", "application/json")
	resp, err := plain.Do(req)
	if err != nil {
		s.c.t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	raw, err := io.ReadAll(resp.Body)
	if err = errors.Join(err, resp.Body.Close()); err != nil || resp.StatusCode != want {
		s.c.t.Fatalf("%s %s: %d %s %v", method, path, resp.StatusCode, raw, err)
	}
	return string(raw)
}

// Guarantee: a script that was written against LiteLLM works from the endpoint that it makes to the spend that it reads: the key that
// it is given calls an edge, its budget bounds it exactly, blocking ends it, and each call that tells what was spent tells the same.
func TestScriptsOfLiteLLM(t *testing.T) {
	t.Parallel()
	c := prepare(t, withEdges(1), withLeaseAhead(1))
	s := &script{c, address(t)}
	c.control.Env = append(c.control.Env, "PATH="+os.Getenv("PATH"), "TOLLGATE_LITELLM_API="+s.addr)
	c.run()

	made := s.call("POST", "/config/pass_through_endpoint", fmt.Sprintf(
		`{"path": "/bria", "target": %q, "include_subpath": true, "cost_per_request": 0.25, "headers": {"api_token": "os.environ/NOT_SET", "x-plain": "1"}}`, c.vendor.URL), 200)
	id := gjson.Get(made, "endpoints.0.id").Str
	s.call("POST", "/config/pass_through_endpoint/"+id, `{"headers": {"api_token": "`+vendorToken+`"}}`, 200)
	s.call("POST", "/team/new", `{"team_id": "t-1", "team_alias": "Data", "max_budget": 100}`, 200)
	s.call("POST", "/customer/new", `{"user_id": "acme", "max_budget": 50}`, 200)
	text := s.call("POST", "/key/generate", `{"key_alias": "notebook", "team_id": "t-1", "max_budget": 1.0, "budget_duration": "30d", "user_id": "ann", "tags": ["prod"]}`, 200)
	key, token := gjson.Get(text, "key").Str, gjson.Get(text, "token").Str
	c.awaitLive()

	for i := range 4 {
		if resp, body := c.send(0, "POST", "/bria/x", "Authorization", "Bearer "+key, "x-tollgate-customer", "acme"); resp.StatusCode != http.StatusOK {
			t.Fatalf("call %d: %d %s", i, resp.StatusCode, body)
		}
	}
	if resp, body := c.send(0, "POST", "/bria/x", "Authorization", "Bearer "+key); resp.StatusCode != http.StatusPaymentRequired {
		t.Errorf("beyond the budget: %d %s", resp.StatusCode, body)
	}
	now := time.Now().UTC()
	day := "start_date=" + now.AddDate(0, 0, -2).Format(time.DateOnly) + "&end_date=" + now.AddDate(0, 0, 2).Format(time.DateOnly)
	testenv.Eventually(t, eventually, func() error {
		for call, path := range map[string]string{
			"/key/info?key=" + key: "info.spend", "/key/info?key=" + token: "info.spend", "/key/info?key=notebook": "info.spend",
			"/key/list?return_full_object=true": "keys.0.spend", "/team/info?team_id=t-1": "team_info.spend", "/user/info?user_id=ann": "user_info.spend",
			"/customer/info?end_user_id=acme": "spend", "/global/spend": "spend", "/global/spend/keys": "0.total_spend",
			"/global/spend/teams": "total_spend_per_team.0.total_spend", "/global/spend/report?group_by=team&" + day: "0.teams.0.total_spend",
			"/spend/logs?" + day: "0.spend",
		} {
			if got := gjson.Get(s.call("GET", call, "", 200), path).Raw; got != "1.0" {
				return fmt.Errorf("%s says %s", call, got)
			}
		}
		return nil
	})
	logs := s.call("GET", "/spend/logs?api_key="+token, "", 200)
	if gjson.Get(logs, "#").Int() != 4 || gjson.Get(logs, "0.api_key").Str != token || gjson.Get(logs, "0.user").Str != "ann" || gjson.Get(logs, "0.spend").Raw != "0.25" || gjson.Get(logs, "0.team_id").Str != "t-1" {
		t.Error(logs)
	}

	s.call("POST", "/key/"+token+"/reset_spend", `{"reset_to": 0}`, 200)
	s.call("POST", "/key/block", `{"key": "`+key+`"}`, 200)
	c.awaitLive()
	if resp, body := c.send(0, "POST", "/bria/x", "Authorization", "Bearer "+key); resp.StatusCode != http.StatusForbidden {
		t.Errorf("blocked: %d %s", resp.StatusCode, body)
	}
	s.call("POST", "/key/unblock", `{"key": "`+key+`"}`, 200)
	again := gjson.Get(s.call("POST", "/key/"+token+"/regenerate", `{}`, 200), "key").Str
	c.awaitLive()
	if resp, body := c.send(0, "POST", "/bria/x", "Authorization", "Bearer "+key); resp.StatusCode != http.StatusUnauthorized {
		t.Errorf("the old key: %d %s", resp.StatusCode, body)
	}
	c.passes(0, again, "/bria/x")
	s.call("POST", "/key/delete", `{"keys": ["`+again+`"]}`, 200)
	s.call("DELETE", "/config/pass_through_endpoint?endpoint_id="+id, "", 200)
	c.awaitLive()
	if resp, body := c.send(0, "POST", "/bria/x", "Authorization", "Bearer "+again); resp.StatusCode != http.StatusUnauthorized && resp.StatusCode != http.StatusNotFound {
		t.Errorf("the deleted key: %d %s", resp.StatusCode, body)
	}
}
