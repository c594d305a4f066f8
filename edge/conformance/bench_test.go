package conformance_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"
	"google.golang.org/protobuf/encoding/protojson"

	"tollgate/edge"
	"tollgate/edge/conformance"
	controlv1 "tollgate/gen/tollgate/control/v1"
	eventv1 "tollgate/gen/tollgate/event/v1"
	"tollgate/internal/config"
	"tollgate/internal/contract"
	"tollgate/internal/money"
	"tollgate/internal/seal"
	"tollgate/internal/testenv"
	"tollgate/internal/testenv/cloud"
	"tollgate/internal/testenv/pki"
)

// price is that of every endpoint that names none.
const price = 2 * money.Dollar

// bench is edges with their books, one for each way of listening, with the fast lane and without. It plays one case at a time.
type bench struct {
	t        *testing.T
	books    *books
	plain    *edge.Node // HTTP/1.1 and h2c
	secure   *edge.Node // TLS
	general  *edge.Node // HTTP/1.1 without the fast lane
	sealed   *edge.Node // the same over TLS
	trust    *x509.CertPool
	number   int // of the bench, in its keys
	revision int64
	keys     map[string]string // ids of keys
}

func newBench(t *testing.T, number int) *bench {
	t.Helper()
	b := &bench{t: t, books: newBooks(t), number: number, keys: map[string]string{}}
	authority := pki.New(t)
	pair, dir := authority.Issue(t, []string{"127.0.0.1"}), t.TempDir()
	certFile, keyFile := filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	for name, data := range map[string][]byte{certFile: pair.Cert, keyFile: pair.Key} {
		if err := os.WriteFile(name, data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	b.trust = authority.Pool()
	overTLS := func(cfg *edge.Config) { cfg.TLS.CertFile, cfg.TLS.KeyFile = certFile, keyFile }
	b.plain = b.start("plain", func(*edge.Config) {})
	b.secure = b.start("secure", overTLS)
	b.general = b.start("general", func(cfg *edge.Config) { cfg.FastLane = false })
	b.sealed = b.start("sealed", func(cfg *edge.Config) { overTLS(cfg); cfg.FastLane = false })
	return b
}

// start runs an edge until the test ends.
func (b *bench) start(name string, change func(*edge.Config)) *edge.Node {
	b.t.Helper()
	cfg := edge.DefaultConfig()
	cfg.Name, cfg.Listen, cfg.AdminListen = name, "127.0.0.1:0", "127.0.0.1:0"
	cfg.DataDir, cfg.NATS.URL = b.t.TempDir(), b.books.Server.URL()
	cfg.SealingKey, cfg.AllowPrivateTargets = config.Secret(seal.Generate()), true
	cfg.Notice, cfg.Drain = 0, 5*time.Second
	change(&cfg)
	n, err := edge.New(b.t.Context(), cfg, edge.Deps{
		Log:    testenv.Logger(b.t),
		Getenv: func(name string) (string, bool) { return "from-env", name == "TOKEN" },
	})
	if err != nil {
		b.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- n.Run(ctx) }()
	b.t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			b.t.Errorf("run: %v", err)
		}
	})
	return n
}

// Configure implements conformance.Gateway.
func (b *bench) Configure(documents []string) (string, error) {
	endpoints, err := endpoints(documents)
	if err != nil {
		return "", err
	}
	b.revision++
	id := b.revision
	key := fmt.Sprintf("tgk_%d_%028d", b.number, id)
	hash := contract.KeyHash([]byte(key))
	b.keys[key] = fmt.Sprintf("key_%d", id)
	account := &eventv1.Account{
		Id: 1000 + id, Period: eventv1.AccountPeriod_ACCOUNT_PERIOD_TOTAL, TimeZone: "UTC", LimitNanos: int64(cloud.Limit), Version: 1, Subject: "key " + key[4:8],
	}
	err = b.books.Publish(b.t.Context(), b.revision, &eventv1.RouteSnapshot{Endpoints: endpoints}, &eventv1.ShardKey{
		Sha256: hash[:], Id: b.keys[key], Name: "ci-bot", Accounts: []*eventv1.Account{account},
	})
	if err != nil {
		return "", err
	}
	for _, n := range []*edge.Node{b.plain, b.secure, b.general, b.sealed} {
		if err := b.await(n); err != nil {
			return "", err
		}
	}
	return key, nil
}

// await waits until an edge serves the newest revision.
func (b *bench) await(n *edge.Node) error {
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	end := time.NewTimer(conformance.Patience)
	defer end.Stop()
	for {
		err := b.serves(n)
		if err == nil {
			return nil
		}
		select {
		case <-tick.C:
		case <-end.C:
			return err
		}
	}
}

var revisionLine = regexp.MustCompile(`(?m)^tollgate_edge_config_revision ([0-9.e+]+)$`)

// serves says why an edge does not serve the newest revision.
func (b *bench) serves(n *edge.Node) error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+n.AdminAddr()+"/-/metrics", http.NoBody)
	if err != nil {
		return err
	}
	resp, err := scraper.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	found := revisionLine.FindSubmatch(text)
	if found == nil {
		return errors.New("no revision among the metrics")
	}
	if got, err := strconv.ParseFloat(string(found[1]), 64); err != nil || int64(got) != b.revision {
		return fmt.Errorf("it serves revision %s, not %d", found[1], b.revision)
	}
	return nil
}

var scraper = &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}

// Dial implements conformance.Gateway.
func (b *bench) Dial(ctx context.Context, transport string) (net.Conn, error) {
	var d net.Dialer
	node, protocol := b.plain, "http/1.1"
	switch transport {
	case conformance.H1General:
		node = b.general
	case conformance.TLS:
		node = b.secure
	case conformance.TLSGeneral:
		node = b.sealed
	case conformance.H2:
		node, protocol = b.secure, "h2"
	}
	if node == b.plain || node == b.general {
		return d.DialContext(ctx, "tcp", node.Addr())
	}
	over := tls.Dialer{NetDialer: &d, Config: &tls.Config{RootCAs: b.trust, MinVersion: tls.VersionTLS12, NextProtos: []string{protocol}}}
	c, err := over.DialContext(ctx, "tcp", node.Addr())
	if err != nil {
		return nil, err
	}
	if s, ok := c.(*tls.Conn); !ok || s.ConnectionState().NegotiatedProtocol != protocol {
		c.Close()
		return nil, fmt.Errorf("%s was not agreed on", protocol)
	}
	return c, nil
}

// Settled implements conformance.Gateway.
func (b *bench) Settled(ctx context.Context, key string, n int) []string {
	return b.books.settled(ctx, b.keys[key], n)
}

// endpoints reads documents of endpoints, of which later ones replace earlier ones of the same name, and
// gives them what all have.
func endpoints(documents []string) ([]*eventv1.RouteEndpoint, error) {
	var out []*eventv1.RouteEndpoint
	at := map[string]int{}
	for _, text := range documents {
		var list []any
		if err := yaml.Unmarshal([]byte(text), &list); err != nil {
			return nil, err
		}
		for _, one := range list {
			data, err := json.Marshal(one)
			if err != nil {
				return nil, err
			}
			e := &eventv1.RouteEndpoint{}
			if err := protojson.Unmarshal(data, e); err != nil {
				return nil, fmt.Errorf("%s: %w", bytes.TrimSpace(data), err)
			}
			named, _ := one.(map[string]any)
			_, own := named["headers"]
			complete(e, own)
			if i, ok := at[e.GetName()]; ok {
				out[i] = e
				continue
			}
			at[e.GetName()] = len(out)
			out = append(out, e)
		}
	}
	return out, nil
}

// everyMethod charges requests that only look as well, so that their settlements say something.
var everyMethod = &controlv1.Charge{Methods: []string{"DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT"}}

// complete gives an endpoint what it does not say itself. It may say that it has no headers.
func complete(e *eventv1.RouteEndpoint, ownHeaders bool) {
	e.Id, e.PriceVersion = "ep_"+e.GetName(), 1
	if e.GetPath() == "" {
		e.Path = "/" + e.GetName()
	}
	if e.GetForward() == eventv1.ForwardMode_FORWARD_MODE_UNSPECIFIED {
		e.Forward = eventv1.ForwardMode_FORWARD_MODE_ALL
	}
	if !ownHeaders {
		e.Headers = []*eventv1.RouteHeader{{Name: "Authorization", Value: "Bearer " + conformance.VendorSecret}}
	}
	if !e.GetFree() && e.GetPriceNanos() == 0 && e.GetUsage() == nil && e.GetMetered() == nil {
		e.PriceNanos = int64(price)
	}
	if e.GetPriceNanos() > 0 && e.GetCharge() == nil {
		e.Charge = everyMethod
	}
	for _, t := range e.GetRouteTargets() {
		e.Targets = append(e.Targets, t.GetUrl())
	}
}
