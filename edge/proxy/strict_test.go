package proxy

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// Guarantee: requests whose lines end as they should pass whatever their framing is, however they are
// cut into reads; with one line of a head that does not, they stop before it.
func TestFraming(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		var stream bytes.Buffer
		body := rapid.StringMatching(`[a-z\n\r:]{0,40}`)
		for range rapid.IntRange(1, 4).Draw(t, "requests") {
			fmt.Fprintf(&stream, "POST /%s HTTP/1.1\r\nHost: h\r\n", strings.Repeat("a", rapid.IntRange(0, 200).Draw(t, "path")))
			switch rapid.IntRange(0, 3).Draw(t, "framing") {
			case 0:
				stream.WriteString("\r\n")
			case 1:
				b := body.Draw(t, "body")
				fmt.Fprintf(&stream, "content-LENGTH:  %d \r\nX: 1\r\n\r\n%s", len(b), b)
			case 2:
				stream.WriteString("Transfer-Encoding: chunked\r\n\r\n")
				for range rapid.IntRange(0, 3).Draw(t, "chunks") {
					if b := body.Draw(t, "chunk"); b != "" {
						fmt.Fprintf(&stream, "%X;x=y\r\n%s\r\n", len(b), b)
					}
				}
				stream.WriteString("0\r\nTrailer: x\r\n\r\n")
			case 3:
				b := body.Draw(t, "body")
				// Both: the chunks count.
				fmt.Fprintf(&stream, "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n", max(len(b), 1), b+strings.Repeat("x", 1-min(len(b), 1)))
			}
			stream.WriteString(rapid.SampledFrom([]string{"", "\r\n"}).Draw(t, "between"))
		}
		good := stream.Len()
		bad := rapid.Bool().Draw(t, "bad")
		if bad {
			stream.WriteString("GET / HTTP/1.1\r\nHost: h\n\r\n")
			good += len("GET / HTTP/1.1\r\nHost: h")
		}
		var f framing
		rest, passed := stream.Bytes(), 0
		for len(rest) > 0 {
			n := rapid.IntRange(1, len(rest)).Draw(t, "read")
			ok := f.follow(rest[:n])
			passed += ok
			if ok < n {
				break
			}
			rest = rest[n:]
		}
		if passed != good {
			t.Fatalf("%d of %d bytes passed, want %d: %q", passed, stream.Len(), good, stream.Bytes())
		}
	})
}

func FuzzFraming(f *testing.F) {
	f.Add([]byte("GET / HTTP/1.1\r\n\r\nPOST / HTTP/1.0\r\nContent-Length: 99999999999999999999\r\n\r\n"))
	f.Add([]byte("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		var whole, byByte framing
		want := whole.follow(data)
		for i := range want {
			if byByte.follow(data[i:i+1]) != 1 {
				t.Fatalf("byte %d was refused alone and not among others", i)
			}
		}
		if want < len(data) && byByte.follow(data[want:want+1]) != 0 {
			t.Fatalf("byte %d was refused among others and not alone", want)
		}
		if len(whole.line) > kept {
			t.Fatalf("%d bytes of a line are kept", len(whole.line))
		}
	})
}
