package e2e_test

import (
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"tollgate/internal/testenv/vendor"
)

// Guarantee: what an endpoint can be told of targets, credentials, access, headers and time holds in a
// whole deployment, from the command that sets it to what callers, vendors, books and metrics see. Each
// part says what; they share a deployment, and the last ones kill parts of it.
func TestEndpoints(t *testing.T) {
	t.Parallel()
	c := start(t, withMetrics)
	c.atOnce(map[string]func(*cluster){
		"public":      publicEndpoint,
		"pool":        poolWithoutATarget,
		"credentials": credentialsTakeTurns,
		"health":      healthBeforeTraffic,
		"hedge":       hedgedOnce,
		"total":       totalTimeout,
		"modes":       headersAndQuery,
		"client cert": targetWithOwnAuthority,
		"skip-verify": skipVerifyIsSaid,
		"grpc":        trailersOverHTTP2,
		"breaker":     breakerOutlivesConfiguration,
		"import":      importedTwice,
		"explain":     explainAgrees,
		"websocket":   tunnelIsChargedOnce,
		"wrong input": wrongFlags,
	})
	t.Run("killed tunnel", func(t *testing.T) { tunnelOfAKilledEdge(c.within(t)) })
}

// plain are callers that add nothing of their own.
var plain = &http.Client{Transport: &http.Transport{DisableCompression: true, MaxIdleConnsPerHost: 64}}

// send sends a request to an edge as it is told, without a key unless there is one among the headers.
func (c *cluster) send(edge int, method, path string, headers ...string) (*http.Response, string) {
	c.t.Helper()
	var body io.Reader = http.NoBody
	if method == http.MethodPost {
		body = strings.NewReader(callBody)
	}
	req, err := http.NewRequestWithContext(c.t.Context(), method, "http://"+c.edgeAddrs[edge], body)
	if err != nil {
		c.t.Fatal(err)
	}
	path, query, _ := strings.Cut(path, "?")
	req.URL.Opaque, req.URL.RawQuery = path, query
	req.Header.Set("User-Agent", "caller")
	for i := 0; i+1 < len(headers); i += 2 {
		req.Header.Add(headers[i], headers[i+1])
	}
	resp, err := plain.Do(req)
	if err != nil {
		c.t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		c.t.Fatal(err)
	}
	return resp, string(text)
}

// does runs a command that must succeed, and gives what it printed, errors behind.
func (c *cluster) does(args ...string) string {
	c.t.Helper()
	stdout, stderr, code := c.cli(args...)
	if code != 0 {
		c.t.Fatalf("tollgate %s: exit %d\n%s%s", strings.Join(args, " "), code, stdout, stderr)
	}
	return stdout + stderr
}

// file writes a file that ends with the test.
func (c *cluster) file(name string, content []byte) string {
	c.t.Helper()
	path := filepath.Join(c.t.TempDir(), name)
	if err := os.WriteFile(path, content, 0o600); err != nil {
		c.t.Fatal(err)
	}
	return path
}

// metrics are those of an edge.
func (c *cluster) metrics(edge int) string {
	c.t.Helper()
	resp, err := http.Get("http://" + c.adminAddrs[edge] + "/-/metrics")
	if err != nil {
		c.t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		c.t.Fatal(err)
	}
	return string(text)
}

// named makes vendors that answer with a name each.
func named(t *testing.T, names ...string) []*vendor.Vendor {
	t.Helper()
	var all []*vendor.Vendor
	for _, n := range names {
		v := vendor.New(t)
		v.Handle(vendor.Text(http.StatusOK, n))
		all = append(all, v)
	}
	return all
}
