package admit

import (
	"errors"
	"fmt"
	"math"
	"strings"
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
	id        int64
	version   int64
	calendar  *calendar
	text      string // subject, name and scope name, one after the other
	last      atomic.Pointer[line]
	overdraft int64
	part      uint32
	gen       uint32
	name      uint16 // where in text it begins
	scopeName uint16 // where in text it begins
	scope     uint8
	soft      bool
}

// NewAccount reads an account of a snapshot.
func NewAccount(a *eventv1.Account) (*Account, error) {
	out := new(Account)
	if err := out.read(a, textOfAccount(a)); err != nil {
		return nil, err
	}
	return out, nil
}

func textOfAccount(a *eventv1.Account) string {
	return strings.Join([]string{a.GetSubject(), a.GetBudgetName(), a.GetScopeName()}, "")
}

// read fills the account. The text is that of textOfAccount, which its owner may keep in a block with
// others.
func (a *Account) read(from *eventv1.Account, text string) error {
	switch {
	case from.GetId() <= 0:
		return errors.New("an account has no number")
	case len(text) > math.MaxUint16:
		return fmt.Errorf("account %d has %d bytes of names", from.GetId(), len(text))
	case from.GetOverdraftNanos() < 0:
		return fmt.Errorf("account %d has a negative overdraft", from.GetId())
	case from.GetScope() < 0 || from.GetScope() > math.MaxUint8:
		return fmt.Errorf("account %d is of scope %d", from.GetId(), from.GetScope())
	}
	cal, err := calendarOf(from)
	if err != nil {
		return fmt.Errorf("account %d: %w", from.GetId(), err)
	}
	a.id, a.version, a.calendar = from.GetId(), from.GetVersion(), cal
	a.part, a.gen = from.GetPart(), from.GetGen()
	a.text, a.name = text, uint16(len(from.GetSubject()))
	a.scope, a.scopeName = uint8(from.GetScope()), uint16(len(text)-len(from.GetScopeName()))
	a.soft, a.overdraft = from.GetSoft(), from.GetOverdraftNanos()
	return nil
}

// ID is the number of the account.
func (a *Account) ID() int64 { return a.id }

// Part is the partition of the ledger that owns it.
func (a *Account) Part() uint32 { return a.part }

// Subject is what the budget limits, for people: "key ci-bot", "endpoint bria", "everything".
func (a *Account) Subject() string { return a.text[:a.name] }

// Name is the name of the budget.
func (a *Account) Name() string { return a.text[a.name:a.scopeName] }

// Scope is what the budget limits.
func (a *Account) Scope() eventv1.AccountScope { return eventv1.AccountScope(a.scope) }

// ScopeName is the name of the team, customer or tag that the budget limits; empty otherwise.
func (a *Account) ScopeName() string { return a.text[a.scopeName:] }

// windowAt is the window at a time and when that window ends, all in Unix seconds.
func (a *Account) windowAt(unix int64) (w contract.Window, end int64) {
	span := a.calendar.at(unix)
	return contract.Window{Account: a.id, Gen: a.gen, Start: span.Start}, span.End
}

// calendar is a period in a time zone. There are few, and many accounts share each.
type calendar struct {
	period period.Period
	days   uint32 // of a rolling period
	zone   *time.Location
}

// at is the window at a time in Unix seconds. One that never ends does so at the end of time.
func (c *calendar) at(unix int64) period.Window {
	span := c.period.At(time.Unix(unix, 0), c.zone)
	if span.End == 0 {
		span.End = math.MaxInt64
	}
	return span
}

var calendars sync.Map // of calendarKey to *calendar

type calendarKey struct {
	period period.Period
	days   uint32
	zone   string
}

func calendarOf(a *eventv1.Account) (*calendar, error) {
	per, err := contract.PeriodOf(a.GetPeriod())
	if err != nil {
		return nil, err
	}
	key := calendarKey{per, a.GetDays(), a.GetTimeZone()}
	if c, ok := calendars.Load(key); ok {
		return c.(*calendar), nil //nolint:forcetypeassert // nothing else is stored
	}
	if (per == period.Rolling) != (key.days > 0) {
		return nil, fmt.Errorf("a period of %s does not go with %d days", per, key.days)
	}
	loc, err := time.LoadLocation(key.zone)
	if err != nil {
		return nil, err
	}
	c, _ := calendars.LoadOrStore(key, &calendar{per, key.days, loc})
	return c.(*calendar), nil //nolint:forcetypeassert // nothing else is stored
}
