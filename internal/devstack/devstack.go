package devstack

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"tollgate/controlplane"
	"tollgate/edge"
	"tollgate/edge/preview"
	controlv1 "tollgate/gen/tollgate/control/v1"
	"tollgate/internal/bus"
	"tollgate/internal/config"
	"tollgate/internal/contract"
	"tollgate/internal/devpg"
	"tollgate/internal/devstack/sample"
	"tollgate/internal/fault"
	"tollgate/internal/lifecycle"
	"tollgate/internal/natsd"
	"tollgate/internal/plan"
	"tollgate/ledger"
)

// Options are what `tollgate dev` can be told.
type Options struct {
	Dir         string                              // data directory
	Host        string                              // address to listen on; loopback unless told otherwise
	Port        int                                 // gateway of the first edge; the next free one is taken if it is busy
	ControlPort int                                 // control plane, likewise
	Edges       int                                 // how many edges
	NATSPort    int                                 // where edges of other processes reach NATS; 0 for nowhere, -1 for any free port
	Partitions  int                                 // of the ledger; 0 for as many as the data has, or one
	Demo        bool                                // a mock vendor, endpoints to it, a key and a budget
	SampleData  bool                                // a deployment that looks used for a month
	Traffic     int                                 // requests a second with its keys; 0 for none
	Plan        *plan.Plan                          // what a LiteLLM file comes to, applied at start
	Files       *controlv1.ConfigInput              // files of configuration and the values of their secrets, applied at start
	PlanFile    string                              // its name, to be shown
	Reset       bool                                // delete the data directory first
	Contexts    string                              // file of the command line's contexts, which this stack joins while it runs; empty for none
	DatabaseURL string                              // an existing PostgreSQL database instead of a private one
	LiteLLMAPI  string                              // address of LiteLLM's management calls; empty for none
	ConsoleDev  *url.URL                            // a server of Vite's that the console's pages come from; nil for those in the binary
	Browse      func(context.Context, string) error // opens the console; nil for nobody
	Serve       *Serve                              // how it serves other machines; nil for a developer's own
	Out         io.Writer                           // where the banner goes
	Log         *slog.Logger
}

// mostPartitions are plenty to see how they work. Each has a stream, for which NATS sets room aside on
// the disk.
const (
	mostPartitions = 64
	streamMaxBytes = 1 << 30
)

// sampleFile is where a data directory keeps what belongs to its sample data.
const sampleFile = "sample.json"

// mostTraffic is plenty to look at, and little to a gateway.
const mostTraffic = 1000

// drain is how long requests in flight have to finish at stop.
const drain = 10 * time.Second

// stack is what one run consists of, in the order in which it starts.
type stack struct {
	o       Options
	started time.Time
	creds   credentials

	leaveContext func() error // takes back what the command line was told; nil if it was not
	unlock       func()
	moved        map[string]int // by the port taken instead, the one that was asked for and is in use

	url     string // of the database
	pg      *devpg.Server
	nats    *natsd.Server
	ledger  *ledger.Service
	control *controlplane.Server
	edges   []*edge.Node
	vendor  *mockVendor
	sample  *sample.Kept // of the sample data; nil without it
	setup   setupResult
}

// bookEvery is how often the ledger books spend: at once, as a person sees it who asks what the
// call before cost. One machine's traffic is small enough for that.
const bookEvery = 10 * time.Millisecond

// Run starts everything, prints how to use it and serves until ctx ends.
func Run(ctx context.Context, o Options) error {
	if err := o.check(); err != nil {
		return err
	}
	if o.Reset {
		if err := reset(o.Dir); err != nil {
			return err
		}
	}
	s := &stack{o: o, started: time.Now(), moved: map[string]int{}}
	if err := s.prepare(); err != nil {
		return err
	}
	defer s.unlock()
	if err := s.infrastructure(ctx); err != nil {
		return err
	}
	defer s.closeInfrastructure()
	parts, err := s.parts(ctx)
	if err != nil {
		return err
	}
	err = lifecycle.Run(ctx, drain, parts...)
	if s.leaveContext != nil {
		err = errors.Join(err, s.leaveContext())
	}
	return err
}

// check refuses what cannot work or would be a trap, before anything is touched.
func (o Options) check() error {
	if o.Edges < 1 {
		return fault.New(fault.InvalidArgument, "--edges is %d, and at least one edge is needed.", o.Edges).WithHint("Leave it out for one edge.")
	}
	if o.Partitions < 0 || o.Partitions > mostPartitions {
		return fault.New(fault.InvalidArgument, "--partitions is %d, and at most %d are possible.", o.Partitions, mostPartitions).WithHint("Leave it out for one.")
	}
	for flag, port := range map[string]int{"port": o.Port, "control-port": o.ControlPort, "nats-port": max(o.NATSPort, 0)} {
		if port < 0 || port > 65535 {
			return fault.New(fault.InvalidArgument, "--%s is %d, and ports end at 65535.", flag, port).WithHint("Choose another; 0 takes any free one.")
		}
	}
	if o.Demo && !loopback(o.Host) {
		return fault.New(fault.InvalidArgument, "--demo makes a key that everyone knows, and --host %s lets others reach it.", o.Host).
			WithHint("Leave out one of the two.")
	}
	if o.Demo && o.SampleData {
		return fault.New(fault.InvalidArgument, "--demo and --sample-data both have endpoints bria and llm of their own.").WithHint("Leave out one of the two.")
	}
	if o.Traffic < 0 || o.Traffic > mostTraffic {
		return fault.New(fault.InvalidArgument, "--sample-traffic is %d, and at most %d requests a second are possible.", o.Traffic, mostTraffic).
			WithHint("0 switches it off.")
	}
	if o.Reset && o.DatabaseURL != "" {
		return fault.New(fault.InvalidArgument, "--reset would delete %s, which has the keys to what is stored in the database that DATABASE_URL names, but not the database.", o.Dir).
			WithHint("Unset DATABASE_URL to run a private database, or drop the schemas control and ledger there and delete %s yourself.", o.Dir)
	}
	return nil
}

// marker is a file that only a data directory has; reset deletes nothing without it.
const marker = "credentials.json"

func reset(dir string) error {
	if _, err := os.Stat(dir); errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if _, err := os.Stat(filepath.Join(dir, marker)); err != nil {
		return fault.New(fault.InvalidArgument, "--reset: %s does not look like a data directory of tollgate dev.", dir).
			WithHint("Name another with --data, or delete it yourself.")
	}
	unlock, err := lockDir(dir)
	if err != nil {
		return err
	}
	defer unlock()
	if err := devpg.Remove(filepath.Join(dir, "postgres")); err != nil {
		return err
	}
	return os.RemoveAll(dir)
}

func (s *stack) prepare() error {
	if err := os.MkdirAll(s.o.Dir, 0o755); err != nil { //nolint:gosec // the database's account must be able to pass; files in it are private
		return fmt.Errorf("data directory: %w", err)
	}
	var err error
	if s.unlock, err = lockDir(s.o.Dir); err != nil {
		return err
	}
	if s.o.Partitions, err = partitions(s.o.Dir, s.o.Partitions); err == nil {
		s.creds, err = loadCredentials(s.o.Dir)
	}
	if err != nil {
		s.unlock()
	}
	return err
}

// infrastructure starts what the roles need: PostgreSQL and NATS side by side, then the schemas.
func (s *stack) infrastructure(ctx context.Context) (err error) {
	natsUp := make(chan error, 1)
	go func() {
		var err error
		s.nats, err = natsd.Start(natsd.Options{StoreDir: filepath.Join(s.o.Dir, "nats"), Name: "tollgate-dev", Port: s.o.NATSPort, Log: s.o.Log})
		natsUp <- err
	}()
	url := s.o.DatabaseURL
	if url == "" {
		s.pg, err = devpg.Start(ctx, devpg.Options{Dir: filepath.Join(s.o.Dir, "postgres"), Fsync: true, Log: s.o.Log})
		if err != nil {
			err = fmt.Errorf("private database: %w", cmp.Or(errors.Unwrap(err), err))
		} else {
			url = s.pg.URL("postgres")
		}
	}
	if err = errors.Join(err, <-natsUp); err == nil {
		if err = controlplane.Migrate(ctx, url, s.o.Log); err == nil {
			err = ledger.Migrate(ctx, url, s.o.Log)
		}
	}
	if err != nil {
		s.closeInfrastructure()
		return err
	}
	s.url = url
	return nil
}

func (s *stack) closeInfrastructure() {
	if s.nats != nil {
		s.nats.Stop()
	}
	if s.pg != nil {
		if err := s.pg.Stop(); err != nil {
			s.o.Log.Error("stop the private database", "err", err)
		}
	}
}

// parts makes the roles and lists them in the order in which they start.
func (s *stack) parts(ctx context.Context) ([]lifecycle.Part, error) {
	inProcess := []nats.Option{s.nats.ClientOption()}
	var parts []lifecycle.Part
	add := func(name string, run, ready func(context.Context) error) {
		parts = append(parts, lifecycle.Part{Name: name, Run: run, Ready: ready})
	}

	lcfg := ledger.DefaultConfig()
	lcfg.Listen = "127.0.0.1:0"
	lcfg.DatabaseURL = config.Secret(s.url)
	lcfg.Token = config.Secret(s.creds.LedgerToken)
	lcfg.FlushEvery = bookEvery
	lcfg.Partitions = uint32(s.o.Partitions)
	lcfg.StreamMaxBytes = streamMaxBytes / int64(s.o.Partitions)
	lcfg.NATS = busConfig("ledger")
	var err error
	if s.ledger, err = ledger.New(ctx, lcfg, ledger.Deps{Log: s.o.Log.With("role", "ledger"), NATS: inProcess}); err != nil {
		return nil, err
	}

	ccfg := controlplane.DefaultConfig()
	ccfg.Listen = s.listenOn(ctx, s.o.ControlPort)
	ccfg.LiteLLMAPI = s.o.LiteLLMAPI
	if s.o.Serve != nil {
		ccfg.Listen, ccfg.PublicURL = s.o.Serve.ControlListen, s.o.Serve.PublicURL
	}
	ccfg.DatabaseURL = config.Secret(s.url)
	ccfg.AdminToken = config.Secret(s.creds.AdminToken)
	ccfg.MasterKey = config.Secret(s.creds.MasterKey)
	ccfg.SealingKey = config.Secret(s.creds.SealingKey)
	ccfg.LedgerURL = "http://" + s.ledger.Addr()
	ccfg.LedgerToken = config.Secret(s.creds.LedgerToken)
	ccfg.Partitions = uint32(s.o.Partitions)
	ccfg.NATS = busConfig("controlplane")
	if url := s.nats.URL(); url != "" {
		ccfg.Edges = controlplane.Edges{NATSURL: url, LedgerURLs: []string{"http://" + s.ledger.Addr()}}
	}
	if s.control, err = controlplane.New(ctx, ccfg, controlplane.Deps{
		Log: s.o.Log.With("role", "controlplane"), Bus: inProcess, Drafts: preview.New(s.o.Log),
		Gateway: s.gateway(), ConsoleDev: s.o.ConsoleDev, Quiet: s.o.Serve == nil,
	}); err != nil {
		return nil, err
	}
	// The control plane comes first, because the others wait for the stream that it makes.
	add("control plane", s.control.Run, s.controlReady)
	add("ledger", s.ledger.Run, s.ledger.Ready)

	for i := range s.o.Edges {
		name := "edge-" + strconv.Itoa(i+1)
		ecfg := edge.DefaultConfig()
		ecfg.Name = name
		ecfg.Listen = s.listenOn(ctx, s.edgePort(i))
		ecfg.AdminListen = "127.0.0.1:0"
		ecfg.DataDir = filepath.Join(s.o.Dir, name)
		ecfg.SealingKey = config.Secret(s.creds.SealingKey)
		ecfg.LedgerURLs = []string{"http://" + s.ledger.Addr()}
		ecfg.LedgerToken = config.Secret(s.creds.LedgerToken)
		ecfg.AllowPrivateTargets = true // a developer's targets are on the same machine
		ecfg.Notice = 0                 // no balancer has to find out
		ecfg.NATS = busConfig(name)
		if s.o.Serve != nil {
			s.o.Serve.edge(&ecfg)
		}
		node, err := edge.New(ctx, ecfg, edge.Deps{Log: s.o.Log.With("role", name), Bus: inProcess, Getenv: os.LookupEnv})
		if err != nil {
			return nil, err
		}
		s.edges = append(s.edges, node)
		add(name, node.Run, nil)
	}
	at := ""
	if s.o.SampleData {
		if s.sample, err = sample.Load(filepath.Join(s.o.Dir, sampleFile)); err != nil {
			return nil, err
		}
		at = s.sample.Vendor
	}
	if s.o.Demo || s.o.SampleData {
		if s.vendor, err = newMockVendor(ctx, at); err != nil {
			return nil, err
		}
		parts = append(parts, lifecycle.Part{Name: "mock vendor", Run: s.vendor.Run, Stop: s.vendor.Stop})
	}
	// Not a server: it applies what was asked for and prints the banner once all the others serve.
	parts = append(parts, lifecycle.Part{Name: "setup", Ready: s.setUp})
	if s.o.SampleData && s.o.Traffic > 0 {
		t := &sample.Traffic{PerSecond: s.o.Traffic, Kept: s.sample, Log: s.o.Log.With("role", "sample traffic")}
		for _, e := range s.edges {
			t.Gateways = append(t.Gateways, local(e.Addr()))
		}
		add("sample traffic", t.Run, nil)
	}
	if s.o.Browse != nil {
		add("browser", s.browse, nil)
	}
	if s.o.Serve != nil {
		parts = append(parts, lifecycle.Part{Name: "files", Run: s.reapply})
	}
	return parts, nil
}

// controlReady returns once the control plane serves and has made the streams that edges read and
// write. An edge that comes earlier tries again, but not before a newcomer begins to wonder.
func (s *stack) controlReady(ctx context.Context) error {
	if err := s.control.Ready(ctx); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	conn, err := nats.Connect("", s.nats.ClientOption())
	if err != nil {
		return err
	}
	defer conn.Close()
	js, err := jetstream.New(conn)
	if err != nil {
		return err
	}
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for _, name := range []string{contract.StreamConfig, contract.StreamFleet} {
		for {
			if _, err := js.Stream(ctx, name); err == nil {
				break
			}
			select {
			case <-ctx.Done():
				return nil // slower, but it works without
			case <-tick.C:
			}
		}
	}
	return nil
}

func busConfig(name string) bus.Config { return bus.Config{URL: "nats://in-process", Name: name} }

// edgePort is the gateway port asked for edge i: the first gets the well-known one, the others the
// ones after the control plane's.
func (s *stack) edgePort(i int) int {
	if i == 0 || s.o.Port == 0 {
		return s.o.Port
	}
	return max(s.o.Port, s.o.ControlPort) + i
}
