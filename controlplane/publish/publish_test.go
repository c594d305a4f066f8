package publish_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"google.golang.org/protobuf/proto"

	"tollgate/controlplane/access"
	"tollgate/controlplane/publish"
	"tollgate/controlplane/registry"
	"tollgate/controlplane/secrets"
	"tollgate/controlplane/store"
	eventv1 "tollgate/gen/tollgate/event/v1"
	"tollgate/internal/bus"
	"tollgate/internal/contract"
	"tollgate/internal/lifecycle"
	"tollgate/internal/money"
	"tollgate/internal/natsd"
	"tollgate/internal/period"
	"tollgate/internal/seal"
	"tollgate/internal/testenv"
)

func TestMain(m *testing.M) { os.Exit(testenv.Main(m)) }

func migrate(ctx context.Context, url string) error { return store.Migrate(ctx, url, nil) }

const within = 15 * time.Second

// bundle is a database and a stream, with publishers between them.
type bundle struct {
	t          *testing.T
	pool       *pgxpool.Pool
	store      *store.Store
	nats       *natsd.Server
	conn       *bus.Conn // the test's own
	vault      *secrets.Vault
	master     string
	sealingKey string
}

func setup(t *testing.T) *bundle {
	t.Helper()
	b := &bundle{t: t, pool: testenv.Postgres(t, migrate), nats: testenv.NATS(t), sealingKey: seal.Generate(), master: seal.Generate()}
	b.store = store.New(b.pool)
	var err error
	if b.vault, err = secrets.New(b.master, b.sealingKey); err != nil {
		t.Fatal(err)
	}
	b.conn = b.connect(b.nats.URL())
	return b
}

func (b *bundle) connect(url string) *bus.Conn {
	b.t.Helper()
	conn, err := bus.Connect(bus.Config{URL: url}, testenv.Logger(b.t))
	if err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(conn.Close)
	return conn
}

// start runs a publisher with a connection of its own and returns what stops it.
func (b *bundle) start() (stop func()) {
	b.t.Helper()
	conn, err := bus.Connect(bus.Config{URL: b.nats.URL()}, testenv.Logger(b.t))
	if err != nil {
		b.t.Fatal(err)
	}
	p := publish.New(publish.Config{Partitions: 1, Replicas: 1}, b.store, conn, b.vault, testenv.Logger(b.t))
	var g lifecycle.Group
	g.Go("publisher", func(ctx context.Context) {
		if err := p.Run(ctx); err != nil {
			b.t.Error(err)
		}
	})
	stop = sync.OnceFunc(func() { g.Stop(); conn.Close() })
	b.t.Cleanup(stop)
	return stop
}

// stream is the newest value of each subject, without the common part of the names.
func (b *bundle) stream() (map[string]jetstream.RawStreamMsg, error) {
	ctx, cancel := context.WithTimeout(b.t.Context(), 5*time.Second)
	defer cancel()
	s, err := b.conn.JetStream().Stream(ctx, contract.StreamConfig)
	if err != nil {
		return nil, err
	}
	info, err := s.Info(ctx, jetstream.WithSubjectFilter(">"))
	if err != nil {
		return nil, err
	}
	out := map[string]jetstream.RawStreamMsg{}
	for subject := range info.State.Subjects {
		m, err := s.GetLastMsgForSubject(ctx, subject)
		if err != nil {
			return nil, err
		}
		out[strings.TrimPrefix(subject, "tollgate.v1.config.")] = *m
	}
	return out, nil
}

func (b *bundle) version(subject string) contract.Version {
	all, err := b.stream()
	if err != nil {
		return contract.Version{}
	}
	m, ok := all[subject]
	if !ok {
		return contract.Version{}
	}
	v, err := contract.Peek(m.Data)
	if err != nil {
		b.t.Fatal(err)
	}
	return v
}

// published waits until the head is at a version and the records agree.
func (b *bundle) published(want contract.Version) {
	b.t.Helper()
	testenv.Eventually(b.t, within, func() error {
		st, err := b.store.State(b.t.Context())
		if err != nil {
			return err
		}
		if head := b.version("head"); head != want || st.Published != want {
			return fmt.Errorf("head %s, recorded %s, want %s", head, st.Published, want)
		}
		return nil
	})
}

func read[M proto.Message](b *bundle, subject string, m M) (M, contract.Version) {
	b.t.Helper()
	all, err := b.stream()
	if err != nil {
		b.t.Fatal(err)
	}
	v, err := contract.Decode(all[subject].Data, m)
	if err != nil {
		b.t.Fatalf("%s: %v", subject, err)
	}
	return m, v
}

func (b *bundle) endpoint(name string) registry.Endpoint {
	b.t.Helper()
	e, err := b.store.CreateEndpoint(b.t.Context(), "test", registry.Endpoint{
		Name: name, Path: "/" + name, Targets: []registry.Target{{URL: "https://x.example.com"}}, Price: registry.Price{PerRequest: 12 * money.Dollar},
		Headers: []registry.Header{{Name: "api_token", Value: "${secret:vendor}"}},
	}, nil)
	if err != nil {
		b.t.Fatal(err)
	}
	return e
}

const vendorSecret = "vendor-credential-77a0"

func (b *bundle) secret() {
	b.t.Helper()
	_, err := b.store.CreateSecret(b.t.Context(), "test", registry.Secret{Name: "vendor"}, func(id string) ([]byte, error) { return b.vault.Encrypt(id, vendorSecret) }, nil)
	if err != nil {
		b.t.Fatal(err)
	}
}

func (b *bundle) key(name string) (registry.Key, [32]byte) {
	b.t.Helper()
	hash := contract.KeyHash([]byte(name))
	k, err := b.store.CreateKey(b.t.Context(), "test", store.Anywhere, store.NewKey{Key: registry.Key{Name: name}, Hash: hash}, nil)
	if err != nil {
		b.t.Fatal(err)
	}
	return k, hash
}

func (b *bundle) budget(name string, scope registry.Scope, of string) registry.Budget {
	b.t.Helper()
	g, err := b.store.CreateBudget(b.t.Context(), "test", access.Scope{Everywhere: true}, registry.Budget{Name: name, Scoped: registry.Scoped{Scope: scope, ScopeName: of}, Amount: money.Dollar, Period: period.Month}, nil)
	if err != nil {
		b.t.Fatal(err)
	}
	return g
}

func short(subject string) string { return strings.TrimPrefix(subject, "tollgate.v1.config.") }

func keysOf(hash [32]byte) string { return short(contract.ConfigKeys(contract.KeyShardOf(hash))) }

func accountsOf(id int64) string { return short(contract.ConfigAccounts(contract.AccountShardOf(id))) }

// Guarantee: what is stored reaches the stream whole and in the order accounts, keys, routes, head;
// a vendor credential is in no message but sealed; an empty configuration has routes and a head.
func TestPublish(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.start()
	b.published(contract.Version{Epoch: 1})
	if r, _ := read(b, "routes", &eventv1.RouteSnapshot{}); len(r.GetEndpoints()) != 0 {
		t.Errorf("routes %v", r)
	}
	b.secret()
	e := b.endpoint("bria")
	k, hash := b.key("ci-bot")
	kb, eb, all := b.budget("kb", registry.ScopeKey, "ci-bot"), b.budget("eb", registry.ScopeEndpoint, "bria"), b.budget("all", registry.ScopeEverything, "")
	b.published(contract.Version{Epoch: 1, Revision: 6})

	routes, _ := read(b, "routes", &eventv1.RouteSnapshot{})
	if len(routes.GetEndpoints()) != 1 || len(routes.GetAccounts()) != 2 || len(routes.GetSecrets()) != 1 {
		t.Fatalf("routes %v", routes)
	}
	if r := routes.GetEndpoints()[0]; r.GetId() != e.ID || r.GetPriceNanos() != 12e9 || r.GetPriceVersion() != e.Revision ||
		r.GetTimeoutMs() != 600_000 || r.GetForward() != eventv1.ForwardMode_FORWARD_MODE_SAFE_LIST || r.GetHeaders()[0].GetValue() != "${secret:vendor}" {
		t.Errorf("route %v", r)
	}
	if a := routes.GetAccounts()[0]; a.GetId() != eb.AccountID || a.GetEndpointId() != e.ID || a.GetSubject() != "endpoint bria" || a.GetVersion() != eb.Revision {
		t.Errorf("account %v", a)
	}
	if a := routes.GetAccounts()[1]; a.GetId() != all.AccountID || a.GetEndpointId() != "" || a.GetSubject() != "everything" || a.GetTimeZone() != "UTC" {
		t.Errorf("account %v", a)
	}
	edges, err := seal.Parse(b.sealingKey)
	if err != nil {
		t.Fatal(err)
	}
	if plain, err := edges.Open(routes.GetSecrets()[0].GetSealed(), "secret:vendor"); err != nil || string(plain) != vendorSecret {
		t.Errorf("sealed %q, %v", plain, err)
	}
	shard, _ := read(b, keysOf(hash), &eventv1.KeyShard{})
	if len(shard.GetKeys()) != 1 || shard.GetShard() != contract.KeyShardOf(hash) {
		t.Fatalf("keys %v", shard)
	}
	if got := shard.GetKeys()[0]; got.GetId() != k.ID || string(got.GetSha256()) != string(hash[:]) || got.GetRevokeUnixMs() != 0 ||
		got.GetRestricted() || len(got.GetAccounts()) != 1 || got.GetAccounts()[0].GetId() != kb.AccountID || got.GetAccounts()[0].GetSubject() != "key ci-bot" {
		t.Errorf("key %v", got)
	}
	accounts, _ := read(b, accountsOf(kb.AccountID), &eventv1.AccountShard{})
	if len(accounts.GetAccounts()) != 1 || accounts.GetAccounts()[0].GetLimitNanos() != 1e9 || accounts.GetAccounts()[0].GetPeriod() != eventv1.AccountPeriod_ACCOUNT_PERIOD_MONTH {
		t.Errorf("accounts %v", accounts)
	}
	stored, err := b.stream()
	if err != nil {
		t.Fatal(err)
	}
	for subject, m := range stored {
		var plain eventv1.RouteSnapshot
		_, _ = contract.Decode(m.Data, &plain) // not all are one; their text is searched all the same
		if strings.Contains(string(m.Data), vendorSecret) || strings.Contains(plain.String(), vendorSecret) {
			t.Errorf("%s holds the credential", subject)
		}
	}

	if _, err := b.store.RevokeKey(t.Context(), "test", store.Anywhere, "ci-bot", ""); err != nil {
		t.Fatal(err)
	}
	b.published(contract.Version{Epoch: 1, Revision: 7})
	if shard, v := read(b, keysOf(hash), &eventv1.KeyShard{}); shard.GetKeys()[0].GetRevokeUnixMs() == 0 || v.Revision != 7 {
		t.Errorf("revoked at %s: %v", v, shard)
	}
	if v := b.version("routes"); v.Revision >= 7 {
		t.Errorf("routes published again at %s", v)
	}
}

// order follows everything that is published.
func (b *bundle) order() func() []string {
	b.t.Helper()
	var mu sync.Mutex
	var seen []string
	sub, err := b.conn.NATS().Subscribe(contract.ConfigSubjects, func(m *nats.Msg) {
		v, err := contract.Peek(m.Data)
		if err != nil {
			b.t.Error(err)
		}
		mu.Lock()
		defer mu.Unlock()
		seen = append(seen, fmt.Sprintf("%d %s", v.Revision, short(m.Subject)))
	})
	if err != nil {
		b.t.Fatal(err)
	}
	if err := b.conn.NATS().Flush(); err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(func() { _ = sub.Unsubscribe() })
	return func() []string {
		mu.Lock()
		defer mu.Unlock()
		return slices.Clone(seen)
	}
}

// Guarantee: in every revision accounts come before keys, keys before routes, routes before the head;
// and changes that have gathered are published together, not one after the other.
func TestOrderAndCoalescing(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.secret()
	b.endpoint("bria")
	seen := b.order()
	const burst = 30
	change := func(kind string) {
		for i := range burst {
			name := fmt.Sprintf("%s%d", kind, i)
			b.key(name)
			b.budget("b"+name, registry.ScopeKey, name)
		}
	}
	stop := b.start()
	b.published(contract.Version{Epoch: 1, Revision: 2})
	change("one")
	gathered := int64(2 + 2*burst)
	b.published(contract.Version{Epoch: 1, Revision: gathered})
	stop()
	change("all")
	b.start()
	last := contract.Version{Epoch: 1, Revision: gathered + 2*burst}
	b.published(last)
	testenv.Eventually(t, within, func() error {
		if s := seen(); len(s) == 0 || s[len(s)-1] != fmt.Sprintf("%d head", last.Revision) {
			return errors.New("the subscription is behind")
		}
		return nil
	})
	rank := func(s string) int {
		return slices.IndexFunc([]string{"accounts", "keys", "routes", "head"}, func(p string) bool { return strings.HasPrefix(s, p) })
	}
	together, before, revision := 0, 0, ""
	for _, line := range seen() {
		r, subject, _ := strings.Cut(line, " ")
		if r != revision {
			if revision != "" && before != 3 {
				t.Errorf("revision %s has no head", revision)
			}
			revision, before = r, 0
		}
		if now := rank(subject); now < before {
			t.Errorf("%s after rank %d", line, before)
		} else {
			before = now
		}
		if n, _ := strconv.ParseInt(r, 10, 64); subject == "head" && n > gathered {
			together++
		}
	}
	if together != 1 {
		t.Errorf("%d heads for changes that had gathered", together)
	}
}

// Guarantee: a change is in the stream soon after it is committed.
func TestLatency(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.start()
	b.published(contract.Version{Epoch: 1})
	heads := make(chan int64, 100)
	if _, err := b.conn.NATS().Subscribe(contract.ConfigHead, func(m *nats.Msg) {
		v, _ := contract.Peek(m.Data)
		heads <- v.Revision
	}); err != nil {
		t.Fatal(err)
	}
	if err := b.conn.NATS().Flush(); err != nil {
		t.Fatal(err)
	}
	var took []time.Duration
	for i := range 20 {
		k, _ := b.key(fmt.Sprintf("k%d", i))
		committed := time.Now()
		for r := range heads {
			if r >= k.Revision {
				break
			}
		}
		took = append(took, time.Since(committed))
	}
	slices.Sort(took)
	t.Logf("median %s, slowest %s", took[len(took)/2], took[len(took)-1])
	// The fallback polls once a second; a notification is much sooner, even on a busy machine.
	if median := took[len(took)/2]; median > 500*time.Millisecond {
		t.Errorf("median %s: changes wait for the poll", median)
	}
}
