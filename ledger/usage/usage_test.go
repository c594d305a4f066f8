package usage_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	eventv1 "tollgate/gen/tollgate/event/v1"
	"tollgate/internal/fault"
	"tollgate/internal/money"
	"tollgate/ledger/usage"
)

// Guarantee: an attempt counts as failed only if it cost nothing.
func TestCountsOf(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name    string
		outcome eventv1.SpendOutcome
		cost    int64
		want    usage.Counts
	}{
		{"ok", eventv1.SpendOutcome_SPEND_OUTCOME_OK, 5, usage.Counts{Requests: 1, Units: 3, Cost: 5}},
		{"free", eventv1.SpendOutcome_SPEND_OUTCOME_OK, 0, usage.Counts{Requests: 1, Units: 3}},
		{"target error", eventv1.SpendOutcome_SPEND_OUTCOME_TARGET_ERROR, 0, usage.Counts{Requests: 1, Failed: 1, Units: 3}},
		{"unreachable", eventv1.SpendOutcome_SPEND_OUTCOME_UNREACHABLE, 0, usage.Counts{Requests: 1, Failed: 1, Units: 3}},
		{"refused", eventv1.SpendOutcome_SPEND_OUTCOME_REFUSED, 0, usage.Counts{Requests: 1, Failed: 1, Units: 3}},
		{"broken off after 2xx", eventv1.SpendOutcome_SPEND_OUTCOME_INTERRUPTED, 5, usage.Counts{Requests: 1, Units: 3, Cost: 5}},
		{"caller gone", eventv1.SpendOutcome_SPEND_OUTCOME_CALLER_GONE, 5, usage.Counts{Requests: 1, Units: 3, Cost: 5}},
		{"cut", eventv1.SpendOutcome_SPEND_OUTCOME_CUT, 5, usage.Counts{Requests: 1, Units: 3, Cost: 5}},
		{"abandoned", eventv1.SpendOutcome_SPEND_OUTCOME_ABANDONED, 5, usage.Counts{Requests: 1, Abandoned: 1, Units: 3, Cost: 5}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			if got := usage.CountsOf(&eventv1.SpendEvent{Outcome: c.outcome, CostNanos: c.cost, Units: 3}); got != c.want {
				t.Errorf("CountsOf = %+v", got)
			}
		})
	}
	if got := usage.CountsOf(&eventv1.SpendEvent{Unpriced: true}); got != (usage.Counts{Requests: 1, Unpriced: 1}) {
		t.Errorf("CountsOf one without a price = %+v", got)
	}
}

// Guarantee: an attempt counts once in the hour of its end, and once more for each of its tags.
func TestSums(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 11, 1, 23, 59, 59, 0, time.UTC)
	sums := usage.Sums{}
	for range 2 {
		e := &eventv1.SpendEvent{UnixMs: at.UnixMilli(), KeyId: "k", EndpointId: "e", Team: "t", Customer: "c", Model: "m", Status: 200, CostNanos: 5, Tags: []string{"b", "a", "b"}}
		if err := usage.Check(e); err != nil {
			t.Fatal(err)
		}
		sums.Add(e)
	}
	want := usage.Sums{}
	for _, tag := range []string{"", "a", "b"} {
		s := usage.Series{KeyID: "k", EndpointID: "e", Team: "t", Customer: "c", Model: "m", Status: 200, Tag: tag}
		want[usage.Slot{Hour: at.Unix() / 3600, Series: s}] = usage.Counts{Requests: 2, Cost: 10}
	}
	if !maps.Equal(sums, want) {
		t.Errorf("sums = %+v, want %+v", sums, want)
	}
}

func plain() *eventv1.SpendEvent {
	return &eventv1.SpendEvent{UnixMs: time.Now().UnixMilli(), KeyId: "k", EndpointId: "e", RequestId: make([]byte, 16), Tags: []string{"a", "b"}}
}

// Guarantee: what the database could not hold is refused before it gets there.
func TestCheckRefuses(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 257)
	for name, spoil := range map[string]func(*eventv1.SpendEvent){
		"negative cost":    func(e *eventv1.SpendEvent) { e.CostNanos = -1 },
		"negative reserve": func(e *eventv1.SpendEvent) { e.ReservedNanos = -1 },
		"negative units":   func(e *eventv1.SpendEvent) { e.Units = -1 },
		"zero byte":        func(e *eventv1.SpendEvent) { e.KeyId = "a\x00b" },
		"endless":          func(e *eventv1.SpendEvent) { e.EndpointId = long },
		"endless team":     func(e *eventv1.SpendEvent) { e.Team = long },
		"line in customer": func(e *eventv1.SpendEvent) { e.Customer = "a\nb" },
		"endless tag":      func(e *eventv1.SpendEvent) { e.Tags = []string{long} },
		"empty tag":        func(e *eventv1.SpendEvent) { e.Tags = []string{""} },
		"endless tags":     func(e *eventv1.SpendEvent) { e.Tags = make([]string, 65) },
		"half an id":       func(e *eventv1.SpendEvent) { e.RequestId = make([]byte, 8) },
		"huge status":      func(e *eventv1.SpendEvent) { e.Status = 1 << 31 },
		"huge attempt":     func(e *eventv1.SpendEvent) { e.Attempt = 1 << 31 },
		"negative job":     func(e *eventv1.SpendEvent) { e.Job = &eventv1.SpendJob{Id: "j", CostNanos: -1} },
		"less than no use": func(e *eventv1.SpendEvent) { e.Job = &eventv1.SpendJob{Id: "j", Units: -1} },
		"negative outcome": func(e *eventv1.SpendEvent) { e.Outcome = -1 },
	} {
		e := plain()
		spoil(e)
		if err := usage.Check(e); err == nil {
			t.Errorf("%s: %v", name, e)
		}
	}
	if err := usage.Check(plain()); err != nil {
		t.Error(err)
	}
}

// Guarantee: neither a clock that is off nor what a vendor calls its model keeps an attempt from being
// booked.
func TestCheckBends(t *testing.T) {
	t.Parallel()
	for _, at := range []int64{-1 << 62, 0, 1 << 62} {
		e := plain()
		e.UnixMs, e.DurationUs, e.Model = at, -1, "m\x00\xff"+strings.Repeat("\u00e4", 200)
		if err := usage.Check(e); err != nil {
			t.Fatal(err)
		}
		if y := time.UnixMilli(e.GetUnixMs()).UTC().Year(); y != 2000 && y != 9999 {
			t.Errorf("%d became the year %d", at, y)
		}
		if m := e.GetModel(); e.GetDurationUs() != 0 || len(m) > 256 || !strings.HasPrefix(m, "m??") || !utf8.ValidString(m) {
			t.Errorf("model %q, duration %d", m, e.GetDurationUs())
		}
	}
}

// Guarantee: neither what a target calls a job nor what was counted keeps an attempt from being booked, and a
// job that has no name is none.
func TestCheckBendsJobs(t *testing.T) {
	t.Parallel()
	odd := "\x00\xff" + strings.Repeat("\u00e4", 600)
	e := plain()
	e.Deployment = odd
	e.Meter, e.Counts, e.Job = odd, odd, &eventv1.SpendJob{Id: odd, Model: odd, Counts: odd, TtlSeconds: 1 << 60, State: -7}
	if err := usage.Check(e); err != nil {
		t.Fatal(err)
	}
	j := e.GetJob()
	for _, c := range []struct {
		text string
		most int
	}{{e.GetDeployment(), 512}, {e.GetMeter(), 64}, {e.GetCounts(), 1024}, {j.GetId(), 256}, {j.GetModel(), 256}, {j.GetCounts(), 1024}} {
		if len(c.text) > c.most || !strings.HasPrefix(c.text, "??") || !utf8.ValidString(c.text) {
			t.Errorf("%q of %d bytes", c.text, len(c.text))
		}
	}
	if j.GetTtlSeconds() != 366*24*3600 || j.GetState() != 0 {
		t.Errorf("%v", j)
	}
	j.TtlSeconds = -1
	if err := usage.Check(e); err != nil || j.GetTtlSeconds() != 0 {
		t.Errorf("%v, %v", j, err)
	}
	j.Id = ""
	if err := usage.Check(e); err != nil || e.GetJob() != nil {
		t.Errorf("%v, %v", e.GetJob(), err)
	}
}

type source struct{ rows []usage.Row }

func (s source) RecentUsage(_ context.Context, scopes []usage.Scope, week, day time.Time) ([]usage.Recent, error) {
	if week.Minute() != 0 || day.Sub(week) != 6*24*time.Hour {
		return nil, fmt.Errorf("from %s and %s", week, day)
	}
	return make([]usage.Recent, len(scopes)), nil
}

func (s source) Usage(context.Context, usage.Query) ([]usage.Row, error) { return s.rows, nil }

// Guarantee: a question that cannot be answered is refused with the field that is wrong, and the sum
// of nothing is one row of zeros.
func TestAsk(t *testing.T) {
	t.Parallel()
	for _, q := range []usage.Query{{}, {From: "2026-11-02", To: "2026-11-01"}, {From: "2020-01-01", To: "2026-01-01"}, {From: "2026-13-01", To: "2026-12-01"}} {
		_, err := usage.Ask(t.Context(), source{}, q)
		if f, ok := errors.AsType[*fault.Error](err); !ok || f.Code != fault.InvalidArgument || len(f.Violations) == 0 {
			t.Errorf("%+v: %v", q, err)
		}
	}
	q := usage.Query{From: "2026-11-01", To: "2026-11-01"}
	if rows, err := usage.Ask(t.Context(), source{}, q); err != nil || len(rows) != 1 || rows[0] != (usage.Row{}) {
		t.Errorf("Ask = %v, %v", rows, err)
	}
	q.GroupBy = []usage.Dimension{usage.ByKey}
	if rows, err := usage.Ask(t.Context(), source{}, q); err != nil || len(rows) != 0 {
		t.Errorf("Ask = %v, %v", rows, err)
	}
}

// Guarantee: sums stop at the largest amount and never turn negative.
func TestAddSaturates(t *testing.T) {
	t.Parallel()
	if got := (usage.Counts{Units: 5, Cost: money.Max}).Add(usage.Counts{Requests: 1, Units: int64(money.Max), Cost: 1}); got != (usage.Counts{Requests: 1, Units: int64(money.Max), Cost: money.Max}) {
		t.Errorf("Add = %+v", got)
	}
}

// Guarantee: a day and a week are counted from full hours, and a week not from before a scope's period.
func TestAskRecent(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 22, 12, 34, 56, 0, time.UTC)
	began := time.Date(2026, 11, 22, 10, 30, 0, 0, time.UTC)
	got, err := usage.AskRecent(t.Context(), source{}, []usage.Scope{{}, {By: usage.ByKey, Value: "k", Since: began}, {Since: now.AddDate(-1, 0, 0)}}, now)
	if err != nil || len(got) != 3 {
		t.Fatal(got, err)
	}
	week := time.Date(2026, 11, 15, 13, 0, 0, 0, time.UTC)
	for i, want := range []time.Time{week, began.Truncate(time.Hour), week} {
		if r := got[i]; !r.WeekBegan.Equal(want) || !r.DayBegan.Equal(time.Date(2026, 11, 21, 13, 0, 0, 0, time.UTC)) {
			t.Errorf("%d: %+v", i, r)
		}
	}
	if _, err := usage.AskRecent(t.Context(), source{}, []usage.Scope{{By: usage.ByKey, Value: "a\x00"}}, now); err == nil {
		t.Error("a malformed scope is taken")
	}
}
