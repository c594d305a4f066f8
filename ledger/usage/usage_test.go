package usage_test

import (
	"context"
	"errors"
	"testing"
	"time"

	eventv1 "tollgate/gen/tollgate/event/v1"
	"tollgate/internal/fault"
	"tollgate/internal/money"
	"tollgate/ledger/usage"
)

// Guarantee: an attempt is counted on the UTC day of its end, as failed only if it cost nothing.
func TestFactOf(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 11, 1, 23, 59, 59, 0, time.UTC).UnixMilli()
	for _, c := range []struct {
		name    string
		outcome eventv1.SpendOutcome
		cost    int64
		want    usage.Counts
	}{
		{"ok", eventv1.SpendOutcome_SPEND_OUTCOME_OK, 5, usage.Counts{Requests: 1, Cost: 5}},
		{"free", eventv1.SpendOutcome_SPEND_OUTCOME_OK, 0, usage.Counts{Requests: 1}},
		{"target error", eventv1.SpendOutcome_SPEND_OUTCOME_TARGET_ERROR, 0, usage.Counts{Requests: 1, Failed: 1}},
		{"unreachable", eventv1.SpendOutcome_SPEND_OUTCOME_UNREACHABLE, 0, usage.Counts{Requests: 1, Failed: 1}},
		{"broken off after 2xx", eventv1.SpendOutcome_SPEND_OUTCOME_INTERRUPTED, 5, usage.Counts{Requests: 1, Cost: 5}},
		{"caller gone", eventv1.SpendOutcome_SPEND_OUTCOME_CALLER_GONE, 5, usage.Counts{Requests: 1, Cost: 5}},
		{"abandoned", eventv1.SpendOutcome_SPEND_OUTCOME_ABANDONED, 5, usage.Counts{Requests: 1, Abandoned: 1, Cost: 5}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			f, err := usage.FactOf(&eventv1.SpendEvent{UnixMs: at, KeyId: "k", EndpointId: "e", Outcome: c.outcome, CostNanos: c.cost})
			if err != nil || f.Counts != c.want || f.Bucket != (usage.Bucket{Day: "2026-11-01", KeyID: "k", EndpointID: "e"}) {
				t.Errorf("FactOf = %+v, %v", f, err)
			}
		})
	}
}

// Guarantee: what the database could not hold is refused before it gets there.
func TestFactOfRefuses(t *testing.T) {
	t.Parallel()
	good := func() *eventv1.SpendEvent {
		return &eventv1.SpendEvent{UnixMs: time.Now().UnixMilli(), KeyId: "k", EndpointId: "e"}
	}
	for name, spoil := range map[string]func(*eventv1.SpendEvent){
		"negative":   func(e *eventv1.SpendEvent) { e.CostNanos = -1 },
		"no time":    func(e *eventv1.SpendEvent) { e.UnixMs = 0 },
		"far future": func(e *eventv1.SpendEvent) { e.UnixMs = 1 << 60 },
		"zero byte":  func(e *eventv1.SpendEvent) { e.KeyId = "a\x00b" },
		"endless":    func(e *eventv1.SpendEvent) { e.EndpointId = string(make([]byte, 1000)) },
	} {
		e := good()
		spoil(e)
		if f, err := usage.FactOf(e); err == nil {
			t.Errorf("%s: %+v", name, f)
		}
	}
	if _, err := usage.FactOf(good()); err != nil {
		t.Error(err)
	}
}

type source struct{ rows []usage.Row }

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
	if got := (usage.Counts{Cost: money.Max}).Add(usage.Counts{Requests: 1, Cost: 1}); got != (usage.Counts{Requests: 1, Cost: money.Max}) {
		t.Errorf("Add = %+v", got)
	}
}
