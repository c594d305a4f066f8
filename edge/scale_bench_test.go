package edge_test

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"tollgate/edge"
	eventv1 "tollgate/gen/tollgate/event/v1"
	"tollgate/internal/contract"
	"tollgate/internal/seal"
)

// BenchmarkScaleStart starts an edge on a disk that holds a million keys, with everything else down. It reports how long New takes,
// after which the edge answers that it is ready, and what a key takes of memory then.
func BenchmarkScaleStart(b *testing.B) {
	const count = 1_000_000
	cfg := settings(b, "nats://127.0.0.1:1")
	fill(b, cfg, count)
	var ready time.Duration
	var inUse uint64
	for b.Loop() {
		before := heapInUse()
		began := time.Now()
		n, err := edge.New(b.Context(), cfg, edge.Deps{})
		if err != nil {
			b.Fatal(err)
		}
		ready += time.Since(began)
		inUse += heapInUse() - before
		r := run(b, n)
		r.ready()
		if metrics, err := r.scrape(); err != nil || !strings.Contains(metrics, "\ntollgate_edge_keys 1e+06\n") {
			b.Errorf("%v: it has not all keys: %s", err, metrics)
		}
		r.stop()
	}
	b.ReportMetric(ready.Seconds()/float64(b.N), "s/ready")
	b.ReportMetric(float64(inUse)/count/float64(b.N), "B/key")
}

// heapInUse is what the heap takes of memory for what is alive.
func heapInUse() uint64 {
	runtime.GC()
	runtime.GC() // what the first one only swept
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapInuse
}

// hashOf is the hash of the secret of a key of the bench.
func hashOf(n int) [32]byte { return sha256.Sum256(binary.BigEndian.AppendUint64(nil, uint64(n))) }

// scaleKey is a key as large deployments have them: each with a budget and a limit of its own, half of them with a budget of the team
// as well, some with an end or with endpoints that it may call.
func scaleKey(n int) *eventv1.ShardKey {
	hash, team := hashOf(n), fmt.Sprintf("team-%d", n%200)
	k := &eventv1.ShardKey{
		Sha256: hash[:], Id: fmt.Sprintf("key_%026d", n), Name: fmt.Sprintf("service-%d", n), Team: team,
		Accounts: []*eventv1.Account{{
			Id: int64(n) + 1, Part: uint32(n % 64), Period: eventv1.AccountPeriod_ACCOUNT_PERIOD_MONTH, TimeZone: "Europe/Berlin",
			LimitNanos: 500_000_000_000, Version: int64(n) + 10, BudgetId: fmt.Sprintf("bud_%026d", n), BudgetName: "monthly",
			Subject: fmt.Sprintf("key service-%d", n), Scope: eventv1.AccountScope_ACCOUNT_SCOPE_KEY, WarnPercents: []uint32{80, 95},
		}},
		Limits: []*eventv1.Limit{{
			Id: int64(n) + 1, Part: uint32(n % 64), Kind: eventv1.LimitKind_LIMIT_KIND_REQUESTS, Amount: 600, Burst: 60, Version: int64(n) + 11,
			Name: "pace", Subject: fmt.Sprintf("key service-%d", n), Scope: eventv1.AccountScope_ACCOUNT_SCOPE_KEY,
		}},
	}
	if n%2 == 0 {
		k.Accounts = append(k.Accounts, &eventv1.Account{
			Id: 2_000_000 + int64(n%200), Part: uint32(n % 64), Period: eventv1.AccountPeriod_ACCOUNT_PERIOD_DAY, TimeZone: "Europe/Berlin",
			LimitNanos: 5_000_000_000_000, Version: 9, BudgetId: fmt.Sprintf("bud_%026d", 2_000_000+n%200), BudgetName: "daily",
			Subject: "team " + team, Scope: eventv1.AccountScope_ACCOUNT_SCOPE_TEAM, ScopeName: team,
		})
	}
	if n%10 == 0 {
		k.ExpireUnixMs = 4_000_000_000_000 + int64(n)
	}
	if n%10 == 1 {
		k.Restricted, k.EndpointIds = true, []string{"ep_1", fmt.Sprintf("ep_%d", 2+n%20), fmt.Sprintf("ep_%d", 30+n%20)}
	}
	return k
}

// fill writes what an edge with so many keys keeps on its disk.
func fill(tb testing.TB, cfg edge.Config, count int) {
	tb.Helper()
	sealing, err := seal.Parse(cfg.SealingKey.Reveal())
	if err != nil {
		tb.Fatal(err)
	}
	dir := filepath.Join(cfg.DataDir, "snapshot")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		tb.Fatal(err)
	}
	write := func(subject string, m proto.Message) {
		data, err := contract.Encode(contract.Version{Epoch: 1, Revision: 1}, m)
		if err != nil {
			tb.Error(err)
			return
		}
		sealed, err := sealing.Seal(data, "snapshot:"+subject)
		if err != nil {
			tb.Error(err)
			return
		}
		name := strings.TrimPrefix(subject, strings.TrimSuffix(contract.ConfigSubjects, ">"))
		if err := os.WriteFile(filepath.Join(dir, name), sealed, 0o600); err != nil {
			tb.Error(err)
		}
	}
	shards := make([][]int, contract.KeyShards)
	for n := range count {
		at := contract.KeyShardOf(hashOf(n))
		shards[at] = append(shards[at], n)
	}
	var wg sync.WaitGroup
	next := make(chan uint32)
	for range runtime.GOMAXPROCS(0) {
		wg.Go(func() {
			for at := range next {
				m := &eventv1.KeyShard{Shard: at}
				for _, n := range shards[at] {
					m.Keys = append(m.Keys, scaleKey(n))
				}
				write(contract.ConfigKeys(at), m)
			}
		})
	}
	for at := range uint32(contract.KeyShards) {
		next <- at
	}
	close(next)
	wg.Wait()
	write(contract.ConfigRoutes, &eventv1.RouteSnapshot{})
	write(contract.ConfigHead, &eventv1.ConfigHead{})
	if tb.Failed() {
		tb.FailNow()
	}
}

// scrape is what the edge tells of itself.
func (r *running) scrape() (string, error) {
	resp, err := client.Get("http://" + r.AdminAddr() + "/-/metrics")
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	return string(text), err
}
