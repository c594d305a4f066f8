// Command soak runs a whole Tollgate on this machine, each part a process of its own, and sends it mixed
// traffic with many open streams while its configuration changes every second and its edges restart in
// turn. It fails if any request fails that the vendor did not fail, if a byte differs on its way, if the
// ledger's sum is not the vendor's to the nano-dollar, or if edges keep memory, goroutines or files.
//
// It shows what lasts and measures no capacity: callers and vendors share the machine with what they test.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"tollgate/internal/gobuild"
	"tollgate/loadtest/deployment"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Getenv, os.Stdout)
	stop()
	switch {
	case err == nil:
	case errors.Is(err, flag.ErrHelp):
		os.Exit(2)
	default:
		fmt.Fprintln(os.Stderr, "soak:", err)
		os.Exit(1)
	}
}

// options say how much of everything there is.
type options struct {
	duration    time.Duration // of the traffic
	streams     int           // open at a time
	silent      int           // streams that are open from the beginning to the end, and silent
	edges       int           // one of which never restarts
	restart     time.Duration // between the end of a restart and the next one
	change      time.Duration // between changes of the configuration
	shortest    time.Duration // of streams
	longest     time.Duration
	drain       time.Duration // of the edges
	tollgate    string        // path of the binary
	databaseURL string        // empty for a PostgreSQL of its own
	dir         string
	keep        bool // the directory, when the run has failed
}

func parseOptions(args []string, getenv func(string) string, out io.Writer) (options, error) {
	var o options
	f := flag.NewFlagSet("soak", flag.ContinueOnError)
	f.SetOutput(out)
	f.DurationVar(&o.duration, "duration", 3*time.Minute, "how long to send")
	f.IntVar(&o.streams, "streams", 2000, "streams that are open at a time; other traffic is in proportion")
	f.IntVar(&o.silent, "silent", 200, "streams that are open all the time and silent, on the edge that never restarts")
	f.IntVar(&o.edges, "edges", 4, "how many edges to run, one of which never restarts")
	f.DurationVar(&o.restart, "restart", 10*time.Second, "time from the end of one restart to the next")
	f.DurationVar(&o.change, "change", time.Second, "time between changes of the configuration")
	f.DurationVar(&o.shortest, "shortest", 5*time.Second, "shortest stream")
	f.DurationVar(&o.longest, "longest", 15*time.Second, "longest stream")
	f.BoolVar(&o.keep, "keep", false, "keep the files of a run that has failed")
	if err := f.Parse(args); err != nil {
		return o, err
	}
	switch {
	case f.NArg() > 0:
		return o, fmt.Errorf("unexpected argument %q", f.Arg(0))
	case o.edges < 2:
		return o, fmt.Errorf("--edges: %d is less than 2, so that nobody serves while one restarts", o.edges)
	case o.streams < 1:
		return o, fmt.Errorf("--streams: %d is not positive", o.streams)
	case o.silent < 1:
		return o, fmt.Errorf("--silent: %d is not positive", o.silent)
	case o.duration < time.Second, o.restart <= 0, o.change <= 0, o.shortest <= 0, o.longest < o.shortest:
		return o, errors.New("times must be positive, the duration at least 1s, and --longest no less than --shortest")
	}
	o.drain = o.longest + 15*time.Second
	o.tollgate = getenv("TOLLGATE")
	return o, nil
}

// aroundTraffic bounds building, starting, settling and stopping.
const aroundTraffic = 5 * time.Minute

// run is main without the process.
func run(ctx context.Context, args []string, getenv func(string) string, out io.Writer) (err error) {
	o, err := parseOptions(args, getenv, out)
	if err != nil {
		return err
	}
	if o.dir, err = os.MkdirTemp("", "tollgate-soak-"); err != nil {
		return err
	}
	defer func() {
		if err != nil && o.keep {
			fmt.Fprintln(out, "files are in", o.dir)
			return
		}
		err = errors.Join(err, os.RemoveAll(o.dir))
	}()
	if o.tollgate == "" {
		o.tollgate = filepath.Join(o.dir, "tollgate")
		fmt.Fprintln(out, "building tollgate")
		if err := gobuild.Build(ctx, o.tollgate, gobuild.Tollgate); err != nil {
			return err
		}
	}
	return soak(ctx, o, out)
}

// soak is the whole run, from the first process to the report.
func soak(ctx context.Context, o options, out io.Writer) (err error) {
	ctx, cancel := context.WithTimeout(ctx, o.duration+aroundTraffic)
	defer cancel()
	vendors, err := startVendors(ctx, 3)
	if err != nil {
		return err
	}
	defer vendors.stop()
	s, err := deployment.Start(ctx, deployment.Options{Dir: o.dir, Tollgate: o.tollgate, DatabaseURL: o.databaseURL, Edges: o.edges, Drain: o.drain})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Stop()) }()
	b := deployment.NewBalancer(ctx, s.Edges)
	defer b.Stop()
	c, err := newChanges(ctx, newClients(s.Server), vendors, b)
	if err != nil {
		return err
	}
	w := newWatch(s.Edges)
	if err := w.baseline(ctx); err != nil {
		return err
	}
	t := newTraffic(o, b, c)
	q := newSilence(t, w, vendors)
	fmt.Fprintf(out, "opening %d silent streams\n", o.silent)
	if err := q.begin(ctx); err != nil {
		q.close()
		return err
	}
	fmt.Fprintf(out, "%d streams and other traffic for %s through %d edges\n", o.streams, o.duration, o.edges)

	r := &report{began: time.Now(), watch: w, vendors: vendors, changes: c, traffic: t, silence: q}
	r.failed = during(ctx, o, b, c, w, t, q)
	r.took = time.Since(r.began)
	// What is left open now is left by an edge, not by a peer.
	b.CloseIdle()
	vendors.closeIdle()
	r.settled = w.awaitSettled(ctx)
	r.books = c.awaitBooks(ctx, vendors)
	r.stopped = s.StopEdges()
	r.logged = s.Complaints()
	r.print(out)
	return r.verdict()
}

// during has everything happen at once until the time is over and each of them has come to its end.
func during(ctx context.Context, o options, b *deployment.Balancer, c *changes, w *watch, t *traffic, q *silence) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	over, stop := context.WithTimeout(ctx, o.duration)
	defer stop()
	parts := []func() error{
		func() error { return t.run(ctx, over) },
		func() error { return c.run(ctx, over, o.change) },
		func() error { return restarts(ctx, over, o, b, w) },
		func() error { return w.run(over) },
		func() error { return q.run(ctx, over) },
	}
	ended := make(chan error, len(parts))
	for _, part := range parts {
		go func() {
			err := part()
			if err != nil {
				cancel(err)
			}
			ended <- err
		}()
	}
	var errs []error
	for range parts {
		errs = append(errs, <-ended)
	}
	return errors.Join(errs...)
}
