// Command loadtest runs a whole Tollgate on this machine, drives its gateways with k6 and then asks
// whether the money is right: what the ledger has booked must be exactly what the vendor was asked
// for, at the price of a request. It measures one process on a machine that also runs the load and
// the vendor, so its times show regressions of the path as a whole and are no statement of capacity.
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
	"strings"
	"syscall"
	"time"

	"tollgate/internal/gobuild"
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
		fmt.Fprintln(os.Stderr, "loadtest:", err)
		os.Exit(1)
	}
}

// options are the command line.
type options struct {
	scenarios []scenario
	edges     int
	rate      int
	duration  time.Duration
	k6        string // path of k6
	tollgate  string // path of the binary; empty to build it
	database  string // URL, where the parts are processes of their own; empty for a PostgreSQL of its own
}

func parseOptions(args []string, getenv func(string) string, out io.Writer) (options, error) {
	var o options
	var names string
	f := flag.NewFlagSet("loadtest", flag.ContinueOnError)
	f.SetOutput(out)
	f.StringVar(&names, "scenario", strings.Join(scenarioNames(), ","), "what to run, comma-separated: "+strings.Join(scenarioNames(), ", "))
	f.IntVar(&o.edges, "edges", 3, "how many edges to run")
	f.IntVar(&o.rate, "rate", 100, "requests a second in all, where the scenario has a rate")
	f.DurationVar(&o.duration, "duration", 0, "how long to send, where the scenario has a rate; each has a short time of its own")
	if err := f.Parse(args); err != nil {
		return o, err
	}
	switch {
	case f.NArg() > 0:
		return o, fmt.Errorf("unexpected argument %q", f.Arg(0))
	case o.edges < 1:
		return o, fmt.Errorf("--edges: %d is not positive", o.edges)
	case o.rate < 1:
		return o, fmt.Errorf("--rate: %d is not positive", o.rate)
	case o.duration != 0 && o.duration < time.Second:
		return o, fmt.Errorf("--duration: %s is less than 1s", o.duration)
	}
	for name := range strings.SplitSeq(names, ",") {
		s, ok := scenarios[name]
		if !ok {
			return o, fmt.Errorf("--scenario: there is no %q, only %s", name, strings.Join(scenarioNames(), ", "))
		}
		if s.loss && o.edges < 2 {
			return o, fmt.Errorf("--edges: %d is less than 2, so that nobody serves while one is gone, which %s wants", o.edges, name)
		}
		s.name = name
		o.scenarios = append(o.scenarios, s)
	}
	o.k6, o.tollgate = getenv("K6"), getenv("TOLLGATE")
	if o.k6 == "" {
		return o, errors.New("K6 names no k6 binary: run `make loadtest ARGS='…'`, which builds one and sets it")
	}
	return o, nil
}

// startupTime bounds everything but the scenarios: building, starting, stopping.
const startupTime = 5 * time.Minute

// run is main without the process.
func run(ctx context.Context, args []string, getenv func(string) string, out io.Writer) (err error) {
	o, err := parseOptions(args, getenv, out)
	if err != nil {
		return err
	}
	bound := startupTime
	for _, s := range o.scenarios {
		bound += s.bound(o)
	}
	ctx, cancel := context.WithTimeout(ctx, bound)
	defer cancel()

	dir, err := os.MkdirTemp("", "tollgate-loadtest-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	if o.tollgate == "" {
		o.tollgate = filepath.Join(dir, "tollgate")
		fmt.Fprintln(out, "building tollgate")
		if err := gobuild.Build(ctx, o.tollgate, gobuild.Tollgate); err != nil {
			return err
		}
	}
	var together []scenario
	for _, one := range o.scenarios {
		if !one.loss {
			together = append(together, one)
		}
	}
	if len(together) > 0 {
		if err := playTogether(ctx, o, together, dir, out); err != nil {
			return err
		}
	}
	for _, one := range o.scenarios {
		if one.loss {
			if err := playLoss(ctx, o, one, dir, out); err != nil {
				return fmt.Errorf("scenario %s: %w", one.name, err)
			}
		}
	}
	return nil
}

// playTogether plays scenarios one after the other on one stack.
func playTogether(ctx context.Context, o options, list []scenario, dir string, out io.Writer) (err error) {
	vendor, err := startVendor(ctx)
	if err != nil {
		return err
	}
	defer vendor.stop()
	s, err := startStack(ctx, o, dir)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			s.showLog(out)
		}
		err = errors.Join(err, s.stop())
	}()
	if err := s.createEndpoint(ctx, vendor.url()); err != nil {
		return err
	}
	for _, one := range list {
		if err := s.play(ctx, o, one, vendor, dir, out); err != nil {
			return fmt.Errorf("scenario %s: %w", one.name, err)
		}
	}
	return nil
}
