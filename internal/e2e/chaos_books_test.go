package e2e_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"time"

	"github.com/jackc/pgx/v5"

	controlv1 "tollgate/gen/tollgate/control/v1"
	"tollgate/internal/money"
	"tollgate/internal/testenv"
)

// unbalanced counts the account-windows of which what was set aside is not what was lent.
const unbalanced = `SELECT count(*) FROM ledger.account_window a WHERE a.alloc <> (
	SELECT coalesce(sum(greatest(l.granted - l.returned, l.consumed)), 0) FROM ledger.lease l
	WHERE l.account_id = a.account_id AND l.gen = a.gen AND l.start = a.start)`

// overdrawn counts those of hard budgets of which more was set aside than there is. No limit is
// lowered.
const overdrawn = `SELECT count(*) FROM ledger.account_window w JOIN ledger.account a ON a.account_id = w.account_id
	WHERE a.budget_id <> $1 AND (w.alloc > w.lim OR w.overrun > 0)`

// poll looks at the accounts again and again, whenever the database answers.
func (x *chaos) poll() {
	defer close(x.pollEnded)
	ctx := x.t.Context() // ends before Cleanup
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	var conn *pgx.Conn
	closeConn := func() {
		if conn != nil {
			_ = conn.Close(context.WithoutCancel(ctx))
			conn = nil
		}
	}
	defer closeConn()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		n, err := 0, error(nil)
		if conn == nil {
			conn, err = pgx.Connect(ctx, x.c.databaseURL)
		}
		if err == nil {
			err = conn.QueryRow(ctx, overdrawn, x.softID).Scan(&n)
		}
		switch {
		case err != nil && ctx.Err() == nil:
			closeConn() // it is down
		case n > 0:
			x.t.Errorf("%d account-windows are beyond their limit", n)
			return
		default:
			x.mu.Lock()
			x.polled++
			x.mu.Unlock()
		}
	}
}

// counted is what somebody has counted of a kind of request.
type counted struct {
	requests, abandoned int
	cost                money.Nanos
}

// compare returns once the records of requests are what the vendor counted, kind by kind.
func (x *chaos) compare() {
	x.t.Helper()
	resp, err := x.c.rpc.endpoints.ListEndpoints(x.t.Context(), &controlv1.ListEndpointsRequest{})
	if err != nil {
		x.t.Fatal(err)
	}
	names := map[string]string{}
	for _, e := range resp.GetEndpoints() {
		names[e.GetId()] = e.GetName()
	}
	vendor := map[string]counted{}
	x.mu.Lock()
	for _, o := range x.orders {
		n := vendor[o.kind.name]
		n.requests++
		n.cost += o.cost
		if o.lost {
			n.abandoned++
		}
		vendor[o.kind.name] = n
	}
	x.mu.Unlock()
	conn := x.c.db()
	testenv.Eventually(x.t, eventually, func() error {
		ledger := map[string]counted{}
		rows, err := conn.Query(x.t.Context(), `SELECT endpoint_id, count(*), count(*) FILTER (WHERE outcome = 6), sum(cost)::bigint
			FROM ledger.request GROUP BY 1`)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var id string
			var n counted
			if err := rows.Scan(&id, &n.requests, &n.abandoned, &n.cost); err != nil {
				return err
			}
			ledger[names[id]] = n
		}
		if err := rows.Err(); err != nil {
			return err
		}
		if !maps.Equal(ledger, vendor) {
			return fmt.Errorf("the ledger has\n%v, and the vendor\n%v", ledger, vendor)
		}
		return nil
	})
	x.c.awaitSpent(x.owed(all))
}

// checkDatabase looks at the rows themselves.
func (x *chaos) checkDatabase() {
	x.t.Helper()
	x.mu.Lock()
	polled, orders := x.polled, len(x.orders)
	x.mu.Unlock()
	if polled == 0 {
		x.t.Error("nobody has looked at the accounts")
	}
	conn := x.c.db()
	number := func(sql string, args ...any) (n int64) {
		x.t.Helper()
		if err := conn.QueryRow(x.t.Context(), sql, args...).Scan(&n); err != nil {
			x.t.Fatalf("%s: %v", sql, err)
		}
		return n
	}
	for what, want := range map[string]int64{
		unbalanced: 0,
		// Each edge that died has ended in every partition, and holds nothing.
		`SELECT count(*) FROM ledger.lease l JOIN ledger.account a USING (account_id) JOIN ledger.incarnation i ON i.inc = l.inc AND i.part = a.part
			WHERE i.closed AND l.granted - l.returned <> l.consumed`: 0,
		`SELECT count(*) FROM (SELECT inc FROM ledger.incarnation WHERE inc > 0 GROUP BY inc HAVING bool_or(closed) AND NOT bool_and(closed)) i`: 0,
		`SELECT count(DISTINCT inc) FROM ledger.incarnation WHERE inc > 0 AND NOT closed`:                                                        int64(len(x.c.edges)),
		`SELECT sum(u.requests)::bigint FROM ledger.usage_by_day u`:                                                                              int64(orders),
		`SELECT count(*) FROM ledger.request WHERE corrects_seq IS NULL`:                                                                         int64(orders),
		`SELECT sum(cost)::bigint FROM ledger.request`:                                                                                           int64(x.owed(all)),
		`SELECT count(*) FROM ledger.anomaly`:                                                                                                    0,
	} {
		if got := number(what); got != want {
			x.t.Errorf("%s\nis %d, want %d", what, got, want)
		}
	}
	if n := number(`SELECT count(DISTINCT inc) FROM ledger.incarnation WHERE closed`); n > int64(x.kills) {
		x.t.Errorf("%d lives of edges have ended, and %d were killed", n, x.kills)
	}
	if n := number(overdrawn, x.softID); n != 0 {
		x.t.Errorf("%d account-windows are beyond their limit", n)
	}
	for id, b := range x.charged {
		got := number(`SELECT coalesce(sum(l.consumed), 0)::bigint FROM ledger.lease l JOIN ledger.account a USING (account_id) WHERE a.budget_id = $1`, id)
		if want := int64(x.owed(b.of)); got != want {
			x.t.Errorf("budget %s was charged %d, want %d", b.name, got, want)
		}
	}
	if x.t.Failed() {
		rows, err := conn.Query(x.t.Context(), `SELECT format('%s %s %s %s', kind, part, edge, detail) FROM ledger.anomaly ORDER BY id LIMIT 20`)
		list, err2 := pgx.CollectRows(rows, pgx.RowTo[string])
		if errors.Join(err, err2) == nil {
			x.t.Logf("anomalies: %q", list)
		}
	}
}
