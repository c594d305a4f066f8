package spool

import "encoding/binary"

// OSFile is what segments are written to.
type OSFile = osFile

// WrittenWith is Written with files that are made by wrap.
func WrittenWith(dir string, wrap func(OSFile) OSFile) Storage {
	return disk{dir, func(path string, flags int) (osFile, error) {
		f, err := openFile(path, flags)
		if err != nil {
			return nil, err
		}
		return wrap(f), nil
	}}
}

// Dir is the name of the directory of an incarnation.
func Dir(inc int64) string { return newIncarnation(inc).dir }

// Tidy does what Run does every second.
func (s *Spool) Tidy() { s.tidy() }

// Used is what counts against MaxBytes.
func (s *Spool) Used() int64 { return s.used }

// Reserved is what unsettled intents may still write.
func (s *Spool) Reserved() (here, all int64) { return s.reservedHere, s.reservedAll }

// Segments is how many segments the live incarnation has.
func (s *Spool) Segments() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.live.segs)
}

// Old lists the old incarnations.
func (s *Spool) Old() []int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	var incs []int64
	for _, in := range s.old {
		incs = append(incs, in.inc)
	}
	return incs
}

// Incarnations lists the old incarnations and the live one with their last sequence numbers of partition 0.
func (s *Spool) Incarnations() map[int64]uint64 {
	all := map[int64]uint64{}
	for inc, parts := range s.Parts() {
		all[inc] = parts[0]
	}
	return all
}

// Parts lists the old incarnations and the live one with their last sequence numbers by partition.
func (s *Spool) Parts() map[int64]map[uint32]uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := map[int64]map[uint32]uint64{}
	for _, in := range s.all() {
		all[in.inc] = map[uint32]uint64{}
		for _, p := range in.parts {
			all[in.inc][p.part] = p.lastSeq
		}
	}
	return all
}

// Batch reads the encoded batch of partition 0 that begins with an event.
func (s *Spool) Batch(inc int64, from uint64) ([]byte, error) { return s.BatchOf(inc, 0, from) }

// BatchOf reads the encoded batch that begins with an event.
func (s *Spool) BatchOf(inc int64, part uint32, from uint64) ([]byte, error) {
	s.mu.Lock()
	var in *incarnation
	for _, x := range s.all() {
		if x.inc == inc {
			in = x
		}
	}
	last := in.find(part).lastSeq
	s.mu.Unlock()
	var b batch
	err := s.read(in, part, from, last, &b)
	return b.data, err
}

// Crash gives up the files and the lock as the death of the process would.
func (s *Spool) Crash() { _ = s.Close() }

// Boundaries lists where the records of a segment end, the header among them.
func Boundaries(data []byte, inc int64) ([]int64, error) {
	f := &memoryHandle{m: NewMemory(), f: &memoryFile{data: data}}
	head, how, _, err := readHeader(f, inc)
	if err != nil {
		return nil, err
	}
	var ends []int64
	var buf []byte
	at, err := walk(f, how, head, int64(len(data)), &buf, func(off int64, _ byte, _ []byte) error {
		ends = append(ends, off)
		return nil
	})
	return append(ends, at.off), err
}

// LastNumbers are the last sequence numbers that a segment tells of, in its header or its records.
func LastNumbers(data []byte, inc int64) map[uint32]uint64 {
	f := &memoryHandle{m: NewMemory(), f: &memoryFile{data: data}}
	head, how, bases, err := readHeader(f, inc)
	last := map[uint32]uint64{}
	if err != nil || head == 0 {
		return last
	}
	for _, b := range bases {
		last[b.part] = b.seq
	}
	var buf []byte
	_, _ = walk(f, how, head, int64(len(data)), &buf, func(_ int64, typ byte, body []byte) error {
		events, _ := eventsOf(nil, typ, body)
		for _, e := range events {
			last[e.part] = max(last[e.part], e.seq)
		}
		return nil
	})
	return last
}

// Prepare makes the next segment, as a goroutine of Run does.
func (s *Spool) Prepare() { s.prepareOnce() }

func AppendEvent(i *Intent, end *Settlement) []byte {
	e := over(make([]byte, 0, longestSettle(i)+end.detailLength()))
	e.event(&entry{intent: *i, reserved: i.Amount}, end)
	return e.bytes()
}

// A record of each type, as it is on disk.
func IntentRecord(inc int64, n uint64, i *Intent) []byte {
	return wholeRecord(inc, appendIntent(begin(make([]byte, 0, intentLength(i)), typeIntent), &entry{n: n, intent: *i, reserved: i.Amount}))
}

func SettleRecord(inc int64, n uint64, i *Intent, end *Settlement, seqs map[uint32]uint64) []byte {
	in := newIncarnation(inc)
	for part, seq := range seqs {
		in.join(part).lastSeq = seq - 1
	}
	return wholeRecord(inc, in.appendEvents(begin(make([]byte, 0, longestSettle(i)+end.detailLength()), typeSettle), &entry{n: n, intent: *i, reserved: i.Amount}, end, in.divide(i)))
}

func CloseRecord(inc int64, seqs map[uint32]uint64) []byte {
	in := newIncarnation(inc)
	for part, seq := range seqs {
		in.join(part).lastSeq = seq - 1
	}
	return wholeRecord(inc, in.appendClose(begin(make([]byte, 0, longestClose(len(seqs))), typeClose)))
}

func wholeRecord(inc int64, rec []byte) []byte {
	rec, length := finish(rec, seedOf(inc))
	binary.LittleEndian.PutUint32(rec, length)
	return rec
}

// SegmentHeader is that of a segment behind so many events by partition.
func SegmentHeader(inc int64, seqs map[uint32]uint64) []byte {
	in := newIncarnation(inc)
	for part, seq := range seqs {
		in.join(part).lastSeq = seq
	}
	head, word := in.header()
	binary.LittleEndian.PutUint32(head, word)
	return head
}

func ParseIntent(body []byte) (n uint64, i Intent, err error) {
	e, err := parseIntent(body)
	return e.n, e.intent, err
}

var (
	LongestSettle = longestSettle
	LongestClose  = longestClose
	IntentLength  = intentLength
	JobID         = jobID
)

// Bounded is a settlement as it is recorded.
func Bounded(end Settlement) Settlement {
	end.bound()
	return end
}

// DetailLength is what it takes beyond what was promised to it.
func DetailLength(end *Settlement) int64 { return end.detailLength() }

const RecordHead = recordHead
