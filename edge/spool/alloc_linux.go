package spool

import (
	"errors"
	"syscall"
)

// keepSize is FALLOC_FL_KEEP_SIZE: the space belongs to the file, its length does not change.
const keepSize = 1

// preallocate makes sure that the first size bytes of f can be written. Where the file system
// cannot promise that, nobody can, and MaxBytes is the only bound.
func preallocate(f file, size int64) error {
	if size <= 0 {
		return nil
	}
	for {
		err := syscall.Fallocate(int(f.Fd()), keepSize, 0, size)
		switch {
		case errors.Is(err, syscall.EINTR):
		case errors.Is(err, syscall.EOPNOTSUPP), errors.Is(err, syscall.ENOSYS), errors.Is(err, syscall.EINVAL):
			return nil
		default:
			return err
		}
	}
}
