// Command tollgate is all of Tollgate: the client for its API, the roles that make up a deployment,
// and `dev`, which runs them all in one process. It only puts these together; what they do is in the
// packages they come from.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
	_ "time/tzdata" // budgets have time zones, and a minimal image has no zone files

	"tollgate/controlplane/litellm"
	"tollgate/internal/cli"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:])
	stop()
	os.Exit(code)
}

// run is main without the process.
func run(ctx context.Context, args []string) int {
	convert := litellm.Converter{Getenv: os.Getenv}.Convert
	return cli.Main(ctx, args, cli.ImportCommand(convert), func(root *cli.Root) {
		root.AddServerCommands(devCommand(), controlplaneCommand(), edgeCommand(), ledgerCommand(), migrateCommand())
	})
}
