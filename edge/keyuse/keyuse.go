// Package keyuse counts how often the secrets of keys are used that were given another one, and tells the control plane, so that
// people see who still has the old secret. It promises that a request never waits for it, and that what was told outlives the
// process; what was counted since the last telling is lost with it.
//
// It is not for billing: money is counted by the spool, which loses nothing.
package keyuse

import (
	"context"
	"log/slog"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/protobuf/proto"

	eventv1 "tollgate/gen/tollgate/event/v1"
	"tollgate/internal/contract"
)

const (
	// every is how often what changed is told.
	every = 2 * time.Second
	// tellWithin bounds one telling.
	tellWithin = 5 * time.Second
	// most is how many secrets are counted at a time: what is told of them is one message.
	most = 2000
	// longestAgent keeps what a caller says of itself short.
	longestAgent = 128

	minutes = 60
)

// Send brings a message to the stream, and returns when it is there.
type Send func(ctx context.Context, subject string, data []byte) error

// Counters count uses. Make them with New; Run tells of them.
type Counters struct {
	edge string
	inc  int64
	send Send
	keep func(hash [32]byte) bool // whether a secret is still to be counted
	log  *slog.Logger

	changed atomic.Bool
	full    atomic.Bool // secrets are left out, which was said

	mu  sync.RWMutex // guards the map; a counter has a lock of its own
	all map[[32]byte]*counter
}

// counter is of one secret.
type counter struct {
	mu          sync.Mutex // guards the fields below
	requests    int64
	first, last int64 // Unix milliseconds
	address     netip.Addr
	agent       string
	byMinute    [minutes]int64 // the last hour, a minute each
	minute      int64          // of the newest, since 1970
}

// New makes counters of one process life of an edge.
func New(edge string, inc int64, send Send, keep func([32]byte) bool, log *slog.Logger) *Counters {
	return &Counters{edge: edge, inc: inc, send: send, keep: keep, log: log, all: map[[32]byte]*counter{}}
}

// Count notes a use of a secret.
func (c *Counters) Count(hash [32]byte, at time.Time, from netip.Addr, agent string) {
	c.mu.RLock()
	n := c.all[hash]
	c.mu.RUnlock()
	if n == nil {
		if n = c.add(hash); n == nil {
			return
		}
	}
	n.count(at, from, agent)
	c.changed.Store(true)
}

func (c *Counters) add(hash [32]byte) *counter {
	c.mu.Lock()
	defer c.mu.Unlock()
	n := c.all[hash]
	if n == nil && len(c.all) < most {
		n = &counter{}
		c.all[hash] = n
	}
	if n == nil && !c.full.Swap(true) {
		c.log.Warn("uses of some rotated keys are not counted: there are too many at a time", "most", most)
	}
	return n
}

func (n *counter) count(at time.Time, from netip.Addr, agent string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	ms := at.UnixMilli()
	n.requests++
	n.advance(at)
	n.byMinute[n.minute%minutes]++
	if n.first == 0 {
		n.first = ms
	}
	if ms < n.last {
		return // another request came later and was faster
	}
	n.last, n.address = ms, from
	if len(agent) > longestAgent {
		agent = agent[:longestAgent]
	}
	if n.agent != agent {
		n.agent = strings.Clone(agent)
	}
}

// advance empties the minutes that are over an hour old. It never goes back, whatever the clock does. The caller holds the lock.
func (n *counter) advance(at time.Time) {
	now := at.Unix() / 60
	if now <= n.minute {
		return
	}
	for m := max(n.minute+1, now-minutes+1); m <= now; m++ {
		n.byMinute[m%minutes] = 0
	}
	n.minute = now
}

func (n *counter) message(hash [32]byte, at time.Time) *eventv1.KeyUse {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.advance(at)
	m := &eventv1.KeyUse{
		Sha256: hash[:], Requests: n.requests, FirstUnixMs: n.first, LastUnixMs: n.last, LastAgent: strings.ToValidUTF8(n.agent, "\uFFFD"),
	}
	if n.address.IsValid() {
		m.LastAddress = n.address.String()
	}
	for _, uses := range n.byMinute {
		m.RequestsLastHour += uses
	}
	return m
}

// Run tells of what changed until the context ends, and what is left then is told by Stop.
func (c *Counters) Run(ctx context.Context) error {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
			c.tellChanges(ctx)
		}
	}
}

// Stop tells what was counted last.
func (c *Counters) Stop(ctx context.Context) error {
	c.tellChanges(ctx)
	return nil
}

func (c *Counters) tellChanges(ctx context.Context) {
	if c.forget() {
		c.changed.Store(true)
	}
	if !c.changed.Swap(false) {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, tellWithin)
	defer cancel()
	if err := c.tell(ctx, time.Now()); err != nil {
		c.changed.Store(true)
		c.log.Debug("uses of keys not told", "err", err)
	}
}

// forget drops secrets that are counted no more, so that they begin anew if they ever are again, and says whether there were any.
func (c *Counters) forget() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	before := len(c.all)
	for hash := range c.all {
		if !c.keep(hash) {
			delete(c.all, hash)
		}
	}
	if len(c.all) < most {
		c.full.Store(false)
	}
	return len(c.all) < before
}

// tell sends everything that is counted: a newer message takes the place of an older one.
func (c *Counters) tell(ctx context.Context, at time.Time) error {
	m := &eventv1.KeyUses{Edge: c.edge, Inc: c.inc}
	c.mu.RLock()
	for hash, n := range c.all {
		m.Secrets = append(m.Secrets, n.message(hash, at))
	}
	c.mu.RUnlock()
	data, err := proto.Marshal(m)
	if err != nil {
		return err
	}
	return c.send(ctx, contract.KeyUse(c.edge, c.inc), data)
}
