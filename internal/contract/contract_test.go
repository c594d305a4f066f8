package contract_test

import (
	"bytes"
	"testing"

	"google.golang.org/protobuf/proto"
	"pgregory.net/rapid"

	eventv1 "tollgate/gen/tollgate/event/v1"
	"tollgate/internal/contract"
)

func shard() *eventv1.KeyShard {
	return &eventv1.KeyShard{Shard: 7, Keys: []*eventv1.ShardKey{{Sha256: bytes.Repeat([]byte{1}, 32), Id: "key_1", Name: "ci"}}}
}

// Guarantee: a damaged value is refused, never half applied.
func TestDecodeRefusesDamage(t *testing.T) {
	t.Parallel()
	good, err := contract.Encode(contract.Version{Epoch: 1, Revision: 1}, shard())
	if err != nil {
		t.Fatal(err)
	}
	rapid.Check(t, func(t *rapid.T) {
		bad := bytes.Clone(good)
		i := rapid.IntRange(0, len(bad)-1).Draw(t, "at")
		bad[i] ^= byte(rapid.IntRange(1, 255).Draw(t, "by"))
		var got eventv1.KeyShard
		if _, err := contract.Decode(bad, &got); err == nil && !proto.Equal(&got, shard()) {
			t.Fatalf("damage at %d was accepted as %v", i, &got)
		}
	})
}

func FuzzDecode(f *testing.F) {
	good, _ := contract.Encode(contract.Version{Epoch: 1, Revision: 1}, shard())
	f.Add(good)
	f.Fuzz(func(_ *testing.T, data []byte) {
		var m eventv1.KeyShard
		_, _ = contract.Decode(data, &m) // must not panic or take memory beyond its bound
	})
}

// Guarantee: shards and partitions cover their ranges, and consecutive accounts spread.
func TestSharding(t *testing.T) {
	t.Parallel()
	parts := map[uint32]int{}
	for account := range int64(4000) {
		parts[contract.PartitionOf(account+1, 4)]++
		if s := contract.AccountShardOf(account); s >= contract.AccountShards {
			t.Fatalf("account %d in shard %d", account, s)
		}
	}
	for p, n := range parts {
		if p >= 4 || n < 800 || n > 1200 {
			t.Errorf("partition %d has %d of 4000", p, n)
		}
	}
	if got := contract.KeyShardOf([32]byte{0xff, 0xff}); got != contract.KeyShards-1 {
		t.Errorf("last shard = %d", got)
	}
	if got := contract.KeyShardOf([32]byte{0, 0x40}); got != 1 {
		t.Errorf("second shard = %d", got)
	}
}

func TestValidEdgeName(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]bool{"edge-1": true, "Fra_2": true, "": false, "a.b": false, "a b": false, "a*": false} {
		if contract.ValidEdgeName(name) != want {
			t.Errorf("ValidEdgeName(%q) = %v", name, !want)
		}
	}
}
