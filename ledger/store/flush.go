package store

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/jackc/pgx/v5"

	"tollgate/internal/contract"
	"tollgate/internal/money"
	"tollgate/ledger/escrow"
	"tollgate/ledger/usage"
)

// flush is a booking. Nearly all that is spent was granted before, and then booking it is an addition,
// which the database makes to all leases at once under the condition that it is one. Only the leases for
// which it is not are loaded and decided by escrow: those with an overrun, those that are new, and all of
// an incarnation that ends.
type flush struct {
	*state
	batches []Batch
	careful map[int64]bool           // incarnations of which escrow decides everything
	spent   map[leaseKey]money.Nanos // of the others
	sums    usage.Sums
	records []Record
	jobs    map[jobKey]*jobNews
	series  map[seriesKey]int64 // of sums, as far as they were not known
	late    []Anomaly
	out     Booked
}

type leaseKey struct {
	window contract.Window
	inc    int64
}

func compareKeys(a, b leaseKey) int {
	return cmp.Or(a.window.Compare(b.window), cmp.Compare(a.inc, b.inc))
}

// begin makes it new, because a transaction may be run again.
func (f *flush) begin(part uint32) { *f = flush{state: newState(part), batches: f.batches} }

// run does everything but write what escrow changed.
func (f *flush) run(ctx context.Context, t *turn) (err error) {
	if err := f.loadIncs(ctx, t); err != nil {
		return err
	}
	f.accept()
	if err := f.settle(ctx, t); err != nil {
		return err
	}
	if err := f.decide(ctx, t); err != nil {
		return err
	}
	if f.series, err = t.addSums(ctx, f.sums); err != nil {
		return err
	}
	if !t.l.keepRecords {
		f.records = beginning(f.records)
	}
	if err := t.keep(ctx, f.records); err != nil {
		return err
	}
	return f.writeJobs(ctx, t)
}

func (f *flush) loadIncs(ctx context.Context, t *turn) error {
	edges := map[int64]string{}
	for _, b := range f.batches {
		if _, ok := edges[b.Inc]; !ok {
			edges[b.Inc] = b.Edge
		}
	}
	load := &pgx.Batch{}
	f.queueIncs(load, edges)
	if err := t.send(ctx, load); err != nil {
		return err
	}
	f.addIncs(edges)
	return nil
}

// accept finds out which events are new, by having escrow book them without what they draw, and adds up
// what they come to.
func (f *flush) accept() {
	f.careful, f.spent, f.sums = map[int64]bool{}, map[leaseKey]money.Nanos{}, usage.Sums{}
	for inc, i := range f.book.Incs {
		f.careful[inc] = i.State != escrow.Live
	}
	marks := escrow.NewBook()
	marks.Incs = maps.Clone(f.book.Incs)
	touched := map[contract.Window]bool{}
	for _, b := range f.batches {
		got := marks.Apply(bare(b.Batch))
		if got.Verdict != escrow.Accepted {
			continue
		}
		f.out.Events += len(b.Events) - got.From
		for i := got.From; i < len(b.Events); i++ {
			e := b.Events[i]
			if e.Close {
				f.careful[b.Inc] = true
			}
			for _, d := range e.Draws {
				k := leaseKey{d.Window, b.Inc}
				sum, err := f.spent[k].Add(d.Nanos)
				if err != nil {
					f.careful[b.Inc] = true
				}
				f.spent[k] = sum
			}
			if r := b.Records[i]; r != nil {
				f.sums.Add(r)
				kept := Record{Inc: b.Inc, Seq: int64(b.First) + int64(i), Edge: b.Edge, Event: r}
				f.records = append(f.records, kept)
				if r.GetJob() != nil {
					f.noteJob(kept)
				}
			}
		}
	}
	for k := range f.spent {
		touched[k.window] = true
		if f.careful[k.inc] {
			delete(f.spent, k)
		}
	}
	f.out.Touched = slices.SortedFunc(maps.Keys(touched), contract.Window.Compare)
}

// bare is a batch of which no event draws or closes anything.
func bare(b escrow.Batch) escrow.Batch {
	b.Events = make([]escrow.Event, len(b.Events))
	return b
}

// settleGranted adds to leases what was spent of money that they hold, and says which those were.
const settleGranted = `
	WITH done AS (
		UPDATE ledger.lease l SET consumed = l.consumed + n.nanos
		FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::bigint[], $5::bigint[]) WITH ORDINALITY AS n (account_id, gen, start, inc, nanos, i)
		WHERE l.account_id = n.account_id AND l.gen = n.gen AND l.start = n.start AND l.inc = n.inc
			AND n.nanos <= l.granted - l.returned - l.consumed
		RETURNING n.i
	)
	SELECT array_agg(d.i) FROM done d`

// settle books what was granted before. What it leaves in spent is more than was.
func (f *flush) settle(ctx context.Context, t *turn) error {
	if len(f.spent) == 0 {
		return nil
	}
	keys := slices.SortedFunc(maps.Keys(f.spent), compareKeys)
	var c columns
	for _, k := range keys {
		c.add(k.window, k.inc, int64(f.spent[k]))
	}
	load := &pgx.Batch{}
	queue(load, settleGranted, c.args(), func(row pgx.CollectableRow) error {
		var done []int64
		err := row.Scan(&done)
		for _, i := range done {
			delete(f.spent, keys[i-1])
		}
		return err
	})
	return t.send(ctx, load)
}

// decide has escrow book the rest: the batches of careful incarnations as they are, and of the others what
// settle has left, all in their first new event.
func (f *flush) decide(ctx context.Context, t *turn) error {
	if err := f.load(ctx, t); err != nil {
		return err
	}
	left := map[int64][]escrow.Draw{}
	for _, k := range slices.SortedFunc(maps.Keys(f.spent), compareKeys) {
		left[k.inc] = append(left[k.inc], escrow.Draw{Window: k.window, Nanos: f.spent[k]})
	}
	gaps := map[int64]bool{}
	for _, b := range f.batches {
		batch := b.Batch
		if !f.careful[b.Inc] {
			batch = bare(batch)
			if hwm := f.book.Incs[b.Inc].HWM; hwm >= b.First-1 && hwm < b.Last() {
				batch.Events[hwm+1-b.First].Draws = left[b.Inc]
				delete(left, b.Inc)
			}
		}
		got := f.book.Apply(batch)
		gaps[b.Inc] = got.Verdict == escrow.Gap
		f.out.Freed, f.out.Forced = append(f.out.Freed, got.Freed...), f.out.Forced+got.Forced
		if got.Late {
			f.note("event_after_close", b.Batch)
		}
		if got.Released {
			f.note("event_after_release", b.Batch)
		}
	}
	for _, inc := range slices.Sorted(maps.Keys(gaps)) {
		i := f.book.Incs[inc]
		f.out.Marks = append(f.out.Marks, Mark{Inc: inc, Edge: i.Edge, HWM: i.HWM, Gap: gaps[inc]})
	}
	slices.Sort(f.out.Freed)
	f.out.Freed = slices.Compact(f.out.Freed)
	return nil
}

func (f *flush) note(kind string, b escrow.Batch) {
	f.late = append(f.late, Anomaly{Kind: kind, Inc: b.Inc, Edge: b.Edge, Detail: fmt.Sprintf("events %d to %d", b.First, b.Last())})
}

// load reads everything that escrow could change.
func (f *flush) load(ctx context.Context, t *turn) error {
	keys := map[leaseKey]bool{}
	for k := range f.spent {
		keys[k] = true
	}
	closing := map[int64]bool{}
	for _, b := range f.batches {
		if !f.careful[b.Inc] {
			continue
		}
		for _, e := range b.Events {
			for _, d := range e.Draws {
				keys[leaseKey{d.Window, b.Inc}] = true
			}
			if e.Close {
				closing[b.Inc] = true
			}
		}
	}
	var leases columns
	var windows []contract.Window
	for k := range keys {
		leases.add(k.window, k.inc)
		windows = append(windows, k.window)
	}
	load := &pgx.Batch{}
	if leases.rows() > 0 {
		queue(load, selectSpent, leases.args(), f.scanLease)
	}
	if len(closing) > 0 {
		queue(load, selectClosing, []any{slices.Collect(maps.Keys(closing)), int32(f.part)}, f.scanLease)
	}
	if err := t.send(ctx, load); err != nil {
		return err
	}
	for w := range f.book.Leases {
		windows = append(windows, w)
	}
	if len(windows) > 0 {
		set := windowSetOf(windows)
		load = &pgx.Batch{}
		queue(load, selectAccounts, []any{set.accounts, set.gens, set.starts}, f.scanAccount)
		if err := t.send(ctx, load); err != nil {
			return err
		}
	}
	f.loaded()
	return nil
}
