package rpc_test

import (
	"strings"

	"google.golang.org/protobuf/proto"

	controlv1 "tollgate/gen/tollgate/control/v1"
)

func setPrice(edit func(*controlv1.SetModelPriceRequest)) func(*world) proto.Message {
	return func(w *world) proto.Message {
		req := &controlv1.SetModelPriceRequest{List: "ours", Price: imagePrice(w.name("model"), "0.04")}
		edit(req)
		return req
	}
}

// ownRow is a row of the operator's own.
func (w *world) ownRow() *controlv1.BookRow {
	w.t.Helper()
	return must[*controlv1.SetModelPriceResponse](w.t)(w.book.SetModelPrice(w.t.Context(), &controlv1.SetModelPriceRequest{List: "ours", Price: imagePrice(w.name("model"), "0.04")})).GetRow()
}

func theRate(edit func(*controlv1.UnitPrice)) func(*world) proto.Message {
	return setPrice(func(req *controlv1.SetModelPriceRequest) { edit(req.GetPrice().GetRates()[0]) })
}

var _ = covers("PriceBookService", map[string]cases{
	"GetPriceBook": {
		right: func(w *world) proto.Message { w.ownRow(); return &controlv1.GetPriceBookRequest{} },
		check: func(w *world, res proto.Message) {
			if l := res.(*controlv1.GetPriceBookResponse).GetLists(); len(l) != 1 || l[0].GetName() != "ours" || l[0].GetOverrides() == 0 {
				w.t.Errorf("%v", l)
			}
		},
	},
	"ListModelPrices": {
		right: func(w *world) proto.Message {
			w.ownRow()
			w.ownRow()
			return &controlv1.ListModelPricesRequest{List: "ours", Overrides: true}
		},
		check: func(w *world, res proto.Message) {
			rows := res.(*controlv1.ListModelPricesResponse).GetRows()
			if len(rows) < 2 || rows[0].GetPrice().GetModel() > rows[1].GetPrice().GetModel() {
				w.t.Errorf("%v", rows)
			}
		},
		wrong: []wrong{
			{violation: "list:invalid", request: is(&controlv1.ListModelPricesRequest{List: strings.Repeat("x", 65)})},
			{violation: "model:invalid", request: is(&controlv1.ListModelPricesRequest{Model: strings.Repeat("x", 257)})},
			{violation: "page_size:invalid", request: is(&controlv1.ListModelPricesRequest{PageSize: 1001})},
			{violation: "page_token:invalid", request: is(&controlv1.ListModelPricesRequest{PageToken: wire([]byte("v1:a"))})},
		},
	},
	"SetModelPrice": {
		right: setPrice(func(*controlv1.SetModelPriceRequest) {}),
		check: func(w *world, res proto.Message) {
			if r := res.(*controlv1.SetModelPriceResponse).GetRow(); !r.GetOverride() || r.GetPrice().GetRates()[0].GetPrice() != "0.04" {
				w.t.Errorf("%v", r)
			}
		},
		wrong: []wrong{
			{violation: "list:invalid", request: setPrice(func(r *controlv1.SetModelPriceRequest) { r.List = "A b" })},
			{violation: "price:required", request: setPrice(func(r *controlv1.SetModelPriceRequest) { r.Price = nil })},
			{violation: "price.model:required", request: setPrice(func(r *controlv1.SetModelPriceRequest) { r.Price.Model = "" })},
			{violation: "price.model:invalid", request: setPrice(func(r *controlv1.SetModelPriceRequest) { r.Price.Model = "a b" })},
			{violation: "price.rates:required", request: setPrice(func(r *controlv1.SetModelPriceRequest) { r.Price.Rates = nil })},
			{violation: "price.rates[1]:duplicate", request: setPrice(func(r *controlv1.SetModelPriceRequest) {
				r.Price.Rates = append(r.Price.Rates, proto.CloneOf(r.Price.Rates[0]))
			})},
			{violation: "price.rates[0].unit:invalid", request: theRate(func(r *controlv1.UnitPrice) { r.Unit = "A b" })},
			{violation: "price.rates[0].price:invalid", request: theRate(func(r *controlv1.UnitPrice) { r.Price = "a cent" })},
			{violation: "price.rates[0].price:out_of_range", request: theRate(func(r *controlv1.UnitPrice) { r.Price = "-1" })},
			{violation: "price.rates[0].price:out_of_range", request: theRate(func(r *controlv1.UnitPrice) { r.Price = "0." + strings.Repeat("1", 20) })},
			{violation: "price.rates[0].price:out_of_range", request: theRate(func(r *controlv1.UnitPrice) { r.Price = "1000001" })},
			{violation: "price.rates[0].per:invalid", request: theRate(func(r *controlv1.UnitPrice) { r.Per = -1 })},
			{violation: "price.rates[0].above:invalid", request: theRate(func(r *controlv1.UnitPrice) { r.Above = -1 })},
			{violation: "price.rates[0].variant:invalid", request: theRate(func(r *controlv1.UnitPrice) { r.Variant = "a b" })},
		},
	},
	"DeleteModelPrice": {
		right: func(w *world) proto.Message {
			r := w.ownRow()
			return &controlv1.DeleteModelPriceRequest{List: r.GetList(), Model: r.GetPrice().GetModel()}
		},
		wrong: []wrong{
			{violation: "list:invalid", request: is(&controlv1.DeleteModelPriceRequest{List: strings.Repeat("x", 65)})},
			{violation: "model:invalid", request: is(&controlv1.DeleteModelPriceRequest{Model: strings.Repeat("x", 257)})},
		},
		notFound: is(&controlv1.DeleteModelPriceRequest{List: "ours", Model: "nothing"}),
	},
	"UpdatePriceBook": {
		right: func(w *world) proto.Message {
			return &controlv1.UpdatePriceBookRequest{File: []byte(strings.ReplaceAll(ownBook, `"*"`, `"`+w.name("m")+`"`)), Licence: "ours"}
		},
		check: func(w *world, res proto.Message) {
			if m := res.(*controlv1.UpdatePriceBookResponse); m.GetVersion().GetLicence() != "ours" || len(m.GetChanges()) == 0 {
				w.t.Errorf("%v", m)
			}
		},
		wrong: []wrong{
			{violation: "file:invalid", request: is(&controlv1.UpdatePriceBookRequest{File: []byte("nonsense")})},
			{violation: "file.lists.a[0].rates[0].price:invalid", request: is(&controlv1.UpdatePriceBookRequest{
				File: []byte(`{"tollgate_price_book": 1, "lists": {"a": [{"model": "n", "rates": [{"unit": "u", "price": "x"}]}]}}`),
			})},
			{violation: "file.lists.a[1].model:duplicate", request: is(&controlv1.UpdatePriceBookRequest{
				File: []byte(`{"tollgate_price_book": 1, "lists": {"a": [{"model": "n", "rates": [{"unit": "u", "price": "1"}]}, {"model": "n", "rates": [{"unit": "u", "price": "1"}]}]}}`),
			})},
			{violation: "date:invalid", request: is(&controlv1.UpdatePriceBookRequest{Date: "today"})},
			{violation: "source:invalid", request: is(&controlv1.UpdatePriceBookRequest{Source: strings.Repeat("x", 1025)})},
			{violation: "licence:invalid", request: is(&controlv1.UpdatePriceBookRequest{Licence: strings.Repeat("x", 257)})},
		},
		without: map[string]string{"notFound": "it names no object", "stale": "the book has no etag"},
	},
})
