//go:build !unix

package spool

import "errors"

// lockDir fails where there is no lock that a dying process gives up.
func lockDir(string) (func() error, error) {
	return nil, errors.New("this operating system is not supported")
}
