// Package program runs programs beside this one, for tests and measurements: each with an environment of its own and a file of what
// it writes, until it is stopped in order or killed. A program may have several lives, one after the other.
package program

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"syscall"
	"time"
)

// Program is what is run.
type Program struct {
	Name   string
	Path   string
	Args   []string
	Env    []string  // beside where programs and the home are
	Log    string    // file of what all its lives have written
	Stdout io.Writer // of what it prints, unless that is for the log too
}

// Life is one run of a program.
type Life struct {
	of   Program
	cmd  *exec.Cmd
	done chan struct{} // closed when it has ended
	err  error         // how; valid after done
}

// Start begins a life.
func (p Program) Start() (*Life, error) {
	out, err := os.OpenFile(p.Log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	defer out.Close()                      //nolint:errcheck // the child has its own; nothing was written to this one
	cmd := exec.Command(p.Path, p.Args...) //nolint:noctx // it outlives any context, so that it can be stopped in order
	cmd.Stdout, cmd.Stderr = out, out
	if p.Stdout != nil {
		cmd.Stdout = p.Stdout
	}
	cmd.Env = append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + os.Getenv("HOME")}, p.Env...)
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", p.Name, err)
	}
	l := &Life{of: p, cmd: cmd, done: make(chan struct{})}
	go func() { // ends with the process
		l.err = cmd.Wait()
		close(l.done)
	}()
	return l, nil
}

// PID is that of the process.
func (l *Life) PID() int { return l.cmd.Process.Pid }

// Done is closed when it has ended.
func (l *Life) Done() <-chan struct{} { return l.done }

// Err is how it ended, after Done.
func (l *Life) Err() error { return l.err }

// Signal sends a signal, which is nothing to one that has ended.
func (l *Life) Signal(s os.Signal) error {
	if err := l.cmd.Process.Signal(s); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("signal %s: %w", l.of.Name, err)
	}
	return nil
}

// Kill ends it as a machine that loses its power does, and returns when it has ended.
func (l *Life) Kill() {
	_ = l.cmd.Process.Kill() // it may have ended
	<-l.done
}

// Stop ends it as an operator would. One that has not ended by itself in time is killed, which is an error; Err has how it ended.
func (l *Life) Stop(within time.Duration) error {
	_ = l.Signal(syscall.SIGTERM) // it is killed at the latest
	timer := time.NewTimer(within)
	defer timer.Stop()
	select {
	case <-l.done:
		return nil
	case <-timer.C:
		l.Kill()
		return fmt.Errorf("%s did not stop within %s and was killed", l.of.Name, within)
	}
}

// End is Stop for a program that must end without an error.
func (l *Life) End(within time.Duration) error {
	if err := l.Stop(within); err != nil {
		return err
	}
	if l.err != nil {
		return fmt.Errorf("%s ended with %w", l.of.Name, l.err)
	}
	return nil
}

// StartWithin is how long a program may take until it serves, on a machine that has other things to do.
const StartWithin = 2 * time.Minute

const (
	askEvery = 20 * time.Millisecond
	mostLog  = 3000
)

// Await returns when serves has no objection.
func (l *Life) Await(ctx context.Context, serves func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, StartWithin)
	defer cancel()
	for {
		err := serves(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-l.done:
			return fmt.Errorf("%s ended before it served: %w\n%s", l.of.Name, errors.Join(l.err, err), l.of.Tail(mostLog))
		case <-ctx.Done():
			return fmt.Errorf("%s did not serve within %s: %w\n%s", l.of.Name, StartWithin, err, l.of.Tail(mostLog))
		case <-time.After(askEvery):
		}
	}
}

// Tail is the end of the log.
func (p Program) Tail(most int) string {
	text, err := os.ReadFile(p.Log)
	if err != nil {
		return err.Error()
	}
	return string(text[max(0, len(text)-most):])
}

// Answers has Await wait until url answers 200.
func Answers(url string) func(context.Context) error {
	client := &http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	return func(ctx context.Context) error {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
		if err != nil {
			return err
		}
		resp, err := client.Do(req)
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		if resp.StatusCode != http.StatusOK {
			body, _ := io.ReadAll(io.LimitReader(resp.Body, mostLog)) // it is shown as far as it came
			return fmt.Errorf("%s: %s %s", url, resp.Status, body)
		}
		return nil
	}
}

// Listens has Await wait until somebody accepts connections at all addresses.
func Listens(addresses ...string) func(context.Context) error {
	return func(ctx context.Context) error {
		for _, address := range addresses {
			c, err := (&net.Dialer{Timeout: time.Second}).DialContext(ctx, "tcp", address)
			if err != nil {
				return err
			}
			_ = c.Close()
		}
		return nil
	}
}

// FreeAddress is one of this machine on which nobody listens at present. What has several lives keeps it.
func FreeAddress(ctx context.Context) (string, error) {
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}
