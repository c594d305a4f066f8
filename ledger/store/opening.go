package store

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	eventv1 "tollgate/gen/tollgate/event/v1"
	"tollgate/internal/contract"
	"tollgate/internal/id"
	"tollgate/internal/money"
)

// What was spent of a budget before its account was there is booked in the transaction in which the account appears: there is no
// moment in which an edge could get money of it that is spent already, and an account appears once, so it is never booked twice.
// The booking is a record of its own kind, numbered like corrections, which draws on the account and is counted in no usage: the
// requests that it stands for were made elsewhere.

const missingAccounts = `
	SELECT n.account_id FROM unnest($1::bigint[]) AS n (account_id)
	WHERE NOT EXISTS (SELECT FROM ledger.account a WHERE a.account_id = n.account_id)`

// Of the new ones, window starts at starts. Who has read all corrections so far has nothing to do for these records: they draw on
// accounts of this partition only.
const (
	addOpenings = `
	WITH own AS (
		SELECT i.hwm FROM ledger.incarnation i WHERE i.inc = 0 AND i.part = $1
	)
	INSERT INTO ledger.request (ended, inc, seq, cost, reserved, units, price_version, duration_us, part, attempt, status, outcome,
		unpriced, request_id, edge, key_id, endpoint_id, team, customer, model, draws)
	SELECT n.ended, 0, o.hwm - cardinality($2::timestamptz[]) + n.i, n.nanos, 0, 0, 0, 0, $1, 1, 0, $6,
		false, n.request_id, '', '', '', '', '', '', ARRAY[n.account_id, n.gen, n.start, $1::bigint, n.nanos]
	FROM unnest($2::timestamptz[], $3::bigint[], $4::bigint[], $5::bigint[], $7::bigint[], $8::bytea[])
			WITH ORDINALITY AS n (ended, account_id, gen, start, nanos, request_id, i)
	CROSS JOIN own o`

	skipOpenings = `
	INSERT INTO ledger.correction_mark AS m (part, source, seq)
	SELECT p.part, $1, i.hwm FROM ledger.ledger_part p JOIN ledger.incarnation i ON i.inc = 0 AND i.part = $1
	WHERE p.part <> $1 AND i.hwm - $2 = coalesce((SELECT o.seq FROM ledger.correction_mark o WHERE o.part = p.part AND o.source = $1), 0)
	ON CONFLICT (part, source) DO UPDATE SET seq = excluded.seq WHERE m.seq = excluded.seq - $2`
)

// newOpenings are the changes that make accounts of which something was spent elsewhere.
func newOpenings(ctx context.Context, tx pgx.Tx, changes []AccountChange) ([]Account, error) {
	opened := map[int64]Account{}
	var ids []int64
	for _, c := range changes {
		if c.Account.Opening > 0 && !c.Account.Closed {
			opened[c.Account.ID] = c.Account
			ids = append(ids, c.Account.ID)
		}
	}
	if len(ids) == 0 {
		return nil, nil
	}
	rows, err := tx.Query(ctx, missingAccounts, ids)
	if err != nil {
		return nil, err
	}
	missing, err := pgx.CollectRows(rows, pgx.RowTo[int64])
	out := make([]Account, 0, len(missing))
	for _, id := range missing {
		out = append(out, opened[id])
	}
	return out, err
}

// openingWindow is the window in which what was spent elsewhere counts, if it counts still.
func (a Account) openingWindow(now time.Time) (w contract.Window, counts bool, err error) {
	at := time.Unix(a.OpeningUnix, 0)
	if at.After(now) {
		at = now // by a clock that is ahead
	}
	w, end, err := a.WindowAt(at)
	if a.Days > 0 {
		return w, now.Before(time.Unix(end, 0).AddDate(0, 0, int(a.Days))), err
	}
	return w, end == 0 || now.Before(time.Unix(end, 0)), err
}

// bookOpenings books what was spent of new accounts elsewhere. The accounts are there, and the transaction holds the lock of the
// partition.
func bookOpenings(ctx context.Context, tx pgx.Tx, part uint32, accounts []Account, now time.Time) error {
	charges := map[contract.Window]money.Nanos{}
	var ended []time.Time
	var ids, gens, starts, nanos []int64
	var requests [][]byte
	for _, a := range accounts {
		w, counts, err := a.openingWindow(now)
		if err != nil {
			return fmt.Errorf("opening of account %d: %w", a.ID, err)
		}
		if !counts {
			continue
		}
		charges[w] = a.Opening
		ended = append(ended, time.Unix(max(min(a.OpeningUnix, now.Unix()), w.Start), 0).UTC())
		ids, gens, starts = append(ids, w.Account), append(gens, int64(w.Gen)), append(starts, w.Start)
		request := id.NewBytes()
		nanos, requests = append(nanos, int64(a.Opening)), append(requests, request[:])
	}
	if len(ids) == 0 {
		return nil
	}
	b := &pgx.Batch{}
	b.Queue(openWindows, int32(part), ids, gens, starts, now.Unix())
	b.Queue(numberCorrections, int32(part), int64(len(ids)))
	queueExactly(b, len(ids), "book openings", addOpenings, int32(part), ended, ids, gens, starts,
		int16(eventv1.SpendOutcome_SPEND_OUTCOME_OPENING), nanos, requests)
	b.Queue(skipOpenings, int32(part), int64(len(ids)))
	if err := send(ctx, tx, b); err != nil {
		return err
	}
	_, err := bookCharges(ctx, tx, part, charges)
	return err
}
