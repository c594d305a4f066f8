//go:build !linux || race

// The race detector takes what is read for what was written before, if package syscall does it: tests share memory with a server
// in that order.

package fastlane

import "syscall"

// readNow reads what there is. It says EAGAIN where there is nothing.
func readNow(fd uintptr, p []byte) (int, error) { return callNow(syscall.Read, fd, p) }

// writeNow writes what there is room for. It says EAGAIN where there is none.
func writeNow(fd uintptr, p []byte) (int, error) { return callNow(syscall.Write, fd, p) }

func callNow(call func(fd int, p []byte) (int, error), fd uintptr, p []byte) (int, error) {
	for {
		n, err := call(int(fd), p)
		switch err { //nolint:errorlint // system calls return it as it is
		case nil:
			return n, nil
		case syscall.EINTR:
		default:
			return 0, err
		}
	}
}
