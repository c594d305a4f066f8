package spool_test

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"pgregory.net/rapid"

	"tollgate/edge/spool"
	eventv1 "tollgate/gen/tollgate/event/v1"
)

// lane names what a ledger books in order: the events of one incarnation for one partition.
type lane struct {
	inc  int64
	part uint32
}

// books is a ledger that books batches by one number for each incarnation and partition.
type books struct {
	log   map[lane][]*eventv1.SpendEvent
	epoch int64
	told  map[lane]*told
}

// told is what an edge was told of a lane.
type told struct {
	epoch int64
	since []time.Time // since when it takes each event for booked
	free  int         // how many it may have given back: it was told of them again after their linger
}

// tell gives a mark to the edge, unless that shows it more than there is any more after the linger: no
// mark is under way for so long.
func (l *books) tell(w *world, m *eventv1.Mark) {
	at := lane{m.GetInc(), m.GetPart()}
	k := l.told[at]
	if k == nil {
		k = &told{}
		l.told[at] = k
	}
	if m.GetEpoch() >= k.epoch {
		since := k.since
		if m.GetEpoch() > k.epoch {
			since = since[:min(len(since), int(m.GetHwm()))]
		}
		for len(since) < int(m.GetHwm()) {
			since = append(since, w.now)
		}
		free := 0
		for free < len(since) && len(since) == int(m.GetHwm()) && w.now.Sub(since[free]) >= w.linger {
			free++
		}
		if free > len(l.log[at]) {
			return
		}
		k.epoch, k.since, k.free = m.GetEpoch(), since, max(k.free, free)
	}
	w.p.Mark(m)
}

// forget is what becomes of that when the edge is killed.
func (l *books) forget() {
	for _, k := range l.told {
		k.epoch, k.since = 0, nil
	}
}

func (l *books) apply(t *rapid.T, x *spool.Sending) *eventv1.Mark {
	var b eventv1.SpendBatch
	if err := proto.Unmarshal(x.Data, &b); err != nil {
		t.Fatal(err)
	}
	if x.Subject != fmt.Sprintf("tollgate.v1.spend.%d.e1", b.GetPart()) {
		t.Fatalf("batch of partition %d on %s", b.GetPart(), x.Subject)
	}
	at := lane{b.GetInc(), b.GetPart()}
	hwm := uint64(len(l.log[at]))
	if b.GetFirstSeq() > hwm+1 {
		return l.mark(at, true)
	}
	if have := hwm + 1 - b.GetFirstSeq(); have < uint64(len(b.GetEvents())) {
		l.log[at] = append(l.log[at], b.GetEvents()[have:]...)
	}
	return l.mark(at, false)
}

func (l *books) mark(at lane, gap bool) *eventv1.Mark {
	return &eventv1.Mark{Inc: at.inc, Part: at.part, Hwm: uint64(len(l.log[at])), Gap: gap, Epoch: l.epoch}
}

// Guarantee: whatever is refused, lost, acknowledged and not told, told late, restored or killed, in the
// end each partition has booked each event of its own exactly once and in order, each request has exactly
// one record, and nothing of it is left on the edge. A database may be restored again and again, each time
// to what it had before an event was booked there for a linger, however long it was booked in all.
func TestBookingModel(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		w := &world{
			memory: spool.NewMemory(), now: time.UnixMilli(1_700_000_000_000),
			linger: rapid.SampledFrom([]time.Duration{10 * time.Second, time.Minute, 1000 * time.Hour}).Draw(t, "linger"),
			books:  map[int64]book{}, booked: map[int64]map[uint32]uint64{},
		}
		l := &books{log: map[lane][]*eventv1.SpendEvent{}, told: map[lane]*told{}}
		var away []*spool.Sending // not answered yet
		var late []*eventv1.Mark  // under way
		w.reopen(t)
		step := func(t *rapid.T, x *spool.Sending) {
			switch rapid.IntRange(0, 5).Draw(t, "fate") {
			case 0:
				x.Failed()
			case 1:
				l.apply(t, x) // its acknowledgement is lost
				x.Failed()
			case 2:
				x.Published() // and the stream loses it
			case 3:
				late = append(late, l.apply(t, x))
				x.Published()
			default:
				l.tell(w, l.apply(t, x))
				x.Published()
			}
		}
		t.Repeat(map[string]func(*rapid.T){
			"requests": func(t *rapid.T) {
				for range rapid.IntRange(1, 20).Draw(t, "n") {
					if w.intent(t); len(w.open) > 4 {
						w.settle(rapid.IntRange(0, len(w.open)-1).Draw(t, "which"))
					}
				}
			},
			"partial": w.partial,
			"publish": func(t *rapid.T) {
				for range rapid.IntRange(1, 5).Draw(t, "n") {
					x := w.p.Next(w.now)
					if x == nil {
						return
					}
					if slices.ContainsFunc(away, func(y *spool.Sending) bool { return laneOf(x) == laneOf(y) }) {
						t.Fatalf("%s is sent while another of its lane is", x.MsgID)
					}
					away = append(away, x)
				}
			},
			"answer": func(t *rapid.T) {
				if len(away) > 0 {
					k := rapid.IntRange(0, len(away)-1).Draw(t, "which")
					step(t, away[k])
					away = slices.Delete(away, k, k+1)
				}
			},
			"mark": func(t *rapid.T) {
				if len(late) > 0 {
					k := rapid.IntRange(0, len(late)-1).Draw(t, "which")
					l.tell(w, late[k])
					late = slices.Delete(late, k, k+1)
				}
			},
			"restore": func(t *rapid.T) {
				l.epoch++
				for _, at := range sortedLanes(l.log) {
					least := 0
					if k := l.told[at]; k != nil {
						least = k.free
					}
					l.log[at] = l.log[at][:rapid.IntRange(least, len(l.log[at])).Draw(t, "to")]
				}
			},
			"ask": func(t *rapid.T) { ask(w, l) },
			"crash": func(t *rapid.T) {
				away = nil
				w.crash(t, 0)
				l.forget()
			},
			"pass": func(t *rapid.T) { w.pass(time.Duration(rapid.IntRange(1, 20_000).Draw(t, "ms")) * time.Millisecond) },
		})
		settle(t, w, l, away)
	})
}

func laneOf(x *spool.Sending) string {
	return x.Subject + x.MsgID[:strings.IndexByte(x.MsgID, ':')]
}

func sortedLanes(log map[lane][]*eventv1.SpendEvent) []lane {
	return slices.SortedFunc(maps.Keys(log), func(a, b lane) int {
		return strings.Compare(strconv.FormatInt(a.inc, 10)+strconv.Itoa(int(a.part)), strconv.FormatInt(b.inc, 10)+strconv.Itoa(int(b.part)))
	})
}

// ask is what a lease request does: it names spools, and the ledger answers with their marks.
func ask(w *world, l *books) {
	for _, part := range w.s.Joined() {
		for _, state := range w.s.States(part) {
			l.tell(w, l.mark(lane{state.GetInc(), part}, false))
		}
	}
}

// settle lets everything come to its end and compares.
func settle(t *rapid.T, w *world, l *books, away []*spool.Sending) {
	for _, x := range away {
		x.Failed()
	}
	if err := w.p.End(); err != nil {
		t.Fatal(err)
	}
	w.abandon()
	for round := 0; ; round++ {
		ask(w, l)
		for x := w.p.Next(w.now); x != nil; x = w.p.Next(w.now) {
			w.p.Mark(l.apply(t, x))
			x.Published()
		}
		if events, _ := w.s.Depth(); events == 0 {
			break
		}
		if round > 1000 {
			t.Fatal("the ledger never gets everything")
		}
		w.pass(time.Second)
	}
	records := map[string]int{}
	for inc, book := range w.books {
		for part, want := range book {
			got := l.log[lane{inc, part}]
			if len(got) != len(want) {
				t.Fatalf("incarnation %d, partition %d: %d events are booked, want %d", inc, part, len(got), len(want))
			}
			for k := range want {
				if !same(got[k], want[k]) {
					t.Fatalf("incarnation %d, partition %d, event %d:\n got %v\nwant %v", inc, part, k+1, got[k], want[k])
				}
				if want[k] != nil && !got[k].GetDrawsOnly() {
					records[string(got[k].GetRequestId())]++
				}
			}
		}
	}
	for request, n := range records {
		if n != 1 {
			t.Fatalf("request %x has %d records", request, n)
		}
	}
	if len(records) != w.next {
		t.Fatalf("%d requests have a record, want %d", len(records), w.next)
	}
	if !w.p.Drained() {
		t.Fatal("all is booked, and the spool is not drained")
	}
	w.pass(w.linger + time.Second)
	ask(w, l)
	w.pass(0)
	if left := w.s.Old(); len(left) > 0 {
		t.Fatalf("incarnations %v are left", left)
	}
}
