package spool

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"
	"time"
	"unicode/utf8"

	eventv1 "tollgate/gen/tollgate/event/v1"
	"tollgate/internal/meter"
	"tollgate/internal/money"
)

// What a meter counted and what is said of a job come in addition to what every settlement has. No place is
// promised to them when a request is admitted, because next to no request of a fixed price has any, and a
// promise for each would leave room for fewer requests in flight. They take what the segment has to spare, or
// a new one. Where there is neither, because the disk is full, they are left out: what the request cost is
// recorded all the same.

// Job is what a request says of work that goes on after its answer; see eventv1.SpendJob.
type Job struct {
	ID          string // as the target names it; a long one is recorded as its hash
	State       eventv1.SpendJobState
	Cost        money.Nanos   // of a job that is done
	AsBegun     bool          // it costs what the request that began it was charged
	TTL         time.Duration // in whole seconds
	ExpiresFree bool          // whether it costs nothing if nobody tells of it within TTL
	Unpriced    bool          // a fallback is in Cost
	Begins      bool          // the request began it
	Units       int64
	Counts      string // as of a settlement
	Model       string // that did it
}

// How much is recorded of what is counted and of a job.
const (
	longestMeter  = 64
	longestCounts = 1 << 10
	longestJob    = 256
)

// Tags of the fields of SpendJob, and of those of SpendEvent that are described here.
const (
	tagMeter  = 20<<3 | 2
	tagCounts = 21<<3 | 2
	tagJob    = 22<<3 | 2

	tagJobID       = 1<<3 | 2
	tagJobState    = 2 << 3
	tagJobCost     = 3 << 3
	tagJobAsBegun  = 4 << 3
	tagJobTTL      = 5 << 3
	tagJobFree     = 6 << 3
	tagJobUnpriced = 7 << 3
	tagJobBegins   = 8 << 3
	tagJobUnits    = 9 << 3
	tagJobCounts   = 10<<3 | 2
	tagJobModel    = 11<<3 | 2
)

// detailed says whether a settlement has anything that no place was promised to.
func (end *Settlement) detailed() bool { return end.Meter != "" || end.Counts != "" || end.Job != nil }

// bound brings what is counted and the job into their bounds. The caller's job is not changed.
func (end *Settlement) bound() {
	end.Meter = cutClean(end.Meter, longestMeter)
	end.Counts = cutCounts(end.Counts)
	if end.Job == nil {
		return
	}
	if end.Job.ID == "" { // nothing can be known of it
		end.Job = nil
		return
	}
	j := *end.Job
	j.ID, j.Counts, j.Model = jobID(j.ID), cutCounts(j.Counts), cutClean(j.Model, longestModel)
	j.Cost, j.TTL, j.Units = max(j.Cost, 0), max(j.TTL, 0), max(j.Units, 0)
	end.Job = &j
}

// cutClean cuts a text where no character is broken.
func cutClean(s string, most int) string {
	if len(s) > most {
		for most > 0 && !utf8.RuneStart(s[most]) {
			most--
		}
		s = s[:most]
	}
	return clean(s)
}

// cutCounts leaves out the last counts if there are too many, and says so before the rest.
func cutCounts(s string) string {
	if len(s) > longestCounts {
		s = meter.Partial + s
		s = s[:strings.LastIndexByte(s[:longestCounts+1], ',')]
	}
	return clean(s)
}

// jobID is what a job is recorded as. It must be the same whoever tells of it, so an id that cannot be
// recorded as it is becomes its hash instead of a part of it, which another job may share.
func jobID(id string) string {
	plain := len(id) <= longestJob && utf8.ValidString(id)
	for k := 0; plain && k < len(id); k++ {
		plain = id[k] >= ' '
	}
	if plain {
		return id
	}
	hash := sha256.Sum256([]byte(id))
	return "sha256:" + hex.EncodeToString(hash[:])
}

// detailLength is no less than the length of what a settlement has that no place was promised to.
func (end *Settlement) detailLength() int64 {
	const (
		text   = 2 + 2 // tag and length
		number = 1 + 10
		yes    = 2
	)
	n := 0
	if end.Meter != "" {
		n += text + len(end.Meter)
	}
	if end.Counts != "" {
		n += text + len(end.Counts)
	}
	if j := end.Job; j != nil {
		n += text + 3*text + len(j.ID) + len(j.Counts) + len(j.Model) + 4*number + 4*yes
	}
	return align(int64(n))
}

// detail writes what was counted, and the job.
func (e *encoder) detail(end *Settlement) {
	e.text(tagMeter, end.Meter)
	e.text(tagCounts, end.Counts)
	if end.Job == nil {
		return
	}
	e.varint(tagJob)
	at := e.n
	e.n += 2 // for its length, most often
	e.job(end.Job)
	if length := e.n - at - 2; length < 0x80 {
		copy(e.b[at+1:], e.b[at+2:e.n])
		e.b[at] = byte(length)
		e.n--
	} else {
		e.b[at], e.b[at+1] = byte(length)|0x80, byte(length>>7)
	}
}

func (e *encoder) job(j *Job) {
	e.text(tagJobID, j.ID)
	e.number(tagJobState, uint64(j.State))
	e.number(tagJobCost, uint64(j.Cost))
	e.yes(tagJobAsBegun, j.AsBegun)
	e.number(tagJobTTL, uint64(j.TTL/time.Second))
	e.yes(tagJobFree, j.ExpiresFree)
	e.yes(tagJobUnpriced, j.Unpriced)
	e.yes(tagJobBegins, j.Begins)
	e.number(tagJobUnits, uint64(j.Units))
	e.text(tagJobCounts, j.Counts)
	e.text(tagJobModel, j.Model)
}

func (e *encoder) yes(tag uint32, v bool) {
	if v {
		e.number(tag, 1)
	}
}

// spareRoom makes sure that so much can be written beyond what is promised, in a new segment if there is none in
// this one, and says whether it can.
func (s *Spool) spareRoom(n int64) bool {
	closing := longestClose(len(s.live.parts))
	fits := func() bool {
		cur := s.live.current()
		return cur != nil && cur.size+s.reservedHere+closing+n <= s.Options.SegmentBytes
	}
	switch {
	case fits():
		return true
	case segmentHead(len(s.live.parts))+s.reservedAll+closing+n > s.Options.SegmentBytes, s.spare == nil && !s.room():
		return false
	}
	return s.rotate() == nil && fits()
}
