// Package snapsync brings the configuration to an edge: it follows the configuration stream, checks
// and compiles each value beside the traffic, swaps it in whole, and keeps the last good values on
// disk, encrypted, so that an edge starts and serves with everything else down.
//
// Newer values replace older ones by their version and nothing else: a stream that was wiped, a
// server that came back from an old disk and a message that comes twice change nothing.
package snapsync

import (
	"errors"
	"log/slog"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"tollgate/edge/admit"
	"tollgate/edge/routing"
	eventv1 "tollgate/gen/tollgate/event/v1"
	"tollgate/internal/bus"
	"tollgate/internal/contract"
	"tollgate/internal/seal"
)

// Config says where the values are kept.
type Config struct {
	// Dir is the edge's data directory; the values are in its folder "snapshot".
	Dir string
	// References finds the values of secrets that are references; nil finds none.
	References References
}

// References finds what references of secrets stand for on this edge.
type References interface {
	// Value is what a reference stands for now. The error holds no value.
	Value(reference string) (string, error)
	// Want says which references the configuration in use has.
	Want(references []string)
}

// Stats counts what came.
type Stats struct {
	Applied uint64 // values that are or were in use
	Stale   uint64 // values not newer than the one in use
	Refused uint64 // values that could not be used
}

// Sync keeps an edge's routes and keys as the control plane has published them.
type Sync struct {
	cfg    Config
	conn   *bus.Conn
	key    *seal.Key
	routes *routing.Holder
	keys   *admit.Keys
	env    func(string) (string, bool)
	log    *slog.Logger

	applied               atomic.Pointer[contract.Version]
	used, stale, rejected atomic.Uint64

	mu       sync.Mutex // held while a value is applied; guards the fields below
	versions map[string]contract.Version
	refused  map[string]contract.Version // newest value that could not be used, where none newer could
	head     contract.Version            // newest head seen
	diskBad  bool                        // the last write failed
	space    []byte                      // to decode values in
	routed   *routing.Snapshot           // the routes in use, where they have references; nil otherwise
	last     time.Time                   // when the last value had been applied
	alone    bool                        // the one that is applied is no part of many
	changes  changes                     // on disk
	older    changes                     // those before, until they are folded

	added chan struct{} // there are changes that tidy has not seen

	unresolved atomic.Pointer[map[string]string] // secrets in use that cannot be read, and why
}

// New makes a Sync that applies to routes and keys. Header values are resolved with env and with the
// secrets of the snapshot, which open under key.
func New(cfg Config, conn *bus.Conn, key *seal.Key, routes *routing.Holder, keys *admit.Keys, env func(string) (string, bool), log *slog.Logger) *Sync {
	s := &Sync{
		cfg: cfg, conn: conn, key: key, routes: routes, keys: keys, env: env, log: log,
		versions: map[string]contract.Version{}, refused: map[string]contract.Version{}, added: make(chan struct{}, 1),
	}
	s.changes = newChanges(filepath.Join(s.folder(), changesName))
	s.older = newChanges(filepath.Join(s.folder(), olderName))
	return s
}

// Applied is the version of the configuration that is in use: all values up to it are. The zero
// version means none.
func (s *Sync) Applied() contract.Version {
	if v := s.applied.Load(); v != nil {
		return *v
	}
	return contract.Version{}
}

// HaveRoutes says whether there are routes to serve.
func (s *Sync) HaveRoutes() bool { return s.routes.Current() != nil }

// Stats is what came so far.
func (s *Sync) Stats() Stats {
	return Stats{Applied: s.used.Load(), Stale: s.stale.Load(), Refused: s.rejected.Load()}
}

// apply takes in a value unless the one in use is as new. What is wrong with a value is logged, and
// the one in use stays.
func (s *Sync) apply(subject string, data []byte, keep bool) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	v, err := contract.Peek(data)
	if err == nil {
		if s.isStale(subject, v) {
			return nil
		}
		s.alone = keep && time.Since(s.last) > few
		err = s.use(subject, data)
		s.last = time.Now()
	}
	s.breathe()
	if err == nil && keep {
		s.persist(subject, data) // before anybody is told that it is in use
	}
	s.note(subject, v, err)
	return err
}

const (
	// few is the time between values that says that there are few of them.
	few = 10 * time.Millisecond
	// breath is for how long requests have the processor to themselves between the steps of applying one. Letting others run would not do:
	// what came from the network is only looked for where nothing else can run.
	breath = 200 * time.Microsecond
)

// breathe is called between steps. Where many values come, all being there soon counts for more. The caller holds mu.
func (s *Sync) breathe() {
	if s.alone {
		<-time.After(breath)
	}
}

// isStale says whether a value as new is in use, and counts it then. The caller holds mu.
func (s *Sync) isStale(subject string, v contract.Version) bool {
	have, ok := s.versions[subject]
	stale := ok && !v.Newer(have)
	if stale {
		s.stale.Add(1)
	}
	return stale
}

// note keeps what became of a value. The caller holds mu.
func (s *Sync) note(subject string, v contract.Version, err error) {
	if err != nil {
		s.rejected.Add(1)
		s.refused[subject] = v
		s.log.Error("configuration value refused, the one before stays", "subject", subject, "version", v.String(), "err", err)
		return
	}
	s.used.Add(1)
	s.versions[subject] = v
	delete(s.refused, subject)
	if subject == contract.ConfigHead {
		s.head = v
	}
	// What is said to be applied must be: a head does not count while a value before it is missing.
	if head := s.head; len(s.refused) == 0 && head.Newer(s.Applied()) {
		s.applied.Store(&head)
		s.log.Info("configuration applied", "version", head.String())
	}
}

// unwrap is contract.Unwrap in space that is used again, so that changes leave less behind for the garbage collector. What it returns
// is to be read before the next call. The caller holds mu.
func (s *Sync) unwrap(data []byte) (contract.Version, []byte, error) {
	v, wire, err := contract.Unwrap(data, s.space)
	if len(wire) <= mostSpace && cap(wire) > cap(s.space) {
		s.space = wire
	}
	return v, wire, err
}

// mostSpace bounds what is kept to decode values in.
const mostSpace = 4 << 20

// use decodes a value and swaps it in.
func (s *Sync) use(subject string, data []byte) error {
	if shard, ok := shardOf(subject); ok {
		_, wire, err := s.unwrap(data)
		if err != nil {
			return err
		}
		s.breathe()
		return s.keys.SetEncoded(shard, wire)
	}
	switch subject {
	case contract.ConfigRoutes:
		v, wire, err := s.unwrap(data)
		if err != nil {
			return err
		}
		s.breathe()
		read, err := routing.Read(wire)
		if err != nil {
			return err
		}
		s.breathe()
		return s.compile(read, v, s.routes.Current())
	case contract.ConfigHead:
		_, err := contract.Decode(data, new(eventv1.ConfigHead))
		return err
	default:
		return errors.New("no value is expected here")
	}
}
