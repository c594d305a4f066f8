package ingest

import (
	"testing"

	"github.com/nats-io/nats.go/jetstream"
	"pgregory.net/rapid"
)

// Guarantee: nothing is removed that is not booked, nothing while there is place, and what is left is
// about half of what the stream takes.
func TestRemovable(t *testing.T) {
	t.Parallel()
	const most = 1600
	rapid.Check(t, func(t *rapid.T) {
		first := rapid.Uint64Range(1, 1000).Draw(t, "first")
		n := rapid.Uint64Range(0, 160).Draw(t, "messages of 10 bytes")
		s := jetstream.StreamState{FirstSeq: first, LastSeq: first + n - 1, Bytes: 10 * n}
		booked := rapid.Uint64Range(0, first+n).Draw(t, "booked")
		before := removable(s, most, booked)
		switch left := s.LastSeq + 1 - before; {
		case before > booked+1:
			t.Fatalf("removes before %d, booked are those up to %d", before, booked)
		case before == 0 && s.Bytes > most/parts*high && booked >= first:
			t.Fatal("removes nothing")
		case before > 0 && (s.Bytes <= most/parts*high || left < 79):
			t.Fatalf("of %d messages %d are left", n, left)
		}
	})
}
