package routing

import (
	"errors"
	"fmt"
	"math"

	eventv1 "tollgate/gen/tollgate/event/v1"
	"tollgate/internal/money"
)

// Usage is a price by what a request uses.
type Usage struct {
	Base     money.Nanos // for each answered request
	Hold     money.Nanos // beside Base and the bytes of the request's body
	Fallback money.Nanos // in place of a header that is missing
	Ceiling  bool        // an answer is cut off before it costs more than what was held

	RequestBytes, ResponseBytes, ResponseEvents Rate
	Headers                                     []HeaderRate // of the response
}

// Rate is the price of a million units of one kind. The zero value does not count them.
type Rate struct {
	PerMillion money.Nanos
	Counted    bool // also where a million costs nothing: units count against limits
}

// HeaderRate is the price of a million of what a response header counts.
type HeaderRate struct {
	Name       string
	PerMillion money.Nanos
}

// add counts a kind of unit, also where several rates do: their prices add up.
func (r *Rate) add(perMillion money.Nanos) (err error) {
	r.Counted = true
	r.PerMillion, err = r.PerMillion.Add(perMillion)
	return err
}

// mostUsage is the most that a part of a price may be. Twice as much still fits.
const mostUsage = math.MaxInt64 / 4

func newUsage(from *eventv1.UsagePrice) (*Usage, error) {
	u := &Usage{
		Base: money.Nanos(from.GetBaseNanos()), Hold: money.Nanos(from.GetHoldNanos()),
		Fallback: money.Nanos(from.GetFallbackNanos()), Ceiling: from.GetCeiling(),
	}
	for _, part := range []money.Nanos{u.Base, u.Hold, u.Fallback} {
		if part < 0 || part > mostUsage {
			return nil, fmt.Errorf("its price has a part of %s, which cannot be", part.Dollars())
		}
	}
	for _, r := range from.GetRates() {
		price := money.Nanos(r.GetNanosPerMillion())
		if price < 0 {
			return nil, fmt.Errorf("its rate of %s a million is negative", price.Dollars())
		}
		var err error
		switch r.GetUnit() {
		case eventv1.UsageUnit_USAGE_UNIT_REQUEST_BYTES:
			err = u.RequestBytes.add(price)
		case eventv1.UsageUnit_USAGE_UNIT_RESPONSE_BYTES:
			err = u.ResponseBytes.add(price)
		case eventv1.UsageUnit_USAGE_UNIT_RESPONSE_EVENTS:
			err = u.ResponseEvents.add(price)
		case eventv1.UsageUnit_USAGE_UNIT_RESPONSE_HEADER:
			if !validHeaderName(r.GetHeader()) {
				err = errors.New("it names no header")
			}
			u.Headers = append(u.Headers, HeaderRate{r.GetHeader(), price})
		default:
			err = errors.New("this version does not know it: upgrade the edge")
		}
		if err != nil {
			return nil, fmt.Errorf("its rate for %s: %w", r.GetUnit(), err)
		}
	}
	return u, nil
}
