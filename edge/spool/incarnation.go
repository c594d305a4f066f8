package spool

import (
	"encoding/binary"
	"errors"
	"slices"
	"strconv"
	"time"

	"tollgate/internal/fault"
	"tollgate/internal/id"
)

// incarnation is the log of one process life.
type incarnation struct {
	inc      int64
	dir      string
	seed     uint32
	segs     []*segment   // oldest first; records are appended to the last
	lastNo   uint64       // of the newest file
	parts    []*partition // joined, in that order
	at       []int32      // place in parts by number of the partition, plus one
	sorted   []int32      // places in parts by number of the partition
	ended    bool         // CLOSE is written
	newest   time.Time    // the latest time in its records
	covered  time.Time    // since when CLOSE is booked everywhere; zero if not
	beheaded bool         // its first segment is damaged
	shares   []int32      // scratch
}

// partition is what an incarnation and a partition of the ledger have to do with one another.
type partition struct {
	part     uint32
	base     uint64 // last sequence number that is not on disk any more
	lastSeq  uint64
	closeSeq uint64 // of CLOSE; 0 while it is open
	lane     *lane  // that publishes it
	cursor

	oldestSeq uint64 // of the event that oldestAt belongs to
	oldestAt  time.Time
}

func newIncarnation(inc int64) *incarnation {
	return &incarnation{
		inc: inc, dir: strconv.FormatInt(inc, 10) + dirSuffix, seed: seedOf(inc), newest: time.UnixMilli(inc >> incRandomBits),
	}
}

func (in *incarnation) current() *segment {
	if len(in.segs) == 0 {
		return nil
	}
	return in.segs[len(in.segs)-1]
}

// place is where a partition is in parts, or -1.
func (in *incarnation) place(part uint32) int32 {
	if int(part) >= len(in.at) {
		return -1
	}
	return in.at[part] - 1
}

func (in *incarnation) find(part uint32) *partition {
	if pi := in.place(part); pi >= 0 {
		return in.parts[pi]
	}
	return nil
}

// join adds a partition that is not joined. It is not on disk thereby.
func (in *incarnation) join(part uint32) *partition {
	if missing := int(part) + 1 - len(in.at); missing > 0 {
		in.at = append(in.at, make([]int32, missing)...)
	}
	p := &partition{part: part}
	p.next = 1
	pi := int32(len(in.parts))
	in.parts = append(in.parts, p)
	in.at[part] = pi + 1
	k, _ := slices.BinarySearchFunc(in.sorted, part, func(pi int32, part uint32) int { return int(in.parts[pi].part) - int(part) })
	in.sorted = slices.Insert(in.sorted, k, pi)
	return p
}

// divide says which partitions get an event of i, home first, by their places: home is the partition of
// the account with the lowest number. It depends on the records so far alone, so that a recovery that
// is done again divides in the same way. All of them are joined. The result is valid until the next call.
func (in *incarnation) divide(i *Intent) []int32 {
	in.shares = in.shares[:0]
	if len(i.Draws) == 0 {
		return append(in.shares, in.homeless(i.Request))
	}
	low := 0
	for k := range i.Draws {
		if i.Draws[k].Window.Account < i.Draws[low].Window.Account {
			low = k
		}
	}
	in.shares = append(in.shares, in.place(i.Draws[low].Part))
	for k := range i.Draws {
		if pi := in.place(i.Draws[k].Part); pi != in.shares[0] && !slices.Contains(in.shares, pi) {
			in.shares = append(in.shares, pi)
		}
	}
	return in.shares
}

// homeless is which partition keeps the record of a request that draws on nothing: requests are spread
// over those that are joined.
func (in *incarnation) homeless(request id.Bytes) int32 {
	const golden = 0x9E3779B97F4A7C15
	hash := binary.LittleEndian.Uint64(request[8:]) * golden >> 32
	return in.sorted[hash%uint64(len(in.sorted))]
}

// required calls join for the partitions that settling i takes and that are not joined.
func (in *incarnation) required(i *Intent, join func(part uint32) error) error {
	if len(i.Draws) == 0 && len(in.parts) == 0 {
		return join(0)
	}
	for k := range i.Draws {
		if part := i.Draws[k].Part; in.place(part) < 0 {
			if err := join(part); err != nil {
				return err
			}
		}
	}
	return nil
}

// note accounts for an event of a segment.
func (in *incarnation) note(seg *segment, pi int32, seq uint64, off int64) {
	in.parts[pi].lastSeq = seq
	r := seg.run(pi)
	if r.first == 0 {
		r.first = seq
	}
	r.last = seq
	if n := len(r.index); n == 0 || off-r.index[n-1].off >= indexEvery {
		r.index = append(r.index, point{seq, off})
	}
}

// isBooked says whether every partition has all of an incarnation that ended.
func (in *incarnation) isBooked() bool {
	if !in.ended {
		return false
	}
	for _, p := range in.parts {
		if p.hwm < p.closeSeq {
			return false
		}
	}
	return true
}

func (in *incarnation) passed(t time.Time) {
	if t.After(in.newest) {
		in.newest = t
	}
}

func (in *incarnation) closeFiles() error {
	var errs []error
	for _, seg := range in.segs {
		errs = append(errs, seg.f.Close())
	}
	return errors.Join(errs...)
}

// Join records that this incarnation deals with a partition, so that its end is told there. It comes
// before the first lease request to that partition, and outlives the process when it returns without
// an error. Joining again costs next to nothing.
func (s *Spool) Join(part uint32) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.live.place(part) >= 0 {
		return nil
	}
	return s.join(part)
}

func (s *Spool) join(part uint32) error {
	if part >= mostParts {
		return fault.New(fault.SpoolUnavailable, "There is no partition %d of the ledger.", part)
	}
	if err := s.admit(joinLength, 0, 1); err != nil {
		return err
	}
	in := s.live
	rec := binary.LittleEndian.AppendUint32(in.start(typeJoin, joinLength), part)
	if err := s.commit(in, rec); err != nil {
		return s.refuse(err, "The disk of this edge refused to record that it deals with partition %d of the ledger.", part)
	}
	in.join(part).lane = s.laneOf(part, false)
	return nil
}
