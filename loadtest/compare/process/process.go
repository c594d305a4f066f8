// Package process runs the parts of a comparison, each as a process of its own, and reads what they take of the
// machine. What a part takes is that of its process and of all processes below it, as those of NGINX's workers.
package process

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"syscall"
	"time"
)

// Process is one part that runs.
type Process struct {
	Name string
	Log  string // what it has written

	cmd  *exec.Cmd
	done chan struct{} // closed when it has ended
	err  error         // how; valid after done
}

// Threads are how many a program may have that is written in Go; the others are told in their configuration.
const Threads = "2"

// Start runs a program that writes to a log. It inherits nothing of the environment but where programs and the home are.
func Start(name, log, path string, args ...string) (*Process, error) {
	out, err := os.Create(log)
	if err != nil {
		return nil, err
	}
	defer out.Close()                  //nolint:errcheck // the child has its own; nothing was written to this one
	cmd := exec.Command(path, args...) //nolint:noctx // it outlives any context, so that it can be stopped in order
	cmd.Stdout, cmd.Stderr = out, out
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + os.Getenv("HOME"), "GOMAXPROCS=" + Threads}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	p := &Process{Name: name, Log: log, cmd: cmd, done: make(chan struct{})}
	go func() {
		p.err = cmd.Wait()
		close(p.done)
	}()
	return p, nil
}

// PID is that of the process which was started.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// Stop asks it to end, and kills it when it has not within a while.
func (p *Process) Stop(within time.Duration) error {
	if p == nil {
		return nil
	}
	_ = p.cmd.Process.Signal(syscall.SIGTERM) // it may have ended
	timer := time.NewTimer(within)
	defer timer.Stop()
	select {
	case <-p.done:
		return nil
	case <-timer.C:
		_ = p.cmd.Process.Kill()
		<-p.done
		return fmt.Errorf("%s did not stop within %s and was killed", p.Name, within)
	}
}

const (
	startWithin = time.Minute
	askEvery    = 20 * time.Millisecond
	mostLog     = 2000
)

// Await returns when serves says yes.
func (p *Process) Await(ctx context.Context, serves func(context.Context) bool) error {
	ctx, cancel := context.WithTimeout(ctx, startWithin)
	defer cancel()
	for !serves(ctx) {
		select {
		case <-p.done:
			return errors.Join(fmt.Errorf("%s ended before it served: %s", p.Name, p.tail()), p.err)
		case <-ctx.Done():
			return fmt.Errorf("%s did not serve within %s: %s", p.Name, startWithin, p.tail())
		case <-time.After(askEvery):
		}
	}
	return nil
}

// tail is the end of what it wrote.
func (p *Process) tail() string {
	text, err := os.ReadFile(p.Log)
	if err != nil {
		return err.Error()
	}
	return string(text[max(0, len(text)-mostLog):])
}
