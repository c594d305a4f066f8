package spool

import (
	"encoding/binary"
	"errors"
	"hash/crc32"
	"math"
	"strings"
	"time"

	eventv1 "tollgate/gen/tollgate/event/v1"
	"tollgate/internal/contract"
	"tollgate/internal/id"
	"tollgate/internal/money"
)

// A record is
//
//	u32 length of type and body | u32 CRC-32C of all the rest | u8 type | body | zeros up to a multiple of 8
//
// in little endian. The length is written last. A length of zero is not a record, so that neither the
// end of a file nor space that was allocated ahead nor half a record can be taken for one.
const (
	recordHead = 9
	maxRecord  = 1 << 18
	alignment  = 8
)

// Types of records. A reader skips types that it does not know. 1 to 3 are those of format 1.
const (
	typeIntent  byte = 4 // all that settling it needs
	typeSettle  byte = 5 // number of the intent, and an event as it is published for each partition
	typeClose   byte = 6 // the same, without an intent: the events that say that nothing follows
	typePartial byte = 7 // what is held for an intent and what it has cost by now
	typeJoin    byte = 8 // a partition that the incarnation deals with
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

var errMalformed = errors.New("malformed record")

func align(n int64) int64 { return (n + alignment - 1) &^ (alignment - 1) }

// begin starts a record in buf; finish completes it all but for its length, which it returns. The
// seed keeps records of another incarnation from being taken for one of this.
func begin(buf []byte, typ byte) []byte {
	return append(buf[:0], 0, 0, 0, 0, 0, 0, 0, 0, typ)
}

func finish(rec []byte, seed uint32) ([]byte, uint32) {
	length := uint32(len(rec) - 8)
	binary.LittleEndian.PutUint32(rec[4:], checksum(rec, length, seed))
	var pad [alignment]byte
	return append(rec, pad[:align(int64(len(rec)))-int64(len(rec))]...), length
}

// checksum starts from the length, so that it covers that as well.
func checksum(rec []byte, length, seed uint32) uint32 {
	return crc32.Update(seed^length, castagnoli, rec[8:])
}

func seedOf(inc int64) uint32 {
	return crc32.Checksum(binary.LittleEndian.AppendUint64(nil, uint64(inc)), castagnoli)
}

// A settlement or close is the number of the intent, a count, so many entries, and the events of them
// one behind the other.
const (
	eventHead  = 8 + 2
	eventEntry = 4 + 8 + 4 // partition, sequence number, length of the event
)

// putEntry fills in an entry.
func putEntry(b []byte, part uint32, seq uint64, length int) {
	binary.LittleEndian.PutUint32(b, part)
	binary.LittleEndian.PutUint64(b[4:], seq)
	binary.LittleEndian.PutUint32(b[12:], uint32(length))
}

// numbered is an event with its partition and sequence number.
type numbered struct {
	part  uint32
	seq   uint64
	event []byte
}

// parseEvents appends the events of a settlement or close to dst.
func parseEvents(dst []numbered, body []byte) (n uint64, _ []numbered, err error) {
	le := binary.LittleEndian
	if len(body) < eventHead {
		return 0, dst, errMalformed
	}
	n, count := le.Uint64(body), int(le.Uint16(body[8:]))
	if len(body) < eventHead+count*eventEntry {
		return 0, dst, errMalformed
	}
	entries, events := body[eventHead:], body[eventHead+count*eventEntry:]
	for range count {
		e := numbered{part: le.Uint32(entries), seq: le.Uint64(entries[4:])}
		length := uint64(le.Uint32(entries[12:]))
		if e.part >= mostParts || e.seq == 0 || length > uint64(len(events)) {
			return 0, dst, errMalformed
		}
		e.event, events = events[:length], events[length:]
		dst, entries = append(dst, e), entries[eventEntry:]
	}
	if len(events) > 0 {
		return 0, dst, errMalformed
	}
	return n, dst, nil
}

// Bounds of what an intent may name. A request that goes beyond them is refused.
const (
	longestID = 1 << 10
	mostDraws = 1 << 8
	mostTags  = 1 << 6
	mostParts = 1 << 12
)

const (
	intentFixed = 8 + 16 + 4 + 8 + 8 + 8 + 8 + 1
	drawBytes   = 8 + 4 + 8 + 4
	partialBody = 8 + 8 + 8
	joinBody    = 4
)

// entry is an intent that is not settled, as far as is known.
type entry struct {
	n        uint64
	intent   Intent
	reserved money.Nanos // by now
	metered  money.Nanos // cost so far
}

// intentLength is the length of an intent's record.
func intentLength(i *Intent) int64 {
	n := recordHead + intentFixed + 5*2 + 1 + 2 + len(i.Draws)*drawBytes
	n += len(i.KeyID) + len(i.EndpointID) + len(i.Team) + len(i.Customer) + len(i.Model)
	if i.Deployment != "" {
		n += 1 + len(i.Deployment)
	}
	for _, tag := range i.Tags {
		n += 2 + len(tag)
	}
	return align(int64(n))
}

// appendIntent appends the body of an intent. b has room for it.
func appendIntent(b []byte, e *entry) []byte {
	le, i := binary.LittleEndian, &e.intent
	n := len(b) + intentFixed
	fixed := b[len(b):n:n]
	b = b[:cap(b)]
	le.PutUint64(fixed, e.n)
	copy(fixed[8:], i.Request[:])
	le.PutUint32(fixed[24:], i.Attempt)
	le.PutUint64(fixed[28:], uint64(i.At.UnixMilli()))
	le.PutUint64(fixed[36:], uint64(i.PriceVersion))
	le.PutUint64(fixed[44:], uint64(e.reserved))
	le.PutUint64(fixed[52:], uint64(e.metered))
	fixed[60] = byte(i.Abandoned)
	n = putText(b, n, i.KeyID)
	n = putText(b, n, i.EndpointID)
	n = putText(b, n, i.Team)
	n = putText(b, n, i.Customer)
	n = putModel(b, n, i)
	b[n] = byte(len(i.Tags))
	n++
	for _, tag := range i.Tags {
		n = putText(b, n, tag)
	}
	le.PutUint16(b[n:], uint16(len(i.Draws)))
	n += 2
	for k := range i.Draws {
		d, at := &i.Draws[k], b[n:n+drawBytes]
		le.PutUint64(at, uint64(d.Window.Account))
		le.PutUint32(at[8:], d.Window.Gen)
		le.PutUint64(at[12:], uint64(d.Window.Start))
		le.PutUint32(at[20:], d.Part)
		n += drawBytes
	}
	return b[:n]
}

// putText writes a text at n and returns where it ends.
func putText(b []byte, n int, s string) int {
	binary.LittleEndian.PutUint16(b[n:], uint16(len(s)))
	return n + 2 + copy(b[n+2:], s)
}

// putModel writes the model, and behind a zero byte, which no text has in it, the deployment. Readers that do not know of
// deployments settle such an intent all the same, with both as the name of its model.
func putModel(b []byte, n int, i *Intent) int {
	if i.Deployment == "" {
		return putText(b, n, i.Model)
	}
	end := putText(b, n, i.Model)
	b[end] = 0
	end += 1 + copy(b[end+1:], i.Deployment)
	binary.LittleEndian.PutUint16(b[n:], uint16(end-n-2))
	return end
}

// cutText takes a text off the front of b.
func cutText(b []byte) (s string, rest []byte, err error) {
	if len(b) < 2 || len(b)-2 < int(binary.LittleEndian.Uint16(b)) {
		return "", nil, errMalformed
	}
	end := 2 + int(binary.LittleEndian.Uint16(b))
	return string(b[2:end]), b[end:], nil
}

func parseIntent(body []byte) (e entry, err error) {
	le, i := binary.LittleEndian, &e.intent
	if len(body) < intentFixed {
		return e, errMalformed
	}
	e.n = le.Uint64(body)
	i.Request = id.Bytes(body[8:24])
	i.Attempt = le.Uint32(body[24:])
	i.At = time.UnixMilli(int64(le.Uint64(body[28:])))
	i.PriceVersion = int64(le.Uint64(body[36:]))
	e.reserved = money.Nanos(le.Uint64(body[44:]))
	e.metered = money.Nanos(le.Uint64(body[52:]))
	i.Amount = e.reserved
	i.Abandoned = eventv1.AbandonedPolicy(body[60])
	rest := body[intentFixed:]
	for _, field := range []*string{&i.KeyID, &i.EndpointID, &i.Team, &i.Customer, &i.Model} {
		if *field, rest, err = cutText(rest); err != nil {
			return e, err
		}
	}
	if model, deployment, _ := strings.Cut(i.Model, "\x00"); deployment != "" {
		i.Model, i.Deployment = model, deployment
	}
	if len(rest) < 1 {
		return e, errMalformed
	}
	tags := rest[0]
	rest = rest[1:]
	for range tags {
		var tag string
		if tag, rest, err = cutText(rest); err != nil {
			return e, err
		}
		i.Tags = append(i.Tags, tag)
	}
	if len(rest) < 2 || len(rest)-2 != int(le.Uint16(rest))*drawBytes {
		return e, errMalformed
	}
	for rest = rest[2:]; len(rest) > 0; rest = rest[drawBytes:] {
		d := contract.Draw{Part: le.Uint32(rest[20:])}
		d.Window = contract.Window{Account: int64(le.Uint64(rest)), Gen: le.Uint32(rest[8:]), Start: int64(le.Uint64(rest[12:]))}
		if d.Part >= mostParts {
			return e, errMalformed
		}
		i.Draws = append(i.Draws, d)
	}
	if e.n == 0 || e.reserved < 0 || e.metered < 0 {
		return e, errMalformed
	}
	return e, nil
}

// partialLength is the length of the record of a partial, and joinLength of one of a join.
var (
	partialLength = align(recordHead + partialBody)
	joinLength    = align(recordHead + joinBody)
)

func appendPartial(b []byte, n uint64, reserved, metered money.Nanos) []byte {
	b = binary.LittleEndian.AppendUint64(b, n)
	b = binary.LittleEndian.AppendUint64(b, uint64(reserved))
	return binary.LittleEndian.AppendUint64(b, uint64(metered))
}

func parsePartial(body []byte) (n uint64, reserved, metered money.Nanos, err error) {
	le := binary.LittleEndian
	if len(body) != partialBody || le.Uint64(body[8:]) > math.MaxInt64 || le.Uint64(body[16:]) > math.MaxInt64 {
		return 0, 0, 0, errMalformed
	}
	return le.Uint64(body), money.Nanos(le.Uint64(body[8:])), money.Nanos(le.Uint64(body[16:])), nil
}

func parseJoin(body []byte) (part uint32, err error) {
	if len(body) != joinBody || binary.LittleEndian.Uint32(body) >= mostParts {
		return 0, errMalformed
	}
	return binary.LittleEndian.Uint32(body), nil
}
