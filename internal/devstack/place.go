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
			return nil, fmt.Errorf("%s is in use by another tollgate dev: stop that one, or choose another directory with --data", dir)
		}
		return nil, fmt.Errorf("lock %s: %w", dir, err)
	}
	return func() { _ = f.Close() }, nil
}

// freeNear is host and the first port from the wanted one on that can be listened on. Port 0 stays
// 0: any free one.
func freeNear(ctx context.Context, host string, port int) string {
	var lc net.ListenConfig
	for p := port; port != 0 && p < port+100; p++ {
		addr := net.JoinHostPort(host, strconv.Itoa(p))
		if l, err := lc.Listen(ctx, "tcp", addr); err == nil {
			_ = l.Close()
			return addr
		}
	}
	return net.JoinHostPort(host, strconv.Itoa(port))
}
