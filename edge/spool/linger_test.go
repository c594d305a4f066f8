package spool_test

import (
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"tollgate/edge/spool"
	eventv1 "tollgate/gen/tollgate/event/v1"
)

// lingering is an old incarnation of two partitions, and a live one with several segments.
type lingering struct {
	*spool.Spool
	p        *spool.Publisher
	now      time.Time
	old      int64
	last     uint64 // event of the live one
	segments int
}

func newLingering(t *testing.T) *lingering {
	t.Helper()
	l := &lingering{now: time.Now()}
	o := spool.Options{Dir: t.TempDir(), SegmentBytes: 16 << 10, Now: func() time.Time { return l.now }}
	s := mustOpen(t, o)
	l.old = s.Inc()
	i := anIntent(1)
	i.Draws[1].Part = 1
	s.Settle(mustIntent(t, s, i), ok(1))
	s.Crash()
	l.Spool = mustOpen(t, o)
	t.Cleanup(l.Crash)
	for n := range 200 {
		l.Settle(mustIntent(t, l.Spool, anIntent(n)), ok(n))
	}
	l.p, l.last, l.segments = spool.NewPublisher(l.Spool, nil, nil), l.Incarnations()[l.Inc()], l.Segments()
	return l
}

// mark tells how far both incarnations are booked by a partition in a history.
func (l *lingering) mark(part uint32, epoch int64, old, live uint64) {
	l.p.Mark(&eventv1.Mark{Inc: l.old, Part: part, Hwm: old, Epoch: epoch})
	l.p.Mark(&eventv1.Mark{Inc: l.Inc(), Part: part, Hwm: live, Epoch: epoch})
}

func (l *lingering) want(t *testing.T, what string, kept bool) {
	t.Helper()
	l.p.Tidy()
	if old := len(l.Old()) > 0; old != kept {
		t.Errorf("%s: the old incarnation is kept: %v", what, old)
	}
	if n := l.Segments(); n != 1 && n != l.segments || n == l.segments != kept {
		t.Errorf("%s: %d of %d segments are kept", what, n, l.segments)
	}
}

// Guarantee: what is booked is given back when the ledger has told so once more after the linger, and not
// while it is silent, as one is whose database is being restored.
func TestKeptUntilToldAgain(t *testing.T) {
	t.Parallel()
	l := newLingering(t)
	l.mark(0, 1, 2, l.last)
	l.mark(1, 1, 2, 0)
	l.want(t, "booked", true)
	l.now = l.now.Add(10 * spool.DefaultLinger)
	l.want(t, "silence", true)
	l.mark(0, 1, 1, l.last-1)
	l.want(t, "marks from before", true)
	l.mark(0, 1, 2, l.last)
	l.mark(1, 1, 2, 0)
	l.want(t, "told again", false)
}

// Guarantee: what one history of the database has booked is kept, however long ago that was, until the
// newer one that was heard of has confirmed it, each partition for itself.
func TestKeptUntilConfirmed(t *testing.T) {
	t.Parallel()
	l := newLingering(t)
	if err := l.Join(1); err != nil {
		t.Fatal(err)
	}
	l.mark(0, 1, 2, l.last)
	l.mark(1, 1, 2, 0)
	l.want(t, "booked", true)
	l.now = l.now.Add(spool.DefaultLinger)
	l.p.Mark(&eventv1.Mark{Inc: l.Inc(), Part: 1, Epoch: 2})
	l.p.Mark(&eventv1.Mark{Inc: l.old, Part: 0, Hwm: 1, Epoch: 2})
	l.mark(0, 1, 2, l.last)
	l.mark(1, 1, 2, 0)
	l.want(t, "marks of the older history", true)
	l.p.Mark(&eventv1.Mark{Inc: l.Inc(), Part: 0, Hwm: l.last, Epoch: 2})
	l.p.Mark(&eventv1.Mark{Inc: l.old, Part: 0, Hwm: 2, Epoch: 2})
	l.now = l.now.Add(spool.DefaultLinger)
	l.mark(0, 2, 2, l.last)
	l.p.Tidy()
	if len(l.Old()) == 0 || l.Segments() != 1 {
		t.Errorf("one of two partitions has confirmed: %d incarnations and %d segments are kept", len(l.Old()), l.Segments())
	}
	l.mark(1, 2, 2, 0)
	l.want(t, "both have confirmed", false)
}

// Guarantee: the linger begins anew with each restored database that had to be told again, so that several
// in a row lose nothing, however long ago all was booked for the first time.
func TestLingerBeginsAnew(t *testing.T) {
	t.Parallel()
	l := newLingering(t)
	for epoch := range int64(5) {
		l.mark(0, epoch, 0, 0)
		l.mark(1, epoch, 0, 0)
		l.mark(0, epoch, 2, l.last)
		l.mark(1, epoch, 2, 0)
		l.want(t, "booked again", true)
		l.now = l.now.Add(spool.DefaultLinger - time.Minute)
		l.mark(0, epoch, 2, l.last)
		l.mark(1, epoch, 2, 0)
		l.want(t, "within the linger", true)
	}
	l.now = l.now.Add(2 * time.Minute)
	l.mark(0, 4, 2, l.last)
	l.mark(1, 4, 2, 0)
	l.want(t, "after it", false)
}

// Guarantee: a release that knows only format 1 does not touch what this one writes. It takes directories
// for its own whose names are numbers, and removes those that end in .gone.
func TestOlderReleasesPassOver(t *testing.T) {
	t.Parallel()
	o := spool.Options{Dir: t.TempDir()}
	s := mustOpen(t, o)
	inc := s.Inc()
	s.Settle(mustIntent(t, s, anIntent(1)), ok(1))
	s.Crash()
	// What that release leaves behind meanwhile.
	const older = int64(1_700_000_000_000 << 20)
	dir := filepath.Join(o.Dir, strconv.FormatInt(older, 10))
	if err := errors.Join(os.Mkdir(dir, 0o700), os.WriteFile(filepath.Join(dir, "0000000000000001.seg"), format1(t, "open"), 0o600)); err != nil {
		t.Fatal(err)
	}
	s = mustOpen(t, o)
	defer s.Crash()
	if len(events(t, s, inc, 1)) != 2 || len(events(t, s, older, 1)) != 7 || s.Inc() < inc {
		t.Errorf("incarnations = %v", s.Incarnations())
	}
	entries, err := os.ReadDir(o.Dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		_, err := strconv.ParseInt(e.Name(), 10, 64)
		if numeric := err == nil; strings.HasSuffix(e.Name(), ".gone") || numeric != (e.Name() == filepath.Base(dir)) {
			t.Errorf("an older release would open or remove %s", e.Name())
		}
	}
}
