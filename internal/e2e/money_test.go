package e2e_test

import (
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	controlv1 "tollgate/gen/tollgate/control/v1"
	"tollgate/internal/contract"
	"tollgate/internal/money"
	"tollgate/internal/testenv"
)

// Guarantee: a fixed price is charged exactly: what the vendor counted, the RPC, the CLI and the
// database say the same; and sub-paths map onto the target's.
func TestThreeCallsCostExactly36Dollars(t *testing.T) {
	t.Parallel()
	c := start(t)
	c.endpoint("bria", "/bria", "12.00")
	key := c.key("ci-bot")
	c.budget("ci-bot-total", "ci-bot", "100.00")
	c.awaitLive()

	paths := map[string]string{
		"/bria":                             "/",
		"/bria/v1/text-to-image/base/model": "/v1/text-to-image/base/model",
		"/bria/v1/enhance_image?x=1&x=2":    "/v1/enhance_image?x=1&x=2",
	}
	left := map[string]bool{"88.00": true, "76.00": true, "64.00": true}
	for path := range paths {
		resp, body, err := c.call(0, key, path)
		if err != nil || resp.StatusCode != http.StatusOK {
			t.Fatalf("%s: %v %v %s", path, err, resp, body)
		}
		if got := resp.Header.Get("X-Tollgate-Cost"); got != "12.00" {
			t.Errorf("%s cost %q", path, got)
		}
		if got := resp.Header.Get("X-Tollgate-Budget-Remaining"); !left[got] {
			t.Errorf("%s leaves %q; want one of %v", path, got, left)
		} else {
			delete(left, got)
		}
	}
	seen := map[string]bool{}
	for _, r := range c.vendor.Requests() {
		seen[r.URI] = true
		if got := r.Get("api_token"); got != vendorToken {
			t.Errorf("%s arrived with credential %q", r.URI, got)
		}
	}
	for path, want := range paths {
		if !seen[want] {
			t.Errorf("%s did not arrive as %s: %v", path, want, seen)
		}
	}

	const want = 36 * money.Dollar
	c.awaitSpent(want)
	stdout, stderr, code := c.cli("usage", "--group-by", "endpoint,key", "-o", "json")
	if code != 0 || !strings.Contains(stdout, `"36.00"`) || !strings.Contains(stdout, "ci-bot") {
		t.Errorf("usage exited %d:\n%s%s", code, stdout, stderr)
	}
	conn := c.db()
	var usage, consumed int64
	if err := conn.QueryRow(t.Context(), `SELECT
		(SELECT sum(cost_nanos)::bigint FROM ledger.usage_by_day), (SELECT sum(consumed)::bigint FROM ledger.lease)`).Scan(&usage, &consumed); err != nil {
		t.Fatal(err)
	}
	if money.Nanos(usage) != want || money.Nanos(consumed) != want {
		t.Errorf("the database has usage %s and consumed %s; want %s", money.Nanos(usage), money.Nanos(consumed), want)
	}
	resp, err := c.rpc.budgets.GetBudgetState(t.Context(), &controlv1.GetBudgetStateRequest{Budget: "ci-bot-total"})
	if err != nil {
		t.Fatal(err)
	}
	if got, err := contract.MoneyFromProto(resp.GetState().GetSpent()); err != nil || got != want {
		t.Errorf("budget spent = %s, %v", got, err)
	}
	if got, err := contract.MoneyFromProto(resp.GetState().GetRemaining()); err != nil || got != 64*money.Dollar {
		t.Errorf("budget remaining = %s, %v", got, err)
	}
}

// Guarantee: a budget cannot be overspent by any number of edges, and is spent to the last request
// that fits.
func TestBudgetIsNeverOverspent(t *testing.T) {
	t.Parallel()
	c := start(t)
	c.endpoint("bria", "/bria", "12.00")
	key := c.key("ci-bot")
	c.budget("fifty", "ci-bot", "50.00")
	c.awaitLive()

	const calls = 40
	statuses, codes := make([]int, calls), make([]string, calls)
	gate := make(chan struct{})
	var wg sync.WaitGroup
	for i := range calls {
		wg.Go(func() {
			<-gate
			resp, body, err := c.call(i%2, key, "/bria/v1/x")
			if err != nil {
				t.Errorf("call %d: %v", i, err)
				return
			}
			statuses[i], codes[i] = resp.StatusCode, errorCode(body)
		})
	}
	close(gate)
	wg.Wait()
	passed, refused := 0, 0
	for i := range calls {
		switch {
		case statuses[i] == http.StatusOK:
			passed++
		case statuses[i] == http.StatusPaymentRequired && codes[i] == "budget_exhausted":
			refused++
		default:
			t.Errorf("call %d: %d %s", i, statuses[i], codes[i])
		}
	}
	if passed != 4 || refused != 36 || c.vendor.Count() != 4 {
		t.Errorf("%d passed, %d were refused, the vendor saw %d; want 4, 36, 4", passed, refused, c.vendor.Count())
	}
	c.awaitSpent(48 * money.Dollar)
}

func errorCode(body []byte) string {
	var e struct {
		Error struct {
			Code string `json:"code"`
		} `json:"error"`
	}
	_ = json.Unmarshal(body, &e)
	return e.Error.Code
}

// Guarantee: a revoked key is refused on every reachable edge within a second of the RPC's return;
// a new endpoint is live on both, and nodes says at which revision each is.
func TestChangesReachEveryEdge(t *testing.T) {
	t.Parallel()
	c := start(t)
	c.endpoint("bria", "/bria", "")
	c.promptly("revoking a key", func() time.Duration {
		name := "ci-bot-" + strconv.FormatInt(time.Now().UnixNano(), 10)
		key := c.key(name)
		c.awaitLive()
		for edge := range c.edges {
			if resp, body, err := c.call(edge, key, "/bria/v1/x"); err != nil || resp.StatusCode != http.StatusOK {
				t.Fatalf("edge %d: %v %v %s", edge, err, resp, body)
			}
		}
		c.must(c.rpc.keys.RevokeKey(t.Context(), &controlv1.RevokeKeyRequest{Key: name}))
		returned := time.Now()
		for edge := range c.edges {
			testenv.Eventually(t, eventually, func() error {
				resp, body, err := c.call(edge, key, "/bria/v1/x")
				if err != nil {
					return err
				}
				if resp.StatusCode != http.StatusUnauthorized || errorCode(body) != "key_revoked" {
					return errStillThere
				}
				return nil
			})
		}
		return time.Since(returned)
	})

	c.endpoint("second", "/second", "")
	other := c.key("other")
	c.awaitLive()
	for edge := range c.edges {
		if resp, body, err := c.call(edge, other, "/second/x"); err != nil || resp.StatusCode != http.StatusOK {
			t.Errorf("edge %d: %v %v %s", edge, err, resp, body)
		}
	}
	stdout, stderr, code := c.cli("nodes", "-o", "json")
	if code != 0 || !strings.Contains(stdout, "edge-1") || !strings.Contains(stdout, "edge-2") || !strings.Contains(stdout, "revision") {
		t.Errorf("nodes exited %d:\n%s%s", code, stdout, stderr)
	}
}
