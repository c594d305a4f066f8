package e2e_test

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/tidwall/gjson"

	"tollgate/internal/money"
	"tollgate/internal/testenv"
	"tollgate/internal/testenv/schemas"
	"tollgate/internal/testenv/vendor"
)

// Guarantee: models are served in a whole deployment as in one edge: what translated answers and streams cost is the vendor's own
// count, exact to the nano-dollar, within budgets, whatever ends them; changes hold on every edge and leave alone what goes on; adapters
// of users fail alone; and nobody sees a credential that is not theirs. Each part says what; they share a deployment, and the last
// ones kill parts of it.
func TestModels(t *testing.T) {
	t.Parallel()
	c := prepare(t, withEdges(3))
	// The negative control of the crash: the same edge without its intents.
	c.edges[withoutIntents].Path = bin.tollgateNoIntents
	c.run()
	for name, value := range map[string]string{"model-openai": openaiCredential, "model-anthropic": anthropicCredential} {
		c.does("secret", "create", name, "--value-file", c.file(name, []byte(value)))
	}
	w := &witness{}
	c.atOnce(map[string]func(*cluster){
		"budget":         translatedWithinBudget,
		"cut":            translatedStreamsAreCut,
		"changes":        changesLeaveAloneWhatGoesOn,
		"vendor adapter": adapterOfADeployment,
		"client adapter": func(c *cluster) { adapterOfAnEndpoint(c, w) },
		"credentials":    func(c *cluster) { credentialsStayWhereTheyBelong(c, w) },
	})
	t.Run("killed edge", func(t *testing.T) { translatedStreamsOfAKilledEdge(c.within(t)) })
	t.Run("cold start", func(t *testing.T) { modelsOutliveEverythingElse(c.within(t)) })
	t.Run("logs", func(t *testing.T) { w.nothingIsLogged(c.within(t)) })
}

// withoutIntents is the edge that loses what it was doing.
const withoutIntents = 2

// Callers of all languages on two edges share a budget over two deployments of different vendors and prices: it is never overspent,
// what was held and not used can be spent, and the books have what each vendor is owed.
func translatedWithinBudget(c *cluster) {
	t := c.t
	const most = 50
	var n atomic.Int64
	part := func() int { return int(n.Add(1)%2)*4 + 1 } // every other answer uses a fifth of what it may
	vendors := map[string]*modelVendor{"openai": openai(t, rates{2_500, 10_000}, part), "claude": anthropic(t, rates{5_001, 20_003}, part)}
	c.model("mix", modelHold, vendors, []string{"openai", "claude"}, "--balance", "weighted")
	key, dearest := c.key("mix"), vendors["claude"].rates.of(most)
	amount := 20*dearest + dearest/2
	c.budget("mix", "mix", amount.String())
	c.awaitLive()
	owed := func() money.Nanos {
		return money.Nanos(vendors["openai"].owed.Load() + vendors["claude"].owed.Load())
	}
	var asked atomic.Int64
	ask := func() {
		i := int(asked.Add(1))
		l, stream := languages[spoken[i%3]], i/3%2 == 0
		resp, text := c.post(i/6%2, key, "/mix"+l.path, l.ask("mix", most, stream))
		if resp.Header.Get("X-Tollgate-Error") == "budget_exhausted" {
			if err := schemas.Check(l.refusal, []byte(text)); err != nil {
				t.Errorf("%v: %s", err, text)
			}
			return
		}
		if err := l.answered(resp, text, stream); err != nil {
			t.Errorf("%s, stream %v, by %s: %v", l.path, stream, resp.Header.Get("X-Tollgate-Model"), err)
		}
	}
	var callers sync.WaitGroup
	for range 16 {
		callers.Go(func() {
			for range 3 {
				ask()
			}
		})
	}
	callers.Wait()
	testenv.Eventually(t, eventually, func() error {
		for range 12 {
			ask()
		}
		if left := amount - owed(); left >= dearest {
			return fmt.Errorf("%s are left of the budget, and a request needs %s", left, dearest)
		}
		return nil
	})
	if owed() > amount {
		t.Errorf("the vendors are owed %s of a budget of %s", owed(), amount)
	}
	c.usageOf("mix", owed())
	testenv.Eventually(t, eventually, func() error {
		if spent := c.dollars(c.state("mix").GetSpent()); spent != owed() {
			return fmt.Errorf("the budget has spent %s, the vendors counted %s", spent, owed())
		}
		return nil
	})
	booked := map[string]money.Nanos{}
	for _, r := range c.records("mix", vendors["openai"].Count()+vendors["claude"].Count()) {
		_, name, _ := strings.Cut(r.GetDeployment(), "/")
		v := vendors[name]
		if v == nil {
			t.Fatalf("recorded %v", r)
		}
		out := gjson.Parse(r.GetCounts()["output"]).Int()
		if cost := c.dollars(r.GetCost()); cost != v.rates.of(int(out)) || r.GetUnpriced() || r.GetOutcome() != "ok" || r.GetModel() != "vendors-"+name ||
			c.dollars(r.GetReserved()) < cost || len(r.GetDraws()) != 1 {
			t.Errorf("recorded %v", r)
		}
		booked[name] += c.dollars(r.GetCost())
	}
	for name, v := range vendors {
		if v.Count() == 0 || booked[name] != money.Nanos(v.owed.Load()) {
			t.Errorf("%s is owed %s for %d requests, and the books have %s", name, money.Nanos(v.owed.Load()), v.Count(), booked[name])
		}
	}
}

// readUntil gives what has come once it has a text in it.
func readUntil(t *testing.T, r io.Reader, want string) string {
	t.Helper()
	var got strings.Builder
	piece := make([]byte, 4096)
	for !strings.Contains(got.String(), want) {
		n, err := r.Read(piece)
		got.Write(piece[:n])
		if err != nil {
			t.Fatalf("%v before %q came: %s", err, want, got.String())
		}
	}
	return got.String()
}

// lastData is the data of the last event.
func lastData(text string) string {
	_, data, _ := strings.Cut(text[max(0, strings.LastIndex(text, "\ndata: ")):], "data: ")
	return strings.TrimSpace(data)
}

// A translated stream is cut where its budget ends, with an error of billing in the caller's own schema, costs no more than there
// was, and its end is not invented.
func translatedStreamsAreCut(c *cluster) {
	t := c.t
	price := rates{2_500, 10_000}
	vendors := map[string]*modelVendor{"openai": openai(t, price, inFull), "claude": anthropic(t, price, inFull)}
	growing := func(choices string, out int) string { return chatChunk(choices, chatUsage(out)) }
	begins := []string{growing(chatDelta(`{"role":"assistant","content":""}`, "null"), 1), growing(chatDelta(`{"content":"Hello"}`, "null"), 20)}
	for i, tc := range []struct {
		language, deployment string
		events               []string
		beyond               string
		kind, want           string // where the error says what it is
		never                string // that would be an end
	}{
		{
			"messages", "openai", begins,
			growing(chatDelta(`{"content":" there"}`, "null"), 9000), "error.type", "billing_error", "message_stop",
		},
		{
			"responses", "openai", begins,
			growing(chatDelta(`{"content":" there"}`, "null"), 9000), "code", "budget_exceeded", "response.completed",
		},
		{"chat", "claude", messagesEvents(1)[:3], messagesEvents(9000)[5], "error.type", "insufficient_quota", "[DONE]"},
	} {
		name, l, v := "cut-"+tc.language, languages[tc.language], vendors[tc.deployment]
		c.model(name, tinyHold, vendors, []string{tc.deployment})
		key, amount := c.key(name), price.of(30)
		c.budget(name, name, amount.String())
		c.awaitLive()
		stream, answer := vendor.SSE()
		v.Next(answer)
		resp := c.open(i%2, http.MethodPost, key, "/"+name+l.path, l.ask(name, 50, true))
		defer resp.Body.Close()
		for _, e := range tc.events {
			stream.Send(t, e)
		}
		text := readUntil(t, resp.Body, "Hello")
		stream.Send(t, tc.beyond) // is read, and does not go on
		rest, err := io.ReadAll(resp.Body)
		text += string(rest)
		stream.AwaitGone(t)
		if err == nil || strings.Contains(text, tc.never) || strings.Contains(text, "there") {
			t.Errorf("%s: %v: the stream looks whole: %s", name, err, text)
		}
		if got := gjson.Get(lastData(text), tc.kind).Str; got != tc.want || !strings.Contains(lastData(text), name) {
			t.Errorf("%s: the error is %q: %s", name, got, lastData(text))
		}
		if _, err := l.stream([]byte(text)); err == nil {
			t.Errorf("%s: it passes for a whole stream", name)
		}
		if r := c.records(name, 1)[0]; r.GetOutcome() != "cut" || c.dollars(r.GetCost()) != amount || !r.GetUnpriced() || r.GetDeployment() != name+"/"+tc.deployment {
			t.Errorf("%s: recorded %v", name, r)
		}
		if left := c.dollars(c.state(name).GetRemaining()); left != 0 {
			t.Errorf("%s: %s are left", name, left)
		}
	}
}
