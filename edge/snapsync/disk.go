package snapsync

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

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
// the directory cannot be used.
func (s *Sync) LoadFromDisk() error {
	if err := os.MkdirAll(s.folder(), 0o700); err != nil {
		return fmt.Errorf("snapshot on disk: %w", err)
	}
	entries, err := os.ReadDir(s.folder())
	if err != nil {
		return fmt.Errorf("snapshot on disk: %w", err)
	}
	var names []string
	for _, e := range entries {
		if strings.HasSuffix(e.Name(), temporary) {
			// Left behind by a process that was killed while it wrote.
			if err := os.Remove(filepath.Join(s.folder(), e.Name())); err != nil && !errors.Is(err, fs.ErrNotExist) {
				s.log.Warn("unfinished file cannot be removed", "file", e.Name(), "err", err)
			}
			continue
		}
		names = append(names, e.Name())
	}
	// Keys before routes before the head, as they are published.
	slices.SortFunc(names, func(a, b string) int { return rank(a) - rank(b) })
	loaded, closed := 0, 0
	for _, name := range names {
		subject := subjectPrefix + name
		sealed, err := os.ReadFile(filepath.Join(s.folder(), name))
		if err != nil {
			s.log.Error("file of the snapshot cannot be read", "file", name, "err", err)
			continue
		}
		data, err := s.key.Open(sealed, sealContext(subject))
		if err != nil {
			closed++
			s.log.Error("file of the snapshot does not open, it is ignored", "file", name, "err", err)
			continue
		}
		if s.apply(subject, data, false) == nil {
			loaded++
		}
	}
	switch {
	case closed > 0 && loaded == 0:
		s.log.Error("no file of the snapshot on disk opens: it was written under another sealing key", "dir", s.folder(), "files", closed)
	case loaded > 0:
		s.log.Info("snapshot loaded from disk", "files", loaded, "version", s.Applied().String(), "keys", s.keys.Len())
	}
	return nil
}

func rank(name string) int {
	switch subjectPrefix + name {
	case contract.ConfigHead:
		return 2
	case contract.ConfigRoutes:
		return 1
	default:
		return 0
	}
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
