package grants

import (
	"context"
	"log/slog"
	"slices"
	"sync"
	"time"

	"google.golang.org/protobuf/proto"

	eventv1 "tollgate/gen/tollgate/event/v1"
	"tollgate/internal/contract"
	"tollgate/ledger/escrow"
	"tollgate/ledger/limits"
	"tollgate/ledger/store"
)

// Publisher sends without waiting for anybody. *nats.Conn is one.
type Publisher interface {
	Publish(subject string, data []byte) error
}

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
	recalls *escrow.Pacer[escrow.Recall]
	changes *escrow.Pacer[int64]
	permits *escrow.Pacer[limits.Recall] // by limit
}

// NewPush makes a Push for a partition and the history of its database.
func NewPush(nc Publisher, part uint32, history int64, log *slog.Logger) *Push {
	return &Push{
		nc: nc, log: log, part: part, history: history, wake: make(chan struct{}, 1),
		recalls: escrow.NewPacer[escrow.Recall](), changes: escrow.NewPacer[int64](), permits: escrow.NewPacer[limits.Recall](),
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
		recalls, changed, permits := p.recalls.Due(now), p.changes.Due(now), p.permits.Due(now)
		waiting := p.recalls.Waits() || p.changes.Waits() || p.permits.Waits()
		p.mu.Unlock()
		p.sendRecalls(recalls)
		p.sendChanged(changed)
		p.sendPermitRecalls(permits)
		if waiting {
			timer.Reset(escrow.Pace / 5)
		}
	}
}

// Recall asks edges to give back, each account at most once in a while: the rest follows. It returns
// what was sent at once.
func (p *Push) Recall(recalls []escrow.Recall) []escrow.Recall {
	if len(recalls) == 0 {
		return nil
	}
	now := time.Now()
	p.mu.Lock()
	var out []escrow.Recall
	for account, list := range byAccount(recalls, func(r escrow.Recall) int64 { return r.Window.Account }) {
		out = append(out, p.recalls.Offer(now, account, list)...)
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
		out = append(out, p.changes.Offer(now, a, []int64{a})...)
	}
	p.mu.Unlock()
	p.sendChanged(out)
	p.signal()
}

// RecallPermits asks edges to give back permits that they do not use, each limit at most once in a while.
func (p *Push) RecallPermits(recalls []limits.Recall) {
	if len(recalls) == 0 {
		return
	}
	now := time.Now()
	p.mu.Lock()
	var out []limits.Recall
	for limit, list := range byAccount(recalls, func(r limits.Recall) int64 { return r.Limit }) {
		out = append(out, p.permits.Offer(now, limit, list)...)
	}
	p.mu.Unlock()
	p.sendPermitRecalls(out)
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
		c.Marks = append(c.Marks, p.mark(m))
	}
	for edge, c := range edges {
		p.control(edge, c)
	}
}

func (p *Push) mark(m store.Mark) *eventv1.Mark {
	return &eventv1.Mark{Inc: m.Inc, Part: p.part, Hwm: m.HWM, Gap: m.Gap, Epoch: p.history}
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

func (p *Push) sendPermitRecalls(recalls []limits.Recall) {
	for to, part := range byEdge(recalls, func(r limits.Recall) target { return target{r.Edge, r.Inc} }) {
		for some := range slices.Chunk(part, maxPush) {
			c := &eventv1.EdgeControl{Inc: to.inc}
			for _, r := range some {
				c.PermitRecalls = append(c.PermitRecalls, r.Limit)
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
