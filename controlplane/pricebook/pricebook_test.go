package pricebook

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"
	"pgregory.net/rapid"

	"tollgate/controlplane/registry"
	controlv1 "tollgate/gen/tollgate/control/v1"
	"tollgate/internal/fault"
	"tollgate/internal/meter"
)

// number makes JSON numbers that are not negative.
func number() *rapid.Generator[string] {
	return rapid.StringMatching(`(0|[1-9][0-9]{0,12})(\.[0-9]{1,18})?([eE][+-]?[0-9]{1,2})?`)
}

// Guarantee: a JSON number times a power of ten is exactly that, whatever its exponent, and is written in one way only.
func TestShiftIsExact(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		text, places := number().Draw(t, "number"), rapid.IntRange(-12, 12).Draw(t, "places")
		got, ok := Shift(text, places)
		if !ok {
			if _, e, _ := strings.Cut(strings.ToLower(text), "e"); len(strings.TrimLeft(e, "+-0")) < 2 {
				t.Fatalf("%s was refused", text)
			}
			return
		}
		want, _ := new(big.Rat).SetString(text)
		ten := new(big.Rat).SetInt(new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(max(places, -places))), nil))
		if places < 0 {
			ten.Inv(ten)
		}
		is, parsed := new(big.Rat).SetString(got)
		if !parsed || is.Cmp(want.Mul(want, ten)) != 0 {
			t.Fatalf("%s shifted by %d is %s", text, places, got)
		}
		if again, ok := Shift(got, 0); !ok || again != got {
			t.Fatalf("%s is written as %s again", got, again)
		}
	})
}

// Guarantee: what is no number, is negative or is out of all proportion is no price.
func TestShiftRefuses(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"", "-1", "+1", ".5", "5.", "1e", "1e999", "1e-65", "0x1", "1_000", "NaN", "Infinity", "1 ", strings.Repeat("9", 200), "1.2.3", "١"} {
		if got, ok := Shift(text, 0); ok {
			t.Errorf("%q is %s", text, got)
		}
	}
}

// Guarantee: a price of one unit is said for so many that it keeps to the places a price can have, exactly.
func TestAmountIsExact(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		one, power := number().Draw(t, "one"), rapid.SampledFrom([]int{0, 3, 6}).Draw(t, "power")
		price, per, ok := amount(one, power)
		if !ok {
			return
		}
		is, _ := new(big.Rat).SetString(price)
		want, _ := new(big.Rat).SetString(one)
		if is.Quo(is, new(big.Rat).SetInt64(per)).Cmp(want) != 0 || places(price) > mostPlaces || len(price) > mostDigits {
			t.Fatalf("%s is %s for %d", one, price, per)
		}
	})
}

func rate(unit, price string, per, above int64, variant string) *controlv1.UnitPrice {
	return &controlv1.UnitPrice{Unit: unit, Price: price, Per: per, Above: above, Variant: variant}
}

func model(name string, rates ...*controlv1.UnitPrice) *controlv1.ModelPrice {
	return &controlv1.ModelPrice{Model: name, Rates: rates}
}

// Guarantee: whatever passes the rules of the book is counted with by meters.
func TestMetersTakeEveryPrice(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		r := rate("input", rapid.StringMatching(`[0-9]{1,8}(\.[0-9]{1,13})?`).Draw(t, "price"), rapid.Int64Range(0, mostPer).Draw(t, "per"), 0, "")
		var p registry.Problems
		Check(&p, "price", model("m", r))
		wrong := meter.Check(metered(model("m", r)))
		if (p.Err("the price") == nil) != (len(wrong) == 0) {
			t.Fatalf("%v: the book says %v, the meter %v", r, p.Err("the price"), wrong)
		}
	})
}

// metered is a price by a meter that has all units of some models.
func metered(prices ...*controlv1.ModelPrice) *controlv1.Metered {
	m := &controlv1.Meter{
		Name: "all", Prices: prices, Tier: []string{"n"}, Hold: &controlv1.MeterHold{Amount: "1"},
		Model:    []*controlv1.Source{{Place: &controlv1.Source_Frame{Frame: "model"}}},
		Variant:  []*controlv1.Source{{Place: &controlv1.Source_Frame{Frame: "tier"}}},
		Counters: []*controlv1.Counter{{Name: "n", Sources: []*controlv1.Source{{Place: &controlv1.Source_Frame{Frame: "n"}}}}},
	}
	seen := map[string]bool{}
	for _, p := range prices {
		for _, r := range p.GetRates() {
			if !seen[r.GetUnit()] {
				m.Units = append(m.Units, &controlv1.Unit{Name: r.GetUnit(), Add: []string{"n"}})
			}
			seen[r.GetUnit()] = true
		}
	}
	return &controlv1.Metered{Meters: []*controlv1.Meter{m}, Unmatched: "refuse", Fallback: "1"}
}

// Guarantee: rows are tried from what says most of a name to what says least.
func TestOrder(t *testing.T) {
	t.Parallel()
	var rows []*controlv1.ModelPrice
	for _, name := range []string{"*", "gpt-4*", "gpt-4o", "gpt-4o-*", "gpt-4o-mini", "GPT-4"} {
		rows = append(rows, model(name))
	}
	slices.SortFunc(rows, Order)
	var got []string
	for _, r := range rows {
		got = append(got, r.GetModel())
	}
	if want := []string{"gpt-4o-mini", "gpt-4o", "GPT-4", "gpt-4o-*", "gpt-4*", "*"}; !slices.Equal(got, want) {
		t.Errorf("order %v, want %v", got, want)
	}
}

// Guarantee: books are compared by what prices come to, and a change names what was and what is.
func TestDiff(t *testing.T) {
	t.Parallel()
	was := []Row{
		{"a", model("same", rate("input", "2.50", 1_000_000, 0, ""))},
		{"a", model("gone", rate("input", "1", 1, 0, ""))},
		{"b", model("dear", rate("input", "1", 1, 0, ""))},
		{"b", model("tier", rate("input", "1", 1, 0, ""))},
	}
	is := []Row{
		{"a", model("Same", rate("input", "0.0000025", 0, 0, ""))},
		{"a", model("new", rate("input", "1", 1, 0, ""))},
		{"b", model("dear", rate("input", "1.000000001", 1, 0, ""))},
		{"b", model("tier", rate("input", "1", 1, 0, ""), rate("input", "1", 1, 5, ""))},
	}
	var got []string
	for _, c := range Diff(was, is) {
		got = append(got, fmt.Sprintf("%s/%s %t %t", c.List, c.Model, c.Before != nil, c.After != nil))
	}
	if want := []string{"a/gone true false", "a/new false true", "b/dear true true", "b/tier true true"}; !slices.Equal(got, want) {
		t.Errorf("changes %v, want %v", got, want)
	}
	if left := Diff(is, is); len(left) != 0 {
		t.Errorf("a book differs from itself: %v", left)
	}
}

// Guarantee: normalizing a price changes neither what it comes to nor the message it is made of, and once is enough.
func TestNormalize(t *testing.T) {
	t.Parallel()
	p := model("m", rate("output", "010.50", 0, 0, "flex"), rate("input", "0.0", 1000, 200_000, ""), rate("input", "1.0", 1000, 0, ""))
	before := proto.CloneOf(p)
	n := Normalize(p)
	if got, want := strings.Join(said(n), " "), "input=1/1000 input=0/1000>200000 output=10.5@flex"; got != want {
		t.Errorf("normalized: %s, want %s", got, want)
	}
	if !proto.Equal(p, before) || !Same(n, p) || !proto.Equal(Normalize(n), n) {
		t.Error("it changed what it was given, or what that comes to")
	}
}

func packed(text string) []byte {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	_, _ = z.Write([]byte(text)) // a buffer takes everything
	_ = z.Close()
	return b.Bytes()
}

// Guarantee: a book of one's own is read as it is written, compressed or not.
func TestOwnFormat(t *testing.T) {
	t.Parallel()
	const text = ` {"tollgate_price_book": 1, "source": "the contract", "date": "2026-11-01", "licence": "ours", "lists": {"bria": [
		{"model": "*", "rates": [{"unit": "images", "price": "0.040"}, {"unit": "images", "price": "4", "per": 1000, "above": 10, "variant": "bulk"}]}]}}`
	for _, file := range [][]byte{[]byte(text), packed(text)} {
		b, err := Parse(file, "")
		if err != nil {
			t.Fatal(err)
		}
		if len(b.Rows) != 1 || strings.Join(said(find(b, "bria", "*")), " ") != "images=0.04 images=4/1000>10@bulk" ||
			b.Source != "the contract" || b.Date != "2026-11-01" || b.Licence != "ours" {
			t.Errorf("read %+v", b)
		}
	}
}

// Guarantee: a file that cannot be read whole is refused, and all that is wrong with it is named by field.
func TestParseRefuses(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"":             "file",
		"prices":       "file",
		"{":            "file",
		"[":            "file",
		"{}":           "file",
		"[]":           "file",
		`{"a": {}}`:    "file",
		"\x1f\x8bxxxx": "file",
		`{"tollgate_price_book": 2, "lists": {}}`:                                                             "file",
		`{"tollgate_price_book": 1, "lists": {}}`:                                                             "file",
		`{"tollgate_price_book": 1, "list": {}}`:                                                              "file",
		`{"tollgate_price_book": 1, "lists": {"a": [{"model": "m", "rates": [{"price": 1.5}]}]}}`:             "file",
		`{"tollgate_price_book": 1, "lists": {"a": [{"model": "m", "rates": [{"unit":"u","price":"1"}]}]}} x`: "file",
		`{"tollgate_price_book": 1, "date": "soon", "lists": {"A": [{"model": "", "rates": []}, {"model": "m", "rates": [{"unit": "U", "price": "-1"}]}, {"model": "M", "rates": [{"unit": "u", "price": "1"}, {"unit": "u", "price": "2"}]}]}}`: "file.date file.lists file.lists.A[0].model file.lists.A[0].rates file.lists.A[1].rates[0].unit file.lists.A[1].rates[0].price file.lists.A[2].rates[1] file.lists.A[2].model",
	} {
		_, err := Parse([]byte(text), "2026-11-01")
		f, ok := errors.AsType[*fault.Error](err)
		if !ok {
			t.Errorf("%s: %v", text, err)
			continue
		}
		var fields []string
		for _, v := range f.Violations {
			fields = append(fields, v.Field)
		}
		if got := strings.Join(fields, " "); got != want || f.Code != fault.InvalidArgument {
			t.Errorf("%s: %s, want %s (%v)", text, got, want, err)
		}
	}
}

// Guarantee: of genai-prices those rows are taken whose names a glob can say, at the prices that hold on the day.
func TestGenAIPrices(t *testing.T) {
	t.Parallel()
	const text = `[{"id": "x-ai", "models": [
		{"id": "plain", "match": {"or": [{"equals": "grok-1"}, {"starts_with": "grok-1-"}, {"regex": "^x$"}]}, "prices": {"input_mtok": 2, "cache_read_mtok": 0.075, "web_searches_kcount": 10, "output_video_mtok": 9}},
		{"id": "later", "match": {"contains": "grok-1"}, "prices": {"input_mtok": 3}},
		{"id": "tiers", "match": {"ends_with": "-long"}, "prices": {"output_mtok": {"base": 1.5, "tiers": [{"start": 128000, "price": 3}]}}},
		{"id": "dated", "match": {"equals": "dated"}, "prices": [{"prices": {"input_mtok": 1}}, {"constraint": {"start_date": "2026-03-01"}, "prices": {"input_mtok": 5}}, {"constraint": {"start_date": "2027-01-01"}, "prices": {"input_mtok": 9}}]},
		{"id": "night", "match": {"equals": "night"}, "prices": [{"constraint": {"start_time": "00:30:00Z", "end_time": "16:30:00Z"}, "prices": {"input_mtok": 1}}]},
		{"id": "zero", "match": {"equals": "zero"}, "prices": {"input_mtok": 0}},
		{"id": "minus", "match": {"equals": "minus"}, "prices": {"input_mtok": -1}},
		{"id": "none", "match": {"equals": "none"}, "prices": {}},
		{"id": "twice", "match": {"equals": "grok-1"}, "prices": {"input_mtok": 7}}
	]}]`
	b, err := Parse([]byte(text), "2026-08-21")
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, r := range b.Rows {
		got = append(got, r.List+"/"+r.Price.GetModel()+" "+strings.Join(said(r.Price), " "))
	}
	want := []string{
		"xai/*-long output=1.5/1000000 output=3/1000000>128000", "xai/*grok-1* input=3/1000000", "xai/dated input=5/1000000",
		"xai/grok-1 cached_input=0.075/1000000 input=2/1000000 web_searches=10/1000", "xai/grok-1-* cached_input=0.075/1000000 input=2/1000000 web_searches=10/1000",
	}
	if !slices.Equal(got, want) {
		t.Errorf("rows:\n%s", strings.Join(got, "\n"))
	}
	if len(b.Skipped) != 6 {
		t.Errorf("left out:\n%s", strings.Join(b.Skipped, "\n"))
	}
}

// FuzzParse: whatever a file holds, it is refused, or all its rows are such as could be written by hand.
func FuzzParse(f *testing.F) {
	f.Add([]byte(`{"tollgate_price_book": 1, "lists": {"a": [{"model": "m", "rates": [{"unit": "u", "price": "1", "per": 5}]}]}}`))
	f.Add([]byte(`{"azure/gpt-x": {"litellm_provider": "azure", "mode": "chat", "input_cost_per_token_above_200k_tokens_flex": 2e-06, "tiered_pricing": [{"range": [0, 256e3], "input_cost_per_token": 1e-7}], "search_context_cost_per_query": {"search_context_size_medium": 0.1}}}`))
	f.Add([]byte(`[{"id": "x-ai", "models": [{"id": "a", "match": {"or": [{"equals": "g"}, {"contains": "h"}]}, "prices": [{"prices": {"input_mtok": {"base": 1, "tiers": [{"start": 5, "price": 2}]}}}]}]}]`))
	f.Add(packed(`{"a": {"litellm_provider": "openai", "ocr_cost_per_page": 1e-60}}`))
	f.Fuzz(func(t *testing.T, file []byte) {
		b, err := Parse(file, "2026-11-01")
		if err != nil {
			if _, ok := errors.AsType[*fault.Error](err); !ok {
				t.Fatalf("%v is no fault", err)
			}
			return
		}
		var p registry.Problems
		for i, r := range b.Rows {
			CheckList(&p, "list", r.List)
			Check(&p, "price", r.Price)
			if i > 0 && byID(b.Rows[i-1], r) >= 0 {
				t.Fatalf("%s/%s is there twice or out of order", r.List, r.Price.GetModel())
			}
			if !proto.Equal(Normalize(r.Price), r.Price) {
				t.Fatalf("%s/%s is not in its normal form", r.List, r.Price.GetModel())
			}
		}
		if err := p.Err("the book"); err != nil {
			t.Fatal(err)
		}
	})
}
