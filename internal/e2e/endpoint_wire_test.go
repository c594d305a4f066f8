package e2e_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	controlv1 "tollgate/gen/tollgate/control/v1"
	"tollgate/internal/money"
	"tollgate/internal/testenv"
	"tollgate/internal/testenv/pki"
	"tollgate/internal/testenv/vendor"
)

// A target with an authority of its own is shown the certificate that a secret holds, and the new one as
// soon as the secret is rotated, without a request that fails.
func targetWithOwnAuthority(c *cluster) {
	t := c.t
	ca := pki.New(t)
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, r.TLS.PeerCertificates[0].Subject.CommonName)
	}))
	server.TLS = &tls.Config{
		Certificates: []tls.Certificate{ca.Issue(t, []string{"vendor.example"}).TLS(t)},
		ClientAuth:   tls.RequireAndVerifyClientCert, ClientCAs: ca.Pool(), MinVersion: tls.VersionTLS13,
	}
	server.StartTLS()
	t.Cleanup(server.Close)
	pair := func(name string) string {
		p := ca.Issue(t, []string{name}, func(x *x509.Certificate) { x.Subject = pkix.Name{CommonName: name} })
		return strings.TrimSpace(string(p.Cert) + string(p.Key))
	}
	c.must(c.rpc.secrets.CreateSecret(t.Context(), &controlv1.CreateSecretRequest{Name: "pair", Value: pair("first")}))
	c.does("endpoint", "create", "mutual", "--path", "/mutual", "--free",
		"--target", server.URL+" sni=vendor.example min-tls=1.3 ca="+c.file("ca.pem", ca.PEM)+" cert=${secret:pair} key=${secret:pair}")
	key := c.key("mutualist")
	c.awaitLive()
	shown := func(edge int) string {
		resp, body := c.send(edge, http.MethodGet, "/mutual/x", "Authorization", "Bearer "+key)
		if resp.StatusCode != http.StatusOK {
			t.Fatalf("%s %s", resp.Status, body)
		}
		return body
	}
	for edge := range c.edges {
		if got := shown(edge); got != "first" {
			t.Errorf("edge %d shows the certificate of %s", edge+1, got)
		}
	}
	c.must(c.rpc.secrets.RotateSecret(t.Context(), &controlv1.RotateSecretRequest{Secret: "pair", Value: pair("second")}))
	for edge := range c.edges {
		testenv.Eventually(t, eventually, func() error {
			if got := shown(edge); got != "second" {
				return fmt.Errorf("edge %d shows the certificate of %s", edge+1, got)
			}
			return nil
		})
	}
	if out := c.does("endpoint", "get", "mutual", "-o", "json"); strings.Contains(out, "PRIVATE") {
		t.Errorf("the key is shown:\n%s", out)
	}
}

// What is not verified is said where it is set, in every edge's log, and in its metrics.
func skipVerifyIsSaid(c *cluster) {
	t := c.t
	v := vendor.NewTLS(t)
	out := c.does("endpoint", "create", "unverified", "--path", "/unverified", "--free", "--target", v.URL+" skip-verify")
	if !strings.Contains(out, "! unverified, targets[0].tls.skip_verify: ") {
		t.Errorf("creating it says\n%s", out)
	}
	key := c.key("unverifier")
	c.awaitLive()
	if resp, body := c.send(0, http.MethodGet, "/unverified/x", "Authorization", "Bearer "+key); resp.StatusCode != http.StatusOK {
		t.Fatalf("%s %s", resp.Status, body)
	}
	for i, e := range c.edges {
		if n := metric(c.metrics(i), `tollgate_target_tls_not_verified{endpoint="unverified",target="`+v.URL+`"}`); n != 1 {
			t.Errorf("%s counts %v", e.Name, n)
		}
		said := false
		for line := range strings.Lines(e.text()) {
			said = said || strings.Contains(line, "WARN") && strings.Contains(line, v.URL) && strings.Contains(line, "verified")
		}
		if !said {
			t.Errorf("%s has no warning in its log", e.Name)
		}
	}
}

// A call in the manner of gRPC: HTTP/2 without TLS on both sides, trailers both ways.
func trailersOverHTTP2(c *cluster) {
	t := c.t
	v := named(t, "")[0]
	v.Handle(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/grpc")
		w.Header().Set("Trailer", "Grpc-Status")
		_, _ = w.Write([]byte("message"))
		w.Header().Set("Grpc-Status", "0")
	})
	c.does("endpoint", "create", "grpc", "--path", "/grpc.Service", "--target", v.URL+"/grpc.Service http=2", "--price", "0.01", "--forward", "all")
	key := c.key("grpcer")
	c.budget("grpcer", "grpcer", "1.00")
	c.awaitLive()
	protocols := new(http.Protocols)
	protocols.SetUnencryptedHTTP2(true)
	transport := &http.Transport{Protocols: protocols}
	defer transport.CloseIdleConnections()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+c.edgeAddrs[0]+"/grpc.Service/Method", io.NopCloser(strings.NewReader("question")))
	if err != nil {
		t.Fatal(err)
	}
	req.Header = http.Header{"Content-Type": {"application/grpc"}, "Te": {"trailers"}, "Authorization": {"Bearer " + key}}
	req.Trailer = http.Header{"X-Sum": {"abc"}}
	resp, err := transport.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(resp.Body)
	_ = resp.Body.Close()
	if err != nil || resp.StatusCode != http.StatusOK || resp.ProtoMajor != 2 || string(body) != "message" || resp.Trailer.Get("Grpc-Status") != "0" {
		t.Errorf("%v %s %q, trailers %v, %v", resp.Proto, resp.Status, body, resp.Trailer, err)
	}
	got := v.Last(t)
	if got.Proto != "HTTP/2.0" || string(got.Body) != "question" || got.Trailer.Get("X-Sum") != "abc" || got.Get("Te") != "trailers" || got.URI != "/grpc.Service/Method" {
		t.Errorf("the vendor got %+v", got)
	}
	testenv.Eventually(t, eventually, func() error {
		if s := c.dollars(c.state("grpcer").GetSpent()); s != nanos(t, "0.01") {
			return fmt.Errorf("%s are spent", s)
		}
		return nil
	})
}

// tunnel is a WebSocket through an edge, of which the bytes alone matter.
type tunnel struct {
	net.Conn
	in *bufio.Reader
}

// echo answers an upgrade and then every byte with itself.
func echo(w http.ResponseWriter, _ *http.Request) {
	conn, rw, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return
	}
	defer conn.Close()
	_, _ = io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n")
	_, _ = io.Copy(conn, rw)
}

func (c *cluster) upgrade(edge int, path, key string) *tunnel {
	c.t.Helper()
	conn, err := net.Dial("tcp", c.edgeAddrs[edge])
	if err != nil {
		c.t.Fatal(err)
	}
	c.t.Cleanup(func() { _ = conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(eventually)); err != nil {
		c.t.Fatal(err)
	}
	_, _ = fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: gateway\r\nAuthorization: Bearer %s\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"+
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n", path, key)
	in := bufio.NewReader(conn)
	resp, err := http.ReadResponse(in, nil)
	if err != nil || resp.StatusCode != http.StatusSwitchingProtocols {
		c.t.Fatalf("%v %+v", err, resp)
	}
	return &tunnel{conn, in}
}

// exchange sends a line and reads it again.
func (n *tunnel) exchange(t *testing.T, line string) {
	t.Helper()
	if _, err := io.WriteString(n, line+"\n"); err != nil {
		t.Fatal(err)
	}
	if got, err := n.in.ReadString('\n'); err != nil || got != line+"\n" {
		t.Fatalf("%q came back, %v", got, err)
	}
}

// A tunnel is charged once, however much goes through it, and when it has ended.
func tunnelIsChargedOnce(c *cluster) {
	t := c.t
	v := named(t, "")[0]
	v.Handle(echo)
	c.does("endpoint", "create", "tunnel", "--path", "/tunnel", "--target", v.URL, "--price", "0.25")
	key := c.key("tunneler")
	c.budget("tunneler", "tunneler", "1.00")
	c.awaitLive()
	n := c.upgrade(0, "/tunnel/ws", key)
	for i := range 3 {
		n.exchange(t, fmt.Sprintf("line %d", i))
	}
	_ = n.Close()
	testenv.Eventually(t, eventually, func() error {
		if s := c.dollars(c.state("tunneler").GetSpent()); s != nanos(t, "0.25") {
			return fmt.Errorf("%s are spent", s)
		}
		return nil
	})
	if n := c.number(`SELECT count(*) FROM ledger.request r WHERE r.cost = $1`, int64(nanos(t, "0.25"))); n != 1 {
		t.Errorf("there are %d records", n)
	}
}

// A tunnel whose edge dies with kill -9 is charged what the endpoint says of abandoned requests.
func tunnelOfAKilledEdge(c *cluster) {
	t := c.t
	v := named(t, "")[0]
	v.Handle(echo)
	for _, policy := range []string{"reserved", "nothing"} {
		c.does("endpoint", "create", "killed-"+policy, "--path", "/killed/"+policy, "--target", v.URL, "--price", "0.35", "--abandoned", policy)
	}
	key := c.key("killed")
	c.budget("killed", "killed", "10.00")
	c.awaitLive()
	for _, policy := range []string{"reserved", "nothing"} {
		c.upgrade(1, "/killed/"+policy, key).exchange(t, policy)
	}
	edge := c.edges[1]
	edge.kill()
	edge.start()
	edge.awaitHTTP("http://" + c.edgeAddrs[1] + "/-/readyz")
	abandoned := func() int64 {
		return c.number(`SELECT count(*) FROM ledger.request r WHERE r.outcome = 6`)
	}
	testenv.Eventually(t, eventually, func() error {
		if s, n := c.dollars(c.state("killed").GetSpent()), abandoned(); s != nanos(t, "0.35") || n != 2 {
			return fmt.Errorf("%s are spent for %d abandoned tunnels", s, n)
		}
		return nil
	})
}

// Guarantee: an edge takes new certificates over while it runs: new callers are shown them, and a stream
// that began before goes on to its end and is charged once.
func TestEdgeTakesNewCertificates(t *testing.T) {
	t.Parallel()
	ca, dir := pki.New(t), t.TempDir()
	write := func(name string) {
		p := ca.Issue(t, []string{"127.0.0.1"}, func(x *x509.Certificate) { x.Subject = pkix.Name{CommonName: name} })
		for file, content := range map[string][]byte{"cert.pem": p.Cert, "key.pem": p.Key} {
			if err := os.WriteFile(dir+"/new-"+file, content, 0o600); err != nil {
				t.Fatal(err)
			}
			if err := os.Rename(dir+"/new-"+file, dir+"/"+file); err != nil {
				t.Fatal(err)
			}
		}
	}
	write("first")
	c := start(t, withEdges(1), withEdgeYAML(fmt.Sprintf("tls: {cert_file: %q, key_file: %q}", dir+"/cert.pem", dir+"/key.pem")))
	c.endpoint("sse", "/sse", "0.50")
	key := c.key("ci-bot")
	c.budget("plenty", "ci-bot", "1000.00")
	c.awaitLive()
	stream, answer := vendor.SSE()
	c.vendor.Next(answer)
	ask := func(ctx context.Context) (string, *http.Response) {
		t.Helper()
		transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: ca.Pool()}, ForceAttemptHTTP2: true}
		t.Cleanup(transport.CloseIdleConnections)
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, "https://"+c.edgeAddrs[0]+"/sse/x", strings.NewReader(callBody))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer "+key)
		resp, err := transport.RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = resp.Body.Close() })
		return resp.TLS.PeerCertificates[0].Subject.CommonName, resp
	}
	name, resp := ask(t.Context())
	if name != "first" || resp.ProtoMajor != 2 {
		t.Fatalf("%s over %s", name, resp.Proto)
	}
	lines := bufio.NewReader(resp.Body)
	says := func(text string) {
		t.Helper()
		stream.Send(t, text+"\n")
		if got, err := lines.ReadString('\n'); err != nil || got != text+"\n" {
			t.Fatalf("%q, %v", got, err)
		}
	}
	says("before")
	write("second")
	asked := 0
	testenv.Eventually(t, eventually, func() error {
		asked++
		if name, resp := ask(t.Context()); name != "second" || resp.StatusCode != http.StatusOK {
			return fmt.Errorf("%s, %s", name, resp.Status)
		}
		return nil
	})
	says("after")
	stream.End(t)
	if rest, err := io.ReadAll(lines); err != nil || len(rest) > 0 {
		t.Errorf("the stream ends with %q, %v", rest, err)
	}
	c.awaitSpent(money.Nanos(asked+1) * nanos(t, "0.50"))
}
