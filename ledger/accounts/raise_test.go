package accounts

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	eventv1 "tollgate/gen/tollgate/event/v1"
	"tollgate/internal/contract"
	"tollgate/internal/feed"
	"tollgate/internal/testenv"
	"tollgate/ledger/store"
)

func (f *fake) takeShard(t *testing.T, s *Sync, revision int64, shard *eventv1.AccountShard) {
	t.Helper()
	data, err := contract.Encode(contract.Version{Epoch: 1, Revision: revision}, shard)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.take(t.Context(), feed.Message{Subject: contract.ConfigAccounts(shard.GetShard()), Data: data}); err != nil {
		t.Fatal(err)
	}
}

// Guarantee: a limit that was raised for a while is lowered when its time has come, once, without the
// control plane, also if the database is away at that moment and also by a leader that took over since;
// edges are told and asked to give back. A raise that is taken back or extended before ends accordingly.
func TestRaisesEnd(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) { // begins at midnight
		midnight := time.Now()
		day, total := int32(eventv1.AccountPeriod_ACCOUNT_PERIOD_DAY), int32(eventv1.AccountPeriod_ACCOUNT_PERIOD_TOTAL)
		f := &fake{fail: 2, there: []store.Account{
			{ID: 1, Shard: 1, Gen: 1, Period: day, TimeZone: "UTC", Limit: 100, Raise: 50, RaiseUntil: midnight.Unix() - 60}, // under the leader before
			{ID: 65, Shard: 1, Gen: 1, Period: total, TimeZone: "UTC", Limit: 100, Raise: 50, RaiseUntil: midnight.Unix() + 30},
			{ID: 129, Shard: 1, Gen: 1, Period: day, TimeZone: "UTC", Limit: 100, Raise: 50, RaiseUntil: midnight.Unix() + 26*3600},
			{ID: 193, Shard: 1, Gen: 1, Period: total, TimeZone: "UTC", Limit: 7},
			{ID: 257, Shard: 1, Gen: 1, Period: total, TimeZone: "UTC", Limit: 7, Raise: 5, RaiseUntil: midnight.Unix() - 1, Closed: true},
		}}
		s, err := Load(t.Context(), f, nil, f, f, testenv.Logger(t))
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- s.Lower(ctx) }()
		expect := func(after time.Duration, want ...string) {
			t.Helper()
			time.Sleep(after)
			synctest.Wait()
			f.Lock()
			defer f.Unlock()
			if !slices.Equal(f.lowered, want) {
				t.Errorf("at %s: %q, want %q", time.Now().UTC().Format(time.TimeOnly), f.lowered, want)
			}
			f.lowered = nil
		}
		stamp := func(at time.Duration, rest string) string { return midnight.UTC().Add(at).Format(time.TimeOnly) + rest }
		expect(5*time.Second, stamp(time.Second, " 1 from "+strconv.FormatInt(midnight.Unix(), 10)+": 100"))
		expect(24 * time.Second)
		expect(2*time.Second, stamp(30*time.Second, " 65 from 0: 100"))
		if !slices.Equal(f.held, []int64{1, 65}) || !slices.Equal(f.changed, []int64{1, 65}) {
			t.Errorf("recalled %v, told of %v", f.held, f.changed)
		}
		// A raise that comes while nothing else is due for hours, and one that is taken back.
		shard := &eventv1.AccountShard{Shard: 1}
		for _, a := range f.there[:4] {
			p := &eventv1.Account{
				Id: a.ID, Gen: a.Gen, Period: eventv1.AccountPeriod(a.Period), TimeZone: "UTC", LimitNanos: int64(a.Limit),
				RaiseNanos: int64(a.Raise), RaiseUntilUnix: a.RaiseUntil,
			}
			switch a.ID {
			case 193:
				p.RaiseNanos, p.RaiseUntilUnix = 3, midnight.Unix()+40
			case 129:
				p.RaiseNanos, p.RaiseUntilUnix = 0, 0
			}
			shard.Accounts = append(shard.Accounts, p)
		}
		// Not as bytes, because what reads those belongs to no bubble.
		if err := s.apply(t.Context(), contract.Version{Epoch: 1, Revision: 1}, shard); err != nil {
			t.Error(err)
		}
		synctest.Wait()
		if !slices.Equal(f.held, []int64{1, 65, 129}) { // 129 may cost less now
			t.Errorf("recalled %v", f.held)
		}
		expect(10*time.Second, stamp(40*time.Second, " 193 from 0: 7"))
		expect(48 * time.Hour)
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	})
}

// Guarantee: limits come with their shard, those of this partition are kept and handed on whole, and a
// value with a limit that does not belong there changes nothing.
func TestLimitsComeWithAccounts(t *testing.T) {
	t.Parallel()
	f := &fake{}
	s, err := Load(t.Context(), f, nil, f, f, testenv.Logger(t))
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(f.limits, []string{"2: 9"}) {
		t.Errorf("loaded %v", f.limits)
	}
	f.takeShard(t, s, 1, &eventv1.AccountShard{Shard: 1, Limits: []*eventv1.Limit{{Id: 1, Amount: 10}, {Id: 65, Amount: 20}, {Id: 129, Part: 1, Amount: 30}}})
	if !slices.Equal(f.limits, []string{"1: 10", "2: 9", "65: 20"}) || !slices.Equal(f.applied, []string{"1.1 limit 1 of 10", "1.1 limit 65 of 20"}) {
		t.Errorf("%v, applied %v", f.limits, f.applied)
	}
	for i, bad := range []*eventv1.Limit{{Id: 2, Amount: 1}, {Id: 1, Amount: -1}, {Id: 1, Burst: -1}} {
		f.takeShard(t, s, int64(2+i), &eventv1.AccountShard{Shard: 1, Limits: []*eventv1.Limit{bad}})
	}
	f.takeShard(t, s, 1, &eventv1.AccountShard{Shard: 1}) // older
	if len(f.limits) != 3 {
		t.Errorf("after refused ones: %v", f.limits)
	}
	f.takeShard(t, s, 9, &eventv1.AccountShard{Shard: 1})
	if !slices.Equal(f.limits, []string{"2: 9"}) {
		t.Errorf("after they vanished: %v", f.limits)
	}
}

// Guarantee: a changed field of an account is a change, whichever it is.
func TestEveryFieldIsAChange(t *testing.T) {
	t.Parallel()
	f := &fake{}
	s, err := Load(t.Context(), f, nil, f, f, testenv.Logger(t))
	if err != nil {
		t.Fatal(err)
	}
	base := func() *eventv1.Account {
		return &eventv1.Account{Id: 1, Gen: 1, Period: eventv1.AccountPeriod_ACCOUNT_PERIOD_ROLLING, TimeZone: "UTC", LimitNanos: 10, Days: 7, WarnPercents: []uint32{50, 80}}
	}
	for i, change := range []func(*eventv1.Account){
		func(*eventv1.Account) {},
		func(a *eventv1.Account) { a.LimitNanos = 11 },
		func(a *eventv1.Account) { a.Gen = 2 },
		func(a *eventv1.Account) { a.Version = 5 },
		func(a *eventv1.Account) { a.WarnPercents = []uint32{50, 90} },
		func(a *eventv1.Account) { a.RaiseNanos, a.RaiseUntilUnix = 5, 9 },
	} {
		a := base()
		change(a)
		for again := range int64(2) {
			f.applied = nil
			f.takeShard(t, s, int64(2*i)+again+1, &eventv1.AccountShard{Shard: 1, Accounts: []*eventv1.Account{a}})
			if (len(f.applied) == 1) != (again == 0) {
				t.Errorf("change %d, time %d: applied %v", i, again, f.applied)
			}
		}
	}
	f.applied = nil
	overflow := base()
	overflow.LimitNanos, overflow.RaiseNanos = 1<<62, 1<<62
	f.takeShard(t, s, 99, &eventv1.AccountShard{Shard: 1, Accounts: []*eventv1.Account{overflow}})
	if f.applied != nil {
		t.Errorf("applied %v", f.applied)
	}
}
