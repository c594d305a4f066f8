package usage_test

import (
	"fmt"
	"slices"
	"testing"

	"tollgate/internal/money"
	"tollgate/ledger/usage"
)

// Guarantee: what is done step by step adds up, and reasons are counted, the commonest first, in an answer that is
// bounded however many there are.
func TestRepricedAddsUp(t *testing.T) {
	t.Parallel()
	var sum usage.Repriced
	for i := range 300 {
		done := usage.Repriced{Corrected: 2, Difference: -1, Freed: []int64{int64(i % 3)}}
		done.Stays("e", fmt.Sprintf("model %d", i))
		done.Stays("e", "often")
		var err error
		if sum, err = sum.Plus(done); err != nil {
			t.Fatal(err)
		}
	}
	sum.Sort()
	var n int64
	for _, r := range sum.Reasons {
		n += r.Requests
	}
	if sum.Corrected != 600 || sum.Difference != -300 || !slices.Equal(sum.Freed, []int64{0, 1, 2}) || sum.Unpriced != 600 || n != 600 {
		t.Errorf("%+v", sum)
	}
	if len(sum.Reasons) > 51 || sum.Reasons[0] != (usage.Reason{EndpointID: "e", Why: "often", Requests: 300}) || sum.Reasons[1].Why != "other reasons" {
		t.Errorf("%d reasons, %+v", len(sum.Reasons), sum.Reasons[:2])
	}
	if _, err := (usage.Repriced{Difference: money.Max}).Plus(usage.Repriced{Difference: 1}); err == nil {
		t.Error("a sum beyond the largest amount")
	}
}
