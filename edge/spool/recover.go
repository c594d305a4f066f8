package spool

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"google.golang.org/protobuf/encoding/protowire"
)

// largestHole bounds how many sequence numbers a damaged disk may have lost. A record that claims
// more is damage itself.
const largestHole = 1 << 24

// inDoubt is an intent of an old incarnation that has no settlement.
type inDoubt struct {
	n      uint64
	intent Intent
}

// recoverOne brings an old incarnation to its end. One that cannot be read or written is tried again
// later, so that it does not keep the edge from starting.
func (s *Spool) recoverOne(inc int64) {
	in, err := s.load(inc)
	if err != nil {
		s.log.Error("spool of an old incarnation is not recovered; its events wait", "inc", inc, "error", err)
		s.broken = append(s.broken, inc)
		return
	}
	s.old = append(s.old, in)
	slices.SortFunc(s.old, func(a, b *incarnation) int { return cmp.Compare(a.inc, b.inc) })
}

// load reads an old incarnation. It settles what is in doubt at the reserved amount, in the order in
// which it was admitted, and appends CLOSE. Cut short at any point and done again, it comes to the
// same events with the same sequence numbers.
func (s *Spool) load(inc int64) (_ *incarnation, err error) {
	in := newIncarnation(inc, s.incDir(inc))
	used := s.used
	defer func() {
		if err != nil {
			s.used = used
			err = errors.Join(err, in.closeFiles())
		}
	}()
	doubts, err := s.scan(in)
	if err != nil {
		return nil, err
	}
	in.base = in.lastSeq
	if in.beheaded {
		in.base = 0 // what it held is published as lost
	} else if len(in.segs) > 0 {
		in.base = in.segs[0].base
	}
	in.hwm, in.next = in.base, in.base+1
	// What an earlier process has sent is sent on purpose once more, because its mark is not known:
	// the stream must not take it for a repetition, or no mark would come.
	in.sent, in.again = in.lastSeq, uint32(s.Options.Now().Unix())
	if in.closeSeq == 0 {
		if err := s.conclude(in, doubts); err != nil {
			return nil, err
		}
	}
	return in, nil
}

func (s *Spool) conclude(in *incarnation, doubts []inDoubt) error {
	if in.current() == nil {
		if err := s.createSegment(in, 0); err != nil {
			return err
		}
	}
	for _, d := range doubts {
		end := abandoned(&d.intent)
		s.event = appendEvent(s.event[:0], &d.intent, &end)
		if err := s.appendEvent(in, typeSettle, d.n, s.event); err != nil {
			return err
		}
	}
	if len(doubts) > 0 {
		s.log.Warn("requests in flight when an incarnation of this edge ended are charged as abandoned", "inc", in.inc, "requests", len(doubts))
	}
	return s.writeClose(in)
}

// scan reads the segments and returns what is in doubt, in the order of admission.
func (s *Spool) scan(in *incarnation) ([]inDoubt, error) {
	names, err := segmentNumbers(in.dir)
	if err != nil {
		return nil, err
	}
	open := map[uint64]Intent{}
	var buf []byte
	for k, no := range names {
		if err := s.scanSegment(in, no, k == len(names)-1, open, &buf); err != nil {
			return nil, err
		}
	}
	doubts := make([]inDoubt, 0, len(open))
	for n, intent := range open {
		doubts = append(doubts, inDoubt{n, intent})
	}
	slices.SortFunc(doubts, func(a, b inDoubt) int { return cmp.Compare(a.n, b.n) })
	return doubts, nil
}

func segmentNumbers(dir string) ([]uint64, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var found []uint64
	for _, e := range entries {
		hex, ok := strings.CutSuffix(e.Name(), segmentSuffix)
		if no, err := strconv.ParseUint(hex, 16, 64); ok && err == nil {
			found = append(found, no)
		}
	}
	slices.Sort(found)
	return found, nil
}

func (s *Spool) scanSegment(in *incarnation, no uint64, last bool, open map[uint64]Intent, buf *[]byte) error {
	path := filepath.Join(in.dir, fmt.Sprintf("%016x%s", no, segmentSuffix))
	f, err := s.openFile(path, false)
	if err != nil {
		return err
	}
	in.lastNo = no
	seg := &segment{path: path, f: f}
	info, err := f.Stat()
	if err == nil {
		var ok bool
		if seg.base, ok, err = readHeader(f, in.inc); err == nil && (!ok || (len(in.segs) > 0 || in.beheaded) && seg.base > in.lastSeq+largestHole) {
			if !last && no == 1 {
				in.beheaded = true
			}
			return s.headless(f, path, last)
		}
	}
	if err != nil {
		return errors.Join(err, f.Close())
	}
	in.segs = append(in.segs, seg)
	in.lastSeq = max(in.lastSeq, seg.base)
	seg.size, err = walk(f, segmentHead, info.Size(), buf, func(off int64, typ byte, body []byte) error {
		return in.replay(seg, off, typ, body, open)
	})
	if err != nil {
		return fmt.Errorf("segment %s: %w", path, err)
	}
	if seg.size < info.Size() {
		s.log.Warn("spool segment ends in a record that is not whole, as after a crash", "segment", path, "valid", seg.size, "size", info.Size())
		// What follows is never written behind remains that could make a record with it.
		if last {
			if err := f.Truncate(seg.size); err != nil {
				return fmt.Errorf("segment %s: %w", path, err)
			}
		}
	}
	seg.charged = seg.size
	s.used += seg.charged
	return nil
}

// headless is a segment that died with its process before it had a header, or one that is damaged.
func (s *Spool) headless(f file, path string, last bool) error {
	if err := f.Close(); err != nil {
		return err
	}
	if last {
		return os.Remove(path)
	}
	s.log.Error("spool segment is damaged; what it held is lost", "segment", path)
	return nil
}

// replay takes one record into account.
func (in *incarnation) replay(seg *segment, off int64, typ byte, body []byte, open map[uint64]Intent) error {
	switch typ {
	case typeIntent:
		n, i, err := parseIntent(body)
		if err != nil {
			return errReject
		}
		open[n] = i
		in.passed(i.At)
	case typeSettle, typeClose:
		seq, n, event, err := parseEvent(body)
		if err != nil || in.lastSeq < seq && seq-in.lastSeq > largestHole {
			return errReject
		}
		delete(open, n)
		if seq <= in.lastSeq {
			return nil // written twice, because the disk had refused it and kept it
		}
		in.note(seg, seq, off)
		in.passed(eventTime(event))
		if typ == typeClose {
			in.closeSeq = seq
		}
	}
	return nil
}

func (in *incarnation) passed(t time.Time) {
	if t.After(in.newest) {
		in.newest = t
	}
}

// eventTime is when an encoded event was settled; zero if it does not say.
func eventTime(event []byte) time.Time {
	for len(event) > 0 {
		field, typ, n := protowire.ConsumeTag(event)
		if n < 0 {
			break
		}
		event = event[n:]
		if field == 3 && typ == protowire.VarintType {
			ms, _ := protowire.ConsumeVarint(event)
			return time.UnixMilli(int64(ms))
		}
		if n = protowire.ConsumeFieldValue(field, typ, event); n < 0 {
			break
		}
		event = event[n:]
	}
	return time.Time{}
}
