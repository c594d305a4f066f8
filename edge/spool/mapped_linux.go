package spool

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"unsafe"
)

// Modes of fallocate: with keepSize the space belongs to the file and its length does not change.
const (
	extend   = 0
	keepSize = 1
)

// errNoAllocation says that a file system cannot promise space.
var errNoAllocation = errors.New("space cannot be allocated ahead")

func fallocate(f osFile, mode uint32, size int64) error {
	for {
		err := syscall.Fallocate(int(f.Fd()), mode, 0, size)
		switch {
		case errors.Is(err, syscall.EINTR):
		case errors.Is(err, syscall.EOPNOTSUPP), errors.Is(err, syscall.ENOSYS), errors.Is(err, syscall.EINVAL):
			return errNoAllocation
		default:
			return err
		}
	}
}

// preallocate makes sure that the first size bytes of f can be written. Where the file system
// cannot promise that, nobody can, and MaxBytes is the only bound.
func preallocate(f osFile, size int64) error {
	if size <= 0 {
		return nil
	}
	if err := fallocate(f, keepSize, size); !errors.Is(err, errNoAllocation) {
		return err
	}
	return nil
}

// mappedDisk is a directory whose new segments are mapped into memory.
type mappedDisk struct{ disk }

// Mapped keeps segments in files of dir that are mapped into memory, so that a record costs no system
// call. Where a file system cannot promise the space of a file they are written instead, because a
// page without space kills the process that touches it.
func Mapped(dir string) Storage { return mappedDisk{disk{dir, openFile}} }

func (d mappedDisk) Create(name string, size int64) (File, error) {
	if size <= 0 {
		return d.disk.Create(name, size)
	}
	f, err := d.open(d.path(name), os.O_RDWR|os.O_CREATE|os.O_EXCL)
	if err != nil {
		return nil, err
	}
	var mem []byte
	if err = fallocate(f, extend, size); err == nil {
		mem, err = syscall.Mmap(int(f.Fd()), 0, int(size), syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_SHARED)
	}
	switch {
	case err == nil:
		return &mapped{osFile: f, mem: mem}, nil
	case errors.Is(err, errNoAllocation), errors.Is(err, syscall.ENODEV):
		if err = f.Truncate(0); err == nil {
			return &written{osFile: f}, nil
		}
	}
	return nil, errors.Join(fmt.Errorf("allocate %d bytes: %w", size, err), f.Close(), os.Remove(f.Name()))
}

// mapped is a file of which all is allocated and mapped. It is read through the file, because a
// reader may still be at it when it is unmapped.
type mapped struct {
	osFile
	mem   []byte
	life  sync.Mutex // guards the mapping against Ahead while it ends
	ready int64      // up to where pages are there, guarded by life
}

func (m *mapped) Size() (int64, error) { return int64(len(m.mem)), nil }

func (m *mapped) Room(off int64, n int) []byte {
	if off+int64(n) > int64(len(m.mem)) {
		return nil
	}
	return m.mem[off : off : off+int64(n)]
}

func (m *mapped) Commit(rec []byte, off int64, word uint32) error {
	if off%8 != 0 || off+int64(len(rec)) > int64(len(m.mem)) {
		return fmt.Errorf("%d bytes at %d do not fit into %s", len(rec), off, m.Name())
	}
	if mem := m.mem[off:]; &mem[0] != &rec[0] { // it was encoded elsewhere
		copy(mem[4:], rec[4:])
	}
	var b [4]byte
	binary.LittleEndian.PutUint32(b[:], word)
	at := (*uint32)(unsafe.Pointer(&m.mem[off])) //nolint:gosec // inside of the mapping, and aligned
	atomic.StoreUint32(at, binary.NativeEndian.Uint32(b[:]))
	return nil
}

func (m *mapped) Cut(size int64) error {
	return errors.Join(m.unmap(), m.Truncate(size))
}

func (m *mapped) Close() error { return errors.Join(m.unmap(), m.osFile.Close()) }

func (m *mapped) unmap() error {
	m.life.Lock()
	defer m.life.Unlock()
	if m.mem == nil {
		return nil
	}
	mem := m.mem
	m.mem = nil
	return syscall.Munmap(mem)
}

// populateWrite is MADV_POPULATE_WRITE: pages are made ready to be written now and not when they are
// touched, which would hold up whoever touches them. An older kernel refuses it, and nothing is lost.
const populateWrite = 23

// populated is how much is made ready ahead. More would be written back to the disk before it is used,
// and every page would have to be made ready once more.
const populated = 4 << 20

func (m *mapped) Ahead(off int64) {
	m.life.Lock()
	defer m.life.Unlock()
	page := int64(os.Getpagesize())
	from, to := max(m.ready, off/page*page), min(off+populated, int64(len(m.mem)))
	if from >= to {
		return
	}
	_ = syscall.Madvise(m.mem[from:to], populateWrite)
	m.ready = (to + page - 1) / page * page
}
