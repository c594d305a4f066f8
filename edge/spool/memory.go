package spool

import (
	"encoding/binary"
	"fmt"
	"io"
	"io/fs"
	"path"
	"slices"
	"strings"
	"sync"
	"syscall"
)

// Memory is storage for tests and simulations. It outlives the Spool that uses it: to kill an edge,
// drop its Spool and open another one. What the old one does afterwards fails.
type Memory struct {
	mu    sync.Mutex // guards all below and all files
	files map[string]*memoryFile
	dirs  map[string]bool
	lives int   // how often it was locked
	space int64 // 0: no end
}

// memoryFile is a file as it is on disk. allocated is no less than its length.
type memoryFile struct {
	data      []byte
	allocated int64
}

// NewMemory is empty storage.
func NewMemory() *Memory {
	return &Memory{files: map[string]*memoryFile{}, dirs: map[string]bool{"": true}}
}

// SetSpace bounds what files may take; 0 is no bound. What is there stays.
func (m *Memory) SetSpace(bytes int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.space = bytes
}

// Lock implements Storage.
func (m *Memory) Lock() (func() error, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.lives++
	return func() error { return nil }, nil
}

// List implements Storage.
func (m *Memory) List(dir string) ([]string, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.dirs[dir] {
		return nil, notThere(dir)
	}
	var names []string
	in := func(name string) {
		if name != "" && path.Dir("/" + name)[1:] == dir {
			names = append(names, path.Base(name))
		}
	}
	for name := range m.files {
		in(name)
	}
	for name := range m.dirs {
		in(name)
	}
	slices.Sort(names)
	return names, nil
}

func notThere(name string) error { return fmt.Errorf("%s: %w", name, fs.ErrNotExist) }

// Mkdir implements Storage.
func (m *Memory) Mkdir(dir string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.dirs[dir] {
		return fmt.Errorf("%s: %w", dir, fs.ErrExist)
	}
	m.dirs[dir] = true
	return nil
}

// Rename implements Storage.
func (m *Memory) Rename(from, to string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.dirs[from] && m.files[from] == nil {
		return notThere(from)
	}
	for name, f := range m.files {
		if rest, ok := below(name, from); ok {
			delete(m.files, name)
			m.files[to+rest] = f
		}
	}
	for name := range m.dirs {
		if rest, ok := below(name, from); ok {
			delete(m.dirs, name)
			m.dirs[to+rest] = true
		}
	}
	return nil
}

// below is what of a name comes after that of a directory which it is in, or of itself.
func below(name, dir string) (rest string, ok bool) {
	rest, ok = strings.CutPrefix(name, dir)
	return rest, ok && (rest == "" || rest[0] == '/')
}

// Remove implements Storage.
func (m *Memory) Remove(name string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	for file := range m.files {
		if _, ok := below(file, name); ok {
			delete(m.files, file)
		}
	}
	for dir := range m.dirs {
		if _, ok := below(dir, name); ok {
			delete(m.dirs, dir)
		}
	}
	return nil
}

// Create implements Storage.
func (m *Memory) Create(name string, size int64) (File, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.files[name] != nil {
		return nil, fmt.Errorf("%s: %w", name, fs.ErrExist)
	}
	f := &memoryFile{}
	if err := m.allocate(f, size); err != nil {
		return nil, err
	}
	m.files[name] = f
	return &memoryHandle{m: m, f: f, life: m.lives}, nil
}

// allocate makes sure that f may grow to size bytes.
func (m *Memory) allocate(f *memoryFile, size int64) error {
	if size <= f.allocated {
		return nil
	}
	used := size - f.allocated
	for _, other := range m.files {
		used += other.allocated
	}
	if m.space > 0 && used > m.space {
		return fmt.Errorf("allocate %d bytes: %w", size, syscall.ENOSPC)
	}
	f.allocated = size
	return nil
}

// Open implements Storage.
func (m *Memory) Open(name string) (File, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	f := m.files[name]
	if f == nil {
		return nil, notThere(name)
	}
	return &memoryHandle{m: m, f: f, life: m.lives}, nil
}

// memoryHandle is a file as one process life has it open.
type memoryHandle struct {
	m       *Memory
	f       *memoryFile
	life    int
	scratch []byte
}

func (h *memoryHandle) ReadAt(b []byte, off int64) (int, error) {
	h.m.mu.Lock()
	defer h.m.mu.Unlock()
	if off > int64(len(h.f.data)) {
		return 0, io.EOF
	}
	n := copy(b, h.f.data[off:])
	if n < len(b) {
		return n, io.EOF
	}
	return n, nil
}

func (h *memoryHandle) Close() error { return nil }
func (h *memoryHandle) Ahead(int64)  {}

func (h *memoryHandle) Size() (int64, error) {
	h.m.mu.Lock()
	defer h.m.mu.Unlock()
	return int64(len(h.f.data)), nil
}

func (h *memoryHandle) Room(_ int64, n int) []byte {
	if cap(h.scratch) < n {
		h.scratch = make([]byte, 0, 2*n)
	}
	return h.scratch[:0]
}

func (h *memoryHandle) Commit(rec []byte, off int64, word uint32) error {
	h.m.mu.Lock()
	defer h.m.mu.Unlock()
	if h.life != h.m.lives {
		return fmt.Errorf("the process was killed: %w", fs.ErrClosed)
	}
	if err := h.m.allocate(h.f, off+int64(len(rec))); err != nil {
		return err
	}
	if missing := off + int64(len(rec)) - int64(len(h.f.data)); missing > 0 {
		h.f.data = append(h.f.data, make([]byte, missing)...)
	}
	binary.LittleEndian.PutUint32(rec, word)
	copy(h.f.data[off:], rec)
	return nil
}

func (h *memoryHandle) Cut(size int64) error {
	h.m.mu.Lock()
	defer h.m.mu.Unlock()
	if h.life != h.m.lives {
		return fmt.Errorf("the process was killed: %w", fs.ErrClosed)
	}
	h.f.data = h.f.data[:min(size, int64(len(h.f.data)))]
	h.f.allocated = int64(len(h.f.data))
	return nil
}
