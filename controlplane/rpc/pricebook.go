package rpc

import (
	"context"
	"time"

	"tollgate/controlplane/pricebook"
	"tollgate/controlplane/store"
	controlv1 "tollgate/gen/tollgate/control/v1"
)

type priceBookService struct{ store *store.Store }

func (s *priceBookService) GetPriceBook(ctx context.Context, _ *controlv1.GetPriceBookRequest) (*controlv1.GetPriceBookResponse, error) {
	versions, lists, err := s.store.Book(ctx)
	if err != nil {
		return nil, err
	}
	return &controlv1.GetPriceBookResponse{Versions: each(versions, bookVersionTo), Lists: each(lists, priceListTo)}, nil
}

func (s *priceBookService) ListModelPrices(ctx context.Context, req *controlv1.ListModelPricesRequest) (*controlv1.ListModelPricesResponse, error) {
	filter := store.RowFilter{List: req.GetList(), Model: req.GetModel(), Overrides: req.GetOverrides()}
	rows, next, err := s.store.BookRows(ctx, filter, store.Page{Size: int(req.GetPageSize()), Token: req.GetPageToken()})
	if err != nil {
		return nil, err
	}
	return &controlv1.ListModelPricesResponse{Rows: each(rows, bookRowTo), NextPageToken: next}, nil
}

func (s *priceBookService) UpdatePriceBook(ctx context.Context, req *controlv1.UpdatePriceBookRequest) (*controlv1.UpdatePriceBookResponse, error) {
	b, err := bookFrom(req, time.Now())
	if err != nil {
		return nil, err
	}
	var u store.BookUpdate
	if req.GetDryRun() {
		u, err = s.store.CompareBook(ctx, b)
	} else {
		u, err = s.store.UpdateBook(ctx, actor(ctx), b)
	}
	if err != nil {
		return nil, err
	}
	out := &controlv1.UpdatePriceBookResponse{Changes: each(u.Changes, priceChangeTo), Skipped: b.Skipped, Endpoints: u.Endpoints}
	if u.Version != nil {
		out.Version = bookVersionTo(u.Version)
	}
	return out, nil
}

// bookFrom reads the file of a request, or takes the book that comes with this binary. What the request says of the
// file comes before what the file says of itself.
func bookFrom(req *controlv1.UpdatePriceBookRequest, now time.Time) (*pricebook.Book, error) {
	if len(req.GetFile()) == 0 {
		return pricebook.Builtin()
	}
	day := req.GetDate()
	if day == "" {
		day = now.UTC().Format(time.DateOnly)
	}
	b, err := pricebook.Parse(req.GetFile(), day)
	if err != nil {
		return nil, err
	}
	for _, said := range []struct {
		text string
		of   *string
	}{{req.GetSource(), &b.Source}, {req.GetDate(), &b.Date}, {req.GetLicence(), &b.Licence}} {
		if said.text != "" {
			*said.of = said.text
		}
	}
	return b, nil
}

func (s *priceBookService) SetModelPrice(ctx context.Context, req *controlv1.SetModelPriceRequest) (*controlv1.SetModelPriceResponse, error) {
	row, err := s.store.SetModelPrice(ctx, actor(ctx), req.GetList(), req.GetPrice(), problems(""))
	if err != nil {
		return nil, err
	}
	return &controlv1.SetModelPriceResponse{Row: bookRowTo(&row)}, nil
}

func (s *priceBookService) DeleteModelPrice(ctx context.Context, req *controlv1.DeleteModelPriceRequest) (*controlv1.DeleteModelPriceResponse, error) {
	if err := s.store.DeleteModelPrice(ctx, actor(ctx), req.GetList(), req.GetModel()); err != nil {
		return nil, err
	}
	return &controlv1.DeleteModelPriceResponse{}, nil
}

func bookVersionTo(v *store.BookVersion) *controlv1.PriceBookVersion {
	return &controlv1.PriceBookVersion{
		Version: v.Version, Source: v.Source, Date: v.Date, Licence: v.Licence, CreateTime: timeTo(v.Created),
		Added: v.Added, Changed: v.Changed, Removed: v.Removed,
	}
}

func priceListTo(l *store.PriceList) *controlv1.PriceList {
	return &controlv1.PriceList{Name: l.Name, Rows: l.Rows, Overrides: l.Overrides}
}

func bookRowTo(r *store.BookRow) *controlv1.BookRow {
	return &controlv1.BookRow{List: r.List, Price: r.Price, Override: r.Override}
}

func priceChangeTo(c *store.BookChange) *controlv1.PriceChange {
	return &controlv1.PriceChange{List: c.List, Model: c.Model, Before: c.Before, After: c.After, Overridden: c.Overridden}
}
