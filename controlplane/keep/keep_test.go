package keep

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"tollgate/controlplane/registry"
	"tollgate/controlplane/secrets"
	"tollgate/controlplane/store"
	"tollgate/internal/config"
	"tollgate/internal/seal"
	"tollgate/internal/testenv"
)

func TestMain(m *testing.M) { os.Exit(testenv.Main(m)) }

func migrate(ctx context.Context, url string) error { return store.Migrate(ctx, url, nil) }

const within = 20 * time.Second

var sealing = seal.Generate()

func open(t *testing.T, current string, old ...string) *secrets.Vault {
	t.Helper()
	keys := secrets.Keys{Master: config.Secret(current)}
	for _, o := range old {
		keys.Old = append(keys.Old, config.Secret(o))
	}
	v, err := secrets.Open(t.Context(), keys, sealing)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// filled is a database with values of every kind under a key: secrets, a value before, an answer and a plan.
func filled(t *testing.T, v *secrets.Vault, n int) (*store.Store, *pgxpool.Pool) {
	t.Helper()
	pool := testenv.Postgres(t, migrate)
	s, ctx := store.New(pool), t.Context()
	encrypt := func(value string) store.Encrypt {
		return func(id string) ([]byte, error) { return v.Encrypt(id, value) }
	}
	for i := range n {
		name := fmt.Sprint("s", i)
		if _, err := s.CreateSecret(ctx, "ann", registry.Secret{Name: name}, encrypt("first of "+name), nil); err != nil {
			t.Fatal(err)
		}
		if _, err := s.RotateSecret(ctx, "ann", name, "", encrypt("second of "+name), nil); err != nil {
			t.Fatal(err)
		}
	}
	answer, err := v.SealAnswer("token ci\x00key-1", []byte("an answer"))
	if err != nil {
		t.Fatal(err)
	}
	plan, err := v.Encrypt("plan_1", "a plan")
	if err != nil {
		t.Fatal(err)
	}
	for sql, args := range map[string][]any{
		`INSERT INTO control.idempotency (actor, key, procedure, request_hash, response, create_time) VALUES ('token ci', 'key-1', '/x', sha256('x'), $1, now())`: {answer},
		`INSERT INTO control.plan (id, actor, envelope, digest, expire_time) VALUES ('plan_1', 'ann', $1, sha256('x'), now())`:                                    {plan},
	} {
		if _, err := pool.Exec(ctx, sql, args...); err != nil {
			t.Fatal(err)
		}
	}
	return s, pool
}

// round has a keeper look after the secrets once it has the right to.
func round(t *testing.T, k *Keeper) {
	t.Helper()
	testenv.Eventually(t, within, func() error { return k.round(t.Context()) })
}

// opened says how many envelopes of the database a vault opens.
func opened(t *testing.T, s *store.Store, v *secrets.Vault) (n, all int) {
	t.Helper()
	var right *store.Keeper
	testenv.Eventually(t, within, func() (err error) { // the server frees the lock of the one before once it has seen its end
		right, err = s.KeepSecrets(t.Context())
		return err
	})
	defer right.Close()
	err := right.EachEnvelope(t.Context(), 3, func(e store.Envelope) error {
		all++
		if _, err := v.Open(e.ID, e.Data); err == nil {
			n++
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return n, all
}

func keeper(s *store.Store, v Vault) (*Keeper, *bytes.Buffer) {
	log := &bytes.Buffer{}
	k := New(s, v, slog.New(slog.NewTextHandler(log, nil)))
	k.rest = 0
	return k, log
}

// Guarantee: everything that is under an old master key is under the current one afterwards, without a revision, so that the
// old key can be taken away; what is there in the meantime opens under both.
func TestMovesToTheMasterKey(t *testing.T) {
	t.Parallel()
	before, now := seal.Generate(), seal.Generate()
	s, _ := filled(t, open(t, before), 4)
	both, only := open(t, now, before), open(t, now)
	if n, all := opened(t, s, both); n != 10 || all != 10 {
		t.Fatalf("%d of %d open with both", n, all)
	}
	if n, _ := opened(t, s, only); n != 0 {
		t.Fatalf("%d open before", n)
	}
	st, err := s.State(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	k, log := keeper(s, both)
	round(t, k)
	if n, all := opened(t, s, only); n != 10 || all != 10 {
		t.Errorf("%d of %d open under the current key: %s", n, all, log)
	}
	if after, err := s.State(t.Context()); err != nil || after != st {
		t.Errorf("state %+v, was %+v, %v", after, st, err)
	}
	round(t, k)
	if strings.Count(log.String(), "values were moved") != 1 {
		t.Errorf("a second round: %s", log)
	}
}

// Guarantee: a keeper that dies anywhere has harmed nothing, and the next goes on to the end.
func TestDiesInTheMiddle(t *testing.T) {
	t.Parallel()
	before, now := seal.Generate(), seal.Generate()
	s, _ := filled(t, open(t, before), 3)
	both, only := open(t, now, before), open(t, now)
	for die := range 9 {
		k, _ := keeper(s, &mortal{both, die})
		round(t, k)
		if n, all := opened(t, s, both); n != all {
			t.Fatalf("died at %d: %d of %d open", die, n, all)
		}
	}
	k, _ := keeper(s, both)
	round(t, k)
	if n, all := opened(t, s, only); n != all {
		t.Errorf("%d of %d open under the current key", n, all)
	}
}

// mortal moves so many and nothing any more.
type mortal struct {
	*secrets.Vault
	left int
}

func (m *mortal) Renew(id string, envelope []byte) ([]byte, error) {
	if m.left--; m.left < 0 {
		return nil, errors.New("dead")
	}
	return m.Vault.Renew(id, envelope)
}

// Guarantee: what no key opens is named, without what it holds, and stays as it is; all else is moved.
func TestKeyThatIsMissing(t *testing.T) {
	t.Parallel()
	lost, before, now := seal.Generate(), seal.Generate(), seal.Generate()
	s, pool := filled(t, open(t, before), 2)
	gone, err := open(t, lost).Encrypt("x", "lost")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := pool.Exec(t.Context(), `UPDATE control.secret SET envelope = $1 WHERE name = 's1'`, gone); err != nil {
		t.Fatal(err)
	}
	k, log := keeper(s, open(t, now, before))
	round(t, k)
	if text := log.String(); !strings.Contains(text, `what="secret s1"`) || !strings.Contains(text, "old_master_keys") || strings.Contains(text, "second of") {
		t.Errorf("log: %s", text)
	}
	if n, all := opened(t, s, open(t, now)); n != all-1 {
		t.Errorf("%d of %d open", n, all)
	}
}

// Guarantee: one process keeps the secrets at a time, and a value before that can no longer be brought back is deleted.
func TestForgetsOldValues(t *testing.T) {
	t.Parallel()
	v := open(t, seal.Generate())
	s, pool := filled(t, v, 2)
	right, err := s.KeepSecrets(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	k, _ := keeper(s, v)
	if err := k.round(t.Context()); !errors.Is(err, store.ErrNotKeeper) {
		t.Errorf("a second keeper: %v", err)
	}
	right.Close()
	if _, err := pool.Exec(t.Context(), `UPDATE control.secret SET old_end_time = clock_timestamp() WHERE name = 's0'`); err != nil {
		t.Fatal(err)
	}
	round(t, k)
	var left int
	if err := pool.QueryRow(t.Context(), `SELECT count(*) FROM control.secret WHERE old_envelope IS NOT NULL`).Scan(&left); err != nil || left != 1 {
		t.Errorf("%d left, %v", left, err)
	}
}
