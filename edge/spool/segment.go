package spool

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"path"
	"slices"
	"sort"
	"time"
)

// A segment begins with
//
//	magic | u32 CRC-32C of all the rest | u32 count | u64 incarnation | count times: u32 partition, u64 last sequence number before it
//
// and zeros up to a multiple of 8. The first four bytes are written last.
const (
	segmentMagic  = "TGSPOOL2"
	segmentFixed  = 24
	segmentEntry  = 12
	segmentSuffix = ".seg"
	indexEvery    = 64 << 10
)

// segmentHead is the length of the header of a segment that begins when so many partitions are joined.
func segmentHead(parts int) int64 { return align(int64(segmentFixed + parts*segmentEntry)) }

type segment struct {
	path    string
	f       File
	format  format
	start   int64     // where records begin
	size    int64     // of the header and valid records
	charged int64     // what it counts against MaxBytes
	runs    []run     // of the partitions of the incarnation, which may have more by now
	intents int       // unsettled ones whose newest record is here
	booked  time.Time // since when all its events are; zero if not
	ahead   int64     // size at which memory is prepared again
}

// run is the events of one partition in a segment.
type run struct {
	base        uint64  // last sequence number before the segment
	first, last uint64  // sequence numbers inside; 0 for none
	index       []point // some events, in order, the first among them
}

// point is where an event lies.
type point struct {
	seq uint64
	off int64
}

func (seg *segment) run(pi int32) *run {
	for int(pi) >= len(seg.runs) {
		seg.runs = append(seg.runs, run{})
	}
	return &seg.runs[pi]
}

// base is the last sequence number of a partition before the segment.
func (seg *segment) base(pi int32) uint64 {
	if int(pi) >= len(seg.runs) {
		return 0
	}
	return seg.runs[pi].base
}

// createSegment begins the next segment, with room for prealloc bytes.
func (s *Spool) createSegment(in *incarnation, prealloc int64) error {
	no := in.lastNo + 1
	name := path.Join(in.dir, fmt.Sprintf("%016x%s", no, segmentSuffix))
	f, err := s.takeSpare(in, name, prealloc)
	if err == nil && f == nil {
		if f, err = s.storage.Create(name, prealloc); err == nil {
			s.used += max(prealloc, segmentHead(len(in.parts)))
		}
	}
	if err != nil {
		return fmt.Errorf("create segment %s: %w", name, err)
	}
	head, word := in.header()
	if err := f.Commit(append(f.Room(0, len(head)), head...), 0, word); err != nil {
		s.used -= max(prealloc, segmentHead(len(in.parts)))
		return errors.Join(fmt.Errorf("create segment %s: %w", name, err), f.Close(), s.storage.Remove(name))
	}
	if cur := in.current(); cur != nil && in == s.live {
		s.seal(cur)
	}
	size := int64(len(head))
	seg := &segment{path: name, f: f, format: format{seed: in.seed}, start: size, size: size, charged: max(prealloc, size)}
	for pi, p := range in.parts {
		seg.run(int32(pi)).base = p.lastSeq
	}
	in.segs = append(in.segs, seg)
	in.lastNo = no
	return nil
}

// seal gives back what was allocated for a segment and not used.
func (s *Spool) seal(seg *segment) {
	if err := seg.f.Cut(seg.size); err != nil {
		s.log.Warn("spool segment keeps its unused space", "segment", seg.path, "error", err)
		return
	}
	s.used -= seg.charged - seg.size
	seg.charged = seg.size
}

// aheadEvery is how much is written before more memory is prepared.
const aheadEvery = 1 << 20

// start begins a record of up to n bytes behind the last one. It is encoded where it is to lie.
func (in *incarnation) start(typ byte, n int64) []byte {
	seg := in.current()
	room := seg.f.Room(seg.size, int(n))
	if cap(room) < int(n) { // so near the end of the segment that it may not fit
		room = make([]byte, 0, n)
	}
	return begin(room, typ)
}

// commit ends what start began. When it returns without an error the record outlives the process.
func (s *Spool) commit(in *incarnation, rec []byte) error {
	seg := in.current()
	rec, length := finish(rec, in.seed)
	if err := seg.f.Commit(rec, seg.size, length); err != nil {
		return err
	}
	seg.size += int64(len(rec))
	if seg.size > seg.charged {
		s.used += seg.size - seg.charged
		seg.charged = seg.size
	}
	if seg.size >= seg.ahead {
		seg.ahead = seg.size + aheadEvery
		signal(s.wakeAhead)
	}
	return nil
}

// locate is where to look for an event: a segment and an offset at or before it.
func (in *incarnation) locate(pi int32, seq uint64) (*segment, int64) {
	k := slices.IndexFunc(in.segs, func(seg *segment) bool { return int(pi) < len(seg.runs) && seg.runs[pi].last >= seq })
	if k < 0 {
		return nil, 0
	}
	seg, r := in.segs[k], &in.segs[k].runs[pi]
	i := sort.Search(len(r.index), func(i int) bool { return r.index[i].seq > seq })
	return seg, r.index[max(i-1, 0)].off
}

// header is that of a segment that begins now, and the word that is written last.
func (in *incarnation) header() (head []byte, word uint32) {
	le := binary.LittleEndian
	head = make([]byte, 12, segmentHead(len(in.parts)))
	copy(head[4:], segmentMagic[4:])
	head = le.AppendUint32(head, uint32(len(in.parts)))
	head = le.AppendUint64(head, uint64(in.inc))
	for _, p := range in.parts {
		head = le.AppendUint32(head, p.part)
		head = le.AppendUint64(head, p.lastSeq)
	}
	head = head[:cap(head)]
	le.PutUint32(head[8:], crc32.Checksum(head[12:], castagnoli))
	return head, le.Uint32([]byte(segmentMagic))
}

// base is the last sequence number of a partition before a segment.
type base struct {
	part uint32
	seq  uint64
}

// readHeader reads the header of a segment of an incarnation. A segment without a valid one has a
// length of 0.
func readHeader(f File, inc int64) (length int64, how format, bases []base, err error) {
	le := binary.LittleEndian
	head := make([]byte, segmentHead(mostParts))
	n, err := f.ReadAt(head, 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return 0, how, nil, err
	}
	head = head[:n]
	if seq, ok := legacyBase(head, inc); ok {
		return legacyHead, format{legacy: true}, []base{{seq: seq}}, nil
	}
	if n < segmentFixed || string(head[:8]) != segmentMagic || int64(le.Uint64(head[16:])) != inc {
		return 0, how, nil, nil
	}
	count := le.Uint32(head[12:])
	if count > mostParts || int64(n) < segmentHead(int(count)) {
		return 0, how, nil, nil
	}
	head = head[:segmentHead(int(count))]
	if le.Uint32(head[8:]) != crc32.Checksum(head[12:], castagnoli) {
		return 0, how, nil, nil
	}
	for k := range int(count) {
		at := head[segmentFixed+k*segmentEntry:]
		b := base{part: le.Uint32(at), seq: le.Uint64(at[4:])}
		if b.part >= mostParts {
			return 0, how, nil, nil
		}
		bases = append(bases, b)
	}
	return int64(len(head)), format{seed: seedOf(inc)}, bases, nil
}
