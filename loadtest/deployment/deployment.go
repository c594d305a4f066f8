// Package deployment runs a whole Tollgate on this machine, each part a process of its own, so that a part can be stopped, killed and
// started again while the others serve. Parts keep their addresses and their disks over their lives. Its balancer sends a request to another
// edge only if it is certain that the first one has not taken it; what fails otherwise is for the load test to judge.
package deployment

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"tollgate/internal/devpg"
	"tollgate/internal/natsd"
	"tollgate/internal/program"
	"tollgate/internal/seal"
)

const (
	stopWithin  = 40 * time.Second // for the control plane and the ledger
	ledgerToken = "tgl_load-ledger"
)

// AdminToken is what administrators of the control plane show.
const AdminToken = "tga_load-admin"

// Options say what is run.
type Options struct {
	Dir         string        // of all files; it is made if it is not there
	Tollgate    string        // path of the binary
	DatabaseURL string        // empty for a PostgreSQL of its own
	Edges       int           // how many
	Drain       time.Duration // of the edges
}

// Edge is one edge and where it is.
type Edge struct {
	*Process
	Addr  string // of traffic
	Admin string
	stopT time.Duration
}

// Stop ends the edge in order, with the time that it drains.
func (e *Edge) Stop() error { return e.stop(e.stopT) }

// AwaitReady returns when the edge takes requests.
func (e *Edge) AwaitReady(ctx context.Context) error {
	return e.await(ctx, "http://"+e.Admin+"/-/readyz")
}

// Deployment is a whole Tollgate.
type Deployment struct {
	Edges  []*Edge
	Server string // URL of the control plane

	pg      *devpg.Server // nil if somebody else's is used
	nats    *natsd.Server
	control *Process
	ledger  *Process
}

// Start returns when the control plane and the ledger serve. The edges run, and are ready when they have a configuration.
func Start(ctx context.Context, o Options) (_ *Deployment, err error) {
	d := &Deployment{}
	defer func() {
		if err != nil {
			err = errors.Join(err, d.Stop())
		}
	}()
	if err := os.MkdirAll(o.Dir, 0o700); err != nil {
		return nil, err
	}
	url := o.DatabaseURL
	if url == "" {
		if d.pg, err = devpg.Start(ctx, devpg.Options{Dir: filepath.Join(o.Dir, "pg")}); err != nil {
			return nil, err
		}
		url = d.pg.URL("postgres")
	}
	migrate := exec.CommandContext(ctx, o.Tollgate, "migrate")
	migrate.Env = []string{"TOLLGATE_DATABASE_URL=" + url}
	if text, err := migrate.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("migrate: %w\n%s", err, text)
	}
	if d.nats, err = natsd.Start(natsd.Options{StoreDir: filepath.Join(o.Dir, "nats"), Port: -1}); err != nil {
		return nil, err
	}
	if err := d.configure(ctx, o, url); err != nil {
		return nil, err
	}
	return d, nil
}

func (d *Deployment) configure(ctx context.Context, o Options, databaseURL string) error {
	var addrs []string
	for range 2 + 2*o.Edges {
		addr, err := program.FreeAddress(ctx)
		if err != nil {
			return err
		}
		addrs = append(addrs, addr)
	}
	controlAddr, ledgerAddr, addrs := addrs[0], addrs[1], addrs[2:]
	sealing := seal.Generate()
	var err error
	if d.control, err = newProcess(o, "controlplane", "controlplane", fmt.Sprintf(`
listen: %q
database_url: %q
nats: {url: %q, name: controlplane}
admin_token: %q
master_key: %q
sealing_key: %q
ledger_url: "http://%s"
ledger_token: %q
`, controlAddr, databaseURL, d.nats.URL(), AdminToken, seal.Generate(), sealing, ledgerAddr, ledgerToken)); err != nil {
		return err
	}
	if d.ledger, err = newProcess(o, "ledger", "ledger", fmt.Sprintf(`
listen: %q
database_url: %q
nats: {url: %q, name: ledger}
token: %q
stream_max_bytes: 268435456
`, ledgerAddr, databaseURL, d.nats.URL(), ledgerToken)); err != nil {
		return err
	}
	for i := range o.Edges {
		e := &Edge{Addr: addrs[2*i], Admin: addrs[2*i+1], stopT: o.Drain + 15*time.Second}
		name := fmt.Sprintf("edge-%d", i+1)
		if e.Process, err = newProcess(o, name, "edge", fmt.Sprintf(`
name: %s
listen: %q
admin_listen: %q
data_dir: %q
nats: {url: %q, name: %s}
sealing_key: %q
allow_private_targets: true
lease_wait: 5s # the machine is busy with callers and vendors
drain: %s
`, name, e.Addr, e.Admin, filepath.Join(o.Dir, name), d.nats.URL(), name, sealing, o.Drain)); err != nil {
			return err
		}
		d.Edges = append(d.Edges, e)
	}
	for _, p := range d.processes() {
		if err := p.Start(); err != nil {
			return err
		}
	}
	if err := d.control.await(ctx, "http://"+controlAddr+"/readyz"); err != nil {
		return err
	}
	if err := d.ledger.await(ctx, "http://"+ledgerAddr+"/readyz"); err != nil {
		return err
	}
	d.Server = "http://" + controlAddr
	return nil
}

func (d *Deployment) processes() (list []*Process) {
	for _, p := range []*Process{d.control, d.ledger} {
		if p != nil {
			list = append(list, p)
		}
	}
	for _, e := range d.Edges {
		list = append(list, e.Process)
	}
	return list
}

// StopEdges stops all of them at once, and says which did not stop as they should.
func (d *Deployment) StopEdges() error {
	ended := make(chan error, len(d.Edges))
	for _, e := range d.Edges {
		go func() { ended <- e.Stop() }()
	}
	var errs []error
	for range d.Edges {
		errs = append(errs, <-ended)
	}
	return errors.Join(errs...)
}

// Stop ends what still runs, in an order in which nobody misses anybody.
func (d *Deployment) Stop() error {
	errs := []error{d.StopEdges()}
	for _, p := range []*Process{d.control, d.ledger} {
		if p != nil {
			errs = append(errs, p.stop(stopWithin))
		}
	}
	if d.nats != nil {
		d.nats.Stop()
	}
	if d.pg != nil {
		errs = append(errs, d.pg.Stop())
	}
	return errors.Join(errs...)
}

// Complaints are the lines of all logs that should not be there.
func (d *Deployment) Complaints() (lines []string) {
	for _, p := range d.processes() {
		if _, err := os.Stat(p.Log); err == nil {
			lines = append(lines, p.complaints()...)
		}
	}
	return lines
}
