package spool

import (
	"encoding/binary"
	"math"
	"strconv"
	"time"

	"google.golang.org/protobuf/encoding/protowire"

	eventv1 "tollgate/gen/tollgate/event/v1"
	"tollgate/internal/contract"
)

// Events are encoded when they are settled and published as they lie on disk: a batch is a header
// and the bytes of its events. The encoding is that of proto.Marshal, written out because that
// would cost an allocation for each draw.

// appendEvent appends the SpendEvent that settles i.
func appendEvent(b []byte, i *Intent, end *Settlement) []byte {
	b = protowire.AppendBytes(protowire.AppendTag(b, 1, protowire.BytesType), i.Request[:])
	b = appendVarint(b, 2, uint64(i.Attempt))
	b = appendVarint(b, 3, uint64(end.At.UnixMilli()))
	b = appendString(b, 4, i.KeyID)
	b = appendString(b, 5, i.EndpointID)
	b = appendVarint(b, 6, uint64(min(max(end.Status, 0), math.MaxUint32)))
	b = appendVarint(b, 7, uint64(end.Outcome))
	b = appendVarint(b, 8, uint64(i.PriceVersion))
	b = appendVarint(b, 9, uint64(end.Cost))
	b = appendVarint(b, 10, uint64(end.Duration.Microseconds()))
	for _, w := range i.Windows {
		window := sizeVarint(uint64(w.Account)) + sizeVarint(uint64(w.Gen)) + sizeVarint(uint64(w.Start))
		draw := 1 + protowire.SizeBytes(window) + sizeVarint(uint64(end.Cost))
		b = protowire.AppendVarint(protowire.AppendTag(b, 11, protowire.BytesType), uint64(draw))
		b = protowire.AppendVarint(protowire.AppendTag(b, 1, protowire.BytesType), uint64(window))
		b = appendVarint(b, 1, uint64(w.Account))
		b = appendVarint(b, 2, uint64(w.Gen))
		b = appendVarint(b, 3, uint64(w.Start))
		b = appendVarint(b, 2, uint64(end.Cost))
	}
	return b
}

// longestSettle is no less than the length of any record that settles i.
func longestSettle(i *Intent) int64 {
	const number = 1 + binary.MaxVarintLen64
	const fixed = recordHead + eventHead + 18 + 7*number + 2*(1+3)
	const draw = 1 + 2 + 1 + 1 + 4*number
	return int64(fixed + len(i.KeyID) + len(i.EndpointID) + len(i.Windows)*draw)
}

// longestClose is no less than the length of a record of CLOSE.
const longestClose = recordHead + eventHead + 1 + binary.MaxVarintLen64 + 2

// closeEvent is the SpendEvent after which nothing follows.
func closeEvent(b []byte, at time.Time) []byte {
	b = appendVarint(b, 3, uint64(at.UnixMilli()))
	return appendVarint(b, 7, uint64(eventv1.SpendOutcome_SPEND_OUTCOME_CLOSE))
}

// lostEvent stands for an event that the disk has lost, so that those behind it can be booked. It
// charges nothing; the intent that it settled, if that was read, is charged as abandoned.
func lostEvent(b []byte, inc int64, seq uint64) []byte {
	var lost Intent
	binary.BigEndian.PutUint64(lost.Request[:], uint64(inc))
	binary.BigEndian.PutUint64(lost.Request[8:], seq)
	return appendEvent(b, &lost, &Settlement{
		At: time.UnixMilli(inc >> incRandomBits), Outcome: eventv1.SpendOutcome_SPEND_OUTCOME_ABANDONED,
	})
}

func appendVarint(b []byte, field protowire.Number, v uint64) []byte {
	if v == 0 {
		return b
	}
	return protowire.AppendVarint(protowire.AppendTag(b, field, protowire.VarintType), v)
}

// sizeVarint is the length of what appendVarint appends, for fields below 16.
func sizeVarint(v uint64) int {
	if v == 0 {
		return 0
	}
	return 1 + protowire.SizeVarint(v)
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
	first, last uint64 // last is first-1 while it is empty
	data        []byte
	event, buf  []byte // scratch
}

func (b *batch) reset(inc int64, edge string, first uint64) {
	b.inc, b.first, b.last = inc, first, first-1
	b.data = appendVarint(b.data[:0], 1, uint64(inc))
	b.data = appendString(b.data, 2, edge)
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
	id := strconv.FormatInt(b.inc, 10) + ":0:" + strconv.FormatUint(b.last, 10)
	if again > 0 {
		id += ":" + strconv.FormatUint(uint64(again), 10)
	}
	return id
}
