//go:build !race

package fastlane

import (
	"syscall"
	"unsafe"
)

// The sockets of the poller never block, so that reading and writing them is over in less time than it takes the scheduler to be told
// of a call that may block; and it does not take a call for blocked, and start another thread, where the system has only given the
// processor to somebody else.

// readNow reads what there is. It says EAGAIN where there is nothing.
func readNow(fd uintptr, p []byte) (int, error) {
	return callNow(syscall.SYS_READ, fd, p)
}

// writeNow writes what there is room for. It says EAGAIN where there is none.
func writeNow(fd uintptr, p []byte) (int, error) {
	return callNow(syscall.SYS_WRITE, fd, p)
}

func callNow(number, fd uintptr, p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	for {
		n, _, code := syscall.RawSyscall(number, fd, uintptr(unsafe.Pointer(unsafe.SliceData(p))), uintptr(len(p))) //nolint:gosec // p is there until the call is over
		switch code {
		case 0:
			return int(n), nil
		case syscall.EINTR:
		case syscall.EAGAIN:
			return 0, errAgain
		default:
			return 0, code
		}
	}
}
