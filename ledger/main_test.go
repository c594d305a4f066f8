package ledger_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"connectrpc.com/connect"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"google.golang.org/protobuf/proto"

	eventv1 "tollgate/gen/tollgate/event/v1"
	ledgerv1 "tollgate/gen/tollgate/ledger/v1"
	"tollgate/gen/tollgate/ledger/v1/ledgerv1connect"
	"tollgate/internal/bus"
	"tollgate/internal/config"
	"tollgate/internal/contract"
	"tollgate/internal/natsd"
	"tollgate/internal/testenv"
	"tollgate/ledger"
	"tollgate/ledger/store"
)

func TestMain(m *testing.M) { os.Exit(testenv.Main(m)) }

func migrate(ctx context.Context, url string) error { return ledger.Migrate(ctx, url, nil) }

const token = "the-token"

// world is a database, a NATS server and a client in the place of edges and the control plane.
type world struct {
	t        testing.TB
	url      string
	pool     *pgxpool.Pool
	nats     *natsd.Server
	nc       *nats.Conn
	js       jetstream.JetStream
	revision int64
}

func setup(tb testing.TB) *world {
	tb.Helper()
	w := &world{t: tb, url: testenv.PostgresURL(tb, migrate), nats: testenv.NATS(tb)}
	w.open()
	tb.Cleanup(func() { w.pool.Close() })
	w.connect()
	if _, err := w.js.CreateStream(tb.Context(), jetstream.StreamConfig{
		Name: contract.StreamConfig, Subjects: []string{contract.ConfigSubjects}, MaxMsgsPerSubject: 1, AllowDirect: true,
	}); err != nil {
		tb.Fatal(err)
	}
	return w
}

func (w *world) open() {
	w.t.Helper()
	var err error
	if w.pool, err = pgxpool.New(context.Background(), w.url); err != nil {
		w.t.Fatal(err)
	}
}

// save keeps a copy of the database as it is, and returns what puts it back: as a restored backup does.
// Nobody may use it meanwhile.
func (w *world) save() (restore func()) {
	w.t.Helper()
	base, err := url.Parse(w.url)
	if err != nil {
		w.t.Fatal(err)
	}
	name := strings.TrimPrefix(base.Path, "/")
	base.Path = "/postgres"
	admin, err := pgxpool.New(context.Background(), base.String())
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() {
		if _, err := admin.Exec(context.Background(), "DROP DATABASE IF EXISTS "+name+"_saved WITH (FORCE)"); err != nil {
			w.t.Error(err)
		}
		admin.Close()
	})
	do := func(sql string) {
		w.t.Helper()
		testenv.Eventually(w.t, 10*time.Second, func() error { // connections that were closed may still show
			_, err := admin.Exec(w.t.Context(), sql)
			return err
		})
	}
	w.pool.Close()
	do("CREATE DATABASE " + name + "_saved TEMPLATE " + name)
	w.open()
	return func() {
		w.t.Helper()
		w.pool.Close()
		do("DROP DATABASE IF EXISTS " + name + " WITH (FORCE)")
		do("CREATE DATABASE " + name + " TEMPLATE " + name + "_saved")
		w.open()
	}
}

func (w *world) connect() {
	w.t.Helper()
	var err error
	if w.nc, err = nats.Connect(w.nats.URL(), nats.MaxReconnects(-1), nats.ReconnectWait(20*time.Millisecond)); err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(w.nc.Close)
	if w.js, err = jetstream.New(w.nc); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) config() ledger.Config {
	cfg := ledger.DefaultConfig()
	cfg.Listen = "127.0.0.1:0"
	cfg.DatabaseURL = config.Secret(w.url)
	cfg.NATS = bus.Config{URL: w.nats.URL(), Name: "ledger"}
	cfg.Token = token
	cfg.StreamMaxBytes = 64 << 20
	cfg.FlushEvery = 10 * time.Millisecond
	cfg.Drain = 5 * time.Second
	return cfg
}

// running is a ledger that runs.
type running struct {
	*ledger.Service
	stop func() error
}

func (w *world) start(cfg ledger.Config) *running {
	w.t.Helper()
	s, err := ledger.New(w.t.Context(), cfg, ledger.Deps{Log: testenv.Logger(w.t)})
	if err != nil {
		w.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	var stopped atomic.Bool
	r := &running{Service: s, stop: func() error {
		if stopped.Swap(true) {
			return nil
		}
		cancel()
		return <-done
	}}
	w.t.Cleanup(func() {
		if err := r.stop(); err != nil {
			w.t.Errorf("ledger: %v", err)
		}
	})
	return r
}

func (w *world) ready(r *running) *running {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), 20*time.Second)
	defer cancel()
	if err := r.Ready(ctx); err != nil {
		w.t.Fatal(err)
	}
	return r
}

// publish makes these accounts the truth of shard 1.
func (w *world) publish(accounts ...*eventv1.Account) {
	w.t.Helper()
	w.publishShard(accounts, nil)
}

func (w *world) publishShard(accounts []*eventv1.Account, limits []*eventv1.Limit) {
	w.t.Helper()
	w.revision++
	for _, a := range accounts {
		a.Version = w.revision
	}
	data, err := contract.Encode(contract.Version{Epoch: 1, Revision: w.revision}, &eventv1.AccountShard{Shard: 1, Accounts: accounts, Limits: limits})
	if err != nil {
		w.t.Fatal(err)
	}
	if _, err := w.js.Publish(w.t.Context(), contract.ConfigAccounts(1), data); err != nil {
		w.t.Fatal(err)
	}
}

func total(id, limit int64) *eventv1.Account {
	return &eventv1.Account{Id: id, Gen: 1, Period: eventv1.AccountPeriod_ACCOUNT_PERIOD_TOTAL, TimeZone: "UTC", LimitNanos: limit}
}

func win(account int64) *eventv1.AccountWindow {
	return &eventv1.AccountWindow{Account: account, Gen: 1}
}

// request sends a request to its partition's leader.
func (w *world) request(p *eventv1.LeaseRequest) (*eventv1.LeaseReply, error) {
	data, err := proto.Marshal(p)
	if err != nil {
		return nil, err
	}
	m, err := w.nc.Request(contract.Lease(p.GetPart()), data, 5*time.Second)
	if err != nil {
		return nil, err
	}
	var reply eventv1.LeaseReply
	if err := proto.Unmarshal(m.Data, &reply); err != nil {
		return nil, err
	}
	if reply.GetError() != "" {
		return nil, errors.New(reply.GetError())
	}
	return &reply, nil
}

// ask sends one line and returns its answer.
func (w *world) ask(inc int64, edge string, line *eventv1.LeaseLine) (*eventv1.GrantLine, error) {
	reply, err := w.request(&eventv1.LeaseRequest{Inc: inc, Edge: edge, Lines: []*eventv1.LeaseLine{line}})
	if err != nil {
		return nil, err
	}
	return reply.GetLines()[0], nil
}

// need asks until the account is known and the database is there.
func (w *world) need(inc int64, edge string, line *eventv1.LeaseLine) *eventv1.GrantLine {
	w.t.Helper()
	var got *eventv1.GrantLine
	testenv.Eventually(w.t, 15*time.Second, func() (err error) {
		if got, err = w.ask(inc, edge, line); err == nil && got.GetState() == eventv1.LeaseState_LEASE_STATE_UNKNOWN {
			err = errors.New("unknown")
		}
		return err
	})
	return got
}

// batch is a run of events of one nano-dollar amount.
func batch(inc int64, edge string, first uint64, n int, nanos int64, accounts ...int64) *eventv1.SpendBatch {
	b := &eventv1.SpendBatch{Inc: inc, Edge: edge, FirstSeq: first, Schema: contract.Schema}
	for range n {
		e := &eventv1.SpendEvent{
			UnixMs: time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC).UnixMilli(), KeyId: "key_a", EndpointId: "ep_b",
			Outcome: eventv1.SpendOutcome_SPEND_OUTCOME_OK, CostNanos: nanos,
		}
		for _, a := range accounts {
			e.Draws = append(e.Draws, &eventv1.SpendDraw{Window: win(a), Nanos: nanos})
		}
		b.Events = append(b.Events, e)
	}
	return b
}

func (w *world) spend(b *eventv1.SpendBatch) {
	w.t.Helper()
	data, err := proto.Marshal(b)
	if err != nil {
		w.t.Fatal(err)
	}
	w.raw(contract.Spend(0, b.GetEdge()), data)
}

// raw publishes to the spend stream, waiting for the stream to be there.
func (w *world) raw(subject string, data []byte) {
	w.t.Helper()
	testenv.Eventually(w.t, 15*time.Second, func() error {
		_, err := w.js.Publish(w.t.Context(), subject, data)
		return err
	})
}

// totals waits until the ledger has booked so many events and nano-dollars.
func (w *world) totals(requests, cost int64) {
	w.t.Helper()
	testenv.Eventually(w.t, 20*time.Second, func() error {
		var r, c int64
		if err := w.pool.QueryRow(w.t.Context(), `SELECT coalesce(sum(requests), 0)::bigint, coalesce(sum(cost_nanos), 0)::bigint FROM ledger.usage_by_day`).Scan(&r, &c); err != nil {
			return err
		}
		if r != requests || c != cost {
			return fmt.Errorf("booked %d events and %d, want %d and %d", r, c, requests, cost)
		}
		return nil
	})
}

func (w *world) audit() {
	w.t.Helper()
	book, err := store.New(w.pool).Load(w.t.Context(), 0)
	if err != nil {
		w.t.Fatal(err)
	}
	if err := book.Check(); err != nil {
		w.t.Error(err)
	}
}

func (w *world) state(r *running, account int64) (*ledgerv1.AccountState, error) {
	c := ledgerv1connect.NewAccountServiceClient(bearer(token), "http://"+r.Addr())
	res, err := c.ListAccountStates(w.t.Context(), &ledgerv1.ListAccountStatesRequest{Accounts: []int64{account}})
	if err != nil {
		return nil, err
	}
	if len(res.GetStates()) != 1 {
		return nil, fmt.Errorf("%d states", len(res.GetStates()))
	}
	return res.GetStates()[0], nil
}

// bearer is an HTTP client that shows a token.
func bearer(value string) connect.HTTPClient {
	return &http.Client{Timeout: 10 * time.Second, Transport: roundTripper(func(r *http.Request) (*http.Response, error) {
		r.Header.Set("Authorization", "Bearer "+value)
		r.Close = true
		return http.DefaultTransport.RoundTrip(r)
	})}
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }
