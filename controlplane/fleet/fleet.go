// Package fleet knows which edges there are and how they are, from the heartbeats that each sends
// every two seconds. It keeps the newest heartbeat of each edge in memory, filled from the stream at
// start, so any number of control planes tell the same; when each edge began to serve a revision it knows of the time since it
// began to listen. It hands commands and questions of people to edges, decides nothing itself and stores nothing.
package fleet

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"google.golang.org/protobuf/proto"

	eventv1 "tollgate/gen/tollgate/event/v1"
	"tollgate/internal/bus"
	"tollgate/internal/contract"
	"tollgate/internal/feed"
	"tollgate/internal/seal"
)

// Status is how an edge is.
type Status uint8

// The statuses. The numbers are those of the API.
const (
	Live   Status = iota + 1 // heard of lately, serving the newest revision
	Behind                   // heard of lately, serving an older one
	Silent                   // not heard of lately
)

// Node is one edge as it last described itself.
type Node struct {
	*eventv1.Heartbeat
	Status   Status
	LastSeen time.Time
	Skew     time.Duration // by how much its clock is ahead of this process's, as far as one can tell
}

// keep is how long a silent edge is remembered, here and by the stream.
const keep = 24 * time.Hour

// Fleet follows heartbeats. Make it with New and run it with Run.
type Fleet struct {
	sealing  *seal.Key // nil: questions go as they are
	bus      *bus.Conn
	replicas int
	log      *slog.Logger

	began time.Time

	mu        sync.Mutex // guards what follows
	nodes     map[string]seen
	steps     map[string]*steps // by name of the edge
	published steps
	changed   chan struct{} // closed at the next heartbeat; nil if nobody waits
}

type seen struct {
	beat   *eventv1.Heartbeat
	at     time.Time
	delays []time.Duration // of the last heartbeats, from the edge's clock to this one's
}

// New makes a fleet; the connection stays its owner's.
func New(conn *bus.Conn, replicas int, log *slog.Logger) *Fleet {
	return &Fleet{bus: conn, replicas: replicas, log: log, began: time.Now(), nodes: map[string]seen{}, steps: map[string]*steps{}}
}

// SealWith makes what edges are asked about requests readable to edges alone: it may hold somebody's key. It has to be called
// before anything is asked.
func (f *Fleet) SealWith(key *seal.Key) { f.sealing = key }

// Run follows heartbeats until the context ends, whatever happens to NATS.
func (f *Fleet) Run(ctx context.Context) error {
	f.bus.Follow(ctx, f.follow, func(err error) {
		f.log.WarnContext(ctx, "heartbeats cannot be read, trying again", "err", err)
	})
	return nil
}

// follow reads heartbeats until it fails.
func (f *Fleet) follow(ctx context.Context) error {
	if _, err := f.bus.EnsureStream(ctx, jetstream.StreamConfig{
		Name:              contract.StreamFleet,
		Subjects:          []string{contract.FleetSubjects},
		Storage:           jetstream.MemoryStorage,
		MaxMsgsPerSubject: 1,
		MaxAge:            keep,
		Discard:           jetstream.DiscardOld,
		AllowDirect:       true,
		Replicas:          f.replicas,
	}); err != nil {
		return err
	}
	r, err := feed.Newest(ctx, f.bus.JetStream(), contract.StreamFleet, contract.FleetSubjects)
	if err != nil {
		return err
	}
	defer r.Close()
	end, err := f.bus.Subscribe(contract.ConfigHead, "", f.head)
	if err != nil {
		return err
	}
	defer func() { _ = end() }() // fails only on a connection that is closed
	heard := map[string]bool{}
	return r.Each(ctx, func(m feed.Message) error {
		// The first of each edge may have been in the stream for long, and says nothing about clocks.
		f.take(ctx, m, heard[m.Subject])
		heard[m.Subject] = true
		return nil
	})
}

// head takes in that a revision was published.
func (f *Fleet) head(m *nats.Msg) {
	var head eventv1.ConfigHead
	version, err := contract.Decode(m.Data, &head)
	if err != nil {
		f.log.Warn("published revision ignored", "err", err)
		return
	}
	f.Published(version, time.UnixMilli(head.GetPublishedUnixMs()))
}

func (f *Fleet) take(ctx context.Context, m feed.Message, live bool) {
	var beat eventv1.Heartbeat
	err := proto.Unmarshal(m.Data, &beat)
	if err == nil && m.Subject != contract.Fleet(beat.GetEdge()) {
		err = fmt.Errorf("edge %q speaks for another", beat.GetEdge())
	}
	if err != nil {
		f.log.WarnContext(ctx, "heartbeat ignored", "subject", m.Subject, "err", err)
		return
	}
	f.Observe(&beat, m.Time)
	if live {
		f.measure(&beat, time.Now())
	}
}

// measures is how many heartbeats tell about an edge's clock: the one that was fastest is the closest to the truth.
const measures = 8

// surelySkewed is from where on a difference is not just the way that a heartbeat takes.
const surelySkewed = 25 * time.Millisecond

// measure takes in how long a heartbeat seems to have taken.
func (f *Fleet) measure(beat *eventv1.Heartbeat, now time.Time) {
	f.mu.Lock()
	defer f.mu.Unlock()
	s, ok := f.nodes[beat.GetEdge()]
	if !ok || beat.GetSentUnixMs() == 0 {
		return
	}
	if len(s.delays) == measures {
		s.delays = slices.Delete(s.delays, 0, 1)
	}
	s.delays = append(s.delays, now.Sub(time.UnixMilli(beat.GetSentUnixMs())))
	f.nodes[beat.GetEdge()] = s
}

// skew is by how much an edge's clock is ahead. A heartbeat takes some time, so a clock that is behind by a little cannot be told
// from one that is right, and is taken for that.
func (s *seen) skew() time.Duration {
	if len(s.delays) == 0 {
		return 0
	}
	if least := slices.Min(s.delays); least < -surelySkewed || least > surelySkewed {
		return -least
	}
	return 0
}

// Observe takes in a heartbeat that was received at the given time. An older one than is known
// changes nothing.
func (f *Fleet) Observe(beat *eventv1.Heartbeat, at time.Time) {
	f.mu.Lock()
	defer f.mu.Unlock()
	old, ok := f.nodes[beat.GetEdge()]
	if ok && old.at.After(at) {
		return
	}
	if old.beat.GetInc() != beat.GetInc() {
		old.delays = nil // a machine that was started anew may have set its clock
	}
	f.nodes[beat.GetEdge()] = seen{beat, at, old.delays}
	way := f.steps[beat.GetEdge()]
	if way == nil {
		way = &steps{}
		f.steps[beat.GetEdge()] = way
	}
	version := contract.Version{Epoch: beat.GetEpoch(), Revision: beat.GetRevision()}
	way.reach(version, at, time.UnixMilli(beat.GetStartUnixMs()).After(f.began))
	f.announce()
}

// Nodes lists the edges by name, each with its status against the newest version at the given time.
func (f *Fleet) Nodes(newest contract.Version, now time.Time) []Node {
	f.mu.Lock()
	defer f.mu.Unlock()
	nodes := make([]Node, 0, len(f.nodes))
	for name, s := range f.nodes {
		if now.Sub(s.at) > keep {
			delete(f.nodes, name)
			delete(f.steps, name)
			continue
		}
		n := Node{Heartbeat: s.beat, LastSeen: s.at, Status: Live, Skew: s.skew()}
		serves := contract.Version{Epoch: s.beat.GetEpoch(), Revision: s.beat.GetRevision()}
		switch {
		case now.Sub(s.at) >= contract.SilentAfter:
			n.Status = Silent
		case newest.Newer(serves):
			n.Status = Behind
		}
		nodes = append(nodes, n)
	}
	slices.SortFunc(nodes, func(a, b Node) int { return cmp.Compare(a.GetEdge(), b.GetEdge()) })
	return nodes
}
