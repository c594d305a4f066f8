// Package check parses every file of deploy with the code that will read it: the roles' own
// configuration, Compose's loader, BuildKit's Dockerfile parser, the NATS server's and NGINX's own
// grammars. It is a module of its own so that the product does not depend on any of them; it starts
// nothing.
package check

import (
	"bytes"
	"context"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/compose-spec/compose-go/v2/cli"
	"github.com/compose-spec/compose-go/v2/types"
	"github.com/moby/buildkit/frontend/dockerfile/instructions"
	"github.com/moby/buildkit/frontend/dockerfile/linter"
	"github.com/moby/buildkit/frontend/dockerfile/parser"
	"github.com/nats-io/nats-server/v2/server"
	crossplane "github.com/nginxinc/nginx-go-crossplane"

	"tollgate/controlplane"
	"tollgate/edge"
	"tollgate/internal/config"
	"tollgate/ledger"
)

const dir = ".."

// role is how one of our own configuration files is read.
type role struct {
	file string
	cfg  config.Validator
}

func roles() map[string]role {
	control, node, book := controlplane.DefaultConfig(), edge.DefaultConfig(), ledger.DefaultConfig()
	return map[string]role{
		"controlplane": {"controlplane.yaml", &control},
		"edge":         {"edge.yaml", &node},
		"ledger":       {"ledger.yaml", &book},
	}
}

// Guarantee: the example files of the roles are accepted as they stand, with the environment that
// compose.yaml gives them and nothing else.
func TestRoles(t *testing.T) {
	project := load(t)
	for _, service := range []string{"controlplane", "edge-1", "edge-2", "ledger"} {
		r := roles()[strings.TrimRight(service, "-12")]
		env := project.Services[service].Environment
		err := config.Load(filepath.Join(dir, r.file), "TOLLGATE_", func(name string) (string, bool) {
			if v, ok := env[name]; ok && v != nil {
				return *v, true
			}
			return "", false
		}, r.cfg)
		if err != nil {
			t.Errorf("%s: %v", service, err)
		}
	}
}

// Guarantee: Compose accepts compose.yaml with example.env, and every file that it mounts exists.
func TestCompose(t *testing.T) {
	project := load(t)
	want := []string{"controlplane", "edge-1", "edge-2", "ledger", "migrate", "nats-1", "nats-2", "nats-3", "nginx", "postgres"}
	if got := project.ServiceNames(); !slices.Equal(got, want) {
		t.Errorf("services = %v; want %v", got, want)
	}
	for name, service := range project.Services {
		for _, volume := range service.Volumes {
			if volume.Type != "bind" {
				continue
			}
			if _, err := os.Stat(volume.Source); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
}

func load(t *testing.T) *types.Project {
	t.Helper()
	options, err := cli.NewProjectOptions([]string{filepath.Join(dir, "compose.yaml")},
		cli.WithEnvFiles(filepath.Join(dir, "example.env")), cli.WithDotEnv, cli.WithWorkingDirectory(dir))
	if err != nil {
		t.Fatal(err)
	}
	p, err := options.LoadProject(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestDockerfile(t *testing.T) {
	raw, err := os.ReadFile(filepath.Join(dir, "Dockerfile"))
	if err != nil {
		t.Fatal(err)
	}
	ast, err := parser.Parse(bytes.NewReader(raw))
	if err != nil {
		t.Fatal(err)
	}
	for _, w := range ast.Warnings {
		t.Errorf("warning: %s", w.Short)
	}
	stages, _, err := instructions.Parse(ast.AST, linter.New(&linter.Config{}))
	if err != nil {
		t.Fatal(err)
	}
	last := stages[len(stages)-1]
	root := !slices.ContainsFunc(last.Commands, func(c instructions.Command) bool {
		u, ok := c.(*instructions.UserCommand)
		return ok && u.User != "root" && !strings.HasPrefix(u.User, "0")
	})
	if last.BaseName != "scratch" || root {
		t.Errorf("the image is %s and runs as root: %v; want scratch, not root", last.BaseName, root)
	}
}

func TestNATS(t *testing.T) {
	t.Setenv("NATS_NAME", "nats-1")
	options, err := server.ProcessConfigFile(filepath.Join(dir, "nats", "nats.conf"))
	if err != nil {
		t.Fatal(err)
	}
	if !options.JetStream || options.Cluster.Name == "" || len(options.Routes) != 3 {
		t.Errorf("JetStream %v, cluster %q, %d routes", options.JetStream, options.Cluster.Name, len(options.Routes))
	}
}

func TestNginx(t *testing.T) {
	payload, err := crossplane.Parse(filepath.Join(dir, "nginx", "nginx.conf"), &crossplane.ParseOptions{
		SingleFile: true, ErrorOnUnknownDirectives: true, DirectiveSources: []crossplane.MatchFunc{crossplane.MatchOssLatest},
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range payload.Errors {
		t.Errorf("line %v: %v", e.Line, e.Error)
	}
}

// Guarantee: no file of deploy escapes these tests.
func TestEveryFileIsRead(t *testing.T) {
	read := []string{
		"Dockerfile", "README.md", "compose.yaml", "example.env", "controlplane.yaml", "edge.yaml", "ledger.yaml",
		filepath.Join("nats", "nats.conf"), filepath.Join("nginx", "nginx.conf"),
	}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		if d.IsDir() && rel == "check" {
			return fs.SkipDir
		}
		if !d.IsDir() && rel != ".env" && !slices.Contains(read, rel) {
			t.Errorf("%s is read by no test", rel)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
