package replay

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"sync"
	"testing"
	"time"

	"tollgate/edge"
	controlv1 "tollgate/gen/tollgate/control/v1"
	eventv1 "tollgate/gen/tollgate/event/v1"
	"tollgate/internal/config"
	"tollgate/internal/contract"
	"tollgate/internal/id"
	"tollgate/internal/money"
	"tollgate/internal/seal"
	"tollgate/internal/testenv"
	"tollgate/internal/testenv/cloud"
)

func TestMain(m *testing.M) { os.Exit(testenv.Main(m)) }

const (
	key      = "tgk_0123456789abcdefghijklmnopqrstuv"
	price    = money.Dollar / 1000
	patience = 20 * time.Second // for what happens at once unless something is broken
)

// tally is a cloud and what its edge has settled.
type tally struct {
	*cloud.Cloud

	t      *testing.T
	mu     sync.Mutex                       // guards what follows
	ends   map[string][]*eventv1.SpendEvent // settlements by request
	closed bool                             // the edge has said its last word
}

func newTally(t *testing.T) *tally {
	t.Helper()
	r := &tally{t: t, ends: map[string][]*eventv1.SpendEvent{}}
	r.Cloud = cloud.New(t, cloud.Options{Booked: r.book})
	return r
}

func (r *tally) book(_ int64, e *eventv1.SpendEvent) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if e.GetOutcome() == eventv1.SpendOutcome_SPEND_OUTCOME_CLOSE {
		r.closed = true
		return
	}
	request := id.Bytes(e.GetRequestId()).Text(id.Request)
	r.ends[request] = append(r.ends[request], e)
}

// publish hands out a configuration with one key.
func (r *tally) publish(endpoints []*eventv1.RouteEndpoint) {
	r.t.Helper()
	hash := contract.KeyHash([]byte(key))
	account := &eventv1.Account{
		Id: 1, Period: eventv1.AccountPeriod_ACCOUNT_PERIOD_TOTAL, TimeZone: "UTC", LimitNanos: int64(cloud.Limit), Version: 1, Subject: "key replay",
	}
	err := r.Publish(r.t.Context(), 1, &eventv1.RouteSnapshot{Endpoints: endpoints},
		&eventv1.ShardKey{Sha256: hash[:], Id: "key_1", Name: "replay", Accounts: []*eventv1.Account{account}})
	if err != nil {
		r.t.Fatal(err)
	}
}

// endpointTo forwards all that it may below a path.
func endpointTo(name, target string) *eventv1.RouteEndpoint {
	return &eventv1.RouteEndpoint{
		Id: "ep_" + name, Name: name, Path: "/" + name, Targets: []string{target}, PriceNanos: int64(price), PriceVersion: 1,
		Charge:  &controlv1.Charge{Methods: []string{"DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT"}},
		Forward: eventv1.ForwardMode_FORWARD_MODE_ALL, ForwardTraceContext: true,
	}
}

// startEdge runs an edge on a configuration until it is ready. stop ends it, when all that it has to say was said.
func (r *tally) startEdge(endpoints []*eventv1.RouteEndpoint) (addr string, stop func()) {
	r.t.Helper()
	cfg := edge.DefaultConfig()
	cfg.Name, cfg.Listen, cfg.AdminListen = "replay", "127.0.0.1:0", "127.0.0.1:0"
	cfg.DataDir, cfg.NATS.URL = r.t.TempDir(), r.Server.URL()
	cfg.SealingKey, cfg.AllowPrivateTargets = config.Secret(seal.Generate()), true
	cfg.Notice, cfg.Drain = 0, 5*time.Second
	n, err := edge.New(r.t.Context(), cfg, edge.Deps{})
	if err != nil {
		r.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- n.Run(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			r.t.Errorf("run: %v", err)
		}
	})
	r.t.Cleanup(stop)
	r.publish(endpoints)
	probe := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: patience}
	testenv.Eventually(r.t, patience, func() error {
		req, err := http.NewRequestWithContext(r.t.Context(), http.MethodGet, "http://"+n.AdminAddr()+"/-/readyz", http.NoBody)
		if err != nil {
			return err
		}
		resp, err := probe.Do(req)
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		if resp.StatusCode != http.StatusOK {
			return fmt.Errorf("status %d", resp.StatusCode)
		}
		return nil
	})
	return n.Addr(), stop
}

// settled are the settlements of a request.
func (r *tally) settled(request string) []*eventv1.SpendEvent {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.ends[request]
}
