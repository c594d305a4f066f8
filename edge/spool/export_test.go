package spool

import (
	"os"
)

// OpenWith opens a spool whose segments are made by wrap.
func OpenWith(o Options, wrap func(File) File) (*Spool, error) {
	return open(o, func(path string, create bool) (file, error) {
		f, err := openFile(path, create)
		if err != nil {
			return nil, err
		}
		return wrap(f), nil
	})
}

// File is what a segment is written to.
type File = file

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

// Incarnations lists the old incarnations and the live one with their last sequence numbers.
func (s *Spool) Incarnations() map[int64]uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := map[int64]uint64{}
	for _, in := range s.all() {
		all[in.inc] = in.lastSeq
	}
	return all
}

// Batch reads the encoded batch that begins with an event.
func (s *Spool) Batch(inc int64, from uint64) ([]byte, error) {
	s.mu.Lock()
	var in *incarnation
	for _, x := range s.all() {
		if x.inc == inc {
			in = x
		}
	}
	last := in.lastSeq
	s.mu.Unlock()
	var b batch
	err := s.read(in, from, last, &b)
	return b.data, err
}

// Crash gives up the files and the lock as the death of the process would.
func (s *Spool) Crash() { _ = s.Close() }

// Boundaries lists where the records of a segment end, the header among them.
func Boundaries(path string) ([]int64, error) {
	f, err := openFile(path, false)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	var ends []int64
	var buf []byte
	end, err := walk(f, segmentHead, info.Size(), &buf, func(off int64, _ byte, _ []byte) error {
		ends = append(ends, off)
		return nil
	})
	return append(ends, end), err
}

var (
	AppendEvent   = appendEvent
	LongestSettle = longestSettle
	EventRecord   = eventRecord
	IntentRecord  = intentRecord
	ParseIntent   = parseIntent
	SegmentHeader = segmentHeader
)

const (
	TypeSettle   = typeSettle
	TypeClose    = typeClose
	LongestClose = longestClose
	RecordHead   = recordHead
	EventHead    = eventHead
)
