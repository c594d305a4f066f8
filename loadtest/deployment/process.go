package deployment

import (
	"bufio"
	"context"
	"os"
	"path/filepath"
	"strings"
	"time"

	"tollgate/internal/program"
)

// Process is one part of the deployment. It may have several lives, one after the other.
type Process struct {
	program.Program

	life *program.Life // nil between two
}

// newProcess makes a role of tollgate that is configured by yaml.
func newProcess(o Options, name, role, yaml string) (*Process, error) {
	path := filepath.Join(o.Dir, name+".yaml")
	if err := os.WriteFile(path, []byte(yaml), 0o600); err != nil {
		return nil, err
	}
	return &Process{Program: program.Program{Name: name, Path: o.Tollgate, Args: []string{role, "--config", path}, Log: filepath.Join(o.Dir, name+".log")}}, nil
}

// Start begins a life.
func (p *Process) Start() (err error) {
	p.life, err = p.Program.Start()
	return err
}

// stop ends a life as an operator would. It must end by itself, in time and without an error.
func (p *Process) stop(within time.Duration) error {
	life := p.life
	if life == nil {
		return nil
	}
	p.life = nil
	return life.End(within)
}

// Kill ends a life as a machine that loses its power does, and returns when it has ended.
func (p *Process) Kill() {
	p.life.Kill()
	p.life = nil
}

// PID is that of the present life.
func (p *Process) PID() int { return p.life.PID() }

// await returns when url answers 200.
func (p *Process) await(ctx context.Context, url string) error {
	return p.life.Await(ctx, program.Answers(url))
}

// complaints are lines of the log that nobody should have to read.
func (p *Process) complaints() []string {
	f, err := os.Open(p.Log)
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
