package limit

import (
	"context"
	"errors"
	"time"

	eventv1 "tollgate/gen/tollgate/event/v1"
)

// Asker asks the ledger's leader of a partition. The answer is what the leader said, with its epoch.
type Asker interface {
	Limits(ctx context.Context, part uint32, rates []*eventv1.RateLine, permits []*eventv1.PermitLine) (*eventv1.LeaseReply, error)
}

// Config says how patient a Set is.
type Config struct {
	// Wait is how long a request may wait for tokens or a permit. One that would have to wait longer is
	// refused at once.
	Wait time.Duration `yaml:"wait"`
	// Now is the clock; nil for the system's, of which the monotonic reading is used.
	Now func() time.Time `yaml:"-"`
}

// DefaultConfig is what suits most edges.
func DefaultConfig() Config { return Config{Wait: 25 * time.Millisecond} }

// Validate checks that requests may wait at all: without an answer of the ledger none would pass.
func (c Config) Validate() error {
	if c.Wait <= 0 {
		return errors.New("wait: must be longer than 0")
	}
	return nil
}

// Times of the protocol. Those that end what an edge may do come from the ledger with each answer.
const (
	// ahead is for how long tokens are asked for beyond what requests need, at the pace of late.
	ahead = 100 * time.Millisecond
	// paceAhead is how often a line asks at most when no request waits.
	paceAhead = 10 * time.Millisecond
	// together is how far the ends of chunks may lie apart to be kept as one, which ends with the first.
	together = 50 * time.Millisecond
	// trust is for how long a refusal of the ledger is taken for true: its limit may have been raised.
	trust = 2 * time.Second
	// deposed is when to ask again after a leader answered that another has replaced.
	deposed = 10 * time.Millisecond
	// gone is for how long requests do not wait for a ledger that did not answer.
	gone = time.Second
	// unheard is when to ask about a limit again that the ledger did not know.
	unheard = 500 * time.Millisecond
	// idle is after how long a permit that is not used is returned, and renew how often the ledger is
	// told what is held.
	idle  = time.Second
	renew = 1500 * time.Millisecond
	// session bounds for how long permits allow new requests after they were confirmed, whatever the
	// ledger says.
	session = 8 * time.Second
	// keep is for how long a limit is remembered that no request came for.
	keep = 10 * time.Second
	// sweep is how often a running Set looks after what time does.
	sweep = 100 * time.Millisecond
	// retryPermit is when a caller may try again that found no permit: when others end is not known.
	retryPermit = time.Second
)

// mostLines bounds a request to the ledger.
const mostLines = 500

// mostPermits bounds what is counted of one limit.
const mostPermits = 1 << 31
