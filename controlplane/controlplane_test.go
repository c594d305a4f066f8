package controlplane_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"connectrpc.com/connect"

	"tollgate/controlplane"
	controlv1 "tollgate/gen/tollgate/control/v1"
	"tollgate/gen/tollgate/control/v1/controlv1connect"
	"tollgate/internal/bus"
	"tollgate/internal/config"
	"tollgate/internal/contract"
	"tollgate/internal/devpg"
	"tollgate/internal/natsd"
	"tollgate/internal/pg"
	"tollgate/internal/seal"
	"tollgate/internal/testenv"
)

func TestMain(m *testing.M) { os.Exit(testenv.Main(m)) }

const token = "tga_test-token"

func migrate(ctx context.Context, url string) error { return controlplane.Migrate(ctx, url, nil) }

func testConfig(database, nats string) controlplane.Config {
	cfg := controlplane.DefaultConfig()
	cfg.Listen, cfg.DatabaseURL, cfg.NATS.URL = "127.0.0.1:0", config.Secret(database), nats
	cfg.MasterKey, cfg.SealingKey = config.Secret(seal.Generate()), config.Secret(seal.Generate())
	cfg.AdminToken = token
	return cfg
}

// process is a control plane that runs.
type process struct {
	*controlplane.Server
	ended chan error
	stop  context.CancelFunc
	http  *http.Client
}

func start(t *testing.T, cfg controlplane.Config) *process {
	t.Helper()
	s, err := controlplane.New(t.Context(), cfg, controlplane.Deps{Log: testenv.Logger(t)})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	p := &process{Server: s, ended: make(chan error, 1), stop: stop, http: &http.Client{Transport: &http.Transport{}}}
	go func() { p.ended <- s.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		p.http.CloseIdleConnections()
		if err := <-p.ended; err != nil && !t.Failed() {
			t.Errorf("run: %v", err)
		}
	})
	return p
}

// finish stops the process and returns how it ended.
func (p *process) finish() error {
	p.stop()
	p.http.CloseIdleConnections()
	err := <-p.ended
	p.ended <- nil // for the cleanup
	return err
}

func (p *process) get(path string) (int, string, error) {
	res, err := p.http.Get("http://" + p.Addr() + path)
	if err != nil {
		return 0, "", err
	}
	defer res.Body.Close()
	raw, err := io.ReadAll(res.Body)
	return res.StatusCode, string(raw), err
}

func auth() connect.ClientOption {
	return connect.WithInterceptors(connect.UnaryInterceptorFunc(func(next connect.UnaryFunc) connect.UnaryFunc {
		return func(ctx context.Context, req connect.AnyRequest) (connect.AnyResponse, error) {
			req.Header().Set("Authorization", "Bearer "+token)
			return next(ctx, req)
		}
	}))
}

func (p *process) system() controlv1connect.SystemServiceClient {
	return controlv1connect.NewSystemServiceClient(p.http, "http://"+p.Addr(), auth())
}

func (p *process) keys() controlv1connect.KeyServiceClient {
	return controlv1connect.NewKeyServiceClient(p.http, "http://"+p.Addr(), auth())
}

// seeded is the revision of a new database when it has the price book.
const seeded = 1

// published waits until everything that was changed is in the stream.
func (p *process) published(t *testing.T, revision int64) {
	t.Helper()
	testenv.Eventually(t, 20*time.Second, func() error {
		info, err := p.system().GetInfo(t.Context(), &controlv1.GetInfoRequest{})
		if err != nil {
			return err
		}
		if info.GetRevision() != revision || info.GetPublishedRevision() != revision {
			return fmt.Errorf("%v, want revision %d published", info, revision)
		}
		return nil
	})
}

// Guarantee: a control plane serves with NATS away, publishes when it comes, and stops in good order.
func TestServesWithoutNATS(t *testing.T) {
	t.Parallel()
	first, err := natsd.Start(natsd.Options{Port: -1})
	if err != nil {
		t.Fatal(err)
	}
	url := first.URL()
	first.Stop()
	p := start(t, testConfig(testenv.PostgresURL(t, migrate), url))
	if err := p.Ready(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := p.keys().CreateKey(t.Context(), &controlv1.CreateKeyRequest{Name: "a"}); err != nil {
		t.Fatal(err)
	}
	if status, text, err := p.get("/readyz"); status != http.StatusOK {
		t.Errorf("readyz: %d %s %v", status, text, err)
	}
	port := 0
	if _, err := fmt.Sscanf(url[strings.LastIndex(url, ":")+1:], "%d", &port); err != nil {
		t.Fatal(err)
	}
	s, err := natsd.Start(natsd.Options{StoreDir: t.TempDir(), Port: port})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Stop()
	p.published(t, seeded+1)

	conn, err := bus.Connect(bus.Config{URL: url}, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	for _, name := range []string{contract.StreamConfig, contract.StreamFleet} {
		testenv.Eventually(t, 10*time.Second, func() error { _, err := conn.JetStream().Stream(t.Context(), name); return err })
	}
	if err := p.finish(); err != nil {
		t.Error(err)
	}
	if _, _, err := p.get("/healthz"); err == nil {
		t.Error("still listening")
	}
}

// Guarantee: a control plane waits for its database at start, answers unavailable while it is away,
// and goes on when it is back, publishing included.
func TestDatabaseRestarts(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	db := startPostgres(t, dir, 0)
	url := db.URL("postgres")
	port := 0
	if _, err := fmt.Sscanf(url[strings.LastIndex(url, ":")+1:], "%d/", &port); err != nil {
		t.Fatal(err)
	}
	if err := migrate(t.Context(), url); err != nil {
		t.Fatal(err)
	}
	if err := db.Stop(); err != nil {
		t.Fatal(err)
	}
	p := start(t, testConfig(url, testenv.NATS(t).URL()))
	if _, err := p.system().GetInfo(t.Context(), &controlv1.GetInfoRequest{}); connect.CodeOf(err) != connect.CodeUnavailable {
		t.Errorf("before the database: %v", err)
	}
	if status, _, _ := p.get("/healthz"); status != http.StatusOK {
		t.Errorf("healthz before the database: %d", status)
	}
	db = startPostgres(t, dir, port)
	testenv.Eventually(t, 20*time.Second, func() error {
		_, err := p.keys().CreateKey(t.Context(), &controlv1.CreateKeyRequest{Name: "a"})
		return err
	})
	p.published(t, seeded+1)
	if err := db.Stop(); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if _, err := p.system().GetInfo(t.Context(), &controlv1.GetInfoRequest{}); connect.CodeOf(err) != connect.CodeUnavailable {
			t.Errorf("away: %v", err)
		}
	}
	if status, _, _ := p.get("/readyz"); status != http.StatusServiceUnavailable {
		t.Errorf("readyz: %d", status)
	}
	if status, _, _ := p.get("/healthz"); status != http.StatusOK {
		t.Errorf("healthz: %d", status)
	}
	startPostgres(t, dir, port)
	testenv.Eventually(t, 20*time.Second, func() error {
		_, err := p.keys().CreateKey(t.Context(), &controlv1.CreateKeyRequest{Name: "b"})
		return err
	})
	p.published(t, seeded+2)
}

func startPostgres(t *testing.T, dir string, port int) *devpg.Server {
	t.Helper()
	s, err := devpg.Start(t.Context(), devpg.Options{Dir: dir, Port: port})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Stop() })
	return s
}

// Guarantee: a control plane does not serve on a schema that lacks migrations, and says what to run.
func TestPendingMigrations(t *testing.T) {
	t.Parallel()
	s, err := controlplane.New(t.Context(), testConfig(testenv.PostgresURL(t, nil), testenv.NATS(t).URL()), controlplane.Deps{})
	if err != nil {
		t.Fatal(err)
	}
	err = s.Run(t.Context())
	if _, ok := errors.AsType[*pg.BehindError](err); !ok || !strings.Contains(err.Error(), "tollgate migrate") {
		t.Errorf("%v", err)
	}
}

// Guarantee: a call that is under way when the control plane is asked to stop gets its answer.
func TestStopFinishesCalls(t *testing.T) {
	t.Parallel()
	pool := testenv.Postgres(t, migrate)
	p := start(t, testConfig(pool.Config().ConnString(), testenv.NATS(t).URL()))
	p.published(t, seeded)
	// Another change holds the lock, so the call waits.
	tx, err := pool.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tx.Exec(t.Context(), `SELECT n FROM control.revision FOR UPDATE`); err != nil {
		t.Fatal(err)
	}
	answered := make(chan error, 1)
	go func() {
		_, err := p.keys().CreateKey(context.WithoutCancel(t.Context()), &controlv1.CreateKeyRequest{Name: "a"})
		answered <- err
	}()
	testenv.Eventually(t, 10*time.Second, func() error {
		var waiting int
		err := pool.QueryRow(t.Context(), `SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'`).Scan(&waiting)
		if err == nil && waiting == 0 {
			err = errors.New("the call does not wait")
		}
		return err
	})
	stopped := make(chan error, 1)
	go func() { stopped <- p.finish() }()
	// The listener closes first; the call goes on.
	testenv.Eventually(t, 10*time.Second, func() error {
		res, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Get("http://" + p.Addr() + "/healthz")
		if err == nil {
			res.Body.Close()
			return errors.New("still accepts")
		}
		return nil
	})
	if err := tx.Rollback(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := <-answered; err != nil {
		t.Error(err)
	}
	if err := <-stopped; err != nil {
		t.Error(err)
	}
}

// Guarantee: every problem of a configuration is reported at once under its key, and no secret is in
// the text; the defaults lack only what has none.
func TestConfig(t *testing.T) {
	t.Parallel()
	cfg := controlplane.DefaultConfig()
	err := cfg.Validate()
	for _, key := range []string{"database_url", "master_key", "sealing_key", "admin_token"} {
		if err == nil || !strings.Contains(err.Error(), key+": ") {
			t.Errorf("%s is not named: %v", key, err)
		}
	}
	good := testConfig("postgres://u:hunter2@x/db", "nats://x")
	if err := good.Validate(); err != nil {
		t.Error(err)
	}
	bad := good
	bad.Listen, bad.MasterKey, bad.Partitions, bad.Replicas, bad.Drain, bad.LedgerURL = "4001", "hunter2", 0, 9, 0, "ftp://x"
	err = bad.Validate()
	for _, key := range []string{"listen", "master_key", "partitions", "replicas", "drain", "ledger_url", "ledger_token"} {
		if err == nil || !strings.Contains(err.Error(), key+": ") {
			t.Errorf("%s is not named: %v", key, err)
		}
	}
	if strings.Contains(err.Error(), "hunter2") {
		t.Errorf("quotes a secret: %v", err)
	}
	same := good
	same.MasterKey = same.SealingKey
	if err := same.Validate(); err == nil {
		t.Error("one key for both is taken")
	}
}
