package main

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"tollgate/loadtest/compare/load"
	"tollgate/loadtest/compare/vendor"
)

// Roles in which this program starts itself. The first argument says which.
const (
	roleVendor = "vendor" // and the directory with its certificate
	roleLoad   = "load"
)

const (
	readyLine  = "ready"
	beginLine  = "begin"
	stopWithin = 20 * time.Second
)

// serveVendor is the vendor: it prints its addresses and serves until nobody reads what it could print.
func serveVendor(ctx context.Context, dir string, in io.Reader, out io.Writer) error {
	certificate, err := tls.LoadX509KeyPair(filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem"))
	if err != nil {
		return err
	}
	v, err := vendor.Start(ctx, certificate)
	if err != nil {
		return err
	}
	if err := json.NewEncoder(out).Encode(v.Addresses); err != nil {
		return errors.Join(err, v.Close())
	}
	_, err = io.Copy(io.Discard, in) // it ends when its parent does
	return errors.Join(err, v.Close())
}

// runLoad does the job that it is given, and prints the result.
func runLoad(in io.Reader, out io.Writer) error {
	read := bufio.NewReader(in)
	line, err := read.ReadBytes('\n')
	if err != nil {
		return err
	}
	var job load.Job
	if err := json.Unmarshal(line, &job); err != nil {
		return err
	}
	result, err := load.Run(job, func() error {
		_, err := fmt.Fprintln(out, readyLine)
		return err
	}, func() error {
		line, err := read.ReadString('\n')
		if err == nil && strings.TrimSpace(line) != beginLine {
			err = fmt.Errorf("%q where %q was expected", line, beginLine)
		}
		return err
	})
	if err != nil {
		return err
	}
	return json.NewEncoder(out).Encode(result)
}

// child is this program in another role.
type child struct {
	cmd *exec.Cmd
	in  io.WriteCloser
	out *bufio.Reader
	err *strings.Builder
}

func startChild(ctx context.Context, args ...string) (*child, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	c := &child{cmd: exec.CommandContext(ctx, self, args...), err: &strings.Builder{}}
	c.cmd.Stderr = c.err
	c.cmd.WaitDelay = stopWithin
	if c.in, err = c.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := c.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	c.out = bufio.NewReader(out)
	if err := c.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", args[0], err)
	}
	return c, nil
}

// stop ends a child, which it does when nobody speaks to it any more.
func (c *child) stop() error {
	_ = c.in.Close() // it may have ended
	if err := c.cmd.Wait(); err != nil {
		return fmt.Errorf("%s: %w: %s", strings.Join(c.cmd.Args[1:], " "), err, c.err)
	}
	return nil
}

// read is the next line.
func (c *child) read() ([]byte, error) {
	line, err := c.out.ReadBytes('\n')
	if err != nil {
		return nil, errors.Join(err, c.stop())
	}
	return line, nil
}

func startVendor(ctx context.Context, dir string) (*child, vendor.Addresses, error) {
	var where vendor.Addresses
	c, err := startChild(ctx, roleVendor, dir)
	if err != nil {
		return nil, where, err
	}
	line, err := c.read()
	if err != nil {
		return nil, where, err
	}
	if err := json.Unmarshal(line, &where); err != nil {
		return nil, where, errors.Join(err, c.stop())
	}
	return c, where, nil
}

// startLoad returns when all connections of a job are open and have been used.
func startLoad(ctx context.Context, j load.Job) (*child, error) {
	c, err := startChild(ctx, roleLoad)
	if err != nil {
		return nil, err
	}
	if err := json.NewEncoder(c.in).Encode(j); err != nil {
		return nil, errors.Join(err, c.stop())
	}
	line, err := c.read()
	if err != nil {
		return nil, err
	}
	if strings.TrimSpace(string(line)) != readyLine {
		return nil, errors.Join(fmt.Errorf("the load said %q", line), c.stop())
	}
	return c, nil
}

// begin has a load begin, and returns how it went.
func (c *child) begin() (load.Result, error) {
	var r load.Result
	if _, err := fmt.Fprintln(c.in, beginLine); err != nil {
		return r, errors.Join(err, c.stop())
	}
	line, err := c.read()
	if err != nil {
		return r, err
	}
	return r, errors.Join(json.Unmarshal(line, &r), c.stop())
}
