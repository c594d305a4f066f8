package snapsync_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"google.golang.org/protobuf/proto"

	"tollgate/edge/admit"
	"tollgate/edge/routing"
	"tollgate/edge/snapsync"
	eventv1 "tollgate/gen/tollgate/event/v1"
	"tollgate/internal/bus"
	"tollgate/internal/contract"
	"tollgate/internal/fault"
	"tollgate/internal/natsd"
	"tollgate/internal/seal"
	"tollgate/internal/testenv"
)

func TestMain(m *testing.M) { os.Exit(testenv.Main(m)) }

// within bounds what has to happen by itself.
const within = 10 * time.Second

// edge is the part of an edge that is under test.
type edge struct {
	*snapsync.Sync
	routes routing.Holder
	keys   admit.Keys
	log    logged
	stop   func()
}

// logged keeps what was logged.
type logged struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *logged) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *logged) has(s string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Contains(l.text.String(), s)
}

func newKey(t *testing.T) *seal.Key {
	t.Helper()
	k, err := seal.Parse(seal.Generate())
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// connect returns without waiting for the server, which need not be there.
func connect(t *testing.T, url string) *bus.Conn {
	t.Helper()
	conn, err := bus.Connect(bus.Config{URL: url}, testenv.Logger(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(conn.Close)
	return conn
}

func newEdge(t *testing.T, url, dir string, key *seal.Key) *edge {
	t.Helper()
	e := &edge{}
	log := slog.New(slog.NewTextHandler(&e.log, nil))
	env := func(name string) (string, bool) { return "value of " + name, name != "MISSING" }
	e.Sync = snapsync.New(snapsync.Config{Dir: dir}, connect(t, url), key, &e.routes, &e.keys, env, log)
	if err := e.LoadFromDisk(); err != nil {
		t.Fatal(err)
	}
	return e
}

// run follows the stream until the test ends, or stop is called.
func (e *edge) run(t *testing.T) *edge {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := e.Run(ctx); err != nil {
			t.Error(err)
		}
	})
	e.stop = func() {
		cancel()
		wg.Wait()
	}
	t.Cleanup(e.stop)
	return e
}

func (e *edge) await(t *testing.T, v contract.Version) {
	t.Helper()
	testenv.Eventually(t, within, func() error {
		if got := e.Applied(); got != v {
			return fmt.Errorf("applied %s, not %s", got, v)
		}
		return nil
	})
}

// serves says what answers /name; the secret is in a header.
func (e *edge) serves(t *testing.T, path, secret string) {
	t.Helper()
	m, _, err := e.routes.Current().Match("GET", path)
	if err != nil || m.Err != nil || m.Headers[0].Value != secret {
		t.Errorf("%s = %+v, %v", path, m, err)
	}
}

// plane is the control plane's publisher.
type plane struct {
	t   *testing.T
	js  jetstream.JetStream
	key *seal.Key
}

func newPlane(t *testing.T, url string, key *seal.Key) *plane {
	t.Helper()
	conn := connect(t, url)
	if err := conn.AwaitConnected(t.Context()); err != nil {
		t.Fatal(err)
	}
	p := &plane{t, conn.JetStream(), key}
	p.makeStream()
	return p
}

func (p *plane) makeStream() {
	p.t.Helper()
	if _, err := p.js.CreateStream(p.t.Context(), jetstream.StreamConfig{
		Name: contract.StreamConfig, Subjects: []string{contract.ConfigSubjects}, MaxMsgsPerSubject: 1, AllowDirect: true,
	}); err != nil {
		p.t.Fatal(err)
	}
}

func (p *plane) raw(subject string, data []byte) {
	p.t.Helper()
	if _, err := p.js.Publish(p.t.Context(), subject, data); err != nil {
		p.t.Fatal(err)
	}
}

func (p *plane) put(subject string, v contract.Version, m proto.Message) {
	p.t.Helper()
	data, err := contract.Encode(v, m)
	if err != nil {
		p.t.Fatal(err)
	}
	p.raw(subject, data)
}

// routes is one endpoint with the secret "vendor".
func (p *plane) routes(path, secret string) *eventv1.RouteSnapshot {
	p.t.Helper()
	sealed, err := p.key.Seal([]byte(secret), "secret:vendor")
	if err != nil {
		p.t.Fatal(err)
	}
	return &eventv1.RouteSnapshot{
		Endpoints: []*eventv1.RouteEndpoint{{
			Id: "ep_1", Name: "vendor", Path: path, Targets: []string{"https://vendor.example"},
			Headers: []*eventv1.RouteHeader{{Name: "Authorization", Value: "Bearer ${secret:vendor}"}},
		}},
		Secrets: []*eventv1.SealedSecret{{Name: "vendor", Sealed: sealed}},
	}
}

func shard(secrets ...string) *eventv1.KeyShard {
	s := &eventv1.KeyShard{}
	for _, secret := range secrets {
		hash := contract.KeyHash([]byte(secret))
		s.Shard = contract.KeyShardOf(hash)
		s.Keys = append(s.Keys, &eventv1.ShardKey{Sha256: hash[:], Id: "key_" + secret, Name: secret})
	}
	return s
}

// publish publishes a whole revision, in the order that the control plane does.
func (p *plane) publish(v contract.Version, path, secret string, keys ...string) {
	p.t.Helper()
	for _, k := range keys {
		p.put(contract.ConfigKeys(shard(k).GetShard()), v, shard(k))
	}
	p.put(contract.ConfigRoutes, v, p.routes(path, secret))
	p.put(contract.ConfigHead, v, &eventv1.ConfigHead{})
}

func version(epoch, revision int64) contract.Version {
	return contract.Version{Epoch: epoch, Revision: revision}
}

// Guarantee: an edge serves what was published before it came and what is published while it runs,
// with secrets opened.
func TestFollows(t *testing.T) {
	t.Parallel()
	server, key := testenv.NATS(t), newKey(t)
	p := newPlane(t, server.URL(), key)
	p.publish(version(1, 1), "/one", "s1", "alice")
	e := newEdge(t, server.URL(), t.TempDir(), key)
	if e.HaveRoutes() || e.Applied() != version(0, 0) {
		t.Error("a new edge has routes")
	}
	e.run(t).await(t, version(1, 1))
	e.serves(t, "/one", "Bearer s1")
	if _, err := e.keys.Authenticate([]byte("alice"), &admit.Ask{EndpointID: "ep_1", EndpointName: "vendor", Method: "GET", Now: time.Now()}); err != nil {
		t.Error(err)
	}
	p.publish(version(1, 2), "/two", "s2", "bob")
	e.await(t, version(1, 2))
	e.serves(t, "/two", "Bearer s2")
	if e.keys.Len() != 2 || e.routes.Current().Version() != version(1, 2) {
		t.Errorf("%d keys, routes %s", e.keys.Len(), e.routes.Current().Version())
	}
}

// Guarantee: a revoked key is refused within a second of being published.
func TestRevocationWithinASecond(t *testing.T) {
	t.Parallel()
	server, key := testenv.NATS(t), newKey(t)
	p := newPlane(t, server.URL(), key)
	p.publish(version(1, 1), "/one", "s", "alice")
	e := newEdge(t, server.URL(), t.TempDir(), key).run(t)
	e.await(t, version(1, 1))
	p.put(contract.ConfigKeys(shard("alice").GetShard()), version(1, 2), &eventv1.KeyShard{Shard: shard("alice").GetShard()})
	testenv.Eventually(t, time.Second, func() error {
		if _, err := e.keys.Authenticate([]byte("alice"), &admit.Ask{EndpointID: "ep_1", EndpointName: "vendor", Method: "GET", Now: time.Now()}); !errors.Is(err, fault.New(fault.KeyUnknown, "")) {
			return errors.New("still let in")
		}
		return nil
	})
}

// Guarantee: an edge starts and serves with NATS away, from what it kept; and nothing on its disk
// shows a secret, a key's name or a path.
func TestColdStartWithNATSDown(t *testing.T) {
	t.Parallel()
	server, key, dir := testenv.NATS(t), newKey(t), t.TempDir()
	p := newPlane(t, server.URL(), key)
	p.publish(version(3, 7), "/bria-path", "s3cret", "alice-key")
	newEdge(t, server.URL(), dir, key).run(t).await(t, version(3, 7))
	server.Stop()

	e := newEdge(t, server.URL(), dir, key)
	if !e.HaveRoutes() || e.Applied() != version(3, 7) || e.keys.Len() != 1 {
		t.Fatalf("after a cold start: routes %v, version %s, %d keys", e.HaveRoutes(), e.Applied(), e.keys.Len())
	}
	e.serves(t, "/bria-path", "Bearer s3cret")
	for name, data := range files(t, dir) {
		for _, s := range []string{"s3cret", "alice-key", "bria-path", "vendor"} {
			if bytes.Contains(data, []byte(s)) {
				t.Errorf("%s holds %q", name, s)
			}
		}
	}
}

func files(t *testing.T, dir string) map[string][]byte {
	t.Helper()
	out := map[string][]byte{}
	entries, err := os.ReadDir(filepath.Join(dir, "snapshot"))
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range entries {
		data, err := os.ReadFile(filepath.Join(dir, "snapshot", entry.Name()))
		if err != nil {
			t.Fatal(err)
		}
		out[entry.Name()] = data
	}
	return out
}

// Guarantee: under another sealing key nothing of the disk is used and the log says why; a snapshot
// that arrives works, but for what needs its secrets.
func TestWrongSealingKey(t *testing.T) {
	t.Parallel()
	server, key, dir := testenv.NATS(t), newKey(t), t.TempDir()
	p := newPlane(t, server.URL(), key)
	p.publish(version(1, 1), "/one", "s", "alice")
	newEdge(t, server.URL(), dir, key).run(t).await(t, version(1, 1))

	e := newEdge(t, server.URL(), dir, newKey(t))
	if e.HaveRoutes() || e.keys.Len() != 0 || e.Applied() != version(0, 0) {
		t.Error("used what another key has sealed")
	}
	if !e.log.has("written under another sealing key") {
		t.Error("the log does not say why")
	}
	e.run(t).await(t, version(1, 1))
	m, _, err := e.routes.Current().Match("GET", "/one")
	if err != nil || !errors.Is(m.Err, fault.New(fault.SecretUnresolved, "")) {
		t.Errorf("%v, %v", m, err)
	}
	if !e.log.has("does this edge have the control plane's sealing key?") {
		t.Error("the log does not say why")
	}
}

// Guarantee: a damaged, truncated, moved or foreign file is passed over, and the others are used.
func TestDamagedFiles(t *testing.T) {
	t.Parallel()
	server, key, dir := testenv.NATS(t), newKey(t), t.TempDir()
	p := newPlane(t, server.URL(), key)
	p.publish(version(1, 1), "/one", "s", "alice", "bob")
	before := newEdge(t, server.URL(), dir, key).run(t)
	before.await(t, version(1, 1))
	before.stop()
	kept := files(t, dir)
	server.Stop()
	alice := "keys." + strconv.Itoa(int(shard("alice").GetShard()))
	for name, damage := range map[string]func(put func(string, []byte)){
		"damaged":   func(put func(string, []byte)) { put(alice, append(slices.Clone(kept[alice]), 1)) },
		"truncated": func(put func(string, []byte)) { put(alice, kept[alice][:20]) },
		"empty":     func(put func(string, []byte)) { put(alice, nil) },
		"moved":     func(put func(string, []byte)) { put(alice, kept["keys."+strconv.Itoa(int(shard("bob").GetShard()))]) },
		"foreign": func(put func(string, []byte)) {
			put(alice, nil)
			put("README", []byte("hello"))
			put("x.tmp", []byte("y"))
		},
	} {
		other := t.TempDir()
		put := func(name string, data []byte) {
			if err := os.WriteFile(filepath.Join(other, "snapshot", name), data, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if err := os.Mkdir(filepath.Join(other, "snapshot"), 0o700); err != nil {
			t.Fatal(err)
		}
		for name, data := range kept {
			put(name, data)
		}
		damage(put)
		e := newEdge(t, server.URL(), other, key)
		if !e.HaveRoutes() || e.keys.Len() != 1 || !e.log.has("does not open") {
			t.Errorf("%s: routes %v, %d keys", name, e.HaveRoutes(), e.keys.Len())
		}
		if _, err := os.Stat(filepath.Join(other, "snapshot", "x.tmp")); err == nil {
			t.Errorf("%s: an unfinished file was left", name)
		}
	}
}

// Guarantee: an older value never replaces a newer one, from the stream or from the disk; a newer
// epoch replaces whatever its revision says.
func TestOlderNeverReplacesNewer(t *testing.T) {
	t.Parallel()
	server, key, dir := testenv.NATS(t), newKey(t), t.TempDir()
	p := newPlane(t, server.URL(), key)
	p.publish(version(2, 9), "/new", "s", "alice")
	e := newEdge(t, server.URL(), dir, key).run(t)
	e.await(t, version(2, 9))

	for _, stale := range []struct {
		v    contract.Version
		path string
		sum  uint64
	}{{version(2, 8), "/old", 3}, {version(1, 99), "/older", 6}, {version(2, 9), "/same", 9}} {
		p.publish(stale.v, stale.path, "s", "alice")
		// The stream keeps the last value of a subject, so that the next ones must not come before these were read.
		testenv.Eventually(t, within, func() error {
			if got := e.Stats().Stale; got < stale.sum {
				return fmt.Errorf("%d stale values, of %d", got, stale.sum)
			}
			return nil
		})
	}
	p.put(contract.ConfigKeys(shard("bob").GetShard()), version(2, 9), shard("bob")) // sent last, so all before it are there
	testenv.Eventually(t, within, func() error {
		if e.keys.Len() != 2 {
			return errors.New("bob is missing")
		}
		return nil
	})
	e.serves(t, "/new", "Bearer s")
	if e.Applied() != version(2, 9) || e.Stats().Stale < 9 {
		t.Errorf("applied %s, %+v", e.Applied(), e.Stats())
	}
	// The stream holds older values than the disk now.
	again := newEdge(t, server.URL(), dir, key).run(t)
	p.put(contract.ConfigKeys(shard("carol").GetShard()), version(2, 9), shard("carol"))
	testenv.Eventually(t, within, func() error {
		if again.keys.Len() != 3 {
			return errors.New("carol is missing")
		}
		return nil
	})
	again.serves(t, "/new", "Bearer s")

	p.publish(version(3, 1), "/restored", "s", "alice")
	e.await(t, version(3, 1))
	e.serves(t, "/restored", "Bearer s")
}

// Guarantee: a value with anything wrong in it leaves the one before in use, is counted and logged,
// and its revision is not reported as applied before something good has replaced it.
func TestBadValueKeepsTheOld(t *testing.T) {
	t.Parallel()
	server, key, dir := testenv.NATS(t), newKey(t), t.TempDir()
	p := newPlane(t, server.URL(), key)
	p.publish(version(1, 1), "/good", "s", "alice")
	e := newEdge(t, server.URL(), dir, key).run(t)
	e.await(t, version(1, 1))

	bad := p.routes("/bad", "s")
	bad.Endpoints[0].Targets = nil
	p.put(contract.ConfigRoutes, version(1, 2), bad)
	p.raw(contract.ConfigKeys(shard("alice").GetShard()), []byte("\xff garbage"))
	p.put(contract.ConfigKeys(1), version(1, 2), shard("alice")) // a shard under another's name
	p.put(contract.ConfigHead, version(1, 2), &eventv1.ConfigHead{})
	testenv.Eventually(t, within, func() error {
		if got := e.Stats().Refused; got != 3 {
			return fmt.Errorf("%d refused", got)
		}
		return nil
	})
	e.serves(t, "/good", "Bearer s")
	if _, ok := e.keys.Lookup(contract.KeyHash([]byte("alice"))); !ok || !e.log.has("configuration value refused") {
		t.Error("the old shard is gone, or the log silent")
	}

	p.put(contract.ConfigKeys(1), version(1, 3), &eventv1.KeyShard{Shard: 1})
	p.publish(version(1, 3), "/fixed", "s", "alice")
	e.await(t, version(1, 3))
	if e.Applied() == version(1, 2) {
		t.Error("half of a revision was reported as applied")
	}
	e.serves(t, "/fixed", "Bearer s")
}

// Guarantee: a stream that is deleted and made again is followed as if nothing had happened, though
// its numbers begin anew.
func TestStreamRecreated(t *testing.T) {
	t.Parallel()
	server, key := testenv.NATS(t), newKey(t)
	p := newPlane(t, server.URL(), key)
	for i := range int64(20) { // so that the new stream's numbers are far below
		p.publish(version(1, i+1), "/one", "s", "alice")
	}
	e := newEdge(t, server.URL(), t.TempDir(), key).run(t)
	e.await(t, version(1, 20))
	if err := p.js.DeleteStream(t.Context(), contract.StreamConfig); err != nil {
		t.Fatal(err)
	}
	p.makeStream()
	p.publish(version(1, 21), "/two", "s", "alice")
	e.await(t, version(1, 21))
	e.serves(t, "/two", "Bearer s")
}

// Guarantee: an edge that is there before the stream, and one whose server is stopped and started
// again, catch up by themselves; meanwhile what they have stays.
func TestServerRestart(t *testing.T) {
	t.Parallel()
	store, key := t.TempDir(), newKey(t)
	start := func(port int) *natsd.Server {
		server, err := natsd.Start(natsd.Options{StoreDir: store, Port: port})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(server.Stop)
		return server
	}
	server := start(-1)
	address := server.URL()
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	port, err := strconv.Atoi(u.Port())
	if err != nil {
		t.Fatal(err)
	}
	e := newEdge(t, address, t.TempDir(), key).run(t)
	p := newPlane(t, address, key)
	p.publish(version(1, 1), "/one", "s", "alice")
	e.await(t, version(1, 1))

	server.Stop()
	e.serves(t, "/one", "Bearer s")
	start(port)
	newPlaneAgain(t, p)
	p.publish(version(1, 2), "/two", "s", "alice")
	e.await(t, version(1, 2))
	e.serves(t, "/two", "Bearer s")
}

// newPlaneAgain waits until the publisher's own connection is back.
func newPlaneAgain(t *testing.T, p *plane) {
	t.Helper()
	testenv.Eventually(t, within, func() error {
		_, err := p.js.Stream(t.Context(), contract.StreamConfig)
		return err
	})
}
