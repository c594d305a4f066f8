package spool

import (
	"io"
)

// Storage is where a spool lies: a directory for each incarnation, and segments in it. Names are
// relative to it and have slashes. A missing file is fs.ErrNotExist.
type Storage interface {
	// Lock keeps other processes away until unlock is called or this one dies.
	Lock() (unlock func() error, err error)
	// List names what is in a directory; "" is the top.
	List(dir string) ([]string, error)
	// Mkdir makes a directory that is not there; if it is, fs.ErrExist.
	Mkdir(dir string) error
	// Rename moves a file or a directory with all that is in it.
	Rename(from, to string) error
	// Remove removes a file or a directory with all that is in it.
	Remove(name string) error
	// Create makes a file that is not there. Its first size bytes can be committed whatever else
	// fills the disk; where that cannot be had, it fails.
	Create(name string, size int64) (File, error)
	// Open opens a file. More can be committed behind what is there.
	Open(name string) (File, error)
}

// File is a segment. What is committed outlives the process. ReadAt may be called at any time, Ahead
// beside the others but not beside itself, and those one at a time.
type File interface {
	io.ReaderAt
	io.Closer
	// Size is no less than where the last record ends. Behind that are zeros and remains.
	Size() (int64, error)
	// Room is empty memory for n bytes that are to be committed at off. What it holds may reach the
	// disk before, without the word.
	Room(off int64, n int) []byte
	// Commit makes rec, which lies where Room said, part of the file with word as its first four
	// bytes, little end first. The word comes last, so that a reader finds all of rec or none. When
	// it fails nothing of rec is found.
	Commit(rec []byte, off int64, word uint32) error
	// Cut gives back what is behind size. Nothing can be committed afterwards.
	Cut(size int64) error
	// Ahead prepares the memory that is committed next after off.
	Ahead(off int64)
}
