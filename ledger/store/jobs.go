package store

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	eventv1 "tollgate/gen/tollgate/event/v1"
)

// A job is begun by one request and told of by others, which come from any edge, in any order, to any
// partition, and any number of times. What an event says of a job is noted in the transaction that books it, in
// one row for all partitions: the first to begin it and the first to say how it ended count. The record of the
// request that began it is corrected after that, by whoever works for the partition that keeps it.

// defaultTTL is for a job that was begun without one.
const defaultTTL = 24 * 60 * 60

type jobKey struct{ endpoint, id string }

func compareJobs(a, b jobKey) int {
	return cmp.Or(cmp.Compare(a.endpoint, b.endpoint), cmp.Compare(a.id, b.id))
}

// jobNews is what a flush has to say of a job.
type jobNews struct {
	begun *Record
	told  *eventv1.SpendJob
	again []Record // began it, too
}

// aboutJob says what an event is to be noted for. One that says that a job goes on says nothing new.
func aboutJob(e *eventv1.SpendEvent) (begins, tells bool) {
	j := e.GetJob()
	if j.GetId() == "" {
		return false, false
	}
	switch j.GetState() {
	case eventv1.SpendJobState_SPEND_JOB_STATE_DONE, eventv1.SpendJobState_SPEND_JOB_STATE_FAILED:
		return j.GetBegins(), true
	default: // also a state that this release does not know
		return j.GetBegins(), false
	}
}

// noteJob takes in what an event says of a job.
func (f *flush) noteJob(r Record) {
	begins, tells := aboutJob(r.Event)
	if !begins && !tells {
		return
	}
	k := jobKey{r.Event.GetEndpointId(), r.Event.GetJob().GetId()}
	if f.jobs == nil {
		f.jobs = map[jobKey]*jobNews{}
	}
	n := f.jobs[k]
	if n == nil {
		n = &jobNews{}
		f.jobs[k] = n
	}
	switch {
	case begins && n.begun == nil:
		n.begun = &r
	case begins:
		n.again = append(n.again, r)
	}
	if tells && n.told == nil {
		n.told = r.Event.GetJob()
	}
}

// Rows are locked in the order of their keys, because partitions share them.
const noteJobs = `
	INSERT INTO ledger.job AS j (endpoint_id, job_id, part, ended, inc, seq, deadline, expires_free, told, as_begun, cost, unpriced, units, counts)
	SELECT n.endpoint_id, n.job_id, CASE WHEN n.seq IS NOT NULL THEN $1::int END, n.ended, n.inc, n.seq, now() + n.ttl * interval '1 s', n.free,
		n.told, n.as_begun, n.cost, n.unpriced, n.units, n.counts
	FROM unnest($2::text[], $3::text[], $4::timestamptz[], $5::bigint[], $6::bigint[], $7::bigint[], $8::boolean[],
			$9::smallint[], $10::boolean[], $11::bigint[], $12::boolean[], $13::bigint[], $14::text[])
		AS n (endpoint_id, job_id, ended, inc, seq, ttl, free, told, as_begun, cost, unpriced, units, counts)
	ORDER BY n.endpoint_id COLLATE "C", n.job_id COLLATE "C"
	ON CONFLICT (endpoint_id, job_id) DO UPDATE SET
		part = coalesce(j.part, excluded.part), ended = coalesce(j.ended, excluded.ended), inc = coalesce(j.inc, excluded.inc),
		seq = coalesce(j.seq, excluded.seq), deadline = coalesce(j.deadline, excluded.deadline),
		expires_free = coalesce(j.expires_free, excluded.expires_free),
		told = coalesce(j.told, excluded.told), as_begun = coalesce(j.as_begun, excluded.as_begun), cost = coalesce(j.cost, excluded.cost),
		unpriced = coalesce(j.unpriced, excluded.unpriced), units = coalesce(j.units, excluded.units), counts = coalesce(j.counts, excluded.counts)
	WHERE j.settled IS NULL AND (j.part IS NULL AND excluded.part IS NOT NULL OR j.told IS NULL AND excluded.told IS NOT NULL)
	RETURNING j.endpoint_id, j.job_id, coalesce(j.part, -1), coalesce(j.inc, 0), coalesce(j.seq, 0)`

const noteJobsAgain = `
	INSERT INTO ledger.job_again (part, ended, inc, seq)
	SELECT $1, n.ended, n.inc, n.seq FROM unnest($2::timestamptz[], $3::bigint[], $4::bigint[]) AS n (ended, inc, seq)`

// writeJobs notes what a flush has to say of jobs. It comes last, so that other partitions wait for the rows of
// these jobs no longer than they have to.
func (f *flush) writeJobs(ctx context.Context, t *turn) error {
	if len(f.jobs) == 0 {
		return nil
	}
	keys := slices.SortedFunc(maps.Keys(f.jobs), compareJobs)
	n := len(keys)
	endpoints, ids := make([]string, n), make([]string, n)
	times, incs, seqs, ttls, free := make([]*time.Time, n), make([]*int64, n), make([]*int64, n), make([]*int64, n), make([]*bool, n)
	told, asBegun, costs := make([]*int16, n), make([]*bool, n), make([]*int64, n)
	unpriced, units, counts := make([]*bool, n), make([]*int64, n), make([]*string, n)
	for i, k := range keys {
		endpoints[i], ids[i] = k.endpoint, k.id
		if r := f.jobs[k].begun; r != nil {
			j := r.Event.GetJob()
			times[i], incs[i], seqs[i] = new(endOf(r.Event)), &r.Inc, &r.Seq
			ttls[i], free[i] = new(cmp.Or(j.GetTtlSeconds(), defaultTTL)), &j.ExpiresFree
		}
		if j := f.jobs[k].told; j != nil {
			told[i], asBegun[i], costs[i] = new(int16(j.GetState())), &j.AsBegun, &j.CostNanos
			unpriced[i], units[i], counts[i] = &j.Unpriced, &j.Units, &j.Counts
		}
	}
	taken := map[jobKey]bool{}
	b := &pgx.Batch{}
	queue(b, noteJobs, []any{int32(f.part), endpoints, ids, times, incs, seqs, ttls, free, told, asBegun, costs, unpriced, units, counts},
		func(row pgx.CollectableRow) error {
			var k jobKey
			var part int32
			var inc, seq int64
			err := row.Scan(&k.endpoint, &k.id, &part, &inc, &seq)
			r := f.jobs[k].begun
			taken[k] = r != nil && part == int32(f.part) && inc == r.Inc && seq == r.Seq
			return err
		})
	if err := t.send(ctx, b); err != nil {
		return err
	}
	again := &places{}
	for _, k := range keys {
		if n := f.jobs[k]; n.begun != nil && !taken[k] {
			n.again = append(n.again, *n.begun)
		}
		for _, r := range f.jobs[k].again {
			again.add(endOf(r.Event), r.Inc, r.Seq)
		}
	}
	if len(again.times) == 0 {
		return nil
	}
	b = &pgx.Batch{}
	b.Queue(noteJobsAgain, int32(f.part), again.times, again.incs, again.seqs)
	return t.send(ctx, b)
}

func endOf(e *eventv1.SpendEvent) time.Time { return time.UnixMilli(e.GetUnixMs()).UTC() }

// beginning are the records of requests that began a job. They are kept also where others are not, because they
// are what is corrected.
func beginning(records []Record) []Record {
	var out []Record
	for _, r := range records {
		if begins, _ := aboutJob(r.Event); begins {
			out = append(out, r)
		}
	}
	return out
}
