package admit

import (
	"math"

	"google.golang.org/protobuf/encoding/protowire"

	eventv1 "tollgate/gen/tollgate/event/v1"
)

// Fields of eventv1.Account.
const (
	accountID           = 1
	accountPart         = 2
	accountGen          = 3
	accountPeriod       = 4
	accountZone         = 5
	accountLimit        = 6
	accountVersion      = 7
	accountBudgetID     = 8
	accountBudgetName   = 9
	accountSubject      = 10
	accountEndpointID   = 11
	accountScope        = 12
	accountScopeName    = 13
	accountDays         = 14
	accountSoft         = 15
	accountOverdraft    = 16
	accountWarnPercents = 17
	accountRaise        = 18
	accountRaiseUntil   = 19
	accountOpening      = 20
	accountOpeningUnix  = 21
)

// account packs an account into sub, if Account.read takes it.
func (p *packer) account(wire, name []byte) bool {
	p.sub = p.sub[:0]
	var seen uint32
	var id, period, days uint64
	var zone []byte
	text := 0
	for len(wire) > 0 {
		f, rest, ok := next(wire)
		if !ok {
			return false
		}
		wire = rest
		if f.num <= accountOpeningUnix && f.num != accountWarnPercents && !once(&seen, f.num) {
			return false
		}
		switch f.num {
		case accountBudgetName, accountScopeName, accountZone, accountSubject, accountBudgetID, accountEndpointID:
			if !f.isText() {
				return false
			}
		case accountWarnPercents:
			if !varints(&f) {
				return false
			}
		case accountID, accountPart, accountGen, accountPeriod, accountLimit, accountVersion, accountScope, accountDays, accountSoft,
			accountOverdraft, accountRaise, accountRaiseUntil, accountOpening, accountOpeningUnix:
			if f.bytes != nil {
				return false
			}
		default:
			continue
		}
		switch f.num {
		case accountID:
			id = f.varint
		case accountPeriod:
			period = f.varint
		case accountDays:
			days = f.varint
		case accountZone:
			zone = f.bytes
		case accountScope:
			if f.varint > math.MaxUint8 {
				return false
			}
		case accountOverdraft:
			if f.varint > math.MaxInt64 {
				return false
			}
		case accountBudgetName, accountScopeName:
			text += len(f.bytes)
		case accountSubject:
			text += len(f.bytes)
			p.subject(accountSubject, f.bytes, name)
			continue
		case accountLimit, accountBudgetID, accountEndpointID, accountWarnPercents, accountRaise, accountRaiseUntil, accountOpening, accountOpeningUnix:
			continue // for the ledger
		default:
		}
		p.sub = append(p.sub, f.raw...)
	}
	return id > 0 && id <= math.MaxInt64 && text <= math.MaxUint16 && p.calendar(period, days, zone)
}

// varints says whether a field is one or several numbers.
func varints(f *field) bool {
	for packed := f.bytes; len(packed) > 0; {
		_, n := protowire.ConsumeVarint(packed)
		if n < 0 {
			return false
		}
		packed = packed[n:]
	}
	return true
}

// mostCalendars bounds those that a packer remembers.
const mostCalendars = 64

// calendar says whether there is such a calendar.
func (p *packer) calendar(period, days uint64, zone []byte) bool {
	for _, c := range p.calendars {
		if c.period == period && c.days == days && c.zone == string(zone) {
			return true
		}
	}
	if period > math.MaxInt32 || days > math.MaxUint32 {
		return false
	}
	c := calendarText{period, days, string(zone)}
	if _, err := calendarOf(&eventv1.Account{Period: eventv1.AccountPeriod(period), Days: uint32(days), TimeZone: c.zone}); err != nil {
		return false
	}
	if len(p.calendars) < mostCalendars {
		p.calendars = append(p.calendars, c)
	}
	return true
}

// Fields of eventv1.Limit.
const (
	limitID         = 1
	limitPart       = 2
	limitKind       = 3
	limitAmount     = 4
	limitBurst      = 5
	limitFallback   = 6
	limitVersion    = 7
	limitName       = 8
	limitSubject    = 9
	limitScope      = 10
	limitScopeName  = 11
	limitEndpointID = 12
)

// limit packs a limit into sub, if limit.NewLimit takes it.
func (p *packer) limit(wire, name []byte) bool {
	p.sub = p.sub[:0]
	var seen uint32
	var id, kind uint64
	for len(wire) > 0 {
		f, rest, ok := next(wire)
		if !ok {
			return false
		}
		wire = rest
		if f.num <= limitEndpointID && !once(&seen, f.num) {
			return false
		}
		switch f.num {
		case limitName, limitScopeName, limitEndpointID:
			if !f.isText() {
				return false
			}
		case limitSubject:
			if !f.isText() {
				return false
			}
			p.subject(limitSubject, f.bytes, name)
			continue
		case limitID, limitPart, limitKind, limitAmount, limitBurst, limitFallback, limitVersion, limitScope:
			if f.bytes != nil {
				return false
			}
		default:
			continue
		}
		switch f.num {
		case limitID:
			id = f.varint
		case limitKind:
			kind = f.varint
		case limitAmount, limitBurst:
			if f.varint > math.MaxInt64 {
				return false
			}
		default:
		}
		p.sub = append(p.sub, f.raw...)
	}
	known := kind == uint64(eventv1.LimitKind_LIMIT_KIND_REQUESTS) || kind == uint64(eventv1.LimitKind_LIMIT_KIND_UNITS) || kind == uint64(eventv1.LimitKind_LIMIT_KIND_CONCURRENT)
	return id > 0 && id <= math.MaxInt64 && known
}
