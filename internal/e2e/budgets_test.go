package e2e_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	controlv1 "tollgate/gen/tollgate/control/v1"
	"tollgate/internal/contract"
	"tollgate/internal/money"
	"tollgate/internal/testenv"
)

// refusal is why a gateway refuses.
type refusal struct {
	Code, Message, Hint string
}

func refusalOf(body []byte) refusal {
	var e struct{ Error refusal }
	_ = json.Unmarshal(body, &e)
	return e.Error
}

// refused returns once an edge refuses a call because a budget is used up, and says how it puts it.
func (c *cluster) refused(edge int, key, path string, headers ...string) refusal {
	c.t.Helper()
	var why refusal
	testenv.Eventually(c.t, eventually, func() error {
		resp, body, err := c.call(edge, key, path, headers...)
		if err != nil {
			return err
		}
		if why = refusalOf(body); why.Code != "budget_exhausted" || resp.StatusCode != http.StatusPaymentRequired {
			return fmt.Errorf("%s %s", resp.Status, body)
		}
		return nil
	})
	return why
}

// passes fails unless a call passes.
func (c *cluster) passes(edge int, key, path string, headers ...string) *http.Response {
	c.t.Helper()
	resp, body, err := c.call(edge, key, path, headers...)
	if err != nil || resp.StatusCode != http.StatusOK {
		c.t.Fatalf("edge %d: %v %v %s", edge+1, err, resp, body)
	}
	return resp
}

// Guarantee: a request that draws on eight budgets, of all scopes and in four partitions of the ledger,
// is charged to each of them to the nano-dollar, and is refused by the smallest, which the refusal names
// with what is left of it and when it begins anew; none of the others is charged for what was refused.
func TestEightBudgetsInFourPartitions(t *testing.T) {
	t.Parallel()
	c := start(t, withPartitions(4))
	c.endpoint("bria", "/bria", "0.02")
	c.must(c.rpc.teams.CreateTeam(t.Context(), &controlv1.CreateTeamRequest{Name: "search"}))
	key := c.key("ci-bot", func(r *controlv1.CreateKeyRequest) { r.Team, r.Tags = "search", []string{"nightly"} })
	names := []string{"key-total", "key-month", "team-week", "customer-month", "tag-hour", "tag-days", "endpoint-day", "everything"}
	for i, change := range []func(*controlv1.Budget){
		func(*controlv1.Budget) {},
		func(b *controlv1.Budget) { b.Period = controlv1.Period_PERIOD_MONTH },
		func(b *controlv1.Budget) {
			b.Scope, b.Period = &controlv1.Budget_Team{Team: "search"}, controlv1.Period_PERIOD_WEEK
		},
		func(b *controlv1.Budget) {
			b.Scope, b.Period, b.Amount = &controlv1.Budget_Customer{Customer: "acme"}, controlv1.Period_PERIOD_MONTH, contract.MoneyToProto(nanos(t, "0.05"))
		},
		func(b *controlv1.Budget) {
			b.Scope, b.Period = &controlv1.Budget_Tag{Tag: "nightly"}, controlv1.Period_PERIOD_HOUR
		},
		func(b *controlv1.Budget) {
			b.Scope, b.Period, b.RollingDays = &controlv1.Budget_Tag{Tag: "eu"}, controlv1.Period_PERIOD_ROLLING, 7
		},
		func(b *controlv1.Budget) {
			b.Scope, b.Period = &controlv1.Budget_Endpoint{Endpoint: "bria"}, controlv1.Period_PERIOD_DAY
		},
		func(b *controlv1.Budget) { b.Scope = &controlv1.Budget_Everything{Everything: true} },
	} {
		c.budget(names[i], "ci-bot", "100.00", change)
	}
	c.awaitLive()
	labels := []string{"X-Tollgate-Customer", "acme", "X-Tollgate-Tags", "eu"}
	resetsAt := func() string {
		now := time.Now().UTC()
		return time.Date(now.Year(), now.Month()+1, 1, 0, 0, 0, 0, time.UTC).Format(time.RFC3339)
	}
	before := resetsAt()
	for edge := range 2 {
		c.passes(edge, key, "/bria/x", labels...)
	}
	testenv.Eventually(t, eventually, func() error { // what is not booked yet, an edge does not know of another
		if got := c.dollars(c.state("customer-month").GetSpent()); got != nanos(t, "0.04") {
			return fmt.Errorf("%s are booked", got)
		}
		return nil
	})
	for edge := range 2 {
		why := c.refused(edge, key, "/bria/x", labels...)
		if !strings.HasPrefix(why.Message, "Budget customer-month: customer acme has $0.01 left this month; this request needs $0.02") {
			t.Errorf("edge %d refuses with %q", edge+1, why.Message)
		}
		if !strings.Contains(why.Hint, "It resets "+before) && !strings.Contains(why.Hint, "It resets "+resetsAt()) {
			t.Errorf("edge %d hints %q", edge+1, why.Hint)
		}
	}
	c.passes(0, key, "/bria/x", "X-Tollgate-Customer", "another", "X-Tollgate-Tags", "eu")
	c.awaitSpent(nanos(t, "0.06"))
	for _, name := range names {
		want := nanos(t, "0.06")
		if name == "customer-month" {
			want = nanos(t, "0.04")
		}
		testenv.Eventually(t, eventually, func() error { // each partition books by itself
			if got := c.dollars(c.state(name).GetSpent()); got != want {
				return fmt.Errorf("%s has spent %s, want %s", name, got, want)
			}
			return nil
		})
	}
	if n := c.number(`SELECT count(DISTINCT part) FROM ledger.account`); n != 4 {
		t.Errorf("the accounts are in %d partitions", n)
	}
	for _, p := range c.roles()[2:] {
		p.stop()
	}
	if stdout, stderr, code := c.books("verify"); code != 0 {
		t.Errorf("ledger verify exited %d:\n%s%s", code, stdout, stderr)
	}
}

// Guarantee: a soft budget refuses nothing; what was spent beyond it is in the books and is shown, and so
// are the warnings that were asked for.
func TestSoftBudgetOnlyWarns(t *testing.T) {
	t.Parallel()
	c := start(t)
	c.endpoint("bria", "/bria", "0.02")
	key := c.key("ci-bot")
	c.budget("watched", "ci-bot", "0.05", func(b *controlv1.Budget) {
		b.Enforcement, b.WarnPercents = controlv1.Enforcement_ENFORCEMENT_SOFT, []uint32{50, 100, 500}
	})
	c.awaitLive()
	for i := range 10 {
		c.passes(i%2, key, "/bria/x")
	}
	c.awaitSpent(nanos(t, "0.20"))
	testenv.Eventually(t, eventually, func() error {
		s := c.state("watched")
		if spent, left := c.dollars(s.GetSpent()), c.dollars(s.GetRemaining()); spent != nanos(t, "0.20") || left != -nanos(t, "0.15") {
			return fmt.Errorf("%s are spent, %s are left", spent, left)
		}
		// Of what was granted, 0.05 at most, an edge may have given some back.
		if over := c.dollars(s.GetOverrun()); over < nanos(t, "0.15") || over > nanos(t, "0.20") {
			return fmt.Errorf("the overrun is %s", over)
		}
		var warned []uint32
		for _, w := range s.GetWarnings() {
			warned = append(warned, w.GetPercent())
		}
		if fmt.Sprint(warned) != "[50 100]" {
			return fmt.Errorf("warned at %v", warned)
		}
		return nil
	})
	stdout, stderr, code := c.cli("budget", "get", "watched", "-o", "json")
	if code != 0 || !strings.Contains(stdout, `"-0.15"`) || !strings.Contains(stdout, `"overrun"`) {
		t.Errorf("budget get exited %d:\n%s%s", code, stdout, stderr)
	}
	if stdout, stderr, code := c.books("verify"); code != 0 {
		t.Errorf("ledger verify exited %d:\n%s%s", code, stdout, stderr)
	}
}

// Guarantee: a soft budget with an overdraft is overspent by that on each edge at most, and refuses then.
func TestOverdraftIsBoundedOnEachEdge(t *testing.T) {
	t.Parallel()
	c := start(t, withLeaseAhead(1))
	c.endpoint("bria", "/bria", "0.02")
	key := c.key("ci-bot")
	c.budget("stretched", "ci-bot", "0.05", func(b *controlv1.Budget) {
		b.Enforcement, b.Overdraft = controlv1.Enforcement_ENFORCEMENT_SOFT, contract.MoneyToProto(nanos(t, "0.07"))
	})
	c.awaitLive()
	for edge := range c.edges {
		c.refused(edge, key, "/bria/x")
	}
	// Each edge has spent three requests beyond. How many the budget itself adds depends on who asks for it
	// when: a cent that is left of it makes with one of an overdraft another. $0.05 and twice $0.07 are nine.
	n := c.vendor.Count()
	if n < 6 || n > 9 {
		t.Errorf("%d requests passed; want 6 to 9", n)
	}
	c.awaitSpent(money.Nanos(n) * nanos(t, "0.02"))
}

// Guarantee: a raise of a budget is in force on every edge within a second of the RPC's return, and so is a
// reset, also where requests were refused a moment before; what was spent before a reset stays in the
// books, and counts no more.
func TestRaiseAndResetReachEveryEdge(t *testing.T) {
	t.Parallel()
	c := start(t, withEdges(3), withLeaseAhead(1))
	c.endpoint("bria", "/bria", "0.02")
	key := c.key("ci-bot")
	c.budget("daily", "ci-bot", "0.03", func(b *controlv1.Budget) { b.Period = controlv1.Period_PERIOD_MONTH })
	c.awaitLive()
	c.passes(0, key, "/bria/x")
	inForce := func() time.Duration {
		t.Helper()
		began := time.Now()
		for edge := range c.edges {
			testenv.Eventually(t, eventually, func() error {
				resp, body, err := c.call(edge, key, "/bria/x")
				if err == nil && resp.StatusCode != http.StatusOK {
					err = fmt.Errorf("edge %d: %s %s", edge+1, resp.Status, body)
				}
				return err
			})
		}
		return time.Since(began)
	}
	exhausted := func() {
		t.Helper()
		for edge := range c.edges {
			c.refused(edge, key, "/bria/x")
		}
	}
	exhausted()
	spent := nanos(t, "0.02")
	c.promptly("a raise", func() time.Duration {
		c.must(c.rpc.budgets.RaiseBudget(t.Context(), &controlv1.RaiseBudgetRequest{
			Budget: "daily", By: contract.MoneyToProto(nanos(t, "0.06")), End: &controlv1.RaiseBudgetRequest_Until{Until: timestamppb.New(time.Now().Add(time.Hour))},
		}))
		took := inForce()
		exhausted()
		spent += nanos(t, "0.06")
		c.awaitSpent(spent)
		return took
	})
	if stdout, stderr, code := c.cli("budget", "reset", "daily"); code != 0 {
		t.Fatalf("budget reset exited %d:\n%s%s", code, stdout, stderr)
	}
	inForce()
	c.awaitSpent(spent + nanos(t, "0.06"))
	testenv.Eventually(t, eventually, func() error {
		if got := c.dollars(c.state("daily").GetSpent()); got != nanos(t, "0.06") {
			return fmt.Errorf("%s are spent since the reset", got)
		}
		return nil
	})
	if stdout, stderr, code := c.cli("budget", "raise", "daily", "--end"); code != 0 {
		t.Fatalf("budget raise --end exited %d:\n%s%s", code, stdout, stderr)
	}
	testenv.Eventually(t, eventually, func() error {
		if got := c.dollars(c.state("daily").GetLimit()); got != nanos(t, "0.03") {
			return fmt.Errorf("the limit is %s", got)
		}
		return nil
	})
	exhausted()
}

// Guarantee: an edge that knows a budget can spend it, and not more than that, also for the first time,
// while NATS is down: it asks the ledgers themselves, of which some may be down.
func TestBudgetsCanBeSpentWithoutNATS(t *testing.T) {
	t.Parallel()
	c := start(t, withLedgerURLs, withLeaseAhead(1), withPartitions(2))
	const price = 10_000_000 * money.Nanos(1)
	c.endpoint("bria", "/bria", price.String())
	key := c.key("ci-bot")
	c.budget("fresh", "ci-bot", "0.055")
	c.budget("all", "ci-bot", "10.00", func(b *controlv1.Budget) { b.Scope = &controlv1.Budget_Everything{Everything: true} })
	c.awaitLive()
	// The ledger hears of budgets over NATS as well, from nobody after this.
	testenv.Eventually(t, eventually, func() error {
		if n := c.number("SELECT count(*) FROM ledger.account"); n != 2 {
			return fmt.Errorf("the ledger knows %d budgets", n)
		}
		return nil
	})
	c.nats.kill()
	passed := 0
	for i := 0; passed < 5; i++ {
		testenv.Eventually(t, eventually, func() error {
			resp, body, err := c.call(i%2, key, "/bria/x")
			if err == nil && resp.StatusCode != http.StatusOK {
				err = fmt.Errorf("edge %d after %d requests: %s %s", i%2+1, passed, resp.Status, body)
			}
			return err
		})
		passed++
	}
	for edge := range c.edges {
		c.refused(edge, key, "/bria/x")
	}
	if n := c.vendor.Count(); n != 5 {
		t.Errorf("the vendor saw %d requests", n)
	}
	c.nats.start()
	c.awaitSpent(5 * price)
}
