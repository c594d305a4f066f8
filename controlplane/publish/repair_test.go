package publish_test

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/nats-io/nats.go/jetstream"
	"google.golang.org/protobuf/proto"

	"tollgate/controlplane/publish"
	"tollgate/controlplane/registry"
	"tollgate/controlplane/secrets"
	eventv1 "tollgate/gen/tollgate/event/v1"
	"tollgate/internal/contract"
	"tollgate/internal/lifecycle"
	"tollgate/internal/natsd"
	"tollgate/internal/seal"
	"tollgate/internal/testenv"
)

// Guarantee: of two publishers one publishes, and the other takes over when it is gone.
func TestTwoPublishers(t *testing.T) {
	t.Parallel()
	b := setup(t)
	seen := b.order()
	first := b.start()
	b.published(contract.Version{Epoch: 1})
	b.start()
	for i := range 10 {
		b.key(fmt.Sprintf("a%d", i))
	}
	b.published(contract.Version{Epoch: 1, Revision: 10})
	first()
	for i := range 10 {
		b.key(fmt.Sprintf("b%d", i))
	}
	b.published(contract.Version{Epoch: 1, Revision: 20})
	var heads []string
	for _, s := range seen() {
		if strings.HasSuffix(s, "head") {
			heads = append(heads, s)
		}
	}
	if sorted := slices.Clone(heads); len(slices.Compact(sorted)) != len(heads) {
		t.Errorf("published twice: %v", heads)
	}
}

// Guarantee: a publisher whose database session ended loses its right and gets it back.
func TestLockLost(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.start()
	b.published(contract.Version{Epoch: 1})
	// Of this database only: whoever leads in another one of the server belongs to another test.
	if _, err := b.pool.Exec(t.Context(), `SELECT pg_terminate_backend(l.pid) FROM pg_locks l JOIN pg_database d ON d.oid = l.database
		WHERE l.locktype = 'advisory' AND d.datname = current_database()`); err != nil {
		t.Fatal(err)
	}
	b.key("a")
	b.published(contract.Version{Epoch: 1, Revision: 1})
}

// Guarantee: a publisher that lost its right without noticing cannot put an old value over a new
// one: what another has written in between makes its publish fail.
func TestForeignWriteIsNoticed(t *testing.T) {
	t.Parallel()
	b := setup(t)
	_, hash := b.key("a")
	b.start()
	b.published(contract.Version{Epoch: 1, Revision: 1})
	newer, err := contract.Encode(contract.Version{Epoch: 1, Revision: 50}, &eventv1.KeyShard{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := b.conn.JetStream().Publish(t.Context(), contract.ConfigKeys(contract.KeyShardOf(hash)), newer); err != nil {
		t.Fatal(err)
	}
	b.key("b")
	b.published(contract.Version{Epoch: 2, Revision: 2})
	if shard, v := read(b, keysOf(hash), &eventv1.KeyShard{}); len(shard.GetKeys()) != 1 || v != (contract.Version{Epoch: 2, Revision: 2}) {
		t.Errorf("at %s: %v", v, shard)
	}
}

// Guarantee: a stream that was purged, lost one value, or was deleted is whole again without any
// change to the configuration, in the same epoch.
func TestStreamLost(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.secret()
	b.endpoint("bria")
	_, hash := b.key("a")
	b.budget("all", registry.ScopeEverything, "")
	b.start()
	at := contract.Version{Epoch: 1, Revision: 4}
	b.published(at)
	whole, err := b.stream()
	if err != nil {
		t.Fatal(err)
	}
	want := slices.Sorted(maps.Keys(whole))
	ctx := t.Context()
	for name, lose := range map[string]func(jetstream.Stream) error{
		"purged": func(s jetstream.Stream) error { return s.Purge(ctx) },
		"a value": func(s jetstream.Stream) error {
			return s.Purge(ctx, jetstream.WithPurgeSubject("tollgate.v1.config."+keysOf(hash)))
		},
		"deleted": func(jetstream.Stream) error { return b.conn.JetStream().DeleteStream(ctx, contract.StreamConfig) },
	} {
		s, err := b.conn.JetStream().Stream(ctx, contract.StreamConfig)
		if err != nil {
			t.Fatal(err)
		}
		if err := lose(s); err != nil {
			t.Fatal(err)
		}
		testenv.Eventually(t, within, func() error {
			got, err := b.stream()
			if err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
			if subjects := slices.Sorted(maps.Keys(got)); !slices.Equal(subjects, want) {
				return fmt.Errorf("%s: subjects %v, want %v", name, subjects, want)
			}
			return nil
		})
		b.published(at)
	}
}

// Guarantee: after the database went back in time, a new epoch begins, values of the lost history
// are replaced, empty ones included, and account numbers of the lost history are not given again.
func TestDatabaseRestored(t *testing.T) {
	t.Parallel()
	b := setup(t)
	stop := b.start()
	_, kept := b.key("kept")
	b.published(contract.Version{Epoch: 1, Revision: 1})
	_, lost := b.key("lost")
	g := b.budget("lost", registry.ScopeKey, "lost")
	last := b.budget("lost-too", registry.ScopeEverything, "")
	b.published(contract.Version{Epoch: 1, Revision: 4})
	stop()
	// The backup was taken at revision 1, and the sequence is part of it.
	ctx := t.Context()
	for _, sql := range []string{
		`DELETE FROM control.budget`, `DELETE FROM control.key WHERE name = 'lost'`, `DELETE FROM control.audit WHERE revision > 1`,
		`DELETE FROM control.dirty`, `UPDATE control.revision SET n = 1`, `UPDATE control.published SET n = 1`,
		`ALTER SEQUENCE control.budget_account_id_seq RESTART`,
	} {
		if _, err := b.pool.Exec(ctx, sql); err != nil {
			t.Fatal(err)
		}
	}
	// The new history has overtaken the lost one before anybody publishes.
	for i := range 5 {
		b.key(fmt.Sprintf("new%d", i))
	}
	b.start()
	at := contract.Version{Epoch: 2, Revision: 6}
	b.published(at)
	if shard, v := read(b, keysOf(lost), &eventv1.KeyShard{}); len(shard.GetKeys()) != 0 || v != at {
		t.Errorf("lost key at %s: %v", v, shard)
	}
	if shard, v := read(b, accountsOf(g.AccountID), &eventv1.AccountShard{}); len(shard.GetAccounts()) != 0 || v != at {
		t.Errorf("lost budget at %s: %v", v, shard)
	}
	if shard, v := read(b, keysOf(kept), &eventv1.KeyShard{}); len(shard.GetKeys()) != 1 || v != at {
		t.Errorf("kept key at %s: %v", v, shard)
	}
	if again := b.budget("again", registry.ScopeEverything, ""); again.AccountID <= last.AccountID {
		t.Errorf("account %d was given out before", again.AccountID)
	}
	b.published(contract.Version{Epoch: 2, Revision: 7})
}

// Guarantee: a publisher that ended after publishing and before recording it costs an epoch and
// nothing else.
func TestEndedBeforeRecording(t *testing.T) {
	t.Parallel()
	b := setup(t)
	stop := b.start()
	b.key("a")
	b.published(contract.Version{Epoch: 1, Revision: 1})
	stop()
	if _, err := b.pool.Exec(t.Context(), `UPDATE control.published SET n = 0`); err != nil {
		t.Fatal(err)
	}
	b.start()
	b.published(contract.Version{Epoch: 2, Revision: 1})
}

// Guarantee: publishers survive NATS being away at start and restarting with what it stored, and
// changes made meanwhile follow.
func TestNATSAway(t *testing.T) {
	t.Parallel()
	b := setup(t)
	dir := t.TempDir()
	first, err := natsd.Start(natsd.Options{StoreDir: dir, Port: -1})
	if err != nil {
		t.Fatal(err)
	}
	url := first.URL()
	first.Stop()
	b.nats.Stop() // the bundle's own is not used here

	port := 0
	if _, err := fmt.Sscanf(url[strings.LastIndex(url, ":")+1:], "%d", &port); err != nil {
		t.Fatal(err)
	}
	conn := b.connect(url)
	p := publish.New(publish.Config{Partitions: 1, Replicas: 1}, b.store, conn, b.vault, testenv.Logger(t))
	var g lifecycle.Group
	g.Go("publisher", func(ctx context.Context) { _ = p.Run(ctx) })
	t.Cleanup(g.Stop)
	b.key("a")

	b.conn = conn
	restart := func() *natsd.Server {
		s, err := natsd.Start(natsd.Options{StoreDir: dir, Port: port})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(s.Stop)
		return s
	}
	s := restart()
	b.published(contract.Version{Epoch: 1, Revision: 1})
	s.Stop()
	b.key("b")
	restart()
	b.published(contract.Version{Epoch: 1, Revision: 2})
}

// Guarantee: a secret that does not open is left out, and everything else is published.
func TestUnreadableSecret(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.secret()
	b.endpoint("bria")
	if _, err := b.pool.Exec(t.Context(), `UPDATE control.secret SET envelope = '\x00'`); err != nil {
		t.Fatal(err)
	}
	b.start()
	b.published(contract.Version{Epoch: 1, Revision: 2})
	if r, _ := read(b, "routes", &eventv1.RouteSnapshot{}); len(r.GetEndpoints()) != 1 || len(r.GetSecrets()) != 0 {
		t.Errorf("routes %v", r)
	}
}

// Guarantee: a control plane that was given another sealing key publishes everything under it, as
// something newer, because edges take nothing else; with the same key a restart publishes nothing.
func TestSealingKeyChanged(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.secret()
	b.endpoint("bria")
	stop := b.start()
	b.published(contract.Version{Epoch: 1, Revision: 2})
	stop()
	stop = b.start()
	b.key("a")
	b.published(contract.Version{Epoch: 1, Revision: 3})
	stop()

	b.sealingKey = seal.Generate()
	var err error
	if b.vault, err = secrets.New(b.master, b.sealingKey); err != nil {
		t.Fatal(err)
	}
	b.start()
	b.published(contract.Version{Epoch: 1, Revision: 4})
	routes, v := read(b, "routes", &eventv1.RouteSnapshot{})
	key, err := seal.Parse(b.sealingKey)
	if err != nil {
		t.Fatal(err)
	}
	if v != (contract.Version{Epoch: 1, Revision: 4}) || len(routes.GetSecrets()) != 1 {
		t.Fatalf("at %s: %v", v, routes)
	}
	s := routes.GetSecrets()[0]
	if _, err := key.Open(s.GetSealed(), secrets.Context(s.GetName())); err != nil {
		t.Error(err)
	}
}

// Guarantee: a control plane that follows one of the version before publishes everything again, as something newer, because
// the other left out what it did not know; once is enough.
func TestVersionBeforePublished(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.secret()
	b.endpoint("bria")
	stop := b.start()
	b.published(contract.Version{Epoch: 1, Revision: 2})
	stop()
	// What the version before would have left: routes without what it does not know, and a head that says nothing of it.
	v := contract.Version{Epoch: 1, Revision: 2}
	for subject, m := range map[string]proto.Message{
		contract.ConfigRoutes: &eventv1.RouteSnapshot{},
		contract.ConfigHead:   &eventv1.ConfigHead{SealingKeyId: b.vault.SealingKeyID()},
	} {
		raw, err := contract.Encode(v, m)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := b.conn.JetStream().Publish(t.Context(), subject, raw); err != nil {
			t.Fatal(err)
		}
	}
	stop = b.start()
	b.published(contract.Version{Epoch: 1, Revision: 3})
	if routes, v := read(b, "routes", &eventv1.RouteSnapshot{}); v.Revision != 3 || len(routes.GetEndpoints()) != 1 {
		t.Errorf("at %s: %v", v, routes)
	}
	stop()
	b.start()
	b.key("a")
	b.published(contract.Version{Epoch: 1, Revision: 4})
}
