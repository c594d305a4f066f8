//go:build !linux

package fastlane

import (
	"errors"
	"syscall"
)

// watch exists on Linux only. Elsewhere every connection goes over the general lane.
type watch struct{}

func newWatch() (*watch, error) { return nil, errors.ErrUnsupported }

func (*watch) close() {}

func (*watch) add(*conn, syscall.RawConn) (uint64, error) { return 0, errors.ErrUnsupported }

func (*watch) remove(uint64, syscall.RawConn) error { return nil }

func (*watch) forget(uint64) {}

func peek(syscall.RawConn, []byte) (int, error) { return 0, errors.ErrUnsupported }
