package store

import (
	"context"
	"fmt"
	"slices"

	"github.com/jackc/pgx/v5"

	"tollgate/controlplane/pricebook"
	"tollgate/controlplane/registry"
	controlv1 "tollgate/gen/tollgate/control/v1"
	"tollgate/internal/meter"
	"tollgate/internal/pg"
)

// seeder is who stores the book that a binary comes with, for the audit.
const seeder = "tollgate"

// BookUpdate is what a file changes, or would change.
type BookUpdate struct {
	Changes   []BookChange
	Version   *BookVersion // nil if nothing was stored
	Endpoints []string     // whose prices changed with it, by name
}

// BookChange is a row that is added, changed or removed.
type BookChange struct {
	pricebook.Change

	Overridden bool // a row of the operator's own comes before it
}

// inOrder puts rows into their lists, in the order in which they are tried.
func inOrder(rows []BookRow) map[string][]*controlv1.ModelPrice {
	own, file := map[string][]*controlv1.ModelPrice{}, map[string][]*controlv1.ModelPrice{}
	for _, r := range rows {
		if r.Override {
			own[r.List] = append(own[r.List], r.Price)
		} else {
			file[r.List] = append(file[r.List], r.Price)
		}
	}
	out := map[string][]*controlv1.ModelPrice{}
	for _, kind := range []map[string][]*controlv1.ModelPrice{own, file} {
		for list, prices := range kind {
			slices.SortFunc(prices, pricebook.Order)
			out[list] = append(out[list], prices...)
		}
	}
	return out
}

// CompareBook says what storing a book would change, and changes nothing.
func (s *Store) CompareBook(ctx context.Context, b *pricebook.Book) (u BookUpdate, err error) {
	opts := pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly}
	err = pg.InTxWith(ctx, s.pool, opts, func(tx pgx.Tx) error {
		var lists map[string]bool
		if u.Changes, lists, err = compareBook(ctx, tx, b); err != nil {
			return err
		}
		_, u.Endpoints, err = pricedBy(ctx, tx, lists)
		return err
	})
	return u, translate(err)
}

// UpdateBook replaces the rows that come from files, in the lists that a book has, by those of the book, all or none of
// them. Rows of the operator's own stay.
func (s *Store) UpdateBook(ctx context.Context, actor string, b *pricebook.Book) (u BookUpdate, err error) {
	err = s.change(ctx, actor, func(ctx context.Context, c *change) error {
		u, err = c.updateBook(ctx, b)
		return err
	})
	return u, err
}

// SeedBook stores a book if there has never been one. Of several processes that do so at a time, one does.
func (s *Store) SeedBook(ctx context.Context, b *pricebook.Book) error {
	if there, err := hasBook(ctx, s.db(ctx)); err != nil || there {
		return translate(err)
	}
	return s.change(ctx, seeder, func(ctx context.Context, c *change) error {
		if there, err := hasBook(ctx, c); err != nil {
			return err
		} else if there {
			return errNoChange
		}
		_, err := c.updateBook(ctx, b)
		return err
	})
}

func hasBook(ctx context.Context, db querier) (bool, error) {
	newest, err := newestVersion(ctx, db)
	return newest > 0, err
}

func newestVersion(ctx context.Context, db querier) (n int64, err error) {
	if err := db.QueryRow(ctx, selectNewest).Scan(&n); err != nil {
		return 0, fmt.Errorf("read version of the price book: %w", err)
	}
	return n, nil
}

func (c *change) updateBook(ctx context.Context, b *pricebook.Book) (BookUpdate, error) {
	var u BookUpdate
	changes, lists, err := compareBook(ctx, c, b)
	if err != nil {
		return u, err
	}
	if u.Changes = changes; len(changes) == 0 {
		return u, errNoChange
	}
	newest, err := newestVersion(ctx, c)
	if err != nil {
		return u, err
	}
	v := &BookVersion{Version: newest + 1, Source: b.Source, Date: b.Date, Licence: b.Licence, Created: c.now}
	var put, drop []pricebook.Row
	for _, ch := range changes {
		switch {
		case ch.After == nil:
			drop = append(drop, pricebook.Row{List: ch.List, Price: ch.Before})
			v.Removed++
			continue
		case ch.Before == nil:
			v.Added++
		default:
			v.Changed++
		}
		put = append(put, pricebook.Row{List: ch.List, Price: ch.After})
	}
	if err := c.dropRows(ctx, drop, false); err != nil {
		return u, err
	}
	if err := c.putRows(ctx, put, false); err != nil {
		return u, err
	}
	if _, err := c.Exec(ctx, insertVersion, v.Version, v.Source, v.Date, v.Licence, v.Added, v.Changed, v.Removed, c.revision, c.now); err != nil {
		return u, fmt.Errorf("write version of the price book: %w", err)
	}
	if u.Endpoints, err = c.reprice(ctx, lists); err != nil {
		return u, err
	}
	u.Version = v
	c.record("update", "price_book", fmt.Sprint(v.Version), nil, v)
	return u, nil
}

// compareBook says what storing a book changes, and in which lists that changes what requests cost.
func compareBook(ctx context.Context, db querier, b *pricebook.Book) ([]BookChange, map[string]bool, error) {
	rows, err := list(ctx, db, "price book", scanBookRow, selectBook)
	if err != nil {
		return nil, nil, err
	}
	told := map[string]bool{}
	for i := range b.Rows {
		told[b.Rows[i].List] = true
	}
	var file []pricebook.Row
	own := map[string][]string{}
	for _, r := range rows {
		switch {
		case r.Override:
			own[r.List] = append(own[r.List], r.Price.GetModel())
		case told[r.List]: // a file of one vendor says nothing of the others
			file = append(file, r.Row)
		}
	}
	var changes []BookChange
	lists := map[string]bool{}
	for _, ch := range pricebook.Diff(file, b.Rows) {
		covers := func(glob string) bool { return meter.Matches(glob, ch.Model) }
		overridden := slices.ContainsFunc(own[ch.List], covers)
		changes = append(changes, BookChange{ch, overridden})
		lists[ch.List] = lists[ch.List] || !overridden
	}
	return changes, lists, nil
}

// PublishedList is a list of the price book as edges get it.
type PublishedList struct {
	Name string
	Rows []*controlv1.ModelPrice // in the order in which they are tried
}

// readPublishedLists reads the lists that endpoints and deployments refer to. One that is not in the book is there
// without rows.
func readPublishedLists(ctx context.Context, db querier, endpoints []*registry.Endpoint, models []registry.Model) (out []PublishedList, err error) {
	var names []string
	for i := range endpoints {
		names = append(names, endpoints[i].Price.Lists()...)
	}
	for i := range models {
		for j := range models[i].Deployments {
			names = append(names, models[i].Deployments[j].Price.Lists()...)
		}
	}
	slices.Sort(names)
	names = slices.Compact(names)
	lists, err := readLists(ctx, db, names)
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		out = append(out, PublishedList{name, lists[name]})
	}
	return out, nil
}
