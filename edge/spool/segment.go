package spool

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"path/filepath"
	"slices"
	"sort"
	"time"
)

// file is what a segment is written to. Each WriteAt must survive the death of the process when it
// returns.
type file interface {
	io.ReaderAt
	io.WriterAt
	io.Closer
	Truncate(size int64) error
	Stat() (os.FileInfo, error)
	Fd() uintptr
}

// openFunc opens or, exclusively, creates a segment's file.
type openFunc func(path string, create bool) (file, error)

func openFile(path string, create bool) (file, error) {
	flags := os.O_RDWR
	if create {
		flags |= os.O_CREATE | os.O_EXCL
	}
	return os.OpenFile(path, flags, 0o600)
}

// A segment begins with a magic, the incarnation, the last sequence number before it and a checksum
// of these.
const (
	segmentHead   = 32
	segmentMagic  = "TGSPOOL1"
	segmentSuffix = ".seg"
	indexEvery    = 64 << 10
)

type segment struct {
	path        string
	f           file
	size        int64     // of the header and valid records
	charged     int64     // what it counts against MaxBytes
	base        uint64    // last sequence number before it
	first, last uint64    // sequence numbers inside; 0 for none
	index       []point   // some events, in order, the first among them
	intents     int       // unsettled ones whose newest record is here
	booked      time.Time // since when all its events are; zero if not
}

// point is where an event lies.
type point struct {
	seq uint64
	off int64
}

// incarnation is the log of one process life.
type incarnation struct {
	inc      int64
	dir      string
	segs     []*segment // oldest first; records are appended to the last
	lastNo   uint64     // of the newest file
	base     uint64     // last sequence number that is not on disk any more
	lastSeq  uint64
	closeSeq uint64    // of CLOSE; 0 while it is open
	newest   time.Time // the latest time in its records
	covered  time.Time // since when CLOSE is booked; zero if not
	beheaded bool      // its first segment is damaged
	cursor

	oldestSeq uint64 // of the event that oldestAt belongs to
	oldestAt  time.Time
}

func (in *incarnation) current() *segment {
	if len(in.segs) == 0 {
		return nil
	}
	return in.segs[len(in.segs)-1]
}

// createSegment begins the next segment, with room for prealloc bytes.
func (s *Spool) createSegment(in *incarnation, prealloc int64) error {
	no := in.lastNo + 1
	path := filepath.Join(in.dir, fmt.Sprintf("%016x%s", no, segmentSuffix))
	f, err := s.openFile(path, true)
	if err != nil {
		return fmt.Errorf("create segment: %w", err)
	}
	head := segmentHeader(in.inc, in.lastSeq)
	err = preallocate(f, prealloc)
	if err == nil {
		_, err = f.WriteAt(head, 0)
	}
	if err != nil {
		return errors.Join(fmt.Errorf("create segment %s: %w", path, err), f.Close(), os.Remove(path))
	}
	if cur := in.current(); cur != nil {
		s.seal(cur)
	}
	seg := &segment{path: path, f: f, size: segmentHead, charged: max(prealloc, segmentHead), base: in.lastSeq}
	s.used += seg.charged
	in.segs = append(in.segs, seg)
	in.lastNo = no
	return nil
}

// seal gives back what was allocated for a segment and not used.
func (s *Spool) seal(seg *segment) {
	if err := seg.f.Truncate(seg.size); err != nil {
		s.log.Warn("spool segment keeps its unused space", "segment", seg.path, "error", err)
		return
	}
	s.used -= seg.charged - seg.size
	seg.charged = seg.size
}

// append writes a record behind the last one.
func (s *Spool) append(in *incarnation, rec []byte) error {
	seg := in.current()
	if _, err := seg.f.WriteAt(rec, seg.size); err != nil {
		// A record that was refused must not be found by a recovery, not even if all of it arrived.
		err = errors.Join(fmt.Errorf("write to %s: %w", seg.path, err), seg.f.Truncate(seg.size))
		return errors.Join(err, preallocate(seg.f, seg.charged))
	}
	seg.size += int64(len(rec))
	if seg.size > seg.charged {
		s.used += seg.size - seg.charged
		seg.charged = seg.size
	}
	return nil
}

// appendEvent writes an event with the next sequence number.
func (s *Spool) appendEvent(in *incarnation, typ byte, n uint64, event []byte) error {
	seq := in.lastSeq + 1
	off := int64(0)
	if cur := in.current(); cur != nil {
		off = cur.size
	}
	s.record = eventRecord(s.record, typ, seq, n, event)
	if err := s.append(in, s.record); err != nil {
		return err
	}
	in.note(in.current(), seq, off)
	if typ == typeClose {
		in.closeSeq = seq
	}
	return nil
}

// note accounts for an event of a segment.
func (in *incarnation) note(seg *segment, seq uint64, off int64) {
	in.lastSeq = seq
	if seg.first == 0 {
		seg.first = seq
	}
	seg.last = seq
	if n := len(seg.index); n == 0 || off-seg.index[n-1].off >= indexEvery {
		seg.index = append(seg.index, point{seq, off})
	}
}

// locate is where to look for an event: a segment and an offset at or before it.
func (in *incarnation) locate(seq uint64) (*segment, int64) {
	i := slices.IndexFunc(in.segs, func(s *segment) bool { return s.last >= seq })
	if i < 0 {
		return nil, 0
	}
	seg := in.segs[i]
	k := sort.Search(len(seg.index), func(k int) bool { return seg.index[k].seq > seq })
	return seg, seg.index[max(k-1, 0)].off
}

func segmentHeader(inc int64, base uint64) []byte {
	b := append(make([]byte, 0, segmentHead), segmentMagic...)
	b = binary.LittleEndian.AppendUint64(b, uint64(inc))
	b = binary.LittleEndian.AppendUint64(b, base)
	b = binary.LittleEndian.AppendUint32(b, crc32.Checksum(b, castagnoli))
	return b[:segmentHead]
}

// readHeader is the base of a segment, or false if it is not one of inc.
func readHeader(f file, inc int64) (base uint64, ok bool, err error) {
	head := make([]byte, segmentHead)
	if _, err := f.ReadAt(head, 0); err != nil {
		if errors.Is(err, io.EOF) {
			return 0, false, nil
		}
		return 0, false, err
	}
	base = binary.LittleEndian.Uint64(head[16:])
	return base, string(head) == string(segmentHeader(inc, base)), nil
}
