package meter_test

import (
	"fmt"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"
	"pgregory.net/rapid"

	controlv1 "tollgate/gen/tollgate/control/v1"
	"tollgate/internal/meter"
	"tollgate/internal/meter/document"
	"tollgate/internal/money"
)

// tieredPrice is a price with everything on which the rate of a token depends.
const tieredPrice = `
unmatched: refuse
fallback: "0.05"
meters:
  - name: chat
    model: [{frame: model}, {request: model}]
    variant: [{frame: service_tier}]
    variants: {"cheap,=": flex}
    counters:
      - {name: input, sources: [{frame: usage.prompt_tokens}]}
      - {name: cached, optional: true, sources: [{frame: usage.cached}]}
      - {name: output, sources: [{frame: usage.completion_tokens}]}
      - {name: bytes, sources: [{measure: response_bytes}]}
    units:
      - {name: input, add: [input], subtract: [cached]}
      - {name: cached_input, add: [cached], otherwise: input}
      - {name: output, add: [output]}
      - {name: bytes, add: [bytes]}
    tier: [input]
    base: "0.000000001"
    prices:
      - model: "gpt-*"
        rates:
          - {unit: input, price: "2.5", per: 1000000}
          - {unit: input, price: "5", per: 1000000, above: 500}
          - {unit: input, price: "1.25", per: 1000000, variant: flex}
          - {unit: cached_input, price: "0.3333", per: 1000000}
          - {unit: output, price: "10", per: 1000000}
          - {unit: bytes, price: "0.7", per: 1000000}
    hold: {amount: "0.1"}
`

func tiered(t *testing.T) *controlv1.Metered {
	t.Helper()
	var m controlv1.Metered
	if err := document.Parse([]byte(tieredPrice), &m); err != nil {
		t.Fatal(err)
	}
	return &m
}

// repriced is a bill priced again.
func repriced(plan *meter.Plan, b *meter.Bill) (money.Nanos, string) {
	cost, why := plan.Reprice(meter.Recorded{Meter: b.Meter, Model: b.Model, Counts: b.Counts})
	return cost, strings.Join(why, "; ")
}

// Guarantee: what an exchange whose price was missing comes to later, by nothing but what was written down of it, is to
// the nano-dollar what it would have cost had the price been there: with its tier, its variant, and whichever name of
// the model is in the list. What had a price comes to the same again.
func TestRepricedAsIfItHadBeenPriced(t *testing.T) {
	t.Parallel()
	full := tiered(t)
	known := compile(t, full)
	poor := proto.CloneOf(full)
	poor.Meters[0].Prices[0].Rates = poor.Meters[0].Prices[0].Rates[3:4] // nothing but what is cached has one
	poor.Meters[0].Units[1].Otherwise = ""
	poor.Meters[0].Variants = nil
	unknown := compile(t, poor)
	tb := t
	rapid.Check(t, func(t *rapid.T) {
		number := func(name string) int { return rapid.IntRange(1, 1000).Draw(t, name) }
		body := fmt.Sprintf(`{"model":%q,"service_tier":%q,"usage":{"prompt_tokens":%d,"cached":%d,"completion_tokens":%d.5}}`,
			rapid.SampledFrom([]string{"", "gpt-5", "an,odd=model ✓"}).Draw(t, "answered by"),
			rapid.SampledFrom([]string{"", "default", "flex", "cheap,="}).Draw(t, "variant"),
			number("input"), rapid.IntRange(0, 1000).Draw(t, "cached"), number("output"))
		asked := `{"model":"gpt-4o"}`
		want := play(tb, known, post(asked), said(body))
		got := play(tb, unknown, post(asked), said(body))
		if len(want.Unpriced) > 0 || len(got.Unpriced) == 0 {
			t.Fatalf("%s: %q, %q", body, want.Unpriced, got.Unpriced)
		}
		if cost, why := repriced(known, got); cost != want.Cost || why != "" {
			t.Fatalf("%s: %s comes to %d, %s; want %d", body, got.Counts, cost, why, want.Cost)
		}
		if strings.Contains(want.Counts, "@") {
			t.Fatalf("notes of what has a price: %s", want.Counts)
		}
		if want.Variant == "" && strings.HasPrefix(want.Model, "gpt") {
			if cost, why := repriced(known, want); cost != want.Cost || why != "" {
				t.Fatalf("%s: %s comes to %d, %s; want %d", body, want.Counts, cost, why, want.Cost)
			}
		}
		for _, c := range meter.Counts(got.Counts) {
			if strings.HasPrefix(c.Name, "@") {
				t.Fatalf("%s is no count", c.Name)
			}
		}
	})
}

// Guarantee: nothing is priced again whose counts do not make its cost, and it says why: because the answer broke off,
// a number is missing, or nobody knows what was counted.
func TestNotRepriced(t *testing.T) {
	t.Parallel()
	plan := compile(t, tiered(t))
	broken := events(`{"model":"gpt-5","usage":{"prompt_tokens":3,"completion_tokens":4}}`)
	broken.broken = true
	for name, c := range map[string]struct {
		bill *meter.Bill
		why  string
	}{
		"broke off":        {play(t, plan, post(`{}`), broken), "not all there is"},
		"a number":         {play(t, plan, post(`{}`), said(`{"model":"gpt-5","usage":{"prompt_tokens":3}}`)), "output was not found"},
		"model":            {play(t, plan, post(`{}`), said(`{"model":"o3","usage":{"prompt_tokens":3,"completion_tokens":4}}`)), `the model "o3" is in no list of prices`},
		"unread":           {&meter.Bill{}, "no meter has read it"},
		"meter is gone":    {&meter.Bill{Meter: "old"}, `no meter "old" any more`},
		"left out":         {&meter.Bill{Meter: "chat", Counts: meter.Partial + "input=1"}, "not all there is"},
		"no count":         {&meter.Bill{Meter: "chat", Counts: "input"}, "cannot be read"},
		"no number":        {&meter.Bill{Meter: "chat", Model: "gpt-5", Counts: "input=-1,output=1,bytes=0"}, "cannot be read"},
		"a broken note":    {&meter.Bill{Meter: "chat", Counts: "@model=%zz"}, "cannot be read"},
		"a note of others": {&meter.Bill{Meter: "chat", Model: "gpt-5", Counts: "@half=1,input=1,output=1,bytes=0"}, "cannot be read"},
		"too much":         {&meter.Bill{Meter: "chat", Model: "gpt-5", Counts: "input=1000000000000000000,output=1,bytes=0"}, "a million dollars"},
	} {
		if cost, why := repriced(plan, c.bill); cost != 0 || !strings.Contains(why, c.why) {
			t.Errorf("%s: %d, %q, want %q", name, cost, why, c.why)
		}
	}
	if cost, why := repriced(plan, &meter.Bill{Meter: "chat", Model: "gpt-5", Counts: "input=1,output=0,bytes=0"}); cost != 2501 || why != "" {
		t.Errorf("without notes: %d, %s", cost, why)
	}
}

// Guarantee: the end of a job is priced by the meters that read ends and count what was counted of it, if all of them
// agree; how it began says nothing of what it costs.
func TestJobsRepriced(t *testing.T) {
	t.Parallel()
	m := read(t, "jobs")
	plan := compile(t, m)
	done := meter.Recorded{Meter: m.GetMeters()[0].GetName(), Counts: "seconds=2.811363", Job: true}
	if cost, why := plan.Reprice(done); cost != 632_557 || len(why) > 0 {
		t.Errorf("done: %d, %q", cost, why)
	}
	begun := done
	begun.Job = false
	if cost, why := plan.Reprice(begun); cost != 0 || len(why) != 1 || !strings.Contains(why[0], "began a job") {
		t.Errorf("begun: %d, %q", cost, why)
	}
	for _, counts := range []string{"", "tokens=1"} {
		if cost, why := plan.Reprice(meter.Recorded{Meter: done.Meter, Counts: counts, Job: true}); cost != 0 || len(why) != 1 {
			t.Errorf("counts %q: %d, %q", counts, cost, why)
		}
	}
	told := func(one *controlv1.Meter) bool { return one.GetJob().GetTells() && len(one.GetUnits()) > 0 }
	for _, one := range m.GetMeters() {
		if told(one) {
			other := proto.CloneOf(one)
			other.Name, other.Match.Path = "other", "^/elsewhere$"
			other.Prices[0].Rates[0].Price = "9"
			m.Meters = append(m.Meters, other)
			break
		}
	}
	if cost, why := compile(t, m).Reprice(done); cost != 0 || len(why) != 1 || !strings.Contains(why[0], "which meter") {
		t.Errorf("ambiguous: %d, %q", cost, why)
	}
}
