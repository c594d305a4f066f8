package e2e_test

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	controlv1 "tollgate/gen/tollgate/control/v1"
	"tollgate/internal/testenv"
)

// Guarantee: an edge that joins with a token serves traffic with nothing but the address to listen on; it starts again without the
// token and without the control plane; and a token that was used lets no other edge join.
func TestEdgeJoins(t *testing.T) {
	t.Parallel()
	c := start(t)
	c.endpoint("joined", "/joined", "0.5")
	key, err := c.rpc.keys.CreateKey(t.Context(), &controlv1.CreateKeyRequest{Name: "joined"})
	if err != nil {
		t.Fatal(err)
	}
	stdout, stderr, code := c.cli("edge", "join-token", "lon-9")
	token := strings.TrimSpace(stdout)
	if code != 0 || !strings.HasPrefix(token, "tgj_") {
		t.Fatalf("join-token ended with %d: %s%s", code, stdout, stderr)
	}
	addr, dir := address(t), filepath.Join(t.TempDir(), "lon-9")
	env := []string{"TOLLGATE_LISTEN=" + addr, "TOLLGATE_ADMIN_LISTEN=", "TOLLGATE_DATA_DIR=" + dir, "TOLLGATE_ALLOW_PRIVATE_TARGETS=true"}
	newcomer := newProcess(t, "lon-9", bin.tollgate, []string{"edge", "--join", "http://" + c.controlAddr}, append([]string{"TOLLGATE_JOIN_TOKEN=" + token}, env...))
	newcomer.start()
	newcomer.awaitHTTP("http://" + addr + "/-/readyz")
	serves := func() {
		t.Helper()
		c.edgeAddrs = []string{addr}
		testenv.Eventually(t, eventually, func() error {
			resp, body, err := c.call(0, key.GetSecret(), "/joined")
			if err != nil {
				return err
			}
			if resp.StatusCode != http.StatusOK || resp.Header.Get("X-Tollgate-Cost") != "0.50" {
				return fmt.Errorf("%s %v %s", resp.Status, resp.Header, body)
			}
			return nil
		})
	}
	serves()
	testenv.Eventually(t, eventually, func() error {
		nodes, err := c.rpc.system.ListNodes(t.Context(), &controlv1.ListNodesRequest{})
		if err != nil {
			return err
		}
		for _, n := range nodes.GetNodes() {
			if n.GetId() == "lon-9" && n.GetStatus() == controlv1.NodeStatus_NODE_STATUS_LIVE {
				return nil
			}
		}
		return fmt.Errorf("it is none of %v", nodes.GetNodes())
	})
	err = filepath.WalkDir(filepath.Join(dir, "joined"), func(path string, entry os.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		info, err := entry.Info()
		if err == nil && info.Mode().Perm() != 0o600 {
			t.Errorf("others may read %s", path)
		}
		if raw, err := os.ReadFile(path); err != nil || strings.Contains(string(raw), token) {
			t.Errorf("%s has the token, or cannot be read: %v", path, err)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	newcomer.stop()

	other := append([]string{"TOLLGATE_JOIN_TOKEN=" + token, "TOLLGATE_LISTEN=127.0.0.1:0", "TOLLGATE_DATA_DIR=" + t.TempDir()}, "TOLLGATE_ADMIN_LISTEN=")
	if _, stderr, code := runCLI(t, other, "edge", "--join", "http://"+c.controlAddr); code == 0 || !strings.Contains(stderr, "does not let this edge join") {
		t.Errorf("a used token: %d %s", code, stderr)
	}

	c.control.kill()
	again := newProcess(t, "lon-9-again", bin.tollgate, []string{"edge"}, env)
	again.start()
	serves()
}
