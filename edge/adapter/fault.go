package adapter

import (
	"strconv"
	"time"

	"tollgate/internal/fault"
)

// FromFault makes an error of one of the gateway's own, with the hint as part of its message. Clients know its kind by the same
// words as a vendor's; where those say too little, the code is Tollgate's own.
func FromFault(f *fault.Error) *Error {
	e := &Error{Message: f.Message, Code: string(f.Code)}
	switch {
	case e.Message == "":
		e.Message = f.Hint
	case f.Hint != "":
		e.Message += " " + f.Hint
	}
	if f.RetryAfter > 0 {
		e.RetryAfter = strconv.FormatInt(int64((f.RetryAfter+time.Second-1)/time.Second), 10)
	}
	if kind, code, ok := byCode(f.Code); ok {
		e.Kind, e.Code = kind, code
		return e
	}
	switch f.Kind() {
	case fault.Invalid, fault.Precondition:
		e.Kind, e.Status = Invalid, f.Status()
	case fault.Unauthenticated:
		e.Kind, e.Code = Authentication, ""
	case fault.Denied:
		e.Kind, e.Code = Permission, ""
	case fault.NotFound:
		e.Kind = NotFound
	case fault.Exists, fault.Conflict:
		e.Kind = Conflict
	case fault.Exhausted:
		e.Kind, e.Code = RateLimit, ""
	case fault.Timeout:
		e.Kind, e.Code = Timeout, ""
	case fault.Unavailable, fault.Internal:
		e.Kind, e.Status = Broken, f.Status()
		if f.Status() == 503 {
			e.Kind, e.Status, e.Code = Overloaded, 0, ""
		}
	}
	return e
}

// byCode is what differs from other errors of the same kind.
func byCode(c fault.Code) (Kind, string, bool) {
	switch {
	case c == fault.KeyExpired || c == fault.KeyRevoked: // it is a known one
		return Permission, "", true
	case c == fault.BudgetExhausted: // not 429, which clients answer with more requests
		return Billing, "budget_exceeded", true
	case c == fault.BodyTooLarge:
		return TooLarge, "", true
	default:
		return 0, "", false
	}
}
