package attention

import (
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"tollgate/controlplane/access"
	"tollgate/controlplane/fleet"
	"tollgate/controlplane/registry"
	controlv1 "tollgate/gen/tollgate/control/v1"
	eventv1 "tollgate/gen/tollgate/event/v1"
	"tollgate/internal/contract"
	"tollgate/internal/money"
)

var now = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

func node(name string, status fleet.Status, revision int64, edit func(*eventv1.Heartbeat)) fleet.Node {
	beat := &eventv1.Heartbeat{Edge: name, Epoch: 1, Revision: revision}
	if edit != nil {
		edit(beat)
	}
	n := fleet.Node{Heartbeat: beat, Status: status, LastSeen: now.Add(-time.Second)}
	if status == fleet.Silent {
		n.LastSeen = now.Add(-2 * time.Minute)
	}
	return n
}

// lines are what items say, as "kind object severity figure".
func lines(all []Item) (out []string) {
	for _, i := range all {
		out = append(out, strings.TrimSpace(strings.Join([]string{Name(i.Kind), i.ObjectName, SeverityName(int16(i.Severity)), i.Figure}, " ")))
	}
	slices.Sort(out)
	return out
}

func same(t *testing.T, got []Item, want ...string) {
	t.Helper()
	slices.Sort(want)
	if text := lines(got); !slices.Equal(text, want) {
		t.Errorf("got  %q\nwant %q", text, want)
	}
	for _, i := range got {
		if !strings.HasSuffix(i.Sentence, ".") || strings.Contains(i.Sentence, "%!") || i.Verb == "" && i.Listed() {
			t.Errorf("%+v", i)
		}
	}
}

// Guarantee: an edge is worth a line when it is not heard, behind for longer than it takes, or holds charges for long; one that was
// taken out of service, or is behind for a moment, is not.
func TestEdges(t *testing.T) {
	t.Parallel()
	at := func(revision int64) time.Time { return now.Add(-time.Duration(20-revision) * 10 * time.Second) }
	got := ofFleet([]fleet.Node{
		node("gone", fleet.Silent, 10, nil),
		node("stopped", fleet.Silent, 10, func(b *eventv1.Heartbeat) { b.Draining = true }),
		node("behind", fleet.Behind, 17, nil),
		node("catching-up", fleet.Behind, 19, nil),
		node("full", fleet.Live, 20, func(b *eventv1.Heartbeat) { b.SpoolEvents, b.SpoolPercent = 5, 91 }),
		node("old", fleet.Live, 20, func(b *eventv1.Heartbeat) { b.SpoolEvents, b.SpoolAgeMs = 1204, 180_000 }),
		node("fresh", fleet.Live, 20, func(b *eventv1.Heartbeat) { b.SpoolEvents, b.SpoolAgeMs = 1204, 300 }),
	}, contract.Version{Epoch: 1, Revision: 20}, func(r int64) time.Time { return at(r).Add(5 * time.Second) }, map[string]time.Time{}, now)
	same(t, got, "edge_silent gone warning", "edge_behind behind warning 3 revisions", "spool_old full critical 5 charges", "spool_old old warning 1,204 charges")
	alone := ofFleet([]fleet.Node{node("gone", fleet.Silent, 10, nil)}, contract.Version{Epoch: 1, Revision: 20}, at, map[string]time.Time{}, now)
	same(t, alone, "edge_silent gone critical")
}

// Guarantee: since when an edge is behind is known also where nobody knows when a revision was published, and begins anew when it has
// caught up.
func TestBehindSince(t *testing.T) {
	t.Parallel()
	unknown := func(int64) time.Time { return time.Time{} }
	behind, newest := map[string]time.Time{}, contract.Version{Epoch: 1, Revision: 20}
	look := func(status fleet.Status, at time.Time) []Item {
		return ofFleet([]fleet.Node{node("e", status, 19, nil)}, newest, unknown, behind, at)
	}
	same(t, look(fleet.Behind, now))
	late := look(fleet.Behind, now.Add(11*time.Second))
	same(t, late, "edge_behind e warning 1 revision")
	if !late[0].Since.Equal(now) {
		t.Errorf("since %v", late[0].Since)
	}
	same(t, look(fleet.Live, now.Add(12*time.Second)))
	same(t, look(fleet.Behind, now.Add(13*time.Second)))
}

// Guarantee: a target that fails and a secret that cannot be read are one line each, however many edges tell of it, and worse where
// nothing else serves the endpoint.
func TestTargetsAndSecrets(t *testing.T) {
	t.Parallel()
	target := func(endpoint, url, state string) *eventv1.TargetState {
		return &eventv1.TargetState{Endpoint: endpoint, Target: url, State: state}
	}
	edge := func(name string) fleet.Node {
		return node(name, fleet.Live, 20, func(b *eventv1.Heartbeat) {
			b.Targets = []*eventv1.TargetState{
				target("bria", "https://a.example.com", "open"), target("bria", "https://b.example.com", "ok"),
				target("ocr", "https://c.example.com", "half-open"), target("chat/gpt", "https://d.example.com", "ejected"), target("fine", "https://e.example.com", "ok"),
			}
			b.UnresolvedSecrets = map[string]string{"vault-token": "the vault says 403"}
			b.MissingEnv = []string{"API_KEY"}
		})
	}
	got := ofFleet([]fleet.Node{edge("a"), edge("b"), node("c", fleet.Live, 20, nil)}, contract.Version{Epoch: 1, Revision: 20}, nil, map[string]time.Time{}, now)
	same(t, got,
		"breaker_open bria warning 2 of 3 edges", "breaker_open ocr critical 2 of 3 edges", "breaker_open chat critical 2 of 3 edges",
		"secret_unresolved vault-token critical 2 of 3 edges", "secret_unresolved API_KEY critical 2 of 3 edges")
	ids := map[string]bool{}
	for _, i := range got {
		ids[i.ID()] = true
	}
	if len(ids) != len(got) {
		t.Errorf("%d ids of %d items: %v", len(ids), len(got), slices.Sorted(maps.Keys(ids)))
	}
}

// Guarantee: a budget is worth a line when it is used up or will be, worse where requests are refused for it; one of nothing, of which
// nothing was spent, is as somebody wants it.
func TestBudgets(t *testing.T) {
	t.Parallel()
	budget := func(name string, soft bool) registry.Budget {
		return registry.Budget{ID: "bud_" + name, Name: name, Soft: soft, Zone: "Europe/Berlin"}
	}
	state := func(limit, spent int64, status controlv1.BudgetStatus, percents ...uint32) *controlv1.BudgetState {
		st := &controlv1.BudgetState{Limit: contract.MoneyToProto(money.Nanos(limit) * money.Dollar), Spent: contract.MoneyToProto(money.Nanos(spent) * money.Dollar), Status: status}
		for _, p := range percents {
			st.Warnings = append(st.Warnings, &controlv1.BudgetWarning{Percent: p, Time: timestamppb.New(now.Add(-time.Hour))})
		}
		return st
	}
	const ok, risk, out = controlv1.BudgetStatus_BUDGET_STATUS_OK, controlv1.BudgetStatus_BUDGET_STATUS_AT_RISK, controlv1.BudgetStatus_BUDGET_STATUS_EXHAUSTED
	soon := state(100, 60, risk)
	soon.RunsOutAfter, soon.RunsOutBefore, soon.PeriodEnd = timestamppb.New(now.Add(time.Hour)), timestamppb.New(now.Add(3*time.Hour)), timestamppb.New(now.AddDate(0, 0, 7))
	got := ofBudgets(
		[]registry.Budget{budget("marketing", false), budget("notes", true), budget("none", false), budget("soon", false), budget("warned", false), budget("fine", false)},
		[]*controlv1.BudgetState{state(500, 500, out, 80, 100), state(5, 7, out), state(0, 0, out), soon, state(100, 81, risk, 80), state(100, 1, ok)},
	)
	same(t, got,
		"budget_exhausted marketing critical $500.00 of $500.00", "budget_warned marketing warning $500.00 of $500.00", "budget_warned marketing warning $500.00 of $500.00",
		"budget_exhausted notes warning $7.00 of $5.00", "budget_at_risk soon warning $60.00 of $100.00",
		"budget_at_risk warned warning $81.00 of $100.00", "budget_warned warned warning $81.00 of $100.00")
	for _, i := range got {
		if i.Kind == BudgetExhausted && i.ObjectName == "marketing" && !i.Since.Equal(now.Add(-time.Hour)) {
			t.Errorf("since %v", i.Since)
		}
		if i.ObjectName == "soon" && i.Sentence != "Budget soon runs out between 23 Nov 14:00 and 23 Nov 16:00 CET at the pace of late, before it starts anew." {
			t.Errorf("%s", i.Sentence)
		}
	}
}

// Guarantee: amounts are shown to the cent from a dollar on, and never as nothing when they are something.
func TestShort(t *testing.T) {
	t.Parallel()
	for n, want := range map[money.Nanos]string{12_345_678_901: "$12.34", 24_000: "$0.000024", 0: "$0.00", money.Dollar: "$1.00"} {
		if got := short(n); got != want {
			t.Errorf("%d: %s, not %s", n, got, want)
		}
	}
}

// Guarantee: every kind says who may see it, and people of a team see what concerns their team and nothing that concerns all.
func TestVisible(t *testing.T) {
	t.Parallel()
	all := &access.Caller{Everywhere: access.Everything}
	own := &access.Caller{Teams: map[string]controlv1.TeamRole{"team_a": controlv1.TeamRole_TEAM_ROLE_MEMBER}}
	for n, name := range controlv1.AttentionKind_name {
		k := Kind(n)
		if n == 0 {
			continue
		}
		if !Visible(all, k, "") || Visible(own, k, "") || Visible(own, k, "team_b") || Visible(&access.Caller{}, k, "team_a") {
			t.Errorf("%s", name)
		}
		if KindOf(Name(k)) != k {
			t.Errorf("%s is called %q", name, Name(k))
		}
	}
	if !Visible(own, BudgetExhausted, "team_a") || !Visible(own, KeyExpiring, "team_a") || Visible(own, EdgeSilent, "team_a") {
		t.Error("what people of a team see")
	}
}

// Guarantee: keys that expire soon are worth a line, worse in the last days.
func TestKeys(t *testing.T) {
	t.Parallel()
	key := func(name string, left time.Duration) registry.Key {
		return registry.Key{ID: "key_" + name, Name: name, Expires: now.Add(left), Created: now.AddDate(-1, 0, 0)}
	}
	got := ofKeys([]registry.Key{key("ci", 75*time.Hour), key("web", 71*time.Hour), key("batch", 30*time.Minute)}, now)
	same(t, got, "key_expiring ci info 3 days", "key_expiring web warning 2 days", "key_expiring batch warning 30 minutes")
}
