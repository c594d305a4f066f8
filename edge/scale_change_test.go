package edge_test

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	eventv1 "tollgate/gen/tollgate/event/v1"
	"tollgate/internal/contract"
	"tollgate/internal/seal"
	"tollgate/internal/testenv"
	"tollgate/internal/testenv/cloud"
)

// BenchmarkScaleChange sends requests to an edge with a million keys and a thousand endpoints, in windows of two seconds, and changes the
// configuration ten times a second in one of two: a shard of keys and an endpoint in turn. It reports the p99 of either kind of window, as
// medians over all of them, the median of the ratios of two windows that follow one another, and what the edge has used of CPU for a
// request. The edge is a process of its own, and so are the vendor with the callers; NATS and who publishes are here.
func BenchmarkScaleChange(b *testing.B) {
	const long, pace, rounds = 2 * time.Second, 100 * time.Millisecond, 15
	c := cloud.New(b, cloud.Options{})
	cfg := settings(b, c.Server.URL())
	fill(b, cfg, 1_000_000)
	sealing, err := seal.Parse(cfg.SealingKey.Reveal())
	if err != nil {
		b.Fatal(err)
	}
	callers := startPart(b, "traffic")
	routes := scaleRoutes(b, sealing, callers.addr)
	hash := contract.KeyHash([]byte(key))
	if err := c.Publish(b.Context(), 2, routes, &eventv1.ShardKey{Sha256: hash[:], Id: "key_1", Name: "ci-bot", Accounts: []*eventv1.Account{{
		Id: 900_000_000, Period: eventv1.AccountPeriod_ACCOUNT_PERIOD_TOTAL, TimeZone: "UTC", LimitNanos: int64(cloud.Limit), Version: 1, Subject: "key ci-bot",
	}}}); err != nil {
		b.Fatal(err)
	}
	told, err := json.Marshal(scaleSettings{cfg.DataDir, cfg.NATS.URL, cfg.SealingKey.Reveal()})
	if err != nil {
		b.Fatal(err)
	}
	e := startPart(b, "edge", settingsEnv+"="+string(told))
	testenv.Eventually(b, patience, func() error {
		if status, body, _, err := call(e.addr, "/vendors/7/api/x", key); err != nil || status != http.StatusOK {
			return fmt.Errorf("%d %s %w", status, body, err)
		}
		return nil
	})
	// What NATS keeps is the same in both kinds of windows, but in one the edge does not follow it.
	unread := strings.TrimSuffix(contract.ConfigSubjects, ">") + "bench"
	shards := scaleShards(contract.KeyShardOf(hash), int(long/pace)/2)
	for b.Loop() {
		var p50, p99, cpu [2][]time.Duration
		var ratios []float64
		revision := int64(3)
		for round := range rounds {
			for first := range 2 {
				changing := (round + first) % 2
				changes := scaleChanges(b, routes, shards, revision, int(long/pace))
				publish := func(v change) error {
					subject := unread
					if changing == 1 {
						subject = v.subject
					}
					_, err := c.Conn.JetStream().PublishAsync(subject, v.data)
					return err
				}
				revision += int64(len(changes))
				runtime.GC() // what the making of the changes has left behind
				w, used, err := e.window(callers, long, func() error { return publishAll(changes, pace, publish) })
				if err != nil {
					b.Fatal(err)
				}
				p50[changing], p99[changing] = append(p50[changing], w.P50), append(p99[changing], w.P99)
				cpu[changing] = append(cpu[changing], used/time.Duration(w.Requests))
				b.Logf("changing %d: %d requests, p50 %v, p99 %v, CPU %v each", changing, w.Requests, w.P50, w.P99, used/time.Duration(w.Requests))
			}
			ratios = append(ratios, float64(p99[1][round])/float64(p99[0][round]))
		}
		for i, name := range []string{"without", "with"} {
			b.ReportMetric(float64(median(p50[i]).Microseconds()), "µs-p50-"+name)
			b.ReportMetric(float64(median(p99[i]).Microseconds()), "µs-p99-"+name)
			b.ReportMetric(float64(median(cpu[i]).Microseconds()), "µs-CPU-"+name)
		}
		b.ReportMetric(median(ratios), "x-p99")
	}
}

// window has callers call the edge for some time and does something beside. It returns what the edge has used of CPU meanwhile.
func (p *part) window(callers *part, long time.Duration, beside func() error) (w window, used time.Duration, err error) {
	var before, after time.Duration
	if err := p.ask("cpu", &before); err != nil {
		return w, 0, err
	}
	done := make(chan error, 1)
	go func() { done <- callers.ask(fmt.Sprint(p.addr, " ", long), &w) }()
	err = errors.Join(beside(), <-done)
	err = errors.Join(err, p.ask("cpu", &after))
	return w, after - before, err
}

// publishAll publishes a change at each tick.
func publishAll(changes [][]change, pace time.Duration, publish func(change) error) error {
	tick := time.NewTicker(pace)
	defer tick.Stop()
	for _, values := range changes {
		for _, v := range values {
			if err := publish(v); err != nil {
				return err
			}
		}
		<-tick.C
	}
	return nil
}

func median[T cmp.Ordered](d []T) T {
	d = slices.Sorted(slices.Values(d))
	return d[len(d)/2]
}

// change is a value of the stream.
type change struct {
	subject string
	data    []byte
}

// scaleShards are some shards of the million keys, but for one.
func scaleShards(but uint32, count int) (out []*eventv1.KeyShard) {
	by := map[uint32]*eventv1.KeyShard{}
	for at := uint32(0); len(out) < count; at++ {
		if at != but {
			by[at] = &eventv1.KeyShard{Shard: at}
			out = append(out, by[at])
		}
	}
	for n := range 1_000_000 {
		if s := by[contract.KeyShardOf(hashOf(n))]; s != nil {
			s.Keys = append(s.Keys, scaleKey(n))
		}
	}
	return out
}

// scaleChanges makes so many changes beginning with a revision, before anything is measured: one is of an endpoint, the next of a shard of
// keys.
func scaleChanges(b *testing.B, routes *eventv1.RouteSnapshot, shards []*eventv1.KeyShard, revision int64, count int) (out [][]change) {
	b.Helper()
	encode := func(revision int64, subject string, m proto.Message) change {
		data, err := contract.Encode(contract.Version{Epoch: 1, Revision: revision}, m)
		if err != nil {
			b.Fatal(err)
		}
		return change{subject, data}
	}
	for i := range count {
		at := revision + int64(i)
		var values []change
		if i%2 == 1 {
			shard := shards[i/2%len(shards)]
			shard.Keys[i].ExpireUnixMs = 5_000_000_000_000 + at
			values = append(values, encode(at, contract.ConfigKeys(shard.GetShard()), shard))
		} else {
			routes.Endpoints[100+i].PriceVersion = at
			routes.Endpoints[100+i].PriceNanos++
			values = append(values, encode(at, contract.ConfigRoutes, routes))
		}
		out = append(out, append(values, encode(at, contract.ConfigHead, &eventv1.ConfigHead{PublishedUnixMs: 1})))
	}
	return out
}

// scaleRoutes is a thousand endpoints as large deployments have them.
func scaleRoutes(tb testing.TB, sealing *seal.Key, target string) *eventv1.RouteSnapshot {
	tb.Helper()
	sealed, err := sealing.Seal([]byte("sk-vendor"), "secret:vendor")
	if err != nil {
		tb.Fatal(err)
	}
	routes := &eventv1.RouteSnapshot{Secrets: []*eventv1.SealedSecret{{Name: "vendor", Sealed: sealed}}}
	for i := range 1000 {
		id := fmt.Sprintf("ep_%026d", i)
		routes.Endpoints = append(routes.Endpoints, &eventv1.RouteEndpoint{
			Id: id, Name: fmt.Sprintf("vendor-%d", i), Path: fmt.Sprintf("/vendors/%d/api", i), Targets: []string{target}, PriceNanos: 1000, PriceVersion: 1,
			Headers:   []*eventv1.RouteHeader{{Name: "Authorization", Value: "Bearer ${secret:vendor}"}, {Name: "X-Team", Value: "platform"}},
			TimeoutMs: 30_000,
		})
		routes.Accounts = append(routes.Accounts, &eventv1.Account{
			Id: 3_000_000 + int64(i), Period: eventv1.AccountPeriod_ACCOUNT_PERIOD_MONTH, TimeZone: "UTC", LimitNanos: int64(cloud.Limit), Version: 3, BudgetName: "monthly",
			Subject: fmt.Sprintf("endpoint vendor-%d", i), EndpointId: id, Scope: eventv1.AccountScope_ACCOUNT_SCOPE_ENDPOINT,
		})
	}
	return routes
}
