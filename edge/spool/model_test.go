package spool_test

import (
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
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
	"tollgate/internal/contract"
	"tollgate/internal/money"
)

// parts is how many partitions the models have.
const parts = 4

// book is what the events of one incarnation should be, by partition. CLOSE is nil. A partition is
// there from when it is joined.
type book map[uint32][]*eventv1.SpendEvent

// world is a spool, and what should be in it.
type world struct {
	dir    string // if it is on disk
	memory *spool.Memory
	now    time.Time
	linger time.Duration
	s      *spool.Spool
	p      *spool.Publisher
	next   int
	open   []*held
	books  map[int64]book
	booked map[int64]map[uint32]uint64 // largest mark ever
	epoch  int64
}

type held struct {
	n       int
	intent  *spool.Intent
	metered money.Nanos
	ticket  spool.Ticket
}

// reopen opens the spool, mapped or written: either reads what the other wrote.
func (w *world) reopen(t *rapid.T) {
	o := spool.Options{
		SegmentBytes: 16 << 10, MaxBytes: 2 << 20, Linger: w.linger, Now: func() time.Time { return w.now }, Random: func() int64 { return 0 },
	}
	switch {
	case w.memory != nil:
		o.Storage = w.memory
	case rapid.Bool().Draw(t, "mapped"):
		o.Storage = spool.Mapped(w.dir)
	default:
		o.Storage = spool.Written(w.dir)
	}
	w.s = mustOpen(t, o)
	w.p = spool.NewPublisher(w.s, nil, nil)
	w.books[w.s.Inc()] = book{}
	w.booked[w.s.Inc()] = map[uint32]uint64{}
}

// intent records one with any draws, and joins what it draws on as the spool does.
func (w *world) intent(t *rapid.T) *held {
	w.next++
	i := anIntent(w.next)
	i.Draws = nil
	for range rapid.IntRange(0, 4).Draw(t, "draws") {
		account := rapid.Int64Range(1, 12).Draw(t, "account")
		i.Draws = append(i.Draws, contract.Draw{Window: contract.Window{Account: account}, Part: uint32(account % parts)})
	}
	i.Abandoned = eventv1.AbandonedPolicy(rapid.IntRange(0, 3).Draw(t, "policy"))
	h := &held{n: w.next, intent: i, ticket: mustIntent(t, w.s, i)}
	mine := w.books[w.s.Inc()]
	for _, d := range i.Draws {
		mine.join(d.Part)
	}
	if len(mine) == 0 {
		mine.join(0)
	}
	w.open = append(w.open, h)
	return h
}

func (b book) join(part uint32) {
	if _, there := b[part]; !there {
		b[part] = nil
	}
}

// add is how an intent becomes events: one for each partition, and the record in that of the account
// with the lowest number, or of any if there is none.
func (b book) add(i *spool.Intent, end *spool.Settlement) {
	home := func() uint32 {
		if len(i.Draws) > 0 {
			return slices.MinFunc(i.Draws, func(x, y contract.Draw) int { return cmp.Compare(x.Window.Account, y.Window.Account) }).Part
		}
		joined := slices.Sorted(maps.Keys(b))
		hash := binary.LittleEndian.Uint64(i.Request[8:]) * 0x9E3779B97F4A7C15 >> 32
		return joined[hash%uint64(len(joined))]
	}()
	b[home] = append(b[home], settled(i, end))
	for part := range uint32(parts) {
		if part != home && slices.ContainsFunc(i.Draws, func(d contract.Draw) bool { return d.Part == part }) {
			b[part] = append(b[part], shared(i, end, part))
		}
	}
}

func (b book) close() {
	for part := range b {
		b[part] = append(b[part], nil)
	}
}

func (w *world) settle(k int) {
	h := w.open[k]
	w.s.Settle(h.ticket, ok(h.n))
	w.s.Settle(h.ticket, ok(h.n+1))
	w.books[w.s.Inc()].add(h.intent, ok(h.n))
	w.open = slices.Delete(w.open, k, k+1)
}

// partial extends what an intent holds.
func (w *world) partial(t *rapid.T) {
	if len(w.open) == 0 {
		return
	}
	h := rapid.SampledFrom(w.open).Draw(t, "which")
	h.intent.Amount += money.Nanos(rapid.IntRange(0, 1000).Draw(t, "more"))
	h.metered += money.Nanos(rapid.IntRange(0, 1000).Draw(t, "metered"))
	if err := w.s.Partial(h.ticket, h.intent.Amount, h.metered); err != nil {
		t.Fatal(err)
	}
}

// abandon is what becomes of the open intents when their edge ends.
func (w *world) abandon() {
	inc := w.s.Inc()
	slices.SortFunc(w.open, func(a, b *held) int { return a.n - b.n })
	for _, h := range w.open {
		end := abandonment(h.intent)
		end.Cost = map[eventv1.AbandonedPolicy]money.Nanos{0: h.intent.Amount, 1: h.intent.Amount, 2: h.metered, 3: 0}[h.intent.Abandoned]
		w.books[inc].add(h.intent, end)
	}
	w.books[inc].close()
	w.open = nil
}

// crash kills the process; torn bytes of a record that was never acknowledged remain at the end.
func (w *world) crash(t *rapid.T, torn int) {
	inc := w.s.Inc()
	if w.memory == nil {
		w.s.Crash()
	}
	w.abandon()
	if w.memory == nil && torn > 0 {
		w.tear(t, inc, torn)
	}
	w.reopen(t)
}

// tear leaves a part of a record behind the last one.
func (w *world) tear(t *rapid.T, inc int64, torn int) {
	segments, err := filepath.Glob(filepath.Join(w.dir, spool.Dir(inc), "*.seg"))
	if err != nil {
		t.Fatal(err)
	}
	if len(segments) == 0 {
		return
	}
	path := slices.Max(segments)
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	ends, err := spool.Boundaries(data, inc)
	if err != nil {
		t.Fatal(err)
	}
	whole := spool.IntentRecord(inc, 1<<40, anIntent(0))
	if torn%2 == 0 { // as mapped memory is torn: all is there but the length
		clear(whole[:4])
	}
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	_, err = f.WriteAt(whole[:min(torn, len(whole)-40)], ends[len(ends)-1])
	if err := errors.Join(err, f.Close()); err != nil {
		t.Fatal(err)
	}
}

func (w *world) mark(t *rapid.T) {
	inc := rapid.SampledFrom(slices.Sorted(maps.Keys(w.s.Parts()))).Draw(t, "inc")
	part := rapid.Uint32Range(0, parts-1).Draw(t, "part")
	hwm := uint64(rapid.IntRange(0, len(w.books[inc][part])).Draw(t, "hwm"))
	epoch := max(w.epoch-int64(rapid.IntRange(0, 1).Draw(t, "stale")), 0)
	w.p.Mark(&eventv1.Mark{Inc: inc, Part: part, Hwm: hwm, Epoch: epoch, Gap: rapid.Bool().Draw(t, "gap")})
	w.booked[inc][part] = max(w.booked[inc][part], hwm)
}

func (w *world) pass(d time.Duration) {
	w.now = w.now.Add(d)
	w.p.Tidy()
}

// Guarantee: whatever the order of intents, extensions, settlements, crashes that leave half a record,
// marks, restored databases and the passing of time, every intent ends in exactly one event for each
// partition that it draws on, with the amounts that were recorded and exactly one record among them,
// and the numbers of each partition have no hole.
func TestModel(t *testing.T) {
	t.Parallel()
	root, runs := t.TempDir(), 0
	rapid.Check(t, func(t *rapid.T) {
		runs++
		w := &world{
			dir: filepath.Join(root, strconv.Itoa(runs)), now: time.UnixMilli(1_700_000_000_000), linger: time.Minute,
			books: map[int64]book{}, booked: map[int64]map[uint32]uint64{},
		}
		w.reopen(t)
		defer func() { w.s.Crash() }()
		t.Repeat(map[string]func(*rapid.T){
			"intent": func(t *rapid.T) {
				for range rapid.IntRange(1, 8).Draw(t, "n") {
					if w.intent(t); len(w.open) > 8 {
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
					w.intent(t)
					w.settle(len(w.open) - 1)
				}
			},
			"partial": w.partial,
			"join": func(t *rapid.T) {
				part := rapid.Uint32Range(0, parts-1).Draw(t, "part")
				if err := w.s.Join(part); err != nil {
					t.Fatal(err)
				}
				w.books[w.s.Inc()].join(part)
			},
			"prepare": func(*rapid.T) { w.s.Prepare() },
			"crash":   func(t *rapid.T) { w.crash(t, rapid.IntRange(0, 300).Draw(t, "torn")) },
			"mark":    w.mark,
			"restore": func(t *rapid.T) {
				w.epoch++
				w.mark(t)
			},
			"pass": func(t *rapid.T) { w.pass(time.Duration(rapid.IntRange(1, 90).Draw(t, "s")) * time.Second) },
			"read": w.check,
		})
		w.crash(t, 0)
		w.check(t)
	})
}

func (w *world) check(t *rapid.T) {
	if here, all := w.s.Reserved(); len(w.open) == 0 && (here != 0 || all != 0) || here < 0 || all < here {
		t.Fatalf("%d open intents reserve %d here, %d in all", len(w.open), here, all)
	}
	all := w.s.Parts()
	for inc, book := range w.books {
		got, there := all[inc]
		if !there {
			for part, want := range book {
				if w.booked[inc][part] < uint64(len(want)) {
					t.Fatalf("incarnation %d is gone at %d of %d of partition %d", inc, w.booked[inc][part], len(want), part)
				}
			}
			continue
		}
		for part, want := range book {
			w.checkPart(t, inc, part, want, got[part])
		}
		if len(got) != len(book) {
			t.Fatalf("incarnation %d has partitions %v, want %v", inc, got, book)
		}
	}
}

func (w *world) checkPart(t *rapid.T, inc int64, part uint32, want []*eventv1.SpendEvent, last uint64) {
	if last != uint64(len(want)) {
		t.Fatalf("incarnation %d, partition %d ends at %d, want %d", inc, part, last, len(want))
	}
	booked := w.booked[inc][part]
	if booked >= last {
		return
	}
	for k, e := range eventsOf(t, w.s, inc, part, booked+1) {
		if want := want[booked+uint64(k)]; !same(e, want) {
			t.Fatal(fmt.Sprintf("incarnation %d, partition %d, event %d:\n got %v\nwant %v", inc, part, booked+uint64(k)+1, e, want))
		}
	}
}

// same compares an event with one of a book.
func same(e, want *eventv1.SpendEvent) bool {
	if want == nil {
		return e.GetOutcome() == eventv1.SpendOutcome_SPEND_OUTCOME_CLOSE
	}
	return proto.Equal(e, want)
}
