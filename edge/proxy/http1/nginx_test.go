//go:build linux

package http1_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"

	"tollgate/edge/proxy"
	"tollgate/edge/proxy/http1"
)

// nginxEnv names the nginx that the test starts, where none is installed in one of the usual places.
const nginxEnv = "TEST_NGINX"

func findNginx() (string, error) {
	if path := os.Getenv(nginxEnv); path != "" {
		return path, nil
	}
	if path, err := exec.LookPath("nginx"); err == nil {
		return path, nil
	}
	const debian = "/usr/sbin/nginx" // not in the PATH of ordinary users
	if _, err := os.Stat(debian); err == nil {
		return debian, nil
	}
	return "", fmt.Errorf("this test needs nginx, which is not installed: apt-get install nginx, or name the program in $%s", nginxEnv)
}

// nginxConf passes all on as it came, over Unix sockets, which need no free port.
const nginxConf = `
daemon off;
user root root;
worker_processes 1;
pid %[1]s/pid;
error_log stderr crit;
events { worker_connections 64; }
http {
	access_log off;
	client_body_temp_path %[1]s/body;
	proxy_temp_path %[1]s/proxy;
	fastcgi_temp_path %[1]s/fastcgi;
	uwsgi_temp_path %[1]s/uwsgi;
	scgi_temp_path %[1]s/scgi;
	client_max_body_size 0;
	server {
		listen unix:%[1]s/front;
		location / {
			proxy_http_version 1.1;
			proxy_pass http://unix:%[1]s/vendor;
		}
	}
}
`

// vendor is what nginx sends requests to. nginx itself decides where one ends, and what it sends is read by net/http.
type vendor struct{ record }

func (v *vendor) serve(conn net.Conn) {
	defer conn.Close()
	in := bufio.NewReader(conn)
	for {
		r, err := http.ReadRequest(in)
		if err != nil {
			if !errors.Is(err, io.EOF) {
				v.fail(fmt.Errorf("what nginx sends on is not HTTP: %w", err))
			}
			return
		}
		n, err := io.Copy(io.Discard, r.Body)
		if err != nil {
			v.fail(err)
			return
		}
		v.add(heard{r.Method, r.RequestURI, n, ""})
		if _, err := io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"); err != nil || r.Close {
			return
		}
	}
}

// behindNginx starts nginx in front of a vendor, and returns how to reach it.
func behindNginx(t *testing.T) (dial func() (net.Conn, error), v *vendor) {
	t.Helper()
	program, err := findNginx()
	if err != nil {
		t.Fatal(err)
	}
	// The folder of a test can be too long for the address of a Unix socket.
	dir, err := os.MkdirTemp("", "nginx") //nolint:usetesting // as said
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	conf := filepath.Join(dir, "conf")
	if err := os.WriteFile(conf, fmt.Appendf(nil, nginxConf, dir), 0o600); err != nil {
		t.Fatal(err)
	}
	v = &vendor{}
	var running sync.WaitGroup
	back := listen(t, dir, "vendor")
	running.Go(func() {
		for {
			conn, err := back.Accept()
			if err != nil {
				return // closed
			}
			running.Go(func() { v.serve(conn) })
		}
	})
	front := listen(t, dir, "front")
	file, err := front.File()
	if err != nil {
		t.Fatal(err)
	}

	var said bytes.Buffer
	ctx, stop := context.WithCancel(t.Context())
	nginx := exec.CommandContext(ctx, program, "-e", "stderr", "-p", dir, "-c", conf)
	nginx.Stderr = &said
	nginx.Cancel = func() error { return nginx.Process.Signal(syscall.SIGTERM) } // it ends the process that works for it
	// It takes over the socket that it finds open, as it does from a version of itself before it: callers can come at once.
	nginx.ExtraFiles, nginx.Env = []*os.File{file}, append(os.Environ(), "NGINX=3;")
	if err := nginx.Start(); err != nil {
		stop()
		t.Fatal(err)
	}
	// Only nginx has it from here on, so that a caller is refused if nginx has ended.
	if err := errors.Join(front.Close(), file.Close()); err != nil {
		t.Error(err)
	}
	t.Cleanup(func() {
		stop()
		err := nginx.Wait()
		if err := back.Close(); err != nil {
			t.Error(err)
		}
		running.Wait()
		if t.Failed() {
			t.Logf("nginx ended with %v and has said:\n%s", err, said.String())
		}
	})
	return func() (net.Conn, error) {
		return (&net.Dialer{}).DialContext(t.Context(), "unix", filepath.Join(dir, "front"))
	}, v
}

// listen makes a socket that stays when it is closed here.
func listen(t *testing.T, dir, name string) *net.UnixListener {
	t.Helper()
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: filepath.Join(dir, name), Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	l.SetUnlinkOnClose(false)
	return l
}

// Guarantee: Where one request ends and what it is, nginx reads as this codec does: of what is vouched for, the server behind nginx
// gets the same number of requests with the same methods, targets and lengths.
func TestNginxReadsTheSame(t *testing.T) {
	t.Parallel()
	dial, v := behindNginx(t)
	compare(t, comparison{
		dial: dial, record: &v.record,
		// A path that leads out of the root is for nginx to refuse.
		refuses: func(r *http1.Request) bool { return strings.Contains(r.Target, "..") },
		// nginx looks for the word close in any part of Connection.
		closes: func(r *http1.Request) bool {
			return slices.ContainsFunc(r.Headers, func(h proxy.Header) bool {
				return strings.EqualFold(h.Name, "connection") && strings.Contains(strings.ToLower(h.Value), "close")
			})
		},
		told: func(*http1.Request) string { return "" },
	})
}
