package limit

import (
	"strconv"
	"time"

	eventv1 "tollgate/gen/tollgate/event/v1"
	"tollgate/internal/fault"
)

// longest is the longest time after which it makes sense to say when to try again.
const longest = 24 * time.Hour

// limited is the refusal of a request that may pass after a time.
func limited(h *hold, after int64) *fault.Error {
	l, wait := h.limit, time.Duration(max(after, 1))
	if l.kind == eventv1.LimitKind_LIMIT_KIND_CONCURRENT {
		return fault.New(fault.RateLimited, "Limit %s: %s may have %s in flight at a time.", l.name, l.subject, count(l.amount, "request")).
			WithRetryAfter(retryPermit)
	}
	if wait > longest {
		return fault.New(fault.RateLimited, "Limit %s: %s has at most %s a minute, and the next may pass in more than a day.", l.name, l.subject, allowed(l)).
			WithHint("Ask your gateway admin to raise the limit.")
	}
	if l.kind == eventv1.LimitKind_LIMIT_KIND_UNITS {
		return fault.New(fault.RateLimited, "Limit %s: %s has at most %s a minute; this request needs %d and may pass in %s.",
			l.name, l.subject, allowed(l), h.n, seconds(wait)).WithRetryAfter(wait)
	}
	return fault.New(fault.RateLimited, "Limit %s: %s has at most %s a minute; the next may pass in %s.", l.name, l.subject, allowed(l), seconds(wait)).
		WithRetryAfter(wait)
}

// hopeless is the refusal of a request that no time would let pass.
func hopeless(h *hold) *fault.Error {
	l := h.limit
	if l.amount == 0 {
		return fault.New(fault.RateLimited, "Limit %s: %s may send no requests.", l.name, l.subject).
			WithHint("Ask your gateway admin to raise the limit.")
	}
	return fault.New(fault.RateLimited, "Limit %s: %s may use %s at once; this request needs %d.", l.name, l.subject, count(l.burst, "unit"), h.n).
		WithHint("Send a smaller request, or ask your gateway admin to raise the burst of the limit.")
}

// unavailable is the refusal of a request whose limit admits nothing without the ledger.
func unavailable(h *hold) *fault.Error {
	return fault.New(fault.LimitUnavailable, "The ledger did not answer, and without it limit %s of %s admits nothing.", h.limit.name, h.limit.subject).
		WithRetryAfter(time.Second)
}

// allowed is what a rate allows.
func allowed(l *Limit) string {
	if l.kind == eventv1.LimitKind_LIMIT_KIND_UNITS {
		return count(l.amount, "unit")
	}
	return count(l.amount, "request")
}

func count(n int64, of string) string {
	if n == 1 {
		return "1 " + of
	}
	return strconv.FormatInt(n, 10) + " " + of + "s"
}

// seconds is a time as the Retry-After header says it: in whole seconds, rounded up.
func seconds(d time.Duration) string {
	return strconv.FormatInt(int64((d+time.Second-1)/time.Second), 10) + " s"
}
