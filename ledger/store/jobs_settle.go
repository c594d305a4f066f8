package store

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	eventv1 "tollgate/gen/tollgate/event/v1"
	"tollgate/internal/money"
	"tollgate/internal/pg"
	"tollgate/ledger/usage"
)

// SettledJobs is what settling jobs has done.
type SettledJobs struct {
	Told    int     // whose end was told
	Expired int     // whose end nobody told in time
	Again   int     // requests that began a job once more, and cost nothing
	Refused int     // of which nothing is left to correct; there is an anomaly of each
	Freed   []int64 // accounts of which something became free
	// Corrected says whether a record was corrected: accounts of other partitions may have to be charged.
	Corrected bool
}

// How a job was settled.
const (
	settledTold int16 = iota + 1
	settledExpired
	settledNever
)

// job is one that is to be settled.
type job struct {
	key      jobKey
	ended    time.Time // where it began
	inc, seq int64
	free     bool // of one that expired
	told     eventv1.SpendJobState
	asBegun  bool
	cost     money.Nanos
	unpriced bool
	units    int64
	counts   string
}

const jobsToSettle = `
	SELECT j.endpoint_id, j.job_id, j.ended, j.inc, j.seq, coalesce(j.expires_free, false), coalesce(j.told, 0), coalesce(j.as_begun, false),
		coalesce(j.cost, 0), coalesce(j.unpriced, false), coalesce(j.units, 0), coalesce(j.counts, '')
	FROM ledger.job j WHERE j.settled IS NULL AND j.part = $1`

// Rows are locked in the order of their keys, because partitions share them.
const (
	inOrder  = ` ORDER BY j.endpoint_id, j.job_id LIMIT $2 FOR UPDATE`
	jobsTold = jobsToSettle + ` AND j.told IS NOT NULL` + inOrder
	jobsOver = jobsToSettle + ` AND j.told IS NULL AND j.deadline <= $3` + inOrder
	// Those that began a job again have no name of their own and cost nothing, as if it had failed.
	jobsAgain = `
	SELECT '', '', a.ended, a.inc, a.seq, false, 3, false, 0::bigint, false, 0::bigint, ''
	FROM ledger.job_again a WHERE a.part = $1 ORDER BY a.inc, a.seq LIMIT $2 FOR UPDATE`
)

const anyJobs = `
	SELECT EXISTS (SELECT FROM ledger.job j WHERE j.settled IS NULL AND j.part = $1 AND j.told IS NOT NULL),
		EXISTS (SELECT FROM ledger.job j WHERE j.settled IS NULL AND j.part = $1 AND j.deadline <= $2),
		EXISTS (SELECT FROM ledger.job_again a WHERE a.part = $1)`

// settleKind is one of the reasons for which records are corrected.
type settleKind struct {
	sql        string
	settlement int16 // 0 for job_again
}

// SettleJobs corrects the records that a partition keeps of requests that began jobs which have ended, or of
// which nobody has told up to a time by which they should have: each of them once, whoever does it at the same
// time. A zero time lets none expire. With an error, what was settled before it stays so.
func (s *Store) SettleJobs(ctx context.Context, part uint32, now time.Time) (out SettledJobs, err error) {
	var told, over, again bool
	if err := s.pool.QueryRow(ctx, anyJobs, int32(part), now).Scan(&told, &over, &again); err != nil {
		return out, translate(fmt.Errorf("look for jobs: %w", err))
	}
	for _, k := range []struct {
		there bool
		kind  settleKind
		count *int
	}{
		{told, settleKind{jobsTold, settledTold}, &out.Told},
		{over, settleKind{jobsOver, settledExpired}, &out.Expired},
		{again, settleKind{sql: jobsAgain}, &out.Again},
	} {
		if !k.there {
			continue
		}
		n, err := s.settleJobs(ctx, part, k.kind, now, &out)
		*k.count = n
		if err != nil {
			return out, translate(fmt.Errorf("settle jobs of partition %d: %w", part, err))
		}
	}
	slices.Sort(out.Freed)
	out.Freed = slices.Compact(out.Freed)
	return out, nil
}

// settleJobs settles those of one kind, some at a time; one by one, if together they come to more than an amount
// can be.
func (s *Store) settleJobs(ctx context.Context, part uint32, kind settleKind, now time.Time, out *SettledJobs) (sum int, err error) {
	most := correctAtOnce
	for {
		var done SettledJobs
		n := 0
		err := pg.InTx(ctx, s.pool, func(tx pgx.Tx) (err error) {
			done = SettledJobs{}
			n, err = settleSome(ctx, tx, part, kind, now, most, &done)
			return err
		})
		if errors.Is(err, money.ErrOverflow) && most > 1 {
			most = 1
			continue
		}
		if err != nil {
			return sum, err
		}
		sum += n - done.Refused
		out.Refused, out.Freed, out.Corrected = out.Refused+done.Refused, append(out.Freed, done.Freed...), out.Corrected || done.Corrected
		if n < most {
			return sum, nil
		}
	}
}

func settleSome(ctx context.Context, tx pgx.Tx, part uint32, kind settleKind, now time.Time, most int, done *SettledJobs) (int, error) {
	if err := lockAnyPart(ctx, tx, part); err != nil {
		return 0, err
	}
	args := []any{int32(part), most}
	if kind.settlement == settledExpired {
		args = append(args, now)
	}
	rows, err := tx.Query(ctx, kind.sql, args...)
	if err != nil {
		return 0, err
	}
	jobs, err := pgx.CollectRows(rows, scanJob)
	if err != nil || len(jobs) == 0 {
		return 0, err
	}
	ends, err := lastRecords(ctx, tx, part, jobs)
	if err != nil {
		return 0, err
	}
	b := &pgx.Batch{}
	var list []correction
	for i, j := range jobs {
		how := kind.settlement
		if ends[i] == nil {
			how = settledNever
			done.Refused++
			queueAnomalies(b, part, []Anomaly{{
				Kind: "job_unrecorded", Inc: j.inc, Detail: fmt.Sprintf("event %d, endpoint %q, job %q: the record of the request that began it is gone", j.seq, j.key.endpoint, j.key.id),
			}})
		} else if c, needed := j.correction(*ends[i]); needed {
			list = append(list, c)
		}
		if kind.settlement == 0 {
			b.Queue(`DELETE FROM ledger.job_again WHERE part = $1 AND inc = $2 AND seq = $3`, int32(part), j.inc, j.seq)
		} else {
			b.Queue(`UPDATE ledger.job SET settled = now(), settlement = $3 WHERE endpoint_id = $1 AND job_id = $2`, j.key.endpoint, j.key.id, how)
		}
	}
	if err := send(ctx, tx, b); err != nil {
		return 0, err
	}
	done.Corrected = len(list) > 0
	done.Freed, err = writeCorrections(ctx, tx, part, list)
	return len(jobs), err
}

func scanJob(row pgx.CollectableRow) (j job, err error) {
	var told int16
	err = row.Scan(&j.key.endpoint, &j.key.id, &j.ended, &j.inc, &j.seq, &j.free, &told, &j.asBegun, &j.cost, &j.unpriced, &j.units, &j.counts)
	j.told = eventv1.SpendJobState(told)
	return j, err
}

// whole is what a record comes to together with all that it corrects.
type whole struct {
	cost  money.Nanos
	units int64
}

// lastRecord is the last correction of a record, or itself, and what they come to together.
type lastRecord struct {
	record usage.Record
	whole  whole
}

const selectLast = `
	WITH RECURSIVE chain AS (
		SELECT n.i, 0 AS depth, r.ended, r.inc, r.seq, r.cost, r.units
		FROM unnest($2::timestamptz[], $3::bigint[], $4::bigint[]) WITH ORDINALITY AS n (ended, inc, seq, i)
		JOIN ledger.request r ON r.ended = n.ended AND r.ended >= $5 AND r.ended <= $6 AND r.part = $1 AND r.inc = n.inc AND r.seq = n.seq
		UNION ALL
		SELECT c.i, c.depth + 1, r.ended, r.inc, r.seq, c.cost + r.cost, c.units + r.units FROM chain c
		JOIN ledger.request r ON r.corrects_inc = c.inc AND r.corrects_seq = c.seq AND r.part = $1
			AND r.ended = c.ended AND r.ended >= $5 AND r.ended <= $6
	), last AS (
		SELECT DISTINCT ON (c.i) c.* FROM chain c ORDER BY c.i, c.depth DESC
	)
	SELECT ` + recordColumnsRead + `, l.i, l.cost, l.units FROM last l
	JOIN ledger.request r ON r.ended = l.ended AND r.ended >= $5 AND r.ended <= $6 AND r.part = $1 AND r.inc = l.inc AND r.seq = l.seq`

// lastRecords finds what is to be corrected; nil where it is not there any more.
func lastRecords(ctx context.Context, tx pgx.Tx, part uint32, jobs []job) ([]*lastRecord, error) {
	at := &places{}
	for _, j := range jobs {
		at.add(j.ended, j.inc, j.seq)
	}
	out := make([]*lastRecord, len(jobs))
	b := &pgx.Batch{}
	queue(b, selectLast, at.args(part), func(row pgx.CollectableRow) (err error) {
		var i int64
		var l lastRecord
		l.record, err = scanRecordAnd(row, &i, &l.whole.cost, &l.whole.units)
		if err == nil {
			out[i-1] = &l
		}
		return err
	})
	return out, send(ctx, tx, b)
}

// correction is what settling a job adds to what the request that began it has cost so far, and whether there
// is anything to add.
func (j job) correction(last lastRecord) (correction, bool) {
	e := last.record.Event
	c := correction{of: last.record, state: j.told}
	switch {
	case j.told == eventv1.SpendJobState_SPEND_JOB_STATE_FAILED:
		c.cost, c.units = -last.whole.cost, -last.whole.units
	case j.told == eventv1.SpendJobState_SPEND_JOB_STATE_DONE && j.asBegun:
		c.unpriced, c.counts = e.GetUnpriced() || j.unpriced, j.counts
		if j.units > 0 {
			c.units = j.units - last.whole.units
		}
	case j.told == eventv1.SpendJobState_SPEND_JOB_STATE_DONE:
		c.cost, c.units, c.unpriced, c.counts = j.cost-last.whole.cost, j.units-last.whole.units, j.unpriced, j.counts
	default: // nobody has told
		c.unpriced = true
		if j.free {
			c.cost = -last.whole.cost
		}
	}
	if c.counts == e.GetCounts() {
		c.counts = ""
	}
	return c, c.cost != 0 || c.units != 0 || c.counts != "" || c.unpriced != e.GetUnpriced()
}
