package check

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"tollgate/controlplane"
	"tollgate/edge"
	"tollgate/internal/config"
	"tollgate/ledger"
)

// role is how one of our own configuration files is read.
type role struct {
	service, file string
	defaults      func() config.Validator
}

var roles = []role{
	{"controlplane", "controlplane.yaml", func() config.Validator { c := controlplane.DefaultConfig(); return &c }},
	{"edge-1", "edge.yaml", func() config.Validator { c := edge.DefaultConfig(); return &c }},
	{"edge-2", "edge.yaml", func() config.Validator { c := edge.DefaultConfig(); return &c }},
	{"ledger", "ledger.yaml", func() config.Validator { c := ledger.DefaultConfig(); return &c }},
}

// checkRoles: the roles accept their files as they stand, with the environment that compose.yaml
// gives them and nothing else, and connect to services that there are.
func checkRoles(t *testing.T, dir string) error {
	t.Helper()
	if err := checkEnvironments(t, dir); err != nil {
		return err
	}
	for _, r := range roles {
		text, err := os.ReadFile(filepath.Join(dir, r.file))
		if err != nil {
			return err
		}
		if unknown := unknownHosts(string(text)); len(unknown) > 0 {
			return fmt.Errorf("%s: there is no service %v", r.file, unknown)
		}
	}
	return nil
}

func checkEnvironments(t *testing.T, dir string) error {
	t.Helper()
	project, err := load(t, dir)
	if err != nil {
		return err
	}
	for _, r := range roles {
		env := project.Services[r.service].Environment
		err := config.Load(filepath.Join(dir, r.file), "TOLLGATE_", func(name string) (string, bool) {
			if v, ok := env[name]; ok && v != nil {
				return *v, true
			}
			return "", false
		}, r.defaults())
		if err != nil {
			return fmt.Errorf("%s: %w", r.service, err)
		}
	}
	return nil
}
