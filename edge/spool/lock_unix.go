//go:build unix

package spool

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
)

// lockDir keeps other processes away from dir until the file is closed. The kernel drops the lock of
// a process that dies.
func lockDir(dir string) (*os.File, error) {
	f, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		if errors.Is(err, syscall.EWOULDBLOCK) {
			err = errors.New("another process uses it: each edge needs a spool directory of its own")
		}
		return nil, errors.Join(fmt.Errorf("spool %s: %w", dir, err), f.Close())
	}
	return f, nil
}

// unlockDir also takes the lock from a child process that has the file for a moment, between fork and
// exec, which closing it would not.
func unlockDir(f *os.File) error {
	return errors.Join(syscall.Flock(int(f.Fd()), syscall.LOCK_UN), f.Close())
}
