package main

import (
	"bytes"
	"context"
	"embed"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"text/template"

	"tollgate/internal/program"
	"tollgate/loadtest/compare/vendor"
)

// proxy is one of those that are compared, as a process of its own.
type proxy struct {
	*program.Life

	name    string
	version string
	plain   string // address for callers in plain text
	secure  string // address for callers in TLS; empty if nobody asked for it
	key     string // which its callers have
	// settled returns when it has done all that its requests brought about, of which there were so many in its life.
	settled func(ctx context.Context, r sent) error
}

// sent is what callers have sent.
type sent struct {
	requests int64
	messages int64 // over WebSockets, which these requests then were
	left     int64 // requests whose callers left in the middle of the answer
}

//go:embed peers
var peerFiles embed.FS

// peer is a proxy that is not ours.
type peer struct {
	name    string
	title   string // as people write it
	binary  string
	file    string // in peers
	args    func(file string) []string
	version func(ctx context.Context, binary string) string
	install string
}

var peers = []peer{
	{
		name: "nginx", title: "NGINX", binary: "nginx", file: "nginx.conf", install: "apt-get install nginx-light",
		args:    func(file string) []string { return []string{"-p", filepath.Dir(file), "-c", file} },
		version: saying("-v", "nginx/"),
	},
	{
		name: "haproxy", title: "HAProxy", binary: "haproxy", file: "haproxy.cfg", install: "apt-get install haproxy",
		args:    func(file string) []string { return []string{"-db", "-f", file} },
		version: saying("-v", "version "),
	},
	{
		name: "caddy", title: "Caddy", binary: "caddy", file: "Caddyfile", install: "make compare builds it",
		args:    func(file string) []string { return []string{"run", "--adapter", "caddyfile", "--config", file} },
		version: built("github.com/caddyserver/caddy/v2"),
	},
}

// saying finds the version that a program prints after a word.
func saying(flag, word string) func(context.Context, string) string {
	return func(ctx context.Context, binary string) string {
		text, _ := exec.CommandContext(ctx, binary, flag).CombinedOutput() // without an answer it is unknown
		return wordAfter(string(text), word)
	}
}

// built finds the version of a module that a program in Go was made of.
func built(module string) func(context.Context, string) string {
	return func(ctx context.Context, binary string) string {
		text, _ := exec.CommandContext(ctx, "go", "version", "-m", binary).Output() // without an answer it is unknown
		return wordAfter(string(text), module+"\t")
	}
}

func wordAfter(text, before string) string {
	_, after, ok := strings.Cut(text, before)
	if fields := strings.Fields(after); ok && len(fields) > 0 {
		return fields[0]
	}
	return "unknown"
}

// find looks for a peer's program: where the environment says, and where systems have it.
func (p peer) find(getenv func(string) string) (string, error) {
	built, _ := filepath.Glob(filepath.Join(".tmp/bin", p.binary+"-*")) // the pattern is right
	for _, path := range slices.Concat([]string{getenv(strings.ToUpper(p.name)), p.binary, "/usr/sbin/" + p.binary, "/usr/local/sbin/" + p.binary}, built) {
		if found, err := exec.LookPath(path); err == nil {
			return filepath.Abs(found)
		}
	}
	return "", fmt.Errorf("%s is not installed (%s)", p.name, p.install)
}

// place is where a peer finds what its configuration names.
type place struct {
	Dir        string
	Plain, TLS string
	Vendor     vendor.Addresses
	Root       bool
}

func (p place) PlainPort() (string, error) { return port(p.Plain) }
func (p place) TLSPort() (string, error)   { return port(p.TLS) }

func port(address string) (string, error) {
	_, port, err := net.SplitHostPort(address)
	return port, err
}

// start runs a peer and returns when it serves.
func (p peer) start(ctx context.Context, path, dir string, v vendor.Addresses) (*proxy, error) {
	where := place{Dir: dir, Vendor: v, Root: os.Geteuid() == 0}
	for _, address := range []*string{&where.Plain, &where.TLS} {
		var err error
		if *address, err = program.FreeAddress(ctx); err != nil {
			return nil, err
		}
	}
	text, err := peerFiles.ReadFile("peers/" + p.file)
	if err != nil {
		return nil, err
	}
	parsed, err := template.New(p.file).Parse(string(text))
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	if err := parsed.Execute(&out, where); err != nil {
		return nil, err
	}
	file := filepath.Join(dir, p.file)
	if err := os.WriteFile(file, out.Bytes(), 0o600); err != nil {
		return nil, err
	}
	running, err := part(p.name, dir, path, p.args(file)...).Start()
	if err != nil {
		return nil, err
	}
	if err := running.Await(ctx, program.Listens(where.Plain, where.TLS)); err != nil {
		return nil, errors.Join(err, running.Stop(stopWithin))
	}
	return &proxy{
		Life: running, name: p.name, version: p.version(ctx, path), plain: where.Plain, secure: where.TLS, key: otherKey,
		settled: unbooked,
	}, nil
}

// otherKey is what callers send to proxies that look at no key: as long as ours.
const otherKey = "tgk_0123456789abcdefghijklmnopqrstuvwxyzABCDEF"

// threads are how many a program may have that is written in Go; the others are told in their configuration.
const threads = "2"

// part is a program of the comparison, which has its log in dir.
func part(name, dir, path string, args ...string) program.Program {
	return program.Program{Name: name, Path: path, Args: args, Env: []string{"GOMAXPROCS=" + threads}, Log: filepath.Join(dir, name+".log")}
}
