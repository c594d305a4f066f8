package simulation_test

import (
	"maps"
	"os"
	"strconv"
	"testing"
)

// steps is how long each world lives.
const steps = 4000

// seeds is how many worlds there are: SEEDS of them, or enough for every run of the tests.
func seeds(t *testing.T) uint64 {
	t.Helper()
	text := os.Getenv("SEEDS")
	if text == "" {
		if raceEnabled {
			return 6 // the detector has nothing to find in one goroutine, and takes ten times as long
		}
		return 100
	}
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		t.Fatalf("SEEDS: %v", err)
	}
	return n
}

// Guarantee: whatever the network, the streams, the databases, the clocks and kill -9 do, no budget is
// overspent beyond its stated bound, what is booked is what was spent, and when all is quiet one edge
// can spend what is left of each budget to its last request.
func TestProtocol(t *testing.T) {
	t.Parallel()
	total := map[string]int{}
	n := seeds(t)
	for seed := range n {
		w, err := run(seed, none, steps)
		if err != nil {
			t.Fatalf("seed %d: %v\n%+v\n%v", seed, err, w.shape, w.count)
		}
		for what, n := range w.count {
			total[what] += n
		}
	}
	t.Logf("%d worlds of %d steps: %v", n, steps, total)
	if raceEnabled {
		return // so few worlds do not have everything; the run without the detector does
	}
	for _, what := range []string{
		"admitted", "admitted under limits", "budgets spent whole", "clock set", "commit failed", "commits lost", "edited", "extended", "given up", "killed", "ledger failed over", "limits used whole", "lost", "machines lost", "raises helped",
		"recalled", "refused", "refused by a limit", "repeated", "reset", "settled", "spent at the end", "stream lost its end", "stream wiped", "time has jumped", "told that it was given up", "told everything again",
	} {
		if total[what] == 0 {
			t.Errorf("%q never happened, so nothing is known about it", what)
		}
	}
}

// Guarantee: a seed does the same each time, so that what it finds can be looked at again.
func TestSeedsRepeat(t *testing.T) {
	t.Parallel()
	for seed := range uint64(6) {
		first, err := run(seed, none, steps/4)
		second, again := run(seed, none, steps/4)
		if err != nil || again != nil || !maps.Equal(first.count, second.count) || !first.now.Equal(second.now) {
			t.Errorf("seed %d: %v, %v\n%v\n%v", seed, err, again, first.count, second.count)
		}
	}
}
