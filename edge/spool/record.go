package spool

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"time"

	"tollgate/internal/contract"
	"tollgate/internal/id"
	"tollgate/internal/money"
)

// A record is
//
//	u32 length of type and body | u32 CRC-32C of all the rest | u8 type | body
//
// in little endian. A length of zero is not a record, so that neither the end of a file nor space
// that was allocated ahead can be taken for one.
const (
	recordHead = 9
	maxRecord  = 1 << 20
)

// Types of records. A reader skips types that it does not know.
const (
	typeIntent byte = 1 // number of the intent, and all that settling it needs
	typeSettle byte = 2 // sequence number, number of the intent, the event as it is published
	typeClose  byte = 3 // the same: the event that says that nothing follows
)

// eventHead is the sequence number and the number of the intent before an event.
const eventHead = 16

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

var errMalformed = errors.New("malformed record")

// begin starts a record in buf; finish completes it.
func begin(buf []byte, typ byte) []byte {
	return append(buf[:0], 0, 0, 0, 0, 0, 0, 0, 0, typ)
}

func finish(rec []byte) []byte {
	binary.LittleEndian.PutUint32(rec, uint32(len(rec)-8))
	binary.LittleEndian.PutUint32(rec[4:], checksum(rec))
	return rec
}

func checksum(rec []byte) uint32 {
	return crc32.Update(crc32.Checksum(rec[:4], castagnoli), castagnoli, rec[8:])
}

// eventRecord is a settlement or a close.
func eventRecord(buf []byte, typ byte, seq, n uint64, event []byte) []byte {
	buf = begin(buf, typ)
	buf = binary.LittleEndian.AppendUint64(buf, seq)
	buf = binary.LittleEndian.AppendUint64(buf, n)
	return finish(append(buf, event...))
}

func parseEvent(body []byte) (seq, n uint64, event []byte, err error) {
	if len(body) < eventHead {
		return 0, 0, nil, errMalformed
	}
	return binary.LittleEndian.Uint64(body), binary.LittleEndian.Uint64(body[8:]), body[eventHead:], nil
}

const (
	intentFixed  = 8 + 16 + 4 + 8 + 8 + 8
	windowBytes  = 8 + 4 + 8
	longestID    = 1 << 10
	mostWindows  = 1 << 8
	intentLength = recordHead + intentFixed + 6 // of one without names and windows
)

func intentRecord(buf []byte, n uint64, i *Intent) []byte {
	le := binary.LittleEndian
	buf = begin(buf, typeIntent)
	buf = le.AppendUint64(buf, n)
	buf = append(buf, i.Request[:]...)
	buf = le.AppendUint32(buf, i.Attempt)
	buf = le.AppendUint64(buf, uint64(i.At.UnixMilli()))
	buf = le.AppendUint64(buf, uint64(i.PriceVersion))
	buf = le.AppendUint64(buf, uint64(i.Amount))
	buf = append(le.AppendUint16(buf, uint16(len(i.KeyID))), i.KeyID...)
	buf = append(le.AppendUint16(buf, uint16(len(i.EndpointID))), i.EndpointID...)
	buf = le.AppendUint16(buf, uint16(len(i.Windows)))
	for _, w := range i.Windows {
		buf = le.AppendUint64(buf, uint64(w.Account))
		buf = le.AppendUint32(buf, w.Gen)
		buf = le.AppendUint64(buf, uint64(w.Start))
	}
	return finish(buf)
}

func parseIntent(body []byte) (n uint64, i Intent, err error) {
	le := binary.LittleEndian
	if len(body) < intentFixed {
		return 0, i, errMalformed
	}
	n = le.Uint64(body)
	i.Request = id.Bytes(body[8:24])
	i.Attempt = le.Uint32(body[24:])
	i.At = time.UnixMilli(int64(le.Uint64(body[28:])))
	i.PriceVersion = int64(le.Uint64(body[36:]))
	i.Amount = money.Nanos(le.Uint64(body[44:]))
	rest := body[intentFixed:]
	for _, field := range []*string{&i.KeyID, &i.EndpointID} {
		if len(rest) < 2 || len(rest)-2 < int(le.Uint16(rest)) {
			return 0, i, errMalformed
		}
		*field, rest = string(rest[2:2+le.Uint16(rest)]), rest[2+le.Uint16(rest):]
	}
	if len(rest) < 2 || len(rest)-2 != int(le.Uint16(rest))*windowBytes {
		return 0, i, errMalformed
	}
	for rest = rest[2:]; len(rest) > 0; rest = rest[windowBytes:] {
		i.Windows = append(i.Windows, contract.Window{
			Account: int64(le.Uint64(rest)), Gen: le.Uint32(rest[8:]), Start: int64(le.Uint64(rest[12:])),
		})
	}
	return n, i, nil
}

// errStop ends a walk behind the record at hand, errReject before it.
var (
	errStop   = errors.New("stop")
	errReject = errors.New("reject")
)

// walk calls visit for the records between two offsets and returns where it ended: at to, at the
// first byte that does not begin a valid record, or where visit said so. body is valid during the
// call only. The error is one of reading or of visit.
func walk(r io.ReaderAt, from, to int64, buf *[]byte, visit func(off int64, typ byte, body []byte) error) (int64, error) {
	const chunk = 128 << 10
	if cap(*buf) < chunk {
		*buf = make([]byte, chunk)
	}
	var have []byte // what is read and not visited; begins at off
	off := from
	fill := func(want int) (bool, error) {
		if len(have) >= want {
			return true, nil
		}
		if int64(want) > to-off {
			return false, nil
		}
		n := int(min(int64(max(want, chunk)), to-off))
		if cap(*buf) < n {
			*buf = make([]byte, n)
		}
		got, err := r.ReadAt((*buf)[:n], off)
		have = (*buf)[:got]
		if err != nil && !errors.Is(err, io.EOF) {
			return false, fmt.Errorf("read at %d: %w", off, err)
		}
		return got >= want, nil
	}
	for {
		if ok, err := fill(recordHead); !ok {
			return off, err
		}
		length := binary.LittleEndian.Uint32(have)
		if length < 1 || length > maxRecord {
			return off, nil
		}
		if ok, err := fill(int(length) + 8); !ok {
			return off, err
		}
		rec := have[:length+8]
		if checksum(rec) != binary.LittleEndian.Uint32(rec[4:]) {
			return off, nil
		}
		err := visit(off, rec[8], rec[recordHead:])
		if errors.Is(err, errReject) {
			return off, nil
		}
		have, off = have[len(rec):], off+int64(len(rec))
		if errors.Is(err, errStop) {
			return off, nil
		}
		if err != nil {
			return off, err
		}
	}
}
