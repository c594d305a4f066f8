package accounts

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"sync"
	"testing"
	"time"

	eventv1 "tollgate/gen/tollgate/event/v1"
	"tollgate/internal/contract"
	"tollgate/internal/feed"
	"tollgate/internal/testenv"
	"tollgate/ledger/escrow"
	"tollgate/ledger/store"
)

func TestMain(m *testing.M) { os.Exit(testenv.Main(m)) }

// Guarantee: money is granted of the windows that a calendar has, from a little before they begin to
// a while after they have ended, and of no others.
func TestGrantable(t *testing.T) {
	t.Parallel()
	table := newTable([]store.Account{
		{ID: 1, Gen: 2, Period: int32(eventv1.AccountPeriod_ACCOUNT_PERIOD_DAY), TimeZone: "Europe/Berlin"},
		{ID: 2, Gen: 1, Period: int32(eventv1.AccountPeriod_ACCOUNT_PERIOD_TOTAL), TimeZone: "UTC"},
		{ID: 3, Gen: 1, Period: int32(eventv1.AccountPeriod_ACCOUNT_PERIOD_TOTAL), TimeZone: "UTC", Closed: true},
		{ID: 5, Gen: 1, Period: int32(eventv1.AccountPeriod_ACCOUNT_PERIOD_ROLLING), TimeZone: "Europe/Berlin", Days: 30},
	}, nil, nil)
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	// The day on which clocks go back has 25 hours.
	day := time.Date(2026, 10, 25, 0, 0, 0, 0, berlin)
	for _, c := range []struct {
		name string
		w    contract.Window
		at   time.Time
		want bool
	}{
		{"in it", contract.Window{Account: 1, Gen: 2, Start: day.Unix()}, day.Add(24*time.Hour + 30*time.Minute), true},
		{"just before", contract.Window{Account: 1, Gen: 2, Start: day.Unix()}, day.Add(-64 * time.Second), true},
		{"too early", contract.Window{Account: 1, Gen: 2, Start: day.Unix()}, day.Add(-66 * time.Second), false},
		{"just before a rolling day", contract.Window{Account: 5, Gen: 1, Start: day.Unix()}, day.Add(-4 * time.Second), true},
		{"too early for a rolling day", contract.Window{Account: 5, Gen: 1, Start: day.Unix()}, day.Add(-6 * time.Second), false},
		{"just over", contract.Window{Account: 1, Gen: 2, Start: day.Unix()}, day.Add(25*time.Hour + 59*time.Minute), true},
		{"over", contract.Window{Account: 1, Gen: 2, Start: day.Unix()}, day.Add(25*time.Hour + 61*time.Minute), false},
		{"no boundary", contract.Window{Account: 1, Gen: 2, Start: day.Unix() + 3600}, day.Add(2 * time.Hour), false},
		{"older generation", contract.Window{Account: 1, Gen: 1, Start: day.Unix()}, day, false},
		{"newer generation", contract.Window{Account: 1, Gen: 3, Start: day.Unix()}, day, false},
		{"total", contract.Window{Account: 2, Gen: 1}, day, true},
		{"total with a start", contract.Window{Account: 2, Gen: 1, Start: 1}, day, false},
		{"closed", contract.Window{Account: 3, Gen: 1}, day, false},
		{"unknown", contract.Window{Account: 4, Gen: 1}, day, false},
	} {
		for range 2 { // the second time from memory
			if got := table.Grantable(c.w, c.at); got != c.want {
				t.Errorf("%s: %v", c.name, got)
			}
		}
	}
	if table.Len() != 3 {
		t.Errorf("Len = %d", table.Len())
	}
}

// fake is a leader and what edges were told.
type fake struct {
	sync.Mutex
	applied []string
	refuse  bool
	changed []int64
	held    []int64
	limits  []string
	lowered []string
	fail    int // so many of the next writes
	there   []store.Account
}

func (f *fake) Part() uint32 { return 0 }

func (f *fake) Accounts(context.Context) ([]store.Account, map[uint32]contract.Version, error) {
	return f.there, map[uint32]contract.Version{}, nil
}

func (f *fake) Limits(context.Context) ([]*eventv1.Limit, error) {
	return []*eventv1.Limit{{Id: 2, Amount: 9}}, nil
}

func (f *fake) ApplyLimits(_ context.Context, changes []store.AccountChange) error {
	f.Lock()
	defer f.Unlock()
	if f.fail > 0 {
		f.fail--
		return errors.New("away for a moment")
	}
	for _, c := range changes {
		f.lowered = append(f.lowered, fmt.Sprintf("%s %d from %d: %d", time.Now().UTC().Format(time.TimeOnly), c.Account.ID, c.From, int64(c.Account.LimitAt(time.Now()))))
	}
	return nil
}

func (f *fake) Set(limits []*eventv1.Limit) {
	f.Lock()
	defer f.Unlock()
	f.limits = nil
	for _, l := range limits {
		f.limits = append(f.limits, fmt.Sprintf("%d: %d", l.GetId(), l.GetAmount()))
	}
	slices.Sort(f.limits)
}

func (f *fake) ApplyShard(_ context.Context, _ uint32, v contract.Version, changes []store.AccountChange, limits []*eventv1.Limit) (bool, error) {
	f.Lock()
	defer f.Unlock()
	for _, l := range limits {
		f.applied = append(f.applied, fmt.Sprintf("%s limit %d of %d", v, l.GetId(), l.GetAmount()))
	}
	for _, c := range changes {
		f.applied = append(f.applied, fmt.Sprintf("%s %d limit %d gen %d closed %v", v, c.Account.ID, int64(c.Account.Limit), c.Account.Gen, c.Account.Closed))
	}
	return !f.refuse, nil
}

func (f *fake) Holders(_ context.Context, accounts []int64) ([]escrow.Recall, error) {
	f.Lock()
	defer f.Unlock()
	f.held = append(f.held, accounts...)
	return nil, nil
}

func (f *fake) Changed(accounts []int64) {
	f.Lock()
	defer f.Unlock()
	f.changed = append(f.changed, accounts...)
}

func (f *fake) Recall([]escrow.Recall) []escrow.Recall { return nil }

func total(id, limit int64, gen uint32) *eventv1.Account {
	return &eventv1.Account{Id: id, Gen: gen, Period: eventv1.AccountPeriod_ACCOUNT_PERIOD_TOTAL, TimeZone: "UTC", LimitNanos: limit}
}

// Guarantee: a shard is the whole truth of its accounts at its version, and only what it changes is
// written; older versions, other partitions' accounts and damaged values change nothing.
func TestShards(t *testing.T) {
	t.Parallel()
	f := &fake{}
	s, err := Load(t.Context(), f, nil, f, f, testenv.Logger(t))
	if err != nil {
		t.Fatal(err)
	}
	take := func(v contract.Version, accounts ...*eventv1.Account) {
		t.Helper()
		data, err := contract.Encode(v, &eventv1.AccountShard{Shard: 1, Accounts: accounts})
		if err != nil {
			t.Fatal(err)
		}
		if err := s.take(t.Context(), feed.Message{Subject: contract.ConfigAccounts(1), Data: data}); err != nil {
			t.Fatal(err)
		}
	}
	expect := func(step string, want ...string) {
		t.Helper()
		slices.Sort(f.applied)
		if !slices.Equal(f.applied, want) {
			t.Errorf("%s: applied %q, want %q", step, f.applied, want)
		}
		f.applied = nil
	}
	v := func(epoch, rev int64) contract.Version { return contract.Version{Epoch: epoch, Revision: rev} }
	other := total(129, 10, 1)
	other.Part = 1

	take(v(1, 1), total(1, 100, 1), total(65, 100, 1), other)
	expect("first", "1.1 1 limit 100 gen 1 closed false", "1.1 65 limit 100 gen 1 closed false")
	take(v(1, 2), total(1, 100, 1), total(65, 50, 1))
	expect("lowered", "1.2 65 limit 50 gen 1 closed false")
	take(v(1, 1), total(1, 1, 1))
	take(v(1, 2), total(1, 1, 1))
	expect("older")
	take(v(1, 3), total(65, 50, 1))
	expect("vanished", "1.3 1 limit 100 gen 1 closed true")
	take(v(2, 1), total(1, 100, 1), total(65, 50, 2))
	expect("restored", "2.1 1 limit 100 gen 1 closed false", "2.1 65 limit 50 gen 2 closed false")
	take(v(2, 2), total(2, 1, 1)) // of another shard
	take(v(2, 3), total(1, -1, 1))
	take(v(2, 4), &eventv1.Account{Id: 1, Period: 99, TimeZone: "UTC"})
	if err := s.take(t.Context(), feed.Message{Subject: contract.ConfigAccounts(1), Data: []byte("x")}); err != nil {
		t.Fatal(err)
	}
	expect("damaged")
	if !slices.Equal(f.held, []int64{65, 1}) {
		t.Errorf("recalled %v", f.held)
	}
	if len(f.changed) != 6 {
		t.Errorf("told of %v", f.changed)
	}
	f.refuse = true
	data, err := contract.Encode(v(3, 1), &eventv1.AccountShard{Shard: 1})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.take(t.Context(), feed.Message{Subject: contract.ConfigAccounts(1), Data: data}); err == nil {
		t.Error("a leader whose database is ahead went on")
	}
}
