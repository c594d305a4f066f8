package admit

import (
	"fmt"
	"math/bits"
	"slices"
	"sync/atomic"

	"google.golang.org/protobuf/proto"

	eventv1 "tollgate/gen/tollgate/event/v1"
	"tollgate/internal/contract"
)

// shard is the keys of one shard, packed: of each its hash and, in one block without a pointer for the garbage collector to
// follow, what an edge needs of its message. A key in use is ready beside that.
type shard struct {
	index  []uint16 // 1 + position, by hash with open addressing, or 0; a power of two long, at most half full
	hashes [][32]byte
	ends   []uint32 // where in data what is packed of a key ends
	data   []byte
	blocks blocks

	ready  []atomic.Pointer[Key] // nil for a key that no request has used
	used   atomic.Int32          // how many of them are not
	hand   atomic.Uint32         // where the last one was that is ready no longer
	shared *sharing
}

// mostReady bounds how many keys of a shard are ready at a time, so that an edge with a million keys does not hold them all twice
// because each was used once. It is the working set of half a million keys.
const mostReady = 512

// mostKeys is what an index can number.
const mostKeys = 1<<16 - 2

func (s *shard) lookup(hash *[32]byte) (*Key, bool) {
	i, ok := s.find(hash)
	if !ok {
		return nil, false
	}
	if k := s.ready[i].Load(); k != nil {
		return k, true
	}
	return s.prepare(i)
}

func (s *shard) find(hash *[32]byte) (int, bool) {
	mask := uint32(len(s.index) - 1)
	for at := slot(hash) & mask; s.index[at] != 0; at = (at + 1) & mask {
		if i := int(s.index[at] - 1); s.hashes[i] == *hash {
			return i, true
		}
	}
	return 0, false
}

// slot takes bits of the hash that do not name the shard.
func slot(hash *[32]byte) uint32 {
	return uint32(hash[2]) | uint32(hash[3])<<8 | uint32(hash[4])<<16 | uint32(hash[5])<<24
}

// prepare makes a key ready. Requests that do so at the same time get the same one.
func (s *shard) prepare(i int) (*Key, bool) {
	k, err := s.unpack(i)
	if err != nil {
		return nil, false // it was checked when it was packed
	}
	if !s.ready[i].CompareAndSwap(nil, k) {
		if other := s.ready[i].Load(); other != nil {
			return other, true
		}
		return k, true
	}
	if s.used.Add(1) > mostReady {
		s.retire(i)
	}
	return k, true
}

// retire has another key be ready no longer than for the requests that have it: the next one round that is.
func (s *shard) retire(but int) {
	for range s.ready {
		if j := int(s.hand.Add(1) % uint32(len(s.ready))); j != but && s.ready[j].Swap(nil) != nil {
			s.used.Add(-1)
			return
		}
	}
}

func (s *shard) unpack(i int) (*Key, error) {
	from := 0
	if i > 0 {
		from = int(s.ends[i-1])
	}
	m := &eventv1.ShardKey{}
	if err := proto.Unmarshal(s.data[from:s.ends[i]], m); err != nil {
		return nil, err
	}
	m.Sha256 = s.hashes[i][:]
	restore(m)
	return newKey(m, s.shared)
}

// SetShard replaces a shard: keys that are not in it do not exist from now on. A shard in which
// anything is wrong is refused whole, and the one before it stays.
func (k *Keys) SetShard(in *eventv1.KeyShard) error {
	wire, err := proto.Marshal(in)
	if err != nil {
		return fmt.Errorf("key shard %d: %w", in.GetShard(), err)
	}
	return k.SetEncoded(in.GetShard(), wire)
}

// SetEncoded is SetShard for a message that was not decoded, which must be that of shard n. It keeps nothing of wire, and takes no
// lock: several shards may be set at a time.
func (k *Keys) SetEncoded(n uint32, wire []byte) error {
	if n >= contract.KeyShards {
		return fmt.Errorf("key shard %d does not exist", n)
	}
	p, _ := packers.Get().(*packer)
	defer packers.Put(p)
	s, err := p.shard(n, wire, k.shards[n].Load(), &k.labels)
	if err != nil {
		return fmt.Errorf("key shard %d: %w", n, err)
	}
	k.shards[n].Store(s)
	return nil
}

// shard packs the message of shard n, which comes after another; nil for none.
func (p *packer) shard(n uint32, wire []byte, before *shard, shared *sharing) (*shard, error) {
	if err := p.all(n, wire, before, shared); err != nil {
		return nil, err
	}
	count := len(p.hashes)
	if count > mostKeys {
		return nil, fmt.Errorf("it has %d keys, and there is room for %d", count, mostKeys)
	}
	s := &shard{
		index: make([]uint16, 1<<bits.Len(uint(count)*2)), ready: make([]atomic.Pointer[Key], count), shared: shared,
		hashes: slices.Clip(slices.Clone(p.hashes)), ends: slices.Clip(slices.Clone(p.ends)), data: slices.Clip(slices.Clone(p.data)),
		blocks: blocks{slices.Clip(slices.Clone(p.blocks.sums)), slices.Clip(slices.Clone(p.blocks.ends))},
	}
	mask := uint32(len(s.index) - 1)
	for i := range s.hashes {
		hash := &s.hashes[i]
		if contract.KeyShardOf(*hash) != n {
			return nil, fmt.Errorf("key %q belongs to shard %d", s.id(i), contract.KeyShardOf(*hash))
		}
		if other, ok := s.find(hash); ok {
			return nil, fmt.Errorf("keys %q and %q have the same hash", s.id(other), s.id(i))
		}
		at := slot(hash) & mask
		for s.index[at] != 0 {
			at = (at + 1) & mask
		}
		s.index[at] = uint16(i + 1)
	}
	return s, nil
}

// id names a key in an error.
func (s *shard) id(i int) string {
	k, err := s.unpack(i)
	if err != nil {
		return err.Error()
	}
	return k.ID
}
