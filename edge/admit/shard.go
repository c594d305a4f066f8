package admit

import (
	"errors"
	"fmt"
	"math/bits"
	"slices"
	"strings"

	"tollgate/edge/limit"
	eventv1 "tollgate/gen/tollgate/event/v1"
	"tollgate/internal/contract"
)

// shard is the keys of one shard, compact: one block of keys, one of accounts, one of text, and an
// index by hash with open addressing.
type shard struct {
	index []uint32 // 1 + position in keys, or 0; a power of two long, at most half full
	keys  []Key
}

func (s *shard) lookup(hash *[32]byte) (*Key, bool) {
	mask := uint32(len(s.index) - 1)
	for i := slot(hash) & mask; s.index[i] != 0; i = (i + 1) & mask {
		if k := &s.keys[s.index[i]-1]; k.hash == *hash {
			return k, true
		}
	}
	return nil, false
}

// slot takes bits of the hash that do not name the shard.
func slot(hash *[32]byte) uint32 {
	return uint32(hash[2]) | uint32(hash[3])<<8 | uint32(hash[4])<<16 | uint32(hash[5])<<24
}

// SetShard replaces a shard: keys that are not in it do not exist from now on. A shard in which
// anything is wrong is refused whole, and the one before it stays.
func (k *Keys) SetShard(in *eventv1.KeyShard) error {
	n := in.GetShard()
	if n >= contract.KeyShards {
		return fmt.Errorf("key shard %d does not exist", n)
	}
	s, err := newShard(in)
	if err != nil {
		return fmt.Errorf("key shard %d: %w", n, err)
	}
	k.shards[n].Store(s)
	return nil
}

func newShard(in *eventv1.KeyShard) (*shard, error) {
	count, accounts, text := len(in.GetKeys()), 0, 0
	for _, k := range in.GetKeys() {
		accounts += len(k.GetAccounts())
		text += textOf(k)
	}
	b := builder{accounts: make([]Account, accounts), pointers: make([]*Account, 0, accounts), labels: map[labelsKey]*Labels{}}
	b.text.Grow(text)
	s := &shard{
		index: make([]uint32, 1<<bits.Len(uint(count)*2)),
		keys:  make([]Key, count),
	}
	for i, from := range in.GetKeys() {
		k := &s.keys[i]
		if err := b.key(k, from); err != nil {
			return nil, fmt.Errorf("key %q: %w", from.GetId(), err)
		}
		if contract.KeyShardOf(k.hash) != in.GetShard() {
			return nil, fmt.Errorf("key %q belongs to shard %d", k.ID, contract.KeyShardOf(k.hash))
		}
		if other, ok := s.lookup(&k.hash); ok {
			return nil, fmt.Errorf("keys %q and %q have the same hash", other.ID, k.ID)
		}
		mask := uint32(len(s.index) - 1)
		at := slot(&k.hash) & mask
		for s.index[at] != 0 {
			at = (at + 1) & mask
		}
		s.index[at] = uint32(i + 1)
	}
	return s, nil
}

// builder fills the blocks of a shard. None of them grows, so that what points into them stays.
type builder struct {
	accounts []Account
	pointers []*Account
	text     strings.Builder
	labels   map[labelsKey]*Labels
}

const subjectOfKey = "key "

// textOf is how much text b.key will write at most.
func textOf(k *eventv1.ShardKey) int {
	n := len(k.GetId()) + len(subjectOfKey) + len(k.GetName())
	for i, a := range k.GetAccounts() {
		n += len(a.GetBudgetName()) + len(a.GetScopeName())
		if !describes(k, i) {
			n += len(a.GetSubject())
		}
	}
	return n
}

// describes says whether the first account of a key is described by the key's own name, as that of a
// key's own budget is, so that they can share the text.
func describes(k *eventv1.ShardKey, account int) bool {
	name, ok := strings.CutPrefix(k.GetAccounts()[account].GetSubject(), subjectOfKey)
	return account == 0 && ok && name == k.GetName()
}

func (b *builder) key(k *Key, from *eventv1.ShardKey) (err error) {
	if len(from.GetSha256()) != len(k.hash) {
		return fmt.Errorf("its hash has %d bytes, not %d", len(from.GetSha256()), len(k.hash))
	}
	if from.GetId() == "" {
		return errors.New("it has no id")
	}
	k.hash = [32]byte(from.GetSha256())
	k.ID = b.put(from.GetId())
	at := b.text.Len()
	k.Name = b.put(subjectOfKey + from.GetName())[len(subjectOfKey):]
	if k.Labels, err = b.labelsOf(from); err != nil {
		return err
	}
	first := len(b.pointers)
	for i, account := range from.GetAccounts() {
		if i > 0 || !describes(from, i) {
			at = b.text.Len()
			b.text.WriteString(account.GetSubject())
		}
		b.text.WriteString(account.GetBudgetName())
		b.text.WriteString(account.GetScopeName())
		a := &b.accounts[len(b.pointers)]
		if err := a.read(account, b.text.String()[at:]); err != nil {
			return err
		}
		b.pointers = append(b.pointers, a)
	}
	if len(b.pointers) > first {
		k.Accounts = b.pointers[first:len(b.pointers):len(b.pointers)]
	}
	return nil
}

func (b *builder) put(s string) string {
	at := b.text.Len()
	b.text.WriteString(s)
	return b.text.String()[at:]
}

// labelsKey is what labels that can be shared differ in.
type labelsKey struct {
	team, customer, tags string
	access               access
	models               models
}

func (b *builder) labelsOf(from *eventv1.ShardKey) (*Labels, error) {
	for _, text := range slices.Concat(from.GetEndpointIds(), from.GetTags(), from.GetModels()) {
		if strings.Contains(text, "\n") {
			return nil, fmt.Errorf("endpoint id, tag or model %q has a line end in it", text)
		}
	}
	key := labelsKey{team: from.GetTeam(), customer: from.GetCustomer(), tags: strings.Join(from.GetTags(), "\n"), models: modelsOf(slices.Sorted(slices.Values(from.GetModels())))}
	if from.GetRestricted() {
		key.access = accessTo(slices.Sorted(slices.Values(from.GetEndpointIds())))
	}
	l, ok := b.labels[key]
	if !ok {
		l = &Labels{Team: key.team, Customer: key.customer, Tags: from.GetTags(), access: key.access, models: key.models}
		b.labels[key] = l
	}
	if from.GetExpireUnixMs() == 0 && from.GetRevokeUnixMs() == 0 && len(from.GetLimits()) == 0 {
		return l, nil
	}
	own := *l // it shares the texts all the same
	own.expire, own.revoke = from.GetExpireUnixMs(), from.GetRevokeUnixMs()
	for _, f := range from.GetLimits() {
		m, err := limit.NewLimit(f)
		if err != nil {
			return nil, err
		}
		own.Limits = append(own.Limits, m)
	}
	return &own, nil
}
