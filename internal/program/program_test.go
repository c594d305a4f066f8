package program_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"tollgate/internal/program"
)

// shell is a program that a test writes.
func shell(t *testing.T, script string) program.Program {
	t.Helper()
	return program.Program{Name: "shell", Path: "/bin/sh", Args: []string{"-c", script}, Env: []string{"WORD=said"}, Log: filepath.Join(t.TempDir(), "log")}
}

// begin starts a life and waits until it has written a word.
func begin(t *testing.T, p program.Program, word string) *program.Life {
	t.Helper()
	l, err := p.Start()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(l.Kill)
	if err := l.Await(t.Context(), func(context.Context) error {
		if !strings.Contains(p.Tail(100), word) {
			return errors.New("nothing was written yet")
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return l
}

// Guarantee: a program is told to end and may take its time for it; what it writes over its lives stays.
func TestLives(t *testing.T) {
	t.Parallel()
	p := shell(t, `trap 'echo ended; exit 0' TERM; echo "$WORD"; while :; do :; done`)
	for i := range 2 {
		l := begin(t, p, strings.Repeat("said\nended\n", i)+"said\n")
		if err := l.End(time.Minute); err != nil {
			t.Fatal(err)
		}
	}
	if got := p.Tail(100); got != "said\nended\nsaid\nended\n" {
		t.Errorf("the log is %q", got)
	}
	if got := p.Tail(6); got != "ended\n" {
		t.Errorf("its end is %q", got)
	}
}

// Guarantee: who does not end when told to is killed, and that is said; so is an end with an error.
func TestBadEnds(t *testing.T) {
	t.Parallel()
	deaf := begin(t, shell(t, `trap '' TERM; echo "$WORD"; while :; do :; done`), "said")
	if err := deaf.Stop(time.Millisecond); err == nil || !strings.Contains(err.Error(), "was killed") || deaf.Err() == nil {
		t.Errorf("%v, %v", err, deaf.Err())
	}
	failing := begin(t, shell(t, `trap 'exit 3' TERM; echo "$WORD"; while :; do :; done`), "said")
	if err := failing.End(time.Minute); err == nil || !strings.Contains(err.Error(), "exit status 3") {
		t.Errorf("%v", err)
	}
	if err := failing.Signal(os.Interrupt); err != nil {
		t.Errorf("a signal to one that has ended: %v", err)
	}
}

// Guarantee: nobody waits for a program that has ended, and what it wrote is told.
func TestEndedBeforeItServed(t *testing.T) {
	t.Parallel()
	p := shell(t, `echo "the reason"; exit 3`)
	l, err := p.Start()
	if err != nil {
		t.Fatal(err)
	}
	address, err := program.FreeAddress(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, serves := range []func(context.Context) error{program.Answers("http://" + address), program.Listens(address)} {
		if err := l.Await(t.Context(), serves); err == nil || !strings.Contains(err.Error(), "the reason") || !strings.Contains(err.Error(), "exit status 3") {
			t.Errorf("%v", err)
		}
	}
}
