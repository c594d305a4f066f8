package spool_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"os"
	"os/exec"
	"sync"
	"testing"

	"google.golang.org/protobuf/proto"

	"tollgate/edge/spool"
	eventv1 "tollgate/gen/tollgate/event/v1"
	"tollgate/internal/lifecycle"
	"tollgate/internal/money"
	"tollgate/internal/testenv"
)

const (
	helperEnv  = "TOLLGATE_SPOOL_HELPER"  // the directory; this process is then the one to be killed
	storageEnv = "TOLLGATE_SPOOL_STORAGE" // mapped, written, or buffered, which is wrong
)

func TestMain(m *testing.M) {
	if dir := os.Getenv(helperEnv); dir != "" {
		helper(dir, os.Getenv(storageEnv))
		os.Exit(1)
	}
	os.Exit(testenv.Main(m))
}

// bufferedFile keeps writes in memory until there are many: what a spool must not do.
type bufferedFile struct {
	spool.OSFile
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
		if _, err := f.OSFile.WriteAt(f.buf, f.from); err != nil {
			return 0, err
		}
		f.buf = nil
	}
	return len(b), nil
}

// killIntent draws on two partitions.
func killIntent(n int) *spool.Intent {
	i := anIntent(n)
	i.Draws[1].Part = 1
	return i
}

// more is what an intent of killIntent holds after it was extended.
func more(n int) money.Nanos { return money.Nanos(5_000_000 + n) }

// What the helper says was acknowledged, below the number of a request.
const (
	saidIntent = iota
	saidPartial
	saidSettle
	says
)

// helper records intents, extensions and settlements from several goroutines for ever, while segments
// are made ahead, and says on its output what was acknowledged.
func helper(dir, storage string) {
	o := spool.Options{Edge: "e1", SegmentBytes: 256 << 10, Storage: spool.Mapped(dir)}
	switch storage {
	case "written":
		o.Storage = spool.Written(dir)
	case "buffered":
		o.SegmentBytes = 0 // a segment does not end, so that a tail is all that can be lost
		o.Storage = spool.WrittenWith(dir, func(f spool.OSFile) spool.OSFile { return &bufferedFile{OSFile: f} })
	}
	s, err := spool.Open(o)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return
	}
	var g lifecycle.Group
	g.Go("publisher", func(ctx context.Context) {
		_ = spool.NewPublisher(s, func(context.Context, string, string, []byte) error { return nil }, nil).Run(ctx)
	})
	defer g.Stop()
	say := func(n, what int) {
		_, _ = os.Stdout.Write(binary.LittleEndian.AppendUint32(nil, uint32(n*says+what)))
	}
	var wg sync.WaitGroup
	for g := range 4 {
		wg.Go(func() {
			var before spool.Ticket
			for n := 4 + g; ; n += 4 {
				ticket, err := s.Intent(killIntent(n))
				if err != nil {
					fmt.Fprintln(os.Stderr, err)
					return
				}
				say(n, saidIntent)
				if n%3 == 0 {
					if err := s.Partial(ticket, more(n), 0); err != nil {
						fmt.Fprintln(os.Stderr, err)
						return
					}
					say(n, saidPartial)
				}
				if n > 8 { // one is always open
					s.Settle(before, counted(n-4))
					say(n-4, saidSettle)
				}
				before = ticket
			}
		})
	}
	wg.Wait()
}

// killRound kills a process under load and says how many acknowledged intents and settlements are
// not in its spool. It fails when one is there twice or with another amount.
func killRound(t *testing.T, storage string, acks int) (lost int) {
	t.Helper()
	dir := t.TempDir()
	cmd := exec.Command(os.Args[0], "-test.run=^$")
	cmd.Env = append(os.Environ(), helperEnv+"="+dir, storageEnv+"="+storage)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	said := [says]map[int]bool{{}, {}, {}}
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
		v := int(binary.LittleEndian.Uint32(word[:]))
		said[v%says][v/says] = true
	}
	_ = cmd.Wait()
	if len(said[saidIntent])+len(said[saidPartial])+len(said[saidSettle]) < acks {
		t.Fatalf("the helper ended by itself: %s", stderr.String())
	}

	s := mustOpen(t, spool.Options{Dir: dir})
	defer s.Crash()
	old := s.Old()
	if len(old) != 1 {
		t.Fatalf("old incarnations = %v", old)
	}
	seen := map[int]*eventv1.SpendEvent{}
	for _, e := range eventsOf(t, s, old[0], 0, 1) {
		if e.GetOutcome() == eventv1.SpendOutcome_SPEND_OUTCOME_CLOSE {
			continue
		}
		n := int(binary.BigEndian.Uint32(e.GetRequestId()[12:]))
		if seen[n] != nil {
			t.Errorf("request %d has two events", n)
		}
		cost := money.Nanos(e.GetCostNanos())
		extended := e.GetOutcome() == eventv1.SpendOutcome_SPEND_OUTCOME_ABANDONED && n%3 == 0 && cost == more(n)
		if cost != money.Nanos(1000+n) && !extended {
			t.Errorf("request %d costs %d", n, cost)
		}
		if end := counted(n); e.GetOutcome() == end.Outcome && (e.GetCounts() != end.Counts || !proto.Equal(e.GetJob(), jobEvent(end.Job))) {
			t.Errorf("request %d counts %q of job %v", n, e.GetCounts(), e.GetJob())
		}
		if said[saidPartial][n] && e.GetOutcome() == eventv1.SpendOutcome_SPEND_OUTCOME_ABANDONED && !extended {
			lost++
		}
		seen[n] = e
	}
	shares := 0
	for _, e := range eventsOf(t, s, old[0], 1, 1) {
		if !e.GetDrawsOnly() { // CLOSE
			continue
		}
		n := int(binary.BigEndian.Uint32(e.GetRequestId()[12:]))
		if len(e.GetDraws()) == 1 && e.GetDraws()[0].GetNanos() == seen[n].GetCostNanos() {
			shares++
		}
	}
	if shares != len(seen) {
		t.Errorf("%d requests, and %d of them in the other partition", len(seen), shares)
	}
	for n := range said[saidIntent] {
		if seen[n] == nil {
			lost++
		}
	}
	for n := range said[saidSettle] {
		if seen[n] != nil && seen[n].GetOutcome() != eventv1.SpendOutcome_SPEND_OUTCOME_OK {
			lost++
		}
	}
	return lost
}

// Guarantee: what was acknowledged before a kill -9 is there after it: every intent ends in exactly
// one event, and every settlement is the one that was made. It holds however segments are written.
func TestKill(t *testing.T) {
	t.Parallel()
	for round := range 16 {
		storage := []string{"mapped", "written"}[round%2]
		if lost := killRound(t, storage, 200+577*round); lost > 0 {
			t.Errorf("%s, round %d: %d acknowledged records are lost", storage, round, lost)
		}
	}
}

// Guarantee: the test above would notice: with records kept in the memory of the process it fails.
func TestKillNoticesBuffering(t *testing.T) {
	t.Parallel()
	lost := 0
	for round := range 6 {
		lost += killRound(t, "buffered", 300+777*round)
	}
	if lost == 0 {
		t.Error("a buffering spool lost nothing: the kill test proves nothing")
	}
}
