package store_test

import (
	"context"
	"os"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"tollgate/internal/contract"
	"tollgate/internal/money"
	"tollgate/internal/testenv"
	"tollgate/ledger/store"
)

func TestMain(m *testing.M) { os.Exit(testenv.Main(m)) }

func migrate(ctx context.Context, url string) error { return store.Migrate(ctx, url, nil) }

// bench is a database and its leader.
type bench struct {
	pool   *pgxpool.Pool
	db     *store.Store
	leader *store.Leader
	part   uint32
	shards int64
	next   map[int64]uint64 // the last event of each incarnation that settle booked
}

func setup(tb testing.TB) *bench {
	tb.Helper()
	pool := testenv.Postgres(tb, migrate)
	b := &bench{pool: pool, db: store.New(pool)}
	b.leader = b.lead(tb)
	return b
}

func (b *bench) lead(tb testing.TB) *store.Leader {
	tb.Helper()
	l, err := b.db.Lead(context.Background(), b.part, "test")
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(l.Close)
	stayAwake(tb, l)
	return l
}

// stayAwake does what a ledger does beside its work: it is never silent for so long that the database takes
// it for stopped.
func stayAwake(tb testing.TB, l *store.Leader) {
	tb.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		tick := time.NewTicker(time.Second)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
				if l.Check(ctx) != nil {
					return
				}
			}
		}
	}()
	tb.Cleanup(func() { cancel(); <-done })
}

// partition is a bench on the same database that shares nothing else.
func (b *bench) partition(tb testing.TB, part uint32) *bench {
	tb.Helper()
	p := &bench{pool: b.pool, db: b.db, part: part}
	p.leader = p.lead(tb)
	return p
}

// account makes accounts what they should be, as total budgets unless they say otherwise.
func (b *bench) account(tb testing.TB, accounts ...store.Account) {
	tb.Helper()
	b.shards++
	var changes []store.AccountChange
	for _, a := range accounts {
		if a.Period == 0 {
			a.Period, a.TimeZone = 1, "UTC"
		}
		a.Shard = contract.AccountShardOf(a.ID)
		changes = append(changes, store.AccountChange{Account: a})
	}
	ok, err := b.leader.ApplyShard(context.Background(), 0, contract.Version{Epoch: 1, Revision: b.shards}, changes, nil)
	if err != nil || !ok {
		tb.Fatal(ok, err)
	}
}

func win(account int64) contract.Window { return contract.Window{Account: account, Gen: 1} }

func budget(id int64, limit money.Nanos) store.Account {
	return store.Account{ID: id, Gen: 1, Limit: limit, Version: 1}
}

// audit checks the invariants of the whole database.
func (b *bench) audit(tb testing.TB) {
	tb.Helper()
	book, err := b.db.Load(context.Background(), 0)
	if err != nil {
		tb.Fatal(err)
	}
	if err := book.Check(); err != nil {
		tb.Error(err)
	}
}
