package rpc

import (
	"testing"

	controlv1 "tollgate/gen/tollgate/control/v1"
	ledgerv1 "tollgate/gen/tollgate/ledger/v1"
	"tollgate/internal/contract"
	"tollgate/internal/money"
)

// Guarantee: the effect of a price is what was used lately and what it would have cost more or less, exactly; where either price
// depends on the request, only what was used.
func TestEffectOfPrices(t *testing.T) {
	t.Parallel()
	fixed := func(n money.Nanos) *controlv1.Price {
		return &controlv1.Price{Kind: &controlv1.Price_Fixed_{Fixed: &controlv1.Price_Fixed{PerRequest: contract.MoneyToProto(n)}}}
	}
	free := &controlv1.Price{Kind: &controlv1.Price_Free_{Free: &controlv1.Price_Free{}}}
	metered := &controlv1.Price{Kind: &controlv1.Price_Metered{}}
	used := func(requests, failed int64, cost money.Nanos) *ledgerv1.QueryUsageResponse {
		return &ledgerv1.QueryUsageResponse{Rows: []*ledgerv1.UsageRow{
			{Requests: requests - 1, Failed: failed, CostNanos: int64(cost)}, {Requests: 1},
		}}
	}
	for _, test := range []struct {
		name          string
		before, after *controlv1.Price
		used          *ledgerv1.QueryUsageResponse
		want          string
	}{
		{"more", fixed(10 * money.Dollar), fixed(12 * money.Dollar), used(1204, 0, 12040*money.Dollar), "last 30 d: 1,204 requests, $12040.00; would have been $2408.00 more"},
		{"less", fixed(12 * money.Dollar), fixed(10 * money.Dollar), used(100, 0, 1200*money.Dollar), "last 30 d: 100 requests, $1200.00; would have been $200.00 less"},
		{"failed ones cost nothing", fixed(10 * money.Dollar), fixed(11 * money.Dollar), used(100, 40, 600*money.Dollar), "last 30 d: 100 requests, $600.00; would have been $60.00 more"},
		{"was free", free, fixed(money.Dollar / 100), used(1000, 100, 0), "last 30 d: 1,000 requests, $0.00; would have been $9.00 more"},
		{"becomes free", fixed(money.Dollar), free, used(3, 0, 3*money.Dollar), "last 30 d: 3 requests, $3.00; would have been $3.00 less"},
		{"unused", fixed(money.Dollar), free, &ledgerv1.QueryUsageResponse{}, "last 30 d: 0 requests, $0.00"},
		{"metered", metered, fixed(money.Dollar), used(1234567, 0, money.Dollar), "last 30 d: 1,234,567 requests, $1.00"},
		{"too much to say", free, fixed(money.Max / 2), used(3, 0, 0), "last 30 d: 3 requests, $0.00"},
	} {
		if got := effectOf(test.before, test.after, test.used); got != test.want {
			t.Errorf("%s: %q", test.name, got)
		}
	}
}
