// Command with-postgres runs a command with a private PostgreSQL server and
// its address in TEST_POSTGRES, so that all test packages of a run share one.
// It exits as the command does. Where TEST_POSTGRES is set already it starts
// nothing.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"syscall"
	"time"

	"tollgate/internal/testenv"
)

func main() {
	args := os.Args[1:]
	if len(args) > 0 && args[0] == "--" {
		args = args[1:]
	}
	os.Exit(run(args, os.Stdin, os.Stdout, os.Stderr))
}

func run(args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	if len(args) == 0 {
		fmt.Fprintln(stderr, "usage: with-postgres -- COMMAND [ARGUMENT...]")
		return 2
	}
	// A terminal sends its interrupt to the command too; this process has to
	// outlive it and stop the server.
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()

	env := os.Environ()
	if os.Getenv(testenv.Env) == "" {
		pg, err := testenv.StartPostgres(ctx)
		if err != nil {
			fmt.Fprintln(stderr, "with-postgres:", err)
			return 1
		}
		defer func() {
			if err := pg.Stop(); err != nil {
				fmt.Fprintln(stderr, "with-postgres:", err)
			}
		}()
		env = append(env, testenv.Env+"="+pg.URL("postgres"))
	}
	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	cmd.Env, cmd.Stdin, cmd.Stdout, cmd.Stderr = env, stdin, stdout, stderr
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 10 * time.Second
	err := cmd.Run()
	if exit, ok := errors.AsType[*exec.ExitError](err); ok && exit.ExitCode() > 0 {
		return exit.ExitCode()
	}
	if err != nil {
		fmt.Fprintln(stderr, "with-postgres:", err)
		return 1
	}
	return 0
}
