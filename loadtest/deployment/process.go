package deployment

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// Process is one part of the deployment. It may have several lives, one after the other.
type Process struct {
	Name string
	path string
	args []string
	log  string // what all its lives have written

	cmd  *exec.Cmd
	done chan struct{} // closed when the present life has ended
	err  error         // how; valid after done
}

// newProcess makes a role of tollgate that is configured by yaml.
func newProcess(o Options, name, role, yaml string) (*Process, error) {
	path := filepath.Join(o.Dir, name+".yaml")
	if err := os.WriteFile(path, []byte(yaml), 0o600); err != nil {
		return nil, err
	}
	return &Process{Name: name, path: o.Tollgate, args: []string{role, "--config", path}, log: filepath.Join(o.Dir, name+".log")}, nil
}

// Start begins a life.
func (p *Process) Start() error {
	out, err := os.OpenFile(p.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	cmd := exec.Command(p.path, p.args...) //nolint:noctx // it outlives any context, so that it can be stopped in order
	cmd.Stdout, cmd.Stderr = out, out
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + os.Getenv("HOME")}
	if err := cmd.Start(); err != nil {
		return errors.Join(fmt.Errorf("start %s: %w", p.Name, err), out.Close())
	}
	done := make(chan struct{})
	p.cmd, p.done = cmd, done
	go func() {
		p.err = cmd.Wait()
		_ = out.Close() // the child wrote it
		close(done)
	}()
	return nil
}

// stop ends a life as an operator would. It must end by itself, in time and without an error.
func (p *Process) stop(within time.Duration) error {
	if p.cmd == nil {
		return nil
	}
	_ = p.cmd.Process.Signal(syscall.SIGTERM) // it may have ended
	timer := time.NewTimer(within)
	defer timer.Stop()
	var late error
	select {
	case <-p.done:
	case <-timer.C:
		late = fmt.Errorf("%s did not stop within %s and was killed", p.Name, within)
		_ = p.cmd.Process.Kill()
		<-p.done
	}
	p.cmd = nil
	switch {
	case late != nil:
		return late
	case p.err != nil:
		return fmt.Errorf("%s ended with %w", p.Name, p.err)
	default:
		return nil
	}
}

// Kill ends a life as a machine that loses its power does, and returns when it has ended.
func (p *Process) Kill() {
	_ = p.cmd.Process.Kill() // it may have ended
	<-p.done
	p.cmd = nil
}

// PID is that of the present life.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// await returns when url answers 200.
func (p *Process) await(ctx context.Context, url string) error {
	ctx, cancel := context.WithTimeout(ctx, startWithin)
	defer cancel()
	client := &http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	for {
		if ok, _ := answers(ctx, client, url); ok {
			return nil
		}
		select {
		case <-p.done:
			return fmt.Errorf("%s ended before it served: %w", p.Name, p.err)
		case <-ctx.Done():
			return fmt.Errorf("%s did not serve within %s", p.Name, startWithin)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// answers says whether url answers 200.
func answers(ctx context.Context, client *http.Client, url string) (bool, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return false, err
	}
	resp, err := client.Do(req)
	if err != nil {
		return false, err
	}
	defer resp.Body.Close()
	return resp.StatusCode == http.StatusOK, nil
}

// complaints are lines of the log that nobody should have to read.
func (p *Process) complaints() []string {
	f, err := os.Open(p.log)
	if err != nil {
		return []string{err.Error()}
	}
	defer f.Close() //nolint:errcheck // it was only read
	var lines []string
	for in := bufio.NewScanner(f); in.Scan(); {
		line := in.Text()
		if strings.Contains(line, "level=ERROR") || strings.Contains(line, `"level":"ERROR"`) ||
			strings.HasPrefix(line, "panic:") || strings.HasPrefix(line, "fatal error:") || strings.Contains(line, "leak") ||
			strings.Contains(line, "requests were cut off") {
			lines = append(lines, p.Name+": "+line)
		}
	}
	return lines
}

// freeAddress is one of this machine on which nobody listens at present. Roles keep theirs over restarts.
func freeAddress(ctx context.Context) (string, error) {
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}

// Pause waits, and says whether there is still something to do then.
func Pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}
