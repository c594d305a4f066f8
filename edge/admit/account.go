package admit

import (
	"errors"
	"fmt"
	"math"
	"sync"
	"sync/atomic"
	"time"

	eventv1 "tollgate/gen/tollgate/event/v1"
	"tollgate/internal/contract"
	"tollgate/internal/period"
)

// Account is a budget as draws need it. It never changes, but for a note of which window was drawn
// on last. A million of them must fit beside a million keys, so it keeps no more than is used here.
type Account struct {
	id       int64
	version  int64
	calendar *calendar
	subject  string
	last     atomic.Pointer[line] // where the last draw found its money
	part     uint32
	gen      uint32
}

// NewAccount reads an account of a snapshot.
func NewAccount(a *eventv1.Account) (*Account, error) {
	out := new(Account)
	if err := out.read(a); err != nil {
		return nil, err
	}
	out.subject = a.GetSubject()
	return out, nil
}

// read fills everything but the subject, whose text its owner may keep in a block of its own.
func (a *Account) read(from *eventv1.Account) error {
	if from.GetId() <= 0 {
		return errors.New("an account has no number")
	}
	cal, err := calendarOf(from.GetPeriod(), from.GetTimeZone())
	if err != nil {
		return fmt.Errorf("account %d: %w", from.GetId(), err)
	}
	a.id, a.version, a.calendar = from.GetId(), from.GetVersion(), cal
	a.part, a.gen = from.GetPart(), from.GetGen()
	return nil
}

// ID is the number of the account.
func (a *Account) ID() int64 { return a.id }

// Part is the partition of the ledger that owns it.
func (a *Account) Part() uint32 { return a.part }

// Subject is what the budget limits, for people: "key ci-bot", "endpoint bria", "everything".
func (a *Account) Subject() string { return a.subject }

// windowAt is the window at a time and when that window ends, in Unix seconds.
func (a *Account) windowAt(now time.Time) (w contract.Window, end int64) {
	span := a.calendar.period.At(now, a.calendar.zone)
	if span.End == 0 {
		span.End = math.MaxInt64
	}
	return contract.Window{Account: a.id, Gen: a.gen, Start: span.Start}, span.End
}

// calendar is a period in a time zone. There are few, and many accounts share each.
type calendar struct {
	period period.Period
	zone   *time.Location
}

var calendars sync.Map // of calendarKey to *calendar

type calendarKey struct {
	period period.Period
	zone   string
}

func calendarOf(p eventv1.AccountPeriod, zone string) (*calendar, error) {
	per, err := contract.PeriodOf(p)
	if err != nil {
		return nil, err
	}
	key := calendarKey{per, zone}
	if c, ok := calendars.Load(key); ok {
		return c.(*calendar), nil //nolint:forcetypeassert // nothing else is stored
	}
	loc, err := time.LoadLocation(zone)
	if err != nil {
		return nil, err
	}
	c, _ := calendars.LoadOrStore(key, &calendar{per, loc})
	return c.(*calendar), nil //nolint:forcetypeassert // nothing else is stored
}
