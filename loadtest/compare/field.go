package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"

	"tollgate/internal/gobuild"
	"tollgate/loadtest/compare/vendor"
)

// field is all that runs.
type field struct {
	o       options
	out     io.Writer
	dir     string
	ca      string
	vendor  *child
	at      vendor.Addresses
	proxies []*proxy
	stacks  []*stack
	binary  string // of Tollgate
	edge    edge   // with everything on
	left    []string
}

// startField returns when everything serves.
func startField(ctx context.Context, o options, out io.Writer) (_ *field, err error) {
	f := &field{o: o, out: out}
	if f.dir, err = os.MkdirTemp("", "tollgate-compare-"); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, f.stop())
		}
	}()
	// PostgreSQL, below it, may run as somebody else.
	if err := errors.Join(os.Chmod(f.dir, 0o755), writeCertificate(f.dir)); err != nil { //nolint:gosec // what is secret in it has a mode of its own
		return nil, err
	}
	ca, err := os.ReadFile(filepath.Join(f.dir, "ca.pem"))
	if err != nil {
		return nil, err
	}
	f.ca = string(ca)
	if f.vendor, f.at, err = startVendor(ctx, f.dir); err != nil {
		return nil, err
	}
	if slices.Contains(o.only, ours) {
		if err := f.startTollgate(ctx); err != nil {
			return nil, err
		}
	}
	return f, f.startPeers(ctx)
}

func (f *field) startPeers(ctx context.Context) error {
	for _, p := range peers {
		if !slices.Contains(f.o.only, p.name) {
			continue
		}
		path, err := p.find(f.o.getenv)
		if err != nil {
			f.leave("%s: %v", p.name, err)
			continue
		}
		running, err := p.start(ctx, path, f.dir, f.at)
		if err != nil {
			return err
		}
		f.proxies = append(f.proxies, running)
	}
	return nil
}

// leave says what is left out, and why.
func (f *field) leave(format string, args ...any) {
	text := "left out: " + fmt.Sprintf(format, args...)
	fmt.Fprintln(f.out, text)
	f.left = append(f.left, text)
}

// startTollgate starts the deployment, an edge with everything on and, where it is needed, one that speaks TLS.
func (f *field) startTollgate(ctx context.Context) error {
	f.binary = f.o.getenv("TOLLGATE")
	if f.binary == "" {
		f.binary = filepath.Join(f.dir, "tollgate")
		fmt.Fprintln(f.out, "building tollgate")
		if err := gobuild.Build(ctx, f.binary, gobuild.Tollgate); err != nil {
			return err
		}
	}
	s, err := f.startStack(ctx, "stack", true)
	if err != nil {
		return err
	}
	if f.edge, err = s.startEdge(ctx, edgeOptions{name: "edge"}); err != nil {
		return err
	}
	f.proxies = append(f.proxies, s.proxy(f.edge, ours))
	if f.o.has("tls", "tls-both", "h2") {
		e, err := s.startEdge(ctx, edgeOptions{name: "edge-tls", tls: true})
		if err != nil {
			return err
		}
		p := s.proxy(e, ours)
		p.plain, p.secure = "", p.plain
		f.proxies = append(f.proxies, p)
	}
	return s.awaitLive(ctx)
}

// startStack starts a deployment without edges.
func (f *field) startStack(ctx context.Context, name string, budgets bool) (*stack, error) {
	s, err := startStack(ctx, f.binary, filepath.Join(f.dir, name))
	if err != nil {
		return nil, err
	}
	f.stacks = append(f.stacks, s)
	return s, s.configure(ctx, f.at, f.ca, budgets)
}

// proxy is an edge as one of those that are compared.
func (s *stack) proxy(e edge, name string) *proxy {
	return &proxy{Life: e.Life, name: name, version: "this one", plain: e.addr, key: s.key, settled: s.books.settled}
}

func (f *field) stop() error {
	var errs []error
	for _, p := range f.proxies {
		if p.name != ours {
			errs = append(errs, p.Stop(stopWithin))
		}
	}
	for _, s := range f.stacks {
		errs = append(errs, s.stop())
	}
	if f.vendor != nil {
		errs = append(errs, f.vendor.stop())
	}
	return errors.Join(append(errs, os.RemoveAll(f.dir))...)
}
