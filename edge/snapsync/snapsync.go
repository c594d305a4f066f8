// Package snapsync brings the configuration to an edge: it follows the configuration stream, checks
// and compiles each value beside the traffic, swaps it in whole, and keeps the last good values on
// disk, encrypted, so that an edge starts and serves with everything else down.
//
// Newer values replace older ones by their version and nothing else: a stream that was wiped, a
// server that came back from an old disk and a message that comes twice change nothing.
package snapsync

import (
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"

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
}

// New makes a Sync that applies to routes and keys. Header values are resolved with env and with the
// secrets of the snapshot, which open under key.
func New(cfg Config, conn *bus.Conn, key *seal.Key, routes *routing.Holder, keys *admit.Keys, env func(string) (string, bool), log *slog.Logger) *Sync {
	return &Sync{
		cfg: cfg, conn: conn, key: key, routes: routes, keys: keys, env: env, log: log,
		versions: map[string]contract.Version{}, refused: map[string]contract.Version{},
	}
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
		if have, ok := s.versions[subject]; ok && !v.Newer(have) {
			s.stale.Add(1)
			return nil
		}
		err = s.use(subject, data)
	}
	if err != nil {
		s.rejected.Add(1)
		s.refused[subject] = v
		s.log.Error("configuration value refused, the one before stays", "subject", subject, "version", v.String(), "err", err)
		return err
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
	if keep {
		s.persist(subject, data)
	}
	return nil
}

// use decodes a value and swaps it in.
func (s *Sync) use(subject string, data []byte) error {
	if shard, ok := shardOf(subject); ok {
		var m eventv1.KeyShard
		if _, err := contract.Decode(data, &m); err != nil {
			return err
		}
		if m.GetShard() != shard {
			return fmt.Errorf("it holds shard %d", m.GetShard())
		}
		return s.keys.SetShard(&m)
	}
	switch subject {
	case contract.ConfigRoutes:
		var m eventv1.RouteSnapshot
		v, err := contract.Decode(data, &m)
		if err != nil {
			return err
		}
		return s.compile(&m, v)
	case contract.ConfigHead:
		_, err := contract.Decode(data, new(eventv1.ConfigHead))
		return err
	default:
		return errors.New("no value is expected here")
	}
}

func (s *Sync) compile(m *eventv1.RouteSnapshot, v contract.Version) error {
	sealed := make(map[string][]byte, len(m.GetSecrets()))
	for _, secret := range m.GetSecrets() {
		sealed[secret.GetName()] = secret.GetSealed()
	}
	table, err := routing.Compile(m, v, routing.Lookups{
		Secret: func(name string) (string, error) {
			box, ok := sealed[name]
			if !ok {
				return "", fmt.Errorf("secret %s does not exist", name)
			}
			plain, err := s.key.Open(box, "secret:"+name)
			if err != nil {
				s.log.Error("secret does not open: does this edge have the control plane's sealing key?", "secret", name)
			}
			return string(plain), err
		},
		Env: s.env,
	})
	if err != nil {
		return err
	}
	if missing := table.MissingEnv(); len(missing) > 0 {
		s.log.Warn("environment variables are missing, the endpoints that need them cannot be called", "names", missing)
	}
	s.routes.Store(table)
	return nil
}
