package e2e_test

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"connectrpc.com/connect"
	"github.com/jackc/pgx/v5"

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
	dir     string
	vendor  *vendor.Vendor
	pgPort  int
	pg      *devpg.Server
	nats    *process
	control *process
	ledger  *process
	edges   []*process

	natsURL     string
	controlAddr string
	ledgerAddr  string
	edgeAddrs   []string
	rpc         clients
}

type clients struct {
	endpoints controlv1connect.EndpointServiceClient
	keys      controlv1connect.KeyServiceClient
	budgets   controlv1connect.BudgetServiceClient
	secrets   controlv1connect.SecretServiceClient
	usage     controlv1connect.UsageServiceClient
	system    controlv1connect.SystemServiceClient
}

type option func(*cluster)

// withEdgeBinary runs the edges from another build.
func withEdgeBinary(path string) option {
	return func(c *cluster) {
		for _, e := range c.edges {
			e.path = path
		}
	}
}

// start brings up PostgreSQL, nats-server, a control plane, a ledger and two edges, with the
// vendor's credential stored as the secret "vendor".
func start(t *testing.T, opts ...option) *cluster {
	t.Helper()
	c := &cluster{t: t, dir: t.TempDir(), vendor: vendor.New(t), pgPort: freePort(t)}
	c.startPostgres()
	t.Cleanup(func() {
		if c.pg != nil {
			_ = c.pg.Stop()
		}
	})
	c.createDatabase()

	natsPort := freePort(t)
	c.natsURL = "nats://127.0.0.1:" + strconv.Itoa(natsPort)
	c.nats = newProcess(t, "nats", bin.nats, []string{
		"-js", "-a", "127.0.0.1", "-p", strconv.Itoa(natsPort), "-sd", filepath.Join(c.dir, "nats"), "-m", strconv.Itoa(freePort(t)),
	}, nil)
	c.nats.start()

	c.controlAddr, c.ledgerAddr = address(t), address(t)
	master, sealing := seal.Generate(), seal.Generate()
	c.control = c.role("controlplane", "controlplane", fmt.Sprintf(`
listen: %q
database_url: %q
nats: {url: %q, name: controlplane}
admin_token: %q
master_key: %q
sealing_key: %q
ledger_url: "http://%s"
ledger_token: %q
`, c.controlAddr, c.databaseURL(), c.natsURL, adminToken, master, sealing, c.ledgerAddr, ledgerToken))
	c.ledger = c.role("ledger", "ledger", fmt.Sprintf(`
listen: %q
database_url: %q
nats: {url: %q, name: ledger}
token: %q
`, c.ledgerAddr, c.databaseURL(), c.natsURL, ledgerToken))
	for i := range 2 {
		addr := address(t)
		c.edgeAddrs = append(c.edgeAddrs, addr)
		c.edges = append(c.edges, c.role("edge-"+strconv.Itoa(i+1), "edge", fmt.Sprintf(`
name: edge-%d
listen: %q
admin_listen: ""
data_dir: %q
nats: {url: %q, name: edge-%d}
sealing_key: %q
allow_private_targets: true
lease_ahead: 100000 # the outage test lives on what is held
`, i+1, addr, filepath.Join(c.dir, "edge-"+strconv.Itoa(i+1)), c.natsURL, i+1, sealing)))
	}
	for _, o := range opts {
		o(c)
	}
	migrate := newProcess(t, "migrate", bin.tollgate, []string{"migrate"}, []string{"TOLLGATE_DATABASE_URL=" + c.databaseURL()})
	migrate.start()
	<-migrate.done
	if migrate.err != nil {
		t.Fatalf("migrate: %v", migrate.err)
	}
	for _, p := range c.roles() {
		p.start()
	}
	c.awaitReady()
	c.dial()
	c.must(c.rpc.secrets.CreateSecret(t.Context(), &controlv1.CreateSecretRequest{Name: "vendor", Value: vendorToken}))
	c.awaitLive()
	return c
}

// roles are all processes of ours, in an order in which they can be started.
func (c *cluster) roles() []*process { return append([]*process{c.control, c.ledger}, c.edges...) }

// awaitReady returns once the control plane and the ledger are fit for work.
func (c *cluster) awaitReady() {
	c.t.Helper()
	c.control.awaitHTTP("http://" + c.controlAddr + "/readyz")
	c.ledger.awaitHTTP("http://" + c.ledgerAddr + "/readyz")
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

func (c *cluster) databaseURL() string { return c.pg.URL("tollgate") }

func (c *cluster) createDatabase() {
	c.t.Helper()
	conn, err := pgx.Connect(c.t.Context(), c.pg.URL("postgres"))
	if err != nil {
		c.t.Fatal(err)
	}
	defer func() { _ = conn.Close(context.Background()) }()
	if _, err := conn.Exec(c.t.Context(), "CREATE DATABASE tollgate"); err != nil {
		c.t.Fatal(err)
	}
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
		secrets:   controlv1connect.NewSecretServiceClient(client, url),
		usage:     controlv1connect.NewUsageServiceClient(client, url),
		system:    controlv1connect.NewSystemServiceClient(client, url),
	}
}

// must fails the test if an RPC failed; its first argument is there to be passed a call's results.
func (c *cluster) must(_ any, err error) {
	c.t.Helper()
	if err != nil {
		c.t.Fatal(err)
	}
}

// awaitLive returns once both edges serve the newest revision.
func (c *cluster) awaitLive() {
	c.t.Helper()
	testenv.Eventually(c.t, 15*time.Second, func() error {
		resp, err := c.rpc.system.ListNodes(c.t.Context(), &controlv1.ListNodesRequest{})
		if err != nil {
			return err
		}
		live := 0
		for _, n := range resp.GetNodes() {
			if n.GetStatus() == controlv1.NodeStatus_NODE_STATUS_LIVE && n.GetRevision() == resp.GetRevision() {
				live++
			}
		}
		if live != len(c.edges) {
			return fmt.Errorf("%d of %d edges at revision %d: %v", live, len(c.edges), resp.GetRevision(), resp.GetNodes())
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
	return &controlv1.Price{Kind: &controlv1.Price_Fixed_{Fixed: &controlv1.Price_Fixed{PerRequest: contract.MoneyToProto(nanos(t, price))}}}
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
func (c *cluster) key(name string) string {
	c.t.Helper()
	resp, err := c.rpc.keys.CreateKey(c.t.Context(), &controlv1.CreateKeyRequest{Name: name})
	if err != nil {
		c.t.Fatal(err)
	}
	return resp.GetSecret()
}

// budget puts a total budget on a key.
func (c *cluster) budget(name, key, amount string) {
	c.t.Helper()
	c.must(c.rpc.budgets.CreateBudget(c.t.Context(), &controlv1.CreateBudgetRequest{Budget: &controlv1.Budget{
		Name: name, Scope: &controlv1.Budget_Key{Key: key},
		Amount: contract.MoneyToProto(nanos(c.t, amount)), Period: controlv1.Period_PERIOD_TOTAL,
	}}))
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
func (c *cluster) call(edge int, key, path string) (*http.Response, []byte, error) {
	req, err := http.NewRequestWithContext(c.t.Context(), http.MethodPost, "http://"+c.edgeAddrs[edge]+path, strings.NewReader(`{"prompt":"a book"}`))
	if err != nil {
		return nil, nil, err
	}
	req.Header.Set("Authorization", "Bearer "+key)
	req.Header.Set("Content-Type", "application/json")
	resp, err := callers.Do(req)
	if err != nil {
		return nil, nil, err
	}
	defer resp.Body.Close()
	var body bytes.Buffer
	_, err = body.ReadFrom(resp.Body)
	return resp, body.Bytes(), err
}

// cli runs the command line tool as an administrator would.
func (c *cluster) cli(args ...string) (stdout, stderr string, code int) {
	c.t.Helper()
	return runCLI(c.t, []string{"TOLLGATE_SERVER=http://" + c.controlAddr, "TOLLGATE_TOKEN=" + adminToken}, args...)
}
