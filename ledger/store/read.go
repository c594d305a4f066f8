package store

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"tollgate/internal/contract"
	"tollgate/internal/money"
	"tollgate/ledger/escrow"
	"tollgate/ledger/usage"
)

// FindAccounts reads accounts that are not closed, of any partition.
func (s *Store) FindAccounts(ctx context.Context, ids []int64) ([]Account, error) {
	rows, err := s.pool.Query(ctx, `SELECT `+accountColumns+` FROM ledger.account WHERE account_id = ANY($1::bigint[]) AND NOT closed`, ids)
	if err != nil {
		return nil, translate(err)
	}
	accounts, err := pgx.CollectRows(rows, scanAccountRow)
	return accounts, translate(err)
}

// WindowState is what is known of an account-window.
type WindowState struct {
	Window             contract.Window
	Limit, Spent, Held money.Nanos
}

// WindowStates reads account-windows. One that nobody has asked for yet has no state.
func (s *Store) WindowStates(ctx context.Context, windows []contract.Window) ([]WindowState, error) {
	set := windowSetOf(windows)
	rows, err := s.pool.Query(ctx, `
		SELECT a.account_id, a.gen, a.start, a.lim, coalesce(sum(l.consumed), 0)::bigint,
			coalesce(sum(greatest(l.granted - l.returned - l.consumed, 0)), 0)::bigint
		FROM unnest($1::bigint[], $2::bigint[], $3::bigint[]) AS n (account_id, gen, start)
		JOIN ledger.account_window a ON a.account_id = n.account_id AND a.gen = n.gen AND a.start = n.start
		LEFT JOIN ledger.lease l ON l.account_id = a.account_id AND l.gen = a.gen AND l.start = a.start
		GROUP BY a.account_id, a.gen, a.start`, set.accounts, set.gens, set.starts)
	if err != nil {
		return nil, translate(err)
	}
	states, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (WindowState, error) {
		var w WindowState
		var gen int64
		err := row.Scan(&w.Window.Account, &gen, &w.Window.Start, &w.Limit, &w.Spent, &w.Held)
		w.Window.Gen = uint32(gen)
		return w, err
	})
	return states, translate(err)
}

// Progress is what to tell an incarnation of an account-window that it holds money of.
type Progress struct {
	Edge   string
	Answer escrow.Answer
}

// Progress reads account-windows as the incarnations that hold money of them should see them.
func (s *Store) Progress(ctx context.Context, windows []contract.Window) ([]Progress, error) {
	set := windowSetOf(windows)
	rows, err := s.pool.Query(ctx, `
		SELECT a.account_id, a.gen, a.start, l.inc, i.edge, l.granted, a.lim, a.version,
			(sum(l.consumed) OVER (PARTITION BY a.account_id, a.gen, a.start) - l.consumed)::bigint, i.closed
		FROM unnest($1::bigint[], $2::bigint[], $3::bigint[]) AS n (account_id, gen, start)
		JOIN ledger.account_window a ON a.account_id = n.account_id AND a.gen = n.gen AND a.start = n.start
		JOIN ledger.lease l ON l.account_id = a.account_id AND l.gen = a.gen AND l.start = a.start
		JOIN ledger.incarnation i ON i.inc = l.inc AND i.part = a.part
		ORDER BY l.inc, a.account_id, a.gen, a.start`, set.accounts, set.gens, set.starts)
	if err != nil {
		return nil, translate(err)
	}
	defer rows.Close()
	var out []Progress
	for rows.Next() {
		var p Progress
		var gen int64
		var closed bool
		a := &p.Answer
		if err := rows.Scan(&a.Window.Account, &gen, &a.Window.Start, &a.Inc, &p.Edge, &a.Granted, &a.Limit, &a.Version, &a.SpentElsewhere, &closed); err != nil {
			return nil, translate(err)
		}
		a.Window.Gen = uint32(gen)
		if !closed {
			out = append(out, p)
		}
	}
	return out, translate(rows.Err())
}

const selectUsage = `
	SELECT CASE WHEN $1 THEN u.key_id ELSE '' END, CASE WHEN $2 THEN u.endpoint_id ELSE '' END,
		CASE WHEN $3 THEN to_char(u.day, 'YYYY-MM-DD') ELSE '' END,
		sum(u.requests)::bigint, sum(u.failed)::bigint, sum(u.abandoned)::bigint,
		least(sum(u.cost_nanos), 9223372036854775807)::bigint
	FROM ledger.usage_day u
	WHERE u.day BETWEEN $4::text::date AND $5::text::date
		AND ($6 = '' OR u.key_id = $6) AND ($7 = '' OR u.endpoint_id = $7)
	GROUP BY 1, 2, 3
	ORDER BY 7 DESC, 3, 1, 2
	LIMIT $8`

// maxRows bounds an answer. Groups beyond it are the cheapest ones.
const maxRows = 100_000

// Usage adds up what was booked: groups by cost, largest first.
func (s *Store) Usage(ctx context.Context, q usage.Query) ([]usage.Row, error) {
	rows, err := s.pool.Query(ctx, selectUsage, q.By(usage.ByKey), q.By(usage.ByEndpoint), q.By(usage.ByDay),
		q.From, q.To, q.KeyID, q.EndpointID, maxRows)
	if err != nil {
		return nil, translate(fmt.Errorf("query usage: %w", err))
	}
	out, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (usage.Row, error) {
		var r usage.Row
		err := row.Scan(&r.Bucket.KeyID, &r.Bucket.EndpointID, &r.Bucket.Day,
			&r.Counts.Requests, &r.Counts.Failed, &r.Counts.Abandoned, &r.Counts.Cost)
		return r, err
	})
	return out, translate(err)
}

// Load reads the whole book of a partition, for audits.
func (s *Store) Load(ctx context.Context, part uint32) (*escrow.Book, error) {
	st := newState(part)
	err := pgx.BeginTxFunc(ctx, s.pool, pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly}, func(tx pgx.Tx) error {
		b := &pgx.Batch{}
		queue(b, `SELECT a.account_id, a.gen, a.start, a.lim, a.alloc, a.overrun, a.version, a.closed, 0::bigint
			FROM ledger.account_window a WHERE a.part = $1`, []any{int32(part)}, st.scanAccount)
		queue(b, `SELECT l.account_id, l.gen, l.start, l.inc, l.granted, l.returned, l.consumed FROM ledger.lease l
			JOIN ledger.account_window a ON a.account_id = l.account_id AND a.gen = l.gen AND a.start = l.start
			WHERE a.part = $1`, []any{int32(part)}, st.scanLease)
		queue(b, `SELECT i.inc, i.edge, i.closed, i.hwm FROM ledger.incarnation i WHERE i.part = $1`, []any{int32(part)}, st.scanInc)
		return send(ctx, tx, b)
	})
	if err != nil {
		return nil, translate(fmt.Errorf("load the book: %w", err))
	}
	return st.book, nil
}
