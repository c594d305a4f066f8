package usage_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	eventv1 "tollgate/gen/tollgate/event/v1"
	"tollgate/internal/fault"
	"tollgate/internal/money"
	"tollgate/ledger/usage"
)

type records struct {
	asked []usage.Listing
	pages []usage.Page
}

func (r *records) Requests(_ context.Context, l usage.Listing) (usage.Page, error) {
	r.asked = append(r.asked, l)
	p := r.pages[0]
	r.pages = r.pages[1:]
	return p, nil
}

// Guarantee: a page's token leads to exactly where the page ended, and is refused for another list.
func TestListToken(t *testing.T) {
	t.Parallel()
	end := usage.Cursor{
		Ended:    time.Date(2026, 11, 1, 12, 30, 0, 123456000, time.UTC),
		Position: usage.Position{Part: 3, Inc: 1785398237498 << 20, Seq: 77},
	}
	status := uint32(200)
	f := usage.Filter{Team: "ops", Tag: "x", Status: &status, From: time.UnixMilli(5)}
	src := &records{pages: []usage.Page{{Next: end, More: true}, {}, {}}}
	_, token, err := usage.List(t.Context(), src, f, true, 0, "")
	if err != nil || token == "" || src.asked[0].Limit != 1 || src.asked[0].After != (usage.Cursor{}) {
		t.Fatalf("List = %q, %v, asked %+v", token, err, src.asked)
	}
	same := uint32(200)
	f.Status = &same
	if _, next, err := usage.List(t.Context(), src, f, true, 1<<20, token); err != nil || next != "" || src.asked[1].After != end || src.asked[1].Limit != 10_000 {
		t.Errorf("List = %q, %v, asked %+v", next, err, src.asked[1])
	}
	other := f
	other.Team = "dev"
	for name, ask := range map[string]func() error{
		"another filter": func() error { _, _, err := usage.List(t.Context(), src, other, true, 1, token); return err },
		"another order":  func() error { _, _, err := usage.List(t.Context(), src, f, false, 1, token); return err },
		"no token":       func() error { _, _, err := usage.List(t.Context(), src, f, true, 1, "AAAA"); return err },
		"half a token":   func() error { _, _, err := usage.List(t.Context(), src, f, true, 1, token[:20]); return err },
	} {
		if f, ok := errors.AsType[*fault.Error](ask()); !ok || f.Code != fault.InvalidArgument {
			t.Errorf("%s: %v", name, ask())
		}
	}
}

// Guarantee: a filter that nothing can match is refused with the field that is wrong.
func TestFilterRefuses(t *testing.T) {
	t.Parallel()
	at := time.Now()
	for field, f := range map[string]usage.Filter{
		"filter.request_id": {RequestID: []byte("short")},
		"filter.to_unix_ms": {From: at, To: at},
	} {
		_, _, err := usage.List(t.Context(), &records{}, f, false, 1, "")
		if f, ok := errors.AsType[*fault.Error](err); !ok || len(f.Violations) != 1 || f.Violations[0].Field != field {
			t.Errorf("%s: %v", field, err)
		}
	}
	if err := (usage.Filter{RequestID: make([]byte, 16), From: at, Outcome: eventv1.SpendOutcome_SPEND_OUTCOME_OK}).Check(); err != nil {
		t.Error(err)
	}
}

// Guarantee: a correction's price is rounded up once, over the fixed part and the units together.
func TestPriceCost(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		p     usage.Price
		units int64
		want  money.Nanos
	}{
		{usage.Price{}, 5, 0},
		{usage.Price{PerRequest: 7}, 5, 7},
		{usage.Price{PerRequest: 7, PerMillionUnits: 1}, 1, 8},
		{usage.Price{PerMillionUnits: 2_000_000}, 3, 6},
		{usage.Price{PerMillionUnits: 1}, 1_000_001, 2},
	} {
		if got, why, err := c.p.Cost(usage.Whole{Units: c.units}); err != nil || why != "" || got != c.want {
			t.Errorf("%+v of %d = %d, %v", c.p, c.units, got, err)
		}
	}
	if got, _, err := (usage.Price{PerRequest: money.Max, PerMillionUnits: 1}).Cost(usage.Whole{Units: 1}); err == nil {
		t.Errorf("beyond the largest amount: %d", got)
	}
}

// Guarantee: only a question that filters or groups by tags is answered from the sums by tag.
func TestByTags(t *testing.T) {
	t.Parallel()
	all := []usage.Dimension{
		usage.ByKey, usage.ByEndpoint, usage.ByDay, usage.ByTeam, usage.ByCustomer, usage.ByTag, usage.ByModel, usage.ByStatus, usage.ByHour,
	}
	rest := slices.DeleteFunc(slices.Clone(all), func(d usage.Dimension) bool { return d == usage.ByTag })
	if !(usage.Query{GroupBy: all}).ByTags() || !(usage.Query{Tag: "x"}).ByTags() || (usage.Query{GroupBy: rest, Team: "x"}).ByTags() {
		t.Error("ByTags")
	}
}

// Guarantee: no token makes the reader panic, and one that it takes is one that it gives.
func FuzzToken(f *testing.F) {
	src := &records{pages: []usage.Page{{Next: usage.Cursor{Ended: time.Unix(1785398237, 0)}, More: true}}}
	_, good, err := usage.List(f.Context(), src, usage.Filter{}, false, 1, "")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Add("")
	f.Fuzz(func(t *testing.T, token string) {
		src := &records{pages: []usage.Page{{}}}
		if _, _, err := usage.List(t.Context(), src, usage.Filter{}, false, 1, token); err != nil || token == "" {
			return
		}
		again := &records{pages: []usage.Page{{Next: src.asked[0].After, More: true}}}
		if _, back, err := usage.List(t.Context(), again, usage.Filter{}, false, 1, ""); err != nil || back != token {
			t.Errorf("%q became %q, %v", token, back, err)
		}
	})
}
