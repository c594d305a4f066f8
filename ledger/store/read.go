package store

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"tollgate/internal/contract"
	"tollgate/internal/money"
	"tollgate/ledger/escrow"
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

// What the ledger itself has booked, and what was spent by incarnations that are forgotten, is in the sum too.
const selectProgress = `
	SELECT p.* FROM (
		SELECT a.account_id, a.gen, a.start, l.inc, i.edge, l.granted, a.lim, a.version,
			(sum(l.consumed) OVER (PARTITION BY a.account_id, a.gen, a.start) - l.consumed)::bigint, i.state
		FROM unnest($1::bigint[], $2::bigint[], $3::bigint[]) AS n (account_id, gen, start)
		JOIN ledger.account_window a ON a.account_id = n.account_id AND a.gen = n.gen AND a.start = n.start
		JOIN ledger.lease l ON l.account_id = a.account_id AND l.gen = a.gen AND l.start = a.start
		LEFT JOIN ledger.incarnation i ON i.inc = l.inc AND i.part = a.part
	) AS p WHERE p.state = 0
	ORDER BY p.inc, p.account_id, p.gen, p.start`

// Progress reads account-windows as the incarnations that hold money of them should see them.
func (s *Store) Progress(ctx context.Context, windows []contract.Window) ([]Progress, error) {
	set := windowSetOf(windows)
	var out []Progress
	b := &pgx.Batch{}
	queue(b, selectProgress, []any{set.accounts, set.gens, set.starts}, func(row pgx.CollectableRow) error {
		var p Progress
		var gen int64
		var state int16
		a := &p.Answer
		err := row.Scan(&a.Window.Account, &gen, &a.Window.Start, &a.Inc, &p.Edge, &a.Granted, &a.Limit, &a.Version, &a.SpentElsewhere, &state)
		a.Window.Gen = uint32(gen)
		out = append(out, p)
		return err
	})
	st := newState(0)
	queue(b, selectAccounts+` WHERE r.days > 0`, []any{set.accounts, set.gens, set.starts}, st.scanAccount)
	err := pgx.BeginTxFunc(ctx, s.pool, pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly}, func(tx pgx.Tx) error {
		if err := send(ctx, tx, b); err != nil {
			return err
		}
		spans := &pgx.Batch{}
		st.queueSpans(spans)
		return send(ctx, tx, spans)
	})
	if err != nil {
		return nil, translate(err)
	}
	for i := range out {
		a := &out[i].Answer
		if _, ok := st.book.Accounts[a.Window]; ok {
			st.book.Free(a.Window) // takes account of the other windows
			a.Limit = st.book.Accounts[a.Window].Here()
		}
	}
	return out, nil
}

// Load reads the whole book of a partition, for audits.
func (s *Store) Load(ctx context.Context, part uint32) (*escrow.Book, error) {
	st := newState(part)
	err := pgx.BeginTxFunc(ctx, s.pool, pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly}, func(tx pgx.Tx) error {
		b := &pgx.Batch{}
		queue(b, `SELECT `+windowColumns+`, 0::bigint`+rollingColumns+`
			FROM ledger.account_window a`+rollingJoin+` WHERE a.part = $1`, []any{int32(part)}, st.scanAccount)
		queue(b, `SELECT l.account_id, l.gen, l.start, l.inc, l.granted, l.returned, l.consumed FROM ledger.lease l
			JOIN ledger.account_window a ON a.account_id = l.account_id AND a.gen = l.gen AND a.start = l.start
			WHERE a.part = $1`, []any{int32(part)}, st.scanLease)
		queue(b, `SELECT i.inc, i.edge, i.state, i.hwm FROM ledger.incarnation i WHERE i.part = $1`, []any{int32(part)}, st.scanInc)
		return send(ctx, tx, b)
	})
	if err != nil {
		return nil, translate(fmt.Errorf("load the book: %w", err))
	}
	return st.book, nil
}
