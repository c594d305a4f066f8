package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"tollgate/internal/program"
)

// stack is a running `tollgate dev` and the clients of its API.
type stack struct {
	program program.Program
	life    *program.Life
	edges   int
	banner
	clients
}

const stopTimeout = 40 * time.Second // more than the stack takes to drain

// startStack starts tollgate with data of its own and returns when it serves.
func startStack(ctx context.Context, o options, dir string) (_ *stack, err error) {
	var printed bannerWriter
	s := &stack{edges: o.edges, program: program.Program{
		Name: "tollgate dev", Path: o.tollgate,
		Args: []string{"dev", "--data", filepath.Join(dir, "data"), "--edges", strconv.Itoa(o.edges), "--port", "0", "--control-port", "0"},
		Env:  ownEnvironment(os.Environ()), Log: filepath.Join(dir, "tollgate.log"), Stdout: &printed,
	}}
	if s.life, err = s.program.Start(); err != nil {
		return nil, err
	}
	if err := s.life.Await(ctx, printed.whole); err != nil {
		return nil, errors.Join(err, s.stop())
	}
	if s.banner, err = parseBanner(printed.text()); err != nil {
		return nil, errors.Join(err, s.stop())
	}
	if len(s.gateways) != o.edges {
		return nil, errors.Join(fmt.Errorf("tollgate dev printed %d gateways for %d edges", len(s.gateways), o.edges), s.stop())
	}
	s.clients = newClients(s.control, s.token)
	return s, nil
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
func (s *stack) stop() error { return s.life.End(stopTimeout) }

// showLog prints the end of what the stack logged.
func (s *stack) showLog(out io.Writer) {
	const most = 4000
	fmt.Fprintf(out, "\nlog of tollgate dev:\n%s\n", s.program.Tail(most))
}
