package simulation_test

import (
	"time"

	"tollgate/edge/admit"
	eventv1 "tollgate/gen/tollgate/event/v1"
	"tollgate/internal/contract"
	"tollgate/internal/money"
)

// account is a budget as the control plane would have it now. Edges and ledgers hear of a change at
// some time of their own.
type account struct {
	id        int64
	part      uint32
	gen       uint32
	period    eventv1.AccountPeriod
	days      uint32
	zone      string
	limit     money.Nanos
	version   int64
	soft      bool
	overdraft money.Nanos
}

var (
	zones   = []string{"UTC", "Europe/Berlin", "America/New_York", "Asia/Kathmandu", "Australia/Lord_Howe"}
	periods = []eventv1.AccountPeriod{
		eventv1.AccountPeriod_ACCOUNT_PERIOD_TOTAL, eventv1.AccountPeriod_ACCOUNT_PERIOD_TOTAL,
		eventv1.AccountPeriod_ACCOUNT_PERIOD_HOUR, eventv1.AccountPeriod_ACCOUNT_PERIOD_HOUR,
		eventv1.AccountPeriod_ACCOUNT_PERIOD_DAY, eventv1.AccountPeriod_ACCOUNT_PERIOD_WEEK,
		eventv1.AccountPeriod_ACCOUNT_PERIOD_MONTH, eventv1.AccountPeriod_ACCOUNT_PERIOD_ROLLING,
	}
)

func newAccount(w *world, id int64) *account {
	a := &account{
		id: id, part: contract.PartitionOf(id, w.shape.parts), version: 1,
		period: periods[w.rng.IntN(len(periods))], zone: zones[w.rng.IntN(len(zones))],
		limit: money.Nanos(30 + w.rng.IntN(300)*(1+9*w.rng.IntN(2))),
	}
	if a.period == eventv1.AccountPeriod_ACCOUNT_PERIOD_ROLLING {
		a.days = uint32(2 + w.rng.IntN(4))
	}
	if w.coin(6) {
		a.soft, a.overdraft = true, money.Nanos(w.rng.IntN(40))
	}
	return a
}

// wire is the account as it is published.
func (a *account) wire() *eventv1.Account {
	return &eventv1.Account{
		Id: a.id, Part: a.part, Gen: a.gen, Period: a.period, Days: a.days, TimeZone: a.zone,
		LimitNanos: int64(a.limit), Version: a.version, BudgetName: "budget", Subject: "key k",
		Scope: eventv1.AccountScope_ACCOUNT_SCOPE_KEY, Soft: a.soft, OverdraftNanos: int64(a.overdraft),
	}
}

// window is the account's window at a time.
func (a *account) window(at time.Time) contract.Window {
	win, _, err := contract.WindowAt(a.wire(), at)
	if err != nil {
		panic(err)
	}
	return win
}

// compiled is the account as an edge uses it.
func (a *account) compiled() *admit.Account {
	c, err := admit.NewAccount(a.wire())
	if err != nil {
		panic(err)
	}
	return c
}

// edit changes a limit or begins a window anew. The ledger hears of it at once or, one time in three,
// the edges do first.
func (w *world) edit() {
	if !w.shape.edits || !w.coin(3) {
		return
	}
	a := w.accounts[w.rng.IntN(len(w.accounts))]
	a.version++
	if w.coin(5) {
		a.gen++
		w.count["reset"]++
	} else {
		a.limit = money.Nanos(20 + w.rng.IntN(500))
		w.count["edited"]++
	}
	early := w.coin(3)
	if early {
		w.tellEdges(a)
	}
	w.parts[a.part].apply(a)
	if !early {
		w.tellEdges(a)
	}
}

// tellEdges brings a snapshot to the edges, now or after a while.
func (w *world) tellEdges(a *account) {
	if w.is(editUntold) {
		return
	}
	for _, e := range w.edges {
		if w.fault(2) {
			w.send(packet{kind: snapshot, edge: e, account: a})
			continue
		}
		e.accounts[a.id] = a.compiled()
	}
}
