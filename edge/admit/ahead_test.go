package admit

import (
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	eventv1 "tollgate/gen/tollgate/event/v1"
	"tollgate/internal/contract"
)

// Guarantee: when a new window begins no request waits for it, and what was held before is settled
// where it was held; also with a ledger that gives of a window no earlier than five seconds before.
func TestNextWindowIsThere(t *testing.T) {
	t.Parallel()
	for _, early := range []time.Duration{0, 5 * time.Second} {
		for _, p := range []eventv1.AccountPeriod{
			eventv1.AccountPeriod_ACCOUNT_PERIOD_HOUR, eventv1.AccountPeriod_ACCOUNT_PERIOD_DAY,
		} {
			synctest.Test(t, func(t *testing.T) {
				l := newLedger(map[int64]int64{1: 1 << 60})
				l.early = early
				b := start(t, l, 1, func(_ *Config, k *link) { k.delay = func() time.Duration { return 20 * time.Millisecond } })
				account := accountOf(1, func(a *eventv1.Account) { a.Period = p })
				span := account.calendar.at(time.Now().Unix())
				first, second := windowOfAt(account, span.Start), windowOfAt(account, span.End)
				time.Sleep(time.Until(time.Unix(span.End, 0)) - 3*time.Minute)
				spent := map[contract.Window]int64{}
				for range 6 * 60 * 4 {
					begin := time.Now()
					h := mustHold(t, b, price, account)
					if d := time.Since(begin); d > 0 && b.lookup(first).heard() > 4 {
						t.Errorf("a request waited %s at %s", d, begin)
					}
					w := windows(h)[0]
					if in := begin.Unix() >= second.Start; in != (w == second) {
						t.Errorf("at %s it draws on %v", begin, w)
					}
					time.Sleep(250 * time.Millisecond)
					h.Settle(price)
					spent[w] += int64(price)
				}
				b.ReturnAll()
				for _, w := range []contract.Window{first, second} {
					if got := l.taken(w); got != spent[w] {
						t.Errorf("%v has %d allocated; want %d", w, got, spent[w])
					}
				}
			})
		}
	}
}

// heard is how many answers of the ledger there were.
func (l *line) heard() uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.answers
}

func windowOfAt(a *Account, unix int64) contract.Window {
	w, _ := a.windowAt(unix)
	return w
}

// Guarantee: edges do not all ask for a new window at the same moment, and budgets that are not spent,
// that never end or that roll are not asked for at all.
func TestNextWindowIsAskedForWithJitter(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := newLedger(map[int64]int64{1: 1 << 60, 2: 1 << 60, 3: 1 << 60})
		spent := accountOf(1, func(a *eventv1.Account) { a.Period = eventv1.AccountPeriod_ACCOUNT_PERIOD_DAY })
		rolls := accountOf(2, func(a *eventv1.Account) { a.Period, a.Days = eventv1.AccountPeriod_ACCOUNT_PERIOD_ROLLING, 7 })
		total := accountOf(3, func(a *eventv1.Account) { a.Period = eventv1.AccountPeriod_ACCOUNT_PERIOD_TOTAL })
		end := spent.calendar.at(time.Now().Unix()).End
		time.Sleep(time.Until(time.Unix(end, 0)) - time.Minute) // before books run, which have something to do all day
		at := map[int64]time.Time{}
		var books []*running
		for inc := range int64(8) {
			books = append(books, start(t, l, inc+1, func(c *Config, _ *link) { c.Jitter = rand.NewPCG(uint64(inc), 0) }))
		}
		for time.Now().Unix() < end {
			for i, b := range books {
				for _, a := range []*Account{spent, rolls, total} {
					mustHold(t, b, price, accountLike(a)).Settle(price)
				}
				if _, ok := at[int64(i)]; !ok && l.has(windowOfAt(spent, end), b.link.inc) {
					at[int64(i)] = time.Now()
				}
				if w := windowOfAt(rolls, end); b.lookup(w) != nil && time.Now().Unix() < end {
					t.Fatalf("%v was asked for", w)
				}
			}
			time.Sleep(500 * time.Millisecond)
		}
		different := map[time.Time]bool{}
		for _, when := range at {
			different[when] = true
		}
		if len(at) != len(books) || len(different) < 4 {
			t.Errorf("the edges have asked at %v", at)
		}
	})
}

// accountLike is the account as another snapshot has it.
func accountLike(a *Account) *Account {
	return accountOf(a.id, func(in *eventv1.Account) {
		in.Period, in.Days = map[string]eventv1.AccountPeriod{
			"day": eventv1.AccountPeriod_ACCOUNT_PERIOD_DAY, "rolling": eventv1.AccountPeriod_ACCOUNT_PERIOD_ROLLING,
			"total": eventv1.AccountPeriod_ACCOUNT_PERIOD_TOTAL,
		}[a.calendar.period.String()], a.calendar.days
	})
}

func (l *ledger) has(w contract.Window, inc int64) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.leases[w][inc] != nil && l.leases[w][inc].granted > 0
}

// Guarantee: around the ends of windows, in zones with daylight saving and over the end of years, a
// request draws on the window of the clock or on a later one that was drawn on before, never on one
// before that; and what it cost is settled there.
func TestWindowsOfZonesAndYears(t *testing.T) {
	t.Parallel()
	zones := []string{"UTC", "Europe/Berlin", "America/New_York", "Asia/Kathmandu", "Africa/Cairo", "America/Sao_Paulo", "Australia/Lord_Howe", "Pacific/Apia"}
	periods := []eventv1.AccountPeriod{
		eventv1.AccountPeriod_ACCOUNT_PERIOD_HOUR, eventv1.AccountPeriod_ACCOUNT_PERIOD_DAY,
		eventv1.AccountPeriod_ACCOUNT_PERIOD_WEEK, eventv1.AccountPeriod_ACCOUNT_PERIOD_MONTH,
	}
	rapid.Check(t, func(t *rapid.T) {
		now := time.Unix(rapid.Int64Range(1_600_000_000, 1_900_000_000).Draw(t, "now"), 0)
		in := &eventv1.Account{Id: 1, Period: rapid.SampledFrom(periods).Draw(t, "period"), TimeZone: rapid.SampledFrom(zones).Draw(t, "zone")}
		account, err := NewAccount(in)
		if err != nil {
			t.Fatal(err)
		}
		b := NewBook(Config{Now: func() time.Time { return now }, Jitter: rand.NewPCG(1, 1)}, nil, discard)
		l := newLedger(map[int64]int64{1: 1 << 60})
		var held []*Hold
		latest, spent := int64(0), map[contract.Window]int64{}
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			switch rapid.IntRange(0, 5).Draw(t, "what") {
			case 0: // to just before the next end
				now = time.Unix(account.calendar.at(now.Unix()).End-rapid.Int64Range(1, 40).Draw(t, "before"), 0)
			case 1:
				now = now.Add(time.Duration(rapid.Int64Range(-30, 100).Draw(t, "seconds")) * time.Second)
			default:
				now = now.Add(time.Second)
			}
			b.Sweep()
			w := b.Begin(new(Hold), []*Account{account}, 3)
			for done := false; !done; {
				if done, err = w.Try(); err != nil {
					t.Fatal(err)
				}
				exchange(b, l, 1)
			}
			got := windows(w.hold)[0]
			if want := windowOfAt(account, now.Unix()); got.Start < want.Start || got.Start < latest || got.Start > max(latest, want.Start) {
				t.Fatalf("at %s it draws on %v, after %d; the window is %v", now, got, latest, want)
			}
			latest = got.Start
			held, spent[got] = append(held, w.hold), spent[got]+2
			if i := rapid.IntRange(-1, len(held)-1).Draw(t, "settle"); i >= 0 {
				takeOut(&held, i).Settle(2)
			}
		}
		for _, h := range held {
			h.Settle(2)
		}
		b.GiveBack()
		exchange(b, l, 1)
		for w, sum := range spent {
			if got := l.taken(w); got != sum {
				t.Fatalf("%v has %d allocated; want %d", w, got, sum)
			}
		}
	})
}

// exchange has a book that is driven by hand ask a ledger for all that it wants to.
func exchange(b *Book, l *ledger, inc int64) {
	for _, part := range b.Parts() {
		for {
			x, _ := b.Next(part)
			if x == nil {
				break
			}
			var grants []*eventv1.GrantLine
			for _, line := range x.Lines() {
				grants = append(grants, l.answer(inc, line))
			}
			x.Done(grants)
		}
	}
}
