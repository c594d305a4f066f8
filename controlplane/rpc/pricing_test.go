package rpc_test

import (
	"slices"
	"strings"
	"testing"

	"connectrpc.com/connect"
	"github.com/google/go-cmp/cmp"
	typemoney "google.golang.org/genproto/googleapis/type/money"
	"google.golang.org/protobuf/testing/protocmp"

	"tollgate/controlplane/store"
	controlv1 "tollgate/gen/tollgate/control/v1"
	"tollgate/internal/contract"
)

func (b *bundle) try(price *controlv1.Price, sample *controlv1.Sample) *controlv1.TestPriceResponse {
	b.t.Helper()
	return must[*controlv1.TestPriceResponse](b.t)(b.prices.TestPrice(b.t.Context(), &controlv1.TestPriceRequest{
		Subject: &controlv1.TestPriceRequest_Price{Price: price}, Sample: sample,
	}))
}

// chat is a sample of a call that the meters of byMeters read.
func chat(body string) *controlv1.Sample {
	return &controlv1.Sample{Path: "/v1/chat/completions", RequestBody: []byte(`{"model": "gpt-4o-mini"}`), Body: []byte(body)}
}

func sampleHeader(name, value string) []*controlv1.SampleHeader {
	return []*controlv1.SampleHeader{{Name: name, Value: value}}
}

// amount is an amount as people write it.
func amount(t *testing.T, m *typemoney.Money) string {
	t.Helper()
	n, err := contract.MoneyFromProto(m)
	if err != nil {
		t.Fatal(err)
	}
	return n.String()
}

// free is a price of nothing.
func free() *controlv1.Price {
	return &controlv1.Price{Kind: &controlv1.Price_Free_{Free: &controlv1.Price_Free{}}}
}

// Guarantee: a price of any kind can be tried on an exchange, and the bill is the one that edges would make.
func TestPriceIsTried(t *testing.T) {
	t.Parallel()
	b := setup(t)
	any404 := fixed(usd(12, 0))
	any404.GetFixed().Charge = &controlv1.Charge{Statuses: []string{"any"}, Methods: []string{"GET"}}
	unlessFailed := fixed(usd(12, 0))
	unlessFailed.GetFixed().Charge = &controlv1.Charge{Unless: []*controlv1.Condition{{
		Source: &controlv1.Source{Place: &controlv1.Source_Frame{Frame: "status"}}, In: []string{"failed"},
	}}}
	unpriced, unmatchedFree := byMeters(), byMeters()
	unpriced.GetMetered().Unmatched, unmatchedFree.GetMetered().Unmatched = "unpriced", "free"
	cases := []struct {
		name     string
		price    *controlv1.Price
		sample   *controlv1.Sample
		charged  bool
		total    string
		hold     string
		unpriced bool
		note     string // part of one
	}{
		{"free", free(), &controlv1.Sample{}, false, "0.00", "", false, "cost nothing"},
		{"fixed", fixed(usd(12, 0)), &controlv1.Sample{}, true, "12.00", "12.00", false, ""},
		{"fixed, of an error", fixed(usd(12, 0)), &controlv1.Sample{Status: 500}, false, "0.00", "12.00", false, ""},
		{"fixed, of a method that only reads", fixed(usd(12, 0)), &controlv1.Sample{Method: "get"}, false, "0.00", "", false, "GET are not charged"},
		{"fixed, of any answer to GET", any404, &controlv1.Sample{Method: "GET", Status: 404}, true, "12.00", "12.00", false, ""},
		{"fixed, of an outcome", unlessFailed, &controlv1.Sample{Body: []byte(`{"status": "done"}`)}, true, "12.00", "12.00", false, "application/json"},
		{"fixed, of the other outcome", unlessFailed, &controlv1.Sample{Body: []byte(`{"status": "failed"}`)}, false, "0.00", "12.00", false, ""},
		{"by use", byUsage(), &controlv1.Sample{Headers: sampleHeader("X-Tokens", "1000001"), Body: []byte("1234567")}, true, "3.000003002", "1.000000001", false, ""},
		{"by use, not told", byUsage(), &controlv1.Sample{Body: []byte("1")}, true, "0.000000007", "1.000000001", true, ""},
		{"by use, of an error", byUsage(), &controlv1.Sample{Status: 404}, false, "0.00", "1.000000001", false, "404 are not charged"},
		{"said", byTarget(), &controlv1.Sample{Headers: sampleHeader("X-Cost", "0.25"), Body: []byte(`{"status": "done"}`)}, true, "0.25", "2.00", false, ""},
		{"said, beyond the ceiling", byTarget(), &controlv1.Sample{Headers: sampleHeader("X-Cost", "3"), Body: []byte(`{"status": "done"}`)}, true, "2.00", "2.00", false, ""},
		{"not said", byTarget(), &controlv1.Sample{Body: []byte(`{"status": "done"}`)}, true, "0.000000005", "2.00", true, ""},
		{"meters", byMeters(), chat(`{"model": "gpt-4o-2024-11-20", "usage": {"prompt_tokens": 1000, "completion_tokens": 500}}`), true, "0.0075", "0.05", false, ""},
		{"meters, of a stream", byMeters(), chat("data: {\"model\": \"gpt-4o\", \"usage\": {\"prompt_tokens\": 1, \"completion_tokens\": 2}}\n\ndata: [DONE]\n\n"), true, "0.0000225", "0.05", false, "text/event-stream"},
		{"meters, without usage", byMeters(), chat(`{"model": "gpt-4o"}`), true, "0.01", "0.05", true, ""},
		{"meters, of an unknown model", byMeters(), chat(`{"model": "none", "usage": {"prompt_tokens": 1000, "completion_tokens": 500}}`), true, "0.0075", "0.05", false, ""},
		{"meters, free", byMeters(), &controlv1.Sample{Method: "GET", Path: "/v1/models"}, false, "0.00", "", false, "models reads is free"},
		{"meters, refused", byMeters(), &controlv1.Sample{Path: "/v1/other"}, false, "0.00", "", false, "not_priced"},
		{"meters, free where none reads", unmatchedFree, &controlv1.Sample{Path: "/v1/other"}, false, "0.00", "", false, "it is free"},
		{"meters, unpriced where none reads", unpriced, &controlv1.Sample{Path: "/v1/other"}, true, "0.01", "", true, "charged the fallback"},
	}
	for _, c := range cases {
		got := b.try(c.price, c.sample)
		hold := ""
		if got.GetHold() != nil {
			hold = amount(t, got.GetHold())
		}
		if got.GetCharged() != c.charged || amount(t, got.GetTotal()) != c.total || hold != c.hold || len(got.GetUnpriced()) > 0 != c.unpriced {
			t.Errorf("%s: %v", c.name, got)
		}
		if c.note != "" && !slices.ContainsFunc(got.GetNotes(), func(n string) bool { return strings.Contains(n, c.note) }) {
			t.Errorf("%s: notes %q", c.name, got.GetNotes())
		}
	}
	got := b.try(byUsage(), &controlv1.Sample{Headers: sampleHeader("X-Tokens", "1000001"), Body: []byte("1234567")})
	want := []*controlv1.TestedLine{
		{Unit: "base", Quantity: "1", Price: "0.000000001", Per: 1, Amount: "0.000000001"},
		{Unit: "x-tokens", Quantity: "1000001", Price: "3.00", Per: 1_000_000, Amount: "3.000003"},
		{Unit: "response_bytes", Quantity: "7", Price: "0.000000007", Per: 1_000_000, Amount: "0.000000000000049"},
	}
	if diff := cmp.Diff(want, got.GetLines(), protocmp.Transform()); diff != "" {
		t.Errorf("lines (-want +got):\n%s", diff)
	}
}

// Guarantee: the bill names what was counted, where, of which model and at what price; rows of the price book count where
// the price has none; and the price of an endpoint is tried as it is stored.
func TestBillShowsHowItComesAbout(t *testing.T) {
	t.Parallel()
	b := setup(t)
	got := b.try(byMeters(), chat(`{"model": "gpt-4o-2024-11-20", "usage": {"prompt_tokens": 1000, "completion_tokens": 500}}`))
	if got.GetMeter() != "chat" || got.GetModel() != "gpt-4o-2024-11-20" || len(got.GetHoldReason()) == 0 {
		t.Errorf("bill %v", got)
	}
	for i, name := range []string{"prompt", "completion"} {
		if c := got.GetCounters(); len(c) != 2 || c[i].GetName() != name || c[i].GetValue() != []string{"1000", "500"}[i] || !strings.Contains(c[i].GetSource(), "usage."+name+"_tokens") {
			t.Errorf("counters %v", c)
		}
	}
	if l := got.GetLines(); len(l) != 2 || l[1].GetUnit() != "output" || l[1].GetQuantity() != "500" || l[1].GetPer() != 1_000_000 {
		t.Errorf("lines %v", l)
	}
	row := &controlv1.ModelPrice{Model: "o9*", Rates: []*controlv1.UnitPrice{{Unit: "input", Price: "1"}, {Unit: "output", Price: "2"}}}
	if _, err := store.New(b.pool).SetModelPrice(t.Context(), "test", "openai", row, nil); err != nil {
		t.Fatal(err)
	}
	e := plain("chat")
	e.Price = byMeters()
	b.create(e)
	got = must[*controlv1.TestPriceResponse](t)(b.prices.TestPrice(t.Context(), &controlv1.TestPriceRequest{
		Subject: &controlv1.TestPriceRequest_Endpoint{Endpoint: "chat"},
		Sample:  chat(`{"model": "o9-mini", "usage": {"prompt_tokens": 3, "completion_tokens": 4}}`),
	}))
	if amount(t, got.GetTotal()) != "11.00" || got.GetModel() != "o9-mini" {
		t.Errorf("of the book: %v", got)
	}
}

// Guarantee: what is wrong with a price that is tried is said by field, as if it were an endpoint's.
func TestPricesThatCannotBeTried(t *testing.T) {
	t.Parallel()
	b := setup(t)
	metered := func(edit func(*controlv1.Metered)) *controlv1.Price {
		p := byMeters()
		edit(p.GetMetered())
		return p
	}
	for name, c := range map[string]struct {
		price *controlv1.Price
		field string
	}{
		"dear":            {fixed(usd(1_000_001, 0)), "price.fixed.per_request"},
		"no ceiling":      {&controlv1.Price{Kind: &controlv1.Price_Reported_{Reported: &controlv1.Price_Reported{Ceiling: usd(0, 0)}}}, "price.reported.ceiling"},
		"no meter":        {metered(func(m *controlv1.Metered) { m.Meters = nil }), "price.metered.meters"},
		"unknown counter": {metered(func(m *controlv1.Metered) { m.Meters[0].Units[0].Add[0] = "tokens" }), "price.metered.meters[0].units[0].add[0]"},
		"odd path": {metered(func(m *controlv1.Metered) {
			m.Meters[0].Model[0] = &controlv1.Source{Place: &controlv1.Source_Frame{Frame: "a..b"}}
		}), "price.metered.meters[0].model[0].frame"},
		"no amount": {metered(func(m *controlv1.Metered) { m.Fallback = "a cent" }), "price.metered.fallback"},
	} {
		_, err := b.prices.TestPrice(t.Context(), &controlv1.TestPriceRequest{
			Subject: &controlv1.TestPriceRequest_Price{Price: c.price}, Sample: &controlv1.Sample{},
		})
		if connect.CodeOf(err) != connect.CodeInvalidArgument || !slices.ContainsFunc(failureOf(err).Violations, func(v string) bool { return strings.HasPrefix(v, c.field+":") }) {
			t.Errorf("%s: %v %v, want %s", name, err, failureOf(err).Violations, c.field)
		}
	}
	_, err := b.prices.TestPrice(t.Context(), &controlv1.TestPriceRequest{
		Subject: &controlv1.TestPriceRequest_Endpoint{Endpoint: "none"}, Sample: &controlv1.Sample{},
	})
	if connect.CodeOf(err) != connect.CodeNotFound {
		t.Errorf("of no endpoint: %v", err)
	}
}
