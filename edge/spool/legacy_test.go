package spool_test

import (
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"tollgate/edge/spool"
	eventv1 "tollgate/gen/tollgate/event/v1"
)

// format1 is a segment of incarnation 1_700_000_000_000 << 20 as the first release wrote it: six
// intents, of which every other one is settled.
func format1(t tester, name string) []byte {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", "format1", name+".seg"))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// Guarantee: an edge that is replaced by one of this release loses nothing of what it recorded: its
// segments are settled, closed and published, and a recovery that is killed and done again changes
// nothing.
func TestFormat1(t *testing.T) {
	t.Parallel()
	const inc = int64(1_700_000_000_000 << 20)
	old := func(n int, end *spool.Settlement) *eventv1.SpendEvent { // without what the format did not know
		e := settled(anIntent(n), end)
		e.Team, e.Customer, e.Tags, e.Model, e.Deployment, e.Units, e.Unpriced, e.ReservedNanos = "", "", nil, "", "", 0, false, 0
		return e
	}
	var want []*eventv1.SpendEvent
	for _, n := range []int{0, 2, 4} {
		want = append(want, old(n, ok(n)))
	}
	for _, name := range []string{"open", "closed"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := spool.Options{Dir: t.TempDir()}
			dir := filepath.Join(o.Dir, strconv.FormatInt(inc, 10))
			if err := errors.Join(os.Mkdir(dir, 0o700), os.WriteFile(filepath.Join(dir, "0000000000000001.seg"), format1(t, name), 0o600)); err != nil {
				t.Fatal(err)
			}
			for range 3 {
				s := mustOpen(t, o)
				got := events(t, s, inc, 1)
				if len(got) != 7 || got[6].GetOutcome() != eventv1.SpendOutcome_SPEND_OUTCOME_CLOSE {
					t.Fatalf("%d events, the last is %v", len(got), got[len(got)-1])
				}
				diffEvents(t, got[:3], want)
				for k, n := range []int{1, 3, 5} {
					e := old(n, abandonment(anIntent(n)))
					e.ReservedNanos = got[3+k].GetReservedNanos() // told only by what is recorded now
					diffEvents(t, got[3+k:4+k], []*eventv1.SpendEvent{e})
				}
				s.Crash()
			}
		})
	}
}
