package devpg

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"syscall"
)

// watch starts a shell that reads from a pipe of which only this process holds
// the other end. When this process is gone, in whatever way, the read ends
// without a line, and the shell tells the server to shut down. release sends
// the line: the server has ended, and its number may be anyone's.
func watch(pid int) (release func(), err error) {
	w, cmd, err := startWatcher(pid)
	if err != nil {
		return nil, fmt.Errorf("watch over the server: %w", err)
	}
	return func() {
		_, _ = w.WriteString("ended\n")
		_ = w.Close()
		_ = cmd.Wait()
	}, nil
}

func startWatcher(pid int) (*os.File, *exec.Cmd, error) {
	r, w, err := os.Pipe()
	if err != nil {
		return nil, nil, err
	}
	cmd := exec.CommandContext(context.Background(), "/bin/sh", "-c", `read -r _ || kill -INT "$1"`, "watch", strconv.Itoa(pid))
	cmd.Stdin = r
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // outlives the terminal's interrupt
	err = cmd.Start()
	_ = r.Close()
	if err != nil {
		_ = w.Close()
		return nil, nil, err
	}
	return w, cmd, nil
}
