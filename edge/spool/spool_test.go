package spool_test

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	diff "github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"

	"tollgate/edge/spool"
	eventv1 "tollgate/gen/tollgate/event/v1"
	"tollgate/internal/contract"
	"tollgate/internal/id"
	"tollgate/internal/money"
)

// tester is a test or a run of a property.
type tester interface {
	Helper()
	Fatal(args ...any)
	Fatalf(format string, args ...any)
}

func mustOpen(t tester, o spool.Options) *spool.Spool {
	t.Helper()
	if o.Edge == "" {
		o.Edge = "e1"
	}
	s, err := spool.Open(o)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func anIntent(n int) *spool.Intent {
	return &spool.Intent{
		Request: id.Bytes{15: byte(n), 14: byte(n >> 8), 13: byte(n >> 16), 12: byte(n >> 24)}, Attempt: 1,
		At: time.UnixMilli(1_700_000_000_000 + int64(n)), KeyID: "key_01", EndpointID: "ep_01", PriceVersion: 7,
		Team: "red", Customer: "acme", Tags: []string{"a", "b"}, Model: "small", Deployment: "small/one", Amount: money.Nanos(1000 + n),
		Draws: []contract.Draw{{Window: contract.Window{Account: 5, Gen: 1, Start: 1_700_000_000}}, {Window: contract.Window{Account: 6}}},
	}
}

// settled is the event that settles i, for the partition that keeps the record.
func settled(i *spool.Intent, end *spool.Settlement) *eventv1.SpendEvent {
	e := &eventv1.SpendEvent{
		RequestId: i.Request[:], Attempt: i.Attempt, UnixMs: end.At.UnixMilli(), KeyId: i.KeyID, EndpointId: i.EndpointID,
		Status: uint32(end.Status), Outcome: end.Outcome, PriceVersion: i.PriceVersion, CostNanos: int64(end.Cost),
		DurationUs: end.Duration.Microseconds(), Team: i.Team, Customer: i.Customer, Tags: i.Tags, Model: cmp.Or(end.Model, i.Model), Deployment: i.Deployment,
		ReservedNanos: int64(i.Amount), Units: end.Units, Unpriced: end.Unpriced, Meter: end.Meter, Counts: end.Counts, Job: jobEvent(end.Job),
	}
	for _, d := range i.Draws {
		e.Draws = append(e.Draws, &eventv1.SpendDraw{Window: d.Window.ToProto(), Nanos: int64(end.Cost), Part: d.Part})
	}
	return e
}

// shared is what another partition gets of it.
func shared(i *spool.Intent, end *spool.Settlement, part uint32) *eventv1.SpendEvent {
	e := &eventv1.SpendEvent{RequestId: i.Request[:], Attempt: i.Attempt, UnixMs: end.At.UnixMilli(), Outcome: end.Outcome, DrawsOnly: true}
	for _, d := range settled(i, end).GetDraws() {
		if d.GetPart() == part {
			e.Draws = append(e.Draws, d)
		}
	}
	return e
}

func abandoned(i *spool.Intent) *eventv1.SpendEvent { return settled(i, abandonment(i)) }

func abandonment(i *spool.Intent) *spool.Settlement {
	return &spool.Settlement{At: i.At, Outcome: eventv1.SpendOutcome_SPEND_OUTCOME_ABANDONED, Cost: i.Amount}
}

func ok(n int) *spool.Settlement {
	return &spool.Settlement{
		At: time.UnixMilli(1_700_000_100_000 + int64(n)), Status: 200, Outcome: eventv1.SpendOutcome_SPEND_OUTCOME_OK,
		Cost: money.Nanos(1000 + n), Duration: 1500 * time.Microsecond, Units: int64(n), Unpriced: n%2 > 0, Model: "large",
	}
}

// events reads all events of an incarnation for partition 0.
func events(t tester, s *spool.Spool, inc int64, from uint64) []*eventv1.SpendEvent {
	t.Helper()
	return eventsOf(t, s, inc, 0, from)
}

// eventsOf reads all events of an incarnation for a partition and checks that batches join without a hole.
func eventsOf(t tester, s *spool.Spool, inc int64, part uint32, from uint64) []*eventv1.SpendEvent {
	t.Helper()
	var all []*eventv1.SpendEvent
	for last := s.Parts()[inc][part]; from <= last; {
		data, err := s.BatchOf(inc, part, from)
		if err != nil {
			t.Fatalf("partition %d, event %d of %d: %v", part, from, last, err)
		}
		var b eventv1.SpendBatch
		if err := proto.Unmarshal(data, &b); err != nil {
			t.Fatal(err)
		}
		n := len(b.GetEvents())
		if b.GetInc() != inc || b.GetPart() != part || b.GetFirstSeq() != from || n == 0 || n > 500 || n > 1 && len(data) > 64<<10 {
			t.Fatalf("batch of %d/%d at %d has %d events in %d bytes, wanted from %d", b.GetInc(), b.GetPart(), b.GetFirstSeq(), n, len(data), from)
		}
		all = append(all, b.GetEvents()...)
		from += uint64(n)
	}
	return all
}

func mustIntent(t tester, s *spool.Spool, i *spool.Intent) spool.Ticket {
	t.Helper()
	ticket, err := s.Intent(i)
	if err != nil {
		t.Fatal(err)
	}
	return ticket
}

func diffEvents(t tester, got, want []*eventv1.SpendEvent) {
	t.Helper()
	if d := diff.Diff(want, got, protocmp.Transform()); d != "" {
		t.Fatalf("events (-want +got):\n%s", d)
	}
}

// Guarantee: events get consecutive numbers from 1 in the order of settling, whatever the order of
// admission, and a second settlement of a ticket does nothing.
func TestSettleOnce(t *testing.T) {
	t.Parallel()
	s := mustOpen(t, spool.Options{Dir: t.TempDir()})
	defer s.Crash()
	a, b := mustIntent(t, s, anIntent(1)), mustIntent(t, s, anIntent(2))
	s.Settle(b, ok(2))
	s.Settle(b, ok(9))
	c := mustIntent(t, s, anIntent(3)) // takes the place of b in memory
	s.Settle(b, ok(9))
	s.Settle(a, ok(1))
	s.Settle(c, ok(3))
	s.Settle(spool.Ticket{}, ok(9))
	diffEvents(t, events(t, s, s.Inc(), 1), []*eventv1.SpendEvent{
		settled(anIntent(2), ok(2)), settled(anIntent(1), ok(1)), settled(anIntent(3), ok(3)),
	})
}

// Guarantee: many goroutines at once leave one event for each intent.
func TestConcurrent(t *testing.T) {
	t.Parallel()
	s := mustOpen(t, spool.Options{Dir: t.TempDir(), SegmentBytes: 64 << 10})
	defer s.Crash()
	var wg sync.WaitGroup
	for g := range 8 {
		wg.Go(func() {
			for n := range 200 {
				ticket, err := s.Intent(anIntent(g*1000 + n))
				if err != nil {
					t.Error(err)
					return
				}
				s.Settle(ticket, ok(g*1000+n))
				s.Depth()
			}
		})
	}
	wg.Wait()
	seen := map[string]bool{}
	for _, e := range events(t, s, s.Inc(), 1) {
		seen[string(e.GetRequestId())] = true
	}
	if len(seen) != 1600 {
		t.Errorf("%d requests, want 1600", len(seen))
	}
	if depth, _ := s.Depth(); depth != 1600 {
		t.Errorf("depth = %d", depth)
	}
}

// Guarantee: two processes cannot use one spool, and the second is told why.
func TestLocked(t *testing.T) {
	t.Parallel()
	o := spool.Options{Dir: t.TempDir(), Edge: "e1"}
	s := mustOpen(t, o)
	if _, err := spool.Open(o); err == nil || !strings.Contains(err.Error(), "another process") {
		t.Errorf("second Open = %v", err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := mustOpen(t, o).Close(); err != nil {
		t.Fatal(err)
	}
}

// Guarantee: what is in doubt at a crash is charged at its reserved amount, in the order of
// admission, then the incarnation is closed.
func TestRecovery(t *testing.T) {
	t.Parallel()
	o := spool.Options{Dir: t.TempDir()}
	s := mustOpen(t, o)
	inc := s.Inc()
	mustIntent(t, s, anIntent(1))
	b := mustIntent(t, s, anIntent(2))
	mustIntent(t, s, anIntent(3))
	s.Settle(b, ok(2))
	s.Crash()

	s = mustOpen(t, o)
	defer s.Crash()
	got := events(t, s, inc, 1)
	diffEvents(t, got[:3], []*eventv1.SpendEvent{settled(anIntent(2), ok(2)), abandoned(anIntent(1)), abandoned(anIntent(3))})
	if len(got) != 4 || got[3].GetOutcome() != eventv1.SpendOutcome_SPEND_OUTCOME_CLOSE {
		t.Errorf("end = %v", got[3:])
	}
	if s.Inc() <= inc {
		t.Errorf("incarnation %d after %d", s.Inc(), inc)
	}
	if depth, _ := s.Depth(); depth != 4 {
		t.Errorf("depth = %d", depth)
	}
}

// Guarantee: an incarnation that joined a partition is closed there, whatever else it recorded, because
// the ledger may have lent it money. One that has recorded nothing is closed if it may be of a release
// that joined nothing, and leaves nothing behind if it was stopped.
func TestRecoveryOfNothing(t *testing.T) {
	t.Parallel()
	o := spool.Options{Dir: t.TempDir()}
	s := mustOpen(t, o)
	stopped := s.Inc()
	s.Crash()
	s = mustOpen(t, o)
	joined := s.Inc()
	for range 2 {
		if err := errors.Join(s.Join(3), s.Join(0)); err != nil {
			t.Fatal(err)
		}
	}
	s.Crash()
	if err := os.Mkdir(filepath.Join(o.Dir, "12345"), 0o700); err != nil {
		t.Fatal(err)
	}
	s = mustOpen(t, o)
	defer s.Crash()
	parts := s.Parts()
	if _, there := parts[stopped]; there || len(parts) != 3 {
		t.Errorf("incarnations = %v", parts)
	}
	for _, at := range []struct {
		inc  int64
		part uint32
	}{{joined, 0}, {joined, 3}, {12345, 0}} {
		if got := eventsOf(t, s, at.inc, at.part, 1); len(got) != 1 || got[0].GetOutcome() != eventv1.SpendOutcome_SPEND_OUTCOME_CLOSE {
			t.Errorf("events of %d for %d = %v", at.inc, at.part, got)
		}
	}
	if got := s.States(3); len(got) != 1 || got[0].GetInc() != joined || got[0].GetLastSeq() != 1 || got[0].GetHwm() != 0 {
		t.Errorf("States = %v", got)
	}
}

// Guarantee: a recovery that is killed between any two records and done again comes to the same
// events with the same numbers.
func TestRecoveryKilledAnywhere(t *testing.T) {
	t.Parallel()
	o := spool.Options{Dir: t.TempDir()}
	s := mustOpen(t, o)
	inc := s.Inc()
	for n := range 6 {
		ticket := mustIntent(t, s, anIntent(n))
		if n%2 == 0 {
			s.Settle(ticket, ok(n))
		}
	}
	s.Crash()
	path := filepath.Join(o.Dir, spool.Dir(inc), "0000000000000001.seg")
	before, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	s = mustOpen(t, o)
	want := events(t, s, inc, 1)
	s.Crash()
	after, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	ends, err := spool.Boundaries(after, inc)
	if err != nil {
		t.Fatal(err)
	}
	for cut := int64(len(before)); cut <= int64(len(after)); cut++ {
		if !slices.Contains(ends, cut) && cut%7 > 0 { // every boundary, and some places between
			continue
		}
		again := spool.Options{Dir: t.TempDir()}
		dir := filepath.Join(again.Dir, spool.Dir(inc))
		if err := errors.Join(os.Mkdir(dir, 0o700), os.WriteFile(filepath.Join(dir, filepath.Base(path)), after[:cut], 0o600)); err != nil {
			t.Fatal(err)
		}
		s := mustOpen(t, again)
		diffEvents(t, events(t, s, inc, 1), want)
		s.Crash()
	}
}

// Guarantee: a stream of hours does not keep the segments written since, survives a crash after its
// first records are gone, and is still charged once and what was held for it at last.
func TestCarry(t *testing.T) {
	t.Parallel()
	now := time.Now()
	o := spool.Options{Dir: t.TempDir(), SegmentBytes: 16 << 10, Now: func() time.Time { return now }}
	s := mustOpen(t, o)
	inc := s.Inc()
	p := spool.NewPublisher(s, nil, nil)
	long := anIntent(0)
	ticket := mustIntent(t, s, long)
	long.Amount = 9000
	if err := s.Partial(ticket, long.Amount, 10); err != nil {
		t.Fatal(err)
	}
	for n := 1; n < 500; n++ {
		s.Settle(mustIntent(t, s, anIntent(n)), ok(n))
		if n%50 == 0 {
			p.Mark(&eventv1.Mark{Inc: inc, Hwm: uint64(n)})
			s.Tidy()
			now = now.Add(5 * time.Minute)
		}
	}
	if got := s.Segments(); got > 16 {
		t.Errorf("%d segments are kept", got)
	}
	s.Crash()
	s = mustOpen(t, o)
	defer s.Crash()
	got := events(t, s, inc, 450)
	diffEvents(t, got[len(got)-2:len(got)-1], []*eventv1.SpendEvent{abandoned(long)})
	if last := s.Incarnations()[inc]; last != 501 {
		t.Errorf("last event = %d, want 499 settled, 1 abandoned and CLOSE", last)
	}
}

// Guarantee: a segment stays until every partition has booked its events in it, also when the database
// of one takes back what it had booked.
func TestSegmentsWaitForEveryPartition(t *testing.T) {
	t.Parallel()
	now := time.Now()
	s := mustOpen(t, spool.Options{Dir: t.TempDir(), SegmentBytes: 16 << 10, Now: func() time.Time { return now }})
	defer s.Crash()
	p := spool.NewPublisher(s, nil, nil)
	for n := range 200 {
		i := anIntent(n)
		i.Draws[1].Part = 1
		s.Settle(mustIntent(t, s, i), ok(n))
	}
	all := s.Segments()
	told := map[uint32]*eventv1.Mark{}
	linger := func(part uint32, hwm uint64, epoch int64) {
		told[part] = &eventv1.Mark{Inc: s.Inc(), Part: part, Hwm: hwm, Epoch: epoch}
		p.Mark(told[part])
		s.Tidy()
		now = now.Add(spool.DefaultLinger + time.Second)
		for _, mark := range told {
			p.Mark(mark)
		}
		s.Tidy()
	}
	for _, step := range []struct {
		part       uint32
		hwm        uint64
		epoch      int64
		everything bool
	}{{0, 200, 1, true}, {1, 1, 1, true}, {0, 1, 2, true}, {1, 200, 1, true}, {0, 200, 2, false}} {
		linger(step.part, step.hwm, step.epoch)
		if kept := s.Segments() == all; kept != step.everything {
			t.Fatalf("%d of %d segments are left after %+v", s.Segments(), all, step)
		}
	}
	if s.Segments() != 1 {
		t.Errorf("%d segments are left of %d", s.Segments(), all)
	}
}

// Guarantee: an intent that was copied gives back what it reserved for that.
func TestCarryGivesBack(t *testing.T) {
	t.Parallel()
	s := mustOpen(t, spool.Options{Dir: t.TempDir(), SegmentBytes: 16 << 10})
	defer s.Crash()
	long := mustIntent(t, s, anIntent(0))
	for n := 1; s.Segments() < 2; n++ {
		s.Settle(mustIntent(t, s, anIntent(n)), ok(n))
	}
	spool.NewPublisher(s, nil, nil).Mark(&eventv1.Mark{Inc: s.Inc(), Hwm: s.Incarnations()[s.Inc()]})
	s.Tidy()
	s.Settle(long, ok(0))
	if here, all := s.Reserved(); here != 0 || all != 0 {
		t.Errorf("nothing is open, and %d bytes are reserved here, %d in all", here, all)
	}
}

// Guarantee: a drained incarnation is removed when its CLOSE is booked and the ledger has told so again
// after the linger, and half a removal does not bring it back.
func TestRemoval(t *testing.T) {
	t.Parallel()
	now := time.Now()
	o := spool.Options{Dir: t.TempDir(), Now: func() time.Time { return now }}
	s := mustOpen(t, o)
	inc := s.Inc()
	s.Settle(mustIntent(t, s, anIntent(1)), ok(1))
	s.Crash()
	if err := os.MkdirAll(filepath.Join(o.Dir, "12345.gone", "x"), 0o700); err != nil {
		t.Fatal(err)
	}
	s = mustOpen(t, o)
	defer s.Crash()
	p := spool.NewPublisher(s, nil, nil)
	steps := []struct {
		mark *eventv1.Mark
		pass time.Duration
		want int
	}{
		{&eventv1.Mark{Inc: inc, Hwm: 1}, time.Hour, 1},
		{&eventv1.Mark{Inc: inc, Hwm: 2, Part: 1}, time.Hour, 1},
		{&eventv1.Mark{Inc: inc, Hwm: 2}, time.Minute, 1},
		{&eventv1.Mark{Inc: inc, Hwm: 1, Epoch: 1}, time.Hour, 1}, // the database was restored
		{&eventv1.Mark{Inc: inc, Hwm: 2, Epoch: 0}, time.Hour, 1}, // the old one, late
		{&eventv1.Mark{Inc: inc, Hwm: 2, Epoch: 1}, 9 * time.Minute, 1},
		{&eventv1.Mark{Inc: inc, Hwm: 2, Epoch: 1}, time.Hour, 1}, // no mark after the linger
		{&eventv1.Mark{Inc: inc, Hwm: 1, Epoch: 1}, 0, 1},         // a late one
		{&eventv1.Mark{Inc: inc, Hwm: 2, Epoch: 1}, 0, 0},
	}
	for k, step := range steps {
		p.Mark(step.mark)
		now = now.Add(step.pass)
		s.Tidy()
		if got := len(s.Old()); got != step.want {
			t.Fatalf("step %d: %d old incarnations, want %d", k, got, step.want)
		}
	}
	left, err := filepath.Glob(filepath.Join(o.Dir, "*"))
	if err != nil || len(left) != 2 {
		t.Errorf("left = %v, want the lock and the live directory", left)
	}
}

// Guarantee: the age of the oldest event that is not booked is known, also after a restart.
func TestDepth(t *testing.T) {
	t.Parallel()
	now := time.UnixMilli(1_700_000_000_000)
	o := spool.Options{Dir: t.TempDir(), Now: func() time.Time { return now }}
	s := mustOpen(t, o)
	inc := s.Inc()
	for n := range 3 {
		s.Settle(mustIntent(t, s, anIntent(n)), &spool.Settlement{})
		now = now.Add(time.Minute)
	}
	want := func(events int64, oldest time.Duration) {
		t.Helper()
		if n, age := s.Depth(); n != events || age != oldest {
			t.Errorf("depth = %d, %s, want %d, %s", n, age, events, oldest)
		}
	}
	want(3, 3*time.Minute)
	spool.NewPublisher(s, nil, nil).Mark(&eventv1.Mark{Inc: inc, Hwm: 2})
	want(1, time.Minute)
	s.Crash()
	s = mustOpen(t, o)
	defer s.Crash()
	want(4, 3*time.Minute)
	spool.NewPublisher(s, nil, nil).Mark(&eventv1.Mark{Inc: inc, Hwm: 4})
	want(0, 0)
}

func ExampleSpool() {
	dir, _ := os.MkdirTemp("", "spool")
	defer func() { _ = os.RemoveAll(dir) }()
	s, err := spool.Open(spool.Options{Dir: dir, Edge: "fra-1"})
	if err != nil {
		return
	}
	defer func() { _ = s.Close() }()
	ticket, err := s.Intent(&spool.Intent{Request: id.NewBytes(), Attempt: 1, At: time.Now(), Amount: money.Dollar})
	if err != nil {
		return // answer with err, forward nothing
	}
	s.Settle(ticket, &spool.Settlement{Status: 200, Outcome: eventv1.SpendOutcome_SPEND_OUTCOME_OK, Cost: money.Dollar})
	events, _ := s.Depth()
	fmt.Println(events)
	// Output: 1
}
