package grants

import (
	"time"

	"tollgate/internal/contract"
	"tollgate/internal/recent"
)

// askers are who asked for which window in the last minute: that many share what is free.
type askers struct {
	of *recent.Map[contract.Window, map[int64]time.Time]
}

const active = time.Minute

// mostAsked bounds the memory. What it forgets makes grants larger for a while, and nothing else.
const mostAsked = 20_000

func newAskers() askers { return askers{recent.New[contract.Window, map[int64]time.Time](mostAsked)} }

func (a askers) count(w contract.Window, inc int64, now time.Time) int {
	of, ok := a.of.Get(w)
	if !ok {
		of = map[int64]time.Time{}
		a.of.Put(w, of)
	}
	of[inc] = now
	if len(of) > 1 {
		for i, at := range of {
			if now.Sub(at) > active {
				delete(of, i)
			}
		}
	}
	return len(of)
}
