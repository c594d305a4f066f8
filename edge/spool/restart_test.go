package spool_test

import (
	"testing"
	"testing/synctest"
	"time"

	eventv1 "tollgate/gen/tollgate/event/v1"
)

// Guarantee: an edge that starts again learns at once what the ledger has of its earlier lives, also
// when all of it was booked before and only the mark was lost: the stream does not take what is sent
// again for repetitions that nobody needs.
func TestPublishAfterRestarts(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		l := newLedger(t)
		l.known = map[string]bool{}
		f := silent
		l.fate = func(*eventv1.SpendBatch) fate { return f }
		r := start(t, dir, l)
		r.add(t, 10)
		first := r.Inc()
		for range 3 {
			pass(time.Second)
			r.stop()
			r = start(t, dir, l)
		}
		r.stop()
		f = booked
		r = start(t, dir, l)
		pass(time.Second)
		l.wantAll(t, first, 11)
		if n, _ := r.Depth(); n != 0 {
			t.Errorf("%d events wait for a mark a second after the start", n)
		}
		r.stop()
	})
}
