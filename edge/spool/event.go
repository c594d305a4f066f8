package spool

import (
	"cmp"
	"encoding/binary"
	"math"
	"slices"
	"strconv"
	"time"

	"google.golang.org/protobuf/encoding/protowire"

	eventv1 "tollgate/gen/tollgate/event/v1"
	"tollgate/internal/contract"
	"tollgate/internal/money"
)

// Events are encoded when they are settled and published as they lie on disk: a batch is a header
// and the bytes of its events. The encoding is that of proto.Marshal, written out because that
// would cost an allocation for each draw, and in place, because requests wait for it.

// Tags of the fields of SpendEvent, SpendDraw and AccountWindow.
const (
	tagRequest   = 1<<3 | 2
	tagAttempt   = 2 << 3
	tagAt        = 3 << 3
	tagKey       = 4<<3 | 2
	tagEndpoint  = 5<<3 | 2
	tagStatus    = 6 << 3
	tagOutcome   = 7 << 3
	tagPrice     = 8 << 3
	tagCost      = 9 << 3
	tagDuration  = 10 << 3
	tagDraw      = 11<<3 | 2
	tagDrawsOnly = 12 << 3
	tagTeam      = 13<<3 | 2
	tagCustomer  = 14<<3 | 2
	tagTag       = 15<<3 | 2
	tagModel     = 16<<3 | 2
	tagReserved  = 17 << 3
	tagUnits     = 18 << 3
	tagUnpriced  = 19 << 3

	tagDeployment = 23<<3 | 2

	tagWindow = 1<<3 | 2
	tagNanos  = 2 << 3
	tagPart   = 3 << 3

	tagAccount = 1 << 3
	tagGen     = 2 << 3
	tagStart   = 3 << 3
)

// encoder writes into memory that is long enough.
type encoder struct {
	b []byte
	n int // written
}

func (e *encoder) varint(v uint64) {
	b, n := e.b, e.n
	for v >= 0x80 {
		b[n] = byte(v) | 0x80
		v >>= 7
		n++
	}
	b[n] = byte(v)
	e.n = n + 1
}

// number writes a field, unless it has the value that an absent one has.
func (e *encoder) number(tag uint32, v uint64) {
	if v == 0 {
		return
	}
	b, n := e.b, e.tag(tag)
	for v >= 0x80 {
		b[n] = byte(v) | 0x80
		v >>= 7
		n++
	}
	b[n] = byte(v)
	e.n = n + 1
}

// tag writes a tag of one or two bytes and returns where it ends.
func (e *encoder) tag(tag uint32) int {
	if tag < 0x80 {
		e.b[e.n] = byte(tag)
		return e.n + 1
	}
	e.b[e.n], e.b[e.n+1] = byte(tag)|0x80, byte(tag>>7)
	return e.n + 2
}

func (e *encoder) text(tag uint32, s string) {
	if s != "" {
		e.repeated(tag, s)
	}
}

func (e *encoder) repeated(tag uint32, s string) {
	if e.n = e.tag(tag); len(s) < 0x80 {
		e.b[e.n] = byte(len(s))
		e.n++
	} else {
		e.varint(uint64(len(s)))
	}
	e.n += copy(e.b[e.n:], s)
}

func (e *encoder) request(i *Intent) {
	e.b[e.n], e.b[e.n+1] = tagRequest, byte(len(i.Request))
	e.n += 2 + copy(e.b[e.n+2:], i.Request[:])
	e.number(tagAttempt, uint64(i.Attempt))
}

// draw writes the draw of an account-window. Both messages in it are shorter than 128 bytes.
func (e *encoder) draw(d *contract.Draw, cost money.Nanos) {
	e.b[e.n], e.b[e.n+2] = tagDraw, tagWindow
	draw, window := e.n+2, e.n+4
	e.n = window
	e.number(tagAccount, uint64(d.Window.Account))
	e.number(tagGen, uint64(d.Window.Gen))
	e.number(tagStart, uint64(d.Window.Start))
	e.b[window-1] = byte(e.n - window)
	e.number(tagNanos, uint64(cost))
	e.number(tagPart, uint64(d.Part))
	e.b[draw-1] = byte(e.n - draw)
}

// event writes the SpendEvent that settles x, for the partition that keeps the record.
func (e *encoder) event(x *entry, end *Settlement) {
	i := &x.intent
	e.request(i)
	e.number(tagAt, uint64(end.At.UnixMilli()))
	e.text(tagKey, i.KeyID)
	e.text(tagEndpoint, i.EndpointID)
	e.number(tagStatus, uint64(min(max(end.Status, 0), math.MaxUint32)))
	e.number(tagOutcome, uint64(end.Outcome))
	e.number(tagPrice, uint64(i.PriceVersion))
	e.number(tagCost, uint64(end.Cost))
	e.number(tagDuration, uint64(end.Duration.Microseconds()))
	for k := range i.Draws {
		e.draw(&i.Draws[k], end.Cost)
	}
	e.text(tagTeam, i.Team)
	e.text(tagCustomer, i.Customer)
	for _, tag := range i.Tags {
		e.repeated(tagTag, tag)
	}
	e.text(tagModel, cmp.Or(end.Model, i.Model))
	e.number(tagReserved, uint64(x.reserved))
	e.number(tagUnits, uint64(end.Units))
	e.yes(tagUnpriced, end.Unpriced)
	if end.detailed() {
		e.detail(end)
	}
	e.text(tagDeployment, i.Deployment)
}

// share writes what another partition gets of the request: its draws, and what they belong to.
func (e *encoder) share(x *entry, end *Settlement, part uint32) {
	i := &x.intent
	e.request(i)
	e.number(tagAt, uint64(end.At.UnixMilli()))
	e.number(tagOutcome, uint64(end.Outcome))
	for k := range i.Draws {
		if i.Draws[k].Part == part {
			e.draw(&i.Draws[k], end.Cost)
		}
	}
	e.number(tagDrawsOnly, 1)
}

// close writes the SpendEvent after which nothing follows.
func (e *encoder) close(at time.Time) {
	e.number(tagAt, uint64(at.UnixMilli()))
	e.number(tagOutcome, uint64(eventv1.SpendOutcome_SPEND_OUTCOME_CLOSE))
}

// over encodes behind b, in its memory; bytes returns all of it.
func over(b []byte) encoder      { return encoder{b: b[:cap(b)], n: len(b)} }
func (e *encoder) bytes() []byte { return e.b[:e.n] }

// appendEvents appends the body of the record that settles x, of which each partition that it draws
// on, shares, gets its event; the first of them is home. b has room for it.
func (in *incarnation) appendEvents(b []byte, x *entry, end *Settlement, shares []int32) []byte {
	e := over(b)
	binary.LittleEndian.PutUint64(e.b[e.n:], x.n)
	binary.LittleEndian.PutUint16(e.b[e.n+8:], uint16(len(shares)))
	entries := e.n + eventHead
	e.n = entries + len(shares)*eventEntry
	for k, pi := range shares {
		p, start := in.parts[pi], e.n
		if k == 0 {
			e.event(x, end)
		} else {
			e.share(x, end, p.part)
		}
		putEntry(e.b[entries+k*eventEntry:], p.part, p.lastSeq+1, e.n-start)
	}
	return e.bytes()
}

// appendClose appends the body of the record that ends an incarnation. b has room for it.
func (in *incarnation) appendClose(b []byte) []byte {
	e := over(b)
	binary.LittleEndian.PutUint64(e.b[e.n:], 0)
	binary.LittleEndian.PutUint16(e.b[e.n+8:], uint16(len(in.parts)))
	entries := e.n + eventHead
	e.n = entries + len(in.parts)*eventEntry
	for k, p := range in.parts {
		start := e.n
		e.close(in.newest)
		putEntry(e.b[entries+k*eventEntry:], p.part, p.lastSeq+1, e.n-start)
	}
	return e.bytes()
}

// longestModel is how much of a model's name is recorded.
const longestModel = 256

// longestSettle is no less than the length of any record that settles i, whatever it turns out to cost.
func longestSettle(i *Intent) int64 {
	const (
		number = 1 + binary.MaxVarintLen64 // a field below 16
		small  = 1 + binary.MaxVarintLen32
		text   = 1 + 2 // before a name
		share  = eventEntry + 18 + small + number + small + 2
		draw   = 1 + 2 + 1 + 1 + number + small + number + number + small
		rest   = small + 3*number + 4*text + (1 + text) + 2*(1+number) + 3
	)
	n := recordHead + eventHead + share + rest + max(len(i.Model), longestModel)
	n += len(i.KeyID) + len(i.EndpointID) + len(i.Team) + len(i.Customer)
	if i.Deployment != "" {
		n += 1 + text + len(i.Deployment)
	}
	for _, tag := range i.Tags {
		n += text + len(tag)
	}
	n += len(i.Draws) * draw
	for k := range i.Draws {
		if i.Draws[k].Part != i.Draws[0].Part {
			return align(int64(n + len(i.Draws)*(share+draw))) // each draw is in two events at most
		}
	}
	return align(int64(n))
}

// longestClose is no less than the length of a record of CLOSE for so many partitions.
func longestClose(parts int) int64 {
	const event = 1 + binary.MaxVarintLen64 + 2
	return align(int64(recordHead + eventHead + parts*(eventEntry+event)))
}

// lostEvent stands for an event that the disk has lost, so that those behind it can be booked. It
// charges nothing; the intent that it settled, if that was read, is charged as abandoned.
func lostEvent(b []byte, inc int64, part uint32, seq uint64) []byte {
	var lost entry
	binary.BigEndian.PutUint64(lost.intent.Request[:], uint64(inc))
	binary.BigEndian.PutUint64(lost.intent.Request[8:], seq)
	binary.BigEndian.PutUint16(lost.intent.Request[8:], uint16(part))
	e := over(slices.Grow(b, int(longestSettle(&lost.intent))))
	e.event(&lost, &Settlement{
		At: time.UnixMilli(inc >> incRandomBits), Outcome: eventv1.SpendOutcome_SPEND_OUTCOME_ABANDONED,
	})
	return e.bytes()
}

func appendVarint(b []byte, field protowire.Number, v uint64) []byte {
	if v == 0 {
		return b
	}
	return protowire.AppendVarint(protowire.AppendTag(b, field, protowire.VarintType), v)
}

func appendString(b []byte, field protowire.Number, v string) []byte {
	if v == "" {
		return b
	}
	return protowire.AppendString(protowire.AppendTag(b, field, protowire.BytesType), v)
}

// Bounds of a batch.
const (
	batchEvents = 500
	batchBytes  = 64 << 10
	batchAge    = 50 * time.Millisecond
)

// batch is a SpendBatch as it grows. Its memory is used again for the next.
type batch struct {
	inc         int64
	part        uint32
	first, last uint64 // last is first-1 while it is empty
	data        []byte
	lost, buf   []byte // scratch
	events      []numbered
}

func (b *batch) reset(inc int64, edge string, part uint32, first uint64) {
	b.inc, b.part, b.first, b.last = inc, part, first, first-1
	b.data = appendVarint(b.data[:0], 1, uint64(inc))
	b.data = appendString(b.data, 2, edge)
	b.data = appendVarint(b.data, 3, uint64(part))
	b.data = appendVarint(b.data, 4, first)
	b.data = appendVarint(b.data, 5, contract.Schema)
}

func (b *batch) empty() bool { return b.last < b.first }

// add appends the next event, or says that the batch is full. The first always fits.
func (b *batch) add(event []byte) bool {
	size := 1 + protowire.SizeBytes(len(event))
	if !b.empty() && (b.last-b.first+1 >= batchEvents || len(b.data)+size > batchBytes) {
		return false
	}
	b.data = protowire.AppendBytes(protowire.AppendTag(b.data, 6, protowire.BytesType), event)
	b.last++
	return true
}

// msgID lets the stream recognise a batch whose acknowledgement was lost. A batch that is sent once
// more on purpose has another one, because whoever asked for it does not have it.
func (b *batch) msgID(again uint32) string {
	id := strconv.FormatInt(b.inc, 10) + ":" + strconv.FormatUint(uint64(b.part), 10) + ":" + strconv.FormatUint(b.last, 10)
	if again > 0 {
		id += ":" + strconv.FormatUint(uint64(again), 10)
	}
	return id
}
