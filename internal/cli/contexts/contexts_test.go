package contexts_test

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"tollgate/internal/cli/contexts"
	"tollgate/internal/config"
)

// Guarantee: what was saved is loaded again, by its owner only, with tokens in the place they belong to.
func TestSavedIsLoaded(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	rapid.Check(t, func(t *rapid.T) {
		name := rapid.StringMatching(`[A-Za-z0-9][A-Za-z0-9._-]{0,20}`)
		f := contexts.File{Contexts: rapid.MapOf(name, rapid.Custom(func(t *rapid.T) contexts.Context {
			return contexts.Context{
				Server: rapid.SampledFrom([]string{"https://a.example", "http://localhost:4001"}).Draw(t, "server"),
				CAFile: rapid.StringMatching(`[a-z/ :#]{0,12}`).Draw(t, "ca"), Env: rapid.SampledFrom([]string{"", "prod"}).Draw(t, "env"),
				Token: config.Secret(rapid.StringMatching(`[ -~]{0,20}`).Draw(t, "token")), InRing: rapid.Bool().Draw(t, "ring"),
			}
		})).Draw(t, "contexts")}
		if names := f.Names(); len(names) > 0 {
			f.Use(names[0])
			f.Use(names[len(names)-1])
		}
		path := filepath.Join(dir, "below", "config.yaml")
		if err := contexts.Save(path, f); err != nil {
			t.Fatal(err)
		}
		if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
			t.Fatalf("%v, %v", info.Mode(), err)
		}
		got, err := contexts.Load(path)
		if err != nil || !reflect.DeepEqual(got, f) {
			t.Fatalf("%v, %v, want %v", got, err, f)
		}
	})
}

// Guarantee: a `tollgate dev` is the current context while it runs, and brings back the one before, unless another was
// chosen meanwhile; a context called dev that a person made stays as it is.
func TestDevIsEnteredAndLeft(t *testing.T) {
	t.Parallel()
	current := func(path string) string {
		f, err := contexts.Load(path)
		if err != nil {
			t.Fatal(err)
		}
		return f.Current
	}
	fresh := func(f contexts.File) string {
		path := filepath.Join(t.TempDir(), "config.yaml")
		if err := contexts.Save(path, f); err != nil {
			t.Fatal(err)
		}
		return path
	}
	live := contexts.File{Current: "live", Contexts: map[string]contexts.Context{"live": {Server: "https://a.example"}, "lab": {Server: "https://b.example"}}}

	path := fresh(live)
	leave, err := contexts.EnterDev(path, "/data")
	if err != nil || current(path) != "dev" {
		t.Fatalf("%s, %v", current(path), err)
	}
	if err := leave(); err != nil || current(path) != "live" {
		t.Fatalf("%s, %v", current(path), err)
	}

	path = fresh(live)
	if leave, err = contexts.EnterDev(path, "/data"); err != nil {
		t.Fatal(err)
	}
	f, err := contexts.Load(path)
	if err != nil {
		t.Fatal(err)
	}
	f.Use("lab")
	if err := contexts.Save(path, f); err != nil {
		t.Fatal(err)
	}
	if err := leave(); err != nil || current(path) != "lab" {
		t.Fatalf("%s, %v", current(path), err)
	}

	own := contexts.File{Current: "dev", Contexts: map[string]contexts.Context{"dev": {Server: "https://a.example"}}}
	path = fresh(own)
	if leave, err = contexts.EnterDev(path, "/data"); err != nil {
		t.Fatal(err)
	}
	if err := leave(); err != nil {
		t.Fatal(err)
	}
	if got, err := contexts.Load(path); err != nil || !reflect.DeepEqual(got, own) {
		t.Fatalf("%v, %v", got, err)
	}
}

// Guarantee: the file is where the environment says, then where the platform keeps settings, and nowhere without a home.
func TestPath(t *testing.T) {
	t.Parallel()
	for want, env := range map[string]map[string]string{
		"/x.yaml":                         {"TOLLGATE_CONFIG": "/x.yaml", "XDG_CONFIG_HOME": "/xdg", "HOME": "/home/kim"},
		"/xdg/tollgate/config.yaml":       {"XDG_CONFIG_HOME": "/xdg", "HOME": "/home/kim"},
		"/k/.config/tollgate/config.yaml": {"HOME": "/k"},
		"":                                {},
	} {
		if got := contexts.Path(func(name string) string { return env[name] }); got != want {
			t.Errorf("%v: %q", env, got)
		}
	}
}

// Guarantee: a file from anywhere is read or refused, and what is read names servers only by their addresses.
func FuzzLoad(f *testing.F) {
	for _, seed := range []string{
		"", "current: a\ncontexts:\n  a: {server: 'https://a.example', token: x}\n", "contexts: {a: {server: 'https://u:p@a.example'}}",
		"contexts: {dev: {dev: /data}}", "contexts: [", "contexts: {'../x': {server: 'http://a'}}", "unknown: 1",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		path := filepath.Join(t.TempDir(), "config.yaml")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		file, err := contexts.Load(path)
		if err != nil {
			return
		}
		for name, c := range file.Contexts {
			if contexts.CheckName(name) != nil || c.Dev == "" && !strings.HasPrefix(strings.ToLower(c.Server), "http") {
				t.Errorf("%q: %+v", name, c.Server)
			}
		}
	})
}
