package registry_test

import (
	"errors"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"tollgate/controlplane/registry"
	"tollgate/internal/fault"
	"tollgate/internal/id"
	"tollgate/internal/money"
	"tollgate/internal/period"
)

// found lists field:code of what was found wrong, and checks that each reason is a sentence.
func found(t *testing.T, p *registry.Problems) (out []string) {
	t.Helper()
	f, ok := errors.AsType[*fault.Error](p.Err("it"))
	if !ok {
		return nil
	}
	for _, v := range f.Violations {
		out = append(out, v.Field+":"+v.Code)
		if len(v.Reason) < 20 || !strings.HasSuffix(v.Reason, ".") || strings.Contains(v.Reason, "%!") {
			t.Errorf("%s: %q is no sentence", v.Field, v.Reason)
		}
	}
	return out
}

// rule is a change of something valid and what is wrong with it then.
type rule[T any] struct {
	name string
	edit func(*T)
	want []string
}

func checkRules[T any](t *testing.T, good func() T, check func(*T, *registry.Problems), rules []rule[T]) {
	t.Helper()
	for _, r := range rules {
		t.Run(r.name, func(t *testing.T) {
			t.Parallel()
			v, p := good(), registry.NewProblems("")
			r.edit(&v)
			check(&v, p)
			if diff := cmp.Diff(r.want, found(t, p)); diff != "" {
				t.Errorf("violations (-want +got):\n%s", diff)
			}
		})
	}
}

func scoped(scope registry.Scope, name string) registry.Scoped {
	return registry.Scoped{Scope: scope, ScopeName: name}
}

// Guarantee: each rule of what budgets apply to, of periods that roll, of overdrafts and of warnings
// finds what it is for, and nothing else is found.
func TestBudgetRules(t *testing.T) {
	t.Parallel()
	good := func() registry.Budget {
		return registry.Budget{Name: "b", Scoped: scoped(registry.ScopeEverything, ""), Period: period.Month, Amount: money.Dollar}
	}
	check := func(b *registry.Budget, p *registry.Problems) {
		b.Normalize()
		b.Check(p, registry.BudgetFacts{})
	}
	checkRules(t, good, check, []rule[registry.Budget]{
		{"good", func(*registry.Budget) {}, nil},
		{"unknown team", func(b *registry.Budget) { b.Scoped = scoped(registry.ScopeTeam, "x") }, []string{"team:unknown"}},
		{"customer", func(b *registry.Budget) { b.Scoped = scoped(registry.ScopeCustomer, "Acme@eu:1_a.b-c") }, nil},
		{"customer with a space", func(b *registry.Budget) { b.Scoped = scoped(registry.ScopeCustomer, "a b") }, []string{"customer:invalid"}},
		{"customer with a NUL", func(b *registry.Budget) { b.Scoped = scoped(registry.ScopeCustomer, "a\x00b") }, []string{"customer:invalid"}},
		{"long tag", func(b *registry.Budget) { b.Scoped = scoped(registry.ScopeTag, strings.Repeat("x", 129)) }, []string{"tag:invalid"}},
		{"longest tag", func(b *registry.Budget) { b.Scoped = scoped(registry.ScopeTag, strings.Repeat("x", 128)) }, nil},
		{"rolling", func(b *registry.Budget) { b.Period, b.Days = period.Rolling, 2 }, nil},
		{"rolling a year", func(b *registry.Budget) { b.Period, b.Days = period.Rolling, 366 }, nil},
		{"rolling a day", func(b *registry.Budget) { b.Period, b.Days = period.Rolling, 1 }, []string{"rolling_days:out_of_range"}},
		{"rolling without days", func(b *registry.Budget) { b.Period = period.Rolling }, []string{"rolling_days:out_of_range"}},
		{"rolling too long", func(b *registry.Budget) { b.Period, b.Days = period.Rolling, 367 }, []string{"rolling_days:out_of_range"}},
		{"month with days", func(b *registry.Budget) { b.Days = 30 }, []string{"rolling_days:forbidden"}},
		{"soft", func(b *registry.Budget) { b.Soft, b.Overdraft = true, 1 }, nil},
		{"hard with an overdraft", func(b *registry.Budget) { b.Overdraft = 1 }, []string{"overdraft:forbidden"}},
		{"negative overdraft", func(b *registry.Budget) { b.Soft, b.Overdraft = true, -1 }, []string{"overdraft:out_of_range"}},
		{"warnings", func(b *registry.Budget) { b.Warn = []uint32{100, 1, 1000, 80} }, nil},
		{"warning at nothing", func(b *registry.Budget) { b.Warn = []uint32{0, 50} }, []string{"warn_percents:out_of_range"}},
		{"warning too late", func(b *registry.Budget) { b.Warn = []uint32{1001} }, []string{"warn_percents:out_of_range"}},
		{"warning twice", func(b *registry.Budget) { b.Warn = []uint32{80, 50, 80} }, []string{"warn_percents:duplicate"}},
		{"too many warnings", func(b *registry.Budget) { b.Warn = []uint32{1, 2, 3, 4, 5, 6, 7, 8, 9} }, []string{"warn_percents:out_of_range"}},
		{"all at once", func(b *registry.Budget) {
			b.Name, b.Scope, b.Days, b.Amount, b.Overdraft, b.Warn, b.Zone = "B", "", 3, -1, 1, []uint32{0}, "Mars"
		}, []string{"name:invalid", "scope:required", "rolling_days:forbidden", "time_zone:invalid", "amount:out_of_range", "overdraft:forbidden", "warn_percents:out_of_range"}},
	})
	b := good()
	b.Warn = []uint32{100, 50}
	if b.Normalize(); !slices.Equal(b.Warn, []uint32{50, 100}) || b.Zone != "UTC" {
		t.Errorf("normalized %+v", b)
	}
}

// Guarantee: a change of settings leaves what it does not name; a budget that becomes hard loses its
// overdraft.
func TestBudgetPatch(t *testing.T) {
	t.Parallel()
	was := registry.Budget{Amount: 5, Soft: true, Overdraft: 3, Warn: []uint32{80}}
	for name, c := range map[string]struct {
		patch registry.BudgetPatch
		want  registry.Budget
		wrong []string
	}{
		"nothing":         {registry.BudgetPatch{}, was, nil},
		"amount":          {registry.BudgetPatch{Amount: new(money.Nanos(6))}, registry.Budget{Amount: 6, Soft: true, Overdraft: 3, Warn: []uint32{80}}, nil},
		"hard":            {registry.BudgetPatch{Soft: new(false)}, registry.Budget{Amount: 5, Warn: []uint32{80}}, nil},
		"soft again":      {registry.BudgetPatch{Soft: new(true)}, was, nil},
		"without bound":   {registry.BudgetPatch{Overdraft: new(money.Nanos(0))}, registry.Budget{Amount: 5, Soft: true, Warn: []uint32{80}}, nil},
		"hard, overdraft": {registry.BudgetPatch{Soft: new(false), Overdraft: new(money.Nanos(1))}, registry.Budget{Amount: 5, Overdraft: 1, Warn: []uint32{80}}, []string{"overdraft:forbidden"}},
		"warnings":        {registry.BudgetPatch{Warn: &[]uint32{90, 10}}, registry.Budget{Amount: 5, Soft: true, Overdraft: 3, Warn: []uint32{10, 90}}, nil},
		"no warnings":     {registry.BudgetPatch{Warn: &[]uint32{}}, registry.Budget{Amount: 5, Soft: true, Overdraft: 3}, nil},
		"negative":        {registry.BudgetPatch{Amount: new(money.Nanos(-1))}, registry.Budget{Amount: -1, Soft: true, Overdraft: 3, Warn: []uint32{80}}, []string{"amount:out_of_range"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b, p := was, registry.NewProblems("")
			b.Apply(c.patch)
			b.CheckSettings(p)
			if diff := cmp.Diff(c.want, b); diff != "" {
				t.Errorf("changed (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(c.wrong, found(t, p)); diff != "" {
				t.Errorf("violations (-want +got):\n%s", diff)
			}
		})
	}
}

// Guarantee: a raise counts until its time and not at it, ends with the calendar period in the
// budget's zone where that is asked for, and never makes an amount that does not fit.
func TestRaise(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	berlin := registry.Budget{Amount: money.Dollar, Period: period.Month, Zone: "Europe/Berlin"}
	ends := time.Date(2026, 11, 30, 23, 0, 0, 0, time.UTC)
	with := func(edit func(*registry.Budget)) registry.Budget { b := berlin; edit(&b); return b }
	for name, c := range map[string]struct {
		budget registry.Budget
		by     money.Nanos
		end    registry.End
		want   registry.Raise
		wrong  []string
	}{
		"until":            {berlin, 5, registry.End{At: now.Add(time.Hour)}, registry.Raise{By: 5, Until: now.Add(time.Hour)}, nil},
		"whole seconds":    {berlin, 5, registry.End{At: now.Add(1500 * time.Millisecond)}, registry.Raise{By: 5, Until: now.Add(time.Second)}, nil},
		"until reset":      {berlin, 5, registry.End{Reset: true}, registry.Raise{By: 5, Until: ends}, nil},
		"reset of a total": {with(func(b *registry.Budget) { b.Period = period.Total }), 5, registry.End{Reset: true}, registry.Raise{By: 5}, []string{"until_reset:forbidden"}},
		"reset of a rolling": {
			with(func(b *registry.Budget) { b.Period, b.Days = period.Rolling, 7 }), 5,
			registry.End{Reset: true},
			registry.Raise{By: 5},
			[]string{"until_reset:forbidden"},
		},
		"end of one":      {with(func(b *registry.Budget) { b.Raise = registry.Raise{By: 1, Until: ends} }), 0, registry.End{}, registry.Raise{}, nil},
		"none":            {berlin, 0, registry.End{}, registry.Raise{}, nil},
		"no end":          {berlin, 5, registry.End{}, registry.Raise{By: 5}, []string{"until:required"}},
		"past":            {berlin, 5, registry.End{At: now}, registry.Raise{By: 5, Until: now}, []string{"until:out_of_range"}},
		"negative":        {berlin, -1, registry.End{At: now.Add(time.Hour)}, registry.Raise{}, []string{"by:out_of_range"}},
		"does not fit":    {berlin, math.MaxInt64, registry.End{At: now.Add(time.Hour)}, registry.Raise{By: math.MaxInt64, Until: now.Add(time.Hour)}, []string{"by:out_of_range"}},
		"in place of one": {with(func(b *registry.Budget) { b.Raise = registry.Raise{By: 1, Until: ends} }), 5, registry.End{Reset: true}, registry.Raise{By: 5, Until: ends}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b, p := c.budget, registry.NewProblems("")
			b.SetRaise(c.by, c.end, now, p)
			if diff := cmp.Diff(c.wrong, found(t, p)); diff != "" {
				t.Errorf("violations (-want +got):\n%s", diff)
			}
			if c.wrong == nil && b.Raise != c.want {
				t.Errorf("raise %+v, want %+v", b.Raise, c.want)
			}
		})
	}
	b := with(func(b *registry.Budget) { b.Raise = registry.Raise{By: 5, Until: ends} })
	if b.LimitAt(ends.Add(-1)) != money.Dollar+5 || b.LimitAt(ends) != money.Dollar {
		t.Errorf("limit %s before the end, %s at it", b.LimitAt(ends.Add(-1)), b.LimitAt(ends))
	}
	b.Apply(registry.BudgetPatch{Amount: new(money.Max)})
	p := registry.NewProblems("")
	if b.CheckSettings(p); !slices.Equal(found(t, p), []string{"amount:out_of_range"}) {
		t.Errorf("an amount that does not fit with the raise: %v", found(t, p))
	}
}

// Guarantee: a rolling budget's period begins so many days before the end of the day that a window
// covers, in its zone, whatever clocks do.
func TestRollingBegins(t *testing.T) {
	t.Parallel()
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	b := registry.Budget{Period: period.Rolling, Days: 7, Zone: "Europe/Berlin"}
	today := time.Date(2026, 10, 28, 0, 0, 0, 0, berlin) // clocks went back on the 25th
	if got, want := b.Begins(today.Unix()), time.Date(2026, 10, 22, 0, 0, 0, 0, berlin).Unix(); got != want {
		t.Errorf("began at %s, want %s", time.Unix(got, 0).In(berlin), time.Unix(want, 0).In(berlin))
	}
	b.Period, b.Days = period.Day, 0
	if got := b.Begins(today.Unix()); got != today.Unix() {
		t.Errorf("a day begins at %d", got)
	}
}

// Guarantee: each rule of limits finds what it is for, and nothing else is found.
func TestLimitRules(t *testing.T) {
	t.Parallel()
	good := func() registry.Limit {
		return registry.Limit{Name: "l", Scoped: scoped(registry.ScopeEverything, ""), Kind: registry.LimitRequests, Amount: 600}
	}
	check := func(l *registry.Limit, p *registry.Problems) {
		l.Normalize()
		l.Check(p, registry.LimitFacts{})
	}
	checkRules(t, good, check, []rule[registry.Limit]{
		{"good", func(*registry.Limit) {}, nil},
		{"nothing passes", func(l *registry.Limit) { l.Amount = 0 }, nil},
		{"name", func(l *registry.Limit) { l.Name = id.New(id.Limit) }, []string{"name:reserved"}},
		{"no scope", func(l *registry.Limit) { l.Scope = "" }, []string{"scope:required"}},
		{"unknown key", func(l *registry.Limit) { l.Scoped = scoped(registry.ScopeKey, "x") }, []string{"key:unknown"}},
		{"tag", func(l *registry.Limit) { l.Scoped = scoped(registry.ScopeTag, "-x") }, []string{"tag:invalid"}},
		{"no kind", func(l *registry.Limit) { l.Kind = 0 }, []string{"kind:required"}},
		{"unknown kind", func(l *registry.Limit) { l.Kind = 4 }, []string{"kind:required"}},
		{"negative", func(l *registry.Limit) { l.Amount = -1 }, []string{"amount:out_of_range"}},
		{"too large", func(l *registry.Limit) { l.Amount = registry.MaxLimit + 1 }, []string{"amount:out_of_range"}},
		{"burst", func(l *registry.Limit) { l.Burst = 10_000 }, nil},
		{"negative burst", func(l *registry.Limit) { l.Burst = -1 }, []string{"burst:out_of_range"}},
		{"burst at a time", func(l *registry.Limit) { l.Kind, l.Burst = registry.LimitConcurrent, 1 }, []string{"burst:forbidden"}},
		{"unknown fallback", func(l *registry.Limit) { l.Fallback = 4 }, []string{"fallback:invalid"}},
	})
	l, p := good(), registry.NewProblems("")
	l.Check(p, registry.LimitFacts{NameTaken: true, SameKind: "o"})
	if got := found(t, p); !slices.Equal(got, []string{"name:taken", "kind:taken"}) {
		t.Errorf("taken: %v", got)
	}
	for want, l := range map[int64]registry.Limit{
		10: {Kind: registry.LimitRequests, Amount: 600}, 1: {Kind: registry.LimitUnits, Amount: 59}, 7: {Kind: registry.LimitUnits, Amount: 600, Burst: 7},
	} {
		if got := l.Passes(); got != want {
			t.Errorf("%+v lets %d pass at once, want %d", l, got, want)
		}
	}
	for _, l := range []registry.Limit{{Kind: registry.LimitConcurrent, Amount: 600}, {Kind: registry.LimitRequests, Burst: 5}} {
		if got := l.Passes(); got != 0 {
			t.Errorf("%+v lets %d pass at once", l, got)
		}
	}
}

// Guarantee: each rule of whom a key's requests are charged to finds what it is for.
func TestChargedRules(t *testing.T) {
	t.Parallel()
	good := func() registry.Charged {
		return registry.Charged{Team: "a", Customer: "acme", Tags: []string{"b", "a"}}
	}
	check := func(c *registry.Charged, p *registry.Problems) {
		c.Normalize()
		c.Check(p, c.Team == "a")
	}
	checkRules(t, good, check, []rule[registry.Charged]{
		{"good", func(*registry.Charged) {}, nil},
		{"nobody", func(c *registry.Charged) { *c = registry.Charged{} }, nil},
		{"unknown team", func(c *registry.Charged) { c.Team = "b" }, []string{"team:unknown"}},
		{"customer", func(c *registry.Charged) { c.Customer = "a/b" }, []string{"customer:invalid"}},
		{"tag", func(c *registry.Charged) { c.Tags = []string{"a", "a b"} }, []string{"tags:invalid"}},
		{"tag twice", func(c *registry.Charged) { c.Tags = []string{"a", "b", "a"} }, []string{"tags:duplicate"}},
		{"too many tags", func(c *registry.Charged) { c.Tags = []string{"a", "b", "c", "d", "e"} }, []string{"tags:out_of_range"}},
	})
	p := registry.NewProblems("")
	(&registry.Team{Name: "search"}).Check(p, registry.TeamFacts{})
	if got := found(t, p); got != nil {
		t.Errorf("team: %v", got)
	}
	(&registry.Team{Name: "search"}).Check(p, registry.TeamFacts{NameTaken: true})
	(&registry.Team{Name: id.New(id.Team)}).Check(p, registry.TeamFacts{})
	if got := found(t, p); !slices.Equal(got, []string{"name:taken", "name:reserved"}) {
		t.Errorf("teams: %v", got)
	}
}
