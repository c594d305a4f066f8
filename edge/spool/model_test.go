package spool_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"pgregory.net/rapid"

	"tollgate/edge/spool"
	eventv1 "tollgate/gen/tollgate/event/v1"
)

// open intents and settled events, as they should be.
type world struct {
	dir    string
	now    time.Time
	s      *spool.Spool
	p      *spool.Publisher
	next   int
	open   []held
	events map[int64][]*eventv1.SpendEvent // settled events by incarnation, as the model has them
	booked map[int64]uint64
	epoch  int64
}

type held struct {
	n      int
	ticket spool.Ticket
}

func (w *world) reopen(t tester) {
	w.s = mustOpen(t, spool.Options{
		Dir: w.dir, SegmentBytes: 4 << 10, MaxBytes: 1 << 20, Linger: time.Minute, Now: func() time.Time { return w.now },
	})
	w.p = spool.NewPublisher(w.s, nil, nil)
}

// Guarantee: whatever the order of intents, settlements, crashes that leave half a record, marks,
// restored databases and the passing of time, every intent ends in exactly one event with the amounts
// that were recorded, and the numbers of the events have no hole.
func TestModel(t *testing.T) {
	t.Parallel()
	root, runs := t.TempDir(), 0
	rapid.Check(t, func(t *rapid.T) {
		runs++
		w := &world{dir: filepath.Join(root, strconv.Itoa(runs)), now: time.UnixMilli(1_700_000_000_000), events: map[int64][]*eventv1.SpendEvent{}, booked: map[int64]uint64{}}
		w.reopen(t)
		defer func() { w.s.Crash() }()
		t.Repeat(map[string]func(*rapid.T){
			"intent": func(t *rapid.T) {
				for range rapid.IntRange(1, 8).Draw(t, "n") {
					w.next++
					w.open = append(w.open, held{w.next, mustIntent(t, w.s, anIntent(w.next))})
					if len(w.open) > 8 {
						w.settle(0)
					}
				}
			},
			"settle": func(t *rapid.T) {
				if len(w.open) > 0 {
					w.settle(rapid.IntRange(0, len(w.open)-1).Draw(t, "which"))
				}
			},
			"burst": func(t *rapid.T) {
				for range rapid.IntRange(1, 30).Draw(t, "n") {
					w.next++
					w.open = append(w.open, held{w.next, mustIntent(t, w.s, anIntent(w.next))})
					w.settle(len(w.open) - 1)
				}
			},
			"crash": func(t *rapid.T) { w.crash(t, rapid.IntRange(0, 300).Draw(t, "torn")) },
			"mark":  w.mark,
			"restore": func(t *rapid.T) {
				w.epoch++
				w.mark(t)
			},
			"pass": func(t *rapid.T) {
				w.now = w.now.Add(time.Duration(rapid.IntRange(1, 90).Draw(t, "s")) * time.Second)
				w.s.Tidy()
			},
			"read": w.check,
		})
		w.crash(t, 0)
		w.check(t)
	})
}

func (w *world) settle(k int) {
	h := w.open[k]
	w.s.Settle(h.ticket, ok(h.n))
	w.s.Settle(h.ticket, ok(h.n+1))
	w.events[w.s.Inc()] = append(w.events[w.s.Inc()], settled(anIntent(h.n), ok(h.n)))
	w.open = slices.Delete(w.open, k, k+1)
}

// crash kills the process; torn bytes of a record that was never acknowledged remain at the end.
func (w *world) crash(t *rapid.T, torn int) {
	inc := w.s.Inc()
	w.s.Crash()
	slices.SortFunc(w.open, func(a, b held) int { return a.n - b.n })
	for _, h := range w.open {
		w.events[inc] = append(w.events[inc], abandoned(anIntent(h.n)))
	}
	w.events[inc] = append(w.events[inc], nil) // CLOSE
	w.open = nil
	segments, err := filepath.Glob(filepath.Join(w.dir, strconv.FormatInt(inc, 10), "*.seg"))
	if err != nil {
		t.Fatal(err)
	}
	if len(segments) > 0 && torn > 0 {
		i := anIntent(0)
		whole := spool.IntentRecord(nil, 1<<40, &i)
		f, err := os.OpenFile(slices.Max(segments), os.O_WRONLY|os.O_APPEND, 0)
		if err != nil {
			t.Fatal(err)
		}
		_, err = f.Write(whole[:min(torn, len(whole)-1)])
		if err := errors.Join(err, f.Close()); err != nil {
			t.Fatal(err)
		}
	}
	w.reopen(t)
}

func (w *world) mark(t *rapid.T) {
	incs := make([]int64, 0, len(w.events))
	for inc := range w.s.Incarnations() {
		incs = append(incs, inc)
	}
	slices.Sort(incs)
	inc := rapid.SampledFrom(incs).Draw(t, "inc")
	hwm := uint64(rapid.IntRange(0, len(w.events[inc])).Draw(t, "hwm"))
	epoch := max(w.epoch-int64(rapid.IntRange(0, 1).Draw(t, "stale")), 0)
	w.p.Mark(&eventv1.Mark{Inc: inc, Hwm: hwm, Epoch: epoch, Gap: rapid.Bool().Draw(t, "gap")})
	w.booked[inc] = max(w.booked[inc], hwm)
}

func (w *world) check(t *rapid.T) {
	if here, all := w.s.Reserved(); len(w.open) == 0 && (here != 0 || all != 0) || here < 0 || all < here {
		t.Fatalf("%d open intents reserve %d here, %d in all", len(w.open), here, all)
	}
	all := w.s.Incarnations()
	for inc, want := range w.events {
		last, there := all[inc]
		if !there {
			if w.booked[inc] < uint64(len(want)) {
				t.Fatalf("incarnation %d is gone at %d of %d", inc, w.booked[inc], len(want))
			}
			continue
		}
		if last != uint64(len(want)) {
			t.Fatalf("incarnation %d ends at %d, want %d", inc, last, len(want))
		}
		if w.booked[inc] >= last {
			continue
		}
		for k, e := range events(t, w.s, inc, w.booked[inc]+1) {
			switch want := want[w.booked[inc]+uint64(k)]; {
			case want == nil && e.GetOutcome() == eventv1.SpendOutcome_SPEND_OUTCOME_CLOSE:
			case want == nil || !proto.Equal(want, e):
				t.Fatal(fmt.Sprintf("incarnation %d, event %d:\n got %v\nwant %v", inc, w.booked[inc]+uint64(k)+1, e, want))
			}
		}
	}
}
