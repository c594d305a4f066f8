package snapsync

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
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
	l := loading{files: map[string]bool{}, changed: map[string][]byte{}}
	for _, e := range entries {
		switch name := e.Name(); {
		case name == changesName || name == olderName:
		case strings.HasSuffix(name, temporary):
			// Left behind by a process that was killed while it wrote.
			if err := os.Remove(filepath.Join(s.folder(), name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
				s.log.Warn("unfinished file cannot be removed", "file", name, "err", err)
			}
		default:
			l.files[name] = true
		}
	}
	s.loadChanges(&l)
	var shards, rest []string
	for _, name := range l.names() {
		if _, ok := shardOf(subjectPrefix + name); ok {
			shards = append(shards, name)
		} else {
			rest = append(rest, name)
		}
	}
	// Keys before routes before the head, as they are published.
	slices.SortFunc(rest, func(a, b string) int { return rank(a) - rank(b) })
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

// loading is what is on disk. It counts the values that were loaded and that did not open.
type loading struct {
	files          map[string]bool
	changed        map[string][]byte // values that are newer than their files, or have none
	loaded, closed atomic.Int64
}

// names are those of all values.
func (l *loading) names() []string {
	all := maps.Clone(l.files)
	for name := range l.changed {
		all[name] = true
	}
	return slices.Collect(maps.Keys(all))
}

// loadChanges reads the files of changes up to the first record that does not open: what follows it may rely on that.
func (s *Sync) loadChanges(l *loading) {
	take := func(name string, sealed []byte) error {
		data, err := s.key.Open(sealed, sealContext(subjectPrefix+name))
		if err == nil {
			l.changed[name] = data
		}
		return err
	}
	for _, c := range []*changes{&s.older, &s.changes} {
		if err := c.load(take); err != nil {
			l.closed.Add(1)
			s.log.Error("a change that is kept on disk does not open, it is ignored with those that follow", "file", filepath.Base(c.path), "err", err)
			break
		}
	}
	if s.older.size > 0 {
		s.wake()
	}
}

// read returns the value that is kept under a name, or nil.
func (s *Sync) read(name string, l *loading) []byte {
	changed := l.changed[name]
	if !l.files[name] {
		return changed
	}
	sealed, err := os.ReadFile(filepath.Join(s.folder(), name))
	if err != nil {
		s.log.Error("file of the snapshot cannot be read", "file", name, "err", err)
		return changed
	}
	data, err := s.key.Open(sealed, sealContext(subjectPrefix+name))
	if err != nil {
		l.closed.Add(1)
		s.log.Error("file of the snapshot does not open, it is ignored", "file", name, "err", err)
		return changed
	}
	if changed == nil {
		return data
	}
	// A value for which there was no room among the changes is in its file.
	if inFile, err := contract.Peek(data); err == nil {
		if v, err := contract.Peek(changed); err != nil || inFile.Newer(v) {
			return data
		}
	}
	return changed
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
