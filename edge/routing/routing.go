// Package routing finds the endpoint of a request. A snapshot of the configuration is compiled into
// a table whole or not at all, and requests match against the table that was current when they came.
//
// It works on the raw path and never cleans it: what the caller sent is what the target gets. It
// opens no connection and knows nothing of keys or money beyond which accounts an endpoint draws on and
// what it costs, and of limits beyond which ones apply.
package routing

import (
	"sync"
	"sync/atomic"
	"time"

	"tollgate/edge/admit"
	"tollgate/edge/limit"
	eventv1 "tollgate/gen/tollgate/event/v1"
	"tollgate/internal/meter"
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
	Usage        *Usage      // price by what a request uses, in place of Price; nil for none
	Plan         *meter.Plan // price that meters or the target say, or that conditions decide of; nil for none
	Charge       Charge      // which requests and answers are charged, where no plan says it
	PriceVersion int64
	Abandoned    eventv1.AbandonedPolicy // what is charged if the edge dies
	Timeout      time.Duration           // until the target's response headers; 0 for the edge's default
	MaxBody      int64                   // bytes; 0 for the edge's own limit
	ForwardTrace bool
	Public       bool // callers need no key
	Disabled     bool // requests are refused
	PassHeaders  bool // x-pass-NAME of a caller goes on as NAME
	Query        []Query
	HostPolicy   eventv1.HostPolicy
	HostText     string
	Signing      *Signing      // of requests for AWS; nil for none
	Models       *Models       // that it serves in place of targets; nil for none
	Idle         time.Duration // longest silence in an answer; 0 for the edge's default
	Total        time.Duration // for all attempts until the end of the answer; 0 for no limit

	Balance           eventv1.BalancePolicy
	Credentials       []*Credential // empty if the endpoint's own headers are all
	CredentialBalance eventv1.BalancePolicy
	Retry             *Retry // nil for none
	Hedge             *Hedge // nil for none
	Health            *Health
	Outlier           *Outlier

	Accounts []*admit.Account // of endpoint scope and of everything; empty when Free
	Limits   []*limit.Limit   // of endpoint scope and of everything
}

// Header is a header of requests to the target.
type Header struct {
	Name, Value string
	Mode        Mode
	Source      string // the value as configured, with its references
}

// Query is a query parameter of requests to the target, decoded.
type Query struct {
	Name, Value string
	Mode        Mode
	Source      string // as of a header
}

// Mode says what a configured header or parameter does to the caller's of the same name.
type Mode uint8

// The modes.
const (
	Set     Mode = iota // replaces it
	Default             // is sent where there is none
	Remove              // leaves it out
)

// Credential is one of several vendor credentials that take turns.
type Credential struct {
	Name     string // unique in the endpoint
	Headers  []Header
	Query    []Query
	Weight   uint32 // at least 1
	Priority uint32
	Err      error // secret_unresolved: it cannot be used on this edge
}

// Retry says which requests are sent again. Nothing in it is zero but AnyMethod.
type Retry struct {
	Attempts      int
	Statuses      []int
	AnyMethod     bool
	MaxBody       int64
	BudgetPercent uint32
	Backoff       time.Duration
}

// Hedge says when a second attempt is made beside a slow one.
type Hedge struct {
	After     time.Duration
	AnyMethod bool
}

// Health is how targets are checked. Nothing in it is zero but Statuses, which then stand for 2xx.
type Health struct {
	Path                         string
	Interval, Timeout            time.Duration
	Statuses                     []int
	UnhealthyAfter, HealthyAfter int
}

// Outlier says when a target is ejected. Nothing in it is zero.
type Outlier struct {
	Failures   int
	EjectFor   time.Duration
	MaxPercent int
}

// Holder gives requests the current table without a lock. The zero value holds none.
type Holder struct {
	current atomic.Pointer[Table]

	mu      sync.Mutex // guards changed
	changed chan struct{}
}

// Current is nil until the first snapshot was applied. A request takes it once and keeps that table
// to its end.
func (h *Holder) Current() *Table { return h.current.Load() }

// Store makes t the table of all requests from now on.
func (h *Holder) Store(t *Table) {
	h.current.Store(t)
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.changed != nil {
		close(h.changed)
		h.changed = nil
	}
}

// Changed is closed when a table is stored after the call.
func (h *Holder) Changed() <-chan struct{} {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.changed == nil {
		h.changed = make(chan struct{})
	}
	return h.changed
}
