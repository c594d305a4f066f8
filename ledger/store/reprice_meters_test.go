package store_test

import (
	"maps"
	"slices"
	"testing"
	"time"

	controlv1 "tollgate/gen/tollgate/control/v1"
	eventv1 "tollgate/gen/tollgate/event/v1"
	"tollgate/internal/meter/document"
	"tollgate/internal/money"
	"tollgate/ledger/usage"
)

// chatPrice is a price of chats and of jobs, whose prices of tokens are in the price book.
const chatPrice = `
unmatched: free
fallback: "0"
meters:
  - name: chat
    match: {path: "^/chat$"}
    model: [{frame: model}]
    variant: [{frame: tier}]
    counters:
      - {name: input, sources: [{frame: input}]}
      - {name: output, sources: [{frame: output}]}
    units:
      - {name: input, add: [input]}
      - {name: output, add: [output]}
    book: acme
    hold: {amount: "1"}
  - name: submit
    match: {path: "^/jobs$"}
    hold: {amount: "1"}
    job: {id: [{frame: id}], begins: true}
  - name: poll
    match: {path: "^/jobs/"}
    counters: [{name: seconds, sources: [{frame: seconds}]}]
    units: [{name: seconds, add: [seconds]}]
    prices: [{model: "*", rates: [{unit: seconds, price: "0.00000005"}]}]
    job: {id: [{frame: id}], tells: true, done: [{source: {frame: done}}]}
`

// byMeters are the prices of endpoint ep_a, with some models in the price book.
func byMeters(t *testing.T, models ...string) *usage.Meters {
	t.Helper()
	var price controlv1.Metered
	if err := document.Parse([]byte(chatPrice), &price); err != nil {
		t.Fatal(err)
	}
	rate := func(unit, variant, price string) *controlv1.UnitPrice {
		return &controlv1.UnitPrice{Unit: unit, Variant: variant, Price: price, Per: 1_000_000}
	}
	var rows []*controlv1.ModelPrice
	for _, m := range models {
		rows = append(rows, &controlv1.ModelPrice{Model: m, Rates: []*controlv1.UnitPrice{
			rate("input", "", "0.001"), rate("output", "", "0.01"), rate("output", "flex", "0.005"),
		}})
	}
	p := usage.NewMeters()
	if err := p.Add("ep_a", &price, func(string) []*controlv1.ModelPrice { return rows }); err != nil {
		t.Fatal(err)
	}
	p.AddNone("ep_gone", "its endpoint is deleted")
	return p
}

func counted(model, counts string) func(*eventv1.SpendEvent) {
	return func(e *eventv1.SpendEvent) { e.Unpriced, e.Meter, e.Model, e.Counts = true, "chat", model, counts }
}

func reasons(r usage.Repriced) map[string]int64 {
	out := map[string]int64{}
	for _, one := range r.Reasons {
		out[one.EndpointID+" "+one.Why] += one.Requests
	}
	return out
}

// Guarantee: each unpriced record comes to exactly what its counts cost by the prices that are given, in every
// partition and budget that it drew on; the others stay unpriced, each counted with its reason. Done again, nothing
// is charged again, and with better prices the rest is.
func TestRepriceByMeters(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.account(t, budget(1, money.Dollar))
	other := b.partition(t, 1)
	other.account(t, budget(2, money.Dollar))
	shared := ended(first, counted("m-1", "input=1000,output=100.5"), drawing(0, 1), drawing(1, 2)) // 2005
	const deleted = "ep_gone its endpoint is deleted"
	b.settle(t, 7, shared,
		ended(first.Add(time.Hour), counted("m-1", "@model=odd,@model=m-1,@variant=flex,input=0,output=3"), drawing(0, 1)), // 15
		ended(first.Add(50*time.Hour), counted("m-2", "input=1,output=1"), drawing(0, 1)),                                  // 11, once there is a price
		ended(first, counted("m-1", "input=1"), drawing(0, 1)),
		ended(first, counted("m-1", "@partial=1,input=1,output=1"), drawing(0, 1)),
		ended(first, counted("m-1", "input=1,output=1"), drawing(0, 1), func(e *eventv1.SpendEvent) { e.Outcome = eventv1.SpendOutcome_SPEND_OUTCOME_ABANDONED }),
		ended(first, counted("m-1", "input=1,output=1"), drawing(0, 1), func(e *eventv1.SpendEvent) { e.EndpointId = "ep_gone" }),
		ended(first, counted("m-1", "input=1,output=1"), drawing(0, 1), func(e *eventv1.SpendEvent) { e.EndpointId = "ep_new" }),
		ended(first, drawing(0, 1)), // has its price
	)
	other.settle(t, 7, &eventv1.SpendEvent{UnixMs: shared.GetUnixMs(), Draws: shared.GetDraws(), DrawsOnly: true},
		ended(first, counted("m-1", "input=7,output=0"), drawing(1, 2))) // 7
	stay := map[string]int64{
		"ep_a output was not found": 1, "ep_a what was counted of it is not all there is": 1, "ep_a its edge died while it was answered": 1,
		deleted: 1, "ep_new the price of its endpoint is not known": 1, `ep_a the model "m-2" is in no list of prices`: 1,
	}
	run := func(name string, p usage.Repricing, dry bool, corrected int64, difference money.Nanos) {
		t.Helper()
		got, err := b.db.Reprice(t.Context(), usage.Filter{}, p, dry)
		if err != nil || got.Corrected != corrected || got.Difference != difference {
			t.Errorf("%s: %+v, %v; want %d and %d", name, got, err, corrected, difference)
		}
		if got.Unpriced != int64(len(stay)) || !maps.Equal(reasons(got), stay) {
			t.Errorf("%s: %d stay: %v", name, got.Unpriced, reasons(got))
		}
	}
	prices := byMeters(t, "m-1")
	run("dry", prices, true, 3, 2005+15+7-30)
	if got := b.spent(t, 1, 2); !slices.Equal(got, []money.Nanos{90, 20}) {
		t.Errorf("after a dry run: spent %v", got)
	}
	run("first", prices, false, 3, 2005+15+7-30)
	run("again", prices, false, 0, 0)
	if got := b.spent(t, 1, 2); !slices.Equal(got, []money.Nanos{90 + 1995 + 5, 20 + 1995 - 3}) {
		t.Errorf("spent %v", got)
	}
	delete(stay, `ep_a the model "m-2" is in no list of prices`)
	run("better", byMeters(t, "m-*"), false, 1, 1)
	if got := b.total(t, usage.Query{EndpointID: "ep_a"}); got.Unpriced != 3 || got.Cost != 2005+15+11+7+4*10 {
		t.Errorf("usage: %+v", got)
	}
	b.audit(t)
	other.audit(t)
	b.verified(t)
}

// Guarantee: a job whose end could not be priced is priced by what was counted at its end; one of whose end nobody has
// told stays unpriced, whatever was counted when it began.
func TestRepriceJobsByMeters(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.account(t, budget(1, money.Dollar))
	b.settle(t, 7, ended(first, begins("j1", 100), drawing(0, 1)),
		ended(first, tells("j1", done, 40), func(e *eventv1.SpendEvent) { e.Job.Unpriced = true }),
		ended(first, begins("j2", 100), drawing(0, 1), func(e *eventv1.SpendEvent) { e.Counts = "seconds=9" }))
	b.settleJobs(t, first.Add(1000*time.Hour))
	if got := b.spent(t, 1)[0]; got != 140 {
		t.Fatalf("spent %s", got)
	}
	for _, corrected := range []int64{1, 0} {
		got := b.reprice(t, usage.Filter{}, byMeters(t), false)
		if got.Corrected != corrected || got.Unpriced != 1 || got.Reasons[0].Why != "nobody has told how its job ended" {
			t.Errorf("%+v", got)
		}
	}
	if got := b.spent(t, 1)[0]; got != 175 {
		t.Errorf("spent %s", got)
	}
	b.verified(t)
}

// Guarantee: records that cannot be priced are passed by, however many there are, and do not keep others from it.
func TestRepricePassesByWhatStays(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.account(t, budget(1, money.Dollar))
	const stuck = 700 // more than one transaction looks at
	var list []*eventv1.SpendEvent
	for range stuck {
		list = append(list, ended(first, counted("m-2", "input=1,output=1"), drawing(0, 1)))
	}
	b.settle(t, 7, append(list, ended(first, counted("m-1", "input=1,output=1"), drawing(0, 1)))...)
	if got := b.reprice(t, usage.Filter{}, byMeters(t, "m-1"), false); got.Corrected != 1 || got.Difference != 1 || got.Unpriced != stuck || len(got.Reasons) != 1 {
		t.Errorf("%+v", got)
	}
}
