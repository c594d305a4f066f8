package secrets

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"tollgate/internal/config"
	"tollgate/internal/seal"
	"tollgate/internal/testenv"
)

func TestMain(m *testing.M) { os.Exit(testenv.Main(m)) }

const (
	within     = 10 * time.Second
	vaultToken = "hvs.token-of-the-edge"
	plain      = "plain-credential-51"
)

// fakeVault speaks what an edge needs of Vault: reads of key-value version 2, and renewals of its own token.
type fakeVault struct {
	*httptest.Server
	mu      sync.Mutex // guards the fields below
	token   string
	secrets map[string]map[string]any // by "mount/path"
	status  int                       // of every answer; 0 for the right one
	lease   int64                     // seconds that a renewal gives; 0 for a token that cannot be renewed
	renewed int
	reads   int
}

func newFakeVault(t *testing.T) *fakeVault {
	t.Helper()
	v := &fakeVault{token: vaultToken, secrets: map[string]map[string]any{}}
	v.Server = httptest.NewServer(v)
	t.Cleanup(v.Close)
	return v
}

func (v *fakeVault) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	v.mu.Lock()
	defer v.mu.Unlock()
	answer := func(status int, body any) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		_ = json.NewEncoder(w).Encode(body)
	}
	refuse := func(status int, why string) { answer(status, map[string]any{"errors": []string{why}}) }
	switch path := strings.TrimPrefix(r.URL.Path, "/v1/"); {
	case v.status != 0:
		refuse(v.status, "told to fail, knowing "+plain)
	case r.Header.Get("X-Vault-Token") != v.token:
		refuse(http.StatusForbidden, "permission denied")
	case r.Method == http.MethodPost && path == "auth/token/renew-self":
		if v.lease == 0 {
			refuse(http.StatusBadRequest, "lease is not renewable")
			return
		}
		v.renewed++
		answer(http.StatusOK, map[string]any{"auth": map[string]any{"lease_duration": v.lease, "renewable": true}})
	case r.Method == http.MethodGet && strings.HasPrefix(path, "old/data/"):
		answer(http.StatusOK, map[string]any{"data": map[string]any{"token": plain}}) // an engine of version 1
	case r.Method == http.MethodGet && strings.HasPrefix(path, "closed/data/"):
		refuse(http.StatusForbidden, "1 error occurred: permission denied")
	case r.Method == http.MethodGet:
		v.reads++
		fields, ok := v.secrets[strings.Replace(path, "/data/", "/", 1)]
		if !ok {
			refuse(http.StatusNotFound, "")
			return
		}
		answer(http.StatusOK, map[string]any{"data": map[string]any{"data": fields, "metadata": map[string]any{"version": 1}}})
	default:
		refuse(http.StatusMethodNotAllowed, "unsupported operation")
	}
}

func (v *fakeVault) change(f func()) {
	v.mu.Lock()
	defer v.mu.Unlock()
	f()
}

func (v *fakeVault) put(at string, fields map[string]any) {
	v.change(func() { v.secrets[at] = fields })
}

// bench is a resolver with what is beside it.
type bench struct {
	*Resolver
	dir string
	key *seal.Key
	log *bytes.Buffer
}

func setup(t *testing.T, cfg Config) *bench {
	t.Helper()
	key, err := seal.Parse(seal.Generate())
	if err != nil {
		t.Fatal(err)
	}
	cfg.Dir = t.TempDir()
	b := &bench{dir: cfg.Dir, key: key}
	b.again(t, cfg)
	return b
}

// again is the next life of the process.
func (b *bench) again(t *testing.T, cfg Config) {
	t.Helper()
	cfg.Dir, b.log = b.dir, &bytes.Buffer{}
	env := func(name string) (string, bool) { return "value of " + name, name == "SET" }
	r, err := New(cfg, b.key, env, slog.New(slog.NewTextHandler(b.log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	b.Resolver = r
	t.Cleanup(r.Close)
}

func (b *bench) is(t *testing.T, reference, want string) {
	t.Helper()
	if got, err := b.Value(reference); err != nil || got != want {
		t.Errorf("%s = %q, %v; want %q", reference, got, err, want)
	}
}

func (b *bench) fails(t *testing.T, reference, why string) {
	t.Helper()
	got, err := b.Value(reference)
	if err == nil || !strings.Contains(err.Error(), why) || strings.Contains(err.Error(), plain) || got != "" {
		t.Errorf("%s = %q, %v; want %q", reference, got, err, why)
	}
}

func of(v *fakeVault) Config {
	return Config{Vault: Vault{Address: v.URL, Token: vaultToken, Refresh: time.Minute}}
}

// Guarantee: a value that is rotated in Vault is found by itself, and who waits for it is told; one path is read once for
// all its fields.
func TestVaultRotation(t *testing.T) {
	t.Parallel()
	v := newFakeVault(t)
	v.put("secret/vendors/bria", map[string]any{"token": "one", "user": "u"})
	cfg := of(v)
	cfg.Vault.Refresh = time.Millisecond
	b := setup(t, cfg)
	b.every = 10 * time.Millisecond
	changed := make(chan struct{}, 100)
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := b.Run(ctx, func() { changed <- struct{}{} }); err != nil {
			t.Error(err)
		}
	})
	defer wg.Wait()
	defer cancel()
	const token, user = "vault:secret/vendors/bria#token", "vault:secret/vendors/bria#user"
	b.fails(t, token, "not read from Vault yet")
	b.Want([]string{token, user})
	<-changed
	b.is(t, token, "one")
	b.is(t, user, "u")
	v.put("secret/vendors/bria", map[string]any{"token": "two", "user": "u"})
	<-changed
	b.is(t, token, "two")
	if len(changed) != 0 {
		t.Error("told of a change where there was none")
	}
}

// Guarantee: with Vault down or in trouble, or its token refused, what was read goes on being used, also after a restart;
// the copy on disk shows nothing and opens under the sealing key alone.
func TestVaultDown(t *testing.T) {
	t.Parallel()
	v := newFakeVault(t)
	v.put("secret/x", map[string]any{"f": plain})
	b := setup(t, of(v))
	const ref = "vault:secret/x#f"
	b.Want([]string{ref})
	if !b.round(t.Context(), true) {
		t.Error("the first value is no change")
	}
	for _, status := range []int{500, 503, 403, 429, 418} {
		v.change(func() { v.status = status })
		if b.round(t.Context(), true) {
			t.Errorf("%d is a change", status)
		}
		b.is(t, ref, plain)
	}
	v.Close()
	if b.round(t.Context(), true) {
		t.Error("a Vault that is gone is a change")
	}
	b.is(t, ref, plain)

	b.again(t, of(v))
	b.is(t, ref, plain)
	raw, err := os.ReadFile(filepath.Join(b.dir, cacheName))
	if err != nil || bytes.Contains(raw, []byte(plain)) || bytes.Contains(raw, []byte("secret/x")) {
		t.Errorf("on disk: %q, %v", raw, err)
	}
	good := b.key
	if b.key, err = seal.Parse(seal.Generate()); err != nil {
		t.Fatal(err)
	}
	b.again(t, of(v))
	b.fails(t, ref, "not read from Vault yet")
	if !strings.Contains(b.log.String(), "not usable") {
		t.Error("the log does not say so")
	}
	b.key = good
	b.again(t, of(v))
	b.Want(nil) // the configuration has it no more
	b.round(t.Context(), true)
	b.again(t, of(v))
	b.fails(t, ref, "not read from Vault yet")
}

// Guarantee: each reason why Vault does not give a value is told, without what Vault said; and what Vault says is gone is
// used no more.
func TestVaultRefuses(t *testing.T) {
	t.Parallel()
	v := newFakeVault(t)
	v.put("secret/x", map[string]any{"f": plain, "n": 5, "empty": "", "long": strings.Repeat("x", maxValue+1)})
	b := setup(t, of(v))
	want := map[string]string{
		"vault:secret/x#g":     "Vault has no field g",
		"vault:secret/x#n":     "field n in Vault is not a text",
		"vault:secret/x#empty": "field empty in Vault is empty",
		"vault:secret/x#long":  "longer than",
		"vault:secret/y#f":     "Vault has no secret secret/y",
		"vault:closed/x#f":     "does not let this edge read closed/x",
		"vault:old/x#token":    "engine old is not one of key-value version 2",
	}
	b.Want(append([]string{"vault:secret/x#f"}, keys(want)...))
	b.round(t.Context(), true)
	for ref, why := range want {
		b.fails(t, ref, why)
	}
	b.is(t, "vault:secret/x#f", plain)
	v.put("secret/x", map[string]any{"other": plain})
	if !b.round(t.Context(), true) {
		t.Error("a field that is gone is no change")
	}
	b.fails(t, "vault:secret/x#f", "Vault has no field f")
	if strings.Contains(b.log.String(), plain) {
		t.Errorf("the log shows a value: %s", b.log)
	}
	none := setup(t, Config{})
	none.fails(t, "vault:secret/x#f", "set vault.address")
}

func keys(m map[string]string) (all []string) {
	for k := range maps.Keys(m) {
		all = append(all, k)
	}
	return all
}

// Guarantee: values are read again when they are as old as is allowed, and those that are missing at every look.
func TestVaultIsReadWhenDue(t *testing.T) {
	t.Parallel()
	v := newFakeVault(t)
	v.put("secret/x", map[string]any{"f": "1"})
	b := setup(t, of(v))
	b.Want([]string{"vault:secret/x#f"})
	b.round(t.Context(), true)
	b.round(t.Context(), false)
	if v.reads != 1 {
		t.Errorf("%d reads, within a minute", v.reads)
	}
	b.Want([]string{"vault:secret/x#f", "vault:secret/later#f"})
	b.round(t.Context(), false)
	v.put("secret/later", map[string]any{"f": "2"})
	if !b.round(t.Context(), false) || v.reads != 3 {
		t.Errorf("%d reads", v.reads)
	}
	b.is(t, "vault:secret/later#f", "2")
}

// Guarantee: a token is renewed well before it ends; one that cannot be renewed is left alone; one in a file is read from
// there each time, and is another's to renew.
func TestVaultToken(t *testing.T) {
	t.Parallel()
	v := newFakeVault(t)
	v.put("secret/x", map[string]any{"f": "1"})
	b := setup(t, of(v))
	b.Want([]string{"vault:secret/x#f"})
	b.round(t.Context(), true)
	if left := time.Until(b.vault.renewal); v.renewed != 0 || left < 30*time.Minute {
		t.Errorf("one that cannot be renewed is tried again in %s", left)
	}
	v.lease, b.vault.renewal = 3600, time.Time{}
	b.round(t.Context(), true)
	b.round(t.Context(), true)
	if left := time.Until(b.vault.renewal); v.renewed != 1 || left < 15*time.Minute || left > 25*time.Minute {
		t.Errorf("renewed %d times, next in %s", v.renewed, left)
	}

	file := filepath.Join(t.TempDir(), "token")
	write := func(text string) {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	cfg := of(v)
	cfg.Vault.Token, cfg.Vault.TokenFile = "", file
	f := setup(t, cfg)
	f.Want([]string{"vault:secret/x#f"})
	f.round(t.Context(), true)
	f.fails(t, "vault:secret/x#f", "the file of its token")
	write("wrong")
	f.round(t.Context(), true)
	f.fails(t, "vault:secret/x#f", "does not let this edge read")
	write(vaultToken + "\n")
	f.round(t.Context(), true)
	f.is(t, "vault:secret/x#f", "1")
	if v.renewed != 1 {
		t.Error("a token in a file was renewed")
	}
}

// Guarantee: the settings take the variables of Vault's own tools where they say nothing, and what is wrong is told by key.
func TestVaultSettings(t *testing.T) {
	t.Parallel()
	env := func(name string) (string, bool) {
		v, ok := map[string]string{"VAULT_ADDR": "https://v", "VAULT_TOKEN": "t", "VAULT_NAMESPACE": "n"}[name]
		return v, ok
	}
	if got := (Vault{Refresh: 1}).From(env); got.Address != "https://v" || got.Token.Reveal() != "t" || got.Namespace != "n" {
		t.Errorf("%+v", got)
	}
	own := Vault{Address: "https://own", Token: config.Secret("own")}
	if got := own.From(env); got != own {
		t.Errorf("%+v", got)
	}
	for key, v := range map[string]Vault{
		"vault.refresh": {},
		"vault.address": {Refresh: 1, Address: "vault:8200", Token: "t"},
		"vault.token":   {Refresh: 1, Address: "https://vault"},
	} {
		var got []string
		v.Validate(func(key, _ string, _ ...any) { got = append(got, key) })
		if len(got) != 1 || got[0] != key {
			t.Errorf("%v, want %s", got, key)
		}
	}
	if _, err := newVault(Vault{Address: "https://v", CAFile: "/nowhere"}); err == nil || errors.Is(err, errAway) {
		t.Errorf("%v", err)
	}
}

// FuzzVaultAnswer: whatever Vault answers, there is a value or a reason, and no reason holds a value.
func FuzzVaultAnswer(f *testing.F) {
	for _, seed := range []string{
		`{"data":{"data":{"f":"secret-value"}}}`, `{"data":{"f":"secret-value"}}`, `{"data":{"data":{"f":{"secret-value":1}}}}`, `{"data":null}`, `[`, `{"data":{"data":{"f":""}}}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		got := field(fieldsOf(body), "f", nil)
		if got.have == (got.err != nil) || got.have && (got.value == "" || len(got.value) > maxValue) {
			t.Errorf("%+v", got)
		}
		if got.err != nil && strings.Contains(got.err.Error(), "secret-value") {
			t.Errorf("%v", got.err)
		}
	})
}
