package e2e_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"tollgate/internal/testenv"
)

// Guarantee: `up` serves in the background what tollgate.yaml says, with the credentials that this machine has; it takes over a changed
// file when it is asked to, keeps what it has where the file is wrong, keeps others off its data, and ends when it is told. What cannot
// start says why.
func TestUp(t *testing.T) {
	t.Parallel()
	gateway, control := address(t), address(t)
	w := newTerminal(t, "VENDOR_TOKEN=the-vendors", "TOLLGATE_CONFIG="+filepath.Join(t.TempDir(), "contexts.yaml"))
	write := func(price string) {
		t.Helper()
		text := fmt.Sprintf(`version: 1
secrets: [{ name: vendor, from: env/VENDOR_TOKEN }]
endpoints:
  - { name: bria, path: /bria, target: https://bria.example, headers: { api_token: "${secret:vendor}" }, price: { per_request: %s } }
`, price)
		if err := os.WriteFile(filepath.Join(w.dir, "tollgate.yaml"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	args := []string{"up", "--detach", "--data", "data", "--listen", gateway, "--control-listen", control, "--admin-listen", ""}
	write("much")
	if _, stderr, code := w.run("", args...); code == 0 || !strings.Contains(stderr, "It did not start") || !strings.Contains(stderr, "much") {
		t.Fatalf("with a file that is wrong: exit %d\n%s", code, stderr)
	}
	write("12.00")
	t.Cleanup(func() { w.stopUp() })
	w.ok(args...)
	at := []string{"--server", "http://" + control, "--token-file", filepath.Join(w.dir, "token")}
	w.keepToken()
	get := func() string {
		t.Helper()
		return w.ok(append([]string{"endpoint", "get", "bria"}, at...)...)
	}
	if got := get(); !strings.Contains(got, "$12.00") || !strings.Contains(got, "tollgate.yaml") {
		t.Errorf("the endpoint is\n%s", got)
	}
	if out, stderr, code := w.run("", append([]string{"doctor", "--no-targets"}, at...)...); code != 0 {
		t.Errorf("doctor: exit %d\n%s%s", code, out, stderr)
	}
	if _, stderr, code := w.run("", "up", "--data", "data"); code == 0 || !strings.Contains(stderr, "in use by another") {
		t.Errorf("a second one on the same data: exit %d\n%s", code, stderr)
	}

	write("9.00")
	w.ok("up", "--reload", "--data", "data")
	testenv.Eventually(t, eventually, func() error {
		if got := get(); !strings.Contains(got, "$9.00") {
			return fmt.Errorf("the endpoint is\n%s", got)
		}
		return nil
	})
	write("much")
	w.ok("up", "--reload", "--data", "data")
	testenv.Eventually(t, eventually, func() error {
		log, err := os.ReadFile(filepath.Join(w.dir, "data", "up.log"))
		if err == nil && !strings.Contains(string(log), "the configuration stays as it is") {
			err = errStillThere
		}
		return err
	})
	if got := get(); !strings.Contains(got, "$9.00") {
		t.Errorf("a file that is wrong made it\n%s", got)
	}
	log, err := os.ReadFile(filepath.Join(w.dir, "data", "up.log"))
	if err != nil || strings.Contains(string(log), "the-vendors") || strings.Contains(string(log), "tga_") {
		t.Errorf("%v: the log has a credential:\n%s", err, log)
	}
	w.ok("up", "--stop", "--data", "data")
	if _, _, code := w.run("", "up", "--stop", "--data", "data"); code != 3 {
		t.Errorf("stopped twice: exit %d", code)
	}
}

// keepToken writes the admin token of the data directory to a file.
func (w *terminal) keepToken() {
	w.t.Helper()
	raw, err := os.ReadFile(filepath.Join(w.dir, "data", "credentials.json"))
	if err != nil {
		w.t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(raw), `"admin_token": "`)
	token, _, _ := strings.Cut(rest, `"`)
	if err := os.WriteFile(filepath.Join(w.dir, "token"), []byte(token), 0o600); err != nil {
		w.t.Fatal(err)
	}
}

// stopUp ends what a test that failed has left.
func (w *terminal) stopUp() {
	cmd := exec.Command(bin.tollgate, "up", "--stop", "--data", filepath.Join(w.dir, "data")) // the test's context has ended by now
	cmd.Env = w.env
	_ = cmd.Run()
}
