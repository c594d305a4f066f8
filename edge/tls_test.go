package edge_test

import (
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"tollgate/edge"
	"tollgate/internal/testenv"
	"tollgate/internal/testenv/pki"
)

// Guarantee: an edge serves HTTP/2 and HTTP/1.1 over TLS to callers with a certificate, takes a new one
// of its own from its files without a restart, and connections that are open go on.
func TestEdgeTLS(t *testing.T) {
	t.Parallel()
	ca, at := pki.New(t), t.TempDir()
	cfg := settings(t, "nats://127.0.0.1:1")
	cfg.TLS = edge.TLS{CertFile: filepath.Join(at, "c.pem"), KeyFile: filepath.Join(at, "k.pem"), ClientCAFile: filepath.Join(at, "ca.pem"), MinVersion: "1.3"}
	write := func(path string, data []byte) {
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	issue := func(name string) {
		pair := ca.Issue(t, []string{name, "127.0.0.1"})
		write(cfg.TLS.CertFile, pair.Cert)
		write(cfg.TLS.KeyFile, pair.Key)
	}
	if _, err := edge.New(t.Context(), cfg, edge.Deps{}); err == nil || !strings.Contains(err.Error(), "tls: ") {
		t.Errorf("without the files: %v", err)
	}
	write(cfg.TLS.ClientCAFile, ca.PEM)
	issue("first.example")
	r := start(t, cfg)

	mine := ca.Issue(t, []string{"caller"}).TLS(t)
	caller := func(two bool, certs ...tls.Certificate) *http.Client {
		transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: ca.Pool(), Certificates: certs}, ForceAttemptHTTP2: two}
		t.Cleanup(transport.CloseIdleConnections)
		return &http.Client{Transport: transport, Timeout: patience}
	}
	ask := func(c *http.Client, proto, name string) error {
		resp, err := c.Get("https://" + r.Addr() + "/-/healthz")
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		if shown := resp.TLS.PeerCertificates[0].DNSNames[0]; err != nil || resp.Proto != proto || string(body) != "ok\n" || shown != name {
			return fmt.Errorf("got %s %q from %s, %w", resp.Proto, body, shown, err)
		}
		return nil
	}
	open := caller(true, mine)
	for _, err := range []error{ask(open, "HTTP/2.0", "first.example"), ask(caller(false, mine), "HTTP/1.1", "first.example")} {
		if err != nil {
			t.Error(err)
		}
	}
	if err := ask(caller(true), "HTTP/2.0", "first.example"); err == nil {
		t.Error("a caller without a certificate got in")
	}
	issue("second.example")
	testenv.Eventually(t, patience, func() error { return ask(caller(true, mine), "HTTP/2.0", "second.example") })
	if err := ask(open, "HTTP/2.0", "first.example"); err != nil {
		t.Errorf("the connection that was open: %v", err)
	}
}
