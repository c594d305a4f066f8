package devpg

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"tollgate/internal/lifecycle"
)

// process is a running server.
type process struct {
	pid  int
	done chan struct{} // closed after err is set
	err  error
}

// startProcess runs the server until it ends. Its output goes to a file rather
// than through a pipe, which would break with the parent.
func startProcess(g *lifecycle.Group, program string, args []string, dir, logPath string, who *account) (*process, error) {
	out, err := os.OpenFile(logPath, os.O_CREATE|os.O_WRONLY|os.O_TRUNC|syscall.O_NOFOLLOW, 0o600)
	if err != nil {
		return nil, err
	}
	defer out.Close() //nolint:errcheck // written to by the child only
	cmd := command(context.Background(), program, args, dir, who)
	cmd.Stdout, cmd.Stderr = out, out

	p := &process{done: make(chan struct{})}
	started := make(chan error, 1)
	g.Go("devpg", func(context.Context) {
		defer close(p.done)
		// On Linux the child is told when the thread that started it ends, so
		// this goroutine keeps its thread until the child is gone.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		if err := cmd.Start(); err != nil {
			started <- err
			return
		}
		p.pid = cmd.Process.Pid
		release, err := tieToParent(p.pid)
		if err != nil {
			_ = cmd.Process.Kill()
			_ = cmd.Wait()
			started <- err
			return
		}
		started <- nil
		p.err = cmd.Wait()
		release()
	})
	if err := <-started; err != nil {
		return nil, fmt.Errorf("start %s: %w", program, err)
	}
	return p, nil
}

// command gives the child the smallest environment: PG* variables of the
// caller would change what it does.
func command(ctx context.Context, program string, args []string, dir string, who *account) *exec.Cmd {
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Dir = dir
	cmd.Env = []string{"LC_ALL=C", "TZ=UTC", "PATH=" + filepath.Dir(program) + ":/usr/bin:/bin"}
	// Its own group, because the terminal's interrupt is for the parent, which
	// then stops the server after everything that uses it.
	attr := &syscall.SysProcAttr{Setpgid: true}
	if who != nil {
		attr.Credential = &syscall.Credential{Uid: who.uid, Gid: who.gid}
	}
	dieWithParent(attr)
	cmd.SysProcAttr = attr
	return cmd
}

// failure is why the process ended; done must be closed.
func (p *process) failure() error {
	if p.err == nil {
		return errors.New("it exited without an error")
	}
	return p.err
}

// stop asks ever more firmly. An error means that it had to be killed.
func (p *process) stop(within time.Duration) error {
	for _, step := range []struct {
		sig  syscall.Signal
		wait time.Duration
	}{
		{syscall.SIGINT, within},           // disconnect clients, write everything
		{syscall.SIGQUIT, 5 * time.Second}, // leave at once, recover at the next start
		{syscall.SIGKILL, 5 * time.Second},
	} {
		select {
		case <-p.done:
			return nil
		default:
		}
		// Not reaped before done is closed, so the number is still its own.
		_ = syscall.Kill(p.pid, step.sig)
		timer := time.NewTimer(step.wait)
		select {
		case <-p.done:
			timer.Stop()
			if step.sig != syscall.SIGINT {
				return fmt.Errorf("server did not stop within %s", within)
			}
			return nil
		case <-timer.C:
		}
	}
	return errors.New("server cannot be stopped")
}

// initdb makes the data directory. It appears under its name only when it is
// complete, so that an interrupted start is not taken for data.
func initdb(ctx context.Context, bin binaries, dir string, who *account) error {
	half, data := filepath.Join(dir, "data.new"), filepath.Join(dir, "data")
	for _, old := range []string{half, data} {
		if err := os.RemoveAll(old); err != nil {
			return err
		}
	}
	cmd := command(ctx, filepath.Join(bin.dir, "initdb"), []string{
		"-D", half, "-U", superuser, "--pwfile=" + filepath.Join(dir, "password"),
		"--auth=scram-sha-256", "--no-sync", "--no-instructions", "-E", "UTF8", "--locale=C",
	}, dir, who)
	// Its death must not depend on which thread happens to run this.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("initdb: %w: %s", err, strings.TrimSpace(string(out)))
	}
	return os.Rename(half, data)
}

// clearStale deals with the server of a parent that is gone: it may be
// shutting down, or still run where nothing told it to end. The caller holds
// the directory's lock, so no living parent is behind it.
func (s *Server) clearStale(ctx context.Context, data string) error {
	pidFile := filepath.Join(data, "postmaster.pid")
	ctx, cancel := context.WithTimeout(ctx, 2*stopWithin)
	defer cancel()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	refusedSince := time.Time{}
	for {
		pid, port, ok := readPidFile(pidFile)
		if !ok || !alive(pid) {
			return nil // the server itself clears away the file of a dead one
		}
		// The number may belong to a stranger by now. Whoever takes our
		// password on the noted port and serves this directory is the one.
		s.port = port
		served, err := s.ping(ctx)
		switch {
		case err == nil && sameDir(served, data):
			s.log.Info("stopping a database left behind", "pid", pid)
			_ = syscall.Kill(pid, syscall.SIGINT)
			refusedSince = time.Time{}
		case isShuttingDown(err):
			refusedSince = time.Time{}
		default:
			if refusedSince.IsZero() {
				refusedSince = time.Now()
			}
			// A server closes its port early in a shutdown and then writes
			// for a while. If it is one after all, the new server refuses to
			// start next to it: that check goes by shared memory.
			if time.Since(refusedSince) > 10*time.Second {
				s.log.Warn("removing a stale pid file", "pid", pid)
				return os.Remove(pidFile)
			}
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("a server left behind (pid %d) does not end: %w", pid, ctx.Err())
		case <-tick.C:
		}
	}
}

// isShuttingDown recognizes a server that answers, but not yet or no longer.
func isShuttingDown(err error) bool {
	pe, ok := errors.AsType[*pgconn.PgError](err)
	return ok && pe.Code == "57P03"
}

func readPidFile(path string) (pid, port int, ok bool) {
	raw, err := os.ReadFile(path)
	if err != nil {
		return 0, 0, false
	}
	lines := strings.Split(string(raw), "\n")
	pid, err = strconv.Atoi(strings.TrimSpace(lines[0]))
	if err != nil || pid <= 0 {
		return 0, 0, false
	}
	if len(lines) > 3 {
		port, _ = strconv.Atoi(strings.TrimSpace(lines[3])) // 0 is refused, as it should be
	}
	return pid, port, true
}

func alive(pid int) bool {
	err := syscall.Kill(pid, 0)
	return err == nil || errors.Is(err, syscall.EPERM)
}

func sameDir(a, b string) bool {
	ia, err1 := os.Stat(a)
	ib, err2 := os.Stat(b)
	return err1 == nil && err2 == nil && os.SameFile(ia, ib)
}

// lockFile holds the directory for this process. The kernel lets go of it
// however the process ends; the server does not inherit it.
func lockFile(path string) (unlock func(), err error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR|syscall.O_NOFOLLOW, 0o600)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		_ = f.Close()
		if errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, fmt.Errorf("%w: %s", ErrInUse, filepath.Dir(path))
		}
		return nil, err
	}
	return func() { _ = f.Close() }, nil // closing twice is harmless
}
