package store

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"tollgate/internal/contract"
	"tollgate/internal/money"
)

// Warning says that a share of an account's limit was reached in a window.
type Warning struct {
	Window   contract.Window
	Part     uint32
	BudgetID string
	Percent  uint32
	At       time.Time
	Spent    money.Nanos // in the window, or in all days that a rolling period counts together up to it
	Limit    money.Nanos
}

// addWarnings records shares that were reached, each once in a window. What has been spent on the days
// before counts in a rolling period.
func addWarnings(windows string) string {
	return `
	INSERT INTO ledger.account_warning AS w (account_id, gen, start, percent, part, spent)
	SELECT a.account_id, a.gen, a.start, p.percent, a.part, s.spent
	FROM ` + windows + `
	JOIN ledger.account r ON r.account_id = a.account_id AND r.gen = a.gen AND cardinality(r.warn_percents) > 0 AND NOT r.closed
	CROSS JOIN LATERAL (
		SELECT least(sum(l.consumed), 9223372036854775807)::bigint AS spent FROM ledger.lease l
		WHERE l.account_id = a.account_id AND l.gen = a.gen AND (l.start = a.start
			OR r.days > 1 AND l.start BETWEEN a.start - r.days * 90000::bigint AND a.start
				AND (to_timestamp(a.start) AT TIME ZONE r.time_zone)::date - (to_timestamp(l.start) AT TIME ZONE r.time_zone)::date < r.days)
	) s
	CROSS JOIN LATERAL unnest(r.warn_percents) AS p (percent)
	WHERE a.lim > 0 AND s.spent::numeric * 100 >= a.lim::numeric * p.percent
	ORDER BY 1, 2, 3, 4
	ON CONFLICT DO NOTHING
	RETURNING w.account_id, w.gen, w.start, w.percent, w.part, w.at, w.spent,
		(SELECT a.lim FROM ledger.account_window a WHERE a.account_id = w.account_id AND a.gen = w.gen AND a.start = w.start),
		(SELECT r.budget_id FROM ledger.account r WHERE r.account_id = w.account_id)`
}

var (
	warnSome = addWarnings(`unnest($1::bigint[], $2::bigint[], $3::bigint[]) AS n (account_id, gen, start)
	JOIN ledger.account_window a ON a.account_id = n.account_id AND a.gen = n.gen AND a.start = n.start`)
	// No window that is written to began earlier, but for totals.
	warnAll = addWarnings(`(SELECT a.* FROM ledger.account_window a WHERE a.part = $1 AND (a.start = 0 OR a.start > extract(epoch FROM now()) - 40 * 86400)) a`)
)

// Warn records the warnings that are due on account-windows on which something was spent, and returns
// those that are new.
func (s *Store) Warn(ctx context.Context, windows []contract.Window) ([]Warning, error) {
	set := windowSetOf(windows)
	return s.warn(ctx, warnSome, set.accounts, set.gens, set.starts)
}

// WarnAll looks at all current windows of a partition.
func (s *Store) WarnAll(ctx context.Context, part uint32) ([]Warning, error) {
	return s.warn(ctx, warnAll, int32(part))
}

func (s *Store) warn(ctx context.Context, sql string, args ...any) ([]Warning, error) {
	rows, err := s.pool.Query(ctx, sql, args...)
	if err != nil {
		return nil, translate(fmt.Errorf("record warnings: %w", err))
	}
	out, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (Warning, error) {
		var w Warning
		var gen int64
		var part, percent int32
		err := row.Scan(&w.Window.Account, &gen, &w.Window.Start, &percent, &part, &w.At, &w.Spent, &w.Limit, &w.BudgetID)
		w.Window.Gen, w.Part, w.Percent = uint32(gen), uint32(part), uint32(percent)
		return w, err
	})
	return out, translate(err)
}
