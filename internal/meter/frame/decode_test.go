package frame_test

import (
	"bytes"
	"compress/zlib"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/flate"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
	"go.uber.org/goleak"
	"pgregory.net/rapid"

	"tollgate/internal/meter/frame"
)

// Guarantee: no test leaves a stream's coroutine behind.
func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// flusher is a compressor that can give out what it has.
type flusher interface {
	io.WriteCloser
	Flush() error
}

// fast is a compressor whose options are right.
func fast[W flusher](w W, err error) flusher {
	if err != nil {
		panic(err)
	}
	return w
}

// codings are compressors by the names of codings.
var codings = []struct {
	name string
	to   func(io.Writer) flusher
}{
	{"gzip", func(w io.Writer) flusher { return fast(gzip.NewWriterLevel(w, gzip.BestSpeed)) }},
	{"x-gzip", func(w io.Writer) flusher { return fast(gzip.NewWriterLevel(w, gzip.BestSpeed)) }},
	{"deflate", func(w io.Writer) flusher { return zlib.NewWriter(w) }},
	{"Deflate", func(w io.Writer) flusher { return fast(flate.NewWriter(w, flate.BestSpeed)) }},
	{"br", func(w io.Writer) flusher { return brotli.NewWriterLevel(w, brotli.BestSpeed) }},
	{"zstd", func(w io.Writer) flusher {
		return fast(zstd.NewWriter(w, zstd.WithEncoderConcurrency(1), zstd.WithLowerEncoderMem(true), zstd.WithWindowSize(64<<10)))
	}},
}

// encode compresses a body. The pieces are what the compressor has given out behind each part, and at the end.
func encode(to func(io.Writer) flusher, parts ...string) (pieces []string) {
	var b bytes.Buffer
	w := to(&b)
	for _, part := range parts {
		_, _ = io.WriteString(w, part)
		_ = w.Flush()
		pieces = append(pieces, b.String())
		b.Reset()
	}
	_ = w.Close()
	return append(pieces, b.String())
}

// Guarantee: an event that its sender has flushed is seen before the next one comes, in each coding.
func TestAFlushedEventIsSeenAtOnce(t *testing.T) {
	t.Parallel()
	for _, c := range codings {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			var got []string
			s := frame.New(frame.Events, c.name, paths(t, "a"), func(f *frame.Frame) { got = append(got, string(f.Doc)) })
			parts := encode(c.to, "data: {\"a\":1}\n\n", "data: {\"a\":2}\n\n", "data: {\"a\":3}\n\n")
			for i, part := range parts[:3] {
				if s.Write([]byte(part)); len(got) != i+1 {
					t.Fatalf("%d events are seen behind event %d", len(got), i+1)
				}
			}
			s.Write([]byte(parts[3]))
			s.End(true)
			if want := []string{`{"a":1}`, `{"a":2}`, `{"a":3}`}; !slices.Equal(got, want) || s.Trouble() != "" || s.Frames() != 3 {
				t.Errorf("got %v, %q, want %v", got, s.Trouble(), want)
			}
		})
	}
}

// Guarantee: a compressed body has the frames that it has when it is not compressed, in whatever pieces it comes and
// with several codings, one around the other.
func TestCompressedBodiesHaveTheSameFrames(t *testing.T) {
	t.Parallel()
	p := paths(t, "a")
	rapid.Check(t, func(t *rapid.T) {
		c := framings[rapid.IntRange(0, len(framings)-1).Draw(t, "case")]
		body := strings.Repeat(c.body, rapid.IntRange(1, 50).Draw(t, "times"))
		want := readAll(c.kind, "", p, body)
		var names []string
		for range rapid.IntRange(1, 2).Draw(t, "codings") {
			coding := codings[rapid.IntRange(0, len(codings)-1).Draw(t, "coding")]
			body = strings.Join(encode(coding.to, body), "")
			names = append(names, coding.name)
		}
		got := readAll(c.kind, strings.Join(names, " , identity,"), p, pieces(t, body)...)
		if !slices.Equal(got.frames, want.frames) || got.trouble != want.trouble {
			t.Fatalf("%v of %q: got %s %q, want %s %q", names, c.body, got.docs(), got.trouble, want.docs(), want.trouble)
		}
	})
}

// Guarantee: a body that breaks off gives the frames that came, and its trouble is said; so is that of a body that is not
// what it says, and of a coding that is not known. A body that is empty is no trouble.
func TestTroubleWithCodings(t *testing.T) {
	t.Parallel()
	body := "{\"a\":1}\n" + strings.Repeat("x", 4000)
	for _, c := range codings {
		parts := encode(c.to, body, "{\"a\":2}\n")
		got := readAll(frame.Lines, c.name, paths(t, "a"), parts[0])
		if !strings.HasPrefix(got.docs(), `{"a":1} -`) || got.trouble == "" {
			t.Errorf("%s broken off: got %s %q", c.name, got.docs(), got.trouble)
		}
		if got := readAll(frame.Lines, c.name, paths(t, "a"), "\x00\xff this is something else, and more of it\n"); len(got.frames) > 0 || got.trouble == "" {
			t.Errorf("%s of something else: got %s %q", c.name, got.docs(), got.trouble)
		}
		if got := readAll(frame.JSON, c.name, paths(t, "a")); got.trouble != "" || got.count != 0 {
			t.Errorf("%s of nothing: got %s %q", c.name, got.docs(), got.trouble)
		}
	}
	broken := readAll(frame.Lines, "gzip", paths(t, "a"), encode(codings[0].to, body)[0])
	if broken.trouble != "the gzip body broke off" {
		t.Errorf("got %q", broken.trouble)
	}
	for encoding, want := range map[string]string{
		"compress":                 "the content encoding compress is not known",
		"gzip, what-is-this":       "the content encoding what-is-this is not known",
		"br, br, br, br, br, gzip": "the body has too many content encodings",
	} {
		if got := readAll(frame.Lines, encoding, paths(t, "a"), body); got.trouble != want || got.count != 0 {
			t.Errorf("%s: got %d, %q, want %q", encoding, got.count, got.trouble, want)
		}
	}
}

// Guarantee: a stream that is ended before its body is gives its coroutine back, also if nothing was ever written.
func TestAStreamThatIsGivenUp(t *testing.T) {
	t.Parallel()
	for _, c := range codings {
		s := frame.New(frame.Events, c.name, paths(t, "a"), func(*frame.Frame) {})
		s.Write([]byte(encode(c.to, "data: {\"a\":1}\n\n")[0]))
		s.End(false)
		frame.New(frame.Events, c.name, paths(t, "a"), func(*frame.Frame) {}).End(false)
	}
}

// FuzzDecoding looks for compressed bodies that hang or panic, and for whole ones that depend on where they are cut.
func FuzzDecoding(f *testing.F) {
	for i, c := range codings {
		f.Add(uint8(i), []byte(strings.Join(encode(c.to, "{\"a\":1}\n", "{\"a\":2}\n"), "")), 9)
	}
	f.Fuzz(func(t *testing.T, coding uint8, body []byte, cut int) {
		name, p := codings[int(coding)%len(codings)].name, paths(t, "a")
		at := max(0, min(cut, len(body)))
		whole, parts := readAll(frame.Lines, name, p, string(body)), readAll(frame.Lines, name, p, string(body[:at]), string(body[at:]))
		// How much comes out of a damaged body before the damage is seen may depend on the pieces.
		if (whole.trouble == "") != (parts.trouble == "") || whole.trouble == "" && !slices.Equal(whole.frames, parts.frames) {
			t.Fatalf("%s %q: whole %s %q, cut at %d %s %q", name, body, whole.docs(), whole.trouble, at, parts.docs(), parts.trouble)
		}
	})
}
