package clients_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// Guarantee: the vendors' Node libraries, Langfuse's and a WebSocket client see the same through the gateway
// as from the vendor, and their calls are in the books once. What is asked of each is in node/.
func TestNode(t *testing.T) {
	t.Parallel()
	bearer := "Authorization: Bearer " + vendorKey
	routes := map[string]route{}
	for dialect, header := range map[string]string{
		"openai": bearer, "anthropic": "X-Api-Key: " + vendorKey, "cohere": bearer, "mistral": bearer, "gemini": "X-Goog-Api-Key: " + vendorKey,
		"langfuse": "Authorization: Basic " + base64.StdEncoding.EncodeToString([]byte("pk-lf:"+vendorKey)),
	} {
		routes[dialect] = newRoute(t, "node-"+dialect, dialect, header, "http=1.1")
	}
	runNode(t, "*.test.mjs", routes)
}

// runNode runs tests in node/ with the routes that they ask for by a name.
func runNode(t *testing.T, pattern string, routes map[string]route) {
	t.Helper()
	node, err := exec.LookPath("node")
	if err != nil {
		t.Fatal("these tests need Node 20 or newer: ", err)
	}
	if _, err := os.Stat(filepath.Join("node", "node_modules")); err != nil {
		t.Fatal("npm ci --prefix internal/e2e/clients/node fetches the libraries: ", err)
	}
	shown := map[string]map[string]string{}
	for name, r := range routes {
		shown[name] = map[string]string{"name": r.name, "url": r.url, "direct": r.direct, "key": r.key}
	}
	given, err := json.Marshal(map[string]any{
		"routes": shown, "vendor": theVendor.url, "vendorKey": vendorKey, "gateway": theGateway.url,
		"tollgate": theGateway.Path, "dir": theGateway.dir,
	})
	if err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob(filepath.Join("node", filepath.FromSlash(pattern)))
	if err != nil || len(files) == 0 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, node, append([]string{"--test", "--test-reporter=tap"}, files...)...)
	cmd.Env = theGateway.env("UNDER_TEST=" + string(given))
	cmd.WaitDelay = time.Second // its children have its output too
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Errorf("%v\n%s", err, out)
	}
	if !strings.Contains(string(out), "\n# skipped 0\n") {
		t.Errorf("some are not run:\n%s", out)
	}
}
