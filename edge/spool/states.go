package spool

import (
	"slices"
	"time"

	eventv1 "tollgate/gen/tollgate/event/v1"
)

// mostStates bounds what one request tells.
const mostStates = 1000

// Joined are the partitions of the ledger of which something is in this spool, in ascending order.
func (s *Spool) Joined() []uint32 {
	s.mu.Lock()
	defer s.mu.Unlock()
	var parts []uint32
	for _, in := range s.all() {
		for _, p := range in.parts {
			parts = append(parts, p.part)
		}
	}
	slices.Sort(parts)
	return slices.Compact(parts)
}

// States is how far the incarnations that joined a partition are booked there, for requests to it. All
// that are kept are named, those that are booked whole as well: the answer shows when the database does
// not have any more what it had, and without one nothing is given back. Of very many it is the live one
// and the oldest, which make room for the others.
func (s *Spool) States(part uint32) []*eventv1.SpoolState {
	s.mu.Lock()
	defer s.mu.Unlock()
	var states []*eventv1.SpoolState
	for _, in := range s.all() {
		if p := in.find(part); p != nil && (in == s.live || len(states) < mostStates-1) {
			states = append(states, &eventv1.SpoolState{Inc: in.inc, Hwm: p.hwm, History: p.epoch, LastSeq: p.lastSeq})
		}
	}
	return states
}

// newestEpoch is the number of a partition's database that was heard last.
func (s *Spool) newestEpoch(part uint32) (newest int64) {
	for _, in := range s.all() {
		if p := in.find(part); p != nil {
			newest = max(newest, p.epoch)
		}
	}
	return newest
}

// isConfirmed says whether what is booked of an incarnation is so by the databases that were heard
// last. One that was restored may miss it, whatever the one before had.
func (s *Spool) isConfirmed(in *incarnation) bool {
	for _, p := range in.parts {
		if p.epoch < s.newestEpoch(p.part) {
			return false
		}
	}
	return true
}

// lastTold is when the partitions that have something of an incarnation, or of one segment of it, had all
// told last that they have booked it.
func (in *incarnation) lastTold(seg *segment, now time.Time) time.Time {
	at := now
	for pi, p := range in.parts {
		if (seg == nil || pi < len(seg.runs) && seg.runs[pi].last > 0) && p.told.Before(at) {
			at = p.told
		}
	}
	return at
}
