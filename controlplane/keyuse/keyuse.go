// Package keyuse knows how often the secrets of keys are used that edges count, from what each process life of an edge tells. It
// keeps the newest message of each in memory, filled from the stream at start, so any number of control planes tell the same. It
// decides nothing: which secrets are counted is the configuration's.
package keyuse

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"google.golang.org/protobuf/proto"

	eventv1 "tollgate/gen/tollgate/event/v1"
	"tollgate/internal/bus"
	"tollgate/internal/contract"
	"tollgate/internal/feed"
)

// Use is how often a secret was used, over all edges. Times are in Unix milliseconds, 0 for none.
type Use struct {
	Requests, LastHour   int64
	First, Last          int64
	Address, Agent, Edge string // of the last use
}

const (
	// keep outlasts the longest overlap of two secrets.
	keep = 31 * 24 * time.Hour
	hour = time.Hour
)

// Uses follows what edges tell. Make it with New and run it with Run.
type Uses struct {
	bus      *bus.Conn
	replicas int
	log      *slog.Logger
	now      func() time.Time

	mu    sync.Mutex // guards lives
	lives map[string]life
}

// life is what one process life of an edge has told last.
type life struct {
	edge    string
	at      time.Time
	secrets map[[32]byte]*eventv1.KeyUse
}

// New makes uses of which nothing is known; the connection stays its owner's.
func New(conn *bus.Conn, replicas int, log *slog.Logger) *Uses {
	return &Uses{bus: conn, replicas: replicas, log: log, now: time.Now, lives: map[string]life{}}
}

// Run follows the stream until the context ends, whatever happens to NATS.
func (u *Uses) Run(ctx context.Context) error {
	u.bus.Follow(ctx, u.follow, func(err error) {
		u.log.WarnContext(ctx, "uses of keys cannot be read, trying again", "err", err)
	})
	return nil
}

// follow reads until it fails.
func (u *Uses) follow(ctx context.Context) error {
	if _, err := u.bus.EnsureStream(ctx, jetstream.StreamConfig{
		Name:              contract.StreamKeyUse,
		Subjects:          []string{contract.KeyUseSubjects},
		Storage:           jetstream.FileStorage,
		MaxMsgsPerSubject: 1,
		MaxAge:            keep,
		Discard:           jetstream.DiscardOld,
		AllowDirect:       true,
		Replicas:          u.replicas,
	}); err != nil {
		return err
	}
	r, err := feed.Newest(ctx, u.bus.JetStream(), contract.StreamKeyUse, contract.KeyUseSubjects)
	if err != nil {
		return err
	}
	defer r.Close()
	return r.Each(ctx, func(m feed.Message) error {
		if err := u.take(m.Subject, m.Data, m.Time); err != nil {
			u.log.WarnContext(ctx, "uses of keys ignored", "subject", m.Subject, "err", err)
		}
		return nil
	})
}

// take takes a message in, or says what is wrong with it.
func (u *Uses) take(subject string, data []byte, at time.Time) error {
	var m eventv1.KeyUses
	if err := proto.Unmarshal(data, &m); err != nil {
		return err
	}
	if subject != contract.KeyUse(m.GetEdge(), m.GetInc()) {
		return fmt.Errorf("edge %q speaks for another", m.GetEdge())
	}
	of := life{edge: m.GetEdge(), at: at, secrets: make(map[[32]byte]*eventv1.KeyUse, len(m.GetSecrets()))}
	for _, s := range m.GetSecrets() {
		if len(s.GetSha256()) != 32 {
			return errors.New("a hash of another length")
		}
		if s.GetRequests() < 0 || s.GetRequestsLastHour() < 0 {
			return errors.New("a negative count")
		}
		of.secrets[[32]byte(s.GetSha256())] = s
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	u.lives[subject] = of // what it told before is in this, or is counted no more
	for name, l := range u.lives {
		if u.now().Sub(l.at) > keep {
			delete(u.lives, name)
		}
	}
	return nil
}

// slack is how far the clocks of edges and of the database may be apart, and how long a configuration may be on its way.
const slack = time.Minute

// Of sums up what all lives of all edges have told of a secret. Uses before since were counted for an earlier reason.
func (u *Uses) Of(hash [32]byte, since time.Time) Use {
	u.mu.Lock()
	defer u.mu.Unlock()
	var out Use
	recent, from := u.now().Add(-hour).UnixMilli(), since.Add(-slack).UnixMilli()
	for _, l := range u.lives {
		s := l.secrets[hash]
		if s == nil || s.GetLastUnixMs() < from {
			continue
		}
		out.Requests += s.GetRequests()
		// What a life told before it ended is not of the last hour for ever.
		if s.GetLastUnixMs() > recent {
			out.LastHour += s.GetRequestsLastHour()
		}
		if first := s.GetFirstUnixMs(); first != 0 && (out.First == 0 || first < out.First) {
			out.First = first
		}
		if last := s.GetLastUnixMs(); last > out.Last {
			out.Last = last
			out.Address, out.Agent, out.Edge = s.GetLastAddress(), s.GetLastAgent(), l.edge
		}
	}
	return out
}
