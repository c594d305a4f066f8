package rpc

import (
	"context"
	"fmt"
	"time"

	"google.golang.org/protobuf/proto"

	controlv1 "tollgate/gen/tollgate/control/v1"
	ledgerv1 "tollgate/gen/tollgate/ledger/v1"
	"tollgate/internal/contract"
	"tollgate/internal/money"
)

// repricedEndpoint is an endpoint that changes, with its price before and after.
type repricedEndpoint struct {
	id            string
	before, after *controlv1.Price
	change        *controlv1.ConfigChange
}

// effects says what changes of prices would have meant for what was called lately. It is known only while the ledger answers; a plan
// does not wait for it.
func (s *configService) effects(ctx context.Context, out *outcome) {
	const most, wait = 50, 2 * time.Second
	ctx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	today := time.Now().UTC()
	for i, r := range out.repriced {
		if i >= most || proto.Equal(r.before, r.after) {
			continue
		}
		used, err := s.ledger.queryUsage(ctx, &ledgerv1.QueryUsageRequest{
			FromDay: today.AddDate(0, 0, 1-defaultDays).Format(time.DateOnly), ToDay: today.Format(time.DateOnly), EndpointId: r.id,
		})
		if err != nil {
			return
		}
		r.change.Effect = effectOf(r.before, r.after, used)
	}
}

func effectOf(before, after *controlv1.Price, used *ledgerv1.QueryUsageResponse) string {
	var requests, charged int64
	var cost money.Nanos
	for _, row := range used.GetRows() {
		requests += row.GetRequests()
		charged += row.GetRequests() - row.GetFailed()
		cost += money.Nanos(row.GetCostNanos())
	}
	text := fmt.Sprintf("last %d d: %s requests, $%s", defaultDays, thousands(requests), cost)
	was, is := perRequest(before), perRequest(after)
	if was == nil || is == nil || requests == 0 {
		return text
	}
	// What was charged says how many were: requests that cost nothing would cost nothing.
	if *was > 0 {
		charged = int64(cost / *was)
	}
	difference := *is - *was
	word := "more"
	if difference < 0 {
		difference, word = -difference, "less"
	}
	if charged > 0 && difference > money.Max/money.Nanos(charged) {
		return text
	}
	return fmt.Sprintf("%s; would have been $%s %s", text, difference*money.Nanos(charged), word)
}

// perRequest is what a request costs that always costs the same; nil if it does not.
func perRequest(p *controlv1.Price) *money.Nanos {
	if p.GetFree() != nil {
		return new(money.Nanos)
	}
	if p.GetFixed() == nil {
		return nil
	}
	n, err := contract.MoneyFromProto(p.GetFixed().GetPerRequest())
	if err != nil {
		return nil
	}
	return &n
}

func thousands(n int64) string {
	s := fmt.Sprint(n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}
