package contract

import (
	"fmt"
	"time"

	eventv1 "tollgate/gen/tollgate/event/v1"
	"tollgate/internal/period"
)

// PeriodOf is the period of an account; the two enumerations have the same order.
func PeriodOf(p eventv1.AccountPeriod) (period.Period, error) {
	if out := period.Period(p); out.Valid() {
		return out, nil
	}
	return 0, fmt.Errorf("account period %d is not known: upgrade this version", p)
}

// WindowAt is the window of an account at a time, and when that window ends (0: never).
func WindowAt(a *eventv1.Account, at time.Time) (w Window, end int64, err error) {
	p, err := PeriodOf(a.GetPeriod())
	if err != nil {
		return Window{}, 0, err
	}
	zone, err := time.LoadLocation(a.GetTimeZone())
	if err != nil {
		return Window{}, 0, fmt.Errorf("account %d: %w", a.GetId(), err)
	}
	span := p.At(at, zone)
	return Window{Account: a.GetId(), Gen: a.GetGen(), Start: span.Start}, span.End, nil
}

// ToProto is w on the wire.
func (w Window) ToProto() *eventv1.AccountWindow {
	return &eventv1.AccountWindow{Account: w.Account, Gen: w.Gen, Start: w.Start}
}

// WindowOf is a window from the wire.
func WindowOf(w *eventv1.AccountWindow) Window {
	return Window{Account: w.GetAccount(), Gen: w.GetGen(), Start: w.GetStart()}
}
