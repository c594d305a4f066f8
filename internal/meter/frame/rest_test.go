package frame

import (
	"slices"
	"testing"
)

// Guarantee: a stream of events takes memory to read with only while a part of an event is there, and reads the same in whatever pieces
// it comes.
func TestBetweenEventsNothingIsHeld(t *testing.T) {
	t.Parallel()
	const body = "\xef\xbb\xbfevent: a\ndata: {\"n\":1}\n\nevent: b\r\ndata: {\"n\":2}\r\n\r\n: word\n\ndata: {\"n\":3}\n\n"
	paths, err := NewPaths("n")
	if err != nil {
		t.Fatal(err)
	}
	read := func(cuts ...int) (got []string, held []bool) {
		s := New(Events, "", paths, func(f *Frame) { got = append(got, f.Event) })
		for at, last := range append(cuts, len(body)) {
			from := 0
			if at > 0 {
				from = cuts[at-1]
			}
			s.Write([]byte(body[from:last]))
			held = append(held, s.work != nil)
		}
		if s.End(true); s.Frames() != 3 || s.Trouble() != "" {
			t.Errorf("cut at %d: %d frames, trouble %q", cuts, s.Frames(), s.Trouble())
		}
		return got, held
	}
	want, held := read()
	if len(want) != 3 || held[0] {
		t.Fatalf("frames %q, memory held behind the last: %t", want, held[0])
	}
	for cut := 1; cut < len(body); cut++ {
		got, held := read(cut)
		if !slices.Equal(got, want) || held[1] {
			t.Errorf("cut at %d: frames %q, memory held behind the last: %t", cut, got, held[1])
		}
		if behind := cut > 1 && body[cut-2:cut] == "\n\n" || cut > 3 && body[cut-4:cut] == "\r\n\r\n"; cut > 3 && behind == held[0] {
			t.Errorf("cut at %d: memory held: %t", cut, held[0])
		}
	}
}
