package meter_test

import (
	"strings"
	"testing"

	controlv1 "tollgate/gen/tollgate/control/v1"
	"tollgate/internal/meter"
	"tollgate/internal/meter/document"
)

// counting makes a plan of one meter with these counters, each of which is a unit.
func counting(t *testing.T, match string, counters ...string) *meter.Plan {
	t.Helper()
	text := "unmatched: refuse\nfallback: \"1\"\nmeters:\n- name: m\n  match: {" + match + "}\n  hold: {least: \"1\"}\n  counters:\n"
	units, rates := "", ""
	for i, counter := range counters {
		name := string(rune('a' + i))
		text += "  - {name: " + name + ", optional: true, " + counter + "}\n"
		units += "  - {name: " + name + "}\n"
		rates += "    - {unit: " + name + ", price: \"1\", per: 1000000}\n"
	}
	m := &controlv1.Metered{}
	if err := document.Parse([]byte(text+"  units:\n"+units+"  prices:\n  - model: \"*\"\n    rates:\n"+rates), m); err != nil {
		t.Fatal(err)
	}
	return compile(t, m)
}

// Guarantee: what is only counted or measured may be longer than what is kept of a frame, and the cost is known all the
// same.
func TestLongAnswersAreCounted(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("é", 300_000)
	call := `{"type":"call","id":"` + long + `"}`
	plan := counting(t, "",
		`sources: [{frame: 'output.#(type=="call")#'}, {frame: 'response.output.#(type=="call")#'}], aggregate: count`,
		`sources: [{frame: parts}], aggregate: count`,
		`sources: [{frame: text}], aggregate: length`,
		`sources: [{frame: texts}], aggregate: length`,
		`sources: [{frame: said.#.text}], aggregate: length`,
		`sources: [{frame: usage.n}]`)
	body := `"output":[` + call + `,{"type":"message","content":"` + long + `"},` + call + `],"parts":["` + long + `",{},1],` +
		`"text":"` + long + `","texts":["` + long + `",["x"],7,null],"said":[{"text":"` + long + `"},{"text":5},{}],"usage":{"n":7}`
	const want = "a=2,b=3,c=300000,d=300001,e=300000,f=7"
	if b := play(t, plan, post(`{}`), said("{"+body+"}")); b.Counts != want || len(b.Unpriced) > 0 {
		t.Errorf("%s, %q, want %s", b.Counts, b.Unpriced, want)
	}
	if b := play(t, plan, post(`{}`), events(`{"response":{`+body+"}}")); b.Counts != "a=2" || len(b.Unpriced) > 0 {
		t.Errorf("of a stream %s, %q", b.Counts, b.Unpriced)
	}
}

// Guarantee: a number is no text, whatever else is asked for beside it or of it.
func TestNumbersHaveNoLength(t *testing.T) {
	t.Parallel()
	for _, counters := range [][]string{
		{`sources: [{frame: a}], aggregate: length`},
		{`sources: [{frame: a.n}], aggregate: length`, `sources: [{frame: a.text}], aggregate: length`},
		{`sources: [{frame: b}], aggregate: length`, `sources: [{frame: b}], aggregate: count`},
		{`sources: [{frame: a.n}], aggregate: length`, `sources: [{frame: a.n}]`},
		{`sources: [{frame: 'c.#(n==5).n'}], aggregate: length`},
		{`sources: [{frame: 'c.#.n'}], aggregate: length`, `sources: [{frame: 'c.#(n==5)#'}], aggregate: count`},
	} {
		b := play(t, counting(t, "", counters...), post(`{}`), said(`{"a":{"n":5,"text":"héé"},"b":5,"c":[{"n":5}]}`))
		for count := range strings.SplitSeq(b.Counts, ",") {
			if name, n, _ := strings.Cut(count, "="); strings.Contains(counters[0], "length") && name == "a" {
				t.Errorf("%q: %s characters", counters, n)
			}
		}
	}
}

// Guarantee: long texts that a caller sends over a WebSocket are measured whole.
func TestLongMessagesAreMeasured(t *testing.T) {
	t.Parallel()
	r := &meter.Request{Method: "GET", Path: "/speak", WebSocket: true, Length: -1}
	x := counting(t, "websocket: true", `sources: [{request: text}], aggregate: length`).Match(r).Start(r, nil)
	x.Answered(101, func(string) string { return "" })
	for range 3 {
		x.Sent(message([]byte(`{"text":"`+strings.Repeat("x", 100_000)+`"}`), true))
	}
	if b := x.End(meter.End{Whole: true}); b.Counts != "a=300000" || len(b.Unpriced) > 0 {
		t.Errorf("%s, %q", b.Counts, b.Unpriced)
	}
}
