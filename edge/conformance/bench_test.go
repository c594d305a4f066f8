package conformance_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"regexp"
	"strconv"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"
	"google.golang.org/protobuf/encoding/protojson"

	"tollgate/edge"
	"tollgate/edge/conformance"
	eventv1 "tollgate/gen/tollgate/event/v1"
	"tollgate/internal/config"
	"tollgate/internal/contract"
	"tollgate/internal/money"
	"tollgate/internal/seal"
	"tollgate/internal/testenv"
)

// price is that of every endpoint that names none.
const price = 2 * money.Dollar

// bench is a cloud with edges, one for each way of listening. It plays one case at a time.
type bench struct {
	t        *testing.T
	cloud    *cloud
	edges    []*edge.Node
	number   int // of the bench, in its keys
	revision int64
	keys     map[string]string // ids of keys
}

func newBench(t *testing.T, number int) *bench {
	t.Helper()
	b := &bench{t: t, cloud: newCloud(t), number: number, keys: map[string]string{}}
	b.edges = append(b.edges, b.start("plain", func(*edge.Config) {}))
	return b
}

// start runs an edge until the test ends.
func (b *bench) start(name string, change func(*edge.Config)) *edge.Node {
	b.t.Helper()
	cfg := edge.DefaultConfig()
	cfg.Name, cfg.Listen, cfg.AdminListen = name, "127.0.0.1:0", "127.0.0.1:0"
	cfg.DataDir, cfg.NATS.URL = b.t.TempDir(), b.cloud.server.URL()
	cfg.SealingKey, cfg.AllowPrivateTargets = config.Secret(seal.Generate()), true
	cfg.Drain = 5 * time.Second
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
		Id: 1000 + id, Period: eventv1.AccountPeriod_ACCOUNT_PERIOD_TOTAL, TimeZone: "UTC", LimitNanos: int64(budget), Version: 1, Subject: "key " + key[4:8],
	}
	err = b.cloud.publish(b.revision, &eventv1.RouteSnapshot{Endpoints: endpoints}, &eventv1.ShardKey{
		Sha256: hash[:], Id: b.keys[key], Name: "ci-bot", Accounts: []*eventv1.Account{account},
	})
	if err != nil {
		return "", err
	}
	for _, n := range b.edges {
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
func (b *bench) Dial(ctx context.Context, _ string) (net.Conn, error) {
	var d net.Dialer
	return d.DialContext(ctx, "tcp", b.edges[0].Addr())
}

// Settled implements conformance.Gateway.
func (b *bench) Settled(ctx context.Context, key string, n int) []string {
	return b.cloud.settled(ctx, b.keys[key], n)
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
			complete(e)
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

// complete gives an endpoint what it does not say itself.
func complete(e *eventv1.RouteEndpoint) {
	e.Id, e.PriceVersion = "ep_"+e.GetName(), 1
	if e.GetPath() == "" {
		e.Path = "/" + e.GetName()
	}
	if e.GetForward() == eventv1.ForwardMode_FORWARD_MODE_UNSPECIFIED {
		e.Forward = eventv1.ForwardMode_FORWARD_MODE_ALL
	}
	if e.GetHeaders() == nil {
		e.Headers = []*eventv1.RouteHeader{{Name: "Authorization", Value: "Bearer " + conformance.VendorSecret}}
	}
	if !e.GetFree() && e.GetPriceNanos() == 0 && e.GetUsage() == nil {
		e.PriceNanos = int64(price)
	}
	for _, t := range e.GetRouteTargets() {
		e.Targets = append(e.Targets, t.GetUrl())
	}
}
