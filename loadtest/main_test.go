package main

import (
	"bytes"
	"cmp"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

func env(values map[string]string) func(string) string {
	return func(name string) string { return values[name] }
}

func TestOptions(t *testing.T) {
	t.Parallel()
	o, err := parseOptions([]string{"--scenario", "budget,smoke", "--edges", "3", "--rate", "7", "--duration", "2s"},
		env(map[string]string{"K6": "/k6", "TOLLGATE": "/tollgate"}), io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	if len(o.scenarios) != 2 || o.scenarios[0].name != "budget" || o.scenarios[1].name != "smoke" ||
		o.edges != 3 || o.rate != 7 || o.duration != 2*time.Second || o.k6 != "/k6" || o.tollgate != "/tollgate" {
		t.Errorf("%+v", o)
	}
	for want, args := range map[string][]string{
		"budget, churn": {"--scenario", "no"},
		"--edges":       {"--edges", "0"},
		"--rate":        {"--rate", "-1"},
		"--duration":    {"--duration", "1ms"},
		"unexpected":    {"smoke"},
	} {
		if _, err := parseOptions(args, env(map[string]string{"K6": "/k6"}), io.Discard); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v: %v; want %s", args, err, want)
		}
	}
}

// Guarantee: without k6 the first thing that happens is to say how to get it.
func TestWithoutK6(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	err := run(t.Context(), nil, env(nil), &out)
	if err == nil || !strings.Contains(err.Error(), "make loadtest") || out.Len() > 0 {
		t.Errorf("%v, after printing %q", err, out.String())
	}
}

// Guarantee: each scenario has its script, and no script is left without a scenario.
func TestScripts(t *testing.T) {
	t.Parallel()
	entries, err := scripts.ReadDir("scenarios")
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	for _, e := range entries {
		found = append(found, strings.TrimSuffix(e.Name(), ".js"))
	}
	slices.Sort(found)
	var wanted []string
	for name, s := range scenarios {
		wanted = append(wanted, cmp.Or(s.script, name))
	}
	slices.Sort(wanted)
	if wanted = slices.Compact(wanted); !slices.Equal(found, wanted) {
		t.Errorf("scripts %v, scenarios want %v", found, wanted)
	}
	path, err := unpack("smoke", t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	if text, err := os.ReadFile(path); err != nil || !bytes.Contains(text, []byte("export default")) || filepath.Ext(path) != ".js" {
		t.Errorf("%s: %v", path, err)
	}
	if got := scenarios["budget"].budget().String(); got != "1.25" {
		t.Errorf("the budget for 500 requests is $%s", got)
	}
}

// Guarantee: a test never runs on a database or with settings that the shell happens to name.
func TestOwnEnvironment(t *testing.T) {
	t.Parallel()
	got := ownEnvironment([]string{"PATH=/bin", "DATABASE_URL=postgres://prod", "TOLLGATE_TOKEN=x", "TOLLGATE=/t", "PG_BIN=/pg"})
	if want := []string{"PATH=/bin", "PG_BIN=/pg"}; !slices.Equal(got, want) {
		t.Errorf("%v; want %v", got, want)
	}
}

// Guarantee: the vendor echoes, counts what it served and nothing else, and notices a caller's key in
// the headers and in the query.
func TestVendor(t *testing.T) {
	t.Parallel()
	v, err := startVendor(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer v.stop()
	v.guard("tgk_secret")
	post := func(path, header, body string) (int, string) {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, v.url()+path, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("X-Any", header)
		client := &http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
		resp, err := client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		answer, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		return resp.StatusCode, string(answer)
	}
	if status, body := post("/v1/echo", "fine", `{"n":1}`); status != http.StatusOK || body != `{"n":1}` {
		t.Errorf("%d %s", status, body)
	}
	if status, _ := post("/v1/echo", "fine", strings.Repeat("x", maxBody+1)); status != http.StatusRequestEntityTooLarge {
		t.Errorf("a body over the limit: %d", status)
	}
	if v.count() != 1 || v.leakedKeys() != 0 {
		t.Errorf("%d served, %d leaked; want 1 and 0", v.count(), v.leakedKeys())
	}
	post("/v1/echo", "Bearer tgk_secret", "{}")
	post("/v1/echo?key=tgk_secret", "fine", "{}")
	if v.count() != 3 || v.leakedKeys() != 2 {
		t.Errorf("%d served, %d leaked; want 3 and 2", v.count(), v.leakedKeys())
	}
}
