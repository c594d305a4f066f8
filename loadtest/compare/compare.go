// Command compare runs an edge of Tollgate beside NGINX, HAProxy and Caddy, all in front of one vendor, and prints what a
// request costs each of them: CPU, latency at fixed rates, memory of streams that are open. It does so in rounds in which
// each has its turn, since a machine is never the same twice, and compares only what was measured in one round.
//
// The vendor, the load and each proxy are processes of their own, and so are the parts of Tollgate behind the edge. What
// an edge does after its requests, which is to tell the ledger of each, counts as part of them. Every answer is checked,
// and in the end the ledger's books are, to the nano-dollar: what is measured is an edge that does all of its work.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := start(ctx, os.Args[1:])
	stop()
	switch {
	case err == nil:
	case errors.Is(err, flag.ErrHelp):
		os.Exit(2)
	default:
		fmt.Fprintln(os.Stderr, "compare:", err)
		os.Exit(1)
	}
}

// start is the role that the first argument names, or the comparison.
func start(ctx context.Context, args []string) error {
	switch {
	case len(args) == 2 && args[0] == roleVendor:
		return serveVendor(ctx, args[1], os.Stdin, os.Stdout)
	case len(args) == 1 && args[0] == roleLoad:
		return runLoad(os.Stdin, os.Stdout)
	default:
		return run(ctx, args, os.Getenv, os.Stdout)
	}
}

// run is main without the process.
func run(ctx context.Context, args []string, getenv func(string) string, out io.Writer) error {
	o, err := parseOptions(args, getenv, out)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, longestRun)
	defer cancel()
	f, err := startField(ctx, o, out)
	if err != nil {
		return err
	}
	results, err := f.play(ctx)
	if err == nil {
		results.print(out)
		if o.write {
			err = results.write(".")
		}
	}
	return errors.Join(err, f.stop())
}
