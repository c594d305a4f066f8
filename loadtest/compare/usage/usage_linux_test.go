package usage

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"tollgate/internal/program"
)

// Guarantee: the CPU of a process is what it used, in user and system mode, as the kernel tells the process itself.
func TestCPUIsWhatWasUsed(t *testing.T) {
	t.Parallel()
	own := func() time.Duration {
		var u unix.Rusage
		if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
			t.Fatal(err)
		}
		return time.Duration(u.Utime.Nano() + u.Stime.Nano())
	}
	before := own()
	got, err := cpu(os.Getpid())
	after := own()
	const tick = 20 * time.Millisecond // what rusage rounds by
	if err != nil || got < before-tick || got > after+tick {
		t.Errorf("%s, %v; rusage says %s to %s", got, err, before, after)
	}
	if _, err := cpu(1 << 22); err == nil { // above the highest there can be
		t.Error("nobody's CPU was read")
	}
}

// Guarantee: what the processes below a process take is counted with it.
func TestChildrenCount(t *testing.T) {
	t.Parallel()
	// The shell waits for a child of its own, which works until it is stopped.
	p, err := program.Program{
		Name: "shell", Path: "/bin/sh", Args: []string{"-c", `trap 'kill $child; exit 0' TERM; while :; do :; done & child=$!; wait`},
		Log: filepath.Join(t.TempDir(), "log"),
	}.Start()
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := p.Stop(10 * time.Second); err != nil {
			t.Error(err)
		}
	}()
	const enough = 50 * time.Millisecond
	for deadline := time.Now().Add(30 * time.Second); ; {
		list := tree(p.PID())
		whole, err := CPU(p.PID())
		alone, aloneErr := cpu(p.PID())
		if len(list) == 2 && err == nil && aloneErr == nil && whole-alone > enough {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("of %v the CPU is %s, %v; of the shell alone %s, %v", list, whole, err, alone, aloneErr)
		}
	}
	if rss, err := RSS(p.PID()); err != nil || rss < 100<<10 {
		t.Errorf("%d bytes of memory, %v", rss, err)
	}
}

// Guarantee: no name of a process misleads about whose child it is.
func TestParentOf(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		stat        string
		pid, parent int
		ok          bool
	}{
		{"12 (nginx) S 7 12 12 0", 12, 7, true},
		{"12 (a) S 3 (b) S 7 12", 12, 7, true},
		{"12 (x y", 0, 0, false},
		{"12 (x)", 0, 0, false},
		{"x (x) S 7", 0, 0, false},
		{"", 0, 0, false},
	} {
		if pid, parent, ok := parentOf([]byte(c.stat)); ok != c.ok || ok && (pid != c.pid || parent != c.parent) {
			t.Errorf("%q: %d, %d, %t", c.stat, pid, parent, ok)
		}
	}
	if list := tree(os.Getpid()); !slices.Contains(list, os.Getpid()) {
		t.Errorf("%v has not its root", list)
	}
	if _, err := resident([]byte("12")); err == nil {
		t.Error("a number that is not there was read")
	}
	if n, err := resident([]byte("12 34 5")); err != nil || n != 34 {
		t.Errorf("%d, %v", n, err)
	}
}
