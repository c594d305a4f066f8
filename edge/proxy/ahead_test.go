package proxy

import (
	"bytes"
	"compress/zlib"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/flate"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
	"pgregory.net/rapid"
)

// Guarantee: however a body comes, what was read of it ahead is its beginning, it is whole exactly if all of it was read, and
// the attempt gets every byte of it.
func TestReadAhead(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		text := strings.Repeat(rapid.StringN(0, 20, -1).Draw(t, "text"), rapid.IntRange(1, 8000).Draw(t, "times"))
		most := rapid.Int64Range(1, 100_000).Draw(t, "most")
		length := int64(-1)
		if rapid.Bool().Draw(t, "told") {
			length = int64(len(text))
		}
		var from io.Reader = strings.NewReader(text)
		if rapid.Bool().Draw(t, "in pieces") {
			from = iotest.HalfReader(from)
		}
		if rapid.Bool().Draw(t, "ends with its last piece") {
			from = iotest.DataErrReader(from)
		}
		shared := &room{}
		if rapid.Bool().Draw(t, "little room") {
			shared.used.Store(mostKept - rapid.Int64Range(0, 70_000).Draw(t, "room"))
		}
		before := shared.used.Load()
		k := &kept{from: &limited{Body: sentBody{from}}, most: most, ctx: t.Context(), room: shared}
		whole, err := k.ahead(most, length, false)
		if err != nil || !strings.HasPrefix(text, string(k.data)) || whole && len(k.data) != len(text) || int64(len(k.data)) > most {
			t.Fatalf("read %d bytes of %d, %v, %v", len(k.data), len(text), whole, err)
		}
		if !whole && int64(len(text)) < most && before == 0 {
			t.Fatalf("%d bytes are not whole with %d allowed", len(text), most)
		}
		got, err := io.ReadAll(k.view())
		if string(got) != text || err != nil {
			t.Fatalf("the attempt gets %d bytes of %d, %v", len(got), len(text), err)
		}
		if k.release(); shared.used.Load() != before {
			t.Fatalf("%d bytes of room are lost", shared.used.Load()-before)
		}
	})
}

// Guarantee: a body that breaks off, or is over the limit, is an error and nothing of it leaves.
func TestReadAheadBreaksOff(t *testing.T) {
	t.Parallel()
	k := &kept{from: &limited{Body: sentBody{io.MultiReader(strings.NewReader("abc"), iotest.ErrReader(io.ErrUnexpectedEOF))}}, most: 100, ctx: t.Context(), room: &room{}}
	if _, err := k.ahead(100, 10, false); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("broken off: %v", err)
	}
	k = &kept{from: &limited{Body: sentBody{strings.NewReader("abcdef")}, limit: 5, left: 5}, most: 100, ctx: t.Context(), room: &room{}}
	if _, err := k.ahead(100, -1, false); !errors.Is(err, errTooLarge) || !k.from.over() {
		t.Errorf("over the limit: %v", err)
	}
}

// Guarantee: what a meter sees of an encoded body is the body, as far as it is not too long; one that cannot be read it does
// not see.
func TestDecodedBody(t *testing.T) {
	t.Parallel()
	text := strings.Repeat(`{"model":"m"}`, 1000)
	for name, writer := range map[string]func(io.Writer) io.WriteCloser{
		"gzip":    func(w io.Writer) io.WriteCloser { return gzip.NewWriter(w) },
		"deflate": func(w io.Writer) io.WriteCloser { return zlib.NewWriter(w) },
		" Deflate": func(w io.Writer) io.WriteCloser {
			f, _ := flate.NewWriter(w, 5)
			return f
		},
		"BR": func(w io.Writer) io.WriteCloser { return brotli.NewWriter(w) },
		"zstd": func(w io.Writer) io.WriteCloser {
			z, _ := zstd.NewWriter(w)
			return z
		},
	} {
		var packed bytes.Buffer
		w := writer(&packed)
		if _, err := io.WriteString(w, text); err != nil || w.Close() != nil {
			t.Fatal(name, err)
		}
		if plain, whole := decoded(packed.Bytes(), name, 1<<20, anyRoom); string(plain) != text || !whole {
			t.Errorf("%s: %d bytes, %v", name, len(plain), whole)
		}
		if plain, whole := decoded(packed.Bytes(), name, 5000, anyRoom); whole || len(plain) > 5000 || !strings.HasPrefix(text, string(plain)) {
			t.Errorf("%s, bounded: %d bytes, %v", name, len(plain), whole)
		}
		if plain, whole := decoded(packed.Bytes()[:packed.Len()-1], name, 1<<20, anyRoom); whole || !strings.HasPrefix(text, string(plain)) {
			t.Errorf("%s, cut: %d bytes, %v", name, len(plain), whole)
		}
	}
	for _, unknown := range []string{"gzip, br", "aes128gcm"} {
		if plain, whole := decoded([]byte(text), unknown, 1<<20, anyRoom); plain != nil || whole {
			t.Errorf("%s: %q", unknown, plain)
		}
	}
	if plain, _ := decoded([]byte(text), "gzip", 1<<20, anyRoom); len(plain) > 0 {
		t.Errorf("it is not gzip: %q", plain)
	}
}

func anyRoom(int64) bool { return true }

// Guarantee: whatever a body is said to be, reading it ends, within bounds.
func FuzzDecoded(f *testing.F) {
	for _, encoding := range []string{"gzip", "deflate", "br", "zstd"} {
		f.Add([]byte("\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff"), encoding)
		f.Add([]byte("\x28\xb5\x2f\xfd\x24\x00\x01\x00\x00\x99\xe9\xd8\x51"), encoding)
		f.Add([]byte("x\x9c\x03\x00\x00\x00\x00\x01"), encoding)
	}
	f.Fuzz(func(t *testing.T, body []byte, encoding string) {
		if plain, _ := decoded(body, encoding, 4096, anyRoom); len(plain) > 4096 {
			t.Errorf("%d bytes", len(plain))
		}
	})
}

// Guarantee: a request whose body cannot be read before it is sent is refused before anything is held or recorded; one that waits to
// be asked for its body is.
func TestBodyOfMeteredRequest(t *testing.T) {
	t.Parallel()
	b := newBench(t, func(o *options) {
		e := metered(t, chat, "HOLD", boundHold)
		e.Id, e.Name, e.Path, e.Targets, e.MaxBodyBytes = "ep_chat", "m", "/meters", o.endpoints[0].GetTargets(), 100
		o.endpoints = append(o.endpoints, e)
	})
	for name, tc := range map[string]struct {
		request string
		status  int
		code    string
	}{
		"too long":      {"POST /meters/chat HTTP/1.1\r\nHost: gw\r\nAuthorization: Bearer " + testKey + "\r\nTransfer-Encoding: chunked\r\n\r\n65\r\n" + strings.Repeat("x", 101) + "\r\n0\r\n\r\n", 413, "body_too_large"},
		"no chunk":      {"POST /meters/chat HTTP/1.1\r\nHost: gw\r\nAuthorization: Bearer " + testKey + "\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", 400, "body_invalid"},
		"not a meter's": {"POST /meters/other HTTP/1.1\r\nHost: gw\r\nAuthorization: Bearer " + testKey + "\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n", 403, "not_priced"},
	} {
		c := b.dial()
		c.send("%s", tc.request)
		if m := c.answer("POST"); m.status() != tc.status || !strings.Contains(m.body, tc.code) {
			t.Errorf("%s: %s %s", name, m.first, m.body)
		}
	}
	if len(b.spool.order) != 0 {
		t.Errorf("%d intents", len(b.spool.order))
	}
	b.vendor.answer(reply("200 OK", "ok"))
	c := b.dial()
	c.send("%s", "POST /meters/chat HTTP/1.1\r\nHost: gw\r\nAuthorization: Bearer "+testKey+"\r\nContent-Length: 35\r\nExpect: 100-continue\r\n\r\n")
	if m := c.answer("POST"); m.status() != 100 {
		t.Fatalf("got %s", m.first)
	}
	c.send("%s", `{"model":"gpt-4o","max_tokens":1  }`)
	if m := c.answer("POST"); m.status() != 200 || m.body != "ok" {
		t.Errorf("got %s %s", m.first, m.body)
	}
	if end := b.settled(); !end.Unpriced || end.Cost != fallback {
		t.Errorf("settled %+v", end)
	}
}
