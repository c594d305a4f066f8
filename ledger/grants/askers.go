package grants

import (
	"time"

	"tollgate/internal/contract"
)

// askers are who asked for which window in the last minute: that many share what is free.
type askers map[contract.Window]map[int64]time.Time

const active = time.Minute

// maxAskers bounds the memory. Forgetting makes grants larger for a while, and nothing else.
const maxAskers = 200_000

func (a askers) count(w contract.Window, inc int64, now time.Time) int {
	if len(a) > maxAskers {
		clear(a)
	}
	of := a[w]
	if of == nil {
		of = map[int64]time.Time{}
		a[w] = of
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
