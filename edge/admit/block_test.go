package admit

import (
	"encoding/binary"
	"fmt"
	"slices"
	"testing"

	"google.golang.org/protobuf/proto"
	"pgregory.net/rapid"

	eventv1 "tollgate/gen/tollgate/event/v1"
)

// keyOfBlock is one of the first shard, in one of several versions.
func keyOfBlock(n, version int) *eventv1.ShardKey {
	hash := make([]byte, 32)
	binary.LittleEndian.PutUint64(hash[8:], uint64(n))
	binary.LittleEndian.PutUint32(hash[2:], uint32(n)*2654435761)
	return &eventv1.ShardKey{Sha256: hash, Id: fmt.Sprint("key_", n), Name: fmt.Sprint("n", n), ExpireUnixMs: int64(version)}
}

// Guarantee: a shard that takes over from the one before what has not changed is the one that would be packed anew, whatever was added,
// removed, changed, moved or put between; and one that is refused leaves the one before as it was.
func TestBlocksAreTakenOver(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		m := &eventv1.KeyShard{}
		count := rapid.IntRange(0, 300).Draw(t, "count")
		for n := range count {
			m.Keys = append(m.Keys, keyOfBlock(n, 0))
		}
		var keys Keys
		for round := range rapid.IntRange(1, 8).Draw(t, "rounds") {
			at := rapid.IntRange(0, 400).Draw(t, "at") % (len(m.GetKeys()) + 1)
			bad := false
			switch what := rapid.IntRange(0, 6).Draw(t, "what"); {
			case what == 0 || at == len(m.GetKeys()):
				m.Keys = slices.Insert(m.Keys, at, keyOfBlock(1000+round, 0))
			case what == 1:
				m.Keys = slices.Delete(m.Keys, at, at+1)
			case what == 2:
				m.Keys[at] = proto.CloneOf(m.GetKeys()[at])
				m.Keys[at].ExpireUnixMs += int64(round) + 1
			case what == 3:
				m.Keys = slices.Concat(m.GetKeys()[at:], m.GetKeys()[:at])
			case what == 4:
				m.Keys = slices.Insert(m.Keys, at, m.GetKeys()[len(m.GetKeys())-1]) // twice
				bad = true
			default:
			}
			wire, err := proto.Marshal(m)
			if err != nil {
				t.Fatal(err)
			}
			was := keys.shards[0].Load()
			if err := keys.SetEncoded(0, wire); (err != nil) != bad {
				t.Fatalf("refused: %v", err)
			}
			got := keys.shards[0].Load()
			if bad {
				if got != was {
					t.Fatal("a shard that was refused is in use")
				}
				m.Keys = slices.Delete(m.Keys, at, at+1)
				continue
			}
			var anew Keys
			if err := anew.SetEncoded(0, wire); err != nil {
				t.Fatal(err)
			}
			want := anew.shards[0].Load()
			if !slices.Equal(got.index, want.index) || !slices.Equal(got.hashes, want.hashes) || !slices.Equal(got.ends, want.ends) ||
				!slices.Equal(got.data, want.data) || !slices.Equal(got.blocks.sums, want.blocks.sums) || !slices.Equal(got.blocks.ends, want.blocks.ends) {
				t.Fatal("the shard is not the one that would be packed anew")
			}
		}
	})
}

// Guarantee: a change of one key takes over nearly all others.
func TestOneChangePacksOneBlock(t *testing.T) {
	t.Parallel()
	m := &eventv1.KeyShard{}
	for n := range 1000 {
		m.Keys = append(m.Keys, keyOfBlock(n, 0))
	}
	var keys Keys
	set := func() *shard {
		if err := keys.SetShard(m); err != nil {
			t.Fatal(err)
		}
		return keys.shards[0].Load()
	}
	before := set()
	m.Keys = slices.Insert(m.Keys, 300, keyOfBlock(5000, 1))
	m.Keys[700] = keyOfBlock(699, 1)
	after := set()
	known := map[uint64]bool{}
	for _, sum := range before.blocks.sums {
		known[sum] = true
	}
	others := slices.DeleteFunc(slices.Clone(after.blocks.sums), func(sum uint64) bool { return known[sum] })
	if n := len(after.blocks.sums); len(others) == 0 || len(others) > n/4 || n < 1000/mostOfBlock {
		t.Errorf("%d of %d blocks are new", len(others), n)
	}
}
