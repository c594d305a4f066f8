package store_test

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/testing/protocmp"

	"tollgate/controlplane/pricebook"
	"tollgate/controlplane/registry"
	"tollgate/controlplane/store"
	controlv1 "tollgate/gen/tollgate/control/v1"
	"tollgate/internal/fault"
	"tollgate/internal/testenv"
)

func costs(model, unit, price string) *controlv1.ModelPrice {
	return &controlv1.ModelPrice{Model: model, Rates: []*controlv1.UnitPrice{{Unit: unit, Price: price, Per: 1_000_000}}}
}

func book(rows ...pricebook.Row) *pricebook.Book {
	return &pricebook.Book{Source: "a file", Date: "2026-11-01", Licence: "MIT", Rows: rows}
}

// pricedBy is an endpoint whose meter looks models up in a list of the book.
func pricedBy(name, list string) registry.Endpoint {
	e := registry.Endpoint{
		Name: name, Path: "/" + name, Targets: []registry.Target{{URL: "https://x.example.com"}}, Forward: registry.ForwardSafeList,
		Abandoned: registry.AbandonedReserved, Timeout: time.Second,
	}
	e.Price.Metered = &registry.Metered{Message: &controlv1.Metered{
		Unmatched: "refuse", Fallback: "0.05",
		Meters: []*controlv1.Meter{{
			Name: "chat", Book: list,
			Counters: []*controlv1.Counter{{Name: "input", Sources: []*controlv1.Source{{Place: &controlv1.Source_Frame{Frame: "usage.input"}}}}},
			Units:    []*controlv1.Unit{{Name: "input"}},
			Model:    []*controlv1.Source{{Place: &controlv1.Source_Frame{Frame: "model"}}},
			Hold:     &controlv1.MeterHold{Amount: "0.01"},
		}},
	}}
	return e
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func newStore(t *testing.T) (*store.Store, context.Context) {
	t.Helper()
	return store.New(testenv.Postgres(t, migrate)), t.Context()
}

// Guarantee: of several control planes that begin on a new database at once, one stores the book that comes with
// them; a database that has a book keeps it, whatever a newer binary comes with.
func TestSeedBookOnce(t *testing.T) {
	t.Parallel()
	s, ctx := newStore(t)
	shipped, err := pricebook.Builtin()
	check(t, err)
	shipped.Rows = shipped.Rows[:300]
	var all sync.WaitGroup
	failed := make([]error, 4)
	for i := range failed {
		all.Go(func() { failed[i] = s.SeedBook(ctx, shipped) })
	}
	all.Wait()
	check(t, errors.Join(failed...))
	check(t, s.SeedBook(ctx, book(pricebook.Row{List: "newer", Price: costs("m", "input", "1")})))
	versions, lists, err := s.Book(ctx)
	check(t, err)
	var rows int64
	for _, l := range lists {
		rows += l.Rows
	}
	if len(versions) != 1 || versions[0].Version != 1 || versions[0].Added != int64(len(shipped.Rows)) || rows != versions[0].Added || versions[0].Licence != "MIT" {
		t.Errorf("%d rows of %d, versions %+v", rows, len(shipped.Rows), versions)
	}
	state, err := s.State(ctx)
	if err != nil || state.Current.Revision != 1 {
		t.Errorf("state %+v, %v: want one revision", state, err)
	}
	u, err := s.CompareBook(ctx, shipped)
	if err != nil || len(u.Changes) != 0 {
		t.Errorf("what is stored differs from what was shipped by %d rows, %v", len(u.Changes), err)
	}
}

// Guarantee: a row of the operator's own comes before those of files and stays when these change; without it the
// file's holds again.
func TestOwnRowsSurviveUpdates(t *testing.T) {
	t.Parallel()
	s, ctx := newStore(t)
	first := book(pricebook.Row{List: "openai", Price: costs("gpt-4o", "input", "2.5")}, pricebook.Row{List: "openai", Price: costs("gpt-4o-mini", "input", "0.15")})
	check(t, s.SeedBook(ctx, first))
	_, err := s.SetModelPrice(ctx, "test", "openai", costs("GPT-4o", "input", "2.00"), nil)
	check(t, err)
	u, err := s.UpdateBook(ctx, "test", book(pricebook.Row{List: "openai", Price: costs("gpt-4o", "input", "9")}, pricebook.Row{List: "openai", Price: costs("o9", "input", "1")}))
	check(t, err)
	want := []store.BookChange{
		{Change: pricebook.Change{List: "openai", Model: "gpt-4o", Before: costs("gpt-4o", "input", "2.5"), After: costs("gpt-4o", "input", "9")}, Overridden: true},
		{Change: pricebook.Change{List: "openai", Model: "gpt-4o-mini", Before: costs("gpt-4o-mini", "input", "0.15")}},
		{Change: pricebook.Change{List: "openai", Model: "o9", After: costs("o9", "input", "1")}},
	}
	if diff := cmp.Diff(want, u.Changes, protocmp.Transform()); diff != "" {
		t.Errorf("changes (-want +got):\n%s", diff)
	}
	if v := u.Version; v == nil || v.Version != 2 || v.Added != 1 || v.Changed != 1 || v.Removed != 1 {
		t.Errorf("version %+v", v)
	}
	models := func() (out []string) {
		rows, err := s.BookList(ctx, "openai")
		check(t, err)
		for _, r := range rows {
			out = append(out, r.GetModel()+"="+r.GetRates()[0].GetPrice())
		}
		return out
	}
	if got := models(); !slices.Equal(got, []string{"GPT-4o=2", "gpt-4o=9", "o9=1"}) {
		t.Errorf("list %v", got)
	}
	check(t, s.DeleteModelPrice(ctx, "test", "openai", "gpt-4o"))
	if got := models(); !slices.Equal(got, []string{"gpt-4o=9", "o9=1"}) {
		t.Errorf("without the row of one's own: list %v", got)
	}
	if err := s.DeleteModelPrice(ctx, "test", "openai", "gpt-4o"); !errors.Is(err, fault.New(fault.ObjectNotFound, "")) {
		t.Errorf("again: %v", err)
	}
}

// Guarantee: a file of one vendor's prices changes no other list.
func TestFilesOfOneListLeaveTheOthers(t *testing.T) {
	t.Parallel()
	s, ctx := newStore(t)
	check(t, s.SeedBook(ctx, book(pricebook.Row{List: "openai", Price: costs("gpt-4o", "input", "2.5")}, pricebook.Row{List: "bria", Price: costs("old", "images", "1")})))
	u, err := s.UpdateBook(ctx, "test", book(pricebook.Row{List: "bria", Price: costs("new", "images", "0.04")}))
	check(t, err)
	if v := u.Version; v == nil || v.Added != 1 || v.Changed != 0 || v.Removed != 1 {
		t.Errorf("version %+v", v)
	}
	for list, want := range map[string]string{"openai": "gpt-4o", "bria": "new"} {
		rows, err := s.BookList(ctx, list)
		check(t, err)
		if len(rows) != 1 || rows[0].GetModel() != want {
			t.Errorf("list %s: %v", list, rows)
		}
	}
}

// Guarantee: the endpoints whose meters refer to a list get a new version of their price when it changes, and no
// others do; a change that a row of the operator's own hides, and one that is only looked at, give none.
func TestPriceVersionsFollowTheBook(t *testing.T) {
	t.Parallel()
	s, ctx := newStore(t)
	row := func(price string) *pricebook.Book {
		return book(pricebook.Row{List: "openai", Price: costs("gpt-4o", "input", price)}, pricebook.Row{List: "cohere", Price: costs("command", "input", "1")})
	}
	check(t, s.SeedBook(ctx, row("1")))
	for _, name := range []string{"openai", "cohere"} {
		_, err := s.CreateEndpoint(ctx, "test", pricedBy(name, name), nil)
		check(t, err)
	}
	versions := func() [2]int64 {
		a, err := s.Endpoint(ctx, "openai")
		check(t, err)
		b, err := s.Endpoint(ctx, "cohere")
		check(t, err)
		return [2]int64{a.PriceVersion, b.PriceVersion}
	}
	was := versions()
	u, err := s.CompareBook(ctx, row("2"))
	if err != nil || !slices.Equal(u.Endpoints, []string{"openai"}) || u.Version != nil || versions() != was {
		t.Errorf("only looked at: %+v, %v, versions %v", u, err, versions())
	}
	u, err = s.UpdateBook(ctx, "test", row("2"))
	check(t, err)
	state, err := s.State(ctx)
	check(t, err)
	now := versions()
	if now != [2]int64{state.Current.Revision, was[1]} || !slices.Equal(u.Endpoints, []string{"openai"}) {
		t.Errorf("updated: versions %v, were %v; endpoints %v", now, was, u.Endpoints)
	}
	_, err = s.SetModelPrice(ctx, "test", "openai", costs("gpt-*", "input", "3"), nil)
	check(t, err)
	if own := versions(); own[0] <= now[0] || own[1] != was[1] {
		t.Errorf("with a row of one's own: versions %v, were %v", own, now)
	}
	now = versions()
	if u, err = s.UpdateBook(ctx, "test", row("4")); err != nil || versions() != now || len(u.Endpoints) != 0 || !u.Changes[0].Overridden {
		t.Errorf("hidden: versions %v, were %v; %+v, %v", versions(), now, u, err)
	}
	if u, err = s.UpdateBook(ctx, "test", row("4.000")); err != nil || u.Version != nil || len(u.Changes) != 0 {
		t.Errorf("the same again: %+v, %v", u, err)
	}
}

// Guarantee: a row that says no price leaves no trace, and each thing that is wrong with it is named by field.
func TestModelPriceIsChecked(t *testing.T) {
	t.Parallel()
	s, ctx := newStore(t)
	bad := &controlv1.ModelPrice{Model: "a b", Rates: []*controlv1.UnitPrice{{Unit: "Input", Price: "-1"}, {Unit: "output", Price: "1e3", Per: -1}}}
	_, err := s.SetModelPrice(ctx, "test", "Open AI", bad, nil)
	f, ok := errors.AsType[*fault.Error](err)
	if !ok {
		t.Fatal(err)
	}
	var fields []string
	for _, v := range f.Violations {
		fields = append(fields, v.Field)
	}
	if want := []string{"list", "price.model", "price.rates[0].unit", "price.rates[0].price", "price.rates[1].price", "price.rates[1].per"}; !slices.Equal(fields, want) {
		t.Errorf("fields %v, want %v", fields, want)
	}
	if state, err := s.State(ctx); err != nil || state.Current.Revision != 0 {
		t.Errorf("state %+v, %v", state, err)
	}
}

// Guarantee: pages of rows hold every row once, the operator's own before the file's of the same model.
func TestBookRowsByPage(t *testing.T) {
	t.Parallel()
	s, ctx := newStore(t)
	check(t, s.SeedBook(ctx, book(
		pricebook.Row{List: "a", Price: costs("m1", "input", "1")}, pricebook.Row{List: "a", Price: costs("m2", "input", "1")},
		pricebook.Row{List: "b", Price: costs("m1", "input", "1")},
	)))
	_, err := s.SetModelPrice(ctx, "test", "a", costs("M2", "input", "2"), nil)
	check(t, err)
	read := func(f store.RowFilter) (out []string) {
		for token := ""; ; {
			rows, next, err := s.BookRows(ctx, f, store.Page{Size: 1, Token: token})
			check(t, err)
			for _, r := range rows {
				out = append(out, r.List+"/"+r.Price.GetModel())
			}
			if token = next; token == "" {
				return out
			}
		}
	}
	for _, c := range []struct {
		filter store.RowFilter
		want   []string
	}{
		{store.RowFilter{}, []string{"a/m1", "a/M2", "a/m2", "b/m1"}},
		{store.RowFilter{List: "a"}, []string{"a/m1", "a/M2", "a/m2"}},
		{store.RowFilter{Model: "M1"}, []string{"a/m1", "b/m1"}},
		{store.RowFilter{Overrides: true}, []string{"a/M2"}},
		{store.RowFilter{List: "none"}, nil},
	} {
		if got := read(c.filter); !slices.Equal(got, c.want) {
			t.Errorf("%+v: %v, want %v", c.filter, got, c.want)
		}
	}
}
