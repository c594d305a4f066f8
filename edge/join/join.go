// Package join gets a new edge its settings from a control plane, for a token that works once, and keeps them beside its data: from then
// on it starts without the token, and without the control plane.
//
// It decides nothing about the settings; whatever the operator sets in other ways comes before them.
package join

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"connectrpc.com/connect"
	"go.yaml.in/yaml/v3"

	controlv1 "tollgate/gen/tollgate/control/v1"
	"tollgate/gen/tollgate/control/v1/controlv1connect"
	"tollgate/internal/contract"
	"tollgate/internal/fault"
)

// Options say where to ask and as whom.
type Options struct {
	URL      string // base URL of the control plane
	Token    string
	Node     string // name that the edge wants; empty takes the token's, or the host's
	Version  string
	Dir      string // data directory of the edge
	Insecure bool   // plain HTTP is enough, also to another machine
	Client   *http.Client
}

const (
	folder   = "joined"
	settings = "settings.yaml"
	within   = 30 * time.Second
	mostRead = 1 << 20
)

// File is the settings that an edge has got; empty if it has never joined.
func File(dataDir string) string {
	path := filepath.Join(dataDir, folder, settings)
	if _, err := os.Stat(path); err != nil {
		return ""
	}
	return path
}

// Fetch gets the settings and keeps them. An edge that has some already is left alone, so that the same command can start it each time.
func Fetch(ctx context.Context, o Options) error {
	if File(o.Dir) != "" {
		return nil
	}
	if err := check(o); err != nil {
		return err
	}
	// What cannot be kept must not use up the token.
	dir := filepath.Join(o.Dir, folder)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("join: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	client := o.Client
	if client == nil {
		transport := &http.Transport{Proxy: http.ProxyFromEnvironment}
		defer transport.CloseIdleConnections()
		// A redirect would take the token elsewhere.
		client = &http.Client{Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	}
	res, err := controlv1connect.NewEdgeServiceClient(client, strings.TrimSuffix(o.URL, "/"), connect.WithReadMaxBytes(mostRead)).
		Join(ctx, &controlv1.JoinRequest{Token: o.Token, Node: o.Node, Version: o.Version})
	if err != nil {
		return refused(o.URL, err)
	}
	name := res.GetNode()
	if name == "" {
		name = hostName()
	}
	return keep(dir, name, res.GetSettings())
}

func check(o Options) error {
	u, err := url.Parse(o.URL)
	switch {
	case err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "":
		return fault.New(fault.InvalidArgument, "--join: %q is not the base URL of a control plane.", o.URL).
			WithHint("Use the command that came with the token.")
	case o.Token == "":
		return fault.New(fault.InvalidArgument, "--join needs a token.").WithHint("Make one with `tollgate edge join-token`, and give it with --token or $TOLLGATE_JOIN_TOKEN.")
	case u.Scheme == "http" && !o.Insecure && !loopback(u.Hostname()):
		return fault.New(fault.InvalidArgument, "--join: %s is plain HTTP, in which whoever is between can read the credentials of the edge.", o.URL).
			WithHint("Use https, or say --insecure-join if nobody can be between.")
	case o.Node != "" && !contract.ValidEdgeName(o.Node):
		return fault.New(fault.InvalidArgument, "name: %q is not 1 to 63 letters, digits, - and _.", o.Node)
	default:
		return nil
	}
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

func refused(base string, err error) error {
	if c, ok := errors.AsType[*connect.Error](err); ok && connect.IsWireError(c) {
		return fault.New(fault.FailedPrecondition, "The control plane does not let this edge join: %s", c.Message()).
			WithHint("Make another token with `tollgate edge join-token` if this one does not work any more.").WithCause(err)
	}
	return fault.New(fault.UnavailableErr, "The control plane at %s cannot be reached.", base).WithCause(err).
		WithHint("Check the address, and that nothing between refuses the connection. The token still works.")
}

var notInName = regexp.MustCompile(`[^A-Za-z0-9_-]+`)

// hostName is the host's name in a form that an edge can have.
func hostName() string {
	name, err := os.Hostname()
	if name = strings.Trim(notInName.ReplaceAllString(name, "-"), "-"); err != nil || name == "" {
		return "edge"
	}
	return name[:min(len(name), 63)]
}

// keep writes the settings last and at once: there are all of them, or none.
func keep(dir, name string, raw []byte) error {
	var doc map[string]any
	if err := yaml.Unmarshal(raw, &doc); err != nil || doc == nil {
		return fault.New(fault.FailedPrecondition, "What the control plane has sent are no settings.").WithHint("Check that both are of the same version.")
	}
	files, _ := doc["files"].(map[string]any)
	delete(doc, "files")
	doc["name"] = name
	for file, text := range files {
		content, ok := text.(string)
		if !ok || file != filepath.Base(file) || file == settings || strings.HasPrefix(file, ".") {
			return fault.New(fault.FailedPrecondition, "The control plane has sent a file %.63q, which this edge does not keep.", file)
		}
		if err := write(dir, file, []byte(strings.ReplaceAll(content, "$${", "${"))); err != nil {
			return err
		}
	}
	if nats, ok := doc["nats"].(map[string]any); ok {
		for key, value := range nats {
			if file, _ := value.(string); files[file] != nil {
				full, err := filepath.Abs(filepath.Join(dir, file))
				if err != nil {
					return fmt.Errorf("join: %w", err)
				}
				nats[key] = strings.ReplaceAll(full, "${", "$${")
			}
		}
	}
	out, err := yaml.Marshal(doc)
	if err != nil {
		return errors.New("join: the settings cannot be written") // what failed holds credentials
	}
	return write(dir, settings, append([]byte("# From the control plane that this edge has joined. It holds credentials.\n"), out...))
}

// write replaces a file that only its owner reads.
func write(dir, name string, data []byte) error {
	f, err := os.CreateTemp(dir, ".new-*")
	if err != nil {
		return fmt.Errorf("join: %w", err)
	}
	_, err = f.Write(data)
	err = errors.Join(err, f.Chmod(0o600), f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), filepath.Join(dir, name))
	}
	if err != nil {
		if gone := os.Remove(f.Name()); gone != nil && !errors.Is(gone, fs.ErrNotExist) {
			err = errors.Join(err, gone)
		}
		return fmt.Errorf("join: %w", err)
	}
	return nil
}
