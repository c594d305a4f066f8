package e2e_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	controlv1 "tollgate/gen/tollgate/control/v1"
	"tollgate/internal/testenv"
)

// declared is a file of configuration in the hands of an administrator.
type declared struct {
	*cluster

	path string
}

func (d *declared) write(text string) {
	d.t.Helper()
	if err := os.WriteFile(d.path, []byte(text), 0o600); err != nil {
		d.t.Fatal(err)
	}
}

// run runs a command that must end with a code, and say all of want on one of its outputs.
func (d *declared) run(code int, want []string, args ...string) (stdout string) {
	d.t.Helper()
	stdout, stderr, got := runCLI(d.t, []string{
		"TOLLGATE_SERVER=http://" + d.controlAddr, "TOLLGATE_TOKEN=" + adminToken, "VENDOR_TOKEN=" + vendorToken,
	}, args...)
	if got != code {
		d.t.Fatalf("tollgate %s ended with %d, not %d:\n%s%s", strings.Join(args, " "), got, code, stdout, stderr)
	}
	for _, w := range want {
		if !strings.Contains(stdout+stderr, w) {
			d.t.Errorf("tollgate %s does not say %q:\n%s%s", strings.Join(args, " "), w, stdout, stderr)
		}
	}
	if strings.Contains(stdout+stderr, vendorToken) {
		d.t.Errorf("tollgate %s tells a secret", strings.Join(args, " "))
	}
	return stdout
}

// serves waits until each edge answers a key so; cost is empty for any.
func (d *declared) serves(key string, status int, cost string) {
	d.t.Helper()
	for edge := range d.edgeAddrs {
		testenv.Eventually(d.t, eventually, func() error {
			resp, body, err := d.call(edge, key, "/declared")
			if err != nil {
				return err
			}
			if resp.StatusCode != status || cost != "" && resp.Header.Get("X-Tollgate-Cost") != cost {
				return fmt.Errorf("edge %d: %s, cost %q, not %d, %q: %s", edge, resp.Status, resp.Header.Get("X-Tollgate-Cost"), status, cost, body)
			}
			return nil
		})
	}
}

// Guarantee: what a file says is live on all edges when apply ends, and charged as it says; it is guarded, and what is forced is
// shown as drift and undone; two people's files do not take from one another unless told to; pruning takes away what was there, and
// a second apply does nothing.
func TestConfigurationInFiles(t *testing.T) {
	t.Parallel()
	d := &declared{cluster: start(t), path: filepath.Join(t.TempDir(), "tollgate.yaml")}
	keys := filepath.Join(t.TempDir(), "keys.env")
	text := fmt.Sprintf(`version: 1
owner: platform/gateway
secrets: [{ name: declared, from: env/VENDOR_TOKEN }]
endpoints:
  - name: declared # by whom it is used is in the wiki
    path: /declared
    target: %s
    headers: { api_token: "${secret:declared}" }
    price: { per_request: 0.25 }
teams: [{ name: readers }]
keys: [{ name: reader, team: readers, endpoints: [declared], budget: { limit: 100, every: month } }]
`, d.vendor.URL)
	d.write(text)

	d.run(10, []string{"+ endpoint declared", "5 to create"}, "diff", "-f", d.path, "--exit-code")
	d.run(0, []string{"5 created, 0 changed, 0 deleted", "live on 2/2 edges"}, "apply", "-f", d.path, "--keys-out", keys)
	raw, err := os.ReadFile(keys)
	if err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(keys); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("others may read the keys: %v %v", info.Mode(), err)
	}
	key, ok := strings.CutPrefix(strings.TrimSpace(string(raw)), "reader=")
	if !ok {
		t.Fatalf("the file of keys is %q", raw)
	}
	for edge := range d.edgeAddrs { // at once: that is what was waited for
		resp, body, err := d.call(edge, key, "/declared")
		if err != nil || resp.StatusCode != http.StatusOK || resp.Header.Get("X-Tollgate-Cost") != "0.25" {
			t.Errorf("edge %d: %v %v %s", edge, err, resp, body)
		}
	}
	d.run(0, []string{"nothing to do"}, "apply", "-f", d.path, "--keys-out", keys)
	d.run(0, []string{"All that files own is as they say."}, "config", "drift")

	d.run(5, []string{"managed by the file platform/gateway"}, "endpoint", "disable", "declared")
	d.run(5, []string{"managed by platform/gateway", "--take-over"}, "apply", "-f", d.path, "--owner", "someone/else")
	d.run(0, nil, "endpoint", "disable", "declared", "--force")
	d.serves(key, http.StatusServiceUnavailable, "")
	d.run(0, []string{"platform/gateway", "disabled"}, "config", "drift")
	d.run(10, []string{"~ endpoint declared", "disabled true → none", "changed by other means"}, "diff", "-f", d.path, "--exit-code")
	d.run(0, []string{"1 changed"}, "apply", "-f", d.path)
	d.serves(key, http.StatusOK, "0.25")

	d.write(strings.Replace(text, "0.25", "0.75", 1))
	d.run(0, []string{"price.per_request 0.25 → 0.75"}, "apply", "-f", d.path)
	d.serves(key, http.StatusOK, "0.75")
	exported := filepath.Join(t.TempDir(), "exported.yaml")
	d.run(0, nil, "export", "--onto", d.path, "--owner", "platform/gateway", "--to", exported)
	if got, err := os.ReadFile(exported); err != nil || string(got) != strings.Replace(text, "0.25", "0.75", 1) {
		t.Errorf("exported onto itself it is: %v\n%s", err, got)
	}

	small := "version: 1\nowner: platform/gateway\nteams: [{ name: readers }]\n"
	d.write(small)
	d.run(0, []string{"nothing to do"}, "apply", "-f", d.path)
	d.run(2, []string{"- endpoint declared", "confirm with --yes"}, "apply", "-f", d.path, "--prune")
	d.serves(key, http.StatusOK, "0.75")
	d.run(0, []string{"- key reader", "4 deleted"}, "apply", "-f", d.path, "--prune", "--yes")
	d.serves(key, http.StatusNotFound, "")
	d.run(0, []string{"nothing to do"}, "apply", "-f", d.path, "--prune")
	d.must(d.rpc.secrets.GetSecret(t.Context(), &controlv1.GetSecretRequest{Secret: "vendor"})) // another's
}

// Guarantee: an apply that edges do not serve in time says so and ends with 8; what it did stays.
func TestApplyWaitsForEdges(t *testing.T) {
	t.Parallel()
	d := &declared{cluster: start(t), path: filepath.Join(t.TempDir(), "tollgate.yaml")}
	d.write("version: 1\nteams: [{ name: a }]\n")
	d.run(0, []string{"live on 2/2 edges"}, "apply", "-f", d.path)
	d.nats.kill() // whose edges hear of nothing any more
	d.write("version: 1\nteams: [{ name: a }, { name: b }]\n")
	d.run(8, []string{"1 created", "live on 0 of 2 edges"}, "apply", "-f", d.path, "--wait", "1s")
	var plan struct{ Changes []any }
	if err := json.Unmarshal([]byte(d.run(0, nil, "diff", "-f", d.path, "-o", "json")), &plan); err != nil || len(plan.Changes) != 0 {
		t.Errorf("there is still something to do: %v %v", plan, err)
	}
}
