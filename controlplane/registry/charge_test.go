package registry_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/protojson"

	"tollgate/controlplane/registry"
	controlv1 "tollgate/gen/tollgate/control/v1"
	"tollgate/internal/money"
)

// metered is a price by meters that breaks no rule.
func metered() *registry.Metered {
	return &registry.Metered{Message: &controlv1.Metered{
		Meters: []*controlv1.Meter{{
			Name: "chat",
			Counters: []*controlv1.Counter{
				{Name: "prompt", Sources: []*controlv1.Source{{Place: &controlv1.Source_Frame{Frame: "usage.prompt_tokens"}}}},
			},
			Units:  []*controlv1.Unit{{Name: "input", Add: []string{"prompt"}}},
			Prices: []*controlv1.ModelPrice{{Model: "*", Rates: []*controlv1.UnitPrice{{Unit: "input", Price: "2.50", Per: 1_000_000}}}},
			Hold:   &controlv1.MeterHold{Amount: "0.05"},
		}},
		Unmatched: "refuse", Fallback: "0.05",
	}}
}

func frame(path string) *controlv1.Condition {
	return &controlv1.Condition{Source: &controlv1.Source{Place: &controlv1.Source_Frame{Frame: path}}}
}

// Guarantee: each rule of prices beside those by use finds what it is for, under the right field, and nothing
// else is found.
func TestPriceRules(t *testing.T) {
	t.Parallel()
	charge := func(kind string, m *controlv1.Charge) registry.Price {
		c := &registry.Charge{Message: m}
		if kind == "fixed" {
			return registry.Price{PerRequest: 1, Charge: c}
		}
		return registry.Price{Reported: &registry.Reported{Ceiling: 2, Charge: c}}
	}
	reported := func(edit func(*registry.Reported)) registry.Price {
		r := registry.Reported{Header: "x-cost", Ceiling: 5, Fallback: 5}
		edit(&r)
		return registry.Price{Reported: &r}
	}
	cases := []struct {
		name  string
		price registry.Price
		want  string // field:code below the price, empty if nothing is wrong
	}{
		{"metered", registry.Price{Metered: metered()}, ""},
		{"a million", registry.Price{PerRequest: registry.MaxPrice}, ""},
		{"more than a million", registry.Price{PerRequest: registry.MaxPrice + 1}, "fixed.per_request:out_of_range"},
		{"reported", reported(func(*registry.Reported) {}), ""},
		{"no ceiling", reported(func(r *registry.Reported) { r.Ceiling = 0 }), "reported.ceiling:required"},
		{"negative ceiling", reported(func(r *registry.Reported) { r.Ceiling = -1 }), "reported.ceiling:price_negative"},
		{"ceiling beyond a million", reported(func(r *registry.Reported) { r.Ceiling = registry.MaxPrice + 1 }), "reported.ceiling:out_of_range"},
		{"fallback beyond the ceiling", reported(func(r *registry.Reported) { r.Fallback = 6 }), "reported.fallback:out_of_range"},
		{"negative fallback", reported(func(r *registry.Reported) { r.Fallback = -6 }), "reported.fallback:price_negative"},
		{"no header name", reported(func(r *registry.Reported) { r.Header = "a b" }), "reported.header:invalid"},
		{"default header", reported(func(r *registry.Reported) { r.Header = "" }), ""},
		{"default charge", charge("fixed", &controlv1.Charge{}), ""},
		{"statuses", charge("fixed", &controlv1.Charge{Statuses: []string{"2xx", "404", "5xx"}}), ""},
		{"any", charge("reported", &controlv1.Charge{Statuses: []string{"any"}}), ""},
		{"no status", charge("fixed", &controlv1.Charge{Statuses: []string{"20x"}}), "fixed.charge.statuses[0]:invalid"},
		{"status twice", charge("reported", &controlv1.Charge{Statuses: []string{"404", "404"}}), "reported.charge.statuses[1]:duplicate"},
		{"any and more", charge("fixed", &controlv1.Charge{Statuses: []string{"404", "any"}}), "fixed.charge.statuses[1]:duplicate"},
		{"too many statuses", charge("fixed", &controlv1.Charge{Statuses: strings.Split("200 201 202 203 204 205 206 207 208 209 210 211 212 213 214 215 216", " ")}), "fixed.charge.statuses:out_of_range"},
		{"method", charge("fixed", &controlv1.Charge{Methods: []string{"POST"}}), ""},
		{"no method", charge("fixed", &controlv1.Charge{Methods: []string{"post"}}), "fixed.charge.methods:invalid"},
		{"method that is not answered", charge("reported", &controlv1.Charge{Methods: []string{"PUT"}}), "reported.charge.methods:forbidden"},
		{"conditions", charge("fixed", &controlv1.Charge{OnlyIf: []*controlv1.Condition{frame("status")}, Unless: []*controlv1.Condition{frame("error")}}), ""},
		{"path of a condition", charge("fixed", &controlv1.Charge{Unless: []*controlv1.Condition{frame("error"), frame("a..b")}}), "fixed.charge.unless[1].source.frame:invalid"},
		{"path of the other condition", charge("reported", &controlv1.Charge{OnlyIf: []*controlv1.Condition{frame("a..b")}}), "reported.charge.only_if[0].source.frame:invalid"},
		{"too many conditions", charge("fixed", &controlv1.Charge{Unless: slices.Repeat([]*controlv1.Condition{frame("a")}, 9)}), "fixed.charge.unless:out_of_range"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			e := good()
			e.Price = c.price
			_, got := violations(t, e, known)
			var want []string
			if c.want != "" {
				want = []string{"endpoint.price." + c.want}
			}
			if !slices.Equal(got, want) {
				t.Errorf("found %q, want %q", got, want)
			}
		})
	}
}

// Guarantee: what is wrong with a meter is found under its field in the endpoint.
func TestMeterProblemsHaveFields(t *testing.T) {
	t.Parallel()
	e := good()
	e.Price = registry.Price{Metered: metered()}
	e.Price.Metered.Message.Meters[0].Units[0].Add = []string{"nothing"}
	_, got := violations(t, e, known)
	if len(got) == 0 || !strings.HasPrefix(got[0], "endpoint.price.metered.meters[0].units[0].add") {
		t.Errorf("found %q", got)
	}
}

// Guarantee: what is stored of a price is read as it was, also where a newer version has written more.
func TestStoredPrices(t *testing.T) {
	t.Parallel()
	for _, p := range []registry.Price{
		{Metered: metered()},
		{PerRequest: 5, Charge: &registry.Charge{Message: &controlv1.Charge{Statuses: []string{"any"}}}},
		{Reported: &registry.Reported{Header: "x-cost", Ceiling: 5, Fallback: 1, Charge: &registry.Charge{Message: &controlv1.Charge{Methods: []string{"GET"}}}}},
	} {
		raw, err := json.Marshal(p)
		if err != nil {
			t.Fatal(err)
		}
		for _, text := range []string{string(raw), strings.NewReplacer(`"meters":`, `"later":[1],"meters":`, `"statuses":`, `"later":{},"statuses":`).Replace(string(raw))} {
			var got registry.Price
			if err := json.Unmarshal([]byte(text), &got); err != nil || !got.Equal(&p) {
				t.Errorf("%s became %+v, %v", text, got, err)
			}
		}
	}
	var none registry.Price
	if err := json.Unmarshal([]byte(`{"metered": null, "charge": null}`), &none); err != nil || none.Metered != nil || none.Charge != nil {
		t.Errorf("nothing became %+v, %v", none, err)
	}
}

// Guarantee: without methods that are named, what only reads is not charged; what an operator names is.
func TestChargesMethod(t *testing.T) {
	t.Parallel()
	named := &registry.Charge{Message: &controlv1.Charge{Methods: []string{"GET"}}}
	cases := []struct {
		name      string
		price     registry.Price
		method    string
		endpoint  []string
		webSocket bool
		want      bool
	}{
		{"post", registry.Price{PerRequest: 1}, "POST", nil, false, true},
		{"get", registry.Price{PerRequest: 1}, "GET", nil, false, false},
		{"head", registry.Price{PerRequest: 1}, "HEAD", nil, false, false},
		{"options", registry.Price{PerRequest: 1}, "OPTIONS", nil, false, false},
		{"a method of one's own", registry.Price{PerRequest: 1}, "PURGE", nil, false, true},
		{"get that the endpoint names", registry.Price{PerRequest: 1}, "GET", []string{"GET"}, false, true},
		{"get that the charge names", registry.Price{PerRequest: 1, Charge: named}, "GET", nil, false, true},
		{"post that the charge does not name", registry.Price{PerRequest: 1, Charge: named}, "POST", []string{"GET", "POST"}, false, false},
		{"of a target", registry.Price{Reported: &registry.Reported{Charge: named}}, "POST", nil, false, false},
		{"WebSocket", registry.Price{PerRequest: 1}, "GET", nil, true, true},
	}
	for _, c := range cases {
		if got := c.price.ChargesMethod(c.method, c.endpoint, c.webSocket); got != c.want {
			t.Errorf("%s: %v", c.name, got)
		}
		e := good()
		e.Price, e.Methods = c.price, c.endpoint
		warned := slices.ContainsFunc(e.Warnings(), func(w registry.Warning) bool { return w.Code == registry.WarnMethods })
		if want := len(c.endpoint) == 0 && c.price.Charge == nil && c.price.Reported == nil; warned != want {
			t.Errorf("%s: warned is %v", c.name, warned)
		}
	}
	for _, p := range []registry.Price{{Free: true}, {Metered: metered()}, {Usage: &registry.Usage{PerRequest: 1}}} {
		e := good()
		e.Price, e.Methods = p, nil
		if w := e.Warnings(); len(w) != 0 {
			t.Errorf("warned of %+v", w)
		}
	}
}

// FuzzPrice: no document of a price, however odd, breaks the rules' own code, and what they let through is stored
// and read as it was.
func FuzzPrice(f *testing.F) {
	for _, p := range []*controlv1.Price{
		{Kind: &controlv1.Price_Metered{Metered: metered().Message}},
		{Kind: &controlv1.Price_Fixed_{Fixed: &controlv1.Price_Fixed{Charge: &controlv1.Charge{Statuses: []string{"any"}, Unless: []*controlv1.Condition{frame("error")}}}}},
		{Kind: &controlv1.Price_Reported_{Reported: &controlv1.Price_Reported{Charge: &controlv1.Charge{Methods: []string{"POST"}}}}},
	} {
		raw, err := protojson.Marshal(p)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(raw)
	}
	f.Add([]byte(`{"metered":{"meters":[{"name":"a","job":{"id":[{"path":"("}]},"charge":{"onlyIf":[{}]}}],"unmatched":"x","fallback":"1e999"}}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		var m controlv1.Price
		if protojson.Unmarshal(raw, &m) != nil {
			return
		}
		var p registry.Price
		switch k := m.GetKind().(type) {
		case *controlv1.Price_Metered:
			p.Metered = &registry.Metered{Message: k.Metered}
		case *controlv1.Price_Fixed_:
			p.PerRequest, p.Charge = money.Dollar, &registry.Charge{Message: k.Fixed.GetCharge()}
		case *controlv1.Price_Reported_:
			p.Reported = &registry.Reported{Header: k.Reported.GetHeader(), Ceiling: 1, Charge: &registry.Charge{Message: k.Reported.GetCharge()}}
		default:
			return
		}
		problems := registry.NewProblems("")
		p.Check(problems)
		if problems.Err("the price") != nil {
			return
		}
		stored, err := json.Marshal(p)
		var got registry.Price
		if err != nil || json.Unmarshal(stored, &got) != nil || !got.Equal(&p) {
			t.Errorf("%s became %+v, %v", stored, got, err)
		}
	})
}
