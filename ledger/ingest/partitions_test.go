package ingest_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	eventv1 "tollgate/gen/tollgate/event/v1"
	"tollgate/internal/bus"
	"tollgate/internal/contract"
	"tollgate/internal/testenv"
	"tollgate/ledger/ingest"
	"tollgate/ledger/store"
)

func TestMain(m *testing.M) { os.Exit(testenv.Main(m)) }

func migrate(ctx context.Context, url string) error { return store.Migrate(ctx, url, nil) }

const parts = 4

// spool is what one incarnation has to tell one partition, and how much of it was marked as booked.
type spool struct {
	inc    int64
	edge   string
	part   uint32
	events []*eventv1.SpendEvent
}

// marks remembers the highest mark of each incarnation in each partition.
type marks struct {
	mu sync.Mutex // guards hwm
	// hwm by incarnation, for one partition
	hwm map[int64]uint64
}

func (m *marks) Marks(list []store.Mark) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, k := range list {
		m.hwm[k.Inc] = max(m.hwm[k.Inc], k.HWM)
	}
}

func (*marks) Changed([]int64) {}

func (m *marks) of(inc int64) uint64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.hwm[inc]
}

// spools are what edges write for requests that draw on accounts of several partitions: an event in each of
// these, of which that of the lowest account keeps the record.
func spools(r *rand.Rand, requests int) ([]*spool, map[contract.Window]int64) {
	byPlace := map[[2]int64]*spool{}
	var all []*spool
	place := func(inc int64, part uint32) *spool {
		k := [2]int64{inc, int64(part)}
		if byPlace[k] == nil {
			byPlace[k] = &spool{inc: inc, edge: fmt.Sprint("edge-", inc), part: part}
			all = append(all, byPlace[k])
		}
		return byPlace[k]
	}
	spent := map[contract.Window]int64{}
	for i := range requests {
		inc := 1 + r.Int64N(3)
		e := &eventv1.SpendEvent{
			RequestId: fmt.Appendf(nil, "%016d", i), Attempt: 1, UnixMs: time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC).UnixMilli(),
			KeyId: "key", EndpointId: "ep", Outcome: eventv1.SpendOutcome_SPEND_OUTCOME_OK, Status: 200, CostNanos: 1 + r.Int64N(9), Units: 1,
		}
		for account := int64(1); account <= 12; account++ {
			if r.IntN(3) == 0 {
				w := contract.Window{Account: account, Gen: 1}
				e.Draws = append(e.Draws, &eventv1.SpendDraw{Window: w.ToProto(), Nanos: e.GetCostNanos(), Part: contract.PartitionOf(account, parts)})
				spent[w] += e.GetCostNanos()
			}
		}
		own := map[uint32][]*eventv1.SpendDraw{}
		home := uint32(0)
		for i, d := range e.GetDraws() {
			own[d.GetPart()] = append(own[d.GetPart()], d)
			if i == 0 {
				home = d.GetPart()
			}
		}
		s := place(inc, home)
		s.events = append(s.events, e)
		for part, draws := range own {
			if part != home {
				s := place(inc, part)
				s.events = append(s.events, &eventv1.SpendEvent{RequestId: e.GetRequestId(), Attempt: 1, UnixMs: e.GetUnixMs(), DrawsOnly: true, Draws: draws})
			}
		}
	}
	for _, s := range all {
		s.events = append(s.events, &eventv1.SpendEvent{Outcome: eventv1.SpendOutcome_SPEND_OUTCOME_CLOSE})
	}
	return all, spent
}

// Guarantee: whatever the streams do to events on their way, lose, repeat, reorder, cut off, start over,
// each is booked once: every account is charged in its own partition, every request has one record, and
// the two agree.
func TestPartitionsStayExact(t *testing.T) {
	t.Parallel()
	pool := testenv.Postgres(t, migrate)
	conn, err := bus.Connect(bus.Config{URL: testenv.NATS(t).URL(), Name: "ledger"}, testenv.Logger(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(conn.Close)
	const requests = 3000
	r := rand.New(rand.NewPCG(4, 2))
	all, spent := spools(r, requests)

	db := store.New(pool)
	told := make([]*marks, parts)
	ctx, stop := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	t.Cleanup(func() { stop(); wg.Wait() })
	for part := range uint32(parts) {
		told[part] = &marks{hwm: map[int64]uint64{}}
		leader, err := db.Lead(ctx, part, "test")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(leader.Close)
		in := ingest.New(ingest.Config{FlushEvery: 5 * time.Millisecond, FlushEvents: 400, Replicas: 1, MaxBytes: 64 << 20}, leader, conn, told[part], nil, testenv.Logger(t))
		wg.Go(func() {
			if err := in.Run(ctx); !errors.Is(err, context.Canceled) {
				t.Errorf("ingest: %v", err)
			}
		})
	}
	js := conn.JetStream()
	publish := func(s *spool, from uint64) {
		if from >= uint64(len(s.events)) {
			return
		}
		n := min(uint64(1+r.IntN(60)), uint64(len(s.events))-from)
		data := encode(t, &eventv1.SpendBatch{Inc: s.inc, Edge: s.edge, Part: s.part, FirstSeq: from + 1, Schema: contract.Schema, Events: s.events[from : from+n]})
		// A stream that is away takes nothing, and then the events come again.
		pub, cancel := context.WithTimeout(ctx, 200*time.Millisecond)
		defer cancel()
		_, _ = js.PublishMsg(pub, &nats.Msg{Subject: contract.Spend(s.part, s.edge), Data: data})
	}
	wiped, rounds := 0, 0
	done := func() bool {
		for _, s := range all {
			if told[s.part].of(s.inc) < uint64(len(s.events)) {
				return false
			}
		}
		return true
	}
	deadline := time.Now().Add(60 * time.Second)
	for !done() {
		if time.Now().After(deadline) {
			t.Fatal("not everything is booked")
		}
		s := all[r.IntN(len(all))]
		booked := told[s.part].of(s.inc)
		what := r.IntN(40)
		if rounds++; rounds > 20 && wiped == 0 {
			what = 3 // how many rounds it takes depends on the machine, and one stream is to be wiped in any case
		}
		switch what {
		case 0: // too early
			publish(s, booked+uint64(r.IntN(100)))
		case 1: // again
			publish(s, booked-min(booked, uint64(r.IntN(100))))
		case 2: // lost: never sent
		case 3:
			if stream, err := js.Stream(ctx, contract.SpendStream(s.part)); err == nil && (wiped == 0 || r.IntN(4) == 0) && wiped < 30 {
				wiped++
				switch r.IntN(3) {
				case 0:
					err = stream.Purge(ctx)
				case 1:
					err = stream.Purge(ctx, jetstream.WithPurgeKeep(1))
				default:
					err = js.DeleteStream(ctx, contract.SpendStream(s.part))
				}
				if err != nil && !errors.Is(err, jetstream.ErrStreamNotFound) {
					t.Fatal(err)
				}
			}
		default:
			publish(s, booked)
		}
	}
	if wiped == 0 {
		t.Error("no stream was wiped, so nothing was tested")
	}
	stop()
	wg.Wait()
	agree(t, pool, db, all, spent, requests)
}

// agree checks money, records and usage against what the edges wrote.
func agree(t *testing.T, pool *pgxpool.Pool, db *store.Store, all []*spool, spent map[contract.Window]int64, requests int) {
	t.Helper()
	found := map[contract.Window]int64{}
	for part := range uint32(parts) {
		book, err := db.Load(t.Context(), part)
		if err != nil {
			t.Fatal(err)
		}
		if err := book.Check(); err != nil {
			t.Error(err)
		}
		for w := range book.Accounts {
			if contract.PartitionOf(w.Account, parts) != part {
				t.Errorf("partition %d charged account %d", part, w.Account)
			}
			found[w] = int64(book.Spent(w))
		}
		for _, s := range all {
			if i := book.Incs[s.inc]; s.part == part && i.HWM != uint64(len(s.events)) {
				t.Errorf("partition %d has booked %d of %d events of %d", part, i.HWM, len(s.events), s.inc)
			}
		}
	}
	var cost, drawn int64
	for w, n := range spent {
		drawn += n
		if found[w] != n {
			t.Errorf("account %d was charged %d, want %d", w.Account, found[w], n)
		}
	}
	for _, s := range all {
		for _, e := range s.events {
			if !e.GetDrawsOnly() {
				cost += e.GetCostNanos()
			}
		}
	}
	for _, q := range []struct {
		what, sql string
		want      int64
	}{
		{"records", `SELECT count(*) FROM ledger.request`, int64(requests)},
		{"requests with a record", `SELECT count(DISTINCT r.request_id) FROM ledger.request r`, int64(requests)},
		{"cost of records", `SELECT sum(r.cost)::bigint FROM ledger.request r`, cost},
		{"draws of records", `SELECT sum(r.draws[i + 4])::bigint FROM ledger.request r, generate_series(1, cardinality(r.draws), 5) i`, drawn},
		{"requests in usage", `SELECT sum(u.requests)::bigint FROM ledger.usage_by_day u`, int64(requests)},
		{"cost in usage", `SELECT sum(u.cost_nanos)::bigint FROM ledger.usage_by_hour u`, cost},
	} {
		var got int64
		if err := pool.QueryRow(t.Context(), q.sql).Scan(&got); err != nil || got != q.want {
			t.Errorf("%s: %d, %v, want %d", q.what, got, err, q.want)
		}
	}
}
