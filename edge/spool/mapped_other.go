//go:build !linux

package spool

// preallocate does nothing where no call allocates space without changing the length of a file.
func preallocate(osFile, int64) error { return nil }

// Mapped is Written where space cannot be promised to a file ahead.
func Mapped(dir string) Storage { return Written(dir) }
