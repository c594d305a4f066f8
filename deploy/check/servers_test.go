package check

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/nats-io/nats-server/v2/server"
	crossplane "github.com/nginxinc/nginx-go-crossplane"
)

// checkNATS: the NATS server accepts its configuration, and it makes a cluster of three with
// JetStream.
func checkNATS(t *testing.T, dir string) error {
	t.Helper()
	t.Setenv("NATS_NAME", "nats-1")
	options, err := server.ProcessConfigFile(filepath.Join(dir, "nats", "nats.conf"))
	if err != nil {
		return err
	}
	if options.ServerName != "nats-1" || !options.JetStream || options.StoreDir == "" || options.Cluster.Name == "" {
		return fmt.Errorf("server %q, JetStream %v in %q, cluster %q", options.ServerName, options.JetStream, options.StoreDir, options.Cluster.Name)
	}
	if len(options.Routes) != 3 {
		return fmt.Errorf("%d routes; want 3", len(options.Routes))
	}
	for _, route := range options.Routes {
		if !slices.Contains(services, route.Hostname()) {
			return fmt.Errorf("there is no service %s", route.Host)
		}
	}
	return nil
}

// checkNginx: NGINX's own grammar accepts the configuration, it passes requests to edges that there
// are, and never sends twice what may have been paid for.
func checkNginx(t *testing.T, dir string) error {
	t.Helper()
	path := filepath.Join(dir, "nginx", "nginx.conf")
	payload, err := crossplane.Parse(path, &crossplane.ParseOptions{
		SingleFile: true, ErrorOnUnknownDirectives: true, DirectiveSources: []crossplane.MatchFunc{crossplane.MatchOssLatest},
	})
	if err != nil {
		return err
	}
	var errs []error
	for _, e := range payload.Errors {
		errs = append(errs, fmt.Errorf("line %v: %w", e.Line, e.Error))
	}
	for _, file := range payload.Config {
		for directive := range every(file.Parsed) {
			if directive.Directive == "proxy_next_upstream" && slices.Contains(directive.Args, "non_idempotent") {
				errs = append(errs, errors.New("proxy_next_upstream has non_idempotent: a POST could be paid for twice"))
			}
		}
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	if unknown := unknownHosts(string(text)); len(unknown) > 0 {
		errs = append(errs, fmt.Errorf("there is no service %v", unknown))
	}
	return errors.Join(errs...)
}

// every goes through directives and all that are in them.
func every(directives crossplane.Directives) func(yield func(*crossplane.Directive) bool) {
	return func(yield func(*crossplane.Directive) bool) {
		for _, d := range directives {
			if !yield(d) {
				return
			}
			for inner := range every(d.Block) {
				if !yield(inner) {
					return
				}
			}
		}
	}
}
