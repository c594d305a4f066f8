package spool_test

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"os"
	"os/exec"
	"sync"
	"testing"

	"tollgate/edge/spool"
	eventv1 "tollgate/gen/tollgate/event/v1"
	"tollgate/internal/testenv"
)

const (
	helperEnv = "TOLLGATE_SPOOL_HELPER" // the directory; this process is then the one to be killed
	bufferEnv = "TOLLGATE_SPOOL_BUFFER"
)

func TestMain(m *testing.M) {
	if dir := os.Getenv(helperEnv); dir != "" {
		helper(dir, os.Getenv(bufferEnv) != "")
		os.Exit(1)
	}
	os.Exit(testenv.Main(m))
}

// bufferedFile keeps writes in memory until there are many: what a spool must not do.
type bufferedFile struct {
	spool.File
	mu   sync.Mutex
	buf  []byte
	from int64
}

func (f *bufferedFile) WriteAt(b []byte, off int64) (int, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.buf) == 0 {
		f.from = off
	}
	if f.buf = append(f.buf, b...); len(f.buf) > 16<<10 {
		if _, err := f.File.WriteAt(f.buf, f.from); err != nil {
			return 0, err
		}
		f.buf = nil
	}
	return len(b), nil
}

// helper records intents and settlements from several goroutines for ever and says on its output what
// was acknowledged: the number of a request, doubled, plus one once it is settled.
func helper(dir string, buffered bool) {
	o := spool.Options{Dir: dir, Edge: "e1", SegmentBytes: 256 << 10}
	if buffered {
		o.SegmentBytes = 0 // a segment does not end, so that a tail is all that can be lost
	}
	s, err := spool.OpenWith(o, func(f spool.File) spool.File {
		if buffered {
			return &bufferedFile{File: f}
		}
		return f
	})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return
	}
	say := func(v int) {
		_, _ = os.Stdout.Write(binary.LittleEndian.AppendUint32(nil, uint32(v)))
	}
	var wg sync.WaitGroup
	for g := range 4 {
		wg.Go(func() {
			var before spool.Ticket
			for n := 4 + g; ; n += 4 {
				ticket, err := s.Intent(anIntent(n))
				if err != nil {
					fmt.Fprintln(os.Stderr, err)
					return
				}
				say(2 * n)
				if n > 8 { // one is always open
					s.Settle(before, ok(n-4))
					say(2*(n-4) + 1)
				}
				before = ticket
			}
		})
	}
	wg.Wait()
}

// killRound kills a process under load and says how many acknowledged intents and settlements are
// not in its spool. It fails when one is there twice or with another amount.
func killRound(t *testing.T, buffered bool, acks int) (lost int) {
	t.Helper()
	dir := t.TempDir()
	cmd := exec.Command(os.Args[0], "-test.run=^$")
	cmd.Env = append(os.Environ(), helperEnv+"="+dir)
	if buffered {
		cmd.Env = append(cmd.Env, bufferEnv+"=1")
	}
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	intents, settles := map[int]bool{}, map[int]bool{}
	r := bufio.NewReader(out)
	for k := 0; ; k++ {
		if k == acks {
			if err := cmd.Process.Kill(); err != nil {
				t.Fatal(err)
			}
		}
		var word [4]byte
		if _, err := io.ReadFull(r, word[:]); err != nil {
			break
		}
		if v := int(binary.LittleEndian.Uint32(word[:])); v%2 == 0 {
			intents[v/2] = true
		} else {
			settles[v/2] = true
		}
	}
	_ = cmd.Wait()
	if len(intents)+len(settles) < acks {
		t.Fatalf("the helper ended by itself: %s", stderr.String())
	}

	s := mustOpen(t, spool.Options{Dir: dir})
	defer s.Crash()
	old := s.Old()
	if len(old) != 1 {
		t.Fatalf("old incarnations = %v", old)
	}
	seen := map[int]*eventv1.SpendEvent{}
	for _, e := range events(t, s, old[0], 1) {
		if e.GetOutcome() == eventv1.SpendOutcome_SPEND_OUTCOME_CLOSE {
			continue
		}
		n := int(binary.BigEndian.Uint32(e.GetRequestId()[12:]))
		if seen[n] != nil {
			t.Errorf("request %d has two events", n)
		}
		if e.GetCostNanos() != int64(1000+n) {
			t.Errorf("request %d costs %d", n, e.GetCostNanos())
		}
		seen[n] = e
	}
	for n := range intents {
		if seen[n] == nil {
			lost++
		}
	}
	for n := range settles {
		if seen[n] != nil && seen[n].GetOutcome() != eventv1.SpendOutcome_SPEND_OUTCOME_OK {
			lost++
		}
	}
	return lost
}

// Guarantee: what was acknowledged before a kill -9 is there after it: every intent ends in exactly
// one event, and every settlement is the one that was made.
func TestKill(t *testing.T) {
	t.Parallel()
	for round := range 12 {
		if lost := killRound(t, false, 200+777*round); lost > 0 {
			t.Errorf("round %d: %d acknowledged records are lost", round, lost)
		}
	}
}

// Guarantee: the test above would notice: with records kept in the memory of the process it fails.
func TestKillNoticesBuffering(t *testing.T) {
	t.Parallel()
	lost := 0
	for round := range 6 {
		lost += killRound(t, true, 300+777*round)
	}
	if lost == 0 {
		t.Error("a buffering spool lost nothing: the kill test proves nothing")
	}
}
