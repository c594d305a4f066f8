package admit

import (
	"bytes"
	"fmt"
	"hash/maphash"
	"net/netip"
	"strings"
	"sync"
	"unicode/utf8"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	eventv1 "tollgate/gen/tollgate/event/v1"
)

// packer reads the message of a shard and packs what an edge needs of it. It makes no message of a key of which it can vouch that one
// could be made: of a million keys that takes seconds. Every other key goes the long way, which has the last word on what is wrong.
type packer struct {
	hashes [][32]byte
	ends   []uint32
	data   []byte

	blocks blocks
	block  [][]byte // keys of the one that is read
	likely int      // which block of the shard before is likely to come next

	sub       []byte // of the account or limit that is read
	calendars []calendarText
}

// calendarText is a calendar that exists, as messages name it.
type calendarText struct {
	period, days uint64
	zone         string
}

var packers = sync.Pool{New: func() any { return new(packer) }}

// all packs a shard into hashes, ends and data. What is as it was in the shard before, which may be nil, is taken over from there.
func (p *packer) all(n uint32, wire []byte, before *shard, shared *sharing) error {
	p.hashes, p.ends, p.data, p.block, p.likely = p.hashes[:0], p.ends[:0], p.data[:0], p.block[:0], 0
	p.blocks = blocks{p.blocks.sums[:0], p.blocks.ends[:0]}
	shard, from := uint64(0), 0 // where the block begins
	for at := 0; at < len(wire); {
		num, kind, tag := protowire.ConsumeTag(wire[at:])
		if tag < 0 {
			return protowire.ParseError(tag)
		}
		value := wire[at+tag:]
		isKey, last := false, true
		var key []byte
		var size int
		switch {
		case num == fieldShard && kind == protowire.VarintType:
			shard, size = protowire.ConsumeVarint(value)
		case num == fieldKeys && kind == protowire.BytesType:
			key, size = protowire.ConsumeBytes(value)
			isKey, last = true, len(p.block)+1 >= mostOfBlock || maphash.Bytes(seed, key)%sizeOfBlock == 0
		default:
			size = protowire.ConsumeFieldValue(num, kind, value)
		}
		if size < 0 {
			return protowire.ParseError(size)
		}
		end, next := at, at+tag+size // end is that of a block which this field is not part of
		if isKey {
			p.block, end = append(p.block, key), next
		}
		if last {
			if err := p.ended(wire[from:end], before, shared); err != nil {
				return err
			}
			from = next
		}
		at = next
	}
	if err := p.ended(wire[from:], before, shared); err != nil {
		return err
	}
	if uint32(shard) != n {
		return fmt.Errorf("it holds shard %d", uint32(shard))
	}
	return nil
}

// Fields of eventv1.KeyShard.
const (
	fieldShard = 1
	fieldKeys  = 2
)

func (p *packer) key(wire []byte, shared *sharing) error {
	at := len(p.data)
	if hash, ok := p.vouch(wire); ok {
		p.hashes = append(p.hashes, hash)
	} else {
		p.data = p.data[:at]
		m := &eventv1.ShardKey{}
		if err := proto.Unmarshal(wire, m); err != nil {
			return err
		}
		if _, err := newKey(m, shared); err != nil {
			return fmt.Errorf("key %q: %w", m.GetId(), err)
		}
		p.hashes = append(p.hashes, [32]byte(m.GetSha256()))
		strip(m)
		var err error
		if p.data, err = (proto.MarshalOptions{}).MarshalAppend(p.data, m); err != nil {
			return err
		}
	}
	p.ends = append(p.ends, uint32(len(p.data)))
	return nil
}

// strip leaves out what an edge does not need of a key, and what it can tell from the rest.
func strip(m *eventv1.ShardKey) {
	m.Sha256 = nil
	m.ProtoReflect().SetUnknown(nil)
	for i, a := range m.GetAccounts() {
		m.Accounts[i] = &eventv1.Account{
			Id: a.GetId(), Part: a.GetPart(), Gen: a.GetGen(), Period: a.GetPeriod(), TimeZone: a.GetTimeZone(), Version: a.GetVersion(),
			BudgetName: a.GetBudgetName(), Subject: shortSubject(a.GetSubject(), m.GetName()), Scope: a.GetScope(), ScopeName: a.GetScopeName(),
			Days: a.GetDays(), Soft: a.GetSoft(), OverdraftNanos: a.GetOverdraftNanos(),
		}
	}
	for _, l := range m.GetLimits() {
		l.ProtoReflect().SetUnknown(nil)
		l.Subject = shortSubject(l.GetSubject(), m.GetName())
	}
}

// ofKey stands for the subject of what is the key's own: "key " and its name. A subject that begins like it has it twice.
const ofKey = "\x00"

func shortSubject(subject, name string) string {
	if rest, ok := strings.CutPrefix(subject, subjectOfKey); ok && rest == name {
		return ofKey
	}
	if strings.HasPrefix(subject, ofKey) {
		return ofKey + subject
	}
	return subject
}

// restore undoes what strip did to subjects.
func restore(m *eventv1.ShardKey) {
	for _, a := range m.GetAccounts() {
		a.Subject = longSubject(a.GetSubject(), m.GetName())
	}
	for _, l := range m.GetLimits() {
		l.Subject = longSubject(l.GetSubject(), m.GetName())
	}
}

func longSubject(subject, name string) string {
	if subject == ofKey {
		return subjectOfKey + name
	}
	return strings.TrimPrefix(subject, ofKey)
}

// Fields of eventv1.ShardKey.
const (
	keySha256      = 1
	keyID          = 2
	keyName        = 3
	keyExpire      = 4
	keyRevoke      = 5
	keyRestricted  = 6
	keyEndpointIDs = 7
	keyAccounts    = 8
	keyTeam        = 9
	keyCustomer    = 10
	keyTags        = 11
	keyLimits      = 12
	keyModels      = 13
	keyBlocked     = 14
	keyMethods     = 15
	keyNetworks    = 16
	keySunset      = 17
	keyCounted     = 18
	keyTeamModels  = 19
)

// field is one field of a message, as it lies there.
type field struct {
	num    protowire.Number
	raw    []byte // with its tag
	bytes  []byte // of a field of bytes
	varint uint64
}

// next reads a field. Only those of the two kinds that the messages of keys consist of are vouched for.
func next(wire []byte) (f field, rest []byte, ok bool) {
	num, kind, size := protowire.ConsumeTag(wire)
	if size < 0 {
		return f, nil, false
	}
	f.num = num
	var n int
	switch kind {
	case protowire.VarintType:
		f.varint, n = protowire.ConsumeVarint(wire[size:])
	case protowire.BytesType:
		f.bytes, n = protowire.ConsumeBytes(wire[size:])
		if f.bytes == nil {
			f.bytes = []byte{}
		}
	default:
		return f, nil, false
	}
	if n < 0 {
		return f, nil, false
	}
	f.raw = wire[:size+n]
	return f, wire[size+n:], true
}

// isText says whether the field is text, without a line end where it must have none.
func (f *field) isText() bool { return f.bytes != nil && utf8.Valid(f.bytes) }

func (f *field) isLine() bool { return f.isText() && bytes.IndexByte(f.bytes, '\n') < 0 }

// once marks a field of a message that has one value, and says whether it is the first.
func once(seen *uint32, num protowire.Number) bool {
	bit := uint32(1) << num
	first := *seen&bit == 0
	*seen |= bit
	return first
}

// vouch packs a key of whose message it can say that newKey takes it. What it has packed otherwise is to be dropped.
func (p *packer) vouch(wire []byte) (hash [32]byte, ok bool) {
	var seen uint32
	var name []byte
	for rest := wire; len(rest) > 0; {
		var f field
		if f, rest, ok = next(rest); !ok {
			return hash, false
		}
		switch f.num {
		case keySha256:
			if len(f.bytes) != len(hash) || !once(&seen, f.num) {
				return hash, false
			}
			copy(hash[:], f.bytes)
			continue
		case keyID, keyName, keyTeam, keyCustomer:
			if !f.isText() || !once(&seen, f.num) {
				return hash, false
			}
			if f.num == keyName {
				name = f.bytes
			}
			if f.num == keyID && len(f.bytes) == 0 {
				return hash, false
			}
		case keyExpire, keyRevoke, keyRestricted, keyBlocked, keySunset, keyCounted:
			if f.bytes != nil || !once(&seen, f.num) {
				return hash, false
			}
		case keyEndpointIDs, keyTags, keyModels, keyMethods, keyTeamModels:
			if !f.isLine() {
				return hash, false
			}
		case keyNetworks:
			if !f.isText() {
				return hash, false
			}
			if _, err := netip.ParsePrefix(string(f.bytes)); err != nil {
				return hash, false
			}
		case keyAccounts:
			if f.bytes == nil || seen&(1<<keyName) == 0 || !p.account(f.bytes, name) {
				return hash, false
			}
			p.append(keyAccounts)
			continue
		case keyLimits:
			if f.bytes == nil || seen&(1<<keyName) == 0 || !p.limit(f.bytes, name) {
				return hash, false
			}
			p.append(keyLimits)
			continue
		default:
			continue // of a newer control plane
		}
		p.data = append(p.data, f.raw...)
	}
	return hash, seen&(1<<keySha256|1<<keyID) == 1<<keySha256|1<<keyID
}

// append adds the message in sub.
func (p *packer) append(num protowire.Number) {
	p.data = protowire.AppendTag(p.data, num, protowire.BytesType)
	p.data = protowire.AppendBytes(p.data, p.sub)
}

// subject adds that of an account or a limit to sub, as shortSubject says.
func (p *packer) subject(num protowire.Number, subject, name []byte) {
	p.sub = protowire.AppendTag(p.sub, num, protowire.BytesType)
	switch rest, ok := bytes.CutPrefix(subject, []byte(subjectOfKey)); {
	case ok && bytes.Equal(rest, name):
		p.sub = protowire.AppendString(p.sub, ofKey)
	case bytes.HasPrefix(subject, []byte(ofKey)):
		p.sub = protowire.AppendString(p.sub, ofKey+string(subject))
	default:
		p.sub = protowire.AppendBytes(p.sub, subject)
	}
}
