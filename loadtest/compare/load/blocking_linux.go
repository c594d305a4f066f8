package load

import (
	"errors"
	"io"
	"net"
	"net/netip"
	"runtime"
	"time"

	"golang.org/x/sys/unix"
)

// blocking is a connection whose reads and writes hold their thread. An answer then wakes the thread that waits for it, and
// no scheduler is between: latencies of some ten microseconds are measured, and the netpoller takes as long.
type blocking struct {
	net.Conn // nil; only what is below is used

	fd int
}

func dialBlocking(address string) (net.Conn, error) {
	at, err := netip.ParseAddrPort(address)
	if err != nil {
		return nil, err
	}
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	limit := unix.NsecToTimeval(int64(patience))
	// Limits come after connecting: with them a signal, as the runtime sends them to itself, would break that off.
	err = errors.Join(
		unix.Connect(fd, &unix.SockaddrInet4{Port: int(at.Port()), Addr: at.Addr().As4()}),
		unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1),
		unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &limit),
		unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_SNDTIMEO, &limit),
	)
	if err != nil {
		return nil, errors.Join(err, unix.Close(fd))
	}
	return &blocking{fd: fd}, nil
}

func (b *blocking) Read(p []byte) (int, error) {
	for {
		n, err := unix.Read(b.fd, p)
		switch {
		case errors.Is(err, unix.EINTR):
		case err != nil:
			return 0, err
		case n == 0:
			return 0, io.EOF
		default:
			return n, nil
		}
	}
}

func (b *blocking) Write(p []byte) (int, error) {
	total := 0
	for total < len(p) {
		n, err := unix.Write(b.fd, p[total:])
		if err != nil && !errors.Is(err, unix.EINTR) {
			return total, err
		}
		total += max(n, 0)
	}
	return total, nil
}

func (b *blocking) SetDeadline(time.Time) error { return nil } // the socket has limits

func (b *blocking) Close() error { return unix.Close(b.fd) }

// precise has the thread of a goroutine wake when it is told to, and not up to 50 µs later.
func precise() (release func()) {
	runtime.LockOSThread()
	_ = unix.Prctl(unix.PR_SET_TIMERSLACK, 1, 0, 0, 0) // less precise without
	return runtime.UnlockOSThread
}

// sleep holds the thread.
func sleep(d time.Duration) {
	ts := unix.NsecToTimespec(int64(d))
	for errors.Is(unix.Nanosleep(&ts, &ts), unix.EINTR) {
	}
}
