package store

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"tollgate/internal/contract"
	"tollgate/ledger/escrow"
)

// A window starts with the limit that its account has at that moment. Reading it here, and not from
// memory, leaves no time in which a change of the limit could miss the new row.
var openWindows = `
	INSERT INTO ledger.account_window (account_id, gen, start, part, lim, version)
	SELECT n.account_id, n.gen, n.start, $1, ` + effectiveLimit("$5") + `, a.version
	FROM unnest($2::bigint[], $3::bigint[], $4::bigint[]) AS n (account_id, gen, start)
	JOIN ledger.account a ON a.account_id = n.account_id AND a.gen = n.gen AND NOT a.closed
	ORDER BY n.account_id, n.gen, n.start
	ON CONFLICT (account_id, gen, start) DO NOTHING`

// Of the leases only those are loaded that the lines are about or that may hold unspent money; what
// the others have spent is one number. Each row is looked up by its key, whatever the tables hold.
const selectWindows = `
	SELECT ` + windowColumns + `,
		coalesce((SELECT sum(l.consumed) FROM ledger.lease l
			WHERE l.account_id = a.account_id AND l.gen = a.gen AND l.start = a.start
				AND l.consumed = l.granted - l.returned AND NOT l.inc = ANY($4::bigint[])), 0)::bigint` + rollingColumns + `
	FROM unnest($1::bigint[], $2::bigint[], $3::bigint[]) AS n (account_id, gen, start)
	CROSS JOIN LATERAL (
		SELECT * FROM ledger.account_window a WHERE a.account_id = n.account_id AND a.gen = n.gen AND a.start = n.start OFFSET 0
	) a` + rollingJoin + `
	WHERE a.part = $5`

const selectLeases = `
	SELECT l.account_id, l.gen, l.start, l.inc, l.granted, l.returned, l.consumed, i.edge, i.state, i.hwm
	FROM unnest($1::bigint[], $2::bigint[], $3::bigint[]) AS n (account_id, gen, start)
	JOIN ledger.lease l ON l.account_id = n.account_id AND l.gen = n.gen AND l.start = n.start
	CROSS JOIN LATERAL (
		SELECT * FROM ledger.incarnation i WHERE i.inc = l.inc AND i.part = $5 OFFSET 0
	) i
	WHERE l.consumed < l.granted - l.returned OR l.inc = ANY($4::bigint[])`

// asked is what lines are about.
type asked struct {
	edges   map[int64]string // of each incarnation
	windows windowSet
	leases  []leaseKey
	open    map[contract.Window]bool // windows that are to exist
}

func askedOf(lines []escrow.Line) asked {
	a := asked{edges: map[int64]string{}, open: map[contract.Window]bool{}, leases: make([]leaseKey, len(lines))}
	windows := make([]contract.Window, len(lines))
	for i, q := range lines {
		a.edges[q.Inc] = q.Edge
		a.leases[i], windows[i] = leaseKey{q.Window, q.Inc}, q.Window
		if q.Grantable {
			a.open[q.Window] = true
		}
	}
	slices.SortFunc(a.leases, compareKeys)
	a.leases, a.windows = slices.Compact(a.leases), windowSetOf(windows)
	return a
}

// load reads what deciding lines takes.
func (a asked) load(ctx context.Context, t *turn, s *state) error {
	incs := slices.Sorted(maps.Keys(a.edges))
	load := &pgx.Batch{}
	s.queueIncs(load, a.edges)
	windows := []any{a.windows.accounts, a.windows.gens, a.windows.starts, incs, int32(s.part)}
	queue(load, selectWindows, windows, s.scanAccount)
	queue(load, selectLeases, windows, s.scanHolder)
	if err := t.send(ctx, load); err != nil {
		return err
	}
	s.addIncs(a.edges)
	var missing []contract.Window
	for w := range a.open {
		if _, ok := s.book.Accounts[w]; !ok {
			missing = append(missing, w)
		}
	}
	if len(missing) > 0 {
		set := windowSetOf(missing)
		load = &pgx.Batch{}
		load.Queue(openWindows, int32(s.part), set.accounts, set.gens, set.starts, time.Now().Unix())
		queue(load, selectWindows, []any{set.accounts, set.gens, set.starts, incs, int32(s.part)}, s.scanAccount)
		if err := t.send(ctx, load); err != nil {
			return err
		}
	}
	spans := &pgx.Batch{}
	s.queueSpans(spans)
	if err := t.send(ctx, spans); err != nil {
		return err
	}
	s.remember(a.windows.list, a.leases)
	return nil
}

// Lease decides lines in one transaction. When it returns without an error, the outcome is durable
// and may be told. With ErrLost it may have been made durable, and with any other error nothing was done.
func (l *Leader) Lease(ctx context.Context, lines []escrow.Line, m *escrow.Memory) (escrow.Outcome, error) {
	l.pace.leases(time.Now())
	a := askedOf(lines)
	var out escrow.Outcome
	err := l.turn(ctx, txTimeout, false, func(ctx context.Context, t *turn) error {
		s := newState(l.part)
		s.small = true
		if err := a.load(ctx, t, s); err != nil {
			return err
		}
		out = s.book.Lease(lines, m)

		change := &pgx.Batch{}
		s.queueHeard(change)
		s.queueSome(change, a.windows.list, a.leases, out.Grants)
		queueAnomalies(change, l.part, healed(out, s.book))
		return t.commit(ctx, change)
	})
	if err != nil {
		return escrow.Outcome{}, fmt.Errorf("lease %d lines: %w", len(lines), err)
	}
	return out, nil
}

func healed(out escrow.Outcome, book *escrow.Book) []Anomaly {
	var list []Anomaly
	for _, h := range out.Healed {
		list = append(list, Anomaly{
			Kind: "grant_healed", Inc: h.Inc, Edge: book.Incs[h.Inc].Edge,
			Detail: fmt.Sprintf("account %d, generation %d, start %d: the edge has seen %d nano-dollars more than the database", h.Window.Account, h.Window.Gen, h.Window.Start, h.Nanos),
		})
	}
	return list
}

// Holders lists the incarnations that hold unspent money of accounts.
func (l *Leader) Holders(ctx context.Context, accounts []int64) ([]escrow.Recall, error) {
	var out []escrow.Recall
	err := l.tx(ctx, func(ctx context.Context, tx pgx.Tx) error {
		rows, err := tx.Query(ctx, `
			SELECT l.account_id, l.gen, l.start, l.inc, i.edge
			FROM ledger.lease l
			JOIN ledger.incarnation i ON i.inc = l.inc AND i.part = $2 AND i.state = 0
			WHERE l.account_id = ANY($1::bigint[]) AND l.consumed < l.granted - l.returned
			ORDER BY l.account_id, l.gen, l.start, l.inc`, accounts, int32(l.part))
		if err != nil {
			return err
		}
		out, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (escrow.Recall, error) {
			var r escrow.Recall
			var gen int64
			err := row.Scan(&r.Window.Account, &gen, &r.Window.Start, &r.Inc, &r.Edge)
			r.Window.Gen = uint32(gen)
			return r, err
		})
		return err
	})
	return out, err
}
