package main

import (
	"context"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/rogpeppe/go-internal/testscript"

	eventv1 "tollgate/gen/tollgate/event/v1"
	"tollgate/internal/contract"
	"tollgate/internal/pg"
	"tollgate/internal/testenv"
	"tollgate/ledger/escrow"
	"tollgate/ledger/store"
)

// withServer is a test run that stops the database which it shares.
type withServer struct{ *testing.M }

func (m withServer) Run() int { return testenv.Main(m.M) }

func TestMain(m *testing.M) {
	testscript.Main(withServer{m}, map[string]func(){"tollgate": main})
}

func migrateLedger(ctx context.Context, url string) error { return store.Migrate(ctx, url, nil) }

// Guarantee: the scripts in testdata/script hold: what each command that goes to the database writes, what
// it does to a ledger's books, and its exit code.
func TestScripts(t *testing.T) {
	t.Parallel()
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		RequireUniqueNames:  true,
		RequireExplicitExec: true,
		Setup: func(env *testscript.Env) error {
			url := testenv.PostgresURL(t, migrateLedger)
			env.Setenv("TOLLGATE_DATABASE_URL", url)
			return keepBooks(url)
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){"sql": runSQL},
	})
}

// runSQL does to the database what no command does.
func runSQL(ts *testscript.TestScript, _ bool, args []string) {
	conn, err := pgx.Connect(context.Background(), ts.Getenv("TOLLGATE_DATABASE_URL"))
	ts.Check(err)
	defer func() { ts.Check(conn.Close(context.Background())) }()
	_, err = conn.Exec(context.Background(), args[0])
	ts.Check(err)
}

// keepBooks makes a ledger with an account, an edge that ended and one that holds 0.10 dollars.
func keepBooks(url string) error {
	ctx := context.Background()
	pool, err := pg.Open(ctx, url, 2)
	if err != nil {
		return err
	}
	defer pool.Close()
	leader, err := store.New(pool).Lead(ctx, 0, "test")
	if err != nil {
		return err
	}
	defer leader.Close()
	a := store.Account{ID: 1, Gen: 1, Limit: 1_000_000_000, Version: 1, Period: 1, TimeZone: "UTC"}
	if _, err := leader.ApplyShard(ctx, 1, contract.Version{Epoch: 1, Revision: 1}, []store.AccountChange{{Account: a}}, nil); err != nil {
		return err
	}
	w := contract.Window{Account: 1, Gen: 1}
	for _, inc := range []int64{7, 8} {
		l := escrow.Line{Window: w, Inc: inc, Edge: "edge-a", Ask: escrow.Ask{Need: 100_000_000}, Grantable: true, Active: 1}
		if _, err := leader.Lease(ctx, []escrow.Line{l}, nil); err != nil {
			return err
		}
	}
	e := &eventv1.SpendEvent{
		UnixMs: time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC).UnixMilli(), KeyId: "key_a", EndpointId: "ep_a", Status: 200, Units: 1,
		Outcome: eventv1.SpendOutcome_SPEND_OUTCOME_OK, CostNanos: 5, RequestId: make([]byte, 16),
		Draws: []*eventv1.SpendDraw{{Window: w.ToProto(), Nanos: 5}},
	}
	_, err = leader.Book(ctx, store.Position{Stream: "s", Seq: 1}, []store.Batch{{
		Batch:   escrow.Batch{Inc: 7, Edge: "edge-a", First: 1, Events: []escrow.Event{{Draws: []escrow.Draw{{Window: w, Nanos: 5}}}, {Close: true}}},
		Records: []*eventv1.SpendEvent{e, nil},
	}}, nil)
	return err
}
