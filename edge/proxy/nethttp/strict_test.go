package nethttp

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// Guarantee: requests whose lines end as they should pass whatever their framing is, however they are
// cut into reads; a head that can be read in two ways stops them.
func TestFraming(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		var stream bytes.Buffer
		body := rapid.StringMatching(`[a-z\n\r:]{0,40}`)
		for range rapid.IntRange(1, 4).Draw(t, "requests") {
			fmt.Fprintf(&stream, "POST /%s HTTP/1.1\r\nHost: h\r\n", strings.Repeat("a", rapid.IntRange(0, 200).Draw(t, "path")))
			switch rapid.IntRange(0, 2).Draw(t, "framing") {
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
			}
			stream.WriteString(rapid.SampledFrom([]string{"", "\r\n"}).Draw(t, "between"))
		}
		good := stream.Len()
		bad := rapid.Bool().Draw(t, "bad")
		if bad {
			broken := rapid.SampledFrom([][2]string{
				{"GET / HTTP/1.1\r\nHost: h", "\n\r\n"},
				{"GET / HTTP/1.1\r\nX: a\r\n b\r", "\n\r\n"},
				{"GET / HTTP/1.1\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r", "\n0\r\n\r\n"},
				{"GET /" + strings.Repeat("a", 200) + " HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r", "\n0\r\n\r\n"},
				{"GET / HTTP/1.1\r\nContent-Length: " + strings.Repeat(" ", 200) + "3\r", "\n\r\nabc"},
				{"GET / HTTP/1.1\r\n" + strings.Repeat("a:\r\n", 20) + "a:\r", "\n\r\n"},
			}).Draw(t, "broken")
			stream.WriteString(broken[0] + broken[1])
			good += len(broken[0])
		}
		f := framing{limits: limits{lines: 20}}
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
