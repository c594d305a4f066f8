package frame_test

import (
	"strings"
	"testing"

	"tollgate/internal/meter/frame"
)

// Guarantee: a body is read without its encodings, also with several, or as much of it as may be read and is there.
func TestPlain(t *testing.T) {
	t.Parallel()
	text := strings.Repeat(`{"model":"m"}`, 1000)
	for _, c := range codings {
		packed := strings.Join(encode(c.to, text), "")
		if plain, whole := frame.Plain([]byte(packed), " "+c.name, 1<<20, anyRoom); string(plain) != text || !whole {
			t.Errorf("%s: %d bytes, %v", c.name, len(plain), whole)
		}
		if plain, whole := frame.Plain([]byte(packed), c.name, 5000, anyRoom); whole || len(plain) > 5000 || !strings.HasPrefix(text, string(plain)) {
			t.Errorf("%s, bounded: %d bytes, %v", c.name, len(plain), whole)
		}
		if plain, whole := frame.Plain([]byte(packed[:len(packed)-1]), c.name, 1<<20, anyRoom); whole || !strings.HasPrefix(text, string(plain)) {
			t.Errorf("%s, cut: %d bytes, %v", c.name, len(plain), whole)
		}
		twice := strings.Join(encode(codings[0].to, packed), "")
		if plain, whole := frame.Plain([]byte(twice), c.name+", identity,gzip", 1<<20, anyRoom); string(plain) != text || !whole {
			t.Errorf("%s, gzip: %d bytes, %v", c.name, len(plain), whole)
		}
	}
	for _, unknown := range []string{"gzip, aes128gcm", "aes128gcm"} {
		if plain, whole := frame.Plain([]byte(text), unknown, 1<<20, anyRoom); plain != nil || whole {
			t.Errorf("%s: %q", unknown, plain)
		}
	}
	if plain, whole := frame.Plain([]byte(text), "gzip", 1<<20, anyRoom); len(plain) > 0 || whole {
		t.Errorf("it is not gzip: %q", plain)
	}
	if _, whole := frame.Plain(nil, "br", 1<<20, anyRoom); !whole {
		t.Error("an empty body is not whole")
	}
}

// Guarantee: whatever a body is said to be, reading it ends, within bounds.
func FuzzPlain(f *testing.F) {
	for _, encoding := range []string{"gzip", "deflate", "br", "zstd", "zstd, br"} {
		f.Add([]byte("\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff"), encoding)
		f.Add([]byte("\x28\xb5\x2f\xfd\x24\x00\x01\x00\x00\x99\xe9\xd8\x51"), encoding)
		f.Add([]byte("x\x9c\x03\x00\x00\x00\x00\x01"), encoding)
	}
	f.Fuzz(func(t *testing.T, body []byte, encoding string) {
		if plain, _ := frame.Plain(body, encoding, 4096, anyRoom); len(plain) > 4096 {
			t.Errorf("%d bytes", len(plain))
		}
	})
}

func anyRoom(int64) bool { return true }

// Guarantee: what there is no room for is not read.
func TestPlainWithoutRoom(t *testing.T) {
	t.Parallel()
	var asked int64
	packed := strings.Join(encode(codings[0].to, strings.Repeat("x", 1<<20)), "")
	plain, whole := frame.Plain([]byte(packed), "gzip", 1<<20, func(n int64) bool { asked = n; return n <= 100_000 })
	if whole || len(plain) == 0 || len(plain) > 100_000 || asked <= 100_000 {
		t.Errorf("%d bytes, %v, asked for %d", len(plain), whole, asked)
	}
}
