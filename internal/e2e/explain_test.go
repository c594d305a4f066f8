package e2e_test

import (
	"strings"
	"testing"
)

// Guarantee: `tollgate explain` has a live edge tell what it would do with a request, and nothing is sent,
// recorded or charged for it.
func TestExplain(t *testing.T) {
	t.Parallel()
	c := start(t)
	c.endpoint("bria", "/bria", "12.00")
	c.key("ci-bot")
	c.awaitLive()
	seen := c.vendor.Count()
	out, stderr, code := c.cli("explain", "POST", "/bria/v1/x?y=1", "--key", "ci-bot")
	for _, want := range []string{"✓ sent to POST " + c.vendor.URL + "/v1/x?y=1", "key ci-bot may call endpoint bria", "$12.00"} {
		if code != 0 || !strings.Contains(out, want) {
			t.Errorf("exit %d, %q is missing:\n%s\n%s", code, want, out, stderr)
		}
	}
	for args, want := range map[string]string{
		"POST /brai/v1":             "404 endpoint_not_found: No endpoint for POST /brai/v1. Nearest: /bria.",
		"POST /bria/v1":             "401 key_missing",
		"GET /bria/%2e%2e/%2e%2e/x": "400 path_invalid",
	} {
		out, stderr, code := c.cli(append([]string{"explain"}, strings.Fields(args)...)...)
		if code != 0 || !strings.Contains(out, want) || !strings.Contains(out, "✗ refused") {
			t.Errorf("%s: exit %d\n%s\n%s", args, code, out, stderr)
		}
	}
	if _, stderr, code := c.cli("explain", "/bria", "--edge", "nobody"); code != 6 || !strings.Contains(stderr, `no edge "nobody"`) {
		t.Errorf("an edge that is not there: exit %d\n%s", code, stderr)
	}
	if c.vendor.Count() != seen {
		t.Errorf("the vendor got %d requests", c.vendor.Count()-seen)
	}
}
