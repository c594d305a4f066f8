package audit_test

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	eventv1 "tollgate/gen/tollgate/event/v1"
	"tollgate/internal/contract"
	"tollgate/internal/money"
	"tollgate/internal/testenv"
	"tollgate/ledger/audit"
	"tollgate/ledger/escrow"
	"tollgate/ledger/store"
	"tollgate/ledger/usage"
)

func TestMain(m *testing.M) { os.Exit(testenv.Main(m)) }

func migrate(ctx context.Context, url string) error { return store.Migrate(ctx, url, nil) }

var first = time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)

// books are a ledger of two partitions with three days of requests, of which one was corrected and one edge
// is gone.
func books(t *testing.T) (*pgxpool.Pool, *store.Store) {
	t.Helper()
	pool := testenv.Postgres(t, migrate)
	db := store.New(pool)
	ctx := t.Context()
	for part := range uint32(2) {
		leader, err := db.Lead(ctx, part, "test")
		if err != nil {
			t.Fatal(err)
		}
		defer leader.Close()
		a := store.Account{ID: int64(part + 1), Gen: 1, Limit: 1000, Version: 1, Period: 1, TimeZone: "UTC"}
		if _, err := leader.ApplyShard(ctx, 0, contract.Version{Epoch: 1, Revision: 1}, []store.AccountChange{{Account: a}}, nil); err != nil {
			t.Fatal(err)
		}
		own := contract.Window{Account: a.ID, Gen: 1}
		for _, inc := range []int64{7, 8} {
			l := escrow.Line{Window: own, Inc: inc, Edge: "edge", Ask: escrow.Ask{Need: 100}, Grantable: true, Active: 1}
			if _, err := leader.Lease(ctx, []escrow.Line{l}, nil); err != nil {
				t.Fatal(err)
			}
		}
		batch := store.Batch{Batch: escrow.Batch{Inc: 7, Edge: "edge", First: 1}}
		for i := range 12 {
			e := &eventv1.SpendEvent{
				UnixMs: first.Add(time.Duration(i) * 6 * time.Hour).UnixMilli(), KeyId: "key_a", EndpointId: "ep_a", Status: 200, Units: 3,
				Outcome: eventv1.SpendOutcome_SPEND_OUTCOME_OK, CostNanos: int64(i), Tags: []string{"x", "y"}[:i%3], Unpriced: i == 4,
				RequestId: make([]byte, 16),
			}
			for p := range uint32(2) {
				e.Draws = append(e.Draws, &eventv1.SpendDraw{Window: (contract.Window{Account: int64(p + 1), Gen: 1}).ToProto(), Part: p, Nanos: e.GetCostNanos()})
			}
			batch.Events = append(batch.Events, escrow.Event{Draws: []escrow.Draw{{Window: own, Nanos: money.Nanos(i)}}})
			if part > 0 {
				e = nil // kept by the other partition
			}
			batch.Records = append(batch.Records, e)
		}
		batch.Events, batch.Records = append(batch.Events, escrow.Event{Close: true}), append(batch.Records, nil)
		if _, err := leader.Book(ctx, store.Position{Stream: "s", Seq: 1}, []store.Batch{batch}, nil); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := db.Reprice(ctx, usage.Filter{}, usage.Price{PerRequest: 50}, false); err != nil || got.Corrected != 1 {
		t.Fatal(got, err)
	}
	exec(t, pool, `UPDATE ledger.incarnation SET heard = now() - interval '1 hour' WHERE inc = 8`)
	if held, err := db.WriteOff(ctx, 8); err != nil || held != 200 {
		t.Fatal(held, err)
	}
	return pool, db
}

func exec(t *testing.T, pool *pgxpool.Pool, sql string) {
	t.Helper()
	if tag, err := pool.Exec(t.Context(), sql); err != nil || tag.RowsAffected() == 0 {
		t.Fatalf("%s: %v, %v", sql, tag, err)
	}
}

func verify(t *testing.T, db *store.Store) *audit.Report {
	t.Helper()
	r, err := audit.Verify(t.Context(), db, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// broken are the names of the checks that do not hold.
func broken(r *audit.Report) string {
	var names []string
	for _, c := range r.Checks {
		if !c.OK {
			names = append(names, c.Name)
		}
	}
	return strings.Join(names, " ")
}

// Guarantee: of books that are in order an audit finds nothing, whether usage was folded or not, and it
// tells how much an incarnation that is lost may have spent.
func TestVerify(t *testing.T) {
	t.Parallel()
	_, db := books(t)
	for range 2 {
		r := verify(t, db)
		if !r.OK || broken(r) != "" || r.Requests != 13 || r.Corrections != 1 || r.FirstDay != "2026-11-01" || r.LastDay != "2026-11-03" {
			t.Errorf("%+v", r)
		}
		if len(r.Lost) != 2 || r.Unaccounted != "0.0000002" || r.Lost[0].State != "lost" {
			t.Errorf("lost: %+v, unaccounted %s", r.Lost, r.Unaccounted)
		}
		for part := range uint32(2) {
			if err := db.Fold(t.Context(), part); err != nil {
				t.Fatal(err)
			}
		}
	}
	var text bytes.Buffer
	r := verify(t, db)
	if err := r.Write(&text); err != nil || !strings.Contains(text.String(), "incarnation 8 of edge edge is lost in partition 1; unaccounted: $0.0000001") {
		t.Errorf("%v\n%s", err, text.String())
	}
	if _, err := json.Marshal(r); err != nil {
		t.Error(err)
	}
}

// Guarantee: each kind of damage is found by the check that is about it, and names the place.
func TestVerifyFindsDamage(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, sql, want, subject string }{
		{"allocated too little", `UPDATE ledger.account_window SET alloc = alloc - 1 WHERE account_id = 1`, "allocated", "account 1,"},
		{"a lease is gone", `DELETE FROM ledger.lease WHERE inc = 8 AND account_id = 2`, "allocated", "account 2,"},
		{"a negative grant", `UPDATE ledger.lease SET granted = 0, returned = 1, consumed = -1 WHERE inc = 0 AND account_id = 1`, "allocated draws", "account 1,"},
		{"an ended one holds money", `UPDATE ledger.lease SET granted = granted + 5 WHERE inc = 7 AND account_id = 1`, "allocated ended", "account 1,"},
		{"a mark went back", `UPDATE ledger.incarnation SET hwm = 3 WHERE inc = 7 AND part = 0`, "marks", "incarnation 7"},
		{"a record is twice there", `INSERT INTO ledger.request SELECT * FROM ledger.request WHERE inc = 7 AND seq = 3`, "once usage usage-by-tag draws", "incarnation 7, event 3"},
		{"a record is gone", `DELETE FROM ledger.request WHERE inc = 7 AND seq = 3`, "usage usage-by-tag draws", "hour 2026-11-01T12,"},
		{"usage by hour is wrong", `UPDATE ledger.usage_hour_sums SET cost_nanos = cost_nanos + 1 WHERE hour = '2026-11-02'`, "usage days", "hour 2026-11-02T00,"},
		{"usage by day is wrong", `UPDATE ledger.usage_day_sums SET units = units - 1 WHERE day = '2026-11-02'`, "days", "day 2026-11-02,"},
		{"usage by tag is gone", `DELETE FROM ledger.usage_tag_hour_sums`, "usage-by-tag days-by-tag", "hour 2026-11-01T06,"},
		{
			"a job was not corrected", `INSERT INTO ledger.job (endpoint_id, job_id, part, ended, inc, seq, deadline, told, as_begun, cost, settled, settlement)
			SELECT r.endpoint_id, 'j', r.part, r.ended, r.inc, r.seq, now(), 2, false, r.cost + 1, now(), 1 FROM ledger.request r WHERE r.inc = 7 AND r.seq = 3`,
			"jobs", "endpoint ep_a, job 'j'",
		},
		{"a correction is half done", `DELETE FROM ledger.correction_mark`, "corrections", "corrections of partition 0"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			pool, db := books(t)
			for part := range uint32(2) {
				if err := db.Fold(t.Context(), part); err != nil {
					t.Fatal(err)
				}
			}
			// What constraints would refuse is damage too.
			exec(t, pool, `UPDATE ledger.ledger_part SET owner = owner`)
			if _, err := pool.Exec(t.Context(), `ALTER TABLE ledger.lease DROP CONSTRAINT lease_normal, DROP CONSTRAINT lease_corrections, DROP CONSTRAINT lease_consumed_check`); err != nil {
				t.Fatal(err)
			}
			exec(t, pool, c.sql)
			r := verify(t, db)
			if r.OK != (c.want == "") || broken(r) != c.want {
				t.Fatalf("broken: %q, want %q", broken(r), c.want)
			}
			for _, k := range r.Checks {
				if !k.OK {
					if k.Broken != int64(len(k.Findings)) || !strings.HasPrefix(k.Findings[0].Subject, c.subject) {
						t.Errorf("%+v", k)
					}
					break
				}
			}
			var text bytes.Buffer
			if err := r.Write(&text); err != nil || c.want != "" && !strings.Contains(text.String(), "BROKEN") {
				t.Errorf("%v\n%s", err, text.String())
			}
		})
	}
}

// Guarantee: rebuilding makes usage the sum of the records again, counts what it changes, changes nothing
// on a dry run or a second time, and leaves days alone of which records are missing.
func TestRebuild(t *testing.T) {
	t.Parallel()
	pool, db := books(t)
	rebuild := func(from, to time.Time, dry bool) store.Rebuilt {
		t.Helper()
		out, err := db.Rebuild(t.Context(), from, to, dry)
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	if out := rebuild(time.Time{}, time.Time{}, false); out.Rows != 0 || out.Days != 6 {
		t.Errorf("of books in order: %+v", out)
	}
	for part := range uint32(2) {
		if err := db.Fold(t.Context(), part); err != nil {
			t.Fatal(err)
		}
	}
	exec(t, pool, `UPDATE ledger.usage_hour_sums SET cost_nanos = cost_nanos + 1 WHERE hour = '2026-11-02'`)
	exec(t, pool, `UPDATE ledger.usage_day_sums SET units = units - 1 WHERE day = '2026-11-03'`)
	exec(t, pool, `DELETE FROM ledger.usage_tag_hour_sums`)
	exec(t, pool, `DELETE FROM ledger.usage_tag_day_sums`)
	exec(t, pool, `DELETE FROM ledger.usage_series WHERE tag = 'y'`)
	if out := rebuild(time.Time{}, time.Time{}, true); out.Rows == 0 {
		t.Errorf("dry run: %+v", out)
	}
	if r := verify(t, db); broken(r) != "usage usage-by-tag days" {
		t.Errorf("after a dry run: %s", broken(r))
	}
	if out := rebuild(first, first.AddDate(0, 0, 1), false); out.Days != 2 {
		t.Errorf("one day: %+v", out)
	}
	if r := verify(t, db); r.OK {
		t.Error("other days were rebuilt")
	}
	rebuild(time.Time{}, time.Time{}, false)
	if r := verify(t, db); !r.OK {
		t.Errorf("rebuilt: %+v", r)
	}
	if out := rebuild(time.Time{}, time.Time{}, false); out.Rows != 0 {
		t.Errorf("once more: %+v", out)
	}

	exec(t, pool, `UPDATE ledger.ledger_part SET records_since = '2026-11-01T12:00:00Z'`)
	exec(t, pool, `DELETE FROM ledger.request WHERE ended < '2026-11-01T12:00:00Z'`)
	if out := rebuild(time.Time{}, time.Time{}, false); out.Rows != 0 || out.Days != 4 {
		t.Errorf("without the first records: %+v", out)
	}
	if r := verify(t, db); !r.OK {
		t.Errorf("without the first records: %s", broken(r))
	}
}
