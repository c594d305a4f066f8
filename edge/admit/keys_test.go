package admit

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
	"unsafe"

	"pgregory.net/rapid"

	eventv1 "tollgate/gen/tollgate/event/v1"
	"tollgate/internal/contract"
	"tollgate/internal/fault"
	"tollgate/internal/id"
)

// secretOf is the n-th secret of a test.
func secretOf(n uint64) []byte { return fmt.Appendf(nil, "sk-test-%d", n) }

func keyOf(n uint64, change ...func(*eventv1.ShardKey)) *eventv1.ShardKey {
	hash := contract.KeyHash(secretOf(n))
	k := &eventv1.ShardKey{Sha256: hash[:], Id: fmt.Sprintf("key_%d", n), Name: fmt.Sprintf("k%d", n)}
	for _, c := range change {
		c(k)
	}
	return k
}

// shardOf is the shard that key n falls into, with that key alone.
func shardOf(k *eventv1.ShardKey) *eventv1.KeyShard {
	return &eventv1.KeyShard{Shard: contract.KeyShardOf([32]byte(k.GetSha256())), Keys: []*eventv1.ShardKey{k}}
}

// askAt is a POST to endpoint bria.
func askAt(now time.Time) *Ask {
	return &Ask{EndpointID: "ep_1", EndpointName: "bria", Method: "POST", From: netip.MustParseAddr("10.1.2.3"), Now: now}
}

// Guarantee: each refusal says why, in order of what matters, and none says anything of the secret.
func TestAuthenticate(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	ms := now.UnixMilli()
	for name, c := range map[string]struct {
		change func(*eventv1.ShardKey)
		want   fault.Code
		text   string
	}{
		"good":                {func(*eventv1.ShardKey) {}, "", ""},
		"expires later":       {func(k *eventv1.ShardKey) { k.ExpireUnixMs = ms + 1 }, "", ""},
		"expired":             {func(k *eventv1.ShardKey) { k.ExpireUnixMs = ms }, fault.KeyExpired, "Key k1 expired on 22 November 2026 12:00 UTC."},
		"revoked later":       {func(k *eventv1.ShardKey) { k.RevokeUnixMs = ms + 1 }, "", ""},
		"revoked":             {func(k *eventv1.ShardKey) { k.RevokeUnixMs, k.ExpireUnixMs = ms, ms }, fault.KeyRevoked, "Key k1 was revoked on 22 November 2026 12:00 UTC."},
		"allowed":             {func(k *eventv1.ShardKey) { k.Restricted, k.EndpointIds = true, []string{"ep_2", "ep_1"} }, "", ""},
		"not allowed":         {func(k *eventv1.ShardKey) { k.Restricted, k.EndpointIds = true, []string{"ep_2"} }, fault.KeyNotAllowed, "Key k1 can't call endpoint bria."},
		"rotated":             {func(k *eventv1.ShardKey) { k.SunsetUnixMs, k.ExpireUnixMs, k.Blocked = ms, ms, true }, fault.KeyRevoked, "Key k1 was rotated; the old secret stopped on 22 November 2026 12:00 UTC."},
		"rotated later":       {func(k *eventv1.ShardKey) { k.SunsetUnixMs = ms + 1 }, "", ""},
		"blocked":             {func(k *eventv1.ShardKey) { k.Blocked, k.Restricted = true, true }, fault.KeyBlocked, "Key k1 is blocked."},
		"method":              {func(k *eventv1.ShardKey) { k.Methods, k.Networks = []string{"GET", "PUT"}, []string{"10.2.0.0/16"} }, fault.KeyNotAllowed, "Key k1 can't be used for POST requests."},
		"method allowed":      {func(k *eventv1.ShardKey) { k.Methods = []string{"GET", "POST"} }, "", ""},
		"network":             {func(k *eventv1.ShardKey) { k.Networks = []string{"10.2.0.0/16", "2001:db8::/32"} }, fault.KeyNotAllowed, "Key k1 can't be used from 10.1.2.3."},
		"network allowed":     {func(k *eventv1.ShardKey) { k.Networks = []string{"10.1.0.0/16"} }, "", ""},
		"revoked and rotated": {func(k *eventv1.ShardKey) { k.RevokeUnixMs, k.SunsetUnixMs = ms, ms }, fault.KeyRevoked, "Key k1 was revoked on 22 November 2026 12:00 UTC."},
		"none allowed":        {func(k *eventv1.ShardKey) { k.Restricted = true }, fault.KeyNotAllowed, "Key k1 can't call endpoint bria."},
	} {
		var keys Keys
		if err := keys.SetShard(shardOf(keyOf(1, c.change))); err != nil {
			t.Fatal(err)
		}
		k, err := keys.Authenticate(secretOf(1), askAt(now))
		if c.want == "" {
			if err != nil || k.ID != "key_1" || k.Name != "k1" {
				t.Errorf("%s: %v, %v", name, k, err)
			}
			continue
		}
		if f := fault.From(err); k != nil || f.Code != c.want || f.Message != c.text {
			t.Errorf("%s: %v, %v", name, k, err)
		}
		if _, err := keys.Authenticate(secretOf(2), askAt(now)); !errors.Is(err, fault.New(fault.KeyUnknown, "")) || strings.Contains(err.Error(), "sk-test") {
			t.Errorf("unknown: %v", err)
		}
	}
}

// Guarantee: a key may call exactly the endpoints in its list, whatever their ids have in common.
func TestAccess(t *testing.T) {
	t.Parallel()
	ids := rapid.SampledFrom([]string{"a", "aa", "aaa", "ab", "ba", "b", "abab", "x"})
	rapid.Check(t, func(t *rapid.T) {
		list := rapid.SliceOf(ids).Draw(t, "list")
		a := accessTo(list)
		for _, id := range []string{"", "a", "aa", "aaa", "ab", "ba", "b", "abab", "x", "\n"} {
			want := false
			for _, l := range list {
				want = want || l == id
			}
			if a.allows(id) != want {
				t.Fatalf("%q allows %q: %v", list, id, !want)
			}
			if !anywhere.allows(id) {
				t.Fatalf("an unrestricted key may not call %q", id)
			}
		}
	})
}

// Guarantee: a key may ask for exactly the models that one of its patterns fits, with any text for each "*"; a key without any
// may ask for all.
func TestModelsOfAKey(t *testing.T) {
	t.Parallel()
	text := rapid.StringOfN(rapid.SampledFrom([]rune("ab")), 0, 6, -1)
	pattern := rapid.StringOfN(rapid.SampledFrom([]rune("ab**.")), 1, 6, -1)
	rapid.Check(t, func(t *rapid.T) {
		list := rapid.SliceOfN(pattern, 0, 3).Draw(t, "list")
		var keys Keys
		if err := keys.SetShard(shardOf(keyOf(1, func(k *eventv1.ShardKey) { k.Models = list }))); err != nil {
			t.Fatal(err)
		}
		key, err := keys.Authenticate(secretOf(1), askAt(time.Unix(0, 0)))
		if err != nil {
			t.Fatal(err)
		}
		asked := text.Draw(t, "asked")
		want := len(list) == 0
		for _, l := range list {
			parts := strings.Split(l, "*")
			for i := range parts {
				parts[i] = regexp.QuoteMeta(parts[i])
			}
			want = want || regexp.MustCompile("^"+strings.Join(parts, ".*")+"$").MatchString(asked)
		}
		if key.MayAsk(asked) != want {
			t.Fatalf("%q allow %q: %v", list, asked, !want)
		}
	})
	var keys Keys
	if err := keys.SetShard(shardOf(keyOf(1, func(k *eventv1.ShardKey) { k.Models = []string{"a\nb"} }))); err == nil {
		t.Error("a pattern has a line end in it")
	}
}

// Guarantee: keys with the same models share what says so, and it costs those without nothing.
func TestModelsAreShared(t *testing.T) {
	t.Parallel()
	some := func(k *eventv1.ShardKey) { k.Models = []string{"gpt-*", "claude-*"} }
	if a, b := modelsOf([]string{"x"}), modelsOf([]string{"x"}); a != b {
		t.Error("equal lists are not one")
	}
	if got := unsafe.Sizeof(Labels{}); got > 112 {
		t.Errorf("labels of a key take %d bytes", got) // 112 is what the allocator gave them before
	}
	byShard := map[uint32][]uint64{}
	for n := range uint64(1000) {
		s := contract.KeyShardOf(contract.KeyHash(secretOf(n)))
		if byShard[s] = append(byShard[s], n); len(byShard[s]) < 2 {
			continue
		}
		var keys Keys
		first, second := keyOf(byShard[s][0], some), keyOf(byShard[s][1], some)
		if err := keys.SetShard(&eventv1.KeyShard{Shard: s, Keys: []*eventv1.ShardKey{first, second}}); err != nil {
			t.Fatal(err)
		}
		a, _ := keys.Lookup([32]byte(first.GetSha256()))
		b, _ := keys.Lookup([32]byte(second.GetSha256()))
		if a.Labels != b.Labels {
			t.Error("two keys with the same models do not share their labels")
		}
		return
	}
	t.Fatal("no two keys are of one shard")
}

// Guarantee: after any shards were set, exactly the keys of the newest of each are found, with all
// their accounts; a shard that is wrong changes nothing.
func TestShardsAreTheWholeTruth(t *testing.T) {
	t.Parallel()
	byShard := map[uint32][]uint64{}
	for n := range uint64(8000) {
		s := contract.KeyShardOf(contract.KeyHash(secretOf(n)))
		byShard[s] = append(byShard[s], n)
	}
	rapid.Check(t, func(t *rapid.T) {
		var keys Keys
		model := map[uint32]map[uint64]int{} // shard to key to number of accounts
		for range rapid.IntRange(1, 12).Draw(t, "changes") {
			n := uint32(rapid.IntRange(0, 3).Draw(t, "shard"))
			in, now := &eventv1.KeyShard{Shard: n}, map[uint64]int{}
			for _, k := range byShard[n] {
				if !rapid.Bool().Draw(t, "in") {
					continue
				}
				now[k] = rapid.IntRange(0, 2).Draw(t, "accounts")
				in.Keys = append(in.Keys, keyOf(k, func(s *eventv1.ShardKey) {
					for i := range now[k] {
						subject := []string{"key " + s.GetName(), "team infra"}[i]
						s.Accounts = append(s.Accounts, &eventv1.Account{Id: int64(k*10) + int64(i) + 1, Period: eventv1.AccountPeriod_ACCOUNT_PERIOD_DAY, TimeZone: "Asia/Tokyo", Subject: subject})
					}
				}))
			}
			if len(in.Keys) > 0 && rapid.IntRange(0, 3).Draw(t, "bad") == 0 {
				spoil(t, in)
				if keys.SetShard(in) == nil {
					t.Fatalf("accepted %v", in)
				}
				continue
			}
			if err := keys.SetShard(in); err != nil {
				t.Fatal(err)
			}
			model[n] = now
		}
		total := 0
		for s := range uint32(4) {
			total += len(model[s])
			for _, n := range byShard[s] {
				k, ok := keys.Lookup(contract.KeyHash(secretOf(n)))
				accounts, want := model[s][n]
				if ok != want {
					t.Fatalf("key %d found: %v", n, ok)
				}
				if !ok {
					continue
				}
				if k.ID != fmt.Sprintf("key_%d", n) || k.Name != fmt.Sprintf("k%d", n) || len(k.Accounts) != accounts {
					t.Fatalf("key %d = %+v", n, k)
				}
				for i, a := range k.Accounts {
					if a.ID() != int64(n*10)+int64(i)+1 || a.Subject() != []string{"key " + k.Name, "team infra"}[i] {
						t.Fatalf("account %+v of %s", a, k.Name)
					}
				}
			}
		}
		if keys.Len() != total {
			t.Fatalf("Len = %d; want %d", keys.Len(), total)
		}
	})
}

// spoil breaks a shard in one way.
func spoil(t *rapid.T, in *eventv1.KeyShard) {
	k := in.GetKeys()[rapid.IntRange(0, len(in.GetKeys())-1).Draw(t, "which")]
	switch rapid.IntRange(0, 10).Draw(t, "how") {
	case 0:
		in.Shard = contract.KeyShards
	case 1:
		k.Sha256 = k.Sha256[:31]
	case 2:
		k.Sha256[0] ^= 0x80 // another shard
	case 3:
		in.Keys = append(in.Keys, k)
	case 4:
		k.Id = ""
	case 5:
		k.Restricted, k.EndpointIds = true, []string{"a\nb"}
	case 6:
		k.Accounts = append(k.Accounts, &eventv1.Account{Id: 1, TimeZone: "UTC"})
	case 7:
		k.Accounts = append(k.Accounts, &eventv1.Account{Id: 1, Period: eventv1.AccountPeriod_ACCOUNT_PERIOD_DAY, TimeZone: "Nowhere"})
	case 8:
		k.Tags = []string{"a\nb"}
	case 9:
		k.Limits = []*eventv1.Limit{{Id: 0}}
	case 10:
		k.Accounts = append(k.Accounts, &eventv1.Account{Id: 1, Period: eventv1.AccountPeriod_ACCOUNT_PERIOD_ROLLING, TimeZone: "UTC"})
	}
}

// Guarantee: keys are looked up while shards are replaced, and each lookup sees a whole shard.
func TestLookupDuringReplacement(t *testing.T) {
	t.Parallel()
	var keys Keys
	in := shardOf(keyOf(1))
	if err := keys.SetShard(in); err != nil {
		t.Fatal(err)
	}
	stop := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		defer close(stop)
		for range 2000 {
			if err := keys.SetShard(in); err != nil {
				t.Error(err)
			}
		}
	})
	for range 2 {
		wg.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				if k, err := keys.Authenticate(secretOf(1), &Ask{Now: time.Now()}); err != nil || k.ID != "key_1" {
					t.Errorf("%v, %v", k, err)
					return
				}
			}
		})
	}
	wg.Wait()
}

// Guarantee: however many keys of a shard are used, only so many are kept ready, and each is found all the same.
func TestFewKeysAreReady(t *testing.T) {
	t.Parallel()
	in := &eventv1.KeyShard{Shard: 5}
	for n := uint64(0); len(in.GetKeys()) < mostReady+200; n++ {
		hash := sha256.Sum256(binary.LittleEndian.AppendUint64(nil, n))
		hash[0], hash[1] = 1, 0x40|hash[1]&0x3f // of shard 5
		in.Keys = append(in.Keys, &eventv1.ShardKey{Sha256: hash[:], Id: fmt.Sprintf("key_%d", n), Name: "k"})
	}
	var keys Keys
	if err := keys.SetShard(in); err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 3 {
				for _, k := range in.GetKeys() {
					if got, ok := keys.Lookup([32]byte(k.GetSha256())); !ok || got.ID != k.GetId() {
						t.Errorf("%s: %v", k.GetId(), got)
					}
				}
			}
		})
	}
	wg.Wait()
	s, ready := keys.shards[5].Load(), 0
	for i := range s.ready {
		if s.ready[i].Load() != nil {
			ready++
		}
	}
	if used := int(s.used.Load()); ready != used || ready > mostReady+4 || ready < mostReady/2 {
		t.Errorf("%d keys are ready, %d are counted", ready, used)
	}
}

// Guarantee: no shard, however wrong, does more than be refused.
func FuzzSetShard(f *testing.F) {
	f.Add(uint32(1), []byte("x"), "key_1", "name", "ep_1", int64(5), "UTC", int32(2))
	f.Fuzz(func(t *testing.T, shard uint32, hash []byte, id, name, endpoint string, account int64, zone string, period int32) {
		if len(hash) > 4 { // most hashes are right
			sum := sha256.Sum256(hash)
			hash, shard = sum[:], contract.KeyShardOf(sum)
		}
		in := &eventv1.KeyShard{Shard: shard, Keys: []*eventv1.ShardKey{{
			Sha256: hash, Id: id, Name: name, Restricted: true, EndpointIds: []string{endpoint},
			Accounts: []*eventv1.Account{{Id: account, TimeZone: zone, Period: eventv1.AccountPeriod(period), Subject: name}},
		}}}
		var keys Keys
		if keys.SetShard(in) != nil {
			return
		}
		k, ok := keys.Lookup([32]byte(hash))
		if !ok || k.ID != id || k.Name != name || endpoint != "" && !k.Allows(endpoint) || k.Accounts[0].Subject() != name {
			t.Errorf("%+v", k)
		}
		k.Accounts[0].windowAt(1_800_000_000)
	})
}

// million is a million keys with ids and names as they are in life. Each has a budget with budgets.
func million(b *testing.B, budgets bool) (*Keys, [][32]byte, uint64) {
	b.Helper()
	const count = 1_000_000
	hashes := make([][32]byte, count)
	byShard := map[uint32][]int{}
	for i := range hashes {
		var seed [8]byte
		binary.LittleEndian.PutUint64(seed[:], uint64(i))
		hashes[i] = sha256.Sum256(seed[:])
		s := contract.KeyShardOf(hashes[i])
		byShard[s] = append(byShard[s], i)
	}
	before := heap()
	keys := &Keys{}
	for s := range maps.Keys(byShard) {
		in := &eventv1.KeyShard{Shard: s}
		for _, i := range byShard[s] {
			k := &eventv1.ShardKey{Sha256: hashes[i][:], Id: id.New(id.Key), Name: fmt.Sprintf("service-%d", i), Restricted: true, EndpointIds: []string{"ep_01", "ep_02"}}
			if budgets {
				k.Accounts = []*eventv1.Account{{Id: int64(i + 1), Gen: 1, Version: 9, Period: eventv1.AccountPeriod_ACCOUNT_PERIOD_MONTH, TimeZone: "Europe/Berlin", Subject: "key " + k.GetName(), BudgetId: id.New(id.Budget), BudgetName: "b"}}
			}
			in.Keys = append(in.Keys, k)
		}
		if err := keys.SetShard(in); err != nil {
			b.Fatal(err)
		}
	}
	return keys, hashes, heap() - before
}

func heap() uint64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// BenchmarkMillionKeys looks up those that are in use, a hundred thousand of them, and then all in turn, of which most have to be made
// ready.
func BenchmarkMillionKeys(b *testing.B) {
	for name, budgets := range map[string]bool{"plain": false, "each with a budget": true} {
		keys, hashes, size := million(b, budgets)
		perKey := float64(size) / float64(len(hashes))
		secrets := make([][8]byte, len(hashes))
		for i := range secrets {
			binary.LittleEndian.PutUint64(secrets[i][:], uint64(i))
		}
		ask := Ask{EndpointID: "ep_01", EndpointName: "bria", Method: "POST", Now: time.Now()}
		for _, count := range []int{100_000, len(hashes)} {
			b.Run(fmt.Sprintf("%s, %d in use", name, count), func(b *testing.B) {
				for i := range count {
					if _, err := keys.Authenticate(secrets[i][:], &ask); err != nil {
						b.Fatal(err)
					}
				}
				i := 0
				b.ReportAllocs()
				for b.Loop() {
					i = (i + 7919) % count
					if _, err := keys.Authenticate(secrets[i][:], &ask); err != nil {
						b.Fatal(err)
					}
				}
				b.ReportMetric(perKey, "B/key")
				if perKey > 250 {
					b.Errorf("%.0f bytes a key", perKey)
				}
			})
		}
	}
}

// Guarantee: a key comes with its team, its customer, its tags and its limits, whatever other keys of
// its shard share with it.
func TestLabels(t *testing.T) {
	t.Parallel()
	want := func(k *eventv1.ShardKey, n uint64) {
		if n%3 > 0 {
			k.Team, k.Tags = fmt.Sprintf("team%d", n%3), []string{"batch", fmt.Sprintf("t%d", n%3)}
		}
		if n%2 > 0 {
			k.Customer = "acme"
		}
		if n%5 == 0 {
			k.Limits = []*eventv1.Limit{{Id: int64(n + 1), Kind: eventv1.LimitKind_LIMIT_KIND_REQUESTS, Amount: 60, Name: "l"}}
		}
		if n%7 == 0 {
			k.ExpireUnixMs = 1
		}
	}
	var keys Keys
	byShard := map[uint32]*eventv1.KeyShard{}
	for n := range uint64(3000) {
		k := keyOf(n, func(k *eventv1.ShardKey) { want(k, n) })
		s := contract.KeyShardOf([32]byte(k.GetSha256()))
		if byShard[s] == nil {
			byShard[s] = &eventv1.KeyShard{Shard: s}
		}
		byShard[s].Keys = append(byShard[s].Keys, k)
	}
	for _, in := range byShard {
		if err := keys.SetShard(in); err != nil {
			t.Fatal(err)
		}
	}
	for n := range uint64(3000) {
		in := keyOf(n, func(k *eventv1.ShardKey) { want(k, n) })
		k, ok := keys.Lookup([32]byte(in.GetSha256()))
		if !ok || k.Team != in.GetTeam() || k.Customer != in.GetCustomer() || !slices.Equal(k.Tags, in.GetTags()) || len(k.Limits) != len(in.GetLimits()) || k.expire != in.GetExpireUnixMs() {
			t.Fatalf("key %d = %+v with %+v", n, k, k.Labels)
		}
		if len(k.Limits) > 0 && k.Limits[0].ID() != int64(n+1) {
			t.Fatalf("key %d has limit %d", n, k.Limits[0].ID())
		}
	}
}
