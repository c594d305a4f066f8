package spool_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"google.golang.org/protobuf/proto"
	"pgregory.net/rapid"

	"tollgate/edge/spool"
	eventv1 "tollgate/gen/tollgate/event/v1"
)

// Guarantee: wherever the files of an old incarnation are cut off, overwritten or zeroed, recovery loses
// no settlement in front of the damage, uses no number again that a record still has, charges no request
// that is settled as abandoned, ends in CLOSE, and comes to the same when it is done again.
func TestRecoveryFromDamage(t *testing.T) {
	t.Parallel()
	root, runs := t.TempDir(), 0
	rapid.Check(t, func(t *rapid.T) {
		runs++
		dir := filepath.Join(root, strconv.Itoa(runs))
		s := mustOpen(t, spool.Options{Storage: spool.Written(dir), SegmentBytes: 16 << 10})
		inc := s.Inc()
		for n := range rapid.IntRange(20, 80).Draw(t, "n") {
			i := anIntent(n)
			i.Draws[1].Part = uint32(n % 2)
			if ticket := mustIntent(t, s, i); n%7 > 0 {
				s.Settle(ticket, ok(n))
			}
		}
		want := map[uint32][]*eventv1.SpendEvent{}
		for part := range uint32(2) {
			want[part] = eventsOf(t, s, inc, part, 1)
		}
		s.Crash()
		last := harm(t, filepath.Join(dir, spool.Dir(inc)), inc)

		var before map[uint32][]*eventv1.SpendEvent
		for range 2 {
			s := mustOpen(t, spool.Options{Storage: spool.Written(dir), SegmentBytes: 16 << 10})
			got := map[uint32][]*eventv1.SpendEvent{}
			for part := range s.Parts()[inc] {
				got[part] = eventsOf(t, s, inc, part, 1)
			}
			s.Crash()
			for part := range got {
				compareDamaged(t, part, got[part], want[part], last[part])
			}
			for part := range before {
				diffEvents(t, got[part], before[part])
			}
			before = got
		}
	})
}

// harm damages one segment and returns the last number of each partition that a record still has.
func harm(t *rapid.T, dir string, inc int64) map[uint32]uint64 {
	segments, err := filepath.Glob(filepath.Join(dir, "*.seg"))
	if err != nil {
		t.Fatal(err)
	}
	path := rapid.SampledFrom(segments).Draw(t, "segment")
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	at := rapid.IntRange(0, len(data)-1).Draw(t, "at")
	end := min(at+rapid.IntRange(1, 600).Draw(t, "bytes"), len(data))
	switch rapid.IntRange(0, 2).Draw(t, "how") {
	case 0:
		data = data[:at]
	case 1:
		clear(data[at:end])
	default:
		for k := at; k < end; k++ {
			data[k] ^= byte(k) | 1
		}
	}
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	last := map[uint32]uint64{}
	for _, segment := range segments {
		whole, err := os.ReadFile(segment)
		if err != nil {
			t.Fatal(err)
		}
		for part, seq := range spool.LastNumbers(whole, inc) {
			last[part] = max(last[part], seq)
		}
	}
	return last
}

func compareDamaged(t *rapid.T, part uint32, got, want []*eventv1.SpendEvent, last uint64) {
	settled := map[string]bool{}
	for k, e := range got {
		lost := e.GetKeyId() == "" && e.GetCostNanos() == 0 && len(e.GetDraws()) == 0
		switch {
		case k == len(got)-1:
			if e.GetOutcome() != eventv1.SpendOutcome_SPEND_OUTCOME_CLOSE {
				t.Fatalf("partition %d ends with %v", part, e)
			}
		case uint64(k) < last:
			if !lost && !proto.Equal(e, want[k]) {
				t.Fatal(fmt.Sprintf("partition %d, event %d:\n got %v\nwant %v", part, k+1, e, want[k]))
			}
		case e.GetOutcome() != eventv1.SpendOutcome_SPEND_OUTCOME_ABANDONED:
			t.Fatalf("partition %d, event %d of %d that are left: %v", part, k+1, last, e)
		}
		if !lost && settled[string(e.GetRequestId())] {
			t.Fatalf("partition %d, event %d settles a request again: %v", part, k+1, e)
		}
		settled[string(e.GetRequestId())] = true
	}
	if uint64(len(got)) <= last {
		t.Fatalf("partition %d has %d events, %d are left", part, len(got), last)
	}
}
