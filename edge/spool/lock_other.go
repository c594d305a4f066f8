//go:build !unix

package spool

import (
	"errors"
	"os"
)

// lockDir fails where there is no lock that a dying process gives up.
func lockDir(string) (*os.File, error) {
	return nil, errors.New("spool: this operating system is not supported")
}

func unlockDir(f *os.File) error { return f.Close() }
