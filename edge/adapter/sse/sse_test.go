package sse

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// read reads pieces to their end.
func read(most int, pieces ...string) ([]string, error) {
	var (
		r   = Reader{Most: most}
		out []string
	)
	emit := func(e Event) error {
		out = append(out, fmt.Sprintf("%s|%s", e.Type, e.Data))
		return nil
	}
	for _, p := range pieces {
		if err := r.Next([]byte(p), emit); err != nil {
			return out, err
		}
	}
	return out, r.End(emit)
}

// Guarantee: events are what the standard says they are, and an event at the end counts without its empty line.
func TestEvents(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		stream string
		want   []string
	}{
		"line feeds":             {"data: a\n\ndata: b\n\n", []string{"|a", "|b"}},
		"carriage returns":       {"data: a\r\rdata: b\r\r", []string{"|a", "|b"}},
		"both":                   {"data: a\r\n\r\ndata: b\r\n\r\n", []string{"|a", "|b"}},
		"mixed":                  {"data: a\r\n\ndata: b\n\r", []string{"|a", "|b"}},
		"a mark of byte order":   {"\ufeffdata: a\n\n", []string{"|a"}},
		"a second mark is text":  {"\ufeff\ufeffdata: a\n\ndata: b\n\n", []string{"|b"}},
		"several lines":          {"data: a\ndata:\ndata:b\n\n", []string{"|a\n\nb"}},
		"comments":               {": hello\n\n:\ndata: a\n: more\n\n", []string{"|a"}},
		"names":                  {"event: ping\ndata: {}\n\ndata: {}\n\n", []string{"ping|{}", "|{}"}},
		"the last name counts":   {"event: a\nevent: b\ndata: 1\n\n", []string{"b|1"}},
		"a name without data":    {"event: a\n\ndata: 1\n\n", []string{"|1"}},
		"one space is cut off":   {"data:  a \n\n", []string{"| a "}},
		"a field without colon":  {"data\n\n", []string{"|"}},
		"unknown fields":         {"id: 1\nretry: 5\ndatum: x\ndata: a\n\n", []string{"|a"}},
		"no last empty line":     {"data: a\n\ndata: b\n", []string{"|a", "|b"}},
		"no last line end":       {"data: a\n\nevent: x\ndata: b", []string{"|a", "x|b"}},
		"colons in data":         {"data: a: b\n\n", []string{"|a: b"}},
		"nothing":                {"", nil},
		"empty lines":            {"\n\r\n\n\n", nil},
		"data that is a comment": {"data: : a\n\n", []string{"|: a"}},
	} {
		got, err := read(0, c.stream)
		if err != nil || !slices.Equal(got, c.want) {
			t.Errorf("%s: %q, %v", name, got, err)
		}
		if got, err := read(0, strings.Split(c.stream, "")...); err != nil || !slices.Equal(got, c.want) {
			t.Errorf("%s, byte by byte: %q, %v", name, got, err)
		}
	}
}

// Guarantee: no more of an event is kept than was said, however it comes; what is not kept does not count.
func TestMost(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 100)
	for name, c := range map[string]struct {
		most   int
		stream string
		fails  bool
	}{
		"it fits":              {106, "data: " + long + "\n\ndata: " + long + "\n\n", false},
		"one byte too long":    {105, "data: " + long + "\n\n", true},
		"a line without end":   {50, long, true},
		"many lines":           {50, strings.Repeat("data: 0123456789\n", 10), true},
		"lines of no data":     {50, strings.Repeat("data\n", 100), true},
		"comments do not last": {50, strings.Repeat(": 0123456789\n", 100), false},
	} {
		for _, pieces := range [][]string{{c.stream}, strings.Split(c.stream, "")} {
			if _, err := read(c.most, pieces...); errors.Is(err, ErrTooLong) != c.fails {
				t.Errorf("%s in %d pieces: %v", name, len(pieces), err)
			}
		}
	}
}

// Guarantee: an error of who takes events ends the reading.
func TestTakersErrorEndsReading(t *testing.T) {
	t.Parallel()
	stop := errors.New("stop")
	var (
		r Reader
		n int
	)
	emit := func(Event) error { n++; return stop }
	if err := r.Next([]byte("data: a\n\ndata: b\n\n"), emit); !errors.Is(err, stop) || n != 1 {
		t.Errorf("%v after %d events", err, n)
	}
	r = Reader{}
	if err := r.Next([]byte("data: a"), emit); err != nil {
		t.Error(err)
	}
	if err := r.End(emit); !errors.Is(err, stop) {
		t.Error(err)
	}
}

// Guarantee: what is appended is read as it was written.
func TestAppendIsRead(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		var (
			stream []byte
			want   []string
		)
		for range rapid.IntRange(0, 5).Draw(t, "events") {
			typ, data := rapid.StringMatching(`[a-z_]{0,8}`).Draw(t, "type"), rapid.StringMatching(`[^\r\n]{0,20}`).Draw(t, "data")
			stream = Append(stream, typ, []byte(data))
			want = append(want, typ+"|"+data)
		}
		if got, err := read(0, cut(t, string(stream))...); err != nil || !slices.Equal(got, want) {
			t.Fatalf("%q, %v and not %q", got, err, want)
		}
	})
}

func cut(t *rapid.T, stream string) (pieces []string) {
	for stream != "" {
		n := rapid.IntRange(1, len(stream)).Draw(t, "piece")
		pieces, stream = append(pieces, stream[:n]), stream[n:]
	}
	return pieces
}

// plainly reads a whole stream in the shortest way.
func plainly(stream string) (out []string) {
	stream = strings.TrimPrefix(stream, "\ufeff")
	stream = strings.ReplaceAll(strings.ReplaceAll(stream, "\r\n", "\n"), "\r", "\n")
	typ, data, have := "", []string(nil), false
	for _, line := range append(strings.Split(stream, "\n"), "") {
		name, value, _ := strings.Cut(line, ":")
		value = strings.TrimPrefix(value, " ")
		switch {
		case line == "":
			if have {
				out = append(out, typ+"|"+strings.Join(data, "\n"))
			}
			typ, data, have = "", nil, false
		case name == "data":
			data, have = append(data, value), true
		case name == "event":
			typ = value
		}
	}
	return out
}

// Guarantee: a stream has the same events in pieces of any size, and they are those that it has as a whole.
func FuzzReader(f *testing.F) {
	for _, s := range []string{
		"data: a\n\n", "\ufeffevent: x\r\ndata: 1\r\n\r\n", "data: a\rdata: b\r\r", ": c\n\ndata\n\ndata:\n\n", "event: y\n\ndata: 1", "\r\n\r", "data: a\n\r\n\rdata:b",
	} {
		f.Add([]byte(s), uint8(1))
		f.Add([]byte(s), uint8(3))
	}
	f.Fuzz(func(t *testing.T, stream []byte, size uint8) {
		want := plainly(string(stream))
		var pieces []string
		for p := range slices.Chunk(stream, int(size)+1) {
			pieces = append(pieces, string(p))
		}
		got, err := read(0, pieces...)
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("%q, %v and not %q", got, err, want)
		}
		if _, err := read(8, pieces...); err != nil && !errors.Is(err, ErrTooLong) {
			t.Error(err)
		}
	})
}

// BenchmarkReader reads an event.
func BenchmarkReader(b *testing.B) {
	event := Append(nil, "content_block_delta", []byte(`{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"Hello, World!"}}`))
	var r Reader
	emit := func(Event) error { return nil }
	b.ReportAllocs()
	for b.Loop() {
		if err := r.Next(event, emit); err != nil {
			b.Fatal(err)
		}
	}
}
