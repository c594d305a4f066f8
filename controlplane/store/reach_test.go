package store_test

import (
	"errors"
	"testing"

	"tollgate/controlplane/access"
	"tollgate/controlplane/registry"
	"tollgate/controlplane/store"
	"tollgate/internal/fault"
	"tollgate/internal/period"
	"tollgate/internal/testenv"
)

// Guarantee: whose rights end at a team sees the budgets and limits of the team and of its keys, may change those of its keys alone, and
// learns of no other.
func TestRightsThatEndAtTeams(t *testing.T) {
	t.Parallel()
	pool, ctx := testenv.Postgres(t, migrate), t.Context()
	s, all := store.New(pool), access.Scope{Everywhere: true}
	if _, err := pool.Exec(ctx, `
		INSERT INTO control.team (id, name, revision, create_time) VALUES ('team_a', 'a', 1, now()), ('team_b', 'b', 1, now());
		INSERT INTO control.key (id, name, prefix, sha256, shard, restricted, revision, create_time, team_id) VALUES
			('key_a', 'ka', 'tgk', sha256('a'), 1, false, 1, now(), 'team_a'), ('key_b', 'kb', 'tgk', sha256('b'), 2, false, 1, now(), 'team_b')`); err != nil {
		t.Fatal(err)
	}
	in := access.Scope{Teams: []string{"team_a"}}
	budget := func(name string, scope registry.Scope, of string) registry.Budget {
		return registry.Budget{Name: name, Scoped: registry.Scoped{Scope: scope, ScopeName: of}, Amount: 5, Period: period.Day}
	}
	limit := func(name string, scope registry.Scope, of string) registry.Limit {
		return registry.Limit{Name: name, Scoped: registry.Scoped{Scope: scope, ScopeName: of}, Amount: 5, Kind: registry.LimitRequests}
	}
	is := func(err error, code fault.Code) bool { return errors.Is(err, fault.New(code, "")) }
	for name, of := range map[string]registry.Scoped{
		"ka": {Scope: registry.ScopeKey, ScopeName: "ka"}, "kb": {Scope: registry.ScopeKey, ScopeName: "kb"},
		"a": {Scope: registry.ScopeTeam, ScopeName: "a"}, "all": {Scope: registry.ScopeEverything},
	} {
		want := fault.PermissionDenied
		if name == "ka" {
			want = ""
		}
		_, err := s.CreateBudget(ctx, "test", in, budget(name, of.Scope, of.ScopeName), nil)
		if _, wrong := s.CreateLimit(ctx, "test", in, limit(name, of.Scope, of.ScopeName), nil); want == "" && (err != nil || wrong != nil) || want != "" && (!is(err, want) || !is(wrong, want)) {
			t.Errorf("%s: %v, %v", name, err, wrong)
		}
		if want == "" {
			continue
		}
		_, err = s.CreateBudget(ctx, "test", all, budget(name, of.Scope, of.ScopeName), nil)
		if _, wrong := s.CreateLimit(ctx, "test", all, limit(name, of.Scope, of.ScopeName), nil); err != nil || wrong != nil {
			t.Fatal(err, wrong)
		}
	}
	budgets, _, err := s.Budgets(ctx, in, store.ListQuery{})
	limits, _, wrong := s.Limits(ctx, in, store.ListQuery{})
	if err != nil || wrong != nil || len(budgets) != 2 || budgets[0].Name != "a" || budgets[1].Name != "ka" || len(limits) != 2 || limits[1].Name != "ka" {
		t.Errorf("%v %v, %v %v", budgets, limits, err, wrong)
	}
	for name, want := range map[string]fault.Code{"ka": "", "a": fault.PermissionDenied, "kb": fault.ObjectNotFound, "all": fault.ObjectNotFound} {
		_, sees := s.Budget(ctx, in, name)
		_, seesLimit := s.Limit(ctx, in, name)
		if hidden := want == fault.ObjectNotFound; is(sees, fault.ObjectNotFound) != hidden || is(seesLimit, fault.ObjectNotFound) != hidden {
			t.Errorf("%s is seen: %v, %v", name, sees, seesLimit)
		}
		_, err := s.UpdateBudget(ctx, "test", in, name, registry.BudgetPatch{Soft: new(true)}, "", nil)
		errs := []error{err, s.DeleteBudget(ctx, "test", in, name, ""), s.DeleteLimit(ctx, "test", in, name, "")}
		for i, err := range errs {
			if want == "" && err != nil || want != "" && !is(err, want) {
				t.Errorf("%s, %d: %v, want %q", name, i, err, want)
			}
		}
	}
}
