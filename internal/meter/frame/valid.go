package frame

import (
	"bytes"
	"sync"
)

var (
	checkers = sync.Pool{New: func() any { return new(projector) }}
	nothing  = &node{}
)

// Valid says whether a text is one JSON document, and not deeper than frames may be. Nothing of it is kept, so that neither
// its length nor its depth costs memory.
func Valid(text []byte) bool {
	j, _ := checkers.Get().(*projector)
	defer checkers.Put(j)
	j.begin(nothing)
	n := j.feed(text)
	return j.finish() != nil && len(bytes.TrimLeft(text[n:], " \t\r\n")) == 0
}
