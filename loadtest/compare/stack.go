package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"connectrpc.com/connect"

	"tollgate/gen/tollgate/control/v1/controlv1connect"
	"tollgate/internal/devpg"
	"tollgate/internal/natsd"
	"tollgate/internal/program"
	"tollgate/internal/seal"
)

const (
	adminToken  = "tga_compare-admin"
	ledgerToken = "tgl_compare-ledger"
)

// stack is a whole deployment of Tollgate but for its edges. Each part is a process of its own, so that what an edge takes is
// told from what the books take.
type stack struct {
	dir      string
	tollgate string // path of the binary
	pg       *devpg.Server
	nats     *natsd.Server
	control  *program.Life
	ledger   *program.Life
	edges    []*program.Life
	sealing  string
	rpc      clients
	key      string // of callers
	books    *books
}

// clients are the services of the control plane that are used.
type clients struct {
	endpoints controlv1connect.EndpointServiceClient
	keys      controlv1connect.KeyServiceClient
	budgets   controlv1connect.BudgetServiceClient
	teams     controlv1connect.TeamServiceClient
	secrets   controlv1connect.SecretServiceClient
	usage     controlv1connect.UsageServiceClient
	system    controlv1connect.SystemServiceClient
}

// startStack returns when all parts serve.
func startStack(ctx context.Context, tollgate, dir string) (_ *stack, err error) {
	s := &stack{dir: dir, tollgate: tollgate, sealing: seal.Generate()}
	s.books = &books{stack: s}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.stop())
		}
	}()
	if err := os.MkdirAll(dir, 0o755); err != nil { //nolint:gosec // PostgreSQL, below it, may run as somebody else
		return nil, err
	}
	if s.pg, err = devpg.Start(ctx, devpg.Options{Dir: filepath.Join(dir, "pg")}); err != nil {
		return nil, err
	}
	url := s.pg.URL("postgres")
	migrate := exec.CommandContext(ctx, tollgate, "migrate")
	migrate.Env = []string{"TOLLGATE_DATABASE_URL=" + url}
	if text, err := migrate.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("migrate: %w\n%s", err, text)
	}
	if s.nats, err = natsd.Start(natsd.Options{StoreDir: filepath.Join(dir, "nats"), Port: -1}); err != nil {
		return nil, err
	}
	return s, s.serve(ctx, url)
}

func (s *stack) serve(ctx context.Context, databaseURL string) error {
	controlAddr, err1 := program.FreeAddress(ctx)
	ledgerAddr, err2 := program.FreeAddress(ctx)
	if err := errors.Join(err1, err2); err != nil {
		return err
	}
	var err error
	if s.control, err = s.start("controlplane", "controlplane", fmt.Sprintf(`
listen: %q
database_url: %q
nats: {url: %q, name: controlplane}
admin_token: %q
master_key: %q
sealing_key: %q
ledger_url: "http://%s"
ledger_token: %q
`, controlAddr, databaseURL, s.nats.URL(), adminToken, seal.Generate(), s.sealing, ledgerAddr, ledgerToken)); err != nil {
		return err
	}
	if s.ledger, err = s.start("ledger", "ledger", fmt.Sprintf(`
listen: %q
database_url: %q
nats: {url: %q, name: ledger}
token: %q
`, ledgerAddr, databaseURL, s.nats.URL(), ledgerToken)); err != nil {
		return err
	}
	if err := errors.Join(
		s.control.Await(ctx, program.Answers("http://"+controlAddr+"/readyz")),
		s.ledger.Await(ctx, program.Answers("http://"+ledgerAddr+"/readyz")),
	); err != nil {
		return err
	}
	s.rpc = newClients("http://" + controlAddr)
	return nil
}

// start runs a role of tollgate that is configured by yaml.
func (s *stack) start(name, role, yaml string) (*program.Life, error) {
	path := filepath.Join(s.dir, name+".yaml")
	if err := os.WriteFile(path, []byte(yaml), 0o600); err != nil {
		return nil, err
	}
	return part(name, s.dir, s.tollgate, role, "--config", path).Start()
}

func newClients(url string) clients {
	hc := &http.Client{Timeout: 20 * time.Second}
	auth := connect.WithInterceptors(connect.UnaryInterceptorFunc(func(next connect.UnaryFunc) connect.UnaryFunc {
		return func(ctx context.Context, req connect.AnyRequest) (connect.AnyResponse, error) {
			req.Header().Set("Authorization", "Bearer "+adminToken)
			return next(ctx, req)
		}
	}))
	return clients{
		endpoints: controlv1connect.NewEndpointServiceClient(hc, url, auth),
		keys:      controlv1connect.NewKeyServiceClient(hc, url, auth),
		budgets:   controlv1connect.NewBudgetServiceClient(hc, url, auth),
		teams:     controlv1connect.NewTeamServiceClient(hc, url, auth),
		secrets:   controlv1connect.NewSecretServiceClient(hc, url, auth),
		usage:     controlv1connect.NewUsageServiceClient(hc, url, auth),
		system:    controlv1connect.NewSystemServiceClient(hc, url, auth),
	}
}

// edgeOptions is how an edge differs from one with everything on.
type edgeOptions struct {
	name   string
	binary string // another one than the stack's
	yaml   string // further settings
	tls    bool
	logs   bool // each request; nobody else here does
}

func (o edgeOptions) logLevel() string {
	if o.logs {
		return "info"
	}
	return "warn"
}

// edge is one edge, and where it is.
type edge struct {
	*program.Life
	addr  string
	admin string
}

// startEdge returns when an edge serves.
func (s *stack) startEdge(ctx context.Context, o edgeOptions) (edge, error) {
	addr, err1 := program.FreeAddress(ctx)
	admin, err2 := program.FreeAddress(ctx)
	if err := errors.Join(err1, err2); err != nil {
		return edge{}, err
	}
	yaml := s.edgeYAML(o, addr, admin)
	path := filepath.Join(s.dir, o.name+".yaml")
	if err := os.WriteFile(path, []byte(yaml), 0o600); err != nil {
		return edge{}, err
	}
	binary := s.tollgate
	if o.binary != "" {
		binary = o.binary
	}
	if text, err := exec.CommandContext(ctx, binary, "edge", "--config", path, "--check").CombinedOutput(); err != nil {
		return edge{}, fmt.Errorf("%w: %s", errUnknownSetting, text)
	}
	p, err := part(o.name, s.dir, binary, "edge", "--config", path, "--log-level", o.logLevel()).Start()
	if err != nil {
		return edge{}, err
	}
	s.edges = append(s.edges, p)
	return edge{p, addr, admin}, p.Await(ctx, program.Answers("http://"+admin+"/-/readyz"))
}

// errUnknownSetting is that of a setting which this Tollgate does not have.
var errUnknownSetting = errors.New("the edge does not take its settings")

func (s *stack) edgeYAML(o edgeOptions, addr, admin string) string {
	text := fmt.Sprintf(`
name: %s
listen: %q
admin_listen: %q
data_dir: %q
nats: {url: %q, name: %s}
sealing_key: %q
allow_private_targets: true
lease_wait: 5s # the machine is busy with callers and the vendor
notice: 0s
drain: 2s
`, o.name, addr, admin, filepath.Join(s.dir, o.name), s.nats.URL(), o.name, s.sealing)
	if o.tls {
		base := filepath.Dir(s.dir)
		text += fmt.Sprintf("tls: {cert_file: %q, key_file: %q, min_version: \"1.3\"}\n", filepath.Join(base, "cert.pem"), filepath.Join(base, "key.pem"))
	}
	return text + o.yaml
}

// stop ends all parts, edges first.
func (s *stack) stop() error {
	var errs []error
	for _, p := range append(s.edges, s.control, s.ledger) {
		if p != nil {
			errs = append(errs, p.Stop(stopWithin))
		}
	}
	if s.nats != nil {
		s.nats.Stop()
	}
	if s.pg != nil {
		errs = append(errs, s.pg.Stop())
	}
	return errors.Join(errs...)
}
