package devpg

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"go.uber.org/goleak"
)

// The test binary run again with this variable is a parent to be killed.
const parentEnv = "DEVPG_TEST_PARENT"

func TestMain(m *testing.M) {
	if dir := os.Getenv(parentEnv); dir != "" {
		beParent(dir)
		return
	}
	goleak.VerifyTestMain(m)
}

// beParent starts a server, tells its number and waits to be killed.
func beParent(dir string) {
	s, err := Start(context.Background(), Options{Dir: dir})
	if err != nil {
		fmt.Println("error", err)
		os.Exit(1)
	}
	fmt.Println("pid", s.proc.pid)
	<-s.Done()
}

func start(t *testing.T, o Options) *Server {
	t.Helper()
	s, err := Start(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Stop(); err != nil {
			t.Error(err)
		}
		if s.dir != o.Dir {
			_ = os.RemoveAll(s.dir)
		}
	})
	return s
}

func query(t *testing.T, s *Server, sql string) string {
	t.Helper()
	ctx := context.Background()
	conn, err := pgx.Connect(ctx, s.URL("postgres"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(ctx) }()
	var text string
	if err := conn.QueryRow(ctx, sql).Scan(&text); err != nil {
		t.Fatal(err)
	}
	return text
}

// Guarantee: a second start finds the data of the first; while one runs no
// other can take its directory; and only the password opens it.
func TestStartTwice(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	first := start(t, Options{Dir: dir, Fsync: true})
	if got := query(t, first, `SHOW fsync`); got != "on" {
		t.Errorf("fsync is %s", got)
	}
	conn, err := pgx.Connect(t.Context(), first.URL("postgres"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Exec(t.Context(), `CREATE TABLE kept AS SELECT 'x'::text AS v`); err != nil {
		t.Fatal(err)
	}
	_ = conn.Close(t.Context())
	if s, err := Start(t.Context(), Options{Dir: dir}); !errors.Is(err, ErrInUse) {
		if err == nil {
			_ = s.Stop()
		}
		t.Errorf("a second server at once: %v", err)
	}
	wrong := strings.Replace(first.URL("postgres"), first.password, "guess", 1)
	if c, err := pgx.Connect(t.Context(), wrong); err == nil {
		_ = c.Close(t.Context())
		t.Error("a wrong password opens it")
	}
	if err := first.Stop(); err != nil {
		t.Fatal(err)
	}

	second := start(t, Options{Dir: dir})
	if got := query(t, second, `SELECT v FROM kept`); got != "x" {
		t.Errorf("got %q", got)
	}
	if got := query(t, second, `SHOW fsync`); got != "off" {
		t.Errorf("fsync is %s", got)
	}
	info, err := os.Stat(filepath.Join(second.Dir(), "password"))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("password file: %v %v", info.Mode(), err)
	}
}

// Guarantee: data that does not come up is an error with the server's reason,
// and is replaced only where that was allowed.
func TestDamagedData(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := start(t, Options{Dir: dir})
	if err := s.Stop(); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(filepath.Join(s.Dir(), "data", "global", "pg_control")); err != nil {
		t.Fatal(err)
	}
	if s, err := Start(t.Context(), Options{Dir: dir}); err == nil || !strings.Contains(err.Error(), "pg_control") {
		if err == nil {
			_ = s.Stop()
		}
		t.Errorf("got %v", err)
	}
	again := start(t, Options{Dir: dir, Disposable: true})
	if got := query(t, again, `SELECT 'ok'`); got != "ok" {
		t.Errorf("got %q", got)
	}
}

// Guarantee: a wanted port is the one in use, and one that is taken is an
// error rather than another port.
func TestPort(t *testing.T) {
	t.Parallel()
	var s *Server
	var port int
	for s == nil {
		var err error
		if port, err = freePort(); err != nil {
			t.Fatal(err)
		}
		s, err = Start(t.Context(), Options{Dir: t.TempDir(), Port: port})
		// Whoever listens on any port may have been given this one since.
		if err != nil && !errors.Is(err, errPortTaken) {
			t.Fatal(err)
		}
	}
	t.Cleanup(func() {
		if err := s.Stop(); err != nil {
			t.Error(err)
		}
	})
	if !strings.Contains(s.URL("x"), fmt.Sprintf(":%d/x", port)) {
		t.Errorf("listens at %s", s.URL("x"))
	}
	if other, err := Start(t.Context(), Options{Dir: t.TempDir(), Port: port}); !errors.Is(err, errPortTaken) {
		if err == nil {
			_ = other.Stop()
		}
		t.Errorf("got %v", err)
	}
}

// Guarantee: when the parent is killed without a chance to act, the server
// shuts down in good order, and the next start on its data succeeds.
func TestParentKilled(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), parentEnv+"="+dir)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	var pid int
	if _, err := fmt.Sscanf(line, "pid %d", &pid); err != nil {
		t.Fatalf("helper says %q", line)
	}
	if !alive(pid) {
		t.Fatal("no server to lose its parent")
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait() // killed
	begin := time.Now()
	s := start(t, Options{Dir: dir})
	if alive(pid) && s.proc.pid != pid {
		// An orphan nobody reaps stays visible as a zombie.
		if state, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid)); runtime.GOOS != "linux" || err == nil && !strings.Contains(string(state), ") Z ") {
			t.Errorf("the old server still runs: %s", state)
		}
	}
	t.Logf("running again after %s", time.Since(begin))
}

// Guarantee: the watcher that stands in where the kernel does not tell a
// child of its parent's end shuts the server down, and lets an ended one be.
func TestWatcher(t *testing.T) {
	t.Parallel()
	child := func() (*exec.Cmd, chan error) {
		cmd := exec.CommandContext(t.Context(), "/bin/sh", "-c", `trap 'exit 7' INT; echo ready; while :; do read -r _ || exit 8; done`)
		in, err := cmd.StdinPipe()
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = in.Close() })
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		if _, err := bufio.NewReader(out).ReadString('\n'); err != nil { // the trap is set
			t.Fatal(err)
		}
		done := make(chan error, 1)
		go func() { done <- cmd.Wait() }()
		return cmd, done
	}
	// Orderly end: the child is not signalled.
	cmd, done := child()
	release, err := watch(cmd.Process.Pid)
	if err != nil {
		t.Fatal(err)
	}
	release()
	select {
	case err := <-done:
		t.Errorf("the child was ended: %v", err)
	default:
	}
	if err := cmd.Process.Signal(syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err == nil {
		t.Error("a killed child ended well")
	}

	// The other end of the pipe closes without a word, as when a parent dies.
	cmd, done = child()
	w, watcher, err := startWatcher(cmd.Process.Pid)
	if err != nil {
		t.Fatal(err)
	}
	_ = w.Close()
	if err := watcher.Wait(); err != nil {
		t.Error(err)
	}
	if exit, ok := errors.AsType[*exec.ExitError](<-done); !ok || exit.ExitCode() != 7 {
		t.Errorf("the child ended with %v, not by the interrupt", exit)
	}
}

func TestChoose(t *testing.T) {
	t.Parallel()
	fake := func(t *testing.T, version string) string {
		t.Helper()
		dir := t.TempDir()
		for _, p := range []string{"postgres", "initdb"} {
			if err := os.WriteFile(filepath.Join(dir, p), []byte("#!/bin/sh\necho 'postgres (PostgreSQL) "+version+"'\n"), 0o755); err != nil {
				t.Fatal(err)
			}
		}
		return dir
	}
	data := t.TempDir()
	if err := os.MkdirAll(filepath.Join(data, "data"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(data, "data", "PG_VERSION"), []byte("16\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	tests := map[string]struct{ bin, dir, want string }{
		"new enough":      {fake(t, "18.4"), t.TempDir(), ""},
		"beta":            {fake(t, "19beta1"), t.TempDir(), ""},
		"distribution":    {fake(t, "15.18 (Debian 15.18-0+deb12u1)"), t.TempDir(), ""},
		"too old":         {fake(t, "14.3"), t.TempDir(), "version 14.3 is older than 15"},
		"data of another": {fake(t, "18.4"), data, "belongs to version 16"},
		"data of the same": {
			fake(t, "16.1"), data, "",
		},
		"not there": {"/no/such/bin", t.TempDir(), "no such file"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := choose(Options{BinDirHint: tc.bin}, tc.dir, nil)
			if tc.want == "" && err != nil || tc.want != "" && (err == nil || !strings.Contains(err.Error(), tc.want)) {
				t.Errorf("got %v, want %q", err, tc.want)
			}
		})
	}
}

// Guarantee: a place the account cannot enter is replaced by one that is the
// same on every start, and a place prepared by someone else is refused.
func TestPlace(t *testing.T) {
	t.Parallel()
	closed := t.TempDir()
	if err := os.Chmod(closed, 0o700); err != nil {
		t.Fatal(err)
	}
	stranger := &account{name: "stranger", uid: uint32(os.Geteuid()) + 4242, gid: uint32(os.Getegid()) + 4242}
	if stranger.reaches(closed) {
		t.Error("a stranger enters a closed folder")
	}
	want := filepath.Join(closed, "pg")
	if got, err := place(want, nil); err != nil || got != want {
		t.Errorf("got %s, %v", got, err)
	}
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(want, link); err != nil {
		t.Fatal(err)
	}
	if _, err := place(link, nil); err == nil {
		t.Error("followed a link")
	}
	if os.Geteuid() == 0 {
		a, err := place(want, stranger)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = os.RemoveAll(a) })
		if b, err := place(want, stranger); err != nil || a != b || !stranger.reaches(a) {
			t.Errorf("%s, then %s, %v", a, b, err)
		}
	}
}
