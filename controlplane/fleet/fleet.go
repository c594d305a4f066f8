// Package fleet knows which edges there are and how they are, from the heartbeats that each sends
// every two seconds. It keeps the newest heartbeat of each edge in memory, filled from the stream at
// start, so any number of control planes tell the same. It commands nothing and stores nothing.
package fleet

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"google.golang.org/protobuf/proto"

	eventv1 "tollgate/gen/tollgate/event/v1"
	"tollgate/internal/bus"
	"tollgate/internal/contract"
	"tollgate/internal/feed"
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
}

const (
	keep  = 24 * time.Hour // how long a silent edge is remembered, here and by the stream
	retry = time.Second    // after something failed
)

// Fleet follows heartbeats. Make it with New and run it with Run.
type Fleet struct {
	bus      *bus.Conn
	replicas int
	log      *slog.Logger

	mu    sync.Mutex // guards nodes
	nodes map[string]seen
}

type seen struct {
	beat *eventv1.Heartbeat
	at   time.Time
}

// New makes a fleet; the connection stays its owner's.
func New(conn *bus.Conn, replicas int, log *slog.Logger) *Fleet {
	return &Fleet{bus: conn, replicas: replicas, log: log, nodes: map[string]seen{}}
}

// Run follows heartbeats until the context ends, whatever happens to NATS.
func (f *Fleet) Run(ctx context.Context) error {
	failed := ""
	for ctx.Err() == nil {
		err := f.bus.AwaitConnected(ctx)
		if err == nil {
			err = f.follow(ctx)
		}
		if ctx.Err() == nil && err.Error() != failed {
			failed = err.Error()
			f.log.WarnContext(ctx, "heartbeats cannot be read, trying again", "err", err)
		}
		t := time.NewTimer(retry)
		select {
		case <-ctx.Done():
		case <-t.C:
		}
		t.Stop()
	}
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
	return r.Each(ctx, func(m feed.Message) error {
		f.take(ctx, m)
		return nil
	})
}

func (f *Fleet) take(ctx context.Context, m feed.Message) {
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
}

// Observe takes in a heartbeat that was received at the given time. An older one than is known
// changes nothing.
func (f *Fleet) Observe(beat *eventv1.Heartbeat, at time.Time) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if old, ok := f.nodes[beat.GetEdge()]; ok && old.at.After(at) {
		return
	}
	f.nodes[beat.GetEdge()] = seen{beat, at}
}

// Nodes lists the edges by name, each with its status against the newest version at the given time.
func (f *Fleet) Nodes(newest contract.Version, now time.Time) []Node {
	f.mu.Lock()
	defer f.mu.Unlock()
	nodes := make([]Node, 0, len(f.nodes))
	for name, s := range f.nodes {
		if now.Sub(s.at) > keep {
			delete(f.nodes, name)
			continue
		}
		n := Node{Heartbeat: s.beat, LastSeen: s.at, Status: Live}
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
