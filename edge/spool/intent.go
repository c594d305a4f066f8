package spool

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	eventv1 "tollgate/gen/tollgate/event/v1"
	"tollgate/internal/contract"
	"tollgate/internal/fault"
	"tollgate/internal/id"
	"tollgate/internal/money"
)

// Intent is an attempt about to be made.
type Intent struct {
	Request      id.Bytes
	Attempt      uint32 // within the request, from 1
	At           time.Time
	KeyID        string
	EndpointID   string
	Team         string
	Customer     string
	Model        string // asked for; empty if unknown
	Deployment   string // that the attempt goes to, "MODEL/DEPLOYMENT"; empty if models are not what is served
	Tags         []string
	PriceVersion int64
	Amount       money.Nanos             // held
	Draws        []contract.Draw         // charged, as drawn at admission
	Abandoned    eventv1.AbandonedPolicy // what is charged if the edge dies
}

// Ticket names an intent that is to be settled. The zero Ticket names none: settling it does nothing.
type Ticket struct {
	n    uint64 // never used again, unlike the slot
	slot uint32
}

// Settlement is how an attempt ended.
type Settlement struct {
	At       time.Time // default now
	Status   int       // that the target answered; 0 if it did not
	Outcome  eventv1.SpendOutcome
	Cost     money.Nanos
	Duration time.Duration
	Units    int64
	Unpriced bool   // a fallback was charged for something that was not told
	Model    string // that served it; default the one asked for
	Meter    string // that read it; empty for none
	Counts   string // what it counted, as "name=decimal" with "," between them
	Job      *Job   // that it began or tells of; nil for none
}

// slot is an unsettled intent. Slots are used again, and so is the memory of their draws and tags. Each has a place of its own: they are
// large, and copying them all to where there is room for more would leave as much garbage.
type slot struct {
	entry              // its n is 0 while the slot is free
	record int64       // length of the record of the intent
	settle int64       // length that its settlement may have
	seg    *segment    // where the newest record of the intent is
	parked *Settlement // if it is settled, and that is not on disk
}

// hold makes a copy of i what is unsettled in the slot.
func (sl *slot) hold(n uint64, i *Intent) {
	tags, draws := sl.intent.Tags[:0], sl.intent.Draws[:0]
	sl.n, sl.intent, sl.reserved, sl.metered = n, *i, i.Amount, 0
	sl.intent.Tags, sl.intent.Draws = append(tags, i.Tags...), append(draws, i.Draws...)
	sl.intent.clean()
}

// Intent records i, which it does not keep. When it returns without an error i survives the death of
// the process; with one (fault spool_unavailable, or shutting_down after Drain) nothing was recorded.
func (s *Spool) Intent(i *Intent) (Ticket, error) {
	if !recordable(i) {
		return Ticket{}, fault.New(fault.SpoolUnavailable, "The request has a negative amount, too long a name, or too many tags or budgets to be recorded.")
	}
	length, settle := intentLength(i), longestSettle(i)

	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.live.required(i, s.join); err != nil {
		return Ticket{}, err
	}
	if err := s.admit(length, settle, 0); err != nil {
		return Ticket{}, err
	}
	k := s.slot()
	sl := s.slots[k]
	sl.hold(s.nextN+1, i)
	sl.record, sl.settle, sl.seg = length, settle, s.live.current()
	if err := s.writeIntent(sl); err != nil {
		s.release(k)
		return Ticket{}, s.refuse(err, "The disk of this edge refused the record of the request.")
	}
	s.nextN, s.refusing = sl.n, false
	s.reservedHere += settle
	s.reservedAll += settle + length
	sl.seg.intents++
	return Ticket{n: sl.n, slot: k}, nil
}

func recordable(i *Intent) bool {
	ok := i.Amount >= 0 && len(i.Draws) <= mostDraws && len(i.Tags) <= mostTags
	ok = ok && max(len(i.KeyID), len(i.EndpointID), len(i.Team), len(i.Customer), len(i.Model), len(i.Deployment)) <= longestID
	for _, tag := range i.Tags {
		ok = ok && len(tag) <= longestID
	}
	for k := range i.Draws {
		ok = ok && i.Draws[k].Part < mostParts
	}
	return ok
}

// clean makes texts such that the ledger can keep them. What a caller wrote must not make an event
// that is refused for ever, and those behind it with it.
func (i *Intent) clean() {
	i.KeyID, i.EndpointID, i.Team, i.Customer, i.Model = clean(i.KeyID), clean(i.EndpointID), clean(i.Team), clean(i.Customer), clean(i.Model)
	i.Deployment = clean(i.Deployment)
	for k, tag := range i.Tags {
		i.Tags[k] = clean(tag)
	}
}

func clean(s string) string {
	for k := range len(s) {
		if s[k]-1 >= utf8.RuneSelf-1 {
			return strings.ReplaceAll(strings.ToValidUTF8(s, "?"), "\x00", "")
		}
	}
	return s
}

// slot takes a free one.
func (s *Spool) slot() uint32 {
	if last := len(s.free) - 1; last >= 0 {
		k := s.free[last]
		s.free = s.free[:last]
		return k
	}
	s.slots = append(s.slots, &slot{})
	return uint32(len(s.slots) - 1)
}

// release frees a slot and lets go of the texts in it.
func (s *Spool) release(k uint32) {
	sl := s.slots[k]
	i := &sl.intent
	i.KeyID, i.EndpointID, i.Team, i.Customer, i.Model, i.Deployment = "", "", "", "", "", ""
	clear(i.Tags)
	sl.n, sl.seg, sl.parked = 0, nil, nil
	s.free = append(s.free, k)
}

// writeIntent puts the record of an intent behind the last one.
func (s *Spool) writeIntent(sl *slot) error {
	if dropIntents {
		return nil
	}
	return s.commit(s.live, appendIntent(s.live.start(typeIntent, sl.record), &sl.entry))
}

// admit makes sure that there is a segment into which a record of so many bytes fits beside all that
// was promised a place: what settles its intent, with a copy of the record in a later segment, and the
// ends of what is joined, with so many more partitions.
func (s *Spool) admit(length, settle int64, parts int) error {
	parts += len(s.live.parts)
	closing := longestClose(parts)
	promised := s.reservedAll + settle
	if settle > 0 {
		promised += length
	}
	switch {
	case s.ended || s.closed:
		return fault.New(fault.ShuttingDown, "This edge is stopping and records no further request.")
	case len(s.parked) > 0:
		return fault.New(fault.SpoolUnavailable, "The disk of this edge refuses to record what %d requests cost.", len(s.parked)).WithCause(s.failure)
	case segmentHead(parts)+promised+max(length, joinLength)+closing > s.Options.SegmentBytes:
		return fault.New(fault.SpoolUnavailable, "This edge has more requests in flight than one segment of its spool (%d bytes) can settle.", s.Options.SegmentBytes)
	}
	if cur := s.live.current(); cur != nil && cur.size+length+s.reservedHere+settle+closing <= s.Options.SegmentBytes {
		return nil
	}
	if s.spare == nil && !s.room() {
		return s.refuse(errFull, "The spool of this edge is full: %d of %d bytes wait for the ledger to book them.", s.used, s.Options.MaxBytes)
	}
	if err := s.rotate(); err != nil {
		return s.refuse(err, "The disk of this edge has no space for another segment of its spool.")
	}
	return nil
}

var errFull = errors.New("max_bytes is used up by events that are not booked")

// refuse is the fault of a request that is refused for want of a disk. It is logged once, because
// requests go on coming.
func (s *Spool) refuse(cause error, message string, args ...any) error {
	if !s.refusing {
		s.log.Error("spool records no more intents", "error", cause)
	}
	s.refusing = true
	return fault.New(fault.SpoolUnavailable, message, args...).WithCause(cause)
}

// rotate begins a new current segment.
func (s *Spool) rotate() error {
	if err := s.createSegment(s.live, s.Options.SegmentBytes); err != nil {
		return err
	}
	s.reservedHere = s.reservedAll
	return nil
}

// find is the slot of an intent that is not settled, or nil.
func (s *Spool) find(t Ticket) *slot {
	if t.n == 0 || int(t.slot) >= len(s.slots) || s.slots[t.slot].n != t.n || s.slots[t.slot].parked != nil || s.closed {
		return nil
	}
	return s.slots[t.slot]
}

// Partial records how much is held for the intent of t by now and what it has cost so far. It is on
// disk when it returns without an error; with one the edge has no record of what goes beyond the last.
func (s *Spool) Partial(t Ticket, reserved, metered money.Nanos) error {
	if t.n == 0 {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	sl := s.find(t)
	if sl == nil {
		return fault.New(fault.ShuttingDown, "This edge is stopping and has settled the request.")
	}
	if err := s.admit(partialLength, 0, 0); err != nil {
		return err
	}
	reserved, metered = max(reserved, 0), max(metered, 0)
	if !dropIntents {
		if err := s.commit(s.live, appendPartial(s.live.start(typePartial, partialLength), t.n, reserved, metered)); err != nil {
			return s.refuse(err, "The disk of this edge refused the record of what the request has cost so far.")
		}
	}
	s.refusing = false
	sl.reserved, sl.metered = reserved, metered
	return nil
}

// Settle ends the intent of t. Only the first call for a ticket does something, and it cannot fail.
func (s *Spool) Settle(t Ticket, end *Settlement) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.find(t) != nil {
		s.settle(t.slot, *end)
	}
}

func (s *Spool) settle(k uint32, end Settlement) {
	if end.At.IsZero() {
		end.At = s.Options.Now()
	}
	end.Cost, end.Duration, end.Units = max(end.Cost, 0), max(end.Duration, 0), max(end.Units, 0)
	if len(end.Model) > longestModel {
		end.Model = end.Model[:longestModel]
	}
	end.Model = clean(end.Model)
	if end.detailed() {
		end.bound()
	}
	s.live.passed(end.At)
	sl := s.slots[k]
	if len(s.parked) == 0 {
		err := s.write(sl, &end)
		if err == nil {
			s.release(k)
			return
		}
		s.failure = err
		s.log.Error("spool keeps settlements in memory, because the disk refuses them", "error", err)
	}
	kept := end // on the heap only here
	sl.parked = &kept
	s.parked = append(s.parked, k)
}

// write puts a settlement on disk and gives back what its intent reserved.
func (s *Spool) write(sl *slot, end *Settlement) error {
	longest := sl.settle
	if end.detailed() {
		if more := end.detailLength(); s.spareRoom(more) {
			longest += more
		} else {
			s.log.Warn("spool has no space for what was counted; what it cost is recorded", "meter", end.Meter, "job", end.Job != nil)
			bare := *end
			bare.Meter, bare.Counts, bare.Job = "", "", nil
			end = &bare
		}
	}
	if err := s.writeEvents(s.live, &sl.entry, end, longest); err != nil {
		return err
	}
	here := sl.settle
	if sl.seg != s.live.current() {
		here += sl.record
	}
	s.reservedHere -= here
	s.reservedAll -= sl.settle + sl.record
	sl.seg.intents--
	return nil
}

// writeEvents records how an intent ended, in at most so many bytes, with the next sequence number of
// each partition that it draws on.
func (s *Spool) writeEvents(in *incarnation, e *entry, end *Settlement, longest int64) error {
	seg := in.current()
	off, shares := seg.size, in.divide(&e.intent)
	if err := s.commit(in, in.appendEvents(in.start(typeSettle, longest), e, end, shares)); err != nil {
		return err
	}
	size := int(seg.size-off) / len(shares)
	for _, pi := range shares {
		in.note(seg, pi, in.parts[pi].lastSeq+1, off)
		s.added(in, in.parts[pi], size)
	}
	return nil
}

// unpark tries the settlements that the disk refused once more, in their order, the second time in
// another segment.
func (s *Spool) unpark() error {
	if len(s.parked) == 0 {
		return nil
	}
	fresh := false
	for len(s.parked) > 0 {
		k := s.parked[0]
		err := s.write(s.slots[k], s.slots[k].parked)
		if cur := s.live.current(); err != nil && !fresh && cur.size > cur.start {
			fresh = true
			if err = s.rotate(); err == nil {
				continue
			}
		}
		if err != nil {
			s.failure = err
			return fmt.Errorf("%d settlements are not on disk: %w", len(s.parked), err)
		}
		s.release(k)
		s.parked = slices.Delete(s.parked, 0, 1)
	}
	s.parked, s.failure = nil, nil
	s.log.Info("spool has written the settlements that the disk had refused")
	return nil
}

// end settles what is left as abandoned and writes CLOSE, once.
func (s *Spool) end() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ended = true
	if s.live.ended {
		return nil
	}
	if s.closed {
		return errors.New("spool is closed")
	}
	var open []uint32
	for k := range s.slots {
		if s.slots[k].n > 0 && s.slots[k].parked == nil {
			open = append(open, uint32(k))
		}
	}
	slices.SortFunc(open, func(a, b uint32) int { return cmp.Compare(s.slots[a].n, s.slots[b].n) })
	if len(open) > 0 {
		s.log.Warn("spool is drained with requests in flight; they are charged as abandoned", "requests", len(open))
	}
	for _, k := range open {
		s.settle(k, abandoned(&s.slots[k].entry))
	}
	if err := s.unpark(); err != nil {
		return err
	}
	if s.live.current() == nil {
		if len(s.live.parts) == 0 { // nobody waits for its end
			s.live.ended = true
			return nil
		}
		if err := s.rotate(); err != nil {
			return err
		}
	}
	return s.writeClose(s.live)
}

// abandoned is how an intent ends that nothing more is known of. It depends on the records alone, so
// that a recovery that was cut short and one more come to the same event.
func abandoned(e *entry) Settlement {
	end := Settlement{At: e.intent.At, Outcome: eventv1.SpendOutcome_SPEND_OUTCOME_ABANDONED}
	switch e.intent.Abandoned {
	case eventv1.AbandonedPolicy_ABANDONED_POLICY_METERED:
		end.Cost = e.metered
	case eventv1.AbandonedPolicy_ABANDONED_POLICY_NOTHING:
	default: // also a policy that this release does not know
		end.Cost = e.reserved
	}
	return end
}

// writeClose records the end of an incarnation, for every partition that it has joined.
func (s *Spool) writeClose(in *incarnation) error {
	seg := in.current()
	off := seg.size
	if err := s.commit(in, in.appendClose(in.start(typeClose, longestClose(len(in.parts))))); err != nil {
		return err
	}
	in.ended = true
	for pi, p := range in.parts {
		p.closeSeq = p.lastSeq + 1
		in.note(seg, int32(pi), p.closeSeq, off)
		s.added(in, p, 0)
	}
	return nil
}
