package localdev_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"tollgate/internal/cli/localdev"
)

// Guarantee: what `tollgate dev` saves is found from any folder below, and only its owner may read it.
func TestSaveAndLoad(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	want := localdev.LocalDev{Server: "http://localhost:4001", Token: "tga_x", Gateway: "http://127.0.0.1:4000", Key: "tgk_x", Database: "postgres://tollgate:x@127.0.0.1:5432/tollgate?sslmode=disable"}
	for _, dir := range []string{dir, filepath.Join(dir, localdev.Folder)} {
		if err := localdev.Save(dir, want); err != nil {
			t.Fatal(err)
		}
	}
	below := filepath.Join(dir, "a", "b")
	if err := os.MkdirAll(below, 0o755); err != nil {
		t.Fatal(err)
	}
	got, path, err := localdev.Load(below)
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Fatalf("%v\n%s", err, diff)
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	entries, err := os.ReadDir(filepath.Dir(path))
	if err != nil || len(entries) != 1 {
		t.Errorf("left behind: %v, %v", entries, err)
	}
}

// Guarantee: no note is no error; a broken note, or one that names another machine, is.
func TestLoadRefuses(t *testing.T) {
	t.Parallel()
	if note, path, err := localdev.Load(t.TempDir()); err != nil || path != "" || note != (localdev.LocalDev{}) {
		t.Errorf("without a note: %+v %q %v", note, path, err)
	}
	for _, text := range []string{
		`{`, `{"server":"http://tollgate.example:4001"}`, `{"gateway":"http://10.0.0.1"}`, `{"server":"file:///x"}`,
		`{"database":"postgres://u:hunter2@10.0.0.1/x"}`, `{"database":"postgres:///x?host=10.0.0.1"}`, `{"database":"postgres://u:hunter2@localhost/x?host=10.0.0.1"}`,
		`{"database":"postgres://u:hunter2@localhost,10.0.0.1:5432/x"}`, `{"database":"host=10.0.0.1"}`,
	} {
		dir := t.TempDir()
		if err := os.MkdirAll(filepath.Join(dir, localdev.Folder), 0o700); err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(dir, localdev.Folder, localdev.File)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, _, err := localdev.Load(dir); err == nil || !strings.Contains(err.Error(), path) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: %v", text, err)
		}
	}
	if err := localdev.Save(t.TempDir(), localdev.LocalDev{Server: "https://tollgate.example"}); err == nil {
		t.Error("saved an address elsewhere")
	}
}
