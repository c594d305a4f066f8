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
	"tollgate/internal/seal"
)

const (
	startWithin = time.Minute
	stopWithin  = 40 * time.Second // for the control plane and the ledger
	adminToken  = "tga_soak-admin"
	ledgerToken = "tgl_soak-ledger"
)

// edge is one edge and where it is.
type edge struct {
	*process
	addr  string // of traffic
	admin string
	stopT time.Duration
}

// stack is a whole deployment.
type stack struct {
	pg      *devpg.Server // nil if somebody else's is used
	nats    *natsd.Server
	control *process
	ledger  *process
	edges   []*edge
	rpc     clients
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
func startStack(ctx context.Context, o options) (_ *stack, err error) {
	s := &stack{}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.stop())
		}
	}()
	url := o.databaseURL
	if url == "" {
		if s.pg, err = devpg.Start(ctx, devpg.Options{Dir: filepath.Join(o.dir, "pg")}); err != nil {
			return nil, err
		}
		url = s.pg.URL("postgres")
	}
	migrate := exec.CommandContext(ctx, o.tollgate, "migrate")
	migrate.Env = []string{"TOLLGATE_DATABASE_URL=" + url}
	if text, err := migrate.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("migrate: %w\n%s", err, text)
	}
	if s.nats, err = natsd.Start(natsd.Options{StoreDir: filepath.Join(o.dir, "nats"), Port: -1}); err != nil {
		return nil, err
	}
	if err := s.configure(ctx, o, url); err != nil {
		return nil, err
	}
	return s, nil
}

func (s *stack) configure(ctx context.Context, o options, databaseURL string) error {
	var addrs []string
	for range 2 + 2*o.edges {
		addr, err := freeAddress(ctx)
		if err != nil {
			return err
		}
		addrs = append(addrs, addr)
	}
	controlAddr, ledgerAddr, addrs := addrs[0], addrs[1], addrs[2:]
	sealing := seal.Generate()
	var err error
	if s.control, err = newProcess(o, "controlplane", "controlplane", fmt.Sprintf(`
listen: %q
database_url: %q
nats: {url: %q, name: controlplane}
admin_token: %q
master_key: %q
sealing_key: %q
ledger_url: "http://%s"
ledger_token: %q
`, controlAddr, databaseURL, s.nats.URL(), adminToken, seal.Generate(), sealing, ledgerAddr, ledgerToken)); err != nil {
		return err
	}
	if s.ledger, err = newProcess(o, "ledger", "ledger", fmt.Sprintf(`
listen: %q
database_url: %q
nats: {url: %q, name: ledger}
token: %q
stream_max_bytes: 268435456
`, ledgerAddr, databaseURL, s.nats.URL(), ledgerToken)); err != nil {
		return err
	}
	for i := range o.edges {
		e := &edge{addr: addrs[2*i], admin: addrs[2*i+1], stopT: o.drain + 15*time.Second}
		name := fmt.Sprintf("edge-%d", i+1)
		if e.process, err = newProcess(o, name, "edge", fmt.Sprintf(`
name: %s
listen: %q
admin_listen: %q
data_dir: %q
nats: {url: %q, name: %s}
sealing_key: %q
allow_private_targets: true
lease_wait: 5s # the machine is busy with callers and vendors
drain: %s
`, name, e.addr, e.admin, filepath.Join(o.dir, name), s.nats.URL(), name, sealing, o.drain)); err != nil {
			return err
		}
		s.edges = append(s.edges, e)
	}
	for _, p := range append([]*process{s.control, s.ledger}, s.edgeProcesses()...) {
		if err := p.start(); err != nil {
			return err
		}
	}
	if err := s.control.await(ctx, "http://"+controlAddr+"/readyz"); err != nil {
		return err
	}
	if err := s.ledger.await(ctx, "http://"+ledgerAddr+"/readyz"); err != nil {
		return err
	}
	s.rpc = newClients("http://" + controlAddr)
	return nil
}

func (s *stack) edgeProcesses() (list []*process) {
	for _, e := range s.edges {
		list = append(list, e.process)
	}
	return list
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

// stopEdges stops all of them at once, and says which did not stop as they should.
func (s *stack) stopEdges() error {
	ended := make(chan error, len(s.edges))
	for _, e := range s.edges {
		go func() { ended <- e.stop(e.stopT) }()
	}
	var errs []error
	for range s.edges {
		errs = append(errs, <-ended)
	}
	return errors.Join(errs...)
}

// stop ends what still runs, in an order in which nobody misses anybody.
func (s *stack) stop() error {
	errs := []error{s.stopEdges()}
	for _, p := range []*process{s.control, s.ledger} {
		if p != nil {
			errs = append(errs, p.stop(stopWithin))
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

// complaints are the lines of all logs that should not be there.
func (s *stack) complaints() (lines []string) {
	for _, p := range append([]*process{s.control, s.ledger}, s.edgeProcesses()...) {
		if _, err := os.Stat(p.log); err == nil {
			lines = append(lines, p.complaints()...)
		}
	}
	return lines
}
