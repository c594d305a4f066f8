package snapsync

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"
)

const temporary = ".tmp"

// persist keeps a value. The edge works without its disk; only a later start with NATS away does not.
func (s *Sync) persist(subject string, data []byte) { s.kept(s.keep(subject, data)) }

// kept says when the disk fails and when it works again.
func (s *Sync) kept(err error) {
	if bad := err != nil; bad != s.diskBad {
		if s.diskBad = bad; bad {
			s.log.Error("configuration cannot be kept on disk: this edge would not start without NATS", "dir", s.folder(), "err", err)
		} else {
			s.log.Info("configuration is kept on disk again")
		}
	}
}

// keep adds a value to the changes. Where many come and there is room in neither file of them, it gets a file at once.
func (s *Sync) keep(subject string, data []byte) error {
	sealed, err := s.key.Seal(data, sealContext(subject))
	if err != nil {
		return fmt.Errorf("seal: %w", err)
	}
	name := strings.TrimPrefix(subject, subjectPrefix)
	err = s.changes.add(name, sealed)
	if errors.Is(err, errFull) && s.older.size == 0 {
		if err = s.turn(); err == nil {
			err = s.changes.add(name, sealed)
		}
	}
	if errors.Is(err, errFull) {
		if err = s.write(name, sealed); err == nil {
			delete(s.changes.at, name)
			delete(s.older.at, name)
		}
		return err
	}
	s.wake()
	return err
}

// turn begins a new file of changes. The one before is folded by and by.
func (s *Sync) turn() error {
	err := os.Rename(s.changes.path, s.older.path)
	if errors.Is(err, fs.ErrNotExist) { // somebody took it away
		return s.changes.remove()
	}
	if err != nil {
		return err
	}
	s.older.size, s.older.at = s.changes.size, s.changes.at
	s.changes.size, s.changes.at = 0, map[string]place{}
	return nil
}

// wake has tidy look.
func (s *Sync) wake() {
	select {
	case s.added <- struct{}{}:
	default:
	}
}

const (
	// settle is after what time a change is on the disk at the latest, so that it also outlives the machine's power.
	settle = 5 * time.Second
	// pace is the time between two values that are folded: replacing a file is the one thing here that costs much.
	pace = 20 * time.Millisecond
	// leave is how long an edge that ends may take to fold its changes.
	leave = time.Second
)

// tidy brings changes to the disk and folds them until ctx ends, and what is left of them then: an edge of the version before knows files only.
func (s *Sync) tidy(ctx context.Context) {
	for ctx.Err() == nil {
		select {
		case <-ctx.Done():
		case <-s.added:
			s.round(ctx)
		}
	}
	s.foldAll(time.Now().Add(leave))
}

// round folds until it is time to bring to the disk what was added before.
func (s *Sync) round(ctx context.Context) {
	settled, more := time.After(settle), true
	for {
		var next <-chan time.Time
		if more {
			next = time.After(pace)
		}
		select {
		case <-ctx.Done():
			return
		case <-next:
			more = s.foldOne(&s.older)
		case <-settled:
			// Without the lock: what is added meanwhile may or may not come with it.
			if err := s.changes.sync(); err != nil {
				s.log.Warn("changes cannot be brought to the disk", "err", err)
			}
			if more {
				s.wake()
			}
			return
		}
	}
}

func (s *Sync) foldAll(until time.Time) {
	for time.Now().Before(until) {
		if !s.foldOne(&s.older) && !s.foldOne(&s.changes) {
			return
		}
	}
}

// foldOne writes a value of a file of changes to a file of its own, and removes that of the changes when it has none left. A value of which
// there is a newer one is left where it is. It says whether there is more to do.
func (s *Sync) foldOne(c *changes) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for name := range c.at {
		if _, newer := s.changes.at[name]; newer && c != &s.changes {
			delete(c.at, name)
			continue
		}
		if rank(name) > 0 && len(c.at) > 1 {
			continue // the head says that all before it is there
		}
		sealed, err := c.value(name)
		if err == nil {
			err = s.write(name, sealed)
		}
		if s.kept(err); err != nil {
			return false
		}
		delete(c.at, name)
		return true
	}
	if c.size == 0 {
		return false
	}
	err := c.remove()
	s.kept(err)
	return false
}

// write replaces the file of a value, whole or not at all.
func (s *Sync) write(name string, sealed []byte) error {
	path := filepath.Join(s.folder(), name)
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
