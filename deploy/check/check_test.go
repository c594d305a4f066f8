// Package check parses every file of deploy with the code that will read it: the roles' own
// configuration, Compose's loader, BuildKit's Dockerfile parser, the NATS server's and NGINX's own
// grammars. It is a module of its own so that the product does not depend on any of them; it starts
// nothing.
package check

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// deployed is the folder with the files that are checked.
const deployed = ".."

// checks says for each file of deploy how it is read. Each takes the folder, so that the same check
// runs on the real one and on broken copies of it.
var checks = map[string]func(t *testing.T, dir string) error{
	"Dockerfile":                         checkDockerfile,
	"README.md":                          checkReadme,
	"compose.yaml":                       checkCompose,
	"example.env":                        checkCompose,
	"controlplane.yaml":                  checkRoles,
	"edge.yaml":                          checkRoles,
	"ledger.yaml":                        checkRoles,
	filepath.Join("nats", "nats.conf"):   checkNATS,
	filepath.Join("nginx", "nginx.conf"): checkNginx,
}

// Guarantee: every file of deploy is accepted by what reads it.
func TestFiles(t *testing.T) {
	for file, check := range checks {
		t.Run(file, func(t *testing.T) {
			if err := check(t, deployed); err != nil {
				t.Error(err)
			}
		})
	}
}

// Guarantee: no file of deploy escapes the test above.
func TestEveryFileIsRead(t *testing.T) {
	if err := eachFile(deployed, func(rel string) error {
		if checks[rel] == nil {
			t.Errorf("%s is read by no test", rel)
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
}

// Guarantee: each check fails on a file that its reader would refuse, or that would run the wrong
// thing: none of them passes because it looked at nothing.
func TestBrokenFilesAreRefused(t *testing.T) {
	for name, c := range map[string]struct{ file, old, broken, want string }{
		"Dockerfile: unknown instruction": {"Dockerfile", "WORKDIR", "WORKDUR", "WORKDUR"},
		"Dockerfile: unknown flag":        {"Dockerfile", "COPY --from=build --chown", "COPY --form=build --chown", "form"},
		"Dockerfile: missing stage":       {"Dockerfile", "COPY --from=build /out/tollgate", "COPY --from=biuld /out/tollgate", "biuld"},
		"Dockerfile: missing main":        {"Dockerfile", "./cmd/tollgate", "./cmd/tolgate", "cmd/tolgate"},
		"Dockerfile: as root":             {"Dockerfile", "USER 65532:65532", "USER 0", "root"},
		"README: missing file":            {"README.md", "cp deploy/example.env", "cp deploy/sample.env", "deploy/sample.env"},
		"Compose: misspelt key":           {"compose.yaml", "restart:", "restrat:", "restrat"},
		"Compose: not YAML":               {"compose.yaml", "services:", "services: [", "yaml"},
		"Compose: missing dependency":     {"compose.yaml", "depends_on: [edge-1, edge-2]", "depends_on: [edge-3]", "edge-3"},
		"Compose: missing mount":          {"compose.yaml", "./nginx/nginx.conf:", "./nginx.conf:", "nginx.conf"},
		"Compose: undefined volume":       {"compose.yaml", "  postgres: {}\n", "", "postgres"},
		"Compose: unknown command":        {"compose.yaml", `command: ["migrate"]`, `command: ["migrat"]`, "migrat"},
		"Compose: another host":           {"ledger.yaml", "nats-2:4222", "nats-9:4222", "nats-9"},
		"environment: variable missing":   {"example.env", "TOLLGATE_ADMIN_TOKEN=", "TOLLGATE_ADMIN=", "TOLLGATE_ADMIN_TOKEN"},
		"environment: key too short":      {"example.env", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=", "AAAA", "master_key"},
		"control plane: misspelt key":     {"controlplane.yaml", "ledger_url:", "ledger_ulr:", "ledger_ulr"},
		"edge: misspelt key":              {"edge.yaml", "data_dir:", "datadir:", "datadir"},
		"edge: value of another kind":     {"edge.yaml", "drain: 30s", "drain: 30", "drain"},
		"ledger: misspelt key":            {"ledger.yaml", "listen:", "listn:", "listn"},
		"NATS: unclosed block":            {"nats/nats.conf", "max_file_store: 32GB\n}", "max_file_store: 32GB\n", "EOF"},
		"NATS: unknown field":             {"nats/nats.conf", "max_file_store", "max_fiel_store", "max_fiel_store"},
		"NATS: variable missing":          {"nats/nats.conf", "$NATS_NAME", "$NATS_NAEM", "NATS_NAEM"},
		"NATS: no cluster":                {"nats/nats.conf", "    nats://nats-3:6222\n", "", "routes"},
		"NGINX: unknown directive":        {"nginx/nginx.conf", "proxy_pass ", "proxy_pas ", "proxy_pas"},
		"NGINX: directive misplaced":      {"nginx/nginx.conf", "worker_processes auto;", "proxy_pass http://edges;", "proxy_pass"},
		"NGINX: no semicolon":             {"nginx/nginx.conf", "keepalive 256;", "keepalive 256", "keepalive"},
		"NGINX: another edge":             {"nginx/nginx.conf", "server edge-2:4000", "server edge-9:4000", "edge-9"},
		"NGINX: a second try of anything": {"nginx/nginx.conf", "proxy_next_upstream error;", "proxy_next_upstream error non_idempotent;", "non_idempotent"},
	} {
		t.Run(name, func(t *testing.T) {
			check := checks[filepath.FromSlash(c.file)]
			dir := copyWith(t, c.file, c.old, c.broken)
			if err := check(t, dir); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("with %q for %q in %s: %v; want an error that names %q", c.broken, c.old, c.file, err, c.want)
			}
		})
	}
}

// eachFile calls fn with the path of each file that is checked, from dir.
func eachFile(dir string, fn func(rel string) error) error {
	return filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(dir, path)
		switch {
		case err != nil:
			return err
		case d.IsDir() && rel == "check":
			return fs.SkipDir
		case d.IsDir(), rel == ".env": // the operator's own
			return nil
		}
		return fn(rel)
	})
}

// copyWith copies deploy and replaces a text in one of its files.
func copyWith(t *testing.T, file, old, broken string) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "deploy")
	err := eachFile(deployed, func(rel string) error {
		text, err := os.ReadFile(filepath.Join(deployed, rel))
		if err != nil {
			return err
		}
		if rel == filepath.FromSlash(file) {
			if !strings.Contains(string(text), old) {
				return errors.New(file + " has no " + old)
			}
			text = []byte(strings.ReplaceAll(string(text), old, broken))
		}
		if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, rel)), 0o755); err != nil {
			return err
		}
		return os.WriteFile(filepath.Join(dir, rel), text, 0o600)
	})
	if err != nil {
		t.Fatal(err)
	}
	return dir
}
