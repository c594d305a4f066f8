package e2e_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"tollgate/internal/money"
	"tollgate/internal/testenv"
	"tollgate/internal/testenv/vendor"
)

// Guarantee: what calls cost is known exactly in a whole deployment, from the vendor's answer to the books: of templates
// and of prices of one's own, of streams however they end, of jobs whoever asks after them, within budgets, and while
// prices change. Each part says what; they share a deployment, and the last one kills a part of it.
func TestMeters(t *testing.T) {
	t.Parallel()
	c := start(t, withMetrics)
	for _, name := range []string{"openai", "replicate"} {
		c.does("secret", "create", name, "--value-file", c.file(name, []byte(credential)))
	}
	c.atOnce(map[string]func(*cluster){
		"templates":   templatesAreExact,
		"usage":       usageIsAskedFor,
		"streams":     streamsThatEnd,
		"bounds":      boundsAreKept,
		"refunds":     refundsAreUsable,
		"admission":   priceOfAdmission,
		"book":        bookReachesEveryEdge,
		"unread":      unreadIsUnpriced,
		"jobs":        jobsAreChargedOnce,
		"failed jobs": failedJobsAreRefunded,
	})
	t.Run("killed edge", func(t *testing.T) { jobsOutliveAnEdge(c.within(t)) })
}

// tokens is a price of a cent a token out and a tenth of that a token in. Words in capitals are put in.
const tokens = `
metered:
  unmatched: UNMATCHED
  fallback: "0.05"
  meters:
    - name: chat
      match: {methods: [POST], path: ^/chat$}
      model: [{frame: model}, {request: model}]
      counters:
        - {name: prompt, sources: [{frame: usage.prompt_tokens}]}
        - {name: output, sources: [{frame: usage.completion_tokens}]}
      units: [{name: input, add: [prompt]}, {name: output}]
      prices: [{model: "*", rates: [{unit: input, price: "0.001"}, {unit: output, price: "OUT"}]}]
      hold: HOLD
`

const (
	smallHold = `{amount: "0.000001"}`
	boundHold = `{bounds: [{unit: input, sources: [{measure: request_bytes}]}, {unit: output, sources: [{request: max_tokens}]}], least: "0.001"}`
)

// priced writes the price into a file. The first one of a word that is put in counts.
func (c *cluster) priced(words ...string) string {
	c.t.Helper()
	words = append(words, "UNMATCHED", "refuse", "OUT", "0.01", "HOLD", smallHold)
	return c.file("price.yaml", []byte(strings.NewReplacer(words...).Replace(tokens)))
}

// metered makes an endpoint with that price, and a vendor of its own.
func (c *cluster) metered(name string, words ...string) *vendor.Vendor {
	c.t.Helper()
	v := vendor.New(c.t)
	c.does("endpoint", "create", name, "--path", "/"+name, "--target", v.URL, "--price-file", c.priced(words...))
	return v
}

// tokensSoFar is an event that tells how many tokens there were by now.
func tokensSoFar(k int) string {
	return fmt.Sprintf("data: {\"model\":\"gpt\",\"choices\":[{\"delta\":{}}],\"usage\":{\"prompt_tokens\":10,\"completion_tokens\":%d}}\n\n", k)
}

// costs is what the gateway must charge after k of these events.
func costs(k int) money.Nanos { return 10*money.Dollar/1000 + money.Nanos(k)*money.Dollar/100 }

// However a stream ends there is one record, with the counters of the last event, what they cost and the fallback
// for what is not known.
func streamsThatEnd(c *cluster) {
	t := c.t
	v := c.metered("ends")
	key, poor := c.key("ends"), c.key("ends-poor")
	const k = 3
	all := costs(k) + costs(1)/10 // there is, for who has a budget
	c.budget("ends-poor", "ends-poor", all.String())
	c.awaitLive()
	for i, tc := range []struct {
		outcome string
		counts  int
		end     func(s *vendor.Stream, resp *http.Response, leave func())
	}{
		{"caller_gone", k, func(s *vendor.Stream, _ *http.Response, leave func()) {
			leave()
			s.AwaitGone(t)
		}},
		{"interrupted", k, func(s *vendor.Stream, resp *http.Response, _ func()) {
			s.Abort(t)
			if rest, err := io.ReadAll(resp.Body); err == nil {
				t.Errorf("a stream that the vendor broke off looks complete: %q", rest)
			}
		}},
		{"cut", k + 1, func(s *vendor.Stream, resp *http.Response, _ func()) {
			s.Send(t, tokensSoFar(k+1)) // is read, and does not go on
			rest, err := io.ReadAll(resp.Body)
			why, cut := strings.CutPrefix(string(rest), "event: error\ndata: ")
			if r := refusalOf([]byte(why)); err == nil || !cut || r.Code != "budget_exhausted" || !strings.Contains(r.Message, "ends-poor") {
				t.Errorf("%v: the caller got at the end\n%s", err, rest)
			}
			s.AwaitGone(t)
		}},
	} {
		stream, answer := vendor.SSE()
		v.Next(answer)
		ctx, leave := context.WithCancel(t.Context())
		defer leave()
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+c.edgeAddrs[i%2]+"/ends/chat", strings.NewReader(asksForStream))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer "+map[bool]string{true: poor, false: key}[tc.outcome == "cut"])
		resp, err := plain.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		for n := 1; n <= k; n++ {
			stream.Send(t, tokensSoFar(n))
			got := make([]byte, len(tokensSoFar(n)))
			if _, err := io.ReadFull(resp.Body, got); err != nil || string(got) != tokensSoFar(n) {
				t.Fatalf("%s: event %d came as %q, %v", tc.outcome, n, got, err)
			}
		}
		tc.end(stream, resp, leave)
		// As much was held as was told of; nobody knows of more.
		want := costs(tc.counts)
		if tc.outcome == "cut" {
			want = all
		}
		if r := c.records("ends", i+1)[i]; r.GetOutcome() != tc.outcome || r.GetStatus() != http.StatusOK || !r.GetUnpriced() || c.dollars(r.GetCost()) != want ||
			r.GetCounts()["prompt"] != "10" || r.GetCounts()["output"] != fmt.Sprint(tc.counts) {
			t.Errorf("recorded %v, want %s for %d events, %s", r, want, tc.counts, tc.outcome)
		}
	}
	c.usageOf("ends", 2*costs(k)+all)
}

// asksForTokens is a request whose answer has so many tokens at most.
func asksForTokens(n int) string { return fmt.Sprintf(`{"model":"gpt","max_tokens":%d}`, n) }

// uses answers with as many tokens in as the request has bytes and all tokens out that it may have, divided by a
// number, and adds up what that costs.
func uses(t *testing.T, divided int, owed *atomic.Int64) http.HandlerFunc {
	t.Helper()
	return func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		var asked struct {
			MaxTokens int `json:"max_tokens"`
		}
		if err != nil || json.Unmarshal(body, &asked) != nil {
			t.Errorf("the vendor got %q, %v", body, err)
		}
		in, out := len(body)/divided, asked.MaxTokens/divided
		owed.Add(int64(in)*int64(money.Dollar)/1000 + int64(out)*int64(money.Dollar)/100)
		vendor.JSON(http.StatusOK, fmt.Sprintf(`{"model":"gpt","usage":{"prompt_tokens":%d,"completion_tokens":%d}}`, in, out))(w, r)
	}
}

// most is what a request with so many tokens may cost.
func most(n int) money.Nanos {
	return money.Nanos(len(asksForTokens(n)))*money.Dollar/1000 + money.Nanos(n)*money.Dollar/100
}

// exhaust has callers of both edges ask until a budget has nothing left for another request.
func (c *cluster) exhaust(key, path, body string, left func() money.Nanos, want money.Nanos) {
	c.t.Helper()
	var callers sync.WaitGroup
	for i := range 16 {
		callers.Go(func() {
			for range 3 {
				if resp, text := c.post(i%2, key, path, body); resp.StatusCode != http.StatusOK && refusalOf([]byte(text)).Code != "budget_exhausted" {
					c.t.Errorf("%s %s", resp.Status, text)
				}
			}
		})
	}
	callers.Wait()
	testenv.Eventually(c.t, eventually, func() error {
		for edge := range c.edges {
			c.post(edge, key, path, body)
		}
		if left() < want {
			return nil
		}
		return fmt.Errorf("%s are left of the budget, and a request needs %s", left(), want)
	})
}

// A budget is not overspent by requests that come at once to all edges and cost all that they may, and is spent
// until it has nothing left for another one.
func boundsAreKept(c *cluster) {
	const n = 50
	c.bounded("bounds", n, 1, 10*most(n)+most(n)/2)
}

// What was held and not charged can be spent: the budget lasts for requests that cost a tenth of what they may.
func refundsAreUsable(c *cluster) {
	const n = 50
	c.bounded("refunds", n, 10, 4*most(n)+most(n)/2)
}

func (c *cluster) bounded(name string, n, divided int, amount money.Nanos) {
	t := c.t
	v := c.metered(name, "HOLD", boundHold)
	var owed atomic.Int64
	v.Handle(uses(t, divided, &owed))
	key := c.key(name)
	c.budget(name, name, amount.String())
	c.awaitLive()
	var said struct {
		Hold         struct{ Amount string }
		Meter, Model string
		HoldReason   string
	}
	out, _, _ := c.cli("explain", "POST", "/"+name+"/chat", "--edge", "edge-2", "--key", name, "--body", c.file("body", []byte(asksForTokens(n))), "-o", "json")
	if err := json.Unmarshal([]byte(out), &said); err != nil || nanos(t, said.Hold.Amount) != most(n) || said.Meter != "chat" || said.Model != "gpt" || said.HoldReason == "" {
		t.Errorf("%v: explain says\n%s", err, out)
	}
	left := func() money.Nanos { return amount - money.Nanos(owed.Load()) }
	c.exhaust(key, "/"+name+"/chat", asksForTokens(n), left, most(n))
	if left() < 0 {
		t.Errorf("the vendor is owed %s of a budget of %s", money.Nanos(owed.Load()), amount)
	}
	c.usageOf(name, money.Nanos(owed.Load()))
	testenv.Eventually(t, eventually, func() error {
		if spent := c.dollars(c.state(name).GetSpent()); spent != money.Nanos(owed.Load()) {
			return fmt.Errorf("the budget has spent %s, the vendor counted %s", spent, money.Nanos(owed.Load()))
		}
		return nil
	})
	for _, r := range c.records(name, v.Count()) {
		if r.GetUnpriced() || c.dollars(r.GetReserved()) != most(n) || len(r.GetDraws()) != 1 {
			t.Fatalf("recorded %v, held should be %s", r, most(n))
		}
	}
}

// A request that goes on while its price changes costs what held when it came, and its record says which price that was.
func priceOfAdmission(c *cluster) {
	t := c.t
	v := c.metered("admits")
	key := c.key("admits")
	c.awaitLive()
	ask := func() (*vendor.Stream, *http.Response) {
		stream, answer := vendor.SSE()
		v.Next(answer)
		resp := c.open(1, http.MethodPost, key, "/admits/chat", asksForStream)
		stream.AwaitOpened(t)
		stream.Send(t, tokensSoFar(1))
		return stream, resp
	}
	finish := func(stream *vendor.Stream, resp *http.Response) {
		stream.Send(t, tokensSoFar(2))
		stream.End(t)
		if body, err := io.ReadAll(resp.Body); err != nil || string(body) != tokensSoFar(1)+tokensSoFar(2) {
			t.Errorf("the caller got %q, %v", body, err)
		}
		resp.Body.Close()
	}
	stream, resp := ask()
	c.does("endpoint", "set", "admits", "--price-file", c.priced("OUT", "5"))
	c.awaitLive()
	finish(stream, resp)
	before := c.records("admits", 1)[0]
	finish(ask())
	after := c.records("admits", 2)[1]
	if got := c.dollars(before.GetCost()); got != costs(2) || before.GetUnpriced() {
		t.Errorf("what came before the change cost %s, not %s", got, costs(2))
	}
	if got, want := c.dollars(after.GetCost()), costs(0)+10*money.Dollar; got != want || after.GetUnpriced() {
		t.Errorf("what came after the change cost %s, not %s", got, want)
	}
	if before.GetPriceVersion() == 0 || before.GetPriceVersion() >= after.GetPriceVersion() {
		t.Errorf("the records have the prices of revisions %d and %d", before.GetPriceVersion(), after.GetPriceVersion())
	}
}

// bookAnswer is of a model that only the operator's rows have.
const bookAnswer = `{"model":"acme-1","usage":{"prompt_tokens":100,"completion_tokens":10}}`

// A model that no list has is charged the fallback and says so everywhere, until somebody prices what it has cost; a row that
// is set holds for the next request on every edge, and one in flight keeps what held before.
func bookReachesEveryEdge(c *cluster) {
	t := c.t
	v := vendor.New(t)
	v.Handle(vendor.JSON(http.StatusOK, bookAnswer))
	c.fromTemplate("openai", "book", v)
	key := c.key("book")
	c.awaitLive()
	ask := func(edge int) { c.post(edge, key, "/book/v1/chat/completions", `{"model":"acme-1"}`) }
	for edge := range c.edges {
		ask(edge)
	}
	if row := c.usageOf("book", nanos(t, "0.10")); row.GetUnpriced() != 2 {
		t.Errorf("usage has %v", row)
	}
	for _, r := range c.records("book", 2) {
		if !r.GetUnpriced() || r.GetModel() != "acme-1" || r.GetCounts()["prompt"] != "100" || c.dollars(r.GetCost()) != nanos(t, "0.05") {
			t.Errorf("recorded %v", r)
		}
	}
	wants := []money.Nanos{nanos(t, "0.05"), nanos(t, "0.05")}
	sum := nanos(t, "0.10")
	for _, p := range []struct{ in, out, cost string }{{"3/1M", "12/1M", "0.00042"}, {"30/1M", "0.000000001", "0.00300001"}} {
		held, stalled := vendor.Stall(vendor.JSON(http.StatusOK, bookAnswer))
		v.Next(stalled)
		done := make(chan struct{})
		go func() {
			defer close(done)
			ask(0)
		}()
		held.AwaitOpened(t)
		c.does("prices", "set", "openai", "acme-1", "input="+p.in, "output="+p.out)
		c.awaitLive()
		held.Release()
		<-done
		before := wants[len(wants)-1]
		for edge := range c.edges {
			ask(edge)
		}
		sum += before + 2*nanos(t, p.cost)
		wants = append(wants, before, nanos(t, p.cost), nanos(t, p.cost))
	}
	got := map[money.Nanos]int{}
	for _, r := range c.records("book", len(wants)) {
		got[c.dollars(r.GetCost())]++
	}
	for _, w := range wants {
		got[w]--
	}
	for cost, n := range got {
		if n != 0 {
			t.Errorf("%d more records than there should be cost %s", n, cost)
		}
	}
	if row := c.usageOf("book", sum); row.GetUnpriced() != 3 {
		t.Errorf("usage has %v", row)
	}
	if listed := c.list("book", "--unpriced"); len(listed) != 3 {
		t.Errorf("unpriced are %v", listed)
	}
	out := c.does("requests", "reprice", "--endpoint", "book", "--since", "1h", "--per-request", "0.00042")
	if !strings.Contains(out, "3 requests priced") {
		t.Errorf("reprice says %q", out)
	}
	if row := c.usageOf("book", sum-3*nanos(t, "0.05")+3*nanos(t, "0.00042")); row.GetUnpriced() != 0 {
		t.Errorf("usage has %v after they were priced", row)
	}
	if listed := c.list("book", "--unpriced"); len(listed) != 0 {
		t.Errorf("unpriced are %v after they were priced", listed)
	}
}

// What no meter reads is refused, unless the price says that it goes through; then the caller is told that it is unpriced.
func unreadIsUnpriced(c *cluster) {
	t := c.t
	refuses, passes := c.metered("refuses-unread"), c.metered("passes-unread", "UNMATCHED", "unpriced")
	key := c.key("unread")
	c.awaitLive()
	resp, body := c.post(0, key, "/refuses-unread/other", "{}")
	if resp.StatusCode != http.StatusForbidden || refusalOf([]byte(body)).Code != "not_priced" || refuses.Count() != 0 {
		t.Errorf("%s %s; %d came to the vendor", resp.Status, body, refuses.Count())
	}
	resp, body = c.post(0, key, "/passes-unread/other", "{}")
	if resp.StatusCode != http.StatusOK || resp.Header.Get("X-Tollgate-Cost") != "unpriced" || passes.Count() != 1 {
		t.Errorf("%s %s costs %q", resp.Status, body, resp.Header.Get("X-Tollgate-Cost"))
	}
	r := c.records("passes-unread", 1)[0]
	if counted := `tollgate_edge_unpriced_total{endpoint="passes-unread"} 1`; !strings.Contains(c.metrics(0), counted) {
		t.Errorf("the metrics of edge 1 do not say %s", counted)
	}
	if !r.GetUnpriced() || c.dollars(r.GetCost()) != nanos(t, "0.05") || r.GetMeter() != "" {
		t.Errorf("recorded %v", r)
	}
}
