package grants

import (
	"time"

	eventv1 "tollgate/gen/tollgate/event/v1"
	"tollgate/internal/contract"
	"tollgate/internal/money"
	"tollgate/ledger/escrow"
)

func ask(l *eventv1.LeaseLine) escrow.Ask {
	return escrow.Ask{
		Seen:     money.Nanos(l.GetGrantedSeen()),
		Returned: money.Nanos(l.GetReturned()),
		Used:     money.Nanos(l.GetUsed()),
		Consumed: money.Nanos(l.GetConsumed()),
		Need:     money.Nanos(l.GetNeed()),
		Want:     money.Nanos(l.GetWant()),
		Least:    money.Nanos(l.GetLeast()),
	}
}

// holdRetry is when edges ask again while new money is kept back.
const holdRetry = 200 * time.Millisecond

// finish adds what was decided to a reply.
func finish(r request, answers []escrow.Answer, hold bool) {
	for _, a := range answers {
		if a.State == escrow.Dropped {
			r.reply.Lines, r.reply.Error = nil, contract.IncarnationEnded
			return
		}
		line := grantLine(a, states[a.State])
		if hold && a.State == escrow.Pending {
			line.RetryAfterMs = uint32(holdRetry.Milliseconds())
		}
		r.reply.Lines = append(r.reply.Lines, line)
	}
}

var states = map[escrow.State]eventv1.LeaseState{
	escrow.Granted:   eventv1.LeaseState_LEASE_STATE_GRANTED,
	escrow.Pending:   eventv1.LeaseState_LEASE_STATE_PENDING,
	escrow.Exhausted: eventv1.LeaseState_LEASE_STATE_EXHAUSTED,
	escrow.Unknown:   eventv1.LeaseState_LEASE_STATE_UNKNOWN,
}

func grantLine(a escrow.Answer, state eventv1.LeaseState) *eventv1.GrantLine {
	p := &eventv1.GrantLine{
		Window:         a.Window.ToProto(),
		GrantedTotal:   int64(a.Granted),
		State:          state,
		Limit:          int64(a.Limit),
		LimitVersion:   a.Version,
		SpentElsewhere: int64(a.SpentElsewhere),
	}
	if a.State == escrow.Pending {
		p.RetryAfterMs = uint32(escrow.RetryAfter.Milliseconds())
	}
	return p
}
