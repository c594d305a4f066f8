package spool

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"time"

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
	PriceVersion int64
	Amount       money.Nanos       // held, and charged if the edge dies
	Windows      []contract.Window // charged, as drawn at admission
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
}

// slot is an unsettled intent. Slots are used again, and so is the memory of their windows.
type slot struct {
	n      uint64 // 0 while it is free
	intent Intent
	record int64    // length of the record of the intent
	settle int64    // length that its settlement may have
	seg    *segment // where the newest record of the intent is
}

// parked is a settlement that is not on disk.
type parked struct {
	n                   uint64
	event               []byte
	intentSeg           *segment
	intentLen, settleTo int64
}

// Intent records i. When it returns without an error i survives the death of the process; with one
// (fault spool_unavailable, or shutting_down after Drain) nothing was recorded.
func (s *Spool) Intent(i Intent) (Ticket, error) {
	if i.Amount < 0 || len(i.KeyID) > longestID || len(i.EndpointID) > longestID || len(i.Windows) > mostWindows {
		return Ticket{}, fault.New(fault.SpoolUnavailable, "The request has a negative amount, too long an identifier or too many budgets to be recorded.")
	}
	length := intentLength + int64(len(i.KeyID)+len(i.EndpointID)+len(i.Windows)*windowBytes)
	settle := longestSettle(&i)

	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.admit(length, settle); err != nil {
		return Ticket{}, err
	}
	n := s.nextN + 1
	s.record = intentRecord(s.record, n, &i)
	if dropIntents {
		s.record = s.record[:0]
	}
	if err := s.append(s.live, s.record); err != nil {
		s.refuse(err)
		return Ticket{}, fault.New(fault.SpoolUnavailable, "The disk of this edge refused the record of the request.").WithCause(err)
	}
	s.nextN, s.refusing = n, false
	s.reservedHere += settle
	s.reservedAll += settle + length

	var k uint32
	if last := len(s.free) - 1; last >= 0 {
		k, s.free = s.free[last], s.free[:last]
	} else {
		k = uint32(len(s.slots))
		s.slots = append(s.slots, slot{})
	}
	sl := &s.slots[k]
	windows := append(sl.intent.Windows[:0], i.Windows...)
	*sl = slot{n: n, intent: i, record: length, settle: settle, seg: s.live.current()}
	sl.intent.Windows = windows
	sl.seg.intents++
	return Ticket{n: n, slot: k}, nil
}

// admit makes sure that an intent, its settlement and a copy of it in a later segment fit.
func (s *Spool) admit(length, settle int64) error {
	switch {
	case s.ended || s.closed:
		return fault.New(fault.ShuttingDown, "This edge is stopping and records no further request.")
	case len(s.parked) > 0:
		return fault.New(fault.SpoolUnavailable, "The disk of this edge refuses to record what %d requests cost.", len(s.parked)).WithCause(s.failure)
	case segmentHead+s.reservedAll+length+settle+longestClose > s.Options.SegmentBytes:
		return fault.New(fault.SpoolUnavailable, "This edge has more requests in flight than one segment of its spool (%d bytes) can settle.", s.Options.SegmentBytes)
	}
	if cur := s.live.current(); cur != nil && cur.size+length+s.reservedHere+settle+longestClose <= s.Options.SegmentBytes {
		return nil
	}
	if !s.room() {
		s.refuse(errFull)
		return fault.New(fault.SpoolUnavailable, "The spool of this edge is full: %d of %d bytes wait for the ledger to book them.", s.used, s.Options.MaxBytes)
	}
	if err := s.rotate(); err != nil {
		s.refuse(err)
		return fault.New(fault.SpoolUnavailable, "The disk of this edge has no space for another segment of its spool.").WithCause(err)
	}
	return nil
}

var errFull = errors.New("max_bytes is used up by events that are not booked")

// refuse logs why intents are refused: once, because requests go on coming.
func (s *Spool) refuse(err error) {
	if !s.refusing {
		s.log.Error("spool records no more intents", "error", err)
	}
	s.refusing = true
}

// rotate begins a new current segment.
func (s *Spool) rotate() error {
	if err := s.createSegment(s.live, s.Options.SegmentBytes); err != nil {
		return err
	}
	s.reservedHere = s.reservedAll
	return nil
}

// Settle ends the intent of t. Only the first call for a ticket does something, and it cannot fail.
func (s *Spool) Settle(t Ticket, end Settlement) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if t.n == 0 || int(t.slot) >= len(s.slots) || s.slots[t.slot].n != t.n || s.closed {
		return
	}
	s.settle(t.slot, end)
}

func (s *Spool) settle(k uint32, end Settlement) {
	if end.At.IsZero() {
		end.At = s.Options.Now()
	}
	end.Cost = max(end.Cost, 0)
	end.Duration = max(end.Duration, 0)
	sl := &s.slots[k]
	s.event = appendEvent(s.event[:0], &sl.intent, &end)
	p := parked{n: sl.n, event: s.event, intentSeg: sl.seg, intentLen: sl.record, settleTo: sl.settle}
	if end.At.After(s.live.newest) {
		s.live.newest = end.At
	}
	if len(s.parked) > 0 {
		s.park(p)
	} else if err := s.write(p); err != nil {
		s.failure = err
		s.log.Error("spool keeps settlements in memory, because the disk refuses them", "error", err)
		s.park(p)
	}
	sl.n, sl.seg = 0, nil
	sl.intent.KeyID, sl.intent.EndpointID = "", ""
	s.free = append(s.free, k)
}

func (s *Spool) park(p parked) {
	p.event = slices.Clone(p.event)
	s.parked = append(s.parked, p)
}

// write puts a settlement on disk and gives back what its intent reserved.
func (s *Spool) write(p parked) error {
	if err := s.appendEvent(s.live, typeSettle, p.n, p.event); err != nil {
		return err
	}
	here := p.settleTo
	if p.intentSeg != s.live.current() {
		here += p.intentLen
	}
	s.reservedHere -= here
	s.reservedAll -= p.settleTo + p.intentLen
	p.intentSeg.intents--
	s.added(s.live, len(p.event))
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
		err := s.write(s.parked[0])
		if cur := s.live.current(); err != nil && !fresh && cur.size > segmentHead {
			fresh = true
			if err = s.rotate(); err == nil {
				continue
			}
		}
		if err != nil {
			s.failure = err
			return fmt.Errorf("%d settlements are not on disk: %w", len(s.parked), err)
		}
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
	if s.live.closeSeq > 0 {
		return nil
	}
	if s.closed {
		return fmt.Errorf("spool %s is closed", s.Options.Dir)
	}
	var open []uint32
	for k := range s.slots {
		if s.slots[k].n > 0 {
			open = append(open, uint32(k))
		}
	}
	slices.SortFunc(open, func(a, b uint32) int { return cmp.Compare(s.slots[a].n, s.slots[b].n) })
	if len(open) > 0 {
		s.log.Warn("spool is drained with requests in flight; they are charged as abandoned", "requests", len(open))
	}
	for _, k := range open {
		s.settle(k, abandoned(&s.slots[k].intent))
	}
	if err := s.unpark(); err != nil {
		return err
	}
	if s.live.current() == nil {
		if err := s.rotate(); err != nil {
			return err
		}
	}
	if err := s.writeClose(s.live); err != nil {
		return err
	}
	s.added(s.live, longestClose)
	return nil
}

// abandoned is how an intent ends that nothing is known of. It depends on the intent alone, so that
// a recovery that was cut short and one more come to the same event.
func abandoned(i *Intent) Settlement {
	return Settlement{At: i.At, Outcome: eventv1.SpendOutcome_SPEND_OUTCOME_ABANDONED, Cost: i.Amount}
}

func (s *Spool) writeClose(in *incarnation) error {
	s.event = closeEvent(s.event[:0], in.newest)
	return s.appendEvent(in, typeClose, 0, s.event)
}
