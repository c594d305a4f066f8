package spool_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/protobuf/proto"

	"tollgate/edge/spool"
	eventv1 "tollgate/gen/tollgate/event/v1"
	"tollgate/internal/fault"
	"tollgate/internal/lifecycle"
)

// ledger books batches as the real one does: in order, by one number per incarnation.
type ledger struct {
	t     *testing.T
	p     *spool.Publisher
	mu    sync.Mutex // guards all below
	hwm   map[int64]uint64
	log   map[int64][]*eventv1.SpendEvent
	sent  []string // message ids, in order
	order []int64  // incarnations, in the order of their first batch
	epoch int64
	// fate decides what happens to a batch; nil books everything.
	fate func(b *eventv1.SpendBatch) fate
	// known are the ids that the stream remembers: it drops what comes with one of them again. nil
	// for a stream that remembers none.
	known map[string]bool
}

type fate int

const (
	booked  fate = iota
	refused      // publishing fails
	unacked      // it is booked, and publishing fails
	lost         // published, and never seen again
	silent       // booked, and the mark is lost
)

func newLedger(t *testing.T) *ledger {
	t.Helper()
	return &ledger{t: t, hwm: map[int64]uint64{}, log: map[int64][]*eventv1.SpendEvent{}}
}

func (l *ledger) publish(_ context.Context, subject, msgID string, data []byte) error {
	var b eventv1.SpendBatch
	if err := proto.Unmarshal(data, &b); err != nil {
		l.t.Error(err)
		return err
	}
	if subject != "tollgate.v1.spend.0.e1" || b.GetEdge() != "e1" || b.GetSchema() != 1 {
		l.t.Errorf("batch %v on %s", &b, subject)
	}
	l.mu.Lock()
	f := booked
	if l.fate != nil {
		f = l.fate(&b)
	}
	if l.known[msgID] {
		f = lost
	}
	if l.known != nil {
		l.known[msgID] = true
	}
	l.sent = append(l.sent, msgID)
	if !slices.Contains(l.order, b.GetInc()) {
		l.order = append(l.order, b.GetInc())
	}
	var mark *eventv1.Mark
	if f != refused && f != lost {
		mark = l.apply(&b)
	}
	l.mu.Unlock()
	if mark != nil && f != silent {
		l.p.Mark(mark)
	}
	if f == refused || f == unacked {
		return errors.New("no answer from the stream")
	}
	return nil
}

func (l *ledger) apply(b *eventv1.SpendBatch) *eventv1.Mark {
	inc, hwm := b.GetInc(), l.hwm[b.GetInc()]
	last := b.GetFirstSeq() + uint64(len(b.GetEvents())) - 1
	switch {
	case b.GetFirstSeq() > hwm+1:
		return &eventv1.Mark{Inc: inc, Hwm: hwm, Gap: true, Epoch: l.epoch}
	case last > hwm:
		l.log[inc] = append(l.log[inc], b.GetEvents()[hwm+1-b.GetFirstSeq():]...)
		l.hwm[inc] = last
	}
	return &eventv1.Mark{Inc: inc, Hwm: l.hwm[inc], Epoch: l.epoch}
}

func (l *ledger) sentIDs() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.sent)
}

// restore puts the database back to an older state.
func (l *ledger) restore(inc int64, hwm uint64) *eventv1.Mark {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.epoch++
	l.hwm[inc], l.log[inc] = hwm, l.log[inc][:hwm]
	return &eventv1.Mark{Inc: inc, Hwm: hwm, Epoch: l.epoch}
}

// wantAll checks that the ledger has n events of inc, each once and in order.
func (l *ledger) wantAll(t *testing.T, inc int64, n int) {
	t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.log[inc]) != n {
		t.Fatalf("%d events of %d are booked, want %d", len(l.log[inc]), inc, n)
	}
	for k, e := range l.log[inc] {
		if e.GetOutcome() != eventv1.SpendOutcome_SPEND_OUTCOME_CLOSE && !proto.Equal(e, settled(anIntent(k), ok(k))) {
			t.Fatalf("event %d = %v", k+1, e)
		}
	}
}

// rig is a spool with a running publisher and a ledger, inside a bubble.
type rig struct {
	*spool.Spool
	l    *ledger
	p    *spool.Publisher
	n    int
	stop func()
}

func start(t *testing.T, dir string, l *ledger) *rig {
	t.Helper()
	s := mustOpen(t, spool.Options{Dir: dir, SegmentBytes: 1 << 20})
	r := &rig{Spool: s, l: l, p: spool.NewPublisher(s, l.publish, nil)}
	l.p = r.p
	var g lifecycle.Group
	g.Go("publisher", func(ctx context.Context) {
		if err := r.p.Run(ctx); err != nil {
			t.Error(err)
		}
	})
	r.stop = func() {
		g.Stop()
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
	return r
}

func (r *rig) add(t *testing.T, n int) {
	t.Helper()
	for range n {
		r.Settle(mustIntent(t, r.Spool, anIntent(r.n)), ok(r.n))
		r.n++
	}
}

// pass lets fake time go by.
func pass(d time.Duration) { <-time.After(d) }

// Guarantee: an event leaves within 50 ms, and what gathers meanwhile leaves with it.
func TestPublishBatches(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		r := start(t, dir, newLedger(t))
		defer r.stop()
		r.add(t, 3)
		pass(49 * time.Millisecond)
		if ids := r.l.sentIDs(); len(ids) != 0 {
			t.Errorf("sent after 49 ms: %v", ids)
		}
		pass(2 * time.Millisecond)
		synctest.Wait()
		r.l.wantAll(t, r.Inc(), 3)
		r.add(t, 2000)
		synctest.Wait() // full ones do not wait
		if ids := r.l.sentIDs(); len(ids) < 5 || len(ids) > 20 || ids[0] != fmt.Sprintf("%d:0:3", r.Inc()) {
			t.Errorf("sent %v", ids)
		}
		pass(time.Second)
		r.l.wantAll(t, r.Inc(), 2003)
		if depth, oldest := r.Depth(); depth != 0 || oldest != 0 {
			t.Errorf("depth = %d, %s", depth, oldest)
		}
	})
}

// Guarantee: a batch that cannot be published is tried again as it is, not ever more often, and
// nothing overtakes it.
func TestPublishRetries(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		l := newLedger(t)
		var down bool
		l.fate = func(*eventv1.SpendBatch) fate {
			if down {
				return refused
			}
			return booked
		}
		r := start(t, dir, l)
		defer r.stop()
		down = true
		r.add(t, 10)
		pass(time.Second)
		r.add(t, 10)
		pass(time.Minute - time.Second)
		synctest.Wait()
		ids := l.sentIDs()
		if len(slices.Compact(slices.Clone(ids))) != 1 || len(ids) < 25 || len(ids) > 40 {
			t.Errorf("%d attempts: %v", len(ids), slices.Compact(ids))
		}
		l.mu.Lock()
		down = false
		l.mu.Unlock()
		pass(3 * time.Second)
		l.wantAll(t, r.Inc(), 20)
	})
}

// Guarantee: what the stream acknowledged and lost is sent again when no mark comes for it, under
// another message id, so that the stream does not take it for a duplicate.
func TestPublishLostTail(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		l := newLedger(t)
		var wiped bool
		l.fate = func(*eventv1.SpendBatch) fate {
			if wiped {
				return lost
			}
			return booked
		}
		r := start(t, dir, l)
		defer r.stop()
		r.add(t, 100)
		pass(time.Second)
		l.mu.Lock()
		wiped = true
		l.mu.Unlock()
		r.add(t, 20_000)
		pass(time.Second)
		l.mu.Lock()
		wiped = false
		l.mu.Unlock()
		l.wantAll(t, r.Inc(), 100)
		pass(30 * time.Second)
		l.wantAll(t, r.Inc(), 20_100)
		ids := l.sentIDs()
		slices.Sort(ids)
		if len(slices.Compact(slices.Clone(ids))) != len(ids) {
			t.Error("a message id was used twice")
		}
	})
}

// Guarantee: a gap is filled at once, and one gap that is reported many times is filled once.
func TestPublishGap(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		l := newLedger(t)
		drop := 1
		l.fate = func(*eventv1.SpendBatch) fate {
			if drop--; drop == 0 {
				return lost
			}
			return booked
		}
		r := start(t, dir, l)
		defer r.stop()
		r.add(t, 10)
		pass(100 * time.Millisecond)
		r.add(t, 1000)
		pass(100 * time.Millisecond)
		l.wantAll(t, r.Inc(), 1010)
		before := len(l.sentIDs())
		for range 100 {
			r.p.Mark(&eventv1.Mark{Inc: r.Inc(), Hwm: 10, Gap: true})
			synctest.Wait()
		}
		pass(100 * time.Millisecond)
		if n := len(l.sentIDs()) - before; n > 5 {
			t.Errorf("%d batches were sent for one gap", n)
		}
	})
}

// Guarantee: a restored database gets what it lost; a late mark of the old one changes nothing.
func TestPublishRestoredDatabase(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		l := newLedger(t)
		r := start(t, dir, l)
		defer r.stop()
		r.add(t, 1000)
		pass(time.Second)
		before := len(l.sentIDs())
		r.p.Mark(&eventv1.Mark{Inc: r.Inc(), Hwm: 400}) // late, same epoch
		pass(10 * time.Second)
		if n := len(l.sentIDs()); n != before {
			t.Errorf("%d batches for an old mark", n-before)
		}
		r.p.Mark(l.restore(r.Inc(), 400))
		if depth, _ := r.Depth(); depth != 600 {
			t.Errorf("depth = %d", depth)
		}
		r.p.Mark(&eventv1.Mark{Inc: r.Inc(), Hwm: 1000}) // of the old epoch
		pass(time.Second)
		l.wantAll(t, r.Inc(), 1000)
		if depth, _ := r.Depth(); depth != 0 {
			t.Errorf("depth = %d", depth)
		}
	})
}

// Guarantee: while the ledger is away new events reach the stream, and hardly anything is sent twice.
func TestPublishLedgerAway(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		l := newLedger(t)
		l.fate = func(*eventv1.SpendBatch) fate { return silent }
		r := start(t, dir, l)
		defer r.stop()
		for range 60 {
			r.add(t, 400)
			pass(time.Minute)
		}
		l.wantAll(t, r.Inc(), 24_000)
		if n := len(l.sentIDs()); n > 60*3+60+10 {
			t.Errorf("%d batches sent", n)
		}
		r.p.Mark(&eventv1.Mark{Inc: r.Inc(), Hwm: 24_000})
		before := len(l.sentIDs())
		pass(time.Hour)
		if n := len(l.sentIDs()); n != before {
			t.Errorf("%d batches sent with nothing to send", n-before)
		}
	})
}

// Guarantee: an acknowledgement that is lost while the mark arrives ends the retries.
func TestPublishUnacknowledged(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		l := newLedger(t)
		l.fate = func(*eventv1.SpendBatch) fate { return unacked }
		r := start(t, dir, l)
		defer r.stop()
		r.add(t, 10)
		pass(time.Minute)
		l.wantAll(t, r.Inc(), 10)
		if ids := l.sentIDs(); len(ids) != 1 {
			t.Errorf("sent %v", ids)
		}
	})
}

// Guarantee: a graceful stop charges what is still in flight, closes the incarnation and returns when
// the ledger has all of it; nothing is admitted afterwards.
func TestDrain(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		l := newLedger(t)
		r := start(t, dir, l)
		defer r.stop()
		r.add(t, 10)
		late := mustIntent(t, r.Spool, anIntent(99))
		if err := r.p.Drain(t.Context()); err != nil {
			t.Fatal(err)
		}
		r.Settle(late, ok(99))
		log := l.log[r.Inc()]
		if len(log) != 12 || !proto.Equal(log[10], abandoned(anIntent(99))) || log[11].GetOutcome() != eventv1.SpendOutcome_SPEND_OUTCOME_CLOSE {
			t.Errorf("log ends with %v", log[10:])
		}
		if _, err := r.Intent(anIntent(1)); !errors.Is(err, fault.New(fault.ShuttingDown, "")) {
			t.Errorf("intent after drain: %v", err)
		}
	})
}

// Guarantee: a stop does not wait for a ledger that is away longer than it is told to.
func TestDrainIsBounded(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		l := newLedger(t)
		l.fate = func(*eventv1.SpendBatch) fate { return refused }
		r := start(t, dir, l)
		defer r.stop()
		r.add(t, 1)
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		if err := r.p.Drain(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Drain = %v", err)
		}
	})
}

// Guarantee: old incarnations are published oldest first and under their own number, beside the live
// one, and are done with after a stop in the middle.
func TestPublishOldIncarnations(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		l := newLedger(t)
		var incs []int64
		for range 3 {
			s := mustOpen(t, spool.Options{Dir: dir})
			for n := range 700 {
				s.Settle(mustIntent(t, s, anIntent(n)), ok(n))
			}
			incs = append(incs, s.Inc())
			s.Crash()
			pass(time.Second)
		}
		r := start(t, dir, l)
		r.add(t, 10)
		pass(time.Second)
		for _, inc := range incs {
			l.wantAll(t, inc, 701)
		}
		l.wantAll(t, r.Inc(), 10)
		if old := slices.DeleteFunc(slices.Clone(l.order), func(inc int64) bool { return inc == r.Inc() }); !slices.Equal(old, incs) {
			t.Errorf("order = %v, want %v", old, incs)
		}
		pass(spool.DefaultLinger + 2*time.Second)
		if left := r.Old(); len(left) != 3 {
			t.Errorf("left before the ledger has told again = %v", left)
		}
		for _, state := range r.States(0) {
			r.p.Mark(&eventv1.Mark{Inc: state.GetInc(), Hwm: l.hwm[state.GetInc()]})
		}
		pass(2 * time.Second)
		if left := r.Old(); len(left) != 0 {
			t.Errorf("left = %v", left)
		}
		r.stop()
	})
}

// Guarantee: whatever is refused, lost, reported late or restored, in the end every event is booked
// exactly once and in order.
func TestPublishChaos(t *testing.T) {
	t.Parallel()
	for seed := range uint64(6) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			synctest.Test(t, func(t *testing.T) { chaos(t, dir, rand.New(rand.NewPCG(seed, 1))) })
		})
	}
}

func chaos(t *testing.T, dir string, random *rand.Rand) {
	t.Helper()
	l := newLedger(t)
	calm := false
	l.fate = func(*eventv1.SpendBatch) fate {
		if calm {
			return booked
		}
		return fate(random.IntN(5))
	}
	want := map[int64]int{}
	var r *rig
	for range 4 {
		r = start(t, dir, l)
		for range 10 {
			l.mu.Lock()
			n, rest := random.IntN(1000), time.Duration(random.IntN(8000))*time.Millisecond
			restore := random.IntN(5) == 0
			l.mu.Unlock()
			r.add(t, n)
			pass(rest)
			if restore {
				l.mu.Lock()
				hwm := l.hwm[r.Inc()]
				to := hwm - min(hwm, random.Uint64N(1500))
				l.mu.Unlock()
				r.p.Mark(l.restore(r.Inc(), to))
			}
		}
		want[r.Inc()] = r.n
		r.stop()
	}
	r = start(t, dir, l)
	l.mu.Lock()
	calm = true
	l.mu.Unlock()
	pass(5 * time.Minute)
	for inc, n := range want {
		l.wantAll(t, inc, n+1)
	}
	r.stop()
}

// Guarantee: a batch is the encoding of its message.
func TestBatchEncoding(t *testing.T) {
	t.Parallel()
	s := mustOpen(t, spool.Options{Dir: t.TempDir()})
	defer s.Crash()
	for n := range 5 {
		s.Settle(mustIntent(t, s, anIntent(n)), ok(n))
	}
	got, err := s.Batch(s.Inc(), 2)
	if err != nil {
		t.Fatal(err)
	}
	var b eventv1.SpendBatch
	if err := proto.Unmarshal(got, &b); err != nil {
		t.Fatal(err)
	}
	want, err := proto.MarshalOptions{Deterministic: true}.Marshal(&b)
	if err != nil || !bytes.Equal(got, want) || len(b.GetEvents()) != 4 {
		t.Errorf("batch %x\nwant %x (%v)", got, want, err)
	}
}
