package grants

import (
	"errors"
	"sync"
	"time"

	eventv1 "tollgate/gen/tollgate/event/v1"
	"tollgate/ledger/limits"
)

// sure is how long ago the connection that holds the partition's lock may have answered for this ledger
// to give tokens and permits. They are not in the database, so nothing else keeps two leaders from both
// giving all there is.
const sure = time.Second

// Learn is how long after a term began permits are given only to whoever held them: as long as edges may
// go on without word of a leader.
const Learn = 12 * time.Second

var errUnsure = errors.New("not sure to lead: the database has not answered for a while")

// Limiter answers for the limits of one leader's term. It is safe for concurrent use. A nil Limiter knows
// no limits.
type Limiter struct {
	alive func() time.Time
	mu    sync.Mutex // guards book
	book  *limits.Book
}

// NewLimiter makes a Limiter for a term that begins now. Alive says when the connection that holds the
// partition's lock answered last.
func NewLimiter(now time.Time, alive func() time.Time) *Limiter {
	return &Limiter{alive: alive, book: limits.New(now, Learn)}
}

// Set makes these the limits of the partition.
func (l *Limiter) Set(all []*eventv1.Limit) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.book.Set(all)
}

// answer gives tokens and permits, at once and without a transaction: they are void soon, and a leader
// that takes over begins with none. What it returns goes to edges that hold permits others want.
func (l *Limiter) answer(now time.Time, p *eventv1.LeaseRequest, to *eventv1.LeaseReply) ([]limits.Recall, error) {
	if l == nil || len(p.GetRates())+len(p.GetPermits()) == 0 {
		return nil, nil
	}
	if now.Sub(l.alive()) > sure {
		return nil, errUnsure
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	var recalls []limits.Recall
	if len(p.GetRates()) > 0 {
		to.Rates = l.book.Rates(now, p.GetInc(), p.GetRates())
	}
	if len(p.GetPermits()) > 0 {
		to.Permits, recalls = l.book.Permits(now, p.GetInc(), p.GetEdge(), p.GetPermits())
	}
	return recalls, nil
}
