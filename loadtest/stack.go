package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// stack is a running `tollgate dev` and the clients of its API.
type stack struct {
	cmd    *exec.Cmd
	exited chan struct{}
	err    error // how it ended; valid after exited
	log    string
	edges  int
	banner
	clients
}

const (
	startTimeout = 2 * time.Minute
	stopTimeout  = 40 * time.Second // more than the stack takes to drain
)

// startStack starts tollgate with data of its own and returns when it serves.
func startStack(ctx context.Context, o options, dir string, out io.Writer) (*stack, error) {
	s := &stack{exited: make(chan struct{}), edges: o.edges, log: filepath.Join(dir, "tollgate.log")}
	log, err := os.Create(s.log)
	if err != nil {
		return nil, err
	}
	defer log.Close() //nolint:errcheck // the child has its own; nothing was written to this one
	printed := newBannerWriter()
	// It outlives the context, so that stop can let it wind up.
	s.cmd = exec.CommandContext(context.WithoutCancel(ctx), o.tollgate, "dev", "--data", filepath.Join(dir, "data"),
		"--edges", strconv.Itoa(o.edges), "--port", "0", "--control-port", "0")
	s.cmd.Env = ownEnvironment(os.Environ())
	s.cmd.Stdout, s.cmd.Stderr = printed, log
	if err := s.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start tollgate: %w", err)
	}
	go func() {
		s.err = s.cmd.Wait()
		close(s.exited)
	}()
	if err := s.await(ctx, printed); err != nil {
		s.showLog(out)
		return nil, errors.Join(err, s.stop())
	}
	if len(s.gateways) != o.edges {
		return nil, errors.Join(fmt.Errorf("tollgate dev printed %d gateways for %d edges", len(s.gateways), o.edges), s.stop())
	}
	s.clients = newClients(s.control, s.token)
	return s, nil
}

// await returns when the stack has printed how to use it.
func (s *stack) await(ctx context.Context, printed *bannerWriter) error {
	timer := time.NewTimer(startTimeout)
	defer timer.Stop()
	select {
	case <-printed.complete:
		b, err := parseBanner(printed.text())
		s.banner = b
		return err
	case <-s.exited:
		return fmt.Errorf("tollgate dev ended before it served: %w", s.err)
	case <-timer.C:
		return fmt.Errorf("tollgate dev did not serve within %s; it printed %q", startTimeout, printed.text())
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// ownEnvironment is env without what would make the stack use anybody else's database or settings.
func ownEnvironment(env []string) []string {
	var out []string
	for _, e := range env {
		name, _, _ := strings.Cut(e, "=")
		if name != "DATABASE_URL" && !strings.HasPrefix(name, "TOLLGATE") {
			out = append(out, e)
		}
	}
	return out
}

// stop ends the stack as an operator would, and makes sure that it is gone.
func (s *stack) stop() error {
	_ = s.cmd.Process.Signal(syscall.SIGTERM) // it may have ended
	timer := time.NewTimer(stopTimeout)
	defer timer.Stop()
	select {
	case <-s.exited:
		if s.err != nil {
			return fmt.Errorf("tollgate dev: %w", s.err)
		}
		return nil
	case <-timer.C:
		_ = s.cmd.Process.Kill()
		<-s.exited
		return fmt.Errorf("tollgate dev did not stop within %s and was killed", stopTimeout)
	}
}

// showLog prints the end of what the stack logged.
func (s *stack) showLog(out io.Writer) {
	const most = 4000
	text, err := os.ReadFile(s.log)
	if err != nil || len(text) == 0 {
		return
	}
	fmt.Fprintf(out, "\nlog of tollgate dev:\n%s\n", text[max(0, len(text)-most):])
}
