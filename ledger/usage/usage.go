// Package usage adds up settled attempts by day, key and endpoint, and answers questions about the
// sums. The sums are advanced in the transaction that books the money, so they agree with it to the
// nano-dollar; single attempts are not kept here.
package usage

import (
	"fmt"
	"time"

	eventv1 "tollgate/gen/tollgate/event/v1"
	"tollgate/internal/money"
)

// Bucket is what sums are kept by. Day is a UTC day, "2026-11-01".
type Bucket struct {
	Day, KeyID, EndpointID string
}

// Counts are the sums.
type Counts struct {
	Requests  int64       // attempts settled
	Failed    int64       // of these, those that cost nothing because they failed
	Abandoned int64       // of these, those charged in full because an edge died under them
	Cost      money.Nanos // what they cost
}

// Add is the sum. It stops at the largest amount, which no sum of bounded amounts reaches.
func (c Counts) Add(d Counts) Counts {
	cost, err := c.Cost.Add(d.Cost)
	if err != nil {
		cost = money.Max
	}
	return Counts{c.Requests + d.Requests, c.Failed + d.Failed, c.Abandoned + d.Abandoned, cost}
}

// Fact is what one settlement adds.
type Fact struct {
	Bucket Bucket
	Counts Counts
}

// Settlements come from the years in which there can be some, and name things briefly.
const maxID = 128

var (
	firstMilli = time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC).UnixMilli()
	lastMilli  = time.Date(9999, 12, 31, 0, 0, 0, 0, time.UTC).UnixMilli()
)

// FactOf reads what an event adds. It refuses what no correct edge sends.
func FactOf(e *eventv1.SpendEvent) (Fact, error) {
	switch {
	case e.GetCostNanos() < 0:
		return Fact{}, fmt.Errorf("cost %d is out of range", e.GetCostNanos())
	case e.GetUnixMs() < firstMilli || e.GetUnixMs() > lastMilli:
		return Fact{}, fmt.Errorf("time %d is out of range", e.GetUnixMs())
	case !storable(e.GetKeyId()):
		return Fact{}, fmt.Errorf("key id %q is malformed", e.GetKeyId())
	case !storable(e.GetEndpointId()):
		return Fact{}, fmt.Errorf("endpoint id %q is malformed", e.GetEndpointId())
	}
	f := Fact{
		Bucket: Bucket{
			Day:   time.UnixMilli(e.GetUnixMs()).UTC().Format(time.DateOnly),
			KeyID: e.GetKeyId(), EndpointID: e.GetEndpointId(),
		},
		Counts: Counts{Requests: 1, Cost: money.Nanos(e.GetCostNanos())},
	}
	switch e.GetOutcome() {
	case eventv1.SpendOutcome_SPEND_OUTCOME_TARGET_ERROR,
		eventv1.SpendOutcome_SPEND_OUTCOME_UNREACHABLE,
		eventv1.SpendOutcome_SPEND_OUTCOME_INTERRUPTED,
		eventv1.SpendOutcome_SPEND_OUTCOME_REFUSED:
		// One that broke off after it had begun to answer is charged, and so did not fail.
		if e.GetCostNanos() == 0 {
			f.Counts.Failed = 1
		}
	case eventv1.SpendOutcome_SPEND_OUTCOME_ABANDONED:
		f.Counts.Abandoned = 1
	default:
	}
	return f, nil
}

// storable: protobuf lets a string hold a zero byte, and PostgreSQL does not.
func storable(id string) bool {
	if len(id) > maxID {
		return false
	}
	for i := range len(id) {
		if id[i] < ' ' {
			return false
		}
	}
	return true
}
