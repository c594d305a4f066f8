package store_test

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"tollgate/controlplane/access"
	"tollgate/controlplane/registry"
	"tollgate/controlplane/store"
	"tollgate/internal/pg"
	"tollgate/internal/testenv"
)

// lastBefore is the newest migration that the version before this one knows.
const lastBefore = "00006"

// before is what a control plane of the version before this one sends to the database: every statement that its own tests
// run, with the values that they run them with, and what its own schema answered.
type before struct {
	Statements []struct {
		SQL   string   `json:"sql"`
		Types []uint32 `json:"types"`
	} `json:"statements"`
	Scenarios []scenario `json:"scenarios"`
}

type scenario struct {
	Name  string `json:"name"`
	Steps []step `json:"steps"`
}

type step struct {
	Statement int       `json:"statement"`
	Args      []*string `json:"args"`
	Tag       string    `json:"tag"`  // of success, with the number of rows
	Code      string    `json:"code"` // of failure
}

func readBefore(t *testing.T) *before {
	t.Helper()
	raw, err := os.ReadFile("testdata/version6.json")
	if err != nil {
		t.Fatal(err)
	}
	var b before
	if err := json.Unmarshal(raw, &b); err != nil {
		t.Fatal(err)
	}
	if len(b.Statements) < 100 || len(b.Scenarios) < 10 {
		t.Fatalf("%d statements in %d scenarios", len(b.Statements), len(b.Scenarios))
	}
	return &b
}

// migrateBefore leaves a database as the version before had it.
func migrateBefore(ctx context.Context, url string) error {
	old := fstest.MapFS{}
	names, err := filepath.Glob("migrations/*.sql")
	if err != nil {
		return err
	}
	for _, name := range names {
		base := filepath.Base(name)
		if base[:len(lastBefore)] > lastBefore {
			continue
		}
		raw, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		old[base] = &fstest.MapFile{Data: raw}
	}
	return pg.Migrate(ctx, url, old, store.Schema, nil)
}

// session is a connection of the version before, which prepares each statement once, as the driver does.
type session struct {
	t        *testing.T
	b        *before
	conn     *pgconn.PgConn
	prepared map[int]bool
}

func connectBefore(t *testing.T, b *before, url string) *session {
	t.Helper()
	conn, err := pgconn.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close(context.Background()) })
	return &session{t, b, conn, map[int]bool{}}
}

// run sends one step and gives what came of it.
func (s *session) run(st step) (tag, code string) {
	s.t.Helper()
	name, known := fmt.Sprintf("s%d", st.Statement), s.b.Statements[st.Statement]
	var err error
	if !s.prepared[st.Statement] {
		if _, err = s.conn.Prepare(s.t.Context(), name, known.SQL, known.Types); err == nil {
			s.prepared[st.Statement] = true
		}
	}
	if err == nil {
		values := make([][]byte, len(st.Args))
		for i, a := range st.Args {
			if a != nil {
				values[i] = []byte(*a)
			}
		}
		result := s.conn.ExecPrepared(s.t.Context(), name, values, nil, nil).Read()
		tag, err = result.CommandTag.String(), result.Err
	}
	if err == nil {
		return tag, ""
	}
	code = "other"
	if pe, ok := err.(*pgconn.PgError); ok { //nolint:errorlint // the driver gives it as it is
		code = pe.Code
	}
	return "", code + " " + err.Error()
}

// same says whether a step had the outcome that it had on its own schema.
func (s *session) same(st step, tags bool) {
	s.t.Helper()
	tag, code := s.run(st)
	got, _, _ := strings.Cut(code, " ")
	if got != st.Code || tags && st.Code == "" && tag != st.Tag {
		s.t.Fatalf("%s\nanswers %q %s, and answered %q %s", s.b.Statements[st.Statement].SQL, tag, code, st.Tag, st.Code)
	}
}

// between says whether no transaction is open.
func (s *session) between() bool { return s.conn.TxStatus() == 'I' }

// Guarantee: every statement of the version before does on the new schema what it did on its own, and on its own what was
// recorded of it.
func TestVersionBeforeWorksOnTheNewSchema(t *testing.T) {
	t.Parallel()
	b := readBefore(t)
	for _, sc := range b.Scenarios {
		t.Run(sc.Name, func(t *testing.T) {
			t.Parallel()
			for _, schema := range []testenv.Migrate{migrateBefore, migrate} {
				s := connectBefore(t, b, testenv.PostgresURL(t, schema))
				for _, st := range sc.Steps {
					s.same(st, true)
				}
			}
		})
	}
}

// Guarantee: a control plane of the version before that runs while the database is migrated notices nothing: what it has
// prepared goes on working, also what it has written before.
func TestVersionBeforeOutlivesTheMigration(t *testing.T) {
	t.Parallel()
	b := readBefore(t)
	for _, sc := range b.Scenarios {
		t.Run(sc.Name, func(t *testing.T) {
			t.Parallel()
			url := testenv.PostgresURL(t, migrateBefore)
			s, migrated := connectBefore(t, b, url), false
			for i, st := range sc.Steps {
				if !migrated && i >= len(sc.Steps)/2 && s.between() {
					if err := store.Migrate(t.Context(), url, nil); err != nil {
						t.Fatal(err)
					}
					migrated = true
				}
				s.same(st, true)
			}
			if !migrated {
				t.Error("the migration never came")
			}
			_ = s.conn.Close(t.Context())
			readAll(t, url)
		})
	}
}

// Guarantee: while both versions run, each writes between the other's writes: neither fails where it would not alone, and the
// new one reads all that there is.
func TestTwoVersionsWriteInTurn(t *testing.T) {
	t.Parallel()
	b := readBefore(t)
	for _, sc := range b.Scenarios {
		t.Run(sc.Name, func(t *testing.T) {
			t.Parallel()
			ctx, pool := t.Context(), testenv.Postgres(t, migrate)
			url := pool.Config().ConnString()
			s, now := connectBefore(t, b, url), store.New(pool)
			for i, st := range sc.Steps {
				s.same(st, false)
				if i%5 == 0 && s.between() && i < 200 {
					writeNew(ctx, t, now, i)
				}
			}
			_ = s.conn.Close(t.Context())
			readAll(t, url)
		})
	}
}

// writeNew makes what only the new version knows.
func writeNew(ctx context.Context, t *testing.T, s *store.Store, n int) {
	t.Helper()
	e := registry.Endpoint{
		Name: fmt.Sprintf("new-%d", n), Path: fmt.Sprintf("/new/%d", n), Description: "of the new version", Disabled: true,
		Targets: []registry.Target{{URL: "https://new.example.com"}}, Price: registry.Price{Free: true},
	}
	if _, err := s.CreateEndpoint(ctx, "new", e, nil); err != nil {
		t.Fatal(err)
	}
	k, hash := newKey(fmt.Sprintf("new-%d", n))
	k.Restricted, k.Endpoints, k.Methods, k.Networks, k.Blocked = true, []string{e.Name}, []string{"GET"}, []string{"10.0.0.0/8"}, true
	if _, err := s.CreateKey(ctx, "new", store.Anywhere, store.NewKey{Key: k, Hash: hash}, nil); err != nil {
		t.Fatal(err)
	}
}

// readAll reads everything as the publisher does, and the lists as people do.
func readAll(t *testing.T, url string) {
	t.Helper()
	ctx := t.Context()
	pool, err := pg.Open(ctx, url, 2)
	if err != nil {
		t.Fatal(err)
	}
	defer pool.Close()
	s := store.New(pool)
	if err := s.CheckSchema(ctx); err != nil {
		t.Fatal(err)
	}
	var l *store.Lead
	testenv.Eventually(t, 20*time.Second, func() (err error) { // the other version may have led a moment ago
		l, err = s.Lead(ctx)
		return err
	})
	defer l.Close()
	subjects, err := l.Subjects(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := l.Read(ctx, subjects); err != nil {
		t.Error(err)
	}
	if _, _, err := s.Endpoints(ctx, store.ListQuery{}); err != nil {
		t.Error(err)
	}
	if _, _, err := s.Keys(ctx, store.Anywhere, store.ListQuery{}); err != nil {
		t.Error(err)
	}
	if _, _, err := s.Teams(ctx, store.Anywhere, store.ListQuery{}); err != nil {
		t.Error(err)
	}
	if _, _, err := s.Budgets(ctx, access.Scope{Everywhere: true}, store.ListQuery{}); err != nil {
		t.Error(err)
	}
}
