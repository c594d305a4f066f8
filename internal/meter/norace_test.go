//go:build !race

package meter_test

// raced says that the race detector is on, under which pools give things away.
const raced = false
