package sample

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"google.golang.org/protobuf/proto"

	controlv1 "tollgate/gen/tollgate/control/v1"
	"tollgate/gen/tollgate/control/v1/controlv1connect"
	eventv1 "tollgate/gen/tollgate/event/v1"
	"tollgate/internal/bus"
	"tollgate/internal/contract"
)

// Edge is the name by which records say that they are of the sample data's history.
const Edge = "sample"

// lane is what one partition of the ledger gets of the history.
type lane struct {
	part   uint32
	events []*eventv1.SpendEvent
	lines  map[contract.Window]*eventv1.LeaseLine // what is spent of current windows
}

// account is a budget's account with the requests that it is charged for.
type account struct {
	*eventv1.Account
	window contract.Window // the current one at the end of the history
	of     func(*attempt) bool
}

// book does what an edge does that ends: it has money granted, sends what was spent of it, and waits until that is booked. A budget
// counts the history of its current period only, as if it had been made when that began.
func (d *Data) book(ctx context.Context, conn *bus.Conn) error {
	accounts, err := d.accounts(ctx, conn)
	if err != nil {
		return err
	}
	for _, l := range d.lanes(accounts) {
		if err := d.bookLane(ctx, conn, l); err != nil {
			return fmt.Errorf("partition %d: %w", l.part, err)
		}
	}
	return nil
}

// poll is how often is asked what takes a moment.
const poll = 20 * time.Millisecond

// accounts reads what the budgets are to the ledger, from where it reads that itself.
func (d *Data) accounts(ctx context.Context, conn *bus.Conn) ([]account, error) {
	budgets := controlv1connect.NewBudgetServiceClient(d.o.Client, d.o.URL)
	stream, err := conn.JetStream().Stream(ctx, contract.StreamConfig)
	if err != nil {
		return nil, err
	}
	var all []account
	for _, p := range plannedBudgets() {
		got, err := budgets.GetBudget(ctx, &controlv1.GetBudgetRequest{Budget: p.name})
		if err != nil {
			return nil, err
		}
		number := got.GetBudget().GetAccountId()
		msg, err := stream.GetLastMsgForSubject(ctx, contract.ConfigAccounts(contract.AccountShardOf(number)))
		if err != nil {
			return nil, fmt.Errorf("account of %s: %w", p.name, err)
		}
		var shard eventv1.AccountShard
		if _, err := contract.Decode(msg.Data, &shard); err != nil {
			return nil, err
		}
		i := slices.IndexFunc(shard.GetAccounts(), func(a *eventv1.Account) bool { return a.GetId() == number })
		if i < 0 {
			return nil, fmt.Errorf("the account of %s is not published", p.name)
		}
		a := account{Account: shard.GetAccounts()[i], of: p.of}
		if a.window, _, err = contract.WindowAt(a.Account, d.end); err != nil {
			return nil, err
		}
		all = append(all, a)
	}
	slices.SortFunc(all, func(a, b account) int { return int(a.GetId() - b.GetId()) })
	return all, nil
}

// lanes divides the history over partitions as an edge does: the one of the account with the lowest number keeps the record, and
// others get what concerns them.
func (d *Data) lanes(accounts []account) []*lane {
	lanes := map[uint32]*lane{}
	of := func(part uint32) *lane {
		if lanes[part] == nil {
			lanes[part] = &lane{part: part, lines: map[contract.Window]*eventv1.LeaseLine{}}
		}
		return lanes[part]
	}
	for i := range d.past {
		a := &d.past[i]
		e := d.event(a)
		for k := range accounts {
			b := &accounts[k]
			if a.cost == 0 || a.at.Unix() < b.window.Start || !b.of(a) {
				continue
			}
			e.Draws = append(e.Draws, &eventv1.SpendDraw{Window: b.window.ToProto(), Nanos: int64(a.cost), Part: b.GetPart()})
			lines := of(b.GetPart()).lines
			if lines[b.window] == nil {
				lines[b.window] = &eventv1.LeaseLine{Window: b.window.ToProto()}
			}
			lines[b.window].Need += int64(a.cost)
		}
		home := uint32(0)
		if len(e.GetDraws()) > 0 {
			home = e.GetDraws()[0].GetPart()
		}
		of(home).events = append(of(home).events, e)
		shares := map[uint32]*eventv1.SpendEvent{}
		for _, draw := range e.GetDraws() {
			part := draw.GetPart()
			if part == home {
				continue
			}
			if shares[part] == nil {
				shares[part] = &eventv1.SpendEvent{
					RequestId: e.GetRequestId(), Attempt: e.GetAttempt(), UnixMs: e.GetUnixMs(), Outcome: e.GetOutcome(), DrawsOnly: true,
				}
				of(part).events = append(of(part).events, shares[part])
			}
			shares[part].Draws = append(shares[part].Draws, draw)
		}
	}
	out := slices.SortedFunc(maps.Values(lanes), func(a, b *lane) int { return int(a.part) - int(b.part) })
	for _, l := range out {
		l.events = append(l.events, &eventv1.SpendEvent{UnixMs: d.end.UnixMilli(), Outcome: eventv1.SpendOutcome_SPEND_OUTCOME_CLOSE})
	}
	return out
}

func (d *Data) event(a *attempt) *eventv1.SpendEvent {
	k := keyOf(a.key)
	e := &eventv1.SpendEvent{
		RequestId: a.request[:], Attempt: 1, UnixMs: a.at.UnixMilli(), KeyId: d.ids.keys[a.key], EndpointId: d.ids.endpoints[a.endpoint],
		Status: a.status, Outcome: a.outcome(), PriceVersion: d.ids.revisions[a.endpoint], CostNanos: int64(a.cost), DurationUs: a.took.Microseconds(),
		Team: k.team, Customer: a.customer, Tags: k.tags, Model: a.model, ReservedNanos: int64(a.price), Units: a.units,
		Unpriced: a.unpriced, Meter: a.meter, Counts: a.counts,
	}
	return e
}

// incarnation is the number of the process life that the history is of. It follows from the time, so that a start that goes on
// where another was broken off is the same life to the ledger.
func (d *Data) incarnation() int64 { return d.end.UnixMilli()<<20 | 1 }

var errEnded = errors.New("all of it is booked")

// ask asks the leader of a partition for what the lane needs, and how far it is booked.
func (d *Data) ask(ctx context.Context, conn *bus.Conn, l *lane) (granted bool, booked uint64, err error) {
	req := &eventv1.LeaseRequest{
		Inc: d.incarnation(), Edge: Edge, Part: l.part, EdgeUnixMs: time.Now().UnixMilli(),
		Spools: []*eventv1.SpoolState{{Inc: d.incarnation(), LastSeq: uint64(len(l.events))}},
	}
	for _, line := range l.lines {
		req.Lines = append(req.Lines, line)
	}
	data, err := proto.Marshal(req)
	if err != nil {
		return false, 0, err
	}
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	msg, err := conn.NATS().RequestWithContext(ctx, contract.Lease(l.part), data)
	if err != nil {
		return false, 0, err
	}
	var reply eventv1.LeaseReply
	if err := proto.Unmarshal(msg.Data, &reply); err != nil {
		return false, 0, err
	}
	switch reply.GetError() {
	case "":
	case contract.IncarnationEnded:
		return false, 0, errEnded
	default:
		return false, 0, errors.New(reply.GetError())
	}
	for _, m := range reply.GetMarks() {
		if m.GetInc() == d.incarnation() {
			booked = m.GetHwm()
		}
	}
	granted = true
	for _, line := range reply.GetLines() {
		granted = granted && line.GetState() == eventv1.LeaseState_LEASE_STATE_GRANTED
	}
	return granted, booked, nil
}

// batchEvents is how many events are sent together.
const batchEvents = 500

func (d *Data) bookLane(ctx context.Context, conn *bus.Conn, l *lane) error {
	booked, err := d.await(ctx, conn, l, func(granted bool, _ uint64) bool { return granted })
	if errors.Is(err, errEnded) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("ask for what was spent: %w", err)
	}
	for first := booked; first < uint64(len(l.events)); first += batchEvents {
		data, err := proto.Marshal(&eventv1.SpendBatch{
			Inc: d.incarnation(), Edge: Edge, Part: l.part, FirstSeq: first + 1, Schema: contract.Schema,
			Events: l.events[first:min(first+batchEvents, uint64(len(l.events)))],
		})
		if err != nil {
			return err
		}
		if _, err := conn.JetStream().Publish(ctx, contract.Spend(l.part, Edge), data); err != nil {
			return fmt.Errorf("send what was spent: %w", err)
		}
	}
	l.lines = nil
	_, err = d.await(ctx, conn, l, func(_ bool, booked uint64) bool { return booked >= uint64(len(l.events)) })
	if err != nil && !errors.Is(err, errEnded) {
		return fmt.Errorf("wait until it is booked: %w", err)
	}
	return nil
}

// await asks until the answer is what is waited for. The ledger may not lead yet, or know of the accounts.
func (d *Data) await(ctx context.Context, conn *bus.Conn, l *lane, enough func(granted bool, booked uint64) bool) (uint64, error) {
	tick := time.NewTicker(poll)
	defer tick.Stop()
	for {
		granted, booked, err := d.ask(ctx, conn, l)
		if errors.Is(err, errEnded) || err == nil && enough(granted, booked) {
			return booked, err
		}
		select {
		case <-ctx.Done():
			return 0, errors.Join(err, ctx.Err())
		case <-tick.C:
		}
	}
}
