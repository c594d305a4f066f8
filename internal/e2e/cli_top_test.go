package e2e_test

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"

	"golang.org/x/sys/unix"

	"tollgate/internal/testenv"
)

// pty is a terminal: what is written to the first end is typed, and what a program shows is read from it.
func pty(t *testing.T) (person, program *os.File) {
	t.Helper()
	person, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = person.Close() })
	fd := int(person.Fd())
	number, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	err = errors.Join(err, unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0),
		unix.IoctlSetWinsize(fd, unix.TIOCSWINSZ, &unix.Winsize{Row: 30, Col: 120}))
	if err != nil {
		t.Fatal(err)
	}
	if program, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|unix.O_NOCTTY, 0); err != nil {
		t.Fatal(err)
	}
	return person, program
}

// watchTop runs `top` on a terminal, waits until it shows something, and ends it with q.
func (w *terminal) watchTop(shows string) {
	w.t.Helper()
	person, program := pty(w.t)
	cmd := w.command("top")
	cmd.Env = append(cmd.Env, "TERM=xterm-256color")
	cmd.Stdin, cmd.Stdout, cmd.Stderr = program, program, program
	if err := cmd.Start(); err != nil {
		w.t.Fatal(err)
	}
	_ = program.Close()
	var mu sync.Mutex
	var shown strings.Builder // guarded by mu
	read := make(chan struct{})
	go func() { // ends with the program, which has the other end
		defer close(read)
		buf := make([]byte, 4096)
		for {
			n, err := person.Read(buf)
			mu.Lock()
			shown.Write(buf[:n])
			mu.Unlock()
			if err != nil {
				return
			}
		}
	}()
	testenv.Eventually(w.t, eventually, func() error {
		mu.Lock()
		defer mu.Unlock()
		if text := shown.String(); !strings.Contains(text, shows) {
			return fmt.Errorf("it shows %q", text)
		}
		return nil
	})
	if _, err := person.WriteString("q"); err != nil {
		w.t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		w.t.Errorf("top: %v", err)
	}
	<-read
}
