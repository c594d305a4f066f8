// Package pgbouncer runs a real PgBouncer in transaction mode in front of a PostgreSQL server, for
// tests: what only works on a session of one's own breaks behind it. It has few sessions of the
// server, so that transactions of one client meet what another has left there. It is not for
// anything but tests, and installs nothing: where the program is missing, the test fails and says so.
package pgbouncer

import (
	"context"
	"fmt"
	"math"
	"net"
	"net/url"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"tollgate/internal/program"
)

// Env names the variable with the path of the program, where it is not in PATH.
const Env = "PGBOUNCER"

const settings = `[databases]
* = host=%s port=%s
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = %s
unix_socket_dir =
auth_type = scram-sha-256
auth_file = %s
pool_mode = transaction
default_pool_size = 4
max_client_conn = 500
server_login_retry = 1
ignore_startup_parameters =
`

const stopWithin = 20 * time.Second

// Start puts a PgBouncer in front of the server that its URL names, until the test ends, and returns
// the address of the same database through it.
func Start(tb testing.TB, server string) string {
	tb.Helper()
	path, err := find()
	if err != nil {
		tb.Fatal(err)
	}
	u, err := url.Parse(server)
	if err != nil {
		tb.Fatal(err)
	}
	dir, err := os.MkdirTemp("", "tollgate-pgbouncer-") //nolint:usetesting // it does not run as root, and others may not enter a test's own folder
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = os.RemoveAll(dir) })
	password, _ := u.User.Password()
	users, ini := filepath.Join(dir, "users.txt"), filepath.Join(dir, "pgbouncer.ini")
	address, err := program.FreeAddress(context.Background())
	if err != nil {
		tb.Fatal(err)
	}
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		tb.Fatal(err)
	}
	write(tb, users, fmt.Sprintf("%q %q\n", u.User.Username(), password))
	write(tb, ini, fmt.Sprintf(settings, u.Hostname(), u.Port(), port, users))
	args := []string{"-q"}
	if os.Geteuid() == 0 {
		args = append(args, "-u", give(tb, dir, users, ini))
	}
	run(tb, path, append(args, ini), filepath.Join(dir, "log"), address)
	u.Host = address
	return u.String()
}

func find() (string, error) {
	if path := os.Getenv(Env); path != "" {
		return path, nil
	}
	if path, err := exec.LookPath("pgbouncer"); err == nil {
		return path, nil
	}
	const debian = "/usr/sbin/pgbouncer" // not in the PATH of ordinary users
	if _, err := os.Stat(debian); err == nil {
		return debian, nil
	}
	return "", fmt.Errorf("this test needs PgBouncer, which is not installed: apt-get install pgbouncer, brew install pgbouncer, or name the program in $%s", Env)
}

func write(tb testing.TB, path, text string) {
	tb.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		tb.Fatal(err)
	}
}

// give makes an account that is not root the owner of the files, and returns its name.
func give(tb testing.TB, paths ...string) string {
	tb.Helper()
	for _, name := range []string{"postgres", "nobody"} {
		u, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, err1 := strconv.Atoi(u.Uid)
		gid, err2 := strconv.Atoi(u.Gid)
		if err1 != nil || err2 != nil {
			tb.Fatal(err1, err2)
		}
		for _, path := range paths {
			if err := os.Chown(path, uid, gid); err != nil {
				tb.Fatal(err)
			}
		}
		return name
	}
	tb.Fatal("PgBouncer refuses to run as root, and there is neither a user postgres nor nobody")
	return ""
}

// run returns when the program listens.
func run(tb testing.TB, path string, args []string, log, address string) {
	tb.Helper()
	bouncer := program.Program{Name: "pgbouncer", Path: path, Args: args, Log: log}
	life, err := bouncer.Start()
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := life.Stop(stopWithin); err != nil { // it ends at once, also with clients
			tb.Error(err)
		}
		if tb.Failed() {
			tb.Logf("--- pgbouncer\n%s", bouncer.Tail(math.MaxInt))
		}
	})
	if err := life.Await(context.Background(), program.Listens(address)); err != nil {
		tb.Fatal(err)
	}
}
