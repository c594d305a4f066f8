// Command tollgate is all of Tollgate: the client for its API, the roles that make up a deployment,
// and `dev`, which runs them all in one process. It only puts these together; what they do is in the
// packages they come from.
package main

import (
	"context"
	"io"
	"log"
	"os"
	"os/signal"
	"syscall"
	_ "time/tzdata" // budgets have time zones, and a minimal image has no zone files

	"tollgate/controlplane/declare"
	"tollgate/internal/cli"
)

func main() {
	// net/http tells the standard logger of what a vendor sends unasked, bytes included, and no body
	// belongs into a log. Everything of ours has loggers of its own.
	log.SetOutput(io.Discard)
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:])
	stop()
	os.Exit(code)
}

// run is main without the process.
func run(ctx context.Context, args []string) int {
	return cli.Main(ctx, args, cli.ImportCommand(readLiteLLM), cli.ConfigCommands(secretSources), func(root *cli.Root) {
		root.AddServerCommands(devCommand(), upCommand(), controlplaneCommand(), edgeCommand(), ledgerCommand(root), migrateCommand(), adminCommand())
	})
}

// secretSources reads where files of configuration have the values of their secrets.
func secretSources(texts map[string][]byte) map[string]string {
	var files []declare.File
	for name, text := range texts {
		files = append(files, declare.File{Name: name, Text: text})
	}
	return declare.Sources(files)
}
