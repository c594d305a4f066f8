package cli_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"io"
	"maps"
	"slices"
	"strings"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	controlv1 "tollgate/gen/tollgate/control/v1"
	"tollgate/gen/tollgate/control/v1/controlv1connect"
	"tollgate/internal/fault"
)

// priceBookService keeps rows by list and model; those of the operator's own have a "!" in front.
type priceBookService struct {
	controlv1connect.UnimplementedPriceBookServiceHandler
	*fake
}

// shippedPrices is the book that comes with the server.
const shippedPrices = `{"tollgate_price_book": 1, "lists": {"openai": [
	{"model": "gpt-4o", "rates": [{"unit": "input", "price": "2.5", "per": 1000000}, {"unit": "input", "price": "1.25", "per": 1000000, "variant": "batch"}]},
	{"model": "gpt-4o-mini", "rates": [{"unit": "input", "price": "0.15", "per": 1000000}]}]}}`

func rowKey(override bool, list, model string) string {
	if override {
		list = "!" + list
	}
	return list + "/" + strings.ToLower(model)
}

func readPrices(text []byte) (map[string]*controlv1.BookRow, error) {
	var f struct {
		Version int64 `json:"tollgate_price_book"`
		Lists   map[string][]*controlv1.ModelPrice
	}
	if err := json.Unmarshal(text, &f); err != nil || f.Version != 1 {
		return nil, refuse(fault.New(fault.InvalidArgument, "The file is not JSON.").WithViolations(fault.Violation{Field: "file", Reason: "The file is not JSON."}))
	}
	out := map[string]*controlv1.BookRow{}
	for list, prices := range f.Lists {
		for _, p := range prices {
			out[rowKey(false, list, p.GetModel())] = &controlv1.BookRow{List: list, Price: p}
		}
	}
	return out, nil
}

func (s priceBookService) GetPriceBook(context.Context, *controlv1.GetPriceBookRequest) (*controlv1.GetPriceBookResponse, error) {
	lists := map[string]*controlv1.PriceList{}
	for _, row := range s.prices {
		l := lists[row.GetList()]
		if l == nil {
			l = &controlv1.PriceList{Name: row.GetList()}
			lists[row.GetList()] = l
		}
		if row.GetOverride() {
			l.Overrides++
		} else {
			l.Rows++
		}
	}
	out := &controlv1.GetPriceBookResponse{Versions: s.priceVersions}
	for _, name := range slices.Sorted(maps.Keys(lists)) {
		out.Lists = append(out.Lists, lists[name])
	}
	return out, nil
}

func (s priceBookService) ListModelPrices(_ context.Context, req *controlv1.ListModelPricesRequest) (*controlv1.ListModelPricesResponse, error) {
	out := &controlv1.ListModelPricesResponse{}
	for _, key := range slices.Sorted(maps.Keys(s.prices)) {
		row := s.prices[key]
		if (req.GetList() == "" || row.GetList() == req.GetList()) && strings.Contains(key, strings.ToLower(req.GetModel())) && (row.GetOverride() || !req.GetOverrides()) {
			out.Rows = append(out.Rows, row)
		}
	}
	return out, nil
}

func (s priceBookService) UpdatePriceBook(_ context.Context, req *controlv1.UpdatePriceBookRequest) (*controlv1.UpdatePriceBookResponse, error) {
	text := []byte(shippedPrices)
	if len(req.GetFile()) > 0 {
		z, err := gzip.NewReader(bytes.NewReader(req.GetFile()))
		if err != nil {
			return nil, err
		}
		if text, err = io.ReadAll(z); err != nil {
			return nil, err
		}
	}
	rows, err := readPrices(text)
	if err != nil {
		return nil, err
	}
	out := &controlv1.UpdatePriceBookResponse{}
	all := maps.Clone(rows)
	maps.Copy(all, s.prices)
	v := &controlv1.PriceBookVersion{Version: int64(len(s.priceVersions)) + 1, Source: req.GetSource(), Date: req.GetDate(), Licence: req.GetLicence(), CreateTime: timestamppb.New(clock)}
	for _, key := range slices.Sorted(maps.Keys(all)) {
		was, is := s.prices[key], rows[key]
		if was.GetOverride() || proto.Equal(was.GetPrice(), is.GetPrice()) {
			continue
		}
		c := &controlv1.PriceChange{List: all[key].GetList(), Model: all[key].GetPrice().GetModel(), Before: was.GetPrice(), After: is.GetPrice()}
		_, c.Overridden = s.prices[rowKey(true, c.GetList(), c.GetModel())]
		out.Changes = append(out.Changes, c)
	}
	if len(req.GetFile()) > 0 {
		out.Skipped = []string{"Its price is negative: openai/odd"}
	}
	if len(out.GetChanges()) == 0 || req.GetDryRun() {
		return out, nil
	}
	maps.DeleteFunc(s.prices, func(_ string, row *controlv1.BookRow) bool { return !row.GetOverride() })
	maps.Copy(s.prices, rows)
	v.Added = int64(len(out.GetChanges()))
	out.Version, out.Endpoints = v, []string{"chat"}
	s.priceVersions = append([]*controlv1.PriceBookVersion{v}, s.priceVersions...)
	return out, nil
}

func (s priceBookService) SetModelPrice(_ context.Context, req *controlv1.SetModelPriceRequest) (*controlv1.SetModelPriceResponse, error) {
	row := &controlv1.BookRow{List: req.GetList(), Price: req.GetPrice(), Override: true}
	s.prices[rowKey(true, req.GetList(), req.GetPrice().GetModel())] = row
	return &controlv1.SetModelPriceResponse{Row: row}, nil
}

func (s priceBookService) DeleteModelPrice(_ context.Context, req *controlv1.DeleteModelPriceRequest) (*controlv1.DeleteModelPriceResponse, error) {
	key := rowKey(true, req.GetList(), req.GetModel())
	if s.prices[key] == nil {
		return nil, refuse(fault.New(fault.ObjectNotFound, "There is no price of your own in list %s for model %q.", req.GetList(), req.GetModel()))
	}
	delete(s.prices, key)
	return &controlv1.DeleteModelPriceResponse{}, nil
}
