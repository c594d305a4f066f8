package spool

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

// disk is a directory whose segments are written with a system call for each record.
type disk struct {
	dir  string
	open func(path string, flags int) (osFile, error)
}

// osFile is what of os.File is used.
type osFile interface {
	io.ReaderAt
	io.WriterAt
	io.Closer
	Name() string
	Stat() (os.FileInfo, error)
	Truncate(size int64) error
	Fd() uintptr
}

func openFile(path string, flags int) (osFile, error) { return os.OpenFile(path, flags, 0o600) }

// Written keeps segments in files of dir and writes each record with a system call. Any file system
// will do.
func Written(dir string) Storage { return disk{dir, openFile} }

func (d disk) path(name string) string { return filepath.Join(d.dir, filepath.FromSlash(name)) }

func (d disk) Lock() (func() error, error) {
	if err := os.MkdirAll(d.dir, 0o700); err != nil {
		return nil, err
	}
	return lockDir(d.dir)
}

func (d disk) List(dir string) ([]string, error) {
	entries, err := os.ReadDir(d.path(dir))
	if err != nil {
		return nil, err
	}
	names := make([]string, len(entries))
	for k, e := range entries {
		names[k] = e.Name()
	}
	return names, nil
}

func (d disk) Mkdir(dir string) error       { return os.Mkdir(d.path(dir), 0o700) }
func (d disk) Rename(from, to string) error { return os.Rename(d.path(from), d.path(to)) }
func (d disk) Remove(name string) error     { return os.RemoveAll(d.path(name)) }

func (d disk) Create(name string, size int64) (File, error) {
	f, err := d.open(d.path(name), os.O_RDWR|os.O_CREATE|os.O_EXCL)
	if err != nil {
		return nil, err
	}
	if err := preallocate(f, size); err != nil {
		return nil, errors.Join(fmt.Errorf("allocate %d bytes: %w", size, err), f.Close(), os.Remove(f.Name()))
	}
	return &written{osFile: f, room: size}, nil
}

func (d disk) Open(name string) (File, error) {
	f, err := d.open(d.path(name), os.O_RDWR)
	if err != nil {
		return nil, err
	}
	return &written{osFile: f}, nil
}

// written is a file that is as long as what was committed.
type written struct {
	osFile
	room    int64 // allocated, as far as is known
	scratch []byte
}

func (w *written) Size() (int64, error) {
	info, err := w.Stat()
	if err != nil {
		return 0, err
	}
	return info.Size(), nil
}

func (w *written) Room(_ int64, n int) []byte {
	if cap(w.scratch) < n {
		w.scratch = make([]byte, 0, 2*n)
	}
	return w.scratch[:0]
}

func (w *written) Commit(rec []byte, off int64, word uint32) error {
	binary.LittleEndian.PutUint32(rec, word)
	if _, err := w.WriteAt(rec, off); err != nil {
		// A record that was refused must not be found by a recovery, not even if all of it arrived.
		err = errors.Join(fmt.Errorf("write to %s: %w", w.Name(), err), w.Truncate(off))
		return errors.Join(err, preallocate(w.osFile, w.room))
	}
	return nil
}

func (w *written) Cut(size int64) error { return w.Truncate(size) }

func (w *written) Ahead(int64) {}
