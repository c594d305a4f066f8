package devstack

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"syscall"

	"tollgate/internal/fault"
)

// lockDir keeps two processes out of one data directory.
func lockDir(dir string) (unlock func(), err error) {
	f, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		_ = f.Close()
		if errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, fault.New(fault.FailedPrecondition, "%s is in use by another tollgate dev.", dir).
				WithHint("Stop that one, or choose another directory with --data.")
		}
		return nil, fmt.Errorf("lock %s: %w", dir, err)
	}
	return func() { _ = f.Close() }, nil
}

// listenOn is the address with the first port from the wanted one on that can be listened on. Port 0
// stays 0: any free one. That another port was taken is kept for the banner.
func (s *stack) listenOn(ctx context.Context, port int) string {
	var lc net.ListenConfig
	for p := port; port != 0 && p < port+100; p++ {
		addr := net.JoinHostPort(s.o.Host, strconv.Itoa(p))
		l, err := lc.Listen(ctx, "tcp", addr)
		if err != nil {
			continue
		}
		_ = l.Close()
		if p != port {
			s.moved[strconv.Itoa(p)] = port
		}
		return addr
	}
	return net.JoinHostPort(s.o.Host, strconv.Itoa(port))
}

// loopback says whether only this machine reaches the host.
func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}
