//go:build !race

package simulation_test

import "testing"

const raceEnabled = false

// Guarantee: the simulation can fail. Each known way to get the protocol wrong is found.
func TestPlantsAreFound(t *testing.T) {
	t.Parallel()
	for p := none + 1; p < plants; p++ {
		t.Run(p.String(), func(t *testing.T) {
			t.Parallel()
			for seed := range uint64(400) {
				if _, err := run(seed, p, steps); err != nil {
					t.Logf("seed %d: %v", seed, err)
					return
				}
			}
			t.Error("survived")
		})
	}
}
