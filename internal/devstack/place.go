package devstack

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
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
			return nil, fault.New(fault.FailedPrecondition, "%s is in use by another tollgate dev or tollgate up.", dir).
				WithHint("Stop that one, or choose another directory with --data.")
		}
		return nil, fmt.Errorf("lock %s: %w", dir, err)
	}
	return func() { _ = f.Close() }, nil
}

// partitions is how many the ledger has on a data directory: what was asked for at its first start, or
// one, because accounts never move from one partition to another.
func partitions(dir string, wanted int) (int, error) {
	path := filepath.Join(dir, "partitions")
	raw, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		n := max(wanted, 1)
		if _, err := os.Stat(filepath.Join(dir, marker)); err == nil {
			n = 1 // it was made when there was no choice
		} else if err := os.WriteFile(path, []byte(strconv.Itoa(n)+"\n"), 0o600); err != nil {
			return 0, err
		}
		return n, samePartitions(dir, n, wanted)
	}
	if err != nil {
		return 0, err
	}
	n, err := strconv.Atoi(strings.TrimSpace(string(raw)))
	if err != nil || n < 1 || n > mostPartitions {
		return 0, fmt.Errorf("%s: %q is no number of partitions (start over with --reset)", path, raw)
	}
	return n, samePartitions(dir, n, wanted)
}

func samePartitions(dir string, n, wanted int) error {
	if wanted == 0 || wanted == n {
		return nil
	}
	return fault.New(fault.FailedPrecondition, "The ledger on %s has %d partitions, and --partitions is %d.", dir, n, wanted).
		WithHint("Leave --partitions out, or start over with --reset.")
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
