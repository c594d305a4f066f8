package snapsync

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"

	"tollgate/internal/contract"
)

// subjectPrefix is what all subjects of configuration begin with, and file names leave out.
var subjectPrefix = strings.TrimSuffix(contract.ConfigSubjects, ">")

var keysPrefix = strings.TrimSuffix(contract.ConfigAllKeys, "*")

// shardOf is the number of the shard of keys that a subject carries.
func shardOf(subject string) (uint32, bool) {
	text, ok := strings.CutPrefix(subject, keysPrefix)
	if !ok {
		return 0, false
	}
	n, err := strconv.ParseUint(text, 10, 32)
	if err != nil || n >= contract.KeyShards || contract.ConfigKeys(uint32(n)) != subject {
		return 0, false
	}
	return uint32(n), true
}

func (s *Sync) folder() string { return filepath.Join(s.cfg.Dir, "snapshot") }

// sealContext binds a file to its subject: it does not open under another name.
func sealContext(subject string) string { return "snapshot:" + subject }

// LoadFromDisk applies what was kept by an earlier life of the process. Files that do not open or
// hold nothing usable are logged and passed over; NATS brings their values again. It fails only where
// the directory cannot be used. It comes before Run.
func (s *Sync) LoadFromDisk() error {
	if err := os.MkdirAll(s.folder(), 0o700); err != nil {
		return fmt.Errorf("snapshot on disk: %w", err)
	}
	entries, err := os.ReadDir(s.folder())
	if err != nil {
		return fmt.Errorf("snapshot on disk: %w", err)
	}
	var shards, rest []string
	for _, e := range entries {
		if strings.HasSuffix(e.Name(), temporary) {
			// Left behind by a process that was killed while it wrote.
			if err := os.Remove(filepath.Join(s.folder(), e.Name())); err != nil && !errors.Is(err, fs.ErrNotExist) {
				s.log.Warn("unfinished file cannot be removed", "file", e.Name(), "err", err)
			}
			continue
		}
		if _, ok := shardOf(subjectPrefix + e.Name()); ok {
			shards = append(shards, e.Name())
		} else {
			rest = append(rest, e.Name())
		}
	}
	// Keys before routes before the head, as they are published.
	slices.SortFunc(rest, func(a, b string) int { return rank(a) - rank(b) })
	var l loading
	s.loadShards(shards, &l)
	for _, name := range rest {
		if data := s.read(name, &l); data != nil && s.apply(subjectPrefix+name, data, false) == nil {
			l.loaded.Add(1)
		}
	}
	switch loaded, closed := l.loaded.Load(), l.closed.Load(); {
	case closed > 0 && loaded == 0:
		s.log.Error("no file of the snapshot on disk opens: it was written under another sealing key", "dir", s.folder(), "files", closed)
	case loaded > 0:
		s.log.Info("snapshot loaded from disk", "files", loaded, "version", s.Applied().String(), "keys", s.keys.Len())
	}
	return nil
}

// loading counts files that were loaded and that did not open.
type loading struct{ loaded, closed atomic.Int64 }

// read returns the value in a file, or nil.
func (s *Sync) read(name string, l *loading) []byte {
	sealed, err := os.ReadFile(filepath.Join(s.folder(), name))
	if err != nil {
		s.log.Error("file of the snapshot cannot be read", "file", name, "err", err)
		return nil
	}
	data, err := s.key.Open(sealed, sealContext(subjectPrefix+name))
	if err != nil {
		l.closed.Add(1)
		s.log.Error("file of the snapshot does not open, it is ignored", "file", name, "err", err)
		return nil
	}
	return data
}

// loadShards loads shards of keys on all cores, since nobody is served before they are there. Each is in one file, so that none waits
// for another.
func (s *Sync) loadShards(names []string, l *loading) {
	var next atomic.Int64
	var wg sync.WaitGroup
	for range min(runtime.GOMAXPROCS(0), len(names)) {
		wg.Go(func() {
			var space []byte
			for i := next.Add(1) - 1; int(i) < len(names); i = next.Add(1) - 1 {
				space = s.loadShard(names[i], l, space)
			}
		})
	}
	wg.Wait()
}

// loadShard decodes a shard in space, which may have grown then.
func (s *Sync) loadShard(name string, l *loading, space []byte) []byte {
	subject := subjectPrefix + name
	n, _ := shardOf(subject)
	data := s.read(name, l)
	if data == nil {
		return space
	}
	v, wire, err := contract.Unwrap(data, space)
	if cap(wire) > cap(space) {
		space = wire
	}
	s.mu.Lock()
	stale := err == nil && s.isStale(subject, v)
	s.mu.Unlock()
	if stale {
		return space
	}
	if err == nil {
		err = s.keys.SetEncoded(n, wire)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.note(subject, v, err); err == nil {
		l.loaded.Add(1)
	}
	return space
}

// rank orders what is loaded beside keys.
func rank(name string) int {
	if subjectPrefix+name == contract.ConfigHead {
		return 1
	}
	return 0
}

const temporary = ".tmp"

// persist keeps a value. The edge works without its disk; only a later start with NATS away does not.
func (s *Sync) persist(subject string, data []byte) {
	err := s.write(subject, data)
	if bad := err != nil; bad != s.diskBad {
		if s.diskBad = bad; bad {
			s.log.Error("configuration cannot be kept on disk: this edge would not start without NATS", "dir", s.folder(), "err", err)
		} else {
			s.log.Info("configuration is kept on disk again")
		}
	}
}

func (s *Sync) write(subject string, data []byte) error {
	sealed, err := s.key.Seal(data, sealContext(subject))
	if err != nil {
		return fmt.Errorf("seal: %w", err)
	}
	path := filepath.Join(s.folder(), strings.TrimPrefix(subject, subjectPrefix))
	if err := os.WriteFile(path+temporary, sealed, 0o600); err != nil {
		if !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		// The directory went away, or LoadFromDisk was not called.
		if err := os.MkdirAll(s.folder(), 0o700); err != nil {
			return err
		}
		if err := os.WriteFile(path+temporary, sealed, 0o600); err != nil {
			return err
		}
	}
	return os.Rename(path+temporary, path)
}
