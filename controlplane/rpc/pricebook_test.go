package rpc_test

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"connectrpc.com/connect"
	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/testing/protocmp"

	controlv1 "tollgate/gen/tollgate/control/v1"
)

const ownBook = `{"tollgate_price_book": 1, "source": "the contract", "date": "2026-11-01", "lists": {"bria": [{"model": "*", "rates": [{"unit": "images", "price": "0.04"}]}]}}`

func imagePrice(model, price string) *controlv1.ModelPrice {
	return &controlv1.ModelPrice{Model: model, Rates: []*controlv1.UnitPrice{{Unit: "images", Price: price, Per: 1}}}
}

// Guarantee: a file is first compared and then taken over, with what was said of it; what it changes is named, and
// the same file again changes nothing.
func TestUpdatePriceBook(t *testing.T) {
	t.Parallel()
	for _, options := range [][]connect.ClientOption{nil, {connect.WithGRPC()}, {connect.WithProtoJSON()}} {
		b, ctx := setup(t, options...), t.Context()
		req := &controlv1.UpdatePriceBookRequest{File: []byte(ownBook), Licence: "ours", DryRun: true}
		before := b.dump()
		tried := must[*controlv1.UpdatePriceBookResponse](t)(b.book.UpdatePriceBook(ctx, req))
		if want := []*controlv1.PriceChange{{List: "bria", Model: "*", After: imagePrice("*", "0.04")}}; cmp.Diff(want, tried.GetChanges(), protocmp.Transform()) != "" || tried.Version != nil || b.dump() != before {
			t.Fatalf("tried: %v", tried)
		}
		req.DryRun = false
		done := must[*controlv1.UpdatePriceBookResponse](t)(b.book.UpdatePriceBook(ctx, req))
		got := must[*controlv1.GetPriceBookResponse](t)(b.book.GetPriceBook(ctx, &controlv1.GetPriceBookRequest{}))
		want := &controlv1.GetPriceBookResponse{
			Versions: []*controlv1.PriceBookVersion{{Version: 1, Source: "the contract", Date: "2026-11-01", Licence: "ours", Added: 1, CreateTime: done.GetVersion().GetCreateTime()}},
			Lists:    []*controlv1.PriceList{{Name: "bria", Rows: 1}},
		}
		if diff := cmp.Diff(want, got, protocmp.Transform()); diff != "" || done.GetVersion().GetCreateTime() == nil {
			t.Errorf("book (-want +got):\n%s", diff)
		}
		before = b.dump()
		again := must[*controlv1.UpdatePriceBookResponse](t)(b.book.UpdatePriceBook(ctx, req))
		if len(again.GetChanges()) != 0 || again.Version != nil || b.dump() != before {
			t.Errorf("again: %v", again)
		}
	}
}

// Guarantee: without a file the book is the one that comes with the server, which is larger than most messages, in
// both directions.
func TestShippedPriceBook(t *testing.T) {
	t.Parallel()
	b, ctx := setup(t), t.Context()
	tried := must[*controlv1.UpdatePriceBookResponse](t)(b.book.UpdatePriceBook(ctx, &controlv1.UpdatePriceBookRequest{DryRun: true}))
	if len(tried.GetChanges()) < 2500 || len(tried.GetSkipped()) == 0 {
		t.Errorf("%d changes, left out %v", len(tried.GetChanges()), tried.GetSkipped())
	}
	done := must[*controlv1.UpdatePriceBookResponse](t)(b.book.UpdatePriceBook(ctx, &controlv1.UpdatePriceBookRequest{}))
	if v := done.GetVersion(); v.GetDate() != "2026-08-06" || v.GetLicence() != "MIT" || v.GetAdded() != int64(len(tried.GetChanges())) {
		t.Errorf("version %v", v)
	}
	padded := append([]byte(ownBook), bytes.Repeat([]byte(" "), 10<<20)...)
	if _, err := b.book.UpdatePriceBook(ctx, &controlv1.UpdatePriceBookRequest{File: padded, DryRun: true}); err != nil {
		t.Errorf("10 MiB: %v", err)
	}
	if _, err := b.book.UpdatePriceBook(ctx, &controlv1.UpdatePriceBookRequest{File: append(padded, padded...)}); connect.CodeOf(err) != connect.CodeInvalidArgument {
		t.Errorf("20 MiB: %v", err)
	}
	if _, err := b.book.ListModelPrices(ctx, &controlv1.ListModelPricesRequest{List: strings.Repeat("x", 5<<10)}); connect.CodeOf(err) != connect.CodeInvalidArgument {
		t.Errorf("a long name: %v", err)
	}
}

// Guarantee: a bad file and a bad row are refused by field, and leave everything as it was.
func TestBadPricesChangeNothing(t *testing.T) {
	t.Parallel()
	b, ctx := setup(t), t.Context()
	must[*controlv1.UpdatePriceBookResponse](t)(b.book.UpdatePriceBook(ctx, &controlv1.UpdatePriceBookRequest{File: []byte(ownBook)}))
	before := b.dump()
	for _, c := range []struct {
		call func() error
		want []string
	}{
		{func() error {
			_, err := b.book.UpdatePriceBook(ctx, &controlv1.UpdatePriceBookRequest{File: []byte(`{"tollgate_price_book": 1, "lists": {"a": [{"model": "m", "rates": [{"unit": "u", "price": "1"}]}, {"model": "n", "rates": [{"unit": "u", "price": "x"}]}]}}`)})
			return err
		}, []string{"file.lists.a[1].rates[0].price:invalid"}},
		{func() error {
			_, err := b.book.UpdatePriceBook(ctx, &controlv1.UpdatePriceBookRequest{File: []byte("nonsense")})
			return err
		}, []string{"file:invalid"}},
		{func() error {
			_, err := b.book.SetModelPrice(ctx, &controlv1.SetModelPriceRequest{List: "bria", Price: imagePrice("m", "-0.04")})
			return err
		}, []string{"price.rates[0].price:out_of_range"}},
		{func() error {
			_, err := b.book.SetModelPrice(ctx, &controlv1.SetModelPriceRequest{List: "bria", Price: &controlv1.ModelPrice{Model: "m"}})
			return err
		}, []string{"price.rates:required"}},
		{func() error {
			_, err := b.book.DeleteModelPrice(ctx, &controlv1.DeleteModelPriceRequest{List: "bria", Model: "*"})
			return err
		}, nil},
		{func() error {
			_, err := b.book.ListModelPrices(ctx, &controlv1.ListModelPricesRequest{PageToken: wire([]byte("v1:a"))})
			return err
		}, []string{"page_token:invalid"}},
	} {
		err := c.call()
		if got := failureOf(err); err == nil || !slices.Equal(got.Violations, c.want) {
			t.Errorf("%v: violations %v, want %v", err, got.Violations, c.want)
		}
	}
	if after := b.dump(); after != before {
		t.Errorf("something changed (-was +is):\n%s", cmp.Diff(before, after))
	}
}

// Guarantee: a row of the operator's own is stored, listed before the file's, audited and removed; the price that is
// given is kept to the digit.
func TestModelPriceOfOnesOwn(t *testing.T) {
	t.Parallel()
	b, ctx := setup(t), t.Context()
	must[*controlv1.UpdatePriceBookResponse](t)(b.book.UpdatePriceBook(ctx, &controlv1.UpdatePriceBookRequest{File: []byte(ownBook)}))
	set := must[*controlv1.SetModelPriceResponse](t)(b.book.SetModelPrice(ctx, &controlv1.SetModelPriceRequest{List: "bria", Price: imagePrice("*", "0.035000000001")}))
	rows := must[*controlv1.ListModelPricesResponse](t)(b.book.ListModelPrices(ctx, &controlv1.ListModelPricesRequest{List: "bria"}))
	want := []*controlv1.BookRow{{List: "bria", Price: imagePrice("*", "0.035000000001"), Override: true}, {List: "bria", Price: imagePrice("*", "0.04")}}
	if diff := cmp.Diff(want, rows.GetRows(), protocmp.Transform()); diff != "" || cmp.Diff(want[0], set.GetRow(), protocmp.Transform()) != "" {
		t.Errorf("rows (-want +got):\n%s", diff)
	}
	must[*controlv1.DeleteModelPriceResponse](t)(b.book.DeleteModelPrice(ctx, &controlv1.DeleteModelPriceRequest{List: "bria", Model: "*"}))
	var entries string
	err := b.pool.QueryRow(ctx, `SELECT string_agg(a.action || ' ' || a.kind || ' ' || a.object_id, ', ' ORDER BY a.revision) FROM control.audit a WHERE a.actor = 'admin'`).Scan(&entries)
	if want := "update price_book 1, create model_price bria/*, delete model_price bria/*"; err != nil || entries != want {
		t.Errorf("audit %q, %v", entries, err)
	}
}
