// Package routing finds the endpoint of a request. A snapshot of the configuration is compiled into
// a table whole or not at all, and requests match against the table that was current when they came.
//
// It works on the raw path and never cleans it: what the caller sent is what the target gets. It
// opens no connection and knows nothing of keys or money beyond which accounts an endpoint draws on and
// what it costs, and of limits beyond which ones apply.
package routing

import (
	"sync/atomic"
	"time"

	"tollgate/edge/admit"
	"tollgate/edge/limit"
	eventv1 "tollgate/gen/tollgate/event/v1"
	"tollgate/internal/money"
)

// Endpoint is a path of the gateway and what is behind it. It never changes.
type Endpoint struct {
	ID           string
	Name         string
	Path         string
	Exact        bool     // nothing below Path matches
	Methods      []string // upper case; empty for every method
	Targets      []*Target
	Headers      []Header // set on requests to the target, resolved
	Err          error    // secret_unresolved: it cannot be called on this edge
	Forward      eventv1.ForwardMode
	KeyHeader    string // extra header in which the key may be presented
	Price        money.Nanos
	PriceText    string // in dollars, made once
	Free         bool
	Usage        *Usage // price by what a request uses, in place of Price; nil for none
	PriceVersion int64
	Abandoned    eventv1.AbandonedPolicy // what is charged if the edge dies
	Timeout      time.Duration           // until the target's response headers; 0 for the edge's default
	MaxBody      int64                   // bytes; 0 for the edge's own limit
	ForwardTrace bool
	Accounts     []*admit.Account // of endpoint scope and of everything; empty when Free
	Limits       []*limit.Limit   // of endpoint scope and of everything
}

// Header is a header set on requests to the target.
type Header struct{ Name, Value string }

// Holder gives requests the current table without a lock. The zero value holds none.
type Holder struct{ current atomic.Pointer[Table] }

// Current is nil until the first snapshot was applied. A request takes it once and keeps that table
// to its end.
func (h *Holder) Current() *Table { return h.current.Load() }

// Store makes t the table of all requests from now on.
func (h *Holder) Store(t *Table) { h.current.Store(t) }
