package rpc_test

import (
	"strings"

	"google.golang.org/protobuf/proto"

	controlv1 "tollgate/gen/tollgate/control/v1"
)

func tryPrice(p *controlv1.Price, s *controlv1.Sample) proto.Message {
	return &controlv1.TestPriceRequest{Subject: &controlv1.TestPriceRequest_Price{Price: p}, Sample: s}
}

func tryEndpoint(name string) proto.Message {
	return &controlv1.TestPriceRequest{Subject: &controlv1.TestPriceRequest_Endpoint{Endpoint: name}, Sample: &controlv1.Sample{}}
}

// priced is a price that is not as it should be.
func priced(p *controlv1.Price, edit func(*controlv1.Price)) func(*world) proto.Message {
	edit(p)
	return is(tryPrice(p, &controlv1.Sample{}))
}

var _ = covers("PriceService", map[string]cases{
	"TestPrice": {
		right: func(w *world) proto.Message {
			e := plain(w.name("ep"))
			e.Price = fixed(usd(12, 0))
			return tryEndpoint(w.create(e).GetName())
		},
		check: func(w *world, res proto.Message) {
			if got := res.(*controlv1.TestPriceResponse); !got.GetCharged() || got.GetTotal().GetUnits() != 12 {
				w.t.Errorf("%v", got)
			}
		},
		wrong: append([]wrong{
			{violation: "subject:required", request: is(&controlv1.TestPriceRequest{Sample: &controlv1.Sample{}})},
			{violation: "sample:required", request: is(tryPrice(fixed(usd(1, 0)), nil))},
			{violation: "sample.status:invalid", request: is(tryPrice(fixed(usd(1, 0)), &controlv1.Sample{Status: 1000}))},
			{violation: "sample.method:invalid", request: is(tryPrice(fixed(usd(1, 0)), &controlv1.Sample{Method: strings.Repeat("M", 33)}))},
			{violation: "sample.headers[0].name:required", request: is(tryPrice(fixed(usd(1, 0)), &controlv1.Sample{Headers: []*controlv1.SampleHeader{{}}}))},
		}, badPrices...),
		notFound: is(tryEndpoint("nothing")),
	},
})

// badPrices are prices that nothing can cost.
var badPrices = []wrong{
	{violation: "price.kind:required", request: is(tryPrice(&controlv1.Price{}, &controlv1.Sample{}))},
	{violation: "price.fixed.per_request:required", request: is(tryPrice(fixed(nil), &controlv1.Sample{}))},
	{violation: "price.fixed.per_request:invalid", request: is(tryPrice(fixed(usd(1, -1)), &controlv1.Sample{}))},
	{violation: "price.fixed.per_request:out_of_range", request: is(tryPrice(fixed(usd(1_000_001, 0)), &controlv1.Sample{}))},
	{violation: "price.reported.ceiling:required", request: priced(byTarget(), func(p *controlv1.Price) { p.GetReported().Ceiling = usd(0, 0) })},
	{violation: "price.reported.fallback:out_of_range", request: priced(byTarget(), func(p *controlv1.Price) { p.GetReported().Fallback = usd(3, 0) })},
	{violation: "price.reported.header:invalid", request: priced(byTarget(), func(p *controlv1.Price) { p.GetReported().Header = "a b" })},
	{violation: "price.usage.rates:required", request: priced(byUsage(), func(p *controlv1.Price) { p.GetUsage().Rates = nil })},
	{violation: "price.usage.rates[2]:duplicate", request: priced(byUsage(), func(p *controlv1.Price) {
		p.GetUsage().Rates = append(p.GetUsage().Rates, proto.CloneOf(p.GetUsage().Rates[1]))
	})},
	{violation: "price.usage.bound:forbidden", request: priced(byUsage(), func(p *controlv1.Price) { p.GetUsage().Bound = controlv1.Price_BOUND_CEILING })},
	{violation: "price.usage.rates[0].header:required", request: priced(byUsage(), func(p *controlv1.Price) { p.GetUsage().Rates[0].Header = "" })},
	{violation: "price.usage.rates[1].header:forbidden", request: priced(byUsage(), func(p *controlv1.Price) { p.GetUsage().Rates[1].Header = "x" })},
	{violation: "price.usage.rates[0].unit:invalid", request: priced(byUsage(), func(p *controlv1.Price) { p.GetUsage().Rates[0].Unit = 0 })},
	{violation: "price.usage.fallback:forbidden", request: priced(byUsage(), func(p *controlv1.Price) { p.GetUsage().Rates = p.GetUsage().Rates[1:] })},
	{violation: "price.metered.meters:required", request: priced(byMeters(), func(p *controlv1.Price) { p.GetMetered().Meters = nil })},
	{violation: "price.metered.meters[0].units[0].add[0]:invalid", request: priced(byMeters(), func(p *controlv1.Price) { p.GetMetered().Meters[0].Units[0].Add[0] = "tokens" })},
	{violation: "price.metered.fallback:invalid", request: priced(byMeters(), func(p *controlv1.Price) { p.GetMetered().Fallback = "a cent" })},
}
