package spool_test

import (
	"errors"
	"io/fs"
	"testing"
	"testing/synctest"

	"tollgate/edge/spool"
	eventv1 "tollgate/gen/tollgate/event/v1"
	"tollgate/internal/fault"
	"tollgate/internal/money"
)

// Guarantee: on a full disk nothing is admitted, what was admitted is settled all the same, and a
// process that dies there and starts again charges what was in flight and publishes all of it; with
// space again it admits again.
func TestNoSpace(t *testing.T) {
	t.Parallel()
	m := spool.NewMemory()
	o := spool.Options{Storage: m, SegmentBytes: 16 << 10}
	m.SetSpace(2*16<<10 + 100)
	s := mustOpen(t, o)
	inc := s.Inc()
	var open []spool.Ticket
	var want []*eventv1.SpendEvent
	full := fault.New(fault.SpoolUnavailable, "")
	n := 0
	for ; ; n++ {
		ticket, err := s.Intent(anIntent(n))
		if errors.Is(err, full) && n > 20 {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if open = append(open, ticket); len(open) > 6 {
			s.Settle(open[0], ok(n-6))
			want = append(want, settled(anIntent(n-6), ok(n-6)))
			open = open[1:]
		}
	}
	held := money.Nanos(5000)
	for ; ; held++ {
		if err := s.Partial(open[5], held+1, 1); err != nil {
			if !errors.Is(err, full) {
				t.Errorf("a partial record on a full disk: %v", err)
			}
			break
		}
		if held > 6000 {
			t.Fatal("a thousand partial records on a full disk")
		}
	}
	if err := s.Join(3); !errors.Is(err, full) {
		t.Errorf("a join on a full disk: %v", err)
	}
	for k := range 3 {
		s.Settle(open[k], ok(n-6+k))
		want = append(want, settled(anIntent(n-6+k), ok(n-6+k)))
	}
	if err := s.Err(); err != nil {
		t.Errorf("settlements wait: %v", err)
	}

	// The process is dropped as if it was killed.
	s = mustOpen(t, o)
	for k := n - 3; k < n; k++ {
		i := anIntent(k)
		if k == n-1 && held > 5000 {
			i.Amount = held
		}
		want = append(want, abandoned(i))
	}
	got := events(t, s, inc, 1)
	diffEvents(t, got[:len(got)-1], want)
	if _, err := s.Intent(anIntent(0)); !errors.Is(err, full) && err != nil {
		t.Errorf("an intent after the recovery: %v", err)
	}
	m.SetSpace(0)
	mustIntent(t, s, anIntent(0))
}

// Guarantee: what a process does after it was killed does not reach the disk of the one after it.
func TestKilledWritesNothing(t *testing.T) {
	t.Parallel()
	o := spool.Options{Storage: spool.NewMemory()}
	killed := mustOpen(t, o)
	ticket := mustIntent(t, killed, anIntent(1))
	s := mustOpen(t, o)
	killed.Settle(ticket, ok(1))
	if err := killed.Err(); !errors.Is(err, fs.ErrClosed) {
		t.Errorf("a settlement after the end: %v", err)
	}
	diffEvents(t, events(t, s, killed.Inc(), 1)[:1], []*eventv1.SpendEvent{abandoned(anIntent(1))})
}

// Guarantee: neither an intent nor its settlement costs an allocation.
func TestNothingIsAllocated(t *testing.T) {
	s := mustOpen(t, spool.Options{Dir: t.TempDir()})
	defer s.Crash()
	i, end := benchIntent(), ok(1)
	for part := range uint32(2) {
		i.Draws[part].Part = part
	}
	if n := testing.AllocsPerRun(1000, func() {
		ticket, err := s.Intent(i)
		if err != nil {
			t.Fatal(err)
		}
		s.Settle(ticket, end)
	}); n >= 1 {
		t.Errorf("%v allocations", n)
	}
}

// Guarantee: what a caller wrote cannot make an event that the ledger refuses for ever: names are valid
// text without zeros, and not longer than is kept.
func TestNamesAreClean(t *testing.T) {
	t.Parallel()
	s := mustOpen(t, spool.Options{Dir: t.TempDir()})
	defer s.Crash()
	i := anIntent(1)
	i.Customer, i.Tags, i.Model = "a\xffb", []string{"x\x00y", "grün"}, "m\x00"
	end := ok(1)
	end.Model = string(make([]byte, 255)) + "ü"
	s.Settle(mustIntent(t, s, i), end)
	if i.Tags[0] != "x\x00y" {
		t.Error("the caller's tags were changed")
	}
	i.Customer, i.Tags, i.Model = "a?b", []string{"xy", "grün"}, "m"
	end.Model = "?"
	diffEvents(t, events(t, s, s.Inc(), 1), []*eventv1.SpendEvent{settled(i, end)})
	i.Team = string(make([]byte, 1<<10+1))
	if _, err := s.Intent(i); !errors.Is(err, fault.New(fault.SpoolUnavailable, "")) {
		t.Errorf("an intent with a long name: %v", err)
	}
}

// Guarantee: an edge that ends says what its requests in flight have cost as the policy of each is, with
// what was held for them at last.
func TestDrainByPolicy(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		l := newLedger(t)
		r := start(t, dir, l)
		defer r.stop()
		costs := []money.Nanos{9000, 9000, 400, 0}
		for policy := range costs {
			i := anIntent(policy)
			i.Abandoned = eventv1.AbandonedPolicy(policy)
			ticket := mustIntent(t, r.Spool, i)
			for k := range money.Nanos(3) {
				if err := r.Partial(ticket, 7000+1000*k, 200*k); err != nil {
					t.Fatal(err)
				}
			}
		}
		if err := r.p.Drain(t.Context()); err != nil {
			t.Fatal(err)
		}
		for k, e := range l.log[r.Inc()][:len(costs)] {
			if money.Nanos(e.GetCostNanos()) != costs[k] || e.GetReservedNanos() != 9000 || e.GetDraws()[1].GetNanos() != e.GetCostNanos() {
				t.Errorf("policy %d: %v", k, e)
			}
		}
		if err := r.Partial(spool.Ticket{}, 1, 1); err != nil {
			t.Errorf("partial of nothing: %v", err)
		}
	})
}
