package spool

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// errStop ends a walk behind the record at hand; errReject says that it is none.
var (
	errStop   = errors.New("stop")
	errReject = errors.New("reject")
)

// format is how to read the records of a segment.
type format struct {
	legacy bool
	seed   uint32
}

func (f format) checksum(rec []byte) uint32 {
	if f.legacy {
		return legacyChecksum(rec)
	}
	return checksum(rec, binary.LittleEndian.Uint32(rec), f.seed)
}

// end is how a walk ended: behind the last valid record, having passed over bytes that are none (if
// damaged), with remains behind it (if torn).
type end struct {
	off           int64
	damaged, torn bool
}

// walker reads a segment record by record.
type walker struct {
	r      io.ReaderAt
	format format
	off    int64 // where have begins
	to     int64
	buf    *[]byte
	have   []byte // what is read and not visited
}

// fill says whether want bytes are at hand, after reading them if they are there.
func (w *walker) fill(want int64) (bool, error) {
	const chunk = 128 << 10
	if int64(len(w.have)) >= want {
		return true, nil
	}
	if want > w.to-w.off {
		return false, nil
	}
	n := min(max(want, chunk), w.to-w.off)
	if int64(cap(*w.buf)) < n {
		*w.buf = make([]byte, max(n, chunk))
	}
	got, err := w.r.ReadAt((*w.buf)[:n], w.off)
	w.have = (*w.buf)[:got]
	if err != nil && !errors.Is(err, io.EOF) {
		return false, fmt.Errorf("read at %d: %w", w.off, err)
	}
	return int64(got) >= want, nil
}

// record is the valid record at hand, without padding, or nil.
func (w *walker) record() ([]byte, error) {
	if ok, err := w.fill(recordHead); !ok {
		return nil, err
	}
	length := binary.LittleEndian.Uint32(w.have)
	if length < 1 || length > w.longest() {
		return nil, nil
	}
	if ok, err := w.fill(int64(length) + 8); !ok {
		return nil, err
	}
	rec := w.have[:length+8]
	if w.format.checksum(rec) != binary.LittleEndian.Uint32(rec[4:]) {
		return nil, nil
	}
	return rec, nil
}

func (w *walker) longest() uint32 {
	if w.format.legacy {
		return 1 << 20
	}
	return maxRecord
}

// pass goes on behind so many bytes.
func (w *walker) pass(n int64) {
	w.off += n
	w.have = w.have[min(n, int64(len(w.have))):]
}

var zeros [4 << 10]byte

// skip goes on to the next place where a record may begin, and says whether it passed over anything
// but zeros. Long runs of zeros are the rule: they are space that was allocated ahead.
func (w *walker) skip() (remains bool, err error) {
	for first := true; w.off < w.to; first = false {
		n := min(alignment, w.to-w.off)
		ok, err := w.fill(n)
		if err != nil {
			return remains, err
		}
		if !ok {
			w.off = w.to // the file is shorter than was said
			break
		}
		if len(w.have) >= len(zeros) && bytes.Equal(w.have[:len(zeros)], zeros[:]) {
			w.pass(int64(len(zeros)))
			continue
		}
		var word [alignment]byte
		copy(word[:], w.have[:n])
		if zero := word == [alignment]byte{}; !zero && !first {
			break
		} else if !zero {
			remains = true
		}
		w.pass(n)
	}
	return remains, nil
}

// walk calls visit for the records between two offsets. A damaged record does not end it, because
// those behind it were acknowledged too: it goes on at the next that is valid. body is valid during
// the call only. The error is one of reading or of visit.
func walk(r io.ReaderAt, f format, from, to int64, buf *[]byte, visit func(off int64, typ byte, body []byte) error) (end, error) {
	w := walker{r: r, format: f, off: from, to: to, buf: buf}
	at := end{off: from}
	for w.off < to {
		rec, err := w.record()
		if err != nil {
			return at, err
		}
		if rec != nil {
			err = visit(w.off, rec[8], rec[recordHead:])
		}
		switch {
		case rec == nil || errors.Is(err, errReject):
			if f.legacy {
				at.torn = true
				return at, nil
			}
			remains, err := w.skip()
			if err != nil {
				return at, err
			}
			at.torn = at.torn || remains
			continue
		case err != nil && !errors.Is(err, errStop):
			return at, err
		}
		length := int64(len(rec))
		if !f.legacy {
			length = align(length)
		}
		w.pass(length)
		at = end{off: w.off, damaged: at.damaged || at.torn}
		if errors.Is(err, errStop) {
			return at, nil
		}
	}
	return at, nil
}
