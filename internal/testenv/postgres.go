package testenv

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"tollgate/internal/devpg"
)

// Env names the variable with the URL of a server to use. Its user must be
// allowed to create databases.
const Env = "TEST_POSTGRES"

// Migrate brings a database to its schema. It has to be a function with a
// name: the database made with it is a template for all tests that pass the
// same function.
type Migrate = func(ctx context.Context, url string) error

// Postgres returns a pool on a database made for this test. With a nil migrate
// the database is empty. A failed test leaves its database to look at, as long
// as the server runs.
func Postgres(tb testing.TB, migrate Migrate) *pgxpool.Pool {
	tb.Helper()
	cfg, err := pgxpool.ParseConfig(PostgresURL(tb, migrate))
	if err != nil {
		tb.Fatal(err)
	}
	cfg.MaxConns = 4
	cfg.ConnConfig.RuntimeParams["timezone"] = "UTC"
	pool, err := pgxpool.NewWithConfig(context.Background(), cfg)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(pool.Close)
	return pool
}

// PostgresURL is Postgres for what opens its own connections.
func PostgresURL(tb testing.TB, migrate Migrate) string {
	tb.Helper()
	s, err := shared.get()
	if err != nil {
		tb.Fatal(err)
	}
	template, err := s.template(migrate)
	if err != nil {
		tb.Fatal(err)
	}
	name := s.name("t")
	if err := s.create(name, template); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if tb.Failed() {
			tb.Logf("left database %s", name)
			return
		}
		// FORCE, because a connection closed a moment ago may still show.
		if err := s.exec("DROP DATABASE " + name + " WITH (FORCE)"); err != nil {
			tb.Error(err)
		}
	})
	return s.url(name)
}

// shared is the server of this test process.
var shared lazy

type lazy struct {
	mu     sync.Mutex // guards the fields below
	server *server
	err    error
}

func (l *lazy) get() (*server, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.server == nil && l.err == nil {
		l.server, l.err = open()
	}
	return l.server, l.err
}

func (l *lazy) stop() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.server == nil {
		return nil
	}
	err := l.server.close()
	l.server = nil
	return err
}

// server makes databases on a PostgreSQL server.
type server struct {
	base  *url.URL
	admin *pgxpool.Pool
	run   string // sets this process's databases apart from others'
	count atomic.Int64
	own   *devpg.Server // nil where the environment named the server

	mu        sync.Mutex // guards templates
	templates map[uintptr]*template
}

// template is made once, by whichever test comes first.
type template struct {
	once sync.Once
	name string
	err  error
}

func open() (*server, error) {
	s := &server{run: strings.ToLower(rand.Text()[:8]), templates: map[uintptr]*template{}}
	address := os.Getenv(Env)
	if address == "" {
		own, err := StartPostgres(context.Background())
		if err != nil {
			return nil, err
		}
		s.own, address = own, own.URL("postgres")
	}
	base, err := url.Parse(address)
	if err != nil {
		return nil, fmt.Errorf("%s is not a URL", Env)
	}
	s.base = base
	cfg, err := pgxpool.ParseConfig(address)
	if err != nil {
		return nil, err
	}
	cfg.MaxConns = 4
	s.admin, err = pgxpool.NewWithConfig(context.Background(), cfg)
	return s, err
}

func (s *server) close() error {
	var errs []error
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, t := range s.templates {
		if s.own == nil && t.name != "" { // our own server is cleared at its next start
			errs = append(errs, s.exec("DROP DATABASE IF EXISTS "+t.name+" WITH (FORCE)"))
		}
	}
	s.admin.Close()
	if s.own != nil {
		errs = append(errs, s.own.Stop())
	}
	return errors.Join(errs...)
}

func (s *server) name(kind string) string {
	return fmt.Sprintf("%s%s_%s_%d", namePrefix, kind, s.run, s.count.Add(1))
}

func (s *server) url(database string) string {
	u := *s.base
	u.Path = "/" + database
	return u.String()
}

func (s *server) exec(sql string) error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	_, err := s.admin.Exec(ctx, sql)
	return err
}

// create retries while the template is in use: a connection of its migration
// may take a moment to be gone. Files are copied as they are: a copy that goes
// through the log of a server that syncs nothing costs several times as much.
func (s *server) create(name, template string) error {
	deadline := time.NewTimer(30 * time.Second)
	defer deadline.Stop()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		err := s.exec("CREATE DATABASE " + name + " TEMPLATE " + template + " STRATEGY file_copy")
		if pe, ok := errors.AsType[*pgconn.PgError](err); !ok || pe.Code != "55006" {
			return err
		}
		select {
		case <-tick.C:
		case <-deadline.C:
			return err
		}
	}
}

// template returns the name of a database that migrate has been run on.
func (s *server) template(migrate Migrate) (string, error) {
	if migrate == nil {
		return "template0", nil
	}
	// Closures made by one literal share their code and would share a template.
	pc := reflect.ValueOf(migrate).Pointer()
	f := runtime.FuncForPC(pc).Name()
	if strings.Contains(f, ".func") || strings.HasSuffix(f, "-fm") {
		return "", fmt.Errorf("testenv: migrate is %s; pass a function with a name", f)
	}
	s.mu.Lock()
	t := s.templates[pc]
	if t == nil {
		t = &template{}
		s.templates[pc] = t
	}
	s.mu.Unlock()
	t.once.Do(func() {
		t.name = s.name("tpl")
		if t.err = s.create(t.name, "template0"); t.err != nil {
			return
		}
		ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
		defer cancel()
		if err := migrate(ctx, s.url(t.name)); err != nil {
			t.err = fmt.Errorf("migrate the template: %w", err)
		}
	})
	return t.name, t.err
}

const namePrefix = "tollgate_test_"

// maxSlots is how many test processes on one machine may have a server each.
const maxSlots = 64

// StartPostgres starts a server for tests, without syncing to disk. Test
// processes at the same time get one each; the data directory of one that has
// ended is used again, which takes a fifth of the time and bounds the space.
func StartPostgres(ctx context.Context) (*devpg.Server, error) {
	for slot := range maxSlots {
		dir := filepath.Join(os.TempDir(), fmt.Sprintf("tollgate-test-pg-%d-%d", os.Getuid(), slot))
		s, err := devpg.Start(ctx, devpg.Options{Dir: dir, Disposable: true})
		if errors.Is(err, devpg.ErrInUse) {
			continue
		}
		if err != nil {
			return nil, err
		}
		if err := dropLeftovers(ctx, s); err != nil {
			return nil, errors.Join(err, s.Stop())
		}
		return s, nil
	}
	return nil, fmt.Errorf("testenv: %d servers run already", maxSlots)
}

// dropLeftovers drops what earlier runs have left.
func dropLeftovers(ctx context.Context, s *devpg.Server) error {
	conn, err := pgx.Connect(ctx, s.URL("postgres"))
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close(ctx) }()
	rows, err := conn.Query(ctx, `SELECT datname FROM pg_database WHERE datname LIKE $1`, namePrefix+"%")
	if err != nil {
		return err
	}
	names, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return err
	}
	for _, name := range names {
		if _, err := conn.Exec(ctx, "DROP DATABASE "+pgx.Identifier{name}.Sanitize()+" WITH (FORCE)"); err != nil {
			return err
		}
	}
	return nil
}
