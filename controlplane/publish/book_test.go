package publish_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/testing/protocmp"

	"tollgate/controlplane/pricebook"
	"tollgate/controlplane/registry"
	controlv1 "tollgate/gen/tollgate/control/v1"
	eventv1 "tollgate/gen/tollgate/event/v1"
)

func modelPrice(model, price string) *controlv1.ModelPrice {
	return &controlv1.ModelPrice{Model: model, Rates: []*controlv1.UnitPrice{{Unit: "input", Price: price, Per: 1_000_000}}}
}

// Guarantee: edges get the lists of the price book that endpoints refer to and no others, with the operator's own rows
// first and then what says most of a name; a change of the book reaches them with a new version of the price.
func TestBookIsPublished(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.start()
	ctx := t.Context()
	book := &pricebook.Book{Rows: []pricebook.Row{
		{List: "openai", Price: modelPrice("gpt-4o", "2.5")},
		{List: "openai", Price: modelPrice("gpt-4o-mini", "0.15")},
		{List: "openai", Price: modelPrice("gpt-*", "9")},
		{List: "cohere", Price: modelPrice("command", "1")},
	}}
	if err := b.store.SeedBook(ctx, book); err != nil {
		t.Fatal(err)
	}
	b.current()
	if routes, _ := read(b, "routes", &eventv1.RouteSnapshot{}); len(routes.GetBook()) != 0 {
		t.Errorf("lists that nothing refers to: %v", routes.GetBook())
	}
	meter := func(name, list string) *controlv1.Meter {
		return &controlv1.Meter{
			Name: name, Book: list, Match: &controlv1.MeterMatch{Path: "^/" + name}, Hold: &controlv1.MeterHold{Amount: "0.01"},
			Model:    []*controlv1.Source{{Place: &controlv1.Source_Frame{Frame: "model"}}},
			Counters: []*controlv1.Counter{{Name: "input", Sources: []*controlv1.Source{{Place: &controlv1.Source_Frame{Frame: "usage.input"}}}}},
			Units:    []*controlv1.Unit{{Name: "input"}},
		}
	}
	e, err := b.store.CreateEndpoint(ctx, "test", registry.Endpoint{
		Name: "e", Path: "/e", Targets: []registry.Target{{URL: "https://x.example.com"}}, Timeout: time.Second,
		Price: registry.Price{Metered: &registry.Metered{Message: &controlv1.Metered{
			Unmatched: "refuse", Fallback: "0.05", Meters: []*controlv1.Meter{meter("chat", "openai"), meter("text", "openai"), meter("other", "nobody")},
		}}},
	}, nil)
	if err != nil {
		t.Fatal(err)
	}
	b.current()
	rows := []*controlv1.ModelPrice{modelPrice("gpt-4o-mini", "0.15"), modelPrice("gpt-4o", "2.5"), modelPrice("gpt-*", "9")}
	routes, _ := read(b, "routes", &eventv1.RouteSnapshot{})
	if diff := cmp.Diff([]*eventv1.BookList{{Name: "nobody"}, {Name: "openai", Rows: rows}}, routes.GetBook(), protocmp.Transform()); diff != "" {
		t.Errorf("book (-want +got):\n%s", diff)
	}
	if _, err := b.store.SetModelPrice(ctx, "test", "openai", modelPrice("gpt-4*", "1"), nil); err != nil {
		t.Fatal(err)
	}
	b.current()
	routes, at := read(b, "routes", &eventv1.RouteSnapshot{})
	rows = append([]*controlv1.ModelPrice{modelPrice("gpt-4*", "1")}, rows...)
	if diff := cmp.Diff(rows, routes.GetBook()[1].GetRows(), protocmp.Transform()); diff != "" {
		t.Errorf("with a row of one's own (-want +got):\n%s", diff)
	}
	if got := routes.GetEndpoints()[0].GetPriceVersion(); got != at.Revision || got <= e.PriceVersion {
		t.Errorf("price version %d at %s, was %d", got, at, e.PriceVersion)
	}
}
