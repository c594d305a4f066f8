package admit

import (
	"errors"
	"hash/maphash"
	"math"
	"slices"
)

// blocks are the keys of a shard in groups that follow one another, by a sum of what their messages are: a change is mostly of one key, and
// all blocks but its own are taken over as they are packed. Where a block ends depends on the keys in it alone, so that one that is new
// does not move the ends of all behind it.
type blocks struct {
	sums []uint64
	ends []uint32 // number of the key behind the last one
}

const (
	// sizeOfBlock is how many keys a block has on average: a sum for each key would take more memory than it saves of time.
	sizeOfBlock = 16
	mostOfBlock = 4 * sizeOfBlock
)

// seed makes sums that nobody can foresee, so that nobody can make two keys that have the same.
var seed = maphash.MakeSeed()

// ended packs the block that was read, whose messages are in wire.
func (p *packer) ended(wire []byte, before *shard, shared *sharing) error {
	if len(p.block) == 0 {
		return nil
	}
	sum := maphash.Bytes(seed, wire)
	if !p.takeOver(before, sum) {
		for _, key := range p.block {
			if err := p.key(key, shared); err != nil {
				return err
			}
		}
	}
	if len(p.data) > math.MaxUint32 {
		return errors.New("it is larger than 4 GB")
	}
	p.blocks.sums, p.blocks.ends = append(p.blocks.sums, sum), append(p.blocks.ends, uint32(len(p.hashes)))
	p.block = p.block[:0]
	return nil
}

// takeOver packs a block as it is in the shard before, if it is there.
func (p *packer) takeOver(before *shard, sum uint64) bool {
	if before == nil {
		return false
	}
	at := p.likely
	if known := before.blocks.sums; at >= len(known) || known[at] != sum {
		if at = slices.Index(known, sum); at < 0 {
			return false
		}
	}
	p.likely = at + 1
	from, to := uint32(0), before.blocks.ends[at]
	if at > 0 {
		from = before.blocks.ends[at-1]
	}
	packed := uint32(0) // where it begins
	if from > 0 {
		packed = before.ends[from-1]
	}
	begin := uint32(len(p.data))
	p.hashes = append(p.hashes, before.hashes[from:to]...)
	p.data = append(p.data, before.data[packed:before.ends[to-1]]...)
	for _, end := range before.ends[from:to] {
		p.ends = append(p.ends, begin+end-packed)
	}
	return true
}
