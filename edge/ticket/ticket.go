// Package ticket takes tickets, each once. It promises that no ticket of another edge, none that has expired or was made before this
// process began, and none that was taken before gets through. What a ticket's key may do is decided where every key's rights are.
package ticket

import (
	"errors"
	"sync"
	"time"

	"tollgate/internal/fault"
	"tollgate/internal/seal"
	"tollgate/internal/ticket"
)

const (
	// skew is how far the clocks of the control plane and of this edge may be apart.
	skew = 10 * time.Second
	// most is how many tickets are remembered at a time. Each is for as long as it could be taken again.
	most = 1 << 14
)

// Taker takes tickets. It is safe for concurrent use.
type Taker struct {
	key   *seal.Key
	edge  string
	began time.Time

	mu    sync.Mutex           // guards what follows
	taken map[string]time.Time // by nonce: when it is refused for its age
}

// New makes a taker for the edge of a name. Tickets that were made before began are refused: they may have been taken by the process
// before this one.
func New(key *seal.Key, edge string, began time.Time) *Taker {
	return &Taker{key: key, edge: edge, began: began, taken: map[string]time.Time{}}
}

// Is says whether a secret has the form of a ticket.
func (*Taker) Is(secret string) bool {
	return len(secret) > len(ticket.Prefix) && secret[:len(ticket.Prefix)] == ticket.Prefix
}

// Take takes a ticket: it is the hash of the key that it acts as, and what the request is marked with.
func (t *Taker) Take(text string, now time.Time) (hash [32]byte, source string, err error) {
	got, err := ticket.Open(t.key, text)
	if err != nil {
		return hash, "", fault.New(fault.KeyUnknown, "The ticket is not one of this gateway.").WithCause(err)
	}
	expires := time.UnixMilli(got.GetExpireUnixMs())
	switch made := expires.Add(-ticket.Lifetime); {
	case got.GetEdge() != t.edge:
		return hash, "", fault.New(fault.KeyUnknown, "The ticket is for edge %s, and this is %s.", got.GetEdge(), t.edge).
			WithHint("Send it to the edge that it was made for.")
	case now.After(expires.Add(skew)):
		return hash, "", expired("The ticket has expired.")
	case made.After(now.Add(skew)):
		return hash, "", expired("The ticket is from the future: the clocks of the control plane and of this edge are too far apart.")
	case made.Before(t.began.Truncate(time.Millisecond)):
		return hash, "", expired("The ticket was made before this edge has started.")
	}
	if err := t.remember(string(got.GetNonce()), expires.Add(skew), now); err != nil {
		return hash, "", err
	}
	return [32]byte(got.GetKeySha256()), got.GetSource(), nil
}

func expired(why string) error {
	return fault.New(fault.KeyExpired, "%s", why).WithHint("Ask for a new ticket.")
}

var errFull = errors.New("more tickets than are remembered")

// remember refuses what it knows already.
func (t *Taker) remember(nonce string, until, now time.Time) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if _, ok := t.taken[nonce]; ok {
		return fault.New(fault.KeyRevoked, "The ticket was used already.").WithHint("Ask for a new ticket.")
	}
	if len(t.taken) >= most {
		for old, end := range t.taken {
			if now.After(end) {
				delete(t.taken, old)
			}
		}
	}
	if len(t.taken) >= most {
		return fault.New(fault.Overloaded, "This edge has taken %d tickets within a minute, its limit.", most).WithRetryAfter(time.Second).WithCause(errFull)
	}
	t.taken[nonce] = until
	return nil
}
