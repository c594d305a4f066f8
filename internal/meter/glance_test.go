package meter_test

import (
	"fmt"
	"regexp"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"tollgate/internal/meter"
	"tollgate/internal/testenv/vectors"
)

// everything is all that a bill says.
func everything(b *meter.Bill) string {
	counters, lines := b.Detail()
	job := ""
	if b.Job != nil {
		job = fmt.Sprintf("%+v", *b.Job)
	}
	return fmt.Sprintf("%v %d %q %s %q %q %d %s\n%v\n%v\n%s", b.Charged, b.Cost, b.Unpriced, b.Meter, b.Model, b.Variant, b.Units, b.Counts, counters, lines, job)
}

// billed is what a bill says of an answer in pieces of one size, by a reading that has read others before.
func billed(x *meter.Reading, plan *meter.Plan, r meter.Request, a *answer, piece int) string {
	x.Begin(plan.Match(&r), &r, nil)
	x.Answered(200, a.header)
	costs := ""
	for rest := a.body; len(rest) > 0; {
		n := min(piece, len(rest))
		x.Received(rest[:n])
		cost, final := x.Cost()
		costs += fmt.Sprint(" ", cost, final, x.Boundary())
		rest = rest[n:]
	}
	return costs + "\n" + everything(x.End(meter.End{Whole: !a.broken, Held: 7}))
}

// Guarantee: reading frames at a glance changes no bill of any recording, and no cost on the way to it.
func TestAGlanceChangesNoBill(t *testing.T) {
	t.Parallel()
	known := facts(t)
	plans := map[string]*meter.Plan{}
	slow := map[string]*meter.Plan{}
	var quickly, slowly meter.Reading
	played := 0
	for _, x := range vectors.All(t) {
		for _, file := range x.Files {
			f := known[file]
			all := ""
			for _, usage := range []map[string]string{leaves(t, f.First), leaves(t, f.Last), leaves(t, f.Usage)} {
				all += strings.Join(keys(usage), " ")
			}
			if !strings.Contains(file, "/") || all == "" || strings.HasPrefix(file, "usage-extraction") {
				continue
			}
			name, which := meterOf(f, all)
			key := name + "/" + which
			if plans[key] == nil {
				plans[key], slow[key] = only(t, name, which), meter.Slowly(only(t, name, which))
			}
			r, a := exchange(&x, f.Kind)
			for _, piece := range []int{len(a.body) + 1, 4096, 113} {
				if piece == 113 && len(a.body) > 32<<10 {
					continue
				}
				played++
				got, want := billed(&quickly, plans[key], *r, a, piece), billed(&slowly, slow[key], *r, a, piece)
				if got != want {
					t.Errorf("%s in pieces of %d:\n%s\nwithout a glance:\n%s", file, piece, got, want)
				}
			}
		}
	}
	if played < 600 {
		t.Errorf("only %d answers were played", played)
	}
}

// strange are values that vendors should not send.
var strange = []string{
	"0", "7", "-1", "1.50", "12e2", "007", "1e30", "999999999999999999", "1000000000000000001", "12345678901234567890123", "null", "true", "false", `"12"`, `" 7 "`,
	`""`, `"gpt-4o"`, `"flex"`, `"é\u00e9"`, "[1,2]", "[]", "{}", `{"prompt_tokens":3}`, `{"cached_tokens":3,"audio_tokens":1}`, "nul",
}

// Guarantee: nor does it change a bill of an answer that no vendor would send.
func TestAGlanceChangesNoStrangeBill(t *testing.T) {
	t.Parallel()
	names := []string{
		"model", "usage", "prompt_tokens", "completion_tokens", "prompt_tokens_details", "cached_tokens", "service_tier", "type", `\u0075sage`, "x_groq", "cost", "x", "response",
		"input_tokens", "output_tokens", "message", "status", "id",
	}
	var object func(t *rapid.T, deep int) string
	object = func(t *rapid.T, deep int) string {
		var fields []string
		for range rapid.IntRange(0, 5).Draw(t, "fields") {
			value := rapid.SampledFrom(strange).Draw(t, "value")
			if deep > 0 && rapid.Bool().Draw(t, "object") {
				value = object(t, deep-1)
			}
			fields = append(fields, `"`+rapid.SampledFrom(names).Draw(t, "name")+`":`+value)
		}
		return "{" + strings.Join(fields, ",") + "}"
	}
	type pair struct{ quick, slow *meter.Plan }
	var plans []pair
	for _, key := range [][2]string{{"openai", "chat"}, {"openai", "responses"}, {"anthropic", "messages"}, {"others", "predictions"}, {"others", "reported"}, {"others", "cohere"}} {
		plans = append(plans, pair{only(t, key[0], key[1]), meter.Slowly(only(t, key[0], key[1]))})
	}
	control := regexp.MustCompile(`[\r\n]`)
	rapid.Check(t, func(t *rapid.T) {
		plan := rapid.SampledFrom(plans).Draw(t, "plan")
		kind := rapid.SampledFrom([]string{"application/json", "text/event-stream", "application/x-ndjson"}).Draw(t, "kind")
		var body strings.Builder
		for range rapid.IntRange(1, 4).Draw(t, "documents") {
			doc := object(t, 3)
			switch kind {
			case "text/event-stream":
				doc = rapid.SampledFrom([]string{"", "event: message_start\n", "event: message_delta\n"}).Draw(t, "event") + "data: " + control.ReplaceAllString(doc, "") + "\n\n"
			case "application/x-ndjson":
				doc = control.ReplaceAllString(doc, "") + "\n"
			}
			body.WriteString(doc)
		}
		a := &answer{headers: map[string]string{"Content-Type": kind}, body: []byte(body.String())}
		r := meter.Request{Method: "POST", Path: "/x", Whole: true}
		var quickly, slowly meter.Reading
		for _, piece := range []int{len(a.body) + 1, rapid.IntRange(1, 50).Draw(t, "piece")} {
			if got, want := billed(&quickly, plan.quick, r, a, piece), billed(&slowly, plan.slow, r, a, piece); got != want {
				t.Fatalf("%s in pieces of %d:\n%s\nwithout a glance:\n%s", body.String(), piece, got, want)
			}
		}
	})
}

// Guarantee: an exchange is read in memory that was used for others, with one allocation, which is what is recorded of it.
func TestReadingsTakeNoMemory(t *testing.T) { //nolint:paralleltest // it measures the memory of the process
	plan, body := only(t, "openai", "chat"), completion(1500)
	header := (&answer{headers: map[string]string{"Content-Type": "application/json"}}).header
	var x meter.Reading
	var r meter.Request
	n := testing.AllocsPerRun(200, func() {
		r = meter.Request{Method: "POST", Path: "/v1/chat/completions"}
		x.Begin(plan.Match(&r), &r, nil)
		x.Answered(200, header)
		x.Received(body)
		if b := x.End(meter.End{Whole: true}); b.Counts != counts || len(b.Unpriced) > 0 {
			t.Fatal(b.Counts, b.Unpriced)
		}
	})
	if n > 1 && !raced {
		t.Errorf("%v allocations", n)
	}
}

// Guarantee: a reading that was given up, or has read another exchange, says nothing of it in the next.
func TestAReadingBeginsAnew(t *testing.T) {
	t.Parallel()
	plan := only(t, "openai", "chat")
	r := meter.Request{Method: "POST", Path: "/v1/chat/completions"}
	a := &answer{headers: map[string]string{"Content-Type": "application/json"}, body: []byte(`{"usage":{"prompt_tokens":1}}`)}
	var fresh, x meter.Reading
	want := billed(&fresh, plan, r, a, 4096)
	x.Begin(plan.Match(&r), &r, nil)
	x.Answered(200, a.header)
	x.Received(completion(100)) // and no end
	if got := billed(&x, plan, r, a, 4096); got != want {
		t.Errorf("after one that was given up: %s\nwant %s", got, want)
	}
	_ = billed(&x, plan, r, &answer{headers: a.headers, body: completion(100)}, 4096)
	if got := billed(&x, plan, r, a, 4096); got != want {
		t.Errorf("after another: %s\nwant %s", got, want)
	}
}
