package adapter

import (
	"slices"
	"strings"
)

// What is said of fields that were left out: callers choose their names and how many there are, and all of it goes into one header.
const (
	mostDropped    = 32
	longestDropped = 64
)

// Leave adds the name of a field to those that were left out, each of which is there once. What a header cannot hold becomes "_", and
// beyond some number there are no more.
func Leave(dropped []string, name string) []string {
	if len(dropped) >= mostDropped {
		return dropped
	}
	name = strings.Map(func(c rune) rune {
		if c > ' ' && c < 0x7f && c != ',' {
			return c
		}
		return '_'
	}, name[:min(len(name), longestDropped)])
	if name == "" {
		name = "_"
	}
	if slices.Contains(dropped, name) {
		return dropped
	}
	return append(dropped, name)
}
