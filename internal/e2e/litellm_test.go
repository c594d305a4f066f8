package e2e_test

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	controlv1 "tollgate/gen/tollgate/control/v1"
	"tollgate/internal/testenv"
)

// liteLLMDump is a dump of a proxy with an endpoint to a target and a few keys, of which some spent something. Writing it at all
// periods that begin anew would make it depend on the day, so that budgets are for good.
func liteLLMDump(target string, auth bool) string {
	token := func(key string) string {
		sum := sha256.Sum256([]byte(key))
		return hex.EncodeToString(sum[:])
	}
	rows := func(table, columns string, lines ...string) string {
		return fmt.Sprintf("COPY public.%q (%s) FROM stdin;\n%s\n\\.\n\n", table, columns, strings.Join(lines, "\n"))
	}
	const n = `\N`
	line := func(values ...string) string { return strings.Join(values, "\t") }
	entries := fmt.Sprintf(`{"pass_through_endpoints": [`+
		`{"path": "/bria", "target": %q, "include_subpath": true, "cost_per_request": 12, "auth": %t},`+
		`{"path": "/other", "target": %q, "include_subpath": false, "cost_per_request": 0.5}]}`, target, auth, target)
	return rows("LiteLLM_Config", "param_name, param_value", line("general_settings", entries)) +
		rows("LiteLLM_TeamTable", "team_id, team_alias, max_budget, spend, blocked, members_with_roles",
			line("t1", "rich", "1000", "0", "f", `[{"role": "admin", "user_id": "ann@example.com"}]`),
			line("t2", "poor", "24", "24", "f", "[]")) +
		rows("LiteLLM_VerificationToken", "token, key_alias, spend, max_budget, blocked, team_id, allowed_routes, expires",
			line(token("sk-bot-of-the-team"), "bot", "36.000000000000004", "96", n, "t1", "{}", n),
			line(token("sk-blocked-caller"), "blocked", "0", n, "t", n, "{}", n),
			line(token("sk-over-team-budget"), "late", "0", n, n, "t2", "{}", n),
			line(token("sk-only-other-route"), "narrow", "0", n, n, n, "{/other}", n),
			line(token("sk-already-expired"), "expired", "0", n, n, n, "{}", "2025-01-01 00:00:00"))
}

func (c *cluster) importDump(text string, args ...string) (stdout, stderr string) {
	c.t.Helper()
	file := filepath.Join(c.t.TempDir(), "litellm.sql")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		c.t.Fatal(err)
	}
	stdout, stderr, code := c.cli(append([]string{"import", "litellm", "--dump", file}, args...)...)
	if code != 0 {
		c.t.Fatalf("exit code %d: %s", code, stderr)
	}
	return stdout, stderr
}

// Guarantee (LiteLLM's cases A1, A4, A5, A7 and A8): after an import, callers' sk- keys work on real edges, on a path and below it;
// one without a key, with an unknown, expired or blocked key is refused, a key that may call other routes only, and one whose team
// has spent its budget. What was spent before counts: many requests at once pass exactly the rest of a budget. Importing again
// changes nothing and counts nothing twice, and the books agree.
func TestImportOfLiteLLMKeepsKeysAndSpend(t *testing.T) {
	t.Parallel()
	c := start(t, withEdges(2), withLeaseAhead(1))
	dump := liteLLMDump(c.vendor.URL, true)
	stdout, stderr := c.importDump(dump)
	for _, want := range []string{"endpoint\tbria\tcreated", "key\tbot\tcreated", "team\trich\tcreated", "budget\tkey-bot\tcreated", "person\tann@example.com\tinvited", "member\trich/ann@example.com\tadded"} {
		if !strings.Contains(stdout, want) {
			t.Errorf("the report has no %q:\n%s\n%s", want, stdout, stderr)
		}
	}
	c.awaitLive()
	for _, one := range []struct {
		name, key, path string
		status          int
		code            string
	}{
		{"A1 no key", "", "/bria", http.StatusUnauthorized, "key_missing"},
		{"A4 a path below", "sk-bot-of-the-team", "/bria/v1/images", http.StatusOK, ""},
		{"A5 a route that is granted", "sk-only-other-route", "/other", http.StatusOK, ""},
		{"A5 a route that is not", "sk-only-other-route", "/bria", http.StatusForbidden, "key_not_allowed"},
		{"A7 unknown", "sk-nobody-has-this", "/bria", http.StatusUnauthorized, "key_unknown"},
		{"A7 expired", "sk-already-expired", "/bria", http.StatusUnauthorized, "key_unknown"},
		{"A7 blocked", "sk-blocked-caller", "/bria", http.StatusForbidden, "key_blocked"},
		{"A7 malformed", "nonsense", "/bria", http.StatusUnauthorized, "key_unknown"},
		{"A8 team over budget", "sk-over-team-budget", "/bria", http.StatusPaymentRequired, "budget_exhausted"},
	} {
		if status, code := c.finally(0, one.key, one.path); status != one.status || code != one.code {
			t.Errorf("%s: %d %s, want %d %s", one.name, status, code, one.status, one.code)
		}
	}

	// 96 dollars, of which 36 and a billionth were spent, and 12 just now: 47 are left, which is 3 requests.
	var passed atomic.Int64
	var all sync.WaitGroup
	for i := range 30 {
		all.Go(func() {
			resp, _, err := c.call(i%2, "sk-bot-of-the-team", "/bria")
			switch {
			case err != nil:
				t.Error(err)
			case resp.StatusCode == http.StatusOK:
				passed.Add(1)
			case resp.StatusCode != http.StatusPaymentRequired:
				t.Errorf("status %d", resp.StatusCode)
			}
		})
	}
	all.Wait()
	for passed.Load() < 3 {
		if status, _ := c.finally(int(passed.Load())%2, "sk-bot-of-the-team", "/bria"); status != http.StatusOK {
			break
		}
		passed.Add(1)
	}
	if passed.Load() != 3 {
		t.Errorf("%d requests passed, want 3", passed.Load())
	}
	if status, _ := c.finally(1, "sk-bot-of-the-team", "/bria"); status != http.StatusPaymentRequired {
		t.Errorf("one more: %d", status)
	}

	// Again, with and without asking what would change.
	if _, stderr := c.importDump(dump, "--diff"); !strings.Contains(stderr, "nothing to do") {
		t.Errorf("a second import would do something: %s", stderr)
	}
	if _, stderr := c.importDump(dump); !strings.Contains(stderr, "nothing to do") {
		t.Errorf("a second import did something: %s", stderr)
	}
	want := nanos(t, "84.000000001")
	testenv.Eventually(t, eventually, func() error {
		if got := c.dollars(c.state("key-bot").GetSpent()); got != want {
			return fmt.Errorf("%s are spent of the budget, want %s", got, want)
		}
		return nil
	})
	c.awaitSpent(nanos(t, "48.5")) // requests only: what was spent before is in no usage

	out, _, code := c.cli("requests", "list", "--outcome", "opening", "-o", "json")
	var openings []json.RawMessage
	if err := json.Unmarshal([]byte(out), &openings); err != nil || code != 0 || len(openings) != 2 {
		t.Errorf("openings: %v, %d: %s", err, code, out)
	}
	if out, stderr, code := c.books("verify"); code != 0 {
		t.Errorf("the books: %s %s", out, stderr)
	}
	if keys, err := c.rpc.keys.GetKey(t.Context(), &controlv1.GetKeyRequest{Key: "bot"}); err != nil || keys.GetKey().GetManagedBy() != "" {
		t.Errorf("the key: %v, %v", keys, err)
	}
}

// Guarantee (LiteLLM's cases A2 and A9): an endpoint that LiteLLM let anyone call, or of which it does not say, needs a key, and the
// report says so once for each.
func TestImportOfLiteLLMClosesOpenPaths(t *testing.T) {
	t.Parallel()
	c := start(t)
	_, stderr := c.importDump(liteLLMDump(c.vendor.URL, false))
	if n := strings.Count(stderr, "LiteLLM lets anyone call this path"); n != 1 {
		t.Errorf("A2 is said %d times: %s", n, stderr)
	}
	if n := strings.Count(stderr, "It does not say auth"); n != 1 {
		t.Errorf("A9 is said %d times: %s", n, stderr)
	}
	c.awaitLive()
	for _, path := range []string{"/bria", "/bria/below", "/other"} {
		if status, code := c.finally(0, "", path); status != http.StatusUnauthorized || code != "key_missing" {
			t.Errorf("%s: %d %s", path, status, code)
		}
	}
}
