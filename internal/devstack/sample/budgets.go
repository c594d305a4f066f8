package sample

import (
	"context"
	"time"

	controlv1 "tollgate/gen/tollgate/control/v1"
	"tollgate/gen/tollgate/control/v1/controlv1connect"
	"tollgate/internal/contract"
	"tollgate/internal/money"
)

// plannedBudget is a budget of this month with an amount that follows from what the history has spent of it.
type plannedBudget struct {
	name  string
	set   func(*controlv1.Budget)
	of    func(*attempt) bool
	limit func(spent, pace money.Nanos, left time.Duration) money.Nanos // pace is a day's
}

func ofTeam(name string) (func(*controlv1.Budget), func(*attempt) bool) {
	return func(b *controlv1.Budget) { b.Scope = &controlv1.Budget_Team{Team: name} }, func(a *attempt) bool { return keyOf(a.key).team == name }
}

func onKey(b *controlv1.Budget)        { b.Scope = &controlv1.Budget_Key{Key: "ci-bot"} }
func onCustomer(b *controlv1.Budget)   { b.Scope = &controlv1.Budget_Customer{Customer: "acme"} }
func onEverything(b *controlv1.Budget) { b.Scope = &controlv1.Budget_Everything{Everything: true} }

// onEndpoint is on what is too important to refuse: it only warns.
func onEndpoint(b *controlv1.Budget) {
	b.Scope, b.Enforcement = &controlv1.Budget_Endpoint{Endpoint: "bria"}, controlv1.Enforcement_ENFORCEMENT_SOFT
}

func plannedBudgets() []plannedBudget {
	marketing, ofMarketing := ofTeam("marketing")
	search, ofSearch := ofTeam("search")
	ops, ofOps := ofTeam("ops")
	return []plannedBudget{
		{"marketing-month", marketing, ofMarketing, func(spent, _ money.Nanos, _ time.Duration) money.Nanos { return spent }},
		{"search-month", search, ofSearch, func(spent, pace money.Nanos, left time.Duration) money.Nanos {
			return roundUp(spent+over(pace, min(2*24*time.Hour, left/3)), money.Dollar)
		}},
		{"ops-month", ops, ofOps, func(spent, pace money.Nanos, left time.Duration) money.Nanos {
			return roundUp(spent+2*over(pace, left), 50*money.Dollar)
		}},
		{"ci-bot-month", onKey, func(a *attempt) bool { return a.key == "ci-bot" }, func(spent, pace money.Nanos, left time.Duration) money.Nanos {
			return roundUp(spent+over(pace, min(4*24*time.Hour, left*2/3)), money.Dollar)
		}},
		{"bria-month", onEndpoint, func(a *attempt) bool { return a.endpoint == "bria" }, func(spent, _ money.Nanos, _ time.Duration) money.Nanos {
			return roundUp(spent+spent/8, 50*money.Dollar)
		}},
		{"acme-month", onCustomer, func(a *attempt) bool { return a.customer == "acme" }, func(spent, pace money.Nanos, left time.Duration) money.Nanos {
			return roundUp(spent+2*over(pace, left), 25*money.Dollar)
		}},
		{"everything-month", onEverything, func(*attempt) bool { return true }, func(money.Nanos, money.Nanos, time.Duration) money.Nanos {
			return 6000 * money.Dollar
		}},
	}
}

// over is what is spent in a time at so much a day.
func over(pace money.Nanos, d time.Duration) money.Nanos {
	return pace / (24 * 60) * money.Nanos(d/time.Minute)
}

func roundUp(n, to money.Nanos) money.Nanos { return max((n+to-1)/to, 1) * to }

// spentOf is what a budget's requests cost in this month, and what they cost a day of late.
func (d *Data) spentOf(p *plannedBudget) (spent, pace money.Nanos) {
	month, _ := monthOf(d.end)
	var day, week money.Nanos
	for i := range d.past {
		a := &d.past[i]
		if !p.of(a) {
			continue
		}
		if !a.at.Before(month) {
			spent += a.cost
		}
		if age := d.end.Sub(a.at); age < 7*24*time.Hour {
			week += a.cost
			if age < 24*time.Hour {
				day += a.cost
			}
		}
	}
	return spent, max(day, week/7)
}

func (d *Data) makeBudgets(ctx context.Context) error {
	client := controlv1connect.NewBudgetServiceClient(d.o.Client, d.o.URL)
	_, ends := monthOf(d.end)
	for _, p := range plannedBudgets() {
		spent, pace := d.spentOf(&p)
		b := &controlv1.Budget{
			Name: p.name, Amount: contract.MoneyToProto(p.limit(spent, pace, ends.Sub(d.end))), Period: controlv1.Period_PERIOD_MONTH, TimeZone: "UTC",
			WarnPercents: []uint32{50, 80, 100},
		}
		p.set(b)
		if _, err := client.CreateBudget(ctx, &controlv1.CreateBudgetRequest{Budget: b}); exists(err) != nil {
			return err
		}
	}
	return nil
}
