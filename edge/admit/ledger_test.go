package admit

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	eventv1 "tollgate/gen/tollgate/event/v1"
	"tollgate/internal/contract"
	"tollgate/internal/money"
)

// ledger is the ledger as the protocol defines it, in memory: cumulative totals of each incarnation,
// and a grant only while what is allocated stays within the limit.
type ledger struct {
	mu      sync.Mutex
	limits  map[int64]int64 // by account
	version int64
	leases  map[contract.Window]map[int64]*lease // by incarnation
	closed  map[int64]bool
	recall  func(inc int64, w contract.Window) // others wait for what this incarnation holds
	freed   func(account int64)                // something is free again where a need was refused
	refused map[contract.Window]bool           // a need was refused since something was last freed
	strict  bool                               // money in flight elsewhere is no reason to wait
	asked   int                                // lease lines so far
	// early is how long before its begin a window is given of; 0 for at any time.
	early time.Duration
}

type lease struct{ granted, returned, consumed, used int64 }

// held is what the ledger counts as taken from the limit.
func (l *lease) held() int64 { return max(l.granted-l.returned, l.consumed) }

func newLedger(limits map[int64]int64) *ledger {
	return &ledger{
		limits: limits, version: 1, leases: map[contract.Window]map[int64]*lease{},
		closed: map[int64]bool{}, refused: map[contract.Window]bool{}, recall: func(int64, contract.Window) {}, freed: func(int64) {},
	}
}

func (l *ledger) of(w contract.Window, inc int64) *lease {
	if l.leases[w] == nil {
		l.leases[w] = map[int64]*lease{}
	}
	if l.leases[w][inc] == nil {
		l.leases[w][inc] = &lease{}
	}
	return l.leases[w][inc]
}

// taken is what incarnations have of the limit.
func (l *ledger) taken(w contract.Window) int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.alloc(w)
}

func (l *ledger) alloc(w contract.Window) int64 {
	sum := int64(0)
	for _, le := range l.leases[w] {
		sum += le.held()
	}
	return sum
}

func (l *ledger) describe(w contract.Window) string {
	out := fmt.Sprintf("limit %d", l.limits[w.Account])
	for _, inc := range slices.Sorted(maps.Keys(l.leases[w])) {
		out += fmt.Sprintf(", %d: %+v", inc, *l.leases[w][inc])
	}
	return out
}

func (l *ledger) answer(inc int64, in *eventv1.LeaseLine) *eventv1.GrantLine {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.asked++
	w := contract.WindowOf(in.GetWindow())
	limit, known := l.limits[w.Account]
	if l.early > 0 && time.Until(time.Unix(w.Start, 0)) > l.early {
		known = false
	}
	if !known || l.closed[inc] {
		return &eventv1.GrantLine{Window: in.GetWindow(), State: eventv1.LeaseState_LEASE_STATE_UNKNOWN}
	}
	le := l.of(w, inc)
	before := l.alloc(w)
	defer func() {
		if l.refused[w] && l.alloc(w) < before {
			l.refused[w] = false
			l.freed(w.Account)
		}
	}()
	le.used = in.GetUsed() // a hint, so the last one counts
	le.granted = max(le.granted, in.GetGrantedSeen())
	le.returned = max(le.returned, in.GetReturned())
	le.consumed = max(le.consumed, in.GetConsumed())
	le.granted = max(le.granted, le.consumed+le.returned)
	unspent := le.granted - le.returned - in.GetUsed()
	free := max(0, limit-l.alloc(w))
	if x := max(in.GetWant()-unspent, 0); in.GetNeed() > 0 || x > 0 {
		guided := min(x, free/int64(2*len(l.leases[w])))
		if grant := min(free, max(in.GetNeed(), guided)); grant >= in.GetLeast() {
			le.granted += grant
		}
	}
	out := &eventv1.GrantLine{
		Window: in.GetWindow(), GrantedTotal: le.granted, State: eventv1.LeaseState_LEASE_STATE_GRANTED,
		Limit: limit, LimitVersion: l.version,
	}
	others := false
	for other, o := range l.leases[w] {
		if other == inc {
			continue
		}
		out.SpentElsewhere += o.consumed
		if o.granted-o.returned > o.consumed && (!l.strict || o.granted-o.returned > o.used) {
			others = true
		}
	}
	if le.granted < in.GetGrantedSeen()+in.GetNeed() {
		l.refused[w] = true
		out.State = eventv1.LeaseState_LEASE_STATE_EXHAUSTED
		if others {
			out.State, out.RetryAfterMs = eventv1.LeaseState_LEASE_STATE_PENDING, 20
		}
		for _, other := range slices.Sorted(maps.Keys(l.leases[w])) {
			if o := l.leases[w][other]; other != inc && o.granted-o.returned > o.consumed {
				l.recall(other, w)
			}
		}
	}
	return out
}

// book books events: incarnation inc has consumed total in all.
func (l *ledger) book(w contract.Window, inc, total int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	le := l.of(w, inc)
	le.consumed = max(le.consumed, total)
	le.granted = max(le.granted, le.consumed+le.returned)
}

// close ends an incarnation whose events are all booked: what it had left is free again.
func (l *ledger) close(inc int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed[inc] = true
	for _, leases := range l.leases {
		if le := leases[inc]; le != nil {
			le.returned = le.granted - le.consumed
		}
	}
}

// link is one edge's way to the ledger. It answers after a delay, or not at all.
type link struct {
	ledger *ledger
	inc    int64
	delay  func() time.Duration // nil for none
	lost   func() bool          // whether the answer is lost; nil for never
	down   atomic.Bool
}

func (k *link) Lease(ctx context.Context, _ uint32, lines []*eventv1.LeaseLine) ([]*eventv1.GrantLine, error) {
	wait := func() error {
		if k.delay == nil {
			return nil
		}
		select {
		case <-time.After(k.delay()):
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	if k.down.Load() {
		select {
		case <-time.After(500 * time.Millisecond):
			return nil, errors.New("timeout")
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	if err := wait(); err != nil {
		return nil, err
	}
	var out []*eventv1.GrantLine
	for _, in := range lines {
		out = append(out, k.ledger.answer(k.inc, in))
	}
	if err := wait(); err != nil {
		return nil, err
	}
	if k.lost != nil && k.lost() {
		return nil, errors.New("timeout")
	}
	return out, nil
}

// dice may be thrown by several goroutines.
type dice struct {
	mu sync.Mutex
	r  *rand.Rand
}

func newDice(seed uint64) *dice { return &dice{r: rand.New(rand.NewPCG(seed, 0))} }

// upTo is a delay shorter than most, another one each time.
func (d *dice) upTo(most time.Duration) func() time.Duration {
	return func() time.Duration {
		d.mu.Lock()
		defer d.mu.Unlock()
		return time.Duration(d.r.Int64N(int64(most)))
	}
}

func accountOf(id int64, change ...func(*eventv1.Account)) *Account {
	in := &eventv1.Account{
		Id: id, Gen: 1, Period: eventv1.AccountPeriod_ACCOUNT_PERIOD_MONTH, TimeZone: "UTC", Version: 1,
		Subject: fmt.Sprintf("key k%d", id),
	}
	for _, c := range change {
		c(in)
	}
	a, err := NewAccount(in)
	if err != nil {
		panic(err)
	}
	return a
}

func moneyOf(n int64) money.Nanos { return money.Nanos(n) }
