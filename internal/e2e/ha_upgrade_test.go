package e2e_test

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"testing"

	"connectrpc.com/connect"

	controlv1 "tollgate/gen/tollgate/control/v1"
	"tollgate/gen/tollgate/control/v1/controlv1connect"
	"tollgate/internal/money"
	"tollgate/internal/testenv"
)

// previousEnv names a binary of the release before this one: make upgrade builds it from the history of git. Without it, this
// release is rolled over to itself, which shows all but what differs.
const previousEnv = "TOLLGATE_PREVIOUS"

func previous() string {
	if path := os.Getenv(previousEnv); path != "" {
		return path
	}
	return bin.tollgate
}

// migratePrevious makes the schemas as the release before has them.
func migratePrevious(ctx context.Context, url string) error {
	cmd := exec.CommandContext(ctx, previous(), "migrate")
	cmd.Env = []string{"TOLLGATE_DATABASE_URL=" + url}
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("migrate: %w\n%s", err, out)
	}
	return nil
}

// newSettings are those of a control plane that the release before does not know.
var newSettings = regexp.MustCompile(`(?m)^edges:.*\n`)

// forgetSettings takes them out of the first control plane's file.
func (c *cluster) forgetSettings() {
	c.t.Helper()
	path := filepath.Join(c.dir, "controlplane.yaml")
	raw, err := os.ReadFile(path)
	c.succeed(err)
	c.succeed(os.WriteFile(path, newSettings.ReplaceAll(raw, nil), 0o600))
}

// at gives the clients of one control plane.
func (c *cluster) at(addr string) (controlv1connect.EndpointServiceClient, controlv1connect.KeyServiceClient) {
	client, url := &http.Client{Transport: bearer{adminToken}}, "http://"+addr
	return controlv1connect.NewEndpointServiceClient(client, url, connect.WithGRPC()), controlv1connect.NewKeyServiceClient(client, url)
}

// changeAt makes an endpoint and a key through one control plane, and returns once every edge serves them.
func (c *cluster) changeAt(addr, name string) {
	c.t.Helper()
	endpoints, keys := c.at(addr)
	c.must(endpoints.CreateEndpoint(c.t.Context(), &controlv1.CreateEndpointRequest{Endpoint: &controlv1.Endpoint{
		Name: name, Path: "/" + name, Targets: []*controlv1.Target{{Url: c.vendor.URL}},
		Headers: []*controlv1.Header{{Name: "api_token", Value: "${secret:vendor}"}},
		Price:   &controlv1.Price{Kind: &controlv1.Price_Free_{Free: &controlv1.Price_Free{}}},
	}}))
	key, err := keys.CreateKey(c.t.Context(), &controlv1.CreateKeyRequest{Name: name})
	if err != nil {
		c.t.Fatal(err)
	}
	c.served(key.GetSecret(), name)
}

// served returns once every edge serves an endpoint to a key.
func (c *cluster) served(key, endpoint string) {
	c.t.Helper()
	for edge := range c.edges {
		testenv.Eventually(c.t, eventually, func() error {
			resp, body, err := c.call(edge, key, "/"+endpoint+"/x")
			if err == nil && resp.StatusCode != http.StatusOK {
				err = fmt.Errorf("edge %d, %s: %s %s", edge+1, endpoint, resp.Status, body)
			}
			return err
		})
	}
}

// Guarantee: a deployment is upgraded part by part under traffic. The release before works on while the database is migrated
// and beside this one, in either order: changes that are made through either are in force on edges of both, what the release
// before publishes is made whole as soon as this one leads, and the books equal what the vendor counted.
func TestUpgradeFromPrevious(t *testing.T) {
	t.Parallel()
	c := prepare(t, withMigration(migratePrevious))
	for _, p := range c.roles() {
		p.Path = previous()
	}
	second, addr2 := c.anotherControl()
	c.forgetSettings()
	c.run()
	const price = 12_345_678 * money.Nanos(1)
	c.endpoint("bria", "/bria", price.String())
	key := c.key("ci-bot")
	c.budget("plenty", "ci-bot", "1000.00")
	c.awaitLive()
	tr := c.steadyTraffic(key, 2)
	tr.awaitMore(t, 30)

	if err := migrate(t.Context(), c.databaseURL); err != nil {
		t.Fatal(err)
	}
	c.changeAt(c.controlAddr, "after-migration")
	tr.awaitMore(t, 20)

	// Both at once; the one before leads.
	second.start()
	second.awaitHTTP("http://" + addr2 + "/readyz")
	c.changeAt(addr2, "new-beside-old")
	c.changeAt(c.controlAddr, "old-beside-new")
	// A key that this release refuses and the one before knows nothing of.
	_, keys := c.at(addr2)
	refused, err := keys.CreateKey(t.Context(), &controlv1.CreateKeyRequest{Name: "only-reads", Methods: []string{http.MethodGet}})
	if err != nil {
		t.Fatal(err)
	}

	// This release leads, with edges of the one before.
	c.control.stop()
	c.changeAt(addr2, "new-with-old-edges")
	tr.awaitMore(t, 20)

	// An edge and the ledger of this release, and then the control plane of the one before again.
	upgrade := func(p *process, ready string) {
		p.stop()
		p.Path = bin.tollgate
		p.start()
		p.awaitHTTP(ready)
	}
	upgrade(c.edges[0], "http://"+c.edgeAddrs[0]+"/-/readyz")
	c.changeAt(addr2, "new-with-both-edges")
	upgrade(c.ledger, "http://"+c.ledgerAddrs[0]+"/readyz")
	tr.awaitMore(t, 20)
	second.stop()
	c.control.start()
	c.control.awaitHTTP("http://" + c.controlAddr + "/readyz")
	c.changeAt(c.controlAddr, "old-with-both-edges")

	// The rest.
	upgrade(c.control, "http://"+c.controlAddr+"/readyz")
	upgrade(c.edges[1], "http://"+c.edgeAddrs[1]+"/-/readyz")
	c.changeAt(c.controlAddr, "all-new")
	tr.awaitMore(t, 20)
	for edge := range c.edges {
		resp, body, err := c.call(edge, refused.GetSecret(), "/all-new/x")
		if err != nil || resp.StatusCode != http.StatusForbidden {
			t.Errorf("edge %d lets a key post that may only read: %v %s, %v", edge+1, resp, body, err)
		}
	}
	tr.end()
	// Other requests are free, so that what was charged for is what was sent to /bria.
	paid := 0
	for _, r := range c.vendor.Requests() {
		if r.URI == "/v1/x" {
			paid++
		}
	}
	c.awaitSpent(money.Nanos(paid) * price)
	for _, e := range c.edges {
		e.stop()
	}
	if stdout, stderr, code := c.books("verify"); code != 0 {
		t.Errorf("ledger verify exited %d:\n%s%s", code, stdout, stderr)
	}
}
