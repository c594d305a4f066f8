package e2e_test

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"connectrpc.com/connect"
	"github.com/jackc/pgx/v5"
	typemoney "google.golang.org/genproto/googleapis/type/money"

	controlv1 "tollgate/gen/tollgate/control/v1"
	"tollgate/gen/tollgate/control/v1/controlv1connect"
	"tollgate/internal/contract"
	"tollgate/internal/devpg"
	"tollgate/internal/money"
	"tollgate/internal/seal"
	"tollgate/internal/testenv"
	"tollgate/internal/testenv/vendor"
)

const (
	adminToken  = "tga_e2e-admin"
	ledgerToken = "tgl_e2e-ledger"
	vendorToken = "the-vendors-own-credential"
)

// cluster is a whole deployment: every part a process of its own.
type cluster struct {
	t       *testing.T
	shape   shape
	dir     string
	vendor  *vendor.Vendor
	pg      *devpg.Server // its own, if it has one
	pgPort  int
	standby *devpg.Server // follows pg, if there is one
	nats    *process
	control *process
	ledger  *process
	edges   []*process

	databaseURL string
	poolerURL   string // of the same database through PgBouncer, if there is one
	natsURL     string
	controlAddr string
	ledgerAddrs []string // the first ledger's, and those of ledgers that a test adds
	edgeAddrs   []string
	adminAddrs  []string // of the edges, if they have some
	rpc         clients
}

type clients struct {
	endpoints controlv1connect.EndpointServiceClient
	keys      controlv1connect.KeyServiceClient
	budgets   controlv1connect.BudgetServiceClient
	limits    controlv1connect.LimitServiceClient
	teams     controlv1connect.TeamServiceClient
	secrets   controlv1connect.SecretServiceClient
	usage     controlv1connect.UsageServiceClient
	system    controlv1connect.SystemServiceClient
}

// shape is what a deployment consists of.
type shape struct {
	edges       int
	partitions  int
	ahead       int    // lease_ahead of the edges
	edgeBinary  string // what the edges run
	direct      bool   // edges know the addresses of the ledgers
	ownPostgres bool   // a server that the test may kill
	edgeYAML    string // more settings of the edges
	admin       bool   // edges have addresses for metrics
	pooler      bool   // PgBouncer is in front of the database
	standby     bool   // the server of its own has a copy that follows it
	migrate     testenv.Migrate
}

type option func(*shape)

// withEdges is how many edges there are.
func withEdges(n int) option { return func(s *shape) { s.edges = n } }

// withPartitions divides the ledger.
func withPartitions(n int) option { return func(s *shape) { s.partitions = n } }

// withLeaseAhead has the edges ask for so many requests' money at a time.
func withLeaseAhead(n int) option { return func(s *shape) { s.ahead = n } }

// withEdgeBinary runs the edges from another build.
func withEdgeBinary(path string) option { return func(s *shape) { s.edgeBinary = path } }

// withLedgerURLs tells the edges where two ledgers are. The second is the test's to start.
func withLedgerURLs(s *shape) { s.direct = true }

// withOwnPostgres starts a PostgreSQL for the test alone, which it may kill.
func withOwnPostgres(s *shape) { s.ownPostgres = true }

// withEdgeYAML adds settings to each edge.
func withEdgeYAML(text string) option { return func(s *shape) { s.edgeYAML += text + "\n" } }

// withMetrics gives each edge an address for metrics.
func withMetrics(s *shape) { s.admin = true }

// withStandby is withOwnPostgres with a second server that follows it and can take its place.
func withStandby(s *shape) { s.ownPostgres, s.standby = true, true }

// withMigration makes the schemas in another way.
func withMigration(m testenv.Migrate) option { return func(s *shape) { s.migrate = m } }

// withPooler puts PgBouncer in front of the database.
func withPooler(s *shape) { s.pooler = true }

// start brings up PostgreSQL, nats-server, a control plane, a ledger and edges, two if nobody says
// otherwise, with the vendor's credential stored as the secret "vendor".
func start(t *testing.T, opts ...option) *cluster {
	t.Helper()
	c := prepare(t, opts...)
	c.run()
	return c
}

// prepare makes what start starts.
func prepare(t *testing.T, opts ...option) *cluster {
	t.Helper()
	c := &cluster{t: t, dir: t.TempDir(), vendor: vendor.New(t), shape: shape{
		edges: 2, partitions: 1, edgeBinary: bin.tollgate,
		migrate: migrate,
		ahead:   100_000, // what an edge holds carries it through an outage
	}}
	for _, o := range opts {
		o(&c.shape)
	}
	natsPort := freePort(t)
	c.natsURL = "nats://127.0.0.1:" + strconv.Itoa(natsPort)
	c.nats = newProcess(t, "nats", bin.nats, []string{
		"-js", "-a", "127.0.0.1", "-p", strconv.Itoa(natsPort), "-sd", c.natsDir(), "-m", strconv.Itoa(freePort(t)), "-c", c.natsConf(),
	}, nil)
	c.startDatabase()
	c.configure()
	return c
}

// run starts what prepare has made.
func (c *cluster) run() {
	c.t.Helper()
	c.nats.start()
	for _, p := range c.roles() {
		p.start()
	}
	c.awaitReady()
	c.dial()
	c.must(c.rpc.secrets.CreateSecret(c.t.Context(), &controlv1.CreateSecretRequest{Name: "vendor", Value: vendorToken}))
	c.awaitLive()
}

// natsConf is a file with what production sets and flags cannot.
func (c *cluster) natsConf() string {
	c.t.Helper()
	path := filepath.Join(c.dir, "nats.conf")
	if err := os.WriteFile(path, []byte("max_payload: 8MB\n"), 0o600); err != nil {
		c.t.Fatal(err)
	}
	return path
}

// natsDir is where nats-server keeps its streams.
func (c *cluster) natsDir() string { return filepath.Join(c.dir, "nats") }

// startDatabase makes the database, with its schemas.
func (c *cluster) startDatabase() {
	c.t.Helper()
	if !c.shape.ownPostgres {
		c.databaseURL = testenv.PostgresURL(c.t, c.shape.migrate)
		return
	}
	c.pgPort = freePort(c.t)
	c.startPostgres()
	c.t.Cleanup(func() {
		if c.pg != nil {
			_ = c.pg.Stop()
		}
	})
	conn, err := pgx.Connect(c.t.Context(), c.pg.URL("postgres"))
	if err != nil {
		c.t.Fatal(err)
	}
	defer func() { _ = conn.Close(context.Background()) }()
	if _, err := conn.Exec(c.t.Context(), "CREATE DATABASE tollgate"); err != nil {
		c.t.Fatal(err)
	}
	c.databaseURL = c.pg.URL("tollgate")
	if err := migrate(c.t.Context(), c.databaseURL); err != nil {
		c.t.Fatal(err)
	}
	if c.shape.standby {
		c.addStandby()
	}
}

// migrate makes the schemas as an administrator does.
func migrate(ctx context.Context, url string) error {
	cmd := exec.CommandContext(ctx, bin.tollgate, "migrate")
	cmd.Env = []string{"TOLLGATE_DATABASE_URL=" + url}
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("migrate: %w\n%s", err, out)
	}
	return nil
}

// configure writes the roles' files.
func (c *cluster) configure() {
	c.t.Helper()
	c.controlAddr, c.ledgerAddrs = address(c.t), []string{address(c.t)}
	database := fmt.Sprintf("database_url: %q", c.databaseURL)
	if c.shape.pooler {
		database = c.throughPooler()
	}
	master, sealing := seal.Generate(), seal.Generate()
	c.control = c.role("controlplane", "controlplane", fmt.Sprintf(`
listen: %q
%s
nats: {url: %q, name: controlplane}
admin_token: %q
master_key: %q
sealing_key: %q
ledger_url: "http://%s"
ledger_token: %q
partitions: %d
edges: {nats_url: %q, ledger_urls: ["http://%s"]}
`, c.controlAddr, database, c.natsURL, adminToken, master, sealing, c.ledgerAddrs[0], ledgerToken, c.shape.partitions, c.natsURL, c.ledgerAddrs[0]))
	c.ledger = c.role("ledger", "ledger", fmt.Sprintf(`
listen: %q
%s
nats: {url: %q, name: ledger}
token: %q
partitions: %d
stream_max_bytes: 67108864 # nats-server keeps so much of the disk free for each
`, c.ledgerAddrs[0], database, c.natsURL, ledgerToken, c.shape.partitions))
	ledgers := ""
	if c.shape.direct {
		c.ledgerAddrs = append(c.ledgerAddrs, address(c.t))
		ledgers = fmt.Sprintf("ledger_urls: [\"http://%s\", \"http://%s\"]\nledger_token: %q\n", c.ledgerAddrs[0], c.ledgerAddrs[1], ledgerToken)
	}
	for i := range c.shape.edges {
		addr, name := address(c.t), fmt.Sprintf("edge-%d", i+1)
		c.edgeAddrs = append(c.edgeAddrs, addr)
		admin := ""
		if c.shape.admin {
			admin = address(c.t)
			c.adminAddrs = append(c.adminAddrs, admin)
		}
		e := c.role(name, "edge", fmt.Sprintf(`
name: %s
listen: %q
admin_listen: %q
data_dir: %q
nats: {url: %q, name: %s}
sealing_key: %q
allow_private_targets: true
lease_ahead: %d
%s%s`, name, addr, admin, c.edgeDir(i), c.natsURL, name, sealing, c.shape.ahead, ledgers, c.shape.edgeYAML))
		e.Path = c.shape.edgeBinary
		c.edges = append(c.edges, e)
	}
}

// edgeDir is where an edge keeps what outlives it.
func (c *cluster) edgeDir(i int) string { return filepath.Join(c.dir, fmt.Sprintf("edge-%d", i+1)) }

// roles are all processes of ours, in an order in which they can be started.
func (c *cluster) roles() []*process { return append([]*process{c.control, c.ledger}, c.edges...) }

// awaitReady returns once the control plane and the ledger are fit for work.
func (c *cluster) awaitReady() {
	c.t.Helper()
	c.control.awaitHTTP("http://" + c.controlAddr + "/readyz")
	c.ledger.awaitHTTP("http://" + c.ledgerAddrs[0] + "/readyz")
}

func address(t *testing.T) string {
	t.Helper()
	return "127.0.0.1:" + strconv.Itoa(freePort(t))
}

func (c *cluster) role(name, command, yaml string) *process {
	c.t.Helper()
	path := filepath.Join(c.dir, name+".yaml")
	if err := os.WriteFile(path, []byte(yaml), 0o600); err != nil {
		c.t.Fatal(err)
	}
	return newProcess(c.t, name, bin.tollgate, []string{command, "--config", path}, nil)
}

func (c *cluster) startPostgres() {
	c.t.Helper()
	pg, err := devpg.Start(c.t.Context(), devpg.Options{Dir: filepath.Join(c.dir, "pg"), Port: c.pgPort})
	if err != nil {
		c.t.Fatal(err)
	}
	c.pg = pg
}

// killPostgres ends it with kill -9, as a machine would.
func (c *cluster) killPostgres() {
	c.t.Helper()
	raw, err := os.ReadFile(filepath.Join(c.pg.Dir(), "data", "postmaster.pid"))
	if err != nil {
		c.t.Fatal(err)
	}
	first, _, _ := strings.Cut(string(raw), "\n")
	pid, err := strconv.Atoi(first)
	if err != nil {
		c.t.Fatal(err)
	}
	proc, err := os.FindProcess(pid)
	if err != nil {
		c.t.Fatal(err)
	}
	if err := proc.Kill(); err != nil {
		c.t.Fatal(err)
	}
	<-c.pg.Done()
	_ = c.pg.Stop() // gives the directory free
	c.pg = nil
}

// db is a connection to the ledger's database.
func (c *cluster) db() *pgx.Conn {
	c.t.Helper()
	conn, err := pgx.Connect(c.t.Context(), c.databaseURL)
	if err != nil {
		c.t.Fatal(err)
	}
	c.t.Cleanup(func() { _ = conn.Close(context.Background()) })
	return conn
}

// number is what a query for one number finds.
func (c *cluster) number(sql string, args ...any) (n int64) {
	c.t.Helper()
	conn, err := pgx.Connect(c.t.Context(), c.databaseURL)
	if err != nil {
		c.t.Fatal(err)
	}
	defer func() { _ = conn.Close(context.Background()) }()
	if err := conn.QueryRow(c.t.Context(), sql, args...).Scan(&n); err != nil {
		c.t.Fatalf("%s: %v", sql, err)
	}
	return n
}

// bearer adds the admin token to every RPC.
type bearer struct{ token string }

func (b bearer) RoundTrip(r *http.Request) (*http.Response, error) {
	r.Header.Set("Authorization", "Bearer "+b.token)
	return http.DefaultTransport.RoundTrip(r)
}

func (c *cluster) dial() {
	client, url := &http.Client{Transport: bearer{adminToken}, Timeout: 15 * time.Second}, "http://"+c.controlAddr
	c.rpc = clients{
		endpoints: controlv1connect.NewEndpointServiceClient(client, url, connect.WithGRPC()),
		keys:      controlv1connect.NewKeyServiceClient(client, url),
		budgets:   controlv1connect.NewBudgetServiceClient(client, url, connect.WithGRPCWeb()),
		limits:    controlv1connect.NewLimitServiceClient(client, url),
		teams:     controlv1connect.NewTeamServiceClient(client, url),
		secrets:   controlv1connect.NewSecretServiceClient(client, url),
		usage:     controlv1connect.NewUsageServiceClient(client, url),
		system:    controlv1connect.NewSystemServiceClient(client, url),
	}
}

// within is the same deployment in the hands of a part of the test.
func (c *cluster) within(t *testing.T) *cluster {
	t.Helper()
	part := *c
	part.t = t
	return &part
}

// atATime is how many parts of a test run at once.
const atATime = 4

// atOnce runs parts of a test at the same time, which share its deployment. They run in its place among all tests: as parallel tests
// they would wait behind all others, while the deployment has its share of the machine.
func (c *cluster) atOnce(parts map[string]func(*cluster)) {
	c.t.Helper()
	c.t.Run("at once", func(t *testing.T) {
		var running sync.WaitGroup
		places := make(chan struct{}, atATime)
		for name, part := range parts {
			places <- struct{}{}
			running.Go(func() {
				defer func() { <-places }()
				t.Run(name, func(t *testing.T) { part(c.within(t)) })
			})
		}
		running.Wait()
	})
}

// must fails the test if an RPC failed; its first argument is there to be passed a call's results.
func (c *cluster) must(_ any, err error) {
	c.t.Helper()
	if err != nil {
		c.t.Fatal(err)
	}
}

// awaitLive returns once every edge serves the newest revision.
func (c *cluster) awaitLive() {
	c.t.Helper()
	var newest int64 // when this began; others may go on with changes
	testenv.Eventually(c.t, 15*time.Second, func() error {
		resp, err := c.rpc.system.ListNodes(c.t.Context(), &controlv1.ListNodesRequest{})
		if err != nil {
			return err
		}
		newest = cmp.Or(newest, resp.GetRevision())
		live := 0
		for _, n := range resp.GetNodes() {
			if n.GetStatus() == controlv1.NodeStatus_NODE_STATUS_LIVE && n.GetRevision() >= newest {
				live++
			}
		}
		if live != len(c.edges) {
			return fmt.Errorf("%d of %d edges at revision %d: %v", live, len(c.edges), newest, resp.GetNodes())
		}
		return nil
	})
}

// endpoint creates an endpoint to the vendor; price "" means free.
func (c *cluster) endpoint(name, path, price string, change ...func(*controlv1.Endpoint)) {
	c.t.Helper()
	e := &controlv1.Endpoint{
		Name: name, Path: path,
		Targets: []*controlv1.Target{{Url: c.vendor.URL}},
		Headers: []*controlv1.Header{{Name: "api_token", Value: "${secret:vendor}"}},
		Price:   &controlv1.Price{Kind: &controlv1.Price_Free_{Free: &controlv1.Price_Free{}}},
	}
	if price != "" {
		e.Price = fixed(c.t, price)
	}
	for _, f := range change {
		f(e)
	}
	c.must(c.rpc.endpoints.CreateEndpoint(c.t.Context(), &controlv1.CreateEndpointRequest{Endpoint: e}))
}

func fixed(t *testing.T, price string) *controlv1.Price {
	t.Helper()
	return &controlv1.Price{Kind: &controlv1.Price_Fixed_{Fixed: &controlv1.Price_Fixed{
		PerRequest: contract.MoneyToProto(nanos(t, price)),
		Charge:     &controlv1.Charge{Methods: []string{"DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT"}}, // tests ask by GET too
	}}}
}

func nanos(t *testing.T, s string) money.Nanos {
	t.Helper()
	n, err := money.Parse(s)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// key creates a key and returns its secret.
func (c *cluster) key(name string, change ...func(*controlv1.CreateKeyRequest)) string {
	c.t.Helper()
	req := &controlv1.CreateKeyRequest{Name: name}
	for _, f := range change {
		f(req)
	}
	resp, err := c.rpc.keys.CreateKey(c.t.Context(), req)
	if err != nil {
		c.t.Fatal(err)
	}
	return resp.GetSecret()
}

// budget puts a total budget on a key, unless it is changed to be another.
func (c *cluster) budget(name, key, amount string, change ...func(*controlv1.Budget)) {
	c.t.Helper()
	b := &controlv1.Budget{
		Name: name, Scope: &controlv1.Budget_Key{Key: key},
		Amount: contract.MoneyToProto(nanos(c.t, amount)), Period: controlv1.Period_PERIOD_TOTAL,
	}
	for _, f := range change {
		f(b)
	}
	c.must(c.rpc.budgets.CreateBudget(c.t.Context(), &controlv1.CreateBudgetRequest{Budget: b}))
}

// state is what the ledger says about a budget.
func (c *cluster) state(budget string) *controlv1.BudgetState {
	c.t.Helper()
	resp, err := c.rpc.budgets.GetBudgetState(c.t.Context(), &controlv1.GetBudgetStateRequest{Budget: budget})
	if err != nil {
		c.t.Fatal(err)
	}
	return resp.GetState()
}

// dollars is an amount that an RPC answered.
func (c *cluster) dollars(m *typemoney.Money) money.Nanos {
	c.t.Helper()
	if m == nil {
		return 0
	}
	n, err := contract.MoneyFromProto(m)
	if err != nil {
		c.t.Fatal(err)
	}
	return n
}

// spent is the ledger's total over all days.
func (c *cluster) spent() (money.Nanos, *controlv1.UsageRow, error) {
	resp, err := c.rpc.usage.QueryUsage(c.t.Context(), &controlv1.QueryUsageRequest{})
	if err != nil {
		return 0, nil, err
	}
	n, err := contract.MoneyFromProto(resp.GetTotal().GetCost())
	return n, resp.GetTotal(), err
}

// awaitSpent returns once the ledger's total is want, and fails if it ever goes beyond.
func (c *cluster) awaitSpent(want money.Nanos) {
	c.t.Helper()
	testenv.Eventually(c.t, 40*time.Second, func() error {
		got, row, err := c.spent()
		if err != nil {
			return err
		}
		if got > want {
			c.t.Fatalf("the ledger has %s; only %s were spent (%v)", got, want, row)
		}
		if got != want {
			return fmt.Errorf("the ledger has %s of %s (%v)", got, want, row)
		}
		return nil
	})
}

// callers keep a connection each, as applications do.
var callers = &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 64}, Timeout: time.Minute}

// call sends one request to an edge.
func (c *cluster) call(edge int, key, path string, headers ...string) (*http.Response, []byte, error) {
	req, err := http.NewRequestWithContext(c.t.Context(), http.MethodPost, "http://"+c.edgeAddrs[edge]+path, strings.NewReader(callBody))
	if err != nil {
		return nil, nil, err
	}
	req.Header.Set("Authorization", "Bearer "+key)
	req.Header.Set("Content-Type", "application/json")
	for i := 0; i+1 < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	resp, err := callers.Do(req)
	if err != nil {
		return nil, nil, err
	}
	defer resp.Body.Close()
	var body bytes.Buffer
	_, err = body.ReadFrom(resp.Body)
	return resp, body.Bytes(), err
}

// callBody is what callers send.
const callBody = `{"prompt":"a book"}`

// cli runs the command line tool as an administrator would.
func (c *cluster) cli(args ...string) (stdout, stderr string, code int) {
	c.t.Helper()
	return runCLI(c.t, []string{"TOLLGATE_SERVER=http://" + c.controlAddr, "TOLLGATE_TOKEN=" + adminToken}, args...)
}

// books runs a command that goes to the ledger's database itself.
func (c *cluster) books(args ...string) (stdout, stderr string, code int) {
	c.t.Helper()
	return runCLI(c.t, []string{"TOLLGATE_DATABASE_URL=" + c.databaseURL}, append([]string{"ledger"}, args...)...)
}
