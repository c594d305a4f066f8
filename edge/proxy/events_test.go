package proxy

import (
	"strings"
	"testing"
)

// eventsIn counts events by splitting the whole text.
func eventsIn(text string) (events int64) {
	text = strings.TrimPrefix(text, "\ufeff")
	text = strings.ReplaceAll(strings.ReplaceAll(text, "\r\n", "\n"), "\r", "\n")
	lines := strings.Split(text, "\n")
	data := false
	for _, line := range lines[:len(lines)-1] { // the last one has not ended
		switch name, _, _ := strings.Cut(line, ":"); {
		case line == "" && data:
			events++
			data = false
		case name == "data":
			data = true
		}
	}
	return events
}

// Guarantee: what counts as an event is what a client's EventSource would dispatch.
func TestEvents(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]int64{
		"":                                      0,
		"data: 1\n\n":                           1,
		"data: 1\r\n\r\n":                       1,
		"data: 1\r\r":                           1,
		"data: 1\n\r\n\r":                       1,
		"data: 1\n":                             0,
		"data: 1\n\ndata: 2":                    1,
		"data: 1\n\ndata: 2\n\n":                2,
		"data\n\n":                              1,
		"data:\n\n":                             1,
		"dat\n\n":                               0,
		"datax: 1\n\n":                          0,
		" data: 1\n\n":                          0,
		"Data: 1\n\n":                           0,
		": ping\n\n":                            0,
		":data: 1\n\n":                          0,
		"event: x\nid: 1\n\n":                   0,
		"event: x\ndata: 1\ndata: 2\nid: 1\n\n": 1,
		"\n\n\n\n":                              0,
		"\n\ndata: 1\n\n\n\n":                   1,
		"\ufeffdata: 1\n\n":                     1,
		"\ufeff\ufeffdata: 1\n\n":               0,
		"data: 1\n\n\ufeffdata: 1\n\n":          1,
		"\xef\xbbdata: 1\n\n":                   0,
		"\xef\ndata: 1\n\n":                     1,
		"data: [DONE]\r\n\r\n\r\n: end\r\n\r\n": 1,
		"data: a\rb\n\n":                        1,
		"event: error\r\ndata: {}\r\n\r\ndata\r\r": 2,
	} {
		if oracle := eventsIn(text); oracle != want {
			t.Errorf("the oracle finds %d events in %q, not %d", oracle, text, want)
		}
		if got := new(eventCounter).count([]byte(text)); got != want {
			t.Errorf("%q has %d events, not %d", text, got, want)
		}
	}
}

// Guarantee: events are counted the same however the stream is cut into pieces, and a block that has
// begun is known as such.
func FuzzEvents(f *testing.F) {
	f.Add("data: 1\r\n\r\n: x\n\ndata\n\nevent: e\ndata:2\r\r", uint16(3))
	f.Add("\ufeffdata: 1\n\n", uint16(1))
	f.Add("\xef\xbb\n\r\n\rdata:\r\n", uint16(2))
	f.Fuzz(func(t *testing.T, text string, seed uint16) {
		want := eventsIn(text)
		if got := new(eventCounter).count([]byte(text)); got != want {
			t.Errorf("%q has %d events, not %d", text, got, want)
		}
		var e eventCounter
		var got int64
		for rest, size := []byte(text), int(seed); len(rest) > 0; size = (size*7 + 3) % 1000 {
			n := min(1+size%17, len(rest))
			got += e.count(rest[:n])
			rest = rest[n:]
		}
		if got != want {
			t.Errorf("%q in pieces has %d events, not %d", text, got, want)
		}
		// A line that is appended is one of its own, unless the stream ends in one.
		tail := text
		if e.inLine() {
			tail += "\n"
		}
		if more := eventsIn(tail + "data\n\n"); more != want+1 {
			t.Errorf("a line behind %q is not read: %d events", text, more)
		}
		// What is appended to a block that has not begun is a block of its own.
		if more := eventsIn(text + "\n\n"); !e.begun && e.bom == 3 && more != want {
			t.Errorf("%q ends in the middle of an event", text)
		}
	})
}

// BenchmarkEvents counts the events of a piece of a usual stream.
func BenchmarkEvents(b *testing.B) {
	text := []byte(strings.Repeat("data: {\"choices\":[{\"delta\":{\"content\":\"abcdefgh\"}}]}\n\n", 500))
	b.SetBytes(int64(len(text)))
	b.ReportAllocs()
	for b.Loop() {
		var e eventCounter
		if e.count(text) != 500 {
			b.Fatal("wrong count")
		}
	}
}
