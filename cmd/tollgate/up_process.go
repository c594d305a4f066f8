package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"tollgate/internal/fault"
)

const (
	// readyVariable names the open file by which a process in the background tells that it serves.
	readyVariable = "TOLLGATE_UP_READY"
	readyWord     = "ready"
	// stopWithin is longer than everything takes to stop in good order.
	stopWithin = time.Minute
	stopPause  = 50 * time.Millisecond
	// lastWords is how much of a log is shown where it did not start.
	lastWords = 2000
)

// detachUp runs the same command in the background and returns once that serves.
func detachUp(cmd *cobra.Command, data string) error {
	if err := os.MkdirAll(data, 0o755); err != nil { //nolint:gosec // the database's account must be able to pass; files in it are private
		return fmt.Errorf("data directory: %w", err)
	}
	log, err := os.OpenFile(logFile(data), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer func() { _ = log.Close() }() // the child writes to its own
	begin, err := log.Seek(0, io.SeekEnd)
	if err != nil {
		return err
	}
	program, err := os.Executable()
	if err != nil {
		return err
	}
	listen, tell, err := os.Pipe()
	if err != nil {
		return err
	}
	defer func() { _ = listen.Close() }() // it was only read
	args := slices.DeleteFunc(slices.Clone(os.Args[1:]), func(arg string) bool { return arg == "--detach" || arg == "--detach=true" })
	child := exec.Command(program, args...) //nolint:noctx // it is this program, and it outlives this one
	child.Stdout, child.Stderr, child.ExtraFiles = log, log, []*os.File{tell}
	child.Env = append(os.Environ(), readyVariable+"=3")
	child.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err = errors.Join(child.Start(), tell.Close()); err != nil {
		return err
	}
	// The child's end closes when it has told, or when it is gone.
	word, err := io.ReadAll(io.LimitReader(listen, int64(len(readyWord))))
	if err == nil && string(word) == readyWord {
		_, err = fmt.Fprintf(cmd.ErrOrStderr(), "✓ Tollgate serves (process %d)\n  log   %s\n  stop  tollgate up --stop --data %s\n", child.Process.Pid, logFile(data), data)
		return errors.Join(err, child.Process.Release())
	}
	_ = child.Wait() // its log says more than its exit code
	return fault.New(fault.FailedPrecondition, "It did not start: %s", strings.TrimSpace(since(logFile(data), begin))).WithHint("Its log is %s.", logFile(data))
}

// since is the end of what was written to a file after a position.
func since(path string, begin int64) string {
	raw, err := os.ReadFile(path)
	if err != nil || begin > int64(len(raw)) {
		return "its log cannot be read"
	}
	raw = raw[begin:]
	return string(raw[max(len(raw)-lastWords, 0):])
}

// tellReady tells the process that waits in front, if there is one.
func tellReady() error {
	fd, err := strconv.Atoi(os.Getenv(readyVariable))
	if err != nil {
		return nil //nolint:nilerr // nobody waits
	}
	f := os.NewFile(uintptr(fd), "ready")
	if f == nil {
		return nil
	}
	_, err = f.WriteString(readyWord)
	return errors.Join(err, f.Close())
}

// running is the process that runs on a data directory. Its lock says whether it does: a process id that an earlier one left may be
// anybody's by now.
func running(data string) (*os.Process, error) {
	none := fault.New(fault.ObjectNotFound, "Nothing runs on %s.", data).WithHint("Name its data directory with --data.")
	if !locked(data) {
		return nil, none
	}
	raw, err := os.ReadFile(pidFile(data))
	if err != nil {
		return nil, fault.New(fault.FailedPrecondition, "What runs on %s is not `tollgate up`, or does not serve yet.", data).WithHint("Stop it where it was started.")
	}
	pid, err := strconv.Atoi(string(bytes.TrimSpace(raw)))
	if err != nil || pid <= 1 {
		return nil, fmt.Errorf("%s holds no process id", pidFile(data))
	}
	return os.FindProcess(pid)
}

// locked says whether a process has a data directory.
func locked(data string) bool {
	f, err := os.Open(filepath.Join(data, "lock"))
	if err != nil {
		return false
	}
	defer func() { _ = f.Close() }() // it was only looked at
	return errors.Is(syscall.Flock(int(f.Fd()), syscall.LOCK_SH|syscall.LOCK_NB), syscall.EWOULDBLOCK)
}

func signalUp(data string, s syscall.Signal) error {
	p, err := running(data)
	if err != nil {
		return err
	}
	return p.Signal(s)
}

// stopUp ends what runs on a data directory, and returns once it is gone.
func stopUp(cmd *cobra.Command, data string) error {
	if err := signalUp(data, syscall.SIGTERM); err != nil {
		return err
	}
	tick := time.NewTicker(stopPause)
	defer tick.Stop()
	late := time.NewTimer(stopWithin)
	defer late.Stop()
	for locked(data) {
		select {
		case <-tick.C:
		case <-late.C:
			return fault.New(fault.DeadlineExceeded, "It has not stopped within %s.", stopWithin).WithHint("Its log is %s.", logFile(data))
		case <-cmd.Context().Done():
			return cmd.Context().Err()
		}
	}
	_, err := fmt.Fprintln(cmd.ErrOrStderr(), "✓ Tollgate has stopped")
	return err
}
