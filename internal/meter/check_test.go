package meter_test

import (
	"os"
	"slices"
	"strings"
	"testing"

	controlv1 "tollgate/gen/tollgate/control/v1"
	"tollgate/internal/meter"
	"tollgate/internal/meter/document"
)

const good = `
unmatched: refuse
fallback: "0.05"
meters:
  - name: chat
    model: [{frame: model}]
    counters: [{name: prompt, sources: [{frame: usage.prompt}]}, {name: cached, sources: [{frame: usage.cached}], optional: true}]
    units: [{name: input, add: [prompt], subtract: [cached]}, {name: cached, otherwise: input}]
    prices: [{model: '*', rates: [{unit: input, price: "2.5", per: 1000000}]}]
    hold: {least: "0.01"}
`

// Guarantee: what is wrong with a price is said with the field's path, and why.
func TestCheckSaysWhatIsWrong(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ old, new, field, reason string }{
		{"refuse", "maybe", "unmatched", `"refuse", "free" or "unpriced"`},
		{`"0.05"`, `"abc"`, "fallback", "no decimal"},
		{`"0.05"`, `"-1"`, "fallback", "negative"},
		{"refuse\nfallback: \"0.05\"", "unpriced\nfallback: held", "fallback", "nothing is held"},
		{"name: chat", "name: Chat", "meters[0].name", "a-z"},
		{"frame: usage.prompt}", "frame: usage..prompt}", "meters[0].counters[0].sources[0].frame", "at "},
		{"frame: usage.prompt}", "path: '/a'}", "meters[0].counters[0].sources[0].path", "0 groups"},
		{"frame: usage.prompt}", "path: '/(a'}", "meters[0].counters[0].sources[0].path", "missing closing )"},
		{"frame: usage.prompt}", "header: 'a b'}", "meters[0].counters[0].sources[0].header", "no name of a header"},
		{"frame: usage.prompt}", "constant: many}", "meters[0].counters[0].sources[0].constant", "no number"},
		{"frame: usage.prompt}", "measure: smell}", "meters[0].counters[0].sources[0].measure", "none of"},
		{"frame: usage.prompt}", "query: a, event: b}", "meters[0].counters[0].sources[0].event", "only frames"},
		{"{frame: usage.prompt}", "{}", "meters[0].counters[0].sources[0]", "say where"},
		{"[{frame: usage.prompt}]", "[]", "meters[0].counters[0].sources", "say where the number is"},
		{"{name: cached, sources", "{name: prompt, sources", "meters[0].counters[1].name", "already is a counter"},
		{"optional: true", "aggregate: mean", "meters[0].counters[1].aggregate", "none of"},
		{"optional: true", "default: x", "meters[0].counters[1].default", "no decimal"},
		{"add: [prompt]", "add: [promt]", "meters[0].units[0].add[0]", `no counter "promt"`},
		{"{name: cached, otherwise", "{name: other, otherwise", "meters[0].units[1].add", "names no counters"},
		{"otherwise: input", "otherwise: inputs", "meters[0].units[1].otherwise", "no unit"},
		{"otherwise: input", "otherwise: cached", "meters[0].units[1].otherwise", "leads back"},
		{"{name: cached, otherwise: input}", "{name: input, add: [cached]}", "meters[0].units[1].name", "already is a unit"},
		{"unit: input", "unit: inputs", "meters[0].prices[0].rates[0].unit", "no unit"},
		{`"2.5"`, `"-2.5"`, "meters[0].prices[0].rates[0].price", "negative"},
		{`"2.5"`, `"0.0000000000001"`, "meters[0].prices[0].rates[0].price", "more than 12 decimals"},
		{`"2.5"`, `"1000001"`, "meters[0].prices[0].rates[0].price", "more than a million"},
		{"per: 1000000", "per: -1", "meters[0].prices[0].rates[0].per", "between"},
		{"per: 1000000", "above: 5", "meters[0].prices[0].rates[0].above", "says no tier"},
		{"per: 1000000", "variant: flex", "meters[0].prices[0].rates[0].variant", "where the variant is"},
		{"rates: [{", `rates: [{unit: input, price: "1"}, {`, "meters[0].prices[0].rates[1].unit", "already is a price"},
		{"model: '*'", "model: ''", "meters[0].prices[0].model", "missing"},
		{"    prices: [{model: '*', rates: [{unit: input, price: \"2.5\", per: 1000000}]}]\n", "", "meters[0].prices", "no list of the price book"},
		{"    hold:", "    book: Open AI\n    hold:", "meters[0].book", "no name of a list"},
		{"    hold:", "    tier: [promt]\n    hold:", "meters[0].tier[0]", "no counter"},
		{"    hold:", "    minimum: '2'\n    maximum: '1'\n    hold:", "meters[0].maximum", "less than the minimum"},
		{`{least: "0.01"}`, `{learned: true}`, "meters[0].hold.least", "more than 0"},
		{`{least: "0.01"}`, `{least: "1", bounds: [{unit: tokens, plus: "1"}]}`, "meters[0].hold.bounds[0].unit", "no unit"},
		{`{least: "0.01"}`, `{least: "1", bounds: [{unit: input, sources: [{frame: a}]}]}`, "meters[0].hold.bounds[0].sources[0]", "not known before"},
		{`{least: "0.01"}`, `{least: "1", bounds: [{unit: input, enforce: "a.b"}]}`, "meters[0].hold.bounds[0].assume", "to what"},
		{`{least: "0.01"}`, `{least: "1", bounds: [{unit: input, enforce: "a.#", assume: "1"}]}`, "meters[0].hold.bounds[0].enforce", "plain names"},
		{`{least: "0.01"}`, `{least: "1", bounds: [{unit: input}]}`, "meters[0].hold.bounds[0]", "how much"},
		{"    hold:", "    inject: [{field: a, value: '{'}]\n    hold:", "meters[0].inject[0].value", "no JSON"},
		{"    hold:", "    inject: [{field: 'a|b', value: '1'}]\n    hold:", "meters[0].inject[0].field", "plain names"},
		{"    hold:", "    inject: [{field: a, value: '1', when: {source: {header: a}}}]\n    hold:", "meters[0].inject[0].when.source", "not known before"},
		{"    hold:", "    job: {id: [{frame: id}]}\n    hold:", "meters[0].job", "begins"},
		{"    hold:", "    job: {begins: true}\n    hold:", "meters[0].job.id", "where the id"},
		{"    hold:", "    job: {tells: true, id: [{frame: id}]}\n    hold:", "meters[0].job.done", "done"},
		{"    hold:", "    charge: {statuses: [2yy]}\n    hold:", "meters[0].charge.statuses[0]", "2yy"},
		{"    hold:", "    charge: {methods: [GET]}\n    hold:", "meters[0].charge.methods", "match"},
		{"    hold:", "    charge: {only_if: [{source: {frame: ''}}]}\n    hold:", "meters[0].charge.only_if[0].source.frame", "missing"},
		{"    hold:", "    match: {methods: [get]}\n    hold:", "meters[0].match.methods[0]", "upper case"},
		{"    hold:", "    match: {path: '('}\n    hold:", "meters[0].match.path", "missing closing )"},
		{"    hold:", "    free: true\n    hold:", "meters[0].free", "not read"},
		{"meters:\n", "meters:\n  - {name: all, free: true}\n", "meters[1].match", "reads nothing"},
		{"meters:\n", "meters:\n  - {name: chat, free: true, match: {path: a}}\n", "meters[1].name", "already is a meter"},
		{"meters:\n", "meters:\n  - {name: none, match: {path: a}}\n", "meters[0]", "say free"},
	} {
		text := strings.Replace(good, c.old, c.new, 1)
		if text == good {
			t.Errorf("%q is not in the document", c.old)
			continue
		}
		var m controlv1.Metered
		if err := document.Parse([]byte(text), &m); err != nil {
			t.Errorf("%q: %v", c.new, err)
			continue
		}
		wrong := meter.Check(&m)
		if !slices.ContainsFunc(wrong, func(p meter.Problem) bool { return p.Field == c.field && strings.Contains(p.Reason, c.reason) }) {
			t.Errorf("%q: %+v, want %s: %s", c.new, wrong, c.field, c.reason)
		}
		if _, err := meter.Compile(&m, nil); err == nil {
			t.Errorf("%q is compiled", c.new)
		}
	}
}

// Guarantee: nothing is found wrong with prices that are right.
func TestCheckAcceptsWhatIsRight(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"openai", "anthropic", "gemini", "bedrock", "others", "jobs"} {
		if wrong := meter.Check(read(t, name)); len(wrong) > 0 {
			t.Errorf("%s: %+v", name, wrong)
		}
	}
	var m controlv1.Metered
	if err := document.Parse([]byte(good), &m); err != nil {
		t.Fatal(err)
	}
	if wrong := meter.Check(&m); len(wrong) > 0 {
		t.Error(wrong)
	}
}

// FuzzCheck shows that whatever a document says, it is checked without harm, that it can be compiled just if nothing
// is wrong with it, and that what was compiled reads any exchange.
func FuzzCheck(f *testing.F) {
	f.Add(good, `{"model":"a","usage":{"prompt":12,"cached":3}}`)
	for _, name := range []string{"openai", "anthropic", "gemini", "bedrock", "others", "jobs"} {
		text, err := os.ReadFile("testdata/" + name + ".yaml")
		if err != nil {
			f.Fatal(err)
		}
		f.Add(string(text), `{"model":"gpt","max_tokens":5,"usage":{"prompt_tokens":1e3}}`)
	}
	f.Add("meters: [{units: [{otherwise: a, name: a}, {name: b, otherwise: a}]}]", "")
	f.Add(`meters: [{name: a, base: "1", model: [{path: '(.)'}], job: {id: [{form: a}], begins: true}, hold: {amount: "1"}}]`, "a=b")
	f.Fuzz(func(t *testing.T, text, body string) {
		var m controlv1.Metered
		if document.Parse([]byte(text), &m) != nil {
			return
		}
		wrong := meter.Check(&m)
		plan, err := meter.Compile(&m, nil)
		if (err == nil) != (len(wrong) == 0) {
			t.Fatalf("%v, but %+v", err, wrong)
		}
		if err != nil {
			return
		}
		for _, method := range []string{"GET", "POST"} {
			r := &meter.Request{Method: method, Path: "/v1/chat/completions", Body: []byte(body), Whole: true, Length: int64(len(body))}
			one := plan.Match(r)
			if one == nil {
				continue
			}
			if h := one.Hold(r, nil); h.Amount < 0 {
				t.Errorf("a hold of %d", h.Amount)
			}
			x := one.Start(r, nil)
			x.Answered(200, func(string) string { return "" })
			x.Received([]byte(body))
			b := x.End(meter.End{Whole: true, Held: 5})
			if b.Cost < 0 || b.Units < 0 || !b.Charged && b.Cost > 0 {
				t.Errorf("bill %+v", b)
			}
			b.Detail()
		}
	})
}
