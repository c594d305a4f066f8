package spool

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"google.golang.org/protobuf/encoding/protowire"
)

// largestHole bounds how many sequence numbers a damaged disk may have lost. A record that claims
// more is damage itself.
const largestHole = 1 << 24

// recoverOne brings an old incarnation to its end. One that cannot be read or written is tried again
// later, so that it does not keep the edge from starting.
func (s *Spool) recoverOne(dir string) {
	in, err := s.load(dir)
	if err != nil {
		s.log.Error("spool of an old incarnation is not recovered; its events wait", "dir", dir, "error", err)
		s.broken = append(s.broken, dir)
		return
	}
	for _, p := range in.parts {
		p.lane = s.laneOf(p.part, true)
		signal(p.lane.wake)
	}
	s.old = append(s.old, in)
	slices.SortFunc(s.old, func(a, b *incarnation) int { return cmp.Compare(a.inc, b.inc) })
}

// load reads an old incarnation. It settles what is in doubt as its policy says, in the order in which
// it was admitted, and appends CLOSE. Cut short at any point and done again, it comes to the same
// events with the same sequence numbers.
func (s *Spool) load(dir string) (_ *incarnation, err error) {
	inc, _ := incOf(dir)
	in := newIncarnation(inc)
	in.dir = dir
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
	for pi, p := range in.parts {
		// What is missing in front because the first segment is damaged is published as lost.
		if !in.beheaded && len(in.segs) > 0 {
			p.base = in.segs[0].base(int32(pi))
		}
		p.hwm, p.next = p.base, p.base+1
		// What an earlier process has sent is sent on purpose once more, because its mark is not known:
		// the stream must not take it for a repetition, or no mark would come.
		p.sent, p.again = p.lastSeq, uint32(s.Options.Now().Unix())
	}
	if !in.ended {
		if err := s.conclude(in, doubts); err != nil {
			return nil, err
		}
	}
	if cur := in.current(); cur != nil {
		s.seal(cur)
	}
	return in, nil
}

// conclude writes into the space that was allocated for what is in doubt, as long as there is a segment
// of this format: it works with a full disk.
func (s *Spool) conclude(in *incarnation, doubts []*entry) error {
	if in.current() == nil && len(in.parts) == 0 {
		// An incarnation of format 1 that recorded nothing may have been lent money.
		in.join(0)
	}
	for _, d := range doubts {
		_ = in.required(&d.intent, func(part uint32) error { // only a damaged disk has forgotten a join
			in.join(part)
			return nil
		})
	}
	if cur := in.current(); cur == nil || cur.format.legacy {
		if err := s.createSegment(in, 0); err != nil {
			return err
		}
	}
	for _, d := range doubts {
		end := abandoned(d)
		if err := s.writeEvents(in, d, &end, longestSettle(&d.intent)); err != nil {
			return err
		}
	}
	if len(doubts) > 0 {
		s.log.Warn("requests in flight when an incarnation of this edge ended are charged as abandoned", "inc", in.inc, "requests", len(doubts))
	}
	return s.writeClose(in)
}

// scan reads the segments and returns what is in doubt, in the order of admission.
func (s *Spool) scan(in *incarnation) ([]*entry, error) {
	numbers, err := s.segments(in)
	if err != nil {
		return nil, err
	}
	r := replay{in: in, open: map[uint64]*entry{}}
	for k, no := range numbers {
		if err := s.scanSegment(&r, no, k == len(numbers)-1); err != nil {
			return nil, err
		}
	}
	return slices.SortedFunc(maps.Values(r.open), func(a, b *entry) int { return cmp.Compare(a.n, b.n) }), nil
}

// segments lists the numbers of the segments of an incarnation, in order, and clears away the one that
// was made ahead.
func (s *Spool) segments(in *incarnation) ([]uint64, error) {
	names, err := s.storage.List(in.dir)
	if err != nil {
		return nil, err
	}
	var found []uint64
	for _, name := range names {
		if name == spareName {
			if err := s.storage.Remove(path.Join(in.dir, name)); err != nil {
				s.log.Warn("spool segment is not removed", "inc", in.inc, "segment", name, "error", err)
			}
			continue
		}
		hex, ok := strings.CutSuffix(name, segmentSuffix)
		if no, err := strconv.ParseUint(hex, 16, 64); ok && err == nil {
			found = append(found, no)
		}
	}
	slices.Sort(found)
	return found, nil
}

func (s *Spool) scanSegment(r *replay, no uint64, last bool) error {
	in := r.in
	name := path.Join(in.dir, fmt.Sprintf("%016x%s", no, segmentSuffix))
	f, err := s.storage.Open(name)
	if err != nil {
		return err
	}
	in.lastNo = no
	size, err := f.Size()
	if err != nil {
		return errors.Join(err, f.Close())
	}
	head, how, bases, err := readHeader(f, in.inc)
	if err != nil {
		return errors.Join(err, f.Close())
	}
	first := len(in.segs) == 0 && !in.beheaded
	if head == 0 || !in.follows(bases, first) {
		if !last && no == 1 {
			in.beheaded = true
		}
		return s.headless(f, name, last)
	}
	seg := &segment{path: name, f: f, format: how, start: head, size: head}
	in.segs = append(in.segs, seg)
	for _, b := range bases {
		p := in.find(b.part)
		if p == nil {
			p = in.join(b.part)
		}
		p.lastSeq = max(p.lastSeq, b.seq)
		seg.run(in.place(b.part)).base = b.seq
	}
	r.seg = seg
	at, err := walk(f, how, head, size, &r.buf, r.record)
	if err != nil {
		return fmt.Errorf("segment %s: %w", name, err)
	}
	seg.size = at.off
	if at.torn || at.damaged {
		s.log.Warn("spool segment holds what is not a record, as after a crash", "segment", name, "valid", at.off, "between", at.damaged)
	}
	seg.charged = max(seg.size, size)
	s.used += seg.charged
	return nil
}

// follows says whether a segment can come after what was read so far.
func (in *incarnation) follows(bases []base, first bool) bool {
	for _, b := range bases {
		if p := in.find(b.part); !first && p != nil && b.seq > p.lastSeq+largestHole || !first && p == nil && b.seq > largestHole {
			return false
		}
	}
	return true
}

// headless is a segment that died with its process before it had a header, or one that is damaged.
func (s *Spool) headless(f File, name string, last bool) error {
	if err := f.Close(); err != nil {
		return err
	}
	if last {
		return s.storage.Remove(name)
	}
	s.log.Error("spool segment is damaged; what it held is lost", "segment", name)
	return nil
}

// replay takes the records of an incarnation into account, one by one.
type replay struct {
	in     *incarnation
	seg    *segment
	open   map[uint64]*entry
	events []numbered // scratch
	buf    []byte
}

func (r *replay) record(off int64, typ byte, body []byte) error {
	if known := typ <= legacyClose; known != r.seg.format.legacy {
		return nil
	}
	switch typ {
	case typeIntent, legacyIntent:
		return r.intent(typ, body)
	case typePartial:
		n, reserved, metered, err := parsePartial(body)
		if err != nil {
			return errReject
		}
		if e := r.open[n]; e != nil {
			e.reserved, e.metered = reserved, metered
		}
	case typeJoin:
		part, err := parseJoin(body)
		if err != nil {
			return errReject
		}
		if r.in.place(part) < 0 {
			r.in.join(part)
		}
	case typeSettle, typeClose, legacySettle, legacyClose:
		return r.settle(off, typ, body)
	}
	return nil
}

func (r *replay) intent(typ byte, body []byte) error {
	parse := parseIntent
	if typ == legacyIntent {
		parse = parseLegacyIntent
	}
	e, err := parse(body)
	if err != nil {
		return errReject
	}
	r.open[e.n] = &e
	r.in.passed(e.intent.At)
	return nil
}

func (r *replay) settle(off int64, typ byte, body []byte) error {
	parse := parseEvents
	if typ == legacySettle || typ == legacyClose {
		parse = parseLegacyEvent
	}
	n, events, err := parse(r.events[:0], body)
	r.events = events
	if err != nil {
		return errReject
	}
	for _, e := range events {
		var last uint64
		if p := r.in.find(e.part); p != nil {
			last = p.lastSeq
		}
		if e.seq > last && e.seq-last > largestHole {
			return errReject
		}
	}
	delete(r.open, n)
	closing := typ == typeClose || typ == legacyClose
	for _, e := range events {
		p := r.in.find(e.part)
		if p == nil { // its join is lost
			p = r.in.join(e.part)
		}
		if e.seq <= p.lastSeq {
			continue // written twice, because the disk had refused it and kept it
		}
		r.in.note(r.seg, r.in.place(e.part), e.seq, off)
		r.in.passed(eventTime(e.event))
		if closing {
			p.closeSeq = e.seq
		}
	}
	if closing {
		r.in.ended = true
	}
	return nil
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
