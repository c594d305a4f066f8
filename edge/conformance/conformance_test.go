package conformance_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"

	"tollgate/edge/conformance"
	"tollgate/internal/testenv"
)

func TestMain(m *testing.M) { os.Exit(testenv.Main(m)) }

// seed decides where what is sent is cut. A run that failed is repeated with the seed that it told.
func seed(t *testing.T) uint64 {
	t.Helper()
	text := os.Getenv("CONFORMANCE_SEED")
	if text == "" {
		return rand.Uint64()
	}
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func load(t *testing.T) []conformance.Case {
	t.Helper()
	cases, err := conformance.Load(os.DirFS("testdata"))
	if err != nil {
		t.Fatal(err)
	}
	return cases
}

// Guarantee: what each case of testdata says, byte for byte on both sides, over each transport on which
// it can be played, wherever TCP and HTTP cut what is sent.
func TestConformance(t *testing.T) {
	t.Parallel()
	cases, seed := load(t), seed(t)
	workers := runtime.GOMAXPROCS(0)
	free := make(chan *bench, workers)
	for i := range workers {
		free <- newBench(t, i)
	}
	var mu sync.Mutex
	played := map[string]int{}
	// The group ends when all its parallel tests have.
	t.Run("case", func(t *testing.T) {
		for i := range cases {
			c := &cases[i]
			over := c.Over
			if raceEnabled {
				// It takes eight times as long then: half of the cases and one transport for each, others each time. `make test` plays
				// all of them without the race detector.
				if (seed/7+uint64(i))%2 == 0 {
					continue
				}
				at := (seed + uint64(i)) % uint64(len(over))
				over = over[at : at+1]
			}
			for _, transport := range over {
				t.Run(c.File+"/"+strings.ReplaceAll(c.Name, " ", "_")+"/"+transport, func(t *testing.T) {
					t.Parallel()
					b := <-free
					defer func() { free <- b }()
					if err := c.Play(t.Context(), b, transport, seed); err != nil {
						t.Errorf("CONFORMANCE_SEED=%d: %v", seed, err)
					}
					mu.Lock()
					defer mu.Unlock()
					played[transport]++
				})
			}
		}
	})
	var counts []string
	for _, transport := range conformance.Transports {
		counts = append(counts, fmt.Sprintf("%d over %s", played[transport], transport))
	}
	t.Logf("%d cases: %s", len(cases), strings.Join(counts, ", "))
}
