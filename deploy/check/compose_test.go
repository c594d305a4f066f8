package check

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"testing"

	"github.com/compose-spec/compose-go/v2/cli"
	"github.com/compose-spec/compose-go/v2/types"
)

// services are those that compose.yaml must have.
var services = []string{
	"controlplane", "edge-1", "edge-2", "ledger", "migrate", "nats-1", "nats-2", "nats-3", "nginx", "postgres",
}

// commands are the words that the image may be run with.
var commands = []string{"controlplane", "edge", "ledger", "migrate"}

func load(t *testing.T, dir string) (*types.Project, error) {
	t.Helper()
	options, err := cli.NewProjectOptions([]string{filepath.Join(dir, "compose.yaml")},
		cli.WithEnvFiles(filepath.Join(dir, "example.env")), cli.WithDotEnv, cli.WithWorkingDirectory(dir))
	if err != nil {
		return nil, err
	}
	return options.LoadProject(t.Context())
}

// checkCompose: Compose accepts compose.yaml with example.env and nothing else, every file that it
// mounts exists, and the image is run with commands that it has.
func checkCompose(t *testing.T, dir string) error {
	t.Helper()
	project, err := load(t, dir)
	if err != nil {
		return err
	}
	if got := project.ServiceNames(); !slices.Equal(got, services) {
		return fmt.Errorf("services = %v; want %v", got, services)
	}
	for name, service := range project.Services {
		for _, volume := range service.Volumes {
			if volume.Type != types.VolumeTypeBind {
				continue
			}
			if info, err := os.Stat(volume.Source); err != nil {
				return fmt.Errorf("%s: %w", name, err)
			} else if !info.Mode().IsRegular() {
				return fmt.Errorf("%s: %s is no file", name, volume.Source)
			}
		}
		if service.Build != nil && (len(service.Command) == 0 || !slices.Contains(commands, service.Command[0])) {
			return fmt.Errorf("%s: no command of tollgate: %v", name, service.Command)
		}
	}
	return checkEnvironments(t, dir)
}

var hostPort = regexp.MustCompile(`\b([a-z][a-z0-9-]*):([0-9]{4})\b`)

// unknownHosts are the services that a text connects to and compose.yaml does not have.
func unknownHosts(text string) []string {
	var unknown []string
	for _, m := range hostPort.FindAllStringSubmatch(text, -1) {
		if !slices.Contains(services, m[1]) {
			unknown = append(unknown, m[0])
		}
	}
	return unknown
}
