package admit

import (
	"errors"
	"fmt"
	"runtime"
	"testing"
	"time"

	eventv1 "tollgate/gen/tollgate/event/v1"
	"tollgate/internal/contract"
	"tollgate/internal/testenv"
)

// Guarantee: keys of one team share what they say about their requests over all shards, those of other teams and those with
// other rules have their own, and what no key has any more is not kept.
func TestLabelsAreSharedOverShards(t *testing.T) {
	t.Parallel()
	var keys Keys
	set := func(team func(n uint64) string) {
		byShard := map[uint32]*eventv1.KeyShard{}
		for n := range uint64(200) {
			k := keyOf(n, func(k *eventv1.ShardKey) { k.Team, k.Blocked = team(n), n%10 == 0 })
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
	}
	key := func(n uint64) *Key {
		k, ok := keys.Lookup([32]byte(keyOf(n, func(*eventv1.ShardKey) {}).GetSha256()))
		if !ok {
			t.Fatalf("key %d is gone", n)
		}
		return k
	}
	set(func(n uint64) string { return fmt.Sprintf("team-%d", n%2) })
	for n := range uint64(200) {
		k, like := key(n), key(n%2+2)
		if k.Team != fmt.Sprintf("team-%d", n%2) {
			t.Errorf("key %d is of %s", n, k.Team)
		}
		if ruled := n%10 == 0; (k.Labels == like.Labels) == ruled || ruled != (k.rules != nil) {
			t.Errorf("key %d: blocked %t, shares %t", n, ruled, k.Labels == like.Labels)
		}
	}
	if key(2).Labels == key(3).Labels {
		t.Error("two teams share their labels")
	}
	set(func(uint64) string { return "one" })
	for n := range uint64(200) {
		key(n)
	}
	testenv.Eventually(t, 20*time.Second, func() error {
		runtime.GC()
		keys.labels.mu.Lock()
		defer keys.labels.mu.Unlock()
		if n := len(keys.labels.of); n != 2 { // with and without rules
			return errors.New(fmt.Sprint(n, " labels are kept"))
		}
		return nil
	})
	if key(3).Team != "one" {
		t.Error("what is in use was forgotten")
	}
}
