package grants

import (
	"cmp"
	"context"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"google.golang.org/protobuf/proto"

	eventv1 "tollgate/gen/tollgate/event/v1"
	"tollgate/internal/contract"
	"tollgate/ledger/escrow"
	"tollgate/ledger/store"
)

// Publisher sends without waiting for anybody. *nats.Conn is one.
type Publisher interface {
	Publish(subject string, data []byte) error
}

// pace is how often edges hear of one account at most.
const pace = 50 * time.Millisecond

// maxPush bounds a message to an edge.
const maxPush = 1000

// Push speaks to edges unasked. It is safe for concurrent use.
type Push struct {
	nc   Publisher
	log  *slog.Logger
	part uint32
	// history is the number of the database's history, which goes with every mark.
	history int64
	wake    chan struct{}

	mu      sync.Mutex // guards the pacers
	recalls pacer[escrow.Recall]
	changes pacer[int64]
}

// NewPush makes a Push for a partition and the history of its database.
func NewPush(nc Publisher, part uint32, history int64, log *slog.Logger) *Push {
	return &Push{
		nc: nc, log: log, part: part, history: history, wake: make(chan struct{}, 1),
		recalls: newPacer[escrow.Recall](), changes: newPacer[int64](),
	}
}

// Run sends what had to wait for its turn, until ctx ends.
func (p *Push) Run(ctx context.Context) error {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-p.wake:
		case <-timer.C:
		}
		now := time.Now()
		p.mu.Lock()
		recalls, changed := p.recalls.due(now), p.changes.due(now)
		waiting := p.recalls.waits() || p.changes.waits()
		p.mu.Unlock()
		p.sendRecalls(recalls)
		p.sendChanged(changed)
		if waiting {
			timer.Reset(pace / 5)
		}
	}
}

// Recall asks edges to give back, each account at most once in a while: the rest follows. It returns
// what was sent at once.
func (p *Push) Recall(recalls []escrow.Recall) []escrow.Recall {
	now := time.Now()
	p.mu.Lock()
	var out []escrow.Recall
	for account, list := range byAccount(recalls, func(r escrow.Recall) int64 { return r.Window.Account }) {
		out = append(out, p.recalls.offer(now, account, list)...)
	}
	p.mu.Unlock()
	p.sendRecalls(out)
	p.signal()
	return out
}

// Changed tells all edges that what they remember of refusals is void.
func (p *Push) Changed(accounts []int64) {
	if len(accounts) == 0 {
		return
	}
	now := time.Now()
	p.mu.Lock()
	var out []int64
	for _, a := range accounts {
		out = append(out, p.changes.offer(now, a, []int64{a})...)
	}
	p.mu.Unlock()
	p.sendChanged(out)
	p.signal()
}

// Marks tells edges how far their events are booked.
func (p *Push) Marks(marks []store.Mark) {
	edges := map[string]*eventv1.EdgeControl{}
	for _, m := range marks {
		c := edges[m.Edge]
		if c == nil {
			c = &eventv1.EdgeControl{Inc: m.Inc}
			edges[m.Edge] = c
		}
		c.Marks = append(c.Marks, &eventv1.Mark{Inc: m.Inc, Part: p.part, Hwm: m.HWM, Gap: m.Gap, Epoch: p.history})
	}
	for edge, c := range edges {
		p.control(edge, c)
	}
}

// Progress tells incarnations what others have spent.
func (p *Push) Progress(list []store.Progress) {
	for to, part := range byEdge(list, func(g store.Progress) target { return target{g.Edge, g.Answer.Inc} }) {
		for some := range slices.Chunk(part, maxPush) {
			c := &eventv1.EdgeControl{Inc: to.inc}
			for _, g := range some {
				c.Grants = append(c.Grants, grantLine(g.Answer, eventv1.LeaseState_LEASE_STATE_UNSPECIFIED))
			}
			p.control(to.edge, c)
		}
	}
}

func (p *Push) signal() {
	select {
	case p.wake <- struct{}{}:
	default:
	}
}

func (p *Push) sendRecalls(recalls []escrow.Recall) {
	for to, part := range byEdge(recalls, func(r escrow.Recall) target { return target{r.Edge, r.Inc} }) {
		for some := range slices.Chunk(part, maxPush) {
			c := &eventv1.EdgeControl{Inc: to.inc}
			for _, r := range some {
				c.Recalls = append(c.Recalls, r.Window.ToProto())
			}
			p.control(to.edge, c)
		}
	}
}

func (p *Push) sendChanged(accounts []int64) {
	slices.Sort(accounts)
	for some := range slices.Chunk(accounts, maxPush) {
		p.publish(contract.BudgetChanged, &eventv1.BudgetChanged{Accounts: some})
	}
}

func (p *Push) control(edge string, c *eventv1.EdgeControl) {
	if contract.ValidEdgeName(edge) {
		p.publish(contract.EdgeControl(edge), c)
	}
}

func (p *Push) publish(subject string, m proto.Message) {
	data, err := proto.Marshal(m)
	if err == nil {
		err = p.nc.Publish(subject, data)
	}
	if err != nil {
		p.log.Debug("push not sent", "subject", subject, "err", err) // whoever needs it asks again
	}
}

type target struct {
	edge string
	inc  int64
}

func byEdge[T any](list []T, of func(T) target) map[target][]T {
	out := map[target][]T{}
	for _, v := range list {
		out[of(v)] = append(out[of(v)], v)
	}
	return out
}

func byAccount[T any](list []T, of func(T) int64) map[int64][]T {
	out := map[int64][]T{}
	for _, v := range list {
		out[of(v)] = append(out[of(v)], v)
	}
	return out
}

// pacer lets something about each account through once in a while and keeps the rest, without
// repetitions, until then.
type pacer[T comparable] struct {
	last    map[int64]time.Time
	waiting map[int64]map[T]bool
}

func newPacer[T comparable]() pacer[T] {
	return pacer[T]{map[int64]time.Time{}, map[int64]map[T]bool{}}
}

// offer returns the values if it is the account's turn, and else keeps them.
func (p *pacer[T]) offer(now time.Time, account int64, values []T) []T {
	if last, ok := p.last[account]; !ok || now.Sub(last) >= pace {
		for v := range p.waiting[account] {
			if !slices.Contains(values, v) {
				values = append(values, v)
			}
		}
		delete(p.waiting, account)
		p.last[account] = now
		return values
	}
	if p.waiting[account] == nil {
		p.waiting[account] = map[T]bool{}
	}
	for _, v := range values {
		p.waiting[account][v] = true
	}
	return nil
}

// due returns what has waited long enough.
func (p *pacer[T]) due(now time.Time) []T {
	var out []T
	for _, account := range slices.SortedFunc(maps.Keys(p.waiting), cmp.Compare[int64]) {
		if now.Sub(p.last[account]) >= pace {
			out = append(out, p.offer(now, account, nil)...)
		}
	}
	maps.DeleteFunc(p.last, func(account int64, last time.Time) bool {
		return p.waiting[account] == nil && now.Sub(last) >= pace
	})
	return out
}

func (p *pacer[T]) waits() bool { return len(p.waiting) > 0 || len(p.last) > 0 }
