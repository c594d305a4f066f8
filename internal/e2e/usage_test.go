package e2e_test

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	controlv1 "tollgate/gen/tollgate/control/v1"
	"tollgate/internal/contract"
	"tollgate/internal/money"
	"tollgate/internal/testenv"
	"tollgate/internal/testenv/vendor"
)

// perEvent makes an endpoint cost so much for each event of a stream.
func perEvent(c *cluster, price, hold string) func(*controlv1.Endpoint) {
	return func(e *controlv1.Endpoint) {
		e.Price = &controlv1.Price{Kind: &controlv1.Price_Usage_{Usage: &controlv1.Price_Usage{
			Hold: contract.MoneyToProto(nanos(c.t, hold)), Bound: controlv1.Price_BOUND_ESTIMATE,
			Rates: []*controlv1.Price_Rate{{Unit: controlv1.Price_UNIT_RESPONSE_EVENTS, PerMillion: contract.MoneyToProto(1_000_000 * nanos(c.t, price))}},
		}}}
	}
}

// Guarantee: a stream that costs what it uses is cut off where the budget ends, between two events: the
// caller gets an event that says why, and a stream that nobody takes for complete; the record of the
// request says that it was cut and what it cost, and that is what the budget has spent.
func TestStreamIsCutWhereTheBudgetEnds(t *testing.T) {
	t.Parallel()
	c := start(t)
	c.endpoint("chat", "/chat", "", perEvent(c, "0.01", "0.02"))
	key := c.key("ci-bot")
	c.budget("small", "ci-bot", "0.055")
	c.awaitLive()
	stream, answer := vendor.SSE()
	c.vendor.Next(answer)
	sent := make(chan struct{})
	go func() {
		defer close(sent)
		for i := 0; stream.TrySend(t, fmt.Sprintf("data: %d\n\n", i)) && i < 1000; i++ {
			continue
		}
	}()
	resp, body, err := c.call(0, key, "/chat/x")
	<-sent
	if resp == nil || resp.StatusCode != http.StatusOK || err == nil {
		t.Fatalf("%v, %v: a stream that was cut looks complete:\n%s", resp, err, body)
	}
	text, why, cut := strings.Cut(string(body), "event: error\ndata: ")
	if text != "data: 0\n\ndata: 1\n\ndata: 2\n\ndata: 3\n\ndata: 4\n\n" || !cut {
		t.Errorf("the caller got\n%s", body)
	}
	if r := refusalOf([]byte(why)); r.Code != "budget_exhausted" || !strings.Contains(r.Message, "cut off") || !strings.Contains(r.Message, "small") {
		t.Errorf("the last event is %q", why)
	}
	c.awaitSpent(nanos(t, "0.05"))
	stdout, stderr, code := c.cli("requests", "list", "--outcome", "cut", "--since", "1h", "-o", "json")
	if code != 0 || strings.Count(stdout, `"0.05"`) == 0 || !strings.Contains(stdout, resp.Header.Get("X-Tollgate-Request-Id")) {
		t.Errorf("requests list exited %d:\n%s%s", code, stdout, stderr)
	}
	if got := c.dollars(c.state("small").GetSpent()); got != nanos(t, "0.05") {
		t.Errorf("the budget has spent %s", got)
	}
}

// Guarantee: an export of requests has a line for each request that the vendor saw, at what the vendor is
// owed for it; a comparison with the vendor's own invoice finds no difference, and one that is there.
func TestExportIsWhatTheVendorCounted(t *testing.T) {
	t.Parallel()
	c := start(t, withPartitions(2))
	const base, rate = 1_000_003, 2_000_001_000 // nano-dollars for each answered request, and for a million bytes
	for _, name := range []string{"sized", "free", "fixed"} {
		c.endpoint(name, "/"+name, "", func(e *controlv1.Endpoint) {
			e.Targets[0].Url += "/" + name
			switch name {
			case "fixed":
				e.Price = fixed(t, "0.000000017")
			case "sized":
				e.Price = &controlv1.Price{Kind: &controlv1.Price_Usage_{Usage: &controlv1.Price_Usage{
					PerRequest: contract.MoneyToProto(base), Hold: contract.MoneyToProto(nanos(t, "0.5")),
					Rates: []*controlv1.Price_Rate{{Unit: controlv1.Price_UNIT_RESPONSE_BYTES, PerMillion: contract.MoneyToProto(rate)}},
				}}}
			}
		})
	}
	var mu sync.Mutex
	dice := rand.New(rand.NewPCG(7, 7))
	owed, seen := map[string]money.Nanos{}, map[string]int{}
	c.vendor.Handle(func(w http.ResponseWriter, r *http.Request) {
		name := strings.Trim(r.URL.Path, "/")
		mu.Lock()
		size, fails := dice.IntN(5000), dice.IntN(5) == 0
		seen[name]++
		switch {
		case fails:
		case name == "sized":
			owed[name] += base + money.Nanos((rate*int64(size)+999_999)/1_000_000)
		case name == "fixed":
			owed[name] += 17
		}
		mu.Unlock()
		if fails {
			w.WriteHeader(http.StatusInternalServerError)
		}
		_, _ = w.Write(make([]byte, size))
	})
	key := c.key("ci-bot")
	c.budget("plenty", "ci-bot", "1000.00")
	c.budget("all", "ci-bot", "1000.00", func(b *controlv1.Budget) { b.Scope = &controlv1.Budget_Everything{Everything: true} })
	c.awaitLive()
	const calls = 90
	day := time.Now().UTC().Format(time.DateOnly)
	for i := range calls {
		if _, _, err := c.call(i%2, key, "/"+[]string{"sized", "free", "fixed"}[i%3]); err != nil {
			t.Fatal(err)
		}
	}
	c.awaitSpent(owed["sized"] + owed["fixed"])
	testenv.Eventually(t, eventually, func() error {
		_, row, err := c.spent()
		if err == nil && row.GetRequests() != calls {
			err = fmt.Errorf("%d requests are booked", row.GetRequests())
		}
		return err
	})

	dir := t.TempDir()
	file := filepath.Join(dir, "requests.csv")
	if stdout, stderr, code := c.cli("requests", "export", "--since", "1h", "--format", "csv", "--file", file); code != 0 {
		t.Fatalf("requests export exited %d:\n%s%s", code, stdout, stderr)
	}
	raw, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	lines, err := csv.NewReader(bytes.NewReader(raw)).ReadAll()
	if err != nil || len(lines) != 1+calls {
		t.Fatalf("%d lines, %v", len(lines), err)
	}
	column := map[string]int{}
	for i, name := range lines[0] {
		column[name] = i
	}
	got, rows := map[string]money.Nanos{}, map[string]int{}
	for _, l := range lines[1:] {
		name := l[column["endpoint_name"]]
		rows[name]++
		got[name] += nanos(t, l[column["cost_usd"]])
	}
	for _, name := range []string{"sized", "free", "fixed"} {
		if got[name] != owed[name] || rows[name] != seen[name] {
			t.Errorf("%s: the export has %d requests and %s, the vendor %d and %s", name, rows[name], got[name], seen[name], owed[name])
		}
	}

	reconcile := func(sized money.Nanos) (string, int) {
		t.Helper()
		invoice := filepath.Join(dir, "invoice.csv")
		text := fmt.Sprintf("date,sku,amount\n%s,sized,%s\n%s,fixed,%s\n%s,free,0\n", day, sized, day, owed["fixed"], day)
		if err := os.WriteFile(invoice, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		stdout, stderr, code := c.cli("reconcile", invoice, "--subject-column", "sku")
		return stdout + stderr, code
	}
	if day != time.Now().UTC().Format(time.DateOnly) {
		t.Log("the day ended meanwhile: the invoice of one day cannot be compared")
		return
	}
	if out, code := reconcile(owed["sized"]); code != 0 {
		t.Errorf("reconcile exited %d:\n%s", code, out)
	}
	if out, code := reconcile(owed["sized"] + 1); code != 10 {
		t.Errorf("reconcile with a wrong invoice exited %d:\n%s", code, out)
	}
}

// Guarantee: damage to the sums of usage is found by `ledger verify`, which changes nothing, and put right
// by `ledger rebuild` from the records, to what the vendor counted.
func TestDamagedSumsAreRebuilt(t *testing.T) {
	t.Parallel()
	c := start(t, withPartitions(2))
	c.endpoint("bria", "/bria", "0.01")
	key := c.key("ci-bot", func(r *controlv1.CreateKeyRequest) { r.Tags = []string{"nightly", "eu"} })
	c.budget("plenty", "ci-bot", "10.00")
	c.awaitLive()
	const calls = 20
	for i := range calls {
		c.passes(i%2, key, "/bria/x")
	}
	c.awaitSpent(calls * nanos(t, "0.01"))
	testenv.Eventually(t, eventually, func() error { // sums are folded now and then
		if c.number(`SELECT count(*) FROM ledger.usage_day_sums`) == 0 || c.number(`SELECT count(*) FROM ledger.usage_delta`) > 0 {
			return errStillThere
		}
		return nil
	})
	type report struct {
		OK     bool
		Checks []struct {
			Name string
			OK   bool
		}
	}
	verify := func() (r report, code int) {
		t.Helper()
		stdout, stderr, code := c.books("verify", "--json")
		if err := json.Unmarshal([]byte(stdout), &r); err != nil {
			t.Fatalf("ledger verify exited %d:\n%s%s", code, stdout, stderr)
		}
		return r, code
	}
	if r, code := verify(); code != 0 || !r.OK {
		t.Fatalf("ledger verify exited %d before anything was damaged: %+v", code, r)
	}
	db := c.db()
	for _, sql := range []string{
		`UPDATE ledger.usage_hour_sums SET cost_nanos = cost_nanos + 5, requests = requests - 1`,
		`DELETE FROM ledger.usage_day_sums`,
		`UPDATE ledger.usage_tag_hour_sums SET units = units * 2`,
	} {
		if tag, err := db.Exec(t.Context(), sql); err != nil || tag.RowsAffected() == 0 {
			t.Fatalf("%s: %v %v", sql, tag, err)
		}
	}
	broken := map[string]bool{}
	r, code := verify()
	for _, check := range r.Checks {
		broken[check.Name] = !check.OK
	}
	if code != 1 || r.OK || !broken["usage"] || !broken["days"] || !broken["usage-by-tag"] || broken["draws"] || broken["allocated"] {
		t.Errorf("ledger verify exited %d and found broken: %v", code, broken)
	}
	if stdout, stderr, code := c.books("rebuild", "--dry-run"); code != 0 {
		t.Errorf("ledger rebuild --dry-run exited %d:\n%s%s", code, stdout, stderr)
	}
	if _, code := verify(); code != 1 {
		t.Errorf("a dry run has repaired something: verify exited %d", code)
	}
	if stdout, stderr, code := c.books("rebuild"); code != 0 {
		t.Errorf("ledger rebuild exited %d:\n%s%s", code, stdout, stderr)
	}
	if r, code := verify(); code != 0 {
		t.Errorf("ledger verify exited %d after the rebuild: %+v", code, r)
	}
	got, row, err := c.spent()
	if err != nil || got != calls*nanos(t, "0.01") || row.GetRequests() != calls {
		t.Errorf("usage is %s of %s requests, %v", got, strconv.FormatInt(row.GetRequests(), 10), err)
	}
}
