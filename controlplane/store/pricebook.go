package store

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"tollgate/controlplane/pricebook"
	"tollgate/controlplane/registry"
	controlv1 "tollgate/gen/tollgate/control/v1"
	"tollgate/internal/contract"
)

// BookVersion is one update of the price book.
type BookVersion struct {
	Version int64     `json:"version"`
	Source  string    `json:"source"`
	Date    string    `json:"date"`
	Licence string    `json:"licence"`
	Added   int64     `json:"added"`
	Changed int64     `json:"changed"`
	Removed int64     `json:"removed"`
	Created time.Time `json:"create_time"`
}

// PriceList is a list of the book, by how many rows it has of which kind.
type PriceList struct {
	Name            string
	Rows, Overrides int64
}

// BookRow is what a model costs in a list.
type BookRow struct {
	pricebook.Row

	Override bool // of the operator's own
}

// RowFilter selects rows.
type RowFilter struct {
	List, Model string // all if empty; Model is a part of the name
	Overrides   bool   // only the operator's own
}

const (
	versionColumns = `v.version, v.source, v.date, v.licence, v.added, v.changed, v.removed, v.create_time`
	selectVersions = `SELECT ` + versionColumns + ` FROM control.price_book_version v ORDER BY v.version DESC LIMIT 20`
	selectNewest   = `SELECT coalesce(max(v.version), 0) FROM control.price_book_version v`
	insertVersion  = `
		INSERT INTO control.price_book_version (version, source, date, licence, added, changed, removed, revision, create_time)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)`
	selectPriceLists = `
		SELECT r.list, count(*) FILTER (WHERE NOT r.override), count(*) FILTER (WHERE r.override)
		FROM control.price_row r GROUP BY r.list ORDER BY r.list`
	// Of a model, the operator's own row stands first.
	selectRowPage = `
		SELECT r.list, r.price, r.override FROM control.price_row r
		WHERE ($1 = '' OR r.list = $1) AND position($2 in r.key) > 0 AND (r.override OR NOT $3) AND (r.list, r.key, NOT r.override) > ($4, $5, $6)
		ORDER BY r.list, r.key, NOT r.override LIMIT $7`
	selectRows   = `SELECT r.list, r.price, r.override FROM control.price_row r WHERE r.list = ANY($1) ORDER BY r.list, r.key, NOT r.override`
	selectBook   = `SELECT r.list, r.price, r.override FROM control.price_row r ORDER BY r.list, r.key, NOT r.override`
	selectOwnRow = `SELECT r.list, r.price, r.override FROM control.price_row r WHERE r.list = $1 AND r.key = $2 AND r.override`
	upsertRows   = `
		INSERT INTO control.price_row (list, key, override, price, revision)
		SELECT n.list, n.key, $4, n.price::jsonb, $5 FROM unnest($1::text[], $2::text[], $3::text[]) AS n (list, key, price)
		ON CONFLICT (list, key, override) DO UPDATE SET price = excluded.price, revision = excluded.revision`
	deleteRows = `
		DELETE FROM control.price_row r USING unnest($1::text[], $2::text[]) AS g (list, key)
		WHERE r.list = g.list AND r.key = g.key AND r.override = $3`
	setPriceVersion = `UPDATE control.endpoint SET price_version = $2 WHERE id = ANY($1)`
)

func scanVersion(row pgx.CollectableRow) (BookVersion, error) {
	var v BookVersion
	err := row.Scan(&v.Version, &v.Source, &v.Date, &v.Licence, &v.Added, &v.Changed, &v.Removed, &v.Created)
	return v, err
}

func scanBookRow(row pgx.CollectableRow) (BookRow, error) {
	r := BookRow{Row: pricebook.Row{Price: &controlv1.ModelPrice{}}}
	var raw []byte
	if err := row.Scan(&r.List, &raw, &r.Override); err != nil {
		return r, err
	}
	// A newer version may have written more than this one knows.
	if err := (protojson.UnmarshalOptions{DiscardUnknown: true}).Unmarshal(raw, r.Price); err != nil {
		return r, fmt.Errorf("row of list %s: %w", r.List, err)
	}
	return r, nil
}

// Book says which versions the price book has had, newest first, and which lists it has.
func (s *Store) Book(ctx context.Context) ([]BookVersion, []PriceList, error) {
	versions, err := list(ctx, s.db(ctx), "versions of the price book", scanVersion, selectVersions)
	if err != nil {
		return nil, nil, translate(err)
	}
	lists, err := list(ctx, s.db(ctx), "lists of the price book", pgx.RowToStructByPos[PriceList], selectPriceLists)
	return versions, lists, translate(err)
}

// rowToken is where a page of rows ends. No list has a line's end in its name.
func rowToken(r *BookRow) string {
	override := "0"
	if r.Override {
		override = "1"
	}
	return r.List + "\n" + override + "\n" + pricebook.Key(r.Price.GetModel())
}

// BookRows lists rows by list and model.
func (s *Store) BookRows(ctx context.Context, f RowFilter, page Page) ([]BookRow, string, error) {
	after, limit, err := page.open()
	if err != nil {
		return nil, "", err
	}
	var at [3]string
	if after != "" {
		parts := strings.SplitN(after, "\n", 3)
		if len(parts) != 3 {
			return nil, "", BadToken()
		}
		at = [3]string(parts)
	}
	if strings.ContainsRune(f.List+f.Model, 0) {
		return nil, "", nil // the database has no text with a NUL in it
	}
	all, err := list(ctx, s.db(ctx), "model prices", scanBookRow, selectRowPage,
		f.List, pricebook.Key(f.Model), f.Overrides, at[0], at[2], at[1] == "0", limit)
	if err != nil {
		return nil, "", translate(err)
	}
	all, next := closePage(all, limit, rowToken)
	return all, next, nil
}

// BookList is a list of the price book in the order in which its rows are tried: the operator's own first. It is
// nil if there is none.
func (s *Store) BookList(ctx context.Context, name string) ([]*controlv1.ModelPrice, error) {
	if strings.ContainsRune(name, 0) {
		return nil, nil
	}
	lists, err := readLists(ctx, s.db(ctx), []string{name})
	return lists[name], translate(err)
}

func readLists(ctx context.Context, db querier, names []string) (map[string][]*controlv1.ModelPrice, error) {
	if len(names) == 0 {
		return nil, nil
	}
	rows, err := list(ctx, db, "price book", scanBookRow, selectRows, names)
	if err != nil {
		return nil, err
	}
	return inOrder(rows), nil
}

// SetModelPrice stores a row of the operator's own.
func (s *Store) SetModelPrice(ctx context.Context, actor, list string, price *controlv1.ModelPrice, p *registry.Problems) (BookRow, error) {
	p = p.Clone()
	pricebook.CheckList(p, "list", list)
	pricebook.Check(p, "price", price)
	if err := p.Err("the price"); err != nil {
		return BookRow{}, err
	}
	row := BookRow{pricebook.Row{List: list, Price: pricebook.Normalize(price)}, true}
	err := s.change(ctx, actor, func(ctx context.Context, c *change) error {
		old, err := c.ownRow(ctx, list, price.GetModel())
		if err != nil {
			return err
		}
		if old != nil && proto.Equal(old.Price, row.Price) {
			return errNoChange
		}
		if err := c.putRows(ctx, []pricebook.Row{row.Row}, true); err != nil {
			return err
		}
		if _, err := c.reprice(ctx, map[string]bool{list: true}); err != nil {
			return err
		}
		if old == nil {
			c.record("create", "model_price", list+"/"+price.GetModel(), nil, auditedPrice{row.Price})
		} else {
			c.record("update", "model_price", list+"/"+price.GetModel(), auditedPrice{old.Price}, auditedPrice{row.Price})
		}
		return nil
	})
	return row, err
}

// DeleteModelPrice removes a row of the operator's own.
func (s *Store) DeleteModelPrice(ctx context.Context, actor, list, model string) error {
	if strings.ContainsRune(list+model, 0) {
		return notFound("price of your own for model", model)
	}
	return s.change(ctx, actor, func(ctx context.Context, c *change) error {
		old, err := c.ownRow(ctx, list, model)
		if err != nil {
			return err
		}
		if old == nil {
			return notFound("price of your own in list "+list+" for model", model)
		}
		if err := c.dropRows(ctx, []pricebook.Row{old.Row}, true); err != nil {
			return err
		}
		if _, err := c.reprice(ctx, map[string]bool{list: true}); err != nil {
			return err
		}
		c.record("delete", "model_price", list+"/"+old.Price.GetModel(), auditedPrice{old.Price}, nil)
		return nil
	})
}

// ownRow is the operator's for a model; nil if there is none.
func (c *change) ownRow(ctx context.Context, name, model string) (*BookRow, error) {
	rows, err := list(ctx, c, "model price", scanBookRow, selectOwnRow, name, pricebook.Key(model))
	if err != nil || len(rows) == 0 {
		return nil, err
	}
	return &rows[0], nil
}

func (c *change) putRows(ctx context.Context, rows []pricebook.Row, override bool) error {
	lists, keys := rowKeys(rows)
	prices := make([]string, len(rows))
	for i, r := range rows {
		raw, err := protojson.Marshal(r.Price)
		if err != nil {
			return fmt.Errorf("price of %s in %s: %w", r.Price.GetModel(), r.List, err)
		}
		prices[i] = string(raw)
	}
	if _, err := c.Exec(ctx, upsertRows, lists, keys, prices, override, c.revision); err != nil {
		return fmt.Errorf("write model prices: %w", err)
	}
	return nil
}

func (c *change) dropRows(ctx context.Context, rows []pricebook.Row, override bool) error {
	lists, keys := rowKeys(rows)
	if _, err := c.Exec(ctx, deleteRows, lists, keys, override); err != nil {
		return fmt.Errorf("remove model prices: %w", err)
	}
	return nil
}

func rowKeys(rows []pricebook.Row) (lists, keys []string) {
	lists, keys = make([]string, len(rows)), make([]string, len(rows))
	for i, r := range rows {
		lists[i], keys[i] = r.List, pricebook.Key(r.Price.GetModel())
	}
	return lists, keys
}

// reprice gives the endpoints and deployments that refer to one of some lists a new version of their price, and names
// the endpoints.
func (c *change) reprice(ctx context.Context, lists map[string]bool) (names []string, err error) {
	if err := c.repriceModels(ctx, lists); err != nil {
		return nil, err
	}
	ids, names, err := pricedBy(ctx, c, lists)
	if err != nil || len(ids) == 0 {
		return nil, err
	}
	if _, err := c.Exec(ctx, setPriceVersion, ids, c.revision); err != nil {
		return nil, fmt.Errorf("write price versions: %w", err)
	}
	c.touch(contract.ConfigRoutes)
	return names, nil
}

// pricedBy finds the endpoints that refer to one of some lists.
func pricedBy(ctx context.Context, db querier, lists map[string]bool) (ids, names []string, err error) {
	all, err := list(ctx, db, "endpoints", scanEndpoint, selectAllEndpoints)
	if err != nil {
		return nil, nil, err
	}
	for i := range all {
		if refersTo(&all[i].Price, lists) {
			ids, names = append(ids, all[i].ID), append(names, all[i].Name)
		}
	}
	return ids, names, nil
}

// refersTo says whether a price refers to one of some lists.
func refersTo(p *registry.Price, lists map[string]bool) bool {
	return slices.ContainsFunc(p.Lists(), func(l string) bool { return lists[l] })
}

// auditedPrice is a price as the audit has it.
type auditedPrice struct{ *controlv1.ModelPrice }

// MarshalJSON implements json.Marshaler.
func (a auditedPrice) MarshalJSON() ([]byte, error) { return protojson.Marshal(a.ModelPrice) }
