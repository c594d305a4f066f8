package bus_test

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/nats-io/nkeys"
	"go.uber.org/goleak"

	"tollgate/internal/bus"
	"tollgate/internal/natsd"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func start(t *testing.T, o natsd.Options) *natsd.Server {
	t.Helper()
	s, err := natsd.Start(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Stop)
	return s
}

func connect(t *testing.T, cfg bus.Config, opts ...nats.Option) *bus.Conn {
	t.Helper()
	c, err := bus.Connect(cfg, nil, opts...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func within(t *testing.T, d time.Duration) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), d)
	t.Cleanup(cancel)
	return ctx
}

// Guarantee: a process starts with NATS away, fails publishes at once until it
// is there, connects when it comes and again after it went away.
func TestServerComesAndGoes(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	first := start(t, natsd.Options{StoreDir: dir, Port: -1})
	u, err := url.Parse(first.URL())
	if err != nil {
		t.Fatal(err)
	}
	port, err := strconv.Atoi(u.Port())
	if err != nil {
		t.Fatal(err)
	}
	first.Stop() // the address is known now, and nothing listens there

	c := connect(t, bus.Config{URL: u.String()})
	if c.Connected() {
		t.Fatal("connected to nothing")
	}
	begin := time.Now()
	if err := c.NATS().Publish("x", nil); !errors.Is(err, nats.ErrReconnectBufExceeded) {
		t.Errorf("publish while away: %v", err)
	}
	if _, err := c.JetStream().Publish(within(t, time.Minute), "x", nil); err == nil || time.Since(begin) > 10*time.Second {
		t.Errorf("stream publish while away: %v after %s", err, time.Since(begin))
	}
	if err := c.AwaitConnected(within(t, 10*time.Millisecond)); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("await while away: %v", err)
	}

	lost := c.NATS().StatusChanged(nats.RECONNECTING)
	for range 2 {
		s := start(t, natsd.Options{StoreDir: dir, Port: port})
		if err := c.AwaitConnected(within(t, 10*time.Second)); err != nil {
			t.Fatal(err)
		}
		if _, err := c.EnsureStream(within(t, 10*time.Second), jetstream.StreamConfig{Name: "S", Subjects: []string{"s.>"}}); err != nil {
			t.Fatal(err)
		}
		if _, err := c.JetStream().Publish(within(t, 10*time.Second), "s.a", []byte("kept")); err != nil {
			t.Fatal(err)
		}
		s.Stop()
		select {
		case <-lost:
		case <-within(t, 10*time.Second).Done():
			t.Fatal("the loss went unnoticed")
		}
	}
	start(t, natsd.Options{StoreDir: dir, Port: port})
	if err := c.AwaitConnected(within(t, 10*time.Second)); err != nil {
		t.Fatal(err)
	}
	s, err := c.JetStream().Stream(within(t, 10*time.Second), "S")
	if err != nil {
		t.Fatal(err)
	}
	if n := s.CachedInfo().State.Msgs; n != 2 {
		t.Errorf("%d messages after restarts, want 2", n)
	}
}

// Guarantee: handlers given by the caller still run, and Close waits for them.
func TestHandlersAreKept(t *testing.T) {
	t.Parallel()
	s := start(t, natsd.Options{StoreDir: t.TempDir()})
	closed := false
	c, err := bus.Connect(bus.Config{}, nil, s.ClientOption(), nats.ClosedHandler(func(*nats.Conn) { closed = true }))
	if err != nil {
		t.Fatal(err)
	}
	c.Close()
	if !closed {
		t.Error("closed handler did not run before Close returned")
	}
	if err := c.AwaitConnected(t.Context()); !errors.Is(err, nats.ErrConnectionClosed) {
		t.Errorf("await after close: %v", err)
	}
}

func TestEnsureStream(t *testing.T) {
	t.Parallel()
	s := start(t, natsd.Options{StoreDir: t.TempDir()})
	c := connect(t, bus.Config{}, s.ClientOption())
	ctx := within(t, 20*time.Second)
	cfg := jetstream.StreamConfig{Name: "S", Subjects: []string{"s.>"}, MaxMsgsPerSubject: 1, Discard: jetstream.DiscardOld}

	// Guarantee: the second call changes nothing and fails nothing.
	for range 2 {
		if _, err := c.EnsureStream(ctx, cfg); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := c.JetStream().Publish(ctx, "s.a", []byte("v")); err != nil {
		t.Fatal(err)
	}
	// Guarantee: a setting that can change does, and messages stay.
	cfg.MaxAge = time.Hour
	got, err := c.EnsureStream(ctx, cfg)
	if err != nil {
		t.Fatal(err)
	}
	info, err := got.Info(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if info.Config.MaxAge != time.Hour || info.State.Msgs != 1 {
		t.Errorf("max age %s, %d messages", info.Config.MaxAge, info.State.Msgs)
	}
	// Guarantee: one that cannot is an error with the server's reason.
	cfg.Storage = jetstream.MemoryStorage
	if _, err = c.EnsureStream(ctx, cfg); err == nil || !strings.Contains(err.Error(), "stream S exists with other settings") || !strings.Contains(err.Error(), "storage") {
		t.Errorf("got %v", err)
	}
}

// Guarantee: an nkey opens the connection, only its subjects are open to it,
// and a refused login keeps trying.
func TestNKey(t *testing.T) {
	t.Parallel()
	seedFile, public := newSeed(t)
	strangerFile, _ := newSeed(t)
	s := start(t, natsd.Options{StoreDir: t.TempDir(), Port: -1, Users: []natsd.User{{NKey: public, Publish: []string{"a.>"}}}})

	denied := make(chan error, 1)
	c := connect(t, bus.Config{URL: s.URL(), NKeySeedFile: seedFile}, nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) {
		select {
		case denied <- err:
		default:
		}
	}))
	if err := c.AwaitConnected(within(t, 10*time.Second)); err != nil {
		t.Fatal(err)
	}
	if err := c.NATS().Publish("b.c", nil); err != nil {
		t.Fatal(err)
	}
	select {
	case err := <-denied:
		if !errors.Is(err, nats.ErrPermissionViolation) {
			t.Errorf("got %v", err)
		}
	case <-within(t, 10*time.Second).Done():
		t.Error("a forbidden publish went unnoticed")
	}

	dials := countingDialer{attempts: make(chan struct{}, 100)}
	stranger := connect(t, bus.Config{URL: s.URL(), NKeySeedFile: strangerFile}, nats.SetCustomDialer(dials))
	for range 6 {
		select {
		case <-dials.attempts:
		case <-within(t, 10*time.Second).Done():
			t.Fatal("stopped trying")
		}
	}
	if stranger.Connected() {
		t.Error("a stranger is in")
	}
}

type countingDialer struct{ attempts chan struct{} }

func (d countingDialer) Dial(network, address string) (net.Conn, error) {
	select {
	case d.attempts <- struct{}{}:
	default:
	}
	return net.DialTimeout(network, address, time.Second)
}

func TestConnectRefusesWhatCannotWork(t *testing.T) {
	t.Parallel()
	for name, cfg := range map[string]bus.Config{
		"cert without key": {CertFile: "c"},
		"no seed file":     {NKeySeedFile: "/no/such/seed"},
		"no ca file":       {CAFile: "/no/such/ca"},
		"bad url":          {URL: "nats://a b"},
	} {
		if c, err := bus.Connect(cfg, nil); err == nil {
			c.Close()
			t.Errorf("%s: no error", name)
		}
	}
}

func newSeed(t *testing.T) (file, public string) {
	t.Helper()
	raw := make([]byte, ed25519.SeedSize)
	if _, err := rand.Read(raw); err != nil {
		t.Fatal(err)
	}
	kp, err := nkeys.FromRawSeed(nkeys.PrefixByteUser, raw)
	if err != nil {
		t.Fatal(err)
	}
	seed, err := kp.Seed()
	if err != nil {
		t.Fatal(err)
	}
	if public, err = kp.PublicKey(); err != nil {
		t.Fatal(err)
	}
	file = filepath.Join(t.TempDir(), "seed")
	if err := os.WriteFile(file, seed, 0o600); err != nil {
		t.Fatal(err)
	}
	return file, public
}
