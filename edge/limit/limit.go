package limit

import (
	"fmt"
	"sync/atomic"

	eventv1 "tollgate/gen/tollgate/event/v1"
)

// Limit is a limit as requests need it. It never changes, but for a note of where this edge counts it.
type Limit struct {
	id         int64
	version    int64
	amount     int64
	burst      int64
	name       string
	subject    string
	scopeName  string
	endpointID string
	last       atomic.Pointer[line] // where the last request found its tokens
	part       uint32
	kind       eventv1.LimitKind
	scope      eventv1.AccountScope
	fallback   eventv1.LimitFallback
}

// NewLimit reads a limit of a snapshot.
func NewLimit(from *eventv1.Limit) (*Limit, error) {
	if from.GetId() <= 0 {
		return nil, fmt.Errorf("limit %q has no number", from.GetName())
	}
	switch from.GetKind() {
	case eventv1.LimitKind_LIMIT_KIND_REQUESTS, eventv1.LimitKind_LIMIT_KIND_UNITS, eventv1.LimitKind_LIMIT_KIND_CONCURRENT:
	default:
		return nil, fmt.Errorf("limit %d is of kind %v, which this edge does not know", from.GetId(), from.GetKind())
	}
	if from.GetAmount() < 0 || from.GetBurst() < 0 {
		return nil, fmt.Errorf("limit %d is less than nothing", from.GetId())
	}
	return &Limit{
		id: from.GetId(), version: from.GetVersion(), amount: from.GetAmount(), burst: from.GetBurst(),
		name: from.GetName(), subject: from.GetSubject(), scopeName: from.GetScopeName(), endpointID: from.GetEndpointId(),
		part: from.GetPart(), kind: from.GetKind(), scope: from.GetScope(), fallback: from.GetFallback(),
	}, nil
}

// ID is the number of the limit.
func (l *Limit) ID() int64 { return l.id }

// Part is the partition of the ledger that owns it.
func (l *Limit) Part() uint32 { return l.part }

// Kind is what it bounds.
func (l *Limit) Kind() eventv1.LimitKind { return l.kind }

// Scope is what it applies to.
func (l *Limit) Scope() eventv1.AccountScope { return l.scope }

// ScopeName is the name of the team, customer or tag that it applies to.
func (l *Limit) ScopeName() string { return l.scopeName }

// EndpointID is the id of the endpoint that it applies to.
func (l *Limit) EndpointID() string { return l.endpointID }

// Name is the name of the limit, for people.
func (l *Limit) Name() string { return l.name }

// Subject is what it applies to, for people: "key ci-bot", "endpoint bria", "everything".
func (l *Limit) Subject() string { return l.subject }

// Burst is the most that passes at once: a request that is taken for more never does.
func (l *Limit) Burst() int64 { return l.burst }
