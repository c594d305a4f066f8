package attention

import (
	"context"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"tollgate/controlplane/access"
	"tollgate/controlplane/fleet"
	"tollgate/controlplane/registry"
	"tollgate/controlplane/store"
	controlv1 "tollgate/gen/tollgate/control/v1"
	"tollgate/internal/contract"
	"tollgate/internal/fault"
)

// Fleet tells about edges.
type Fleet interface {
	Nodes(newest contract.Version, now time.Time) []fleet.Node
	PublishTime(revision int64) time.Time
}

// Ledger tells about money.
type Ledger interface {
	// BudgetStates are how budgets stand, in their order.
	BudgetStates(ctx context.Context, budgets []registry.Budget) ([]*controlv1.BudgetState, error)
	// UnpricedRequests counts, by id of the endpoint, requests of these UTC days that were charged a fallback and not priced since.
	UnpricedRequests(ctx context.Context, fromDay, toDay string) (map[string]int64, error)
}

// Sources are where the facts come from.
type Sources struct {
	Store  *store.Store
	Fleet  Fleet
	Bus    func() bool                                       // whether NATS is connected; nil if nobody knows
	Ledger Ledger                                            // nil for none
	Drift  func(context.Context) ([]*controlv1.Drift, error) // what is not as its file says; nil for nothing
}

// View is what the board shows at one moment.
type View struct {
	Items   []Item        // the most severe first
	Unknown map[Kind]bool // kinds of which nothing new could be learnt: their items are the last that were known
	AsOf    time.Time
	Budgets []registry.Budget
	States  []*controlv1.BudgetState // in the order of Budgets; of the last time that the ledger answered
	Nodes   []fleet.Node
}

// How old facts may get before they are looked up again.
const (
	looksEvery   = 2 * time.Second  // while somebody asks
	freshFor     = 3 * time.Second  // what is older is not shown: it is looked up while its reader waits
	askedWithin  = time.Minute      // so long after somebody has asked, somebody may ask again
	objectsEvery = 30 * time.Second // keys that expire, without a change of the configuration
	moneyEvery   = 4 * time.Second
	countsEvery  = 15 * time.Second // of requests without a price
	bookWithin   = 2 * time.Second  // the ledger has to answer
	mostListed   = 1000             // of a kind, that is read from the database
)

// Board looks at the facts. It is safe for concurrent use. Make it with New; Run keeps it fresh for those who ask.
type Board struct {
	from Sources
	turn chan struct{} // held by whoever looks

	asked atomic.Int64 // when somebody asked last, in Unix nanoseconds

	mu   sync.Mutex // guards view and seen
	view *View
	seen store.State // that view is of

	// What follows is guarded by turn.
	objects   []Item
	objectsAt time.Time
	objectsOf contract.Version
	budgets   []registry.Budget
	states    []*controlv1.BudgetState
	moneyAt   time.Time
	moneyOf   contract.Version
	unpriced  map[string]int64
	countedAt time.Time
	moneyErr  error
	behind    map[string]time.Time // by name of the edge
	connected time.Time            // since when NATS is, without a break
	fleet     []Item
	noticed   map[string]time.Time // by id of what has no time of its own
}

// New makes a board.
func New(from Sources) *Board {
	return &Board{from: from, turn: make(chan struct{}, 1), behind: map[string]time.Time{}, noticed: map[string]time.Time{}}
}

// Run looks again and again while somebody asks, so that nobody waits, until ctx ends.
func (b *Board) Run(ctx context.Context) error {
	t := time.NewTicker(looksEvery)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-t.C:
		}
		if time.Since(time.Unix(0, b.asked.Load())) < askedWithin {
			_, _ = b.look(ctx, false) // who asks next is told what is wrong
		}
	}
}

// Look is what needs somebody at present, as of a few seconds ago at most and never before the last change of the configuration.
func (b *Board) Look(ctx context.Context) (*View, error) {
	b.asked.Store(time.Now().UnixNano())
	return b.look(ctx, true)
}

// Check is Look for who does not mind to wait, so that nothing is looked up in advance for them.
func (b *Board) Check(ctx context.Context) (*View, error) { return b.look(ctx, true) }

func (b *Board) look(ctx context.Context, freshWillDo bool) (*View, error) {
	st, err := b.from.Store.State(ctx)
	if err != nil {
		return nil, err
	}
	if v := b.fresh(st); v != nil && freshWillDo {
		return v, nil
	}
	select {
	case b.turn <- struct{}{}:
		defer func() { <-b.turn }()
	case <-ctx.Done():
		return nil, fault.New(fault.DeadlineExceeded, "Others look at what needs attention, and it takes too long.").WithCause(ctx.Err())
	}
	if v := b.fresh(st); v != nil && freshWillDo { // somebody has looked meanwhile
		return v, nil
	}
	v, err := b.gather(ctx, st, time.Now())
	if err != nil {
		return nil, err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.view, b.seen = v, st
	return v, nil
}

func (b *Board) fresh(st store.State) *View {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.view != nil && b.seen == st && time.Since(b.view.AsOf) < freshFor {
		return b.view
	}
	return nil
}

func (b *Board) gather(ctx context.Context, st store.State, now time.Time) (*View, error) {
	v := &View{AsOf: now, Unknown: map[Kind]bool{}}
	if err := b.lookAtObjects(ctx, st.Current, now); err != nil {
		return nil, err
	}
	v.Items = append(v.Items, b.objects...)
	failing, err := b.from.Store.FailingAlertChannels(ctx)
	if err != nil {
		return nil, err
	}
	v.Items = append(v.Items, ofChannels(failing)...)
	b.lookAtFleet(v, st.Published, now)
	if err := b.lookAtMoney(ctx, v, st.Current, now); err != nil {
		return nil, err
	}
	if err := b.notice(ctx, v.Items, now); err != nil {
		return nil, err
	}
	sorted(v.Items)
	return v, nil
}

// notice gives what has no time of its own the time at which it was noticed, here or by the control plane that alerts.
func (b *Board) notice(ctx context.Context, items []Item, now time.Time) error {
	there, fresh := map[string]bool{}, []string(nil)
	for n := range items {
		if id := items[n].ID(); items[n].Since.IsZero() {
			if there[id] = true; b.noticed[id].IsZero() {
				fresh = append(fresh, id)
			}
		}
	}
	maps.DeleteFunc(b.noticed, func(id string, _ time.Time) bool { return !there[id] })
	if len(fresh) > 0 {
		known, err := b.from.Store.ConditionsSince(ctx, fresh)
		if err != nil {
			return err
		}
		for _, id := range fresh {
			if b.noticed[id] = known[id]; known[id].IsZero() {
				b.noticed[id] = now
			}
		}
	}
	for n := range items {
		if i := &items[n]; i.Since.IsZero() {
			i.Since = b.noticed[i.ID()]
		}
	}
	return nil
}

func (b *Board) lookAtObjects(ctx context.Context, at contract.Version, now time.Time) error {
	if at == b.objectsOf && now.Sub(b.objectsAt) < objectsEvery {
		return nil
	}
	page := store.Page{Size: mostListed}
	keys, _, err := b.from.Store.Keys(ctx, store.Anywhere, store.ListQuery{Page: page, Filter: "status:expiring", OrderBy: "expire_time"})
	if err != nil {
		return err
	}
	endpoints, _, err := b.from.Store.Endpoints(ctx, store.ListQuery{Page: page, Filter: "price:none disabled:no"})
	if err != nil {
		return err
	}
	var drift []*controlv1.Drift
	if b.from.Drift != nil {
		if drift, err = b.from.Drift(ctx); err != nil {
			return err
		}
	}
	b.objects = slices.Concat(ofKeys(keys, now), ofEndpoints(endpoints), ofDrift(drift))
	b.objectsOf, b.objectsAt = at, now
	return nil
}

// ofEdges are the kinds that are known by heartbeats.
var ofEdges = []Kind{EdgeSilent, EdgeBehind, SpoolOld, BreakerOpen, SecretUnresolved}

// lookAtFleet believes what it hears only if it can hear: without NATS, and right after it came back, every edge seems silent.
func (b *Board) lookAtFleet(v *View, published contract.Version, now time.Time) {
	v.Nodes = b.from.Fleet.Nodes(published, now)
	up := b.from.Bus == nil || b.from.Bus()
	switch {
	case !up:
		b.connected = time.Time{}
	case b.connected.IsZero():
		b.connected = now
	}
	if !up {
		v.Items = append(v.Items, Item{
			Kind: BusAway, Severity: Warning, Verb: "View",
			Sentence: "The control plane is not connected to NATS: edges serve what they have, and neither changes nor news of them come through.",
		})
	}
	if up && (b.from.Bus == nil || now.Sub(b.connected) >= contract.SilentAfter) {
		b.fleet = ofFleet(v.Nodes, published, b.from.Fleet.PublishTime, b.behind, now)
	} else {
		for _, k := range ofEdges {
			v.Unknown[k] = true
		}
	}
	v.Items = append(v.Items, b.fleet...)
}

// ofBooks are the kinds that are known by the ledger.
var ofBooks = []Kind{BudgetExhausted, BudgetAtRisk, BudgetWarned, Unpriced}

func (b *Board) lookAtMoney(ctx context.Context, v *View, at contract.Version, now time.Time) error {
	if b.from.Ledger == nil {
		return nil
	}
	if at != b.moneyOf || now.Sub(b.moneyAt) >= moneyEvery {
		budgets, err := b.allBudgets(ctx)
		if err != nil {
			return err
		}
		b.moneyErr = b.askLedger(ctx, budgets, now)
		if err := ctx.Err(); err != nil {
			return fault.New(fault.DeadlineExceeded, "The ledger does not answer in time.").WithCause(err)
		}
		b.moneyOf, b.moneyAt = at, now
	}
	if b.moneyErr != nil {
		for _, k := range ofBooks {
			v.Unknown[k] = true
		}
		v.Items = append(v.Items, Item{Kind: LedgerAway, Severity: Warning, Verb: "View", Sentence: fault.From(b.moneyErr).Message + " Figures of money are not known."})
	}
	v.Budgets, v.States = b.budgets, b.states
	v.Items = append(v.Items, ofBudgets(b.budgets, b.states)...)
	var ids []string
	for id := range b.unpriced {
		ids = append(ids, id)
	}
	names, err := b.from.Store.Names(ctx, ids)
	if err != nil {
		return err
	}
	v.Items = append(v.Items, ofUnpriced(b.unpriced, names)...)
	return nil
}

// askLedger replaces what is known of money if the ledger answers.
func (b *Board) askLedger(ctx context.Context, budgets []registry.Budget, now time.Time) error {
	ctx, cancel := context.WithTimeout(ctx, bookWithin)
	defer cancel()
	states, err := b.from.Ledger.BudgetStates(ctx, budgets)
	if err != nil {
		return err
	}
	b.budgets, b.states = budgets, states
	if now.Sub(b.countedAt) >= countsEvery {
		today := now.UTC()
		unpriced, err := b.from.Ledger.UnpricedRequests(ctx, today.AddDate(0, 0, -1).Format(time.DateOnly), today.Format(time.DateOnly))
		if err != nil {
			return err
		}
		b.unpriced, b.countedAt = unpriced, now
	}
	return nil
}

func (b *Board) allBudgets(ctx context.Context) ([]registry.Budget, error) {
	var all []registry.Budget
	for q := (store.ListQuery{Page: store.Page{Size: mostListed}}); ; {
		some, next, err := b.from.Store.Budgets(ctx, access.Scope{Everywhere: true}, q)
		if err != nil {
			return nil, err
		}
		all = append(all, some...)
		if next == "" {
			return all, nil
		}
		q.Token = next
	}
}
