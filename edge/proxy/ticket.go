package proxy

import (
	"strings"
	"time"

	"tollgate/edge/admit"
)

// Tickets are taken in place of keys, each once.
type Tickets interface {
	// Is says whether a secret has the form of a ticket.
	Is(secret string) bool
	// Take gives the hash of the key that a ticket acts as, and what its request is marked with.
	Take(text string, now time.Time) (hash [32]byte, source string, err error)
}

// ticket takes the ticket that the request carries as its bearer and authenticates it as the key that it acts as; empty for none.
// From there on it is treated as the secret of that key, which goes to no target.
func (c *call) ticket() (string, error) {
	if c.g.d.Tickets == nil {
		return "", nil
	}
	for i, h := range c.x.Headers {
		if c.kinds[i]&keyed == 0 {
			continue
		}
		scheme, text, ok := strings.Cut(h.Value, " ")
		if !strings.EqualFold(h.Name, "authorization") || !ok || !strings.EqualFold(scheme, "bearer") || !c.g.d.Tickets.Is(text) {
			continue
		}
		hash, source, err := c.g.d.Tickets.Take(text, c.began)
		if err != nil {
			return "", err
		}
		key, ok := c.g.d.Keys.Lookup(hash)
		if !ok {
			return "", admit.Unknown()
		}
		ask := c.askOfKey(key)
		ask.FromAnywhere = true // the key's own callers are bound to networks, and this one was let in by the control plane
		if err := key.Check(&ask); err != nil {
			c.refused = key
			return "", err
		}
		c.key, c.x.Source = key, source
		return text, nil
	}
	return "", nil
}
