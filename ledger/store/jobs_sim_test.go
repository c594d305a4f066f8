package store_test

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"pgregory.net/rapid"

	eventv1 "tollgate/gen/tollgate/event/v1"
	"tollgate/internal/contract"
	"tollgate/internal/money"
	"tollgate/internal/testenv"
	"tollgate/ledger/escrow"
	"tollgate/ledger/store"
)

// jobModel is what is known of a job, in a few lines.
type jobModel struct {
	begun, told, settled bool
	held, cost           money.Nanos
	free                 bool
	final                money.Nanos
}

func (j *jobModel) begin(held money.Nanos, free bool) {
	if j.begun {
		return // another one costs nothing
	}
	j.begun, j.held, j.free = true, held, free
}

func (j *jobModel) tell(cost money.Nanos) {
	if !j.told && !j.settled {
		j.told, j.cost = true, cost
	}
}

func (j *jobModel) settle(expire bool) {
	switch {
	case !j.begun || j.settled:
	case j.told:
		j.settled, j.final = true, j.cost
	case expire && j.free:
		j.settled, j.final = true, 0
	case expire:
		j.settled, j.final = true, j.held
	}
}

// asBegunCost stands for the cost of what began the job.
const asBegunCost = -1

// jobWorld is two partitions, of which each keeps some of the records. Every request draws on an account of both.
type jobWorld struct {
	t       *testing.T
	parts   [2]*bench
	n       int64 // tells this world from the others in the database
	next    [2]uint64
	batches [2][]store.Batch
	jobs    map[int]*jobModel
	seq     int
}

func (w *jobWorld) account(part int) int64 { return w.n*10 + int64(part) }

func (w *jobWorld) inc(part int) int64 { return w.n*10 + int64(part) }

// book books an event in the partition that keeps its record, and its draws in the other one.
func (w *jobWorld) book(home int, j *eventv1.SpendJob, cost int64) {
	w.seq++
	e := ended(first.Add(time.Duration(w.seq) * time.Minute))
	e.EndpointId, e.CostNanos, e.Units, e.Job, e.KeyId = fmt.Sprintf("ep_%d", w.n), cost, 1, j, "key_poll"
	if j.GetBegins() {
		e.KeyId = "key_begin"
	}
	for part := range w.parts {
		e.Draws = append(e.Draws, &eventv1.SpendDraw{Window: win(w.account(part)).ToProto(), Part: uint32(part), Nanos: cost})
	}
	for part := range w.parts {
		b := store.Batch{Batch: escrow.Batch{Inc: w.inc(part), Edge: "edge", First: w.next[part] + 1}, Records: []*eventv1.SpendEvent{nil}}
		b.Events = []escrow.Event{{Draws: []escrow.Draw{{Window: win(w.account(part)), Nanos: money.Nanos(cost)}}}}
		if part == home {
			b.Records[0] = e
		}
		w.next[part]++
		w.batches[part] = append(w.batches[part], b)
		w.deliver(part, b, 1)
	}
}

func (w *jobWorld) deliver(part int, b store.Batch, want int) {
	out, err := w.parts[part].leader.Book(context.Background(), store.Position{Stream: "s", Seq: b.First}, []store.Batch{b}, nil)
	if err != nil || out.Events != want {
		w.t.Fatalf("Book = %+v, %v", out, err)
	}
}

// settle has several processes settle the jobs of both partitions at once.
func (w *jobWorld) settle(expire bool) {
	now := time.Time{}
	if expire {
		now = time.Now().Add(2 * time.Hour)
	}
	var wg sync.WaitGroup
	for part := range w.parts {
		for range 2 {
			wg.Go(func() {
				if _, err := w.parts[0].db.SettleJobs(context.Background(), uint32(part), now); err != nil {
					w.t.Error(err)
				}
				if _, err := w.parts[0].db.FinishCorrections(context.Background()); err != nil {
					w.t.Error(err)
				}
			})
		}
	}
	wg.Wait()
	for _, j := range w.jobs {
		j.settle(expire)
	}
}

func (w *jobWorld) step(t *rapid.T) {
	id := rapid.IntRange(0, 4).Draw(t, "job")
	if w.jobs[id] == nil {
		w.jobs[id] = &jobModel{}
	}
	j := w.jobs[id]
	home := rapid.IntRange(0, 1).Draw(t, "part")
	name := fmt.Sprintf("job-%d", id)
	switch rapid.IntRange(0, 9).Draw(t, "what") {
	case 0, 1, 2:
		held, free := rapid.Int64Range(0, 1000).Draw(t, "held"), rapid.Bool().Draw(t, "free")
		w.book(home, &eventv1.SpendJob{Id: name, State: running, Begins: true, TtlSeconds: 60, ExpiresFree: free}, held)
		j.begin(money.Nanos(held), free)
	case 3:
		cost := rapid.Int64Range(0, 2000).Draw(t, "cost")
		w.book(home, &eventv1.SpendJob{Id: name, State: done, CostNanos: cost}, 0)
		j.tell(money.Nanos(cost))
	case 4:
		w.book(home, &eventv1.SpendJob{Id: name, State: failed, CostNanos: 77}, 0)
		j.tell(0)
	case 5:
		w.book(home, &eventv1.SpendJob{Id: name, State: done, CostNanos: 77, AsBegun: true}, 0)
		j.tell(asBegunCost)
	case 6:
		w.settle(rapid.Bool().Draw(t, "expire"))
	case 7: // told of again, or asked after again
		w.book(home, &eventv1.SpendJob{Id: name, State: running, CostNanos: 77}, 0)
		if n := len(w.batches[home]); n > 0 {
			w.deliver(home, w.batches[home][rapid.IntRange(0, n-1).Draw(t, "again")], 0)
		}
	case 8: // a ledger that is killed between booking and settling, or while it settles
		ctx, cancel := context.WithTimeout(context.Background(), time.Duration(rapid.IntRange(0, 4000).Draw(t, "within"))*time.Microsecond)
		_, _ = w.parts[0].db.SettleJobs(ctx, uint32(home), time.Time{})
		_, _ = w.parts[0].db.FinishCorrections(ctx)
		cancel()
	case 9:
		w.parts[home].restart(w.t)
	}
}

// restart has a new leader follow the one there is, as soon as the database has noticed that this one is gone.
func (b *bench) restart(tb testing.TB) {
	tb.Helper()
	b.leader.Close()
	testenv.Eventually(tb, 20*time.Second, func() (err error) {
		b.leader, err = b.db.Lead(context.Background(), b.part, "test")
		return err
	})
	tb.Cleanup(b.leader.Close)
	stayAwake(tb, b.leader)
}

// check compares what was booked of both accounts, and how often a record was corrected, with the model.
func (w *jobWorld) check(t *rapid.T) {
	var want money.Nanos
	for id, j := range w.jobs {
		if !j.begun {
			continue
		}
		final := j.held
		if j.settled {
			final = j.final
		}
		if final == asBegunCost {
			final = j.held
		}
		want += final
		var corrections int
		err := w.parts[0].pool.QueryRow(context.Background(), `
			SELECT count(*) FROM ledger.request r JOIN ledger.job j ON j.part = r.part AND j.ended = r.ended AND j.inc = r.corrects_inc AND j.seq = r.corrects_seq
			WHERE j.endpoint_id = $1 AND j.job_id = $2`, fmt.Sprintf("ep_%d", w.n), fmt.Sprintf("job-%d", id)).Scan(&corrections)
		if err != nil || corrections > 1 {
			t.Fatalf("job %d was corrected %d times, %v", id, corrections, err)
		}
	}
	windows := []contract.Window{win(w.account(0)), win(w.account(1))}
	states, err := w.parts[0].db.WindowStates(context.Background(), windows)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range states {
		if s.Spent != want {
			t.Fatalf("account %d: %d are booked instead of %d", s.Window.Account, s.Spent, want)
		}
	}
}

// Guarantee: whatever order events of jobs come in, to whichever partition, how often, and whoever is stopped
// and started again in between, every job is corrected at most once, and what accounts of all partitions were
// charged is the sum of what the jobs cost in the end; the books hold.
func TestJobsSimulation(t *testing.T) {
	t.Parallel()
	b := setup(t)
	parts := [2]*bench{b, b.partition(t, 1)}
	var worlds atomic.Int64
	rapid.Check(t, func(rt *rapid.T) {
		w := &jobWorld{t: t, parts: parts, n: worlds.Add(1) + 100, jobs: map[int]*jobModel{}}
		for range rapid.IntRange(3, 16).Draw(rt, "steps") {
			w.step(rt)
		}
		w.settle(false)
		w.check(rt)
	})
	b.verified(t)
}

// Guarantee: partitions that book events of the same jobs at once, in opposite order, wait for each other and do
// not fail, and each job is settled once.
func TestJobsOfManyPartitions(t *testing.T) {
	t.Parallel()
	b := setup(t)
	other := b.partition(t, 1)
	const flushes, jobs = 12, 40
	var wg sync.WaitGroup
	wg.Go(func() {
		for n := range flushes {
			var list []*eventv1.SpendEvent
			for k := range jobs {
				list = append(list, ended(first, begins(fmt.Sprintf("job-%d-%d", n, k), 100), drawing(0, 1)))
			}
			b.settle(t, 7, list...)
		}
	})
	wg.Go(func() {
		for n := range flushes {
			var list []*eventv1.SpendEvent
			for k := range jobs {
				list = append(list, ended(first, tells(fmt.Sprintf("job-%d-%d", n, jobs-1-k), done, 3)))
			}
			other.settle(t, 8, list...)
		}
	})
	wg.Go(func() {
		for range flushes {
			if _, err := b.db.SettleJobs(context.Background(), 0, time.Time{}); err != nil {
				t.Error(err)
			}
		}
	})
	wg.Wait()
	b.settleJobs(t, time.Time{}, 1)
	if got := b.spent(t, 1)[0]; got != 3*flushes*jobs {
		t.Errorf("spent %d", got)
	}
	b.verified(t)
}
