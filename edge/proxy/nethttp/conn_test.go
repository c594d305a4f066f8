package nethttp

import (
	"bytes"
	"errors"
	"io"
	"log/slog"
	"net"
	"testing"
	"testing/iotest"

	"pgregory.net/rapid"
)

// script is a connection that yields what it was made with, in pieces, and takes everything.
type script struct {
	net.Conn
	r io.Reader
}

func (s script) Read(p []byte) (int, error) { return s.r.Read(p) }

func connOf(r io.Reader) *strictConn {
	return &strictConn{Conn: script{r: r}, log: slog.New(slog.DiscardHandler)}
}

// readAll is what a server gets of a connection, and how it ends.
func readAll(c *strictConn, size int) (got []byte, err error) {
	buf := make([]byte, size)
	for err == nil {
		var n int
		n, err = c.Read(buf)
		got = append(got, buf[:n]...)
	}
	return got, err
}

// Guarantee: what is let through is what came, in its order and up to where it was refused, however it is
// cut into reads on either side; behind the preface of HTTP/2 that is everything.
func TestConnection(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		const ok = "GET / HTTP/1.1\r\nHost: h\r\n\r\n"
		tail := rapid.SliceOfN(rapid.Byte(), 0, 100).Draw(t, "tail")
		beginning := rapid.SampledFrom([]string{
			prefaceOfHTTP2, prefaceOfHTTP2[:rapid.IntRange(0, len(prefaceOfHTTP2)-1).Draw(t, "cut")], ok, "PUT" + ok[3:], upgradeHead,
		}).Draw(t, "beginning")
		all := append([]byte(beginning), tail...)
		r := io.Reader(bytes.NewReader(all))
		switch rapid.IntRange(0, 2).Draw(t, "pieces") {
		case 0:
			r = iotest.OneByteReader(r)
		case 1:
			r = iotest.DataErrReader(r)
		}
		c := connOf(r)
		got, err := readAll(c, rapid.IntRange(1, 64).Draw(t, "size"))
		switch {
		case !bytes.HasPrefix(all, got):
			t.Fatalf("%q became %q", all, got)
		case c.h2 != bytes.HasPrefix(all, []byte(prefaceOfHTTP2)):
			t.Fatalf("%q: HTTP/2 %v", all, c.h2)
		case (c.h2 || c.opaque.Load()) && len(got) < len(all):
			t.Fatalf("of %q came only %q", all, got)
		case errors.Is(err, io.EOF) && len(got) < len(all):
			t.Fatalf("of %q came %q and a proper end", all, got)
		case beginning == upgradeHead && !c.opaque.Load():
			t.Fatal("the upgrade was not seen")
		}
	})
}

func FuzzConnection(f *testing.F) {
	f.Add([]byte(prefaceOfHTTP2+"\x00\x00\x00\x04\x00"), 1)
	f.Add([]byte("PRI * HTTP/2.0\r\n\r\nGET"), 14)
	f.Add([]byte(upgradeHead+"\x81\x05\n"), 4096)
	f.Add([]byte("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1\na"), 3)
	f.Fuzz(func(t *testing.T, data []byte, size int) {
		whole := connOf(bytes.NewReader(data))
		bits := connOf(iotest.OneByteReader(bytes.NewReader(data)))
		a, errA := readAll(whole, 4096)
		b, errB := readAll(bits, min(max(size, 1), 4096))
		if !bytes.Equal(a, b) || !errors.Is(errA, errB) || whole.h2 != bits.h2 || whole.opaque.Load() != bits.opaque.Load() {
			t.Fatalf("%q: %q, %v at once, and %q, %v in pieces", data, a, errA, b, errB)
		}
	})
}
