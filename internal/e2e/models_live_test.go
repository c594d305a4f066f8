package e2e_test

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/tidwall/gjson"

	"tollgate/internal/money"
	"tollgate/internal/testenv"
	"tollgate/internal/testenv/schemas"
	"tollgate/internal/testenv/vendor"
)

// goingOn is a stream of Messages, translated from Chat Completions, that has begun and is the test's to end.
type goingOn struct {
	stream *vendor.Stream
	resp   *http.Response
	read   string
}

// begin asks an edge for a stream and gives it when its first words have come.
func (c *cluster) begin(edge int, key, name string, v *modelVendor) *goingOn {
	c.t.Helper()
	stream, answer := vendor.SSE()
	v.Next(answer)
	g := &goingOn{stream: stream, resp: c.open(edge, http.MethodPost, key, "/"+name+"/v1/messages", languages["messages"].ask(name, 50, true))}
	c.t.Cleanup(func() { _ = g.resp.Body.Close() })
	for _, e := range chatEvents(0)[:2] {
		stream.Send(c.t, e)
	}
	g.read = readUntil(c.t, g.resp.Body, "Hello")
	return g
}

// finish lets the vendor send the rest, and checks that all of it came.
func (g *goingOn) finish(t *testing.T, out int) {
	t.Helper()
	for _, e := range chatEvents(out)[2:] {
		g.stream.Send(t, e)
	}
	g.stream.End(t)
	rest, err := io.ReadAll(g.resp.Body)
	if err == nil {
		err = languages["messages"].answered(g.resp, g.read+string(rest), true)
	}
	if err != nil {
		t.Errorf("the stream that went on: %v", err)
	}
}

// A new price, a new deployment in place of another, models that a key may no longer have and a model that is gone hold on every edge;
// what goes on meanwhile ends as it began, at the price of its beginning.
func changesLeaveAloneWhatGoesOn(c *cluster) {
	t := c.t
	const name, most = "live", 50
	before, after, others := rates{2_500, 10_000}, rates{2_500, 70_000}, rates{3_000, 11_000}
	first, second := openai(t, before, inFull), openai(t, others, inFull)
	c.model(name, modelHold, map[string]*modelVendor{"first": first}, []string{"first"})
	key := c.key(name)
	c.awaitLive()
	l, want, records := languages["messages"], money.Nanos(0), 0
	everywhere := func(check func(edge int, resp *http.Response, text string)) {
		t.Helper()
		for edge := range 2 {
			resp, text := c.post(edge, key, "/"+name+l.path, l.ask(name, most, false))
			check(edge, resp, text)
		}
	}
	served := func(by string, cost money.Nanos) func(int, *http.Response, string) {
		return func(edge int, resp *http.Response, text string) {
			t.Helper()
			if err := l.answered(resp, text, false); err != nil || resp.Header.Get("X-Tollgate-Model") != name+"/"+by {
				t.Errorf("edge %d: %s served: %v", edge+1, resp.Header.Get("X-Tollgate-Model"), err)
			}
			want, records = want+cost, records+1
		}
	}
	refused := func(status int, code string) func(int, *http.Response, string) {
		return func(edge int, resp *http.Response, text string) {
			t.Helper()
			if err := schemas.Check("anthropic-error", []byte(text)); err != nil || resp.StatusCode != status || resp.Header.Get("X-Tollgate-Error") != code {
				t.Errorf("edge %d: %s %v, not %s: %s", edge+1, resp.Status, err, code, text)
			}
		}
	}
	listed := func(yes bool) {
		t.Helper()
		for edge := range 2 {
			resp, text := c.do(edge, http.MethodGet, key, "/"+name+"/v1/models", "")
			if resp.StatusCode != http.StatusOK || gjson.Get(text, `data.#(id=="`+name+`")`).Exists() != yes {
				t.Errorf("edge %d: listed should be %v: %s %s", edge+1, yes, resp.Status, text)
			}
		}
	}
	everywhere(served("first", before.of(most)))
	listed(true)
	old := []*goingOn{c.begin(0, key, name, first), c.begin(1, key, name, first)}

	document, _, _ := c.cli("model", "show", name, "-o", "yaml")
	changed := strings.ReplaceAll(document, before.out.String(), after.out.String())
	if changed == document {
		t.Fatalf("no price in %s", document)
	}
	c.does("model", "update", name, "-f", c.file("model.yaml", []byte(changed)))
	c.awaitLive()
	everywhere(served("first", after.of(most)))

	c.deploy("add-deployment", name, "second", second, modelHold)
	c.awaitLive()
	first.Next(vendor.JSON(http.StatusServiceUnavailable, `{"error":{"message":"busy"}}`), vendor.JSON(http.StatusServiceUnavailable, `{"error":{"message":"busy"}}`))
	everywhere(served("second", others.of(most)))
	records += 2 // those that were answered 503
	c.does("model", "remove-deployment", name, "first")
	c.awaitLive()
	everywhere(served("second", others.of(most)))
	for i, g := range old {
		g.finish(t, 40+i)
		want, records = want+before.of(40+i), records+1
	}

	newer := []*goingOn{c.begin(0, key, name, second), c.begin(1, key, name, second)}
	c.does("key", "update", name, "--models", "another*")
	c.awaitLive()
	everywhere(refused(http.StatusForbidden, "model_not_allowed"))
	listed(false)
	c.does("key", "update", name, "--models", "l*e")
	c.awaitLive()
	everywhere(served("second", others.of(most)))
	listed(true)
	seen := first.Count() + second.Count()
	c.does("model", "delete", name)
	c.awaitLive()
	everywhere(refused(http.StatusNotFound, "model_not_found"))
	listed(false)
	if n := first.Count() + second.Count(); n != seen {
		t.Errorf("%d requests of a model that is gone came to a vendor", n-seen)
	}
	for i, g := range newer {
		g.finish(t, 30+i)
		want, records = want+others.of(30+i), records+1
	}
	c.usageOf(name, want)
	for _, r := range c.records(name, records) {
		if r.GetUnpriced() {
			t.Errorf("recorded %v", r)
		}
	}
}

// What a killed edge was translating is charged once, with what was held for it, and all else with what it cost. The edge
// without intents loses it: the check can fail.
func translatedStreamsOfAKilledEdge(c *cluster) {
	t := c.t
	const most, streams = 50, 4
	price := rates{2_500, 10_000}
	for _, tc := range []struct {
		name string
		edge int
		kept int // of the streams that were cut off
	}{{"killed", 0, streams}, {"killed-bare", withoutIntents, 0}} {
		v := openai(t, price, func() int { return 2 })
		c.model(tc.name, modelHold, map[string]*modelVendor{"openai": v}, []string{"openai"})
		key := c.key(tc.name)
		c.budget(tc.name, tc.name, "1.00")
		c.awaitLive()
		ask := func() {
			t.Helper()
			resp, text := c.post(tc.edge, key, "/"+tc.name+"/v1/messages", languages["messages"].ask(tc.name, most, true))
			if err := languages["messages"].answered(resp, text, true); err != nil {
				t.Fatal(err)
			}
		}
		ask()
		c.usageOf(tc.name, price.of(most/2)) // so that nothing is on its way that a crash could take
		var cut []*goingOn
		for range streams {
			cut = append(cut, c.begin(tc.edge, key, tc.name, v))
		}
		c.edges[tc.edge].kill()
		for _, g := range cut {
			rest, err := io.ReadAll(g.resp.Body)
			if text := g.read + string(rest); err == nil || strings.Contains(text, "message_stop") {
				t.Errorf("%s: a stream of a dead edge looks whole: %v %s", tc.name, err, text)
			}
			g.stream.AwaitGone(t)
		}
		c.edges[tc.edge].start()
		c.edges[tc.edge].awaitHTTP("http://" + c.edgeAddrs[tc.edge] + "/-/readyz")
		ask() // is booked behind what the edge found when it began
		want := 2*price.of(most/2) + money.Nanos(tc.kept)*price.of(most)
		c.usageOf(tc.name, want)
		found := map[string]int{}
		for _, r := range c.records(tc.name, 2+tc.kept) {
			found[r.GetRequestId()]++
			whole := r.GetOutcome() == "ok" && c.dollars(r.GetCost()) == price.of(most/2)
			lost := r.GetOutcome() != "ok" && c.dollars(r.GetCost()) == price.of(most)
			if !whole && !lost || r.GetDeployment() != tc.name+"/openai" || found[r.GetRequestId()] > 1 {
				t.Errorf("%s: recorded %v", tc.name, r)
			}
		}
		testenv.Eventually(t, eventually, func() error {
			if spent := c.dollars(c.state(tc.name).GetSpent()); spent != want {
				return fmt.Errorf("%s: the budget has spent %s, not %s", tc.name, spent, want)
			}
			return nil
		})
	}
}

// An edge that starts while nothing else runs serves models in every language, and its books are complete when all is back.
func modelsOutliveEverythingElse(c *cluster) {
	t := c.t
	const name, most = "cold", 50
	v := openai(t, rates{2_500, 10_000}, inFull)
	c.model(name, modelHold, map[string]*modelVendor{"openai": v}, []string{"openai"})
	key := c.key(name)
	c.awaitLive()
	down := []*process{c.edges[1], c.control, c.ledger, c.nats}
	for _, p := range down {
		p.kill()
	}
	c.edges[1].start()
	c.edges[1].awaitHTTP("http://" + c.edgeAddrs[1] + "/-/readyz")
	for _, lang := range spoken {
		for _, stream := range []bool{false, true} {
			l := languages[lang]
			resp, text := c.post(1, key, "/"+name+l.path, l.ask(name, most, stream))
			if err := l.answered(resp, text, stream); err != nil {
				t.Errorf("%s, stream %v: %v", lang, stream, err)
			}
		}
	}
	c.nats.start()
	c.control.start()
	c.ledger.start()
	c.awaitReady()
	c.awaitLive()
	c.usageOf(name, money.Nanos(v.owed.Load()))
	if got := c.records(name, 6); len(got) != 6 {
		t.Errorf("recorded %v", got)
	}
}
