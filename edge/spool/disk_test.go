package spool_test

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"google.golang.org/protobuf/proto"

	"tollgate/edge/spool"
	eventv1 "tollgate/gen/tollgate/event/v1"
	"tollgate/internal/fault"
)

// badFile fails when its budget of writes is used up.
type badFile struct {
	spool.OSFile
	budget *int // negative: no end
	share  int  // percent of the bytes that arrive all the same
}

func (f badFile) WriteAt(b []byte, off int64) (int, error) {
	if *f.budget == 0 {
		n, _ := f.OSFile.WriteAt(b[:len(b)*f.share/100], off)
		return n, errors.New("input/output error")
	}
	*f.budget--
	return f.OSFile.WriteAt(b, off)
}

func (f badFile) Truncate(size int64) error {
	if *f.budget == 0 && f.share == 0 {
		return errors.New("input/output error")
	}
	return f.OSFile.Truncate(size)
}

func openBad(t *testing.T, dir string, budget *int, share int) *spool.Spool {
	t.Helper()
	return mustOpen(t, spool.Options{Storage: spool.WrittenWith(dir, func(f spool.OSFile) spool.OSFile { return badFile{f, budget, share} })})
}

// Guarantee: a settlement that the disk refuses is kept and written later, once and in order;
// meanwhile nothing is admitted.
func TestDiskError(t *testing.T) {
	t.Parallel()
	o := spool.Options{Dir: t.TempDir()}
	budget := -1
	s := openBad(t, o.Dir, &budget, 50)
	inc := s.Inc()
	var tickets []spool.Ticket
	var want []*eventv1.SpendEvent
	for n := range 4 {
		tickets = append(tickets, mustIntent(t, s, anIntent(n)))
		want = append(want, settled(anIntent(n), ok(n)))
	}
	s.Settle(tickets[0], ok(0))
	budget = 0
	if _, err := s.Intent(anIntent(9)); !errors.Is(err, fault.New(fault.SpoolUnavailable, "")) {
		t.Errorf("intent on a bad disk: %v", err)
	}
	s.Settle(tickets[1], ok(1))
	s.Tidy()
	budget = -1
	s.Settle(tickets[2], ok(2)) // waits behind the one before
	if _, err := s.Intent(anIntent(9)); !errors.Is(err, fault.New(fault.SpoolUnavailable, "")) || s.Err() == nil {
		t.Errorf("intent while settlements wait: %v", err)
	}
	if depth, _ := s.Depth(); depth != 3 {
		t.Errorf("depth = %d", depth)
	}
	s.Tidy()
	s.Settle(tickets[3], ok(3))
	if s.Err() != nil {
		t.Error(s.Err())
	}
	diffEvents(t, events(t, s, inc, 1), want)
	s.Crash()
	s = mustOpen(t, o)
	defer s.Crash()
	diffEvents(t, events(t, s, inc, 1)[:4], want)
}

// Guarantee: an old incarnation that cannot be recovered keeps nobody from starting, and is recovered
// when the disk permits.
func TestRecoveryIsTriedAgain(t *testing.T) {
	t.Parallel()
	o := spool.Options{Dir: t.TempDir(), Edge: "e1"}
	s := mustOpen(t, o)
	inc := s.Inc()
	mustIntent(t, s, anIntent(1))
	s.Crash()
	budget := 0
	s = openBad(t, o.Dir, &budget, 50)
	defer s.Crash()
	if s.Tidy(); len(s.Old()) != 0 {
		t.Error("recovered on a bad disk")
	}
	budget = -1
	s.Tidy()
	s.Settle(mustIntent(t, s, anIntent(2)), ok(2))
	if got := events(t, s, inc, 1); len(got) != 2 || !proto.Equal(got[0], abandoned(anIntent(1))) {
		t.Errorf("events = %v", got)
	}
}

// Guarantee: a damaged segment costs what it held and nothing behind it: the numbers go on, and the
// incarnation comes to its end.
func TestRecoveryBridgesDamage(t *testing.T) {
	t.Parallel()
	o := spool.Options{Dir: t.TempDir(), SegmentBytes: 16 << 10}
	s := mustOpen(t, o)
	inc := s.Inc()
	for n := range 100 {
		s.Settle(mustIntent(t, s, anIntent(n)), ok(n))
	}
	want := events(t, s, inc, 1)
	s.Crash()
	path := filepath.Join(o.Dir, spool.Dir(inc), "0000000000000002.seg")
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for k := range 2 << 10 {
		data[len(data)/2+k] ^= byte(k) | 1
	}
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	s = mustOpen(t, o)
	defer s.Crash()
	got := events(t, s, inc, 1)
	lost := 0
	for k, e := range got[:100] {
		if e.GetCostNanos() == 0 && e.GetKeyId() == "" {
			lost++
		} else if !proto.Equal(e, want[k]) {
			t.Fatalf("event %d = %v", k+1, e)
		}
	}
	if lost == 0 || lost > 8 || got[len(got)-1].GetOutcome() != eventv1.SpendOutcome_SPEND_OUTCOME_CLOSE {
		t.Errorf("%d events lost; the last is %v", lost, got[len(got)-1])
	}
}

// Guarantee: a full spool refuses intents, settles those it has, and admits again when the ledger
// has booked, before the linger is over.
func TestFull(t *testing.T) {
	t.Parallel()
	o := spool.Options{Dir: t.TempDir(), MaxBytes: 64 << 10}
	s := mustOpen(t, o)
	defer s.Crash()
	p := spool.NewPublisher(s, nil, nil)
	long := mustIntent(t, s, anIntent(0)) // stays open all the time
	var last []spool.Ticket
	n := 1
	fill := func() {
		for {
			ticket, err := s.Intent(anIntent(n))
			if err != nil {
				if !errors.Is(err, fault.New(fault.SpoolUnavailable, "")) {
					t.Fatal(err)
				}
				break
			}
			n++
			if last = append(last, ticket); len(last) > 10 {
				s.Settle(last[0], ok(n))
				last = last[1:]
			}
		}
		for _, ticket := range last {
			s.Settle(ticket, ok(n))
		}
		last = nil
		if s.Used() > o.MaxBytes {
			t.Errorf("%d bytes used of %d", s.Used(), o.MaxBytes)
		}
	}
	fill()
	admitted := n
	for k := range 6 {
		p.Mark(&eventv1.Mark{Inc: s.Inc(), Hwm: s.Incarnations()[s.Inc()]})
		if k%2 > 0 {
			s.Tidy()
		}
		fill()
		if n < admitted+20 {
			t.Fatalf("%d admitted after all was booked, %d before", n, admitted)
		}
		admitted = n
	}
	s.Settle(long, ok(0))
	if here, all := s.Reserved(); here != 0 || all != 0 {
		t.Errorf("nothing is open, and %d bytes are reserved here, %d in all", here, all)
	}
	from := s.Incarnations()[s.Inc()]
	diffEvents(t, events(t, s, s.Inc(), from), []*eventv1.SpendEvent{settled(anIntent(0), ok(0))})
}

// Guarantee: an intent that was refused is not found by a recovery, not even if all of its record
// reached the disk.
func TestRefusedIntentIsNotCharged(t *testing.T) {
	t.Parallel()
	o := spool.Options{Dir: t.TempDir()}
	budget := -1
	s := openBad(t, o.Dir, &budget, 100)
	inc := s.Inc()
	s.Settle(mustIntent(t, s, anIntent(1)), ok(1))
	budget = 0
	if _, err := s.Intent(anIntent(2)); err == nil {
		t.Fatal("admitted on a bad disk")
	}
	s.Crash()
	s = mustOpen(t, o)
	defer s.Crash()
	if got := events(t, s, inc, 1); len(got) != 2 {
		t.Errorf("events = %v", got)
	}
}

// Guarantee: a damaged record costs itself and nothing behind it: what comes after it in the same
// segment keeps its numbers, its number is published as lost, and what it settled is charged as
// abandoned. A recovery that is cut short and done again comes to the same.
func TestRecoveryPassesDamage(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := mustOpen(t, spool.Options{Storage: spool.Written(dir)})
	inc := s.Inc()
	var tickets []spool.Ticket
	for n := range 5 {
		tickets = append(tickets, mustIntent(t, s, anIntent(n)))
	}
	path := filepath.Join(dir, spool.Dir(inc), "0000000000000001.seg")
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	var want []*eventv1.SpendEvent
	for n, ticket := range tickets {
		s.Settle(ticket, ok(n))
		want = append(want, settled(anIntent(n), ok(n)))
	}
	s.Crash()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	data[info.Size()+20] ^= 1
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	for budget := range 3 {
		openBad(t, dir, &budget, 0).Crash()
	}
	s = mustOpen(t, spool.Options{Dir: dir})
	defer s.Crash()
	got := events(t, s, inc, 1)
	if lost := got[0]; lost.GetCostNanos() != 0 || lost.GetKeyId() != "" || len(lost.GetDraws()) != 0 {
		t.Errorf("the lost event is %v", lost)
	}
	diffEvents(t, got[1:6], append(want[1:], abandoned(anIntent(0))))
	if len(got) != 7 || got[6].GetOutcome() != eventv1.SpendOutcome_SPEND_OUTCOME_CLOSE {
		t.Errorf("%d events, the last is %v", len(got), got[len(got)-1])
	}
}

// Guarantee: a settlement that is on disk twice, because the disk reported an error and kept it, is
// one event.
func TestRecoveryOfDoubles(t *testing.T) {
	t.Parallel()
	const inc = int64(1_700_000_000_000 << 20)
	data := spool.SegmentHeader(inc, map[uint32]uint64{0: 0})
	for _, seq := range []uint64{1, 2, 3, 2, 1} {
		data = append(data, spool.SettleRecord(inc, seq, anIntent(int(seq)), ok(int(seq)), map[uint32]uint64{0: seq})...)
	}
	o := spool.Options{Dir: t.TempDir()}
	dir := filepath.Join(o.Dir, spool.Dir(inc))
	if err := errors.Join(os.Mkdir(dir, 0o700), os.WriteFile(filepath.Join(dir, "0000000000000001.seg"), data, 0o600)); err != nil {
		t.Fatal(err)
	}
	s := mustOpen(t, o)
	defer s.Crash()
	if got := events(t, s, inc, 1); len(got) != 4 || got[3].GetOutcome() != eventv1.SpendOutcome_SPEND_OUTCOME_CLOSE {
		t.Errorf("events = %v", got)
	}
}
