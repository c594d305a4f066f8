package spool

import (
	"context"
	"path"
)

// spareName is what the segment is called that is made ahead.
const spareName = "spare"

// prepare makes the next segment and the memory that is written next, so that no request waits for it,
// until ctx ends.
func (s *Spool) prepare(ctx context.Context) {
	for {
		s.prepareOnce()
		select {
		case <-ctx.Done():
			return
		case <-s.wakeAhead:
		}
	}
}

func (s *Spool) prepareOnce() {
	s.mu.Lock()
	var f File
	var at int64
	if cur := s.live.current(); cur != nil {
		f, at = cur.f, cur.size
	}
	size := s.Options.SegmentBytes
	due := !s.ended && !s.closed && !s.preparing && s.spare == nil && (f == nil || at > size/2) && s.used+size <= s.Options.MaxBytes
	if due {
		s.preparing = true
		s.used += size
	}
	name := path.Join(s.live.dir, spareName)
	s.mu.Unlock()
	if f != nil {
		f.Ahead(at)
	}
	if !due {
		return
	}
	// That it cannot be made is found out, and told, when it is needed.
	f, err := s.storage.Create(name, size)
	if err == nil {
		f.Ahead(0)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.preparing = false
	if err != nil {
		s.used -= size
		return
	}
	s.spare = f
	if s.closed || s.ended {
		if err := s.dropSpare(); err != nil {
			s.log.Warn("spool segment that was made ahead is not removed", "error", err)
		}
	}
}

// takeSpare is the segment that was made ahead, under the name that it is to have, or nil.
func (s *Spool) takeSpare(in *incarnation, name string, size int64) (File, error) {
	if s.spare == nil || in != s.live || size != s.Options.SegmentBytes {
		return nil, nil
	}
	if err := s.storage.Rename(path.Join(in.dir, spareName), name); err != nil {
		return nil, err
	}
	f := s.spare
	s.spare = nil
	return f, nil
}

// dropSpare removes the segment that was made ahead.
func (s *Spool) dropSpare() error {
	if s.spare == nil {
		return nil
	}
	f := s.spare
	s.spare = nil
	s.used -= s.Options.SegmentBytes
	if err := f.Close(); err != nil {
		return err
	}
	return s.storage.Remove(path.Join(s.live.dir, spareName))
}
