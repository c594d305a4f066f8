package proxy

import (
	"io"
	"slices"
	"strings"
	"testing"
	"time"
)

// inner is what an attacker wants a target to take for a request.
const inner = "GET /base/smuggled HTTP/1.1\r\nHost: h\r\n\r\n"

// Guarantee (72): whatever a caller sends, a target gets whole requests with one framing each, and only
// those that the gateway has taken for requests.
func TestSmuggling(t *testing.T) {
	t.Parallel()
	const head = "POST /x HTTP/1.1\r\nHost: g\r\n{A}\r\n"
	long := strings.Repeat(" ", 200)
	for name, tc := range map[string]struct {
		send string
		want []string // request lines that the target may get
		code int      // of the first answer; 0 for none
	}{
		"length and chunks":           {head + "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + inner, nil, 400},
		"chunks and length":           {head + "Transfer-Encoding: chunked\r\nContent-Length: 60\r\n\r\n0\r\n\r\n" + inner, nil, 400},
		"chunks in HTTP/1.0":          {strings.Replace(head, "1.1", "1.0", 1) + "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + inner, nil, 400},
		"chunks in HTTP/1.0, long":    {strings.Replace(head, "/x HTTP/1.1", "/x?"+strings.Repeat("a", 300)+" HTTP/1.0", 1) + "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + inner, nil, 400},
		"two encodings":               {head + "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n" + inner, nil, 501},
		"two encoding lines":          {head + "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n" + inner, nil, 501},
		"an unknown encoding":         {head + "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n" + inner, nil, 501},
		"a vertical tab":              {head + "Transfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n" + inner, nil, 400},
		"a folded encoding":           {head + "Transfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n" + inner, nil, 400},
		"a folded length":             {head + "Content-Length:\r\n\t60\r\n\r\n" + inner, nil, 400},
		"a folded header":             {head + "X: a\r\n Transfer-Encoding: chunked\r\n\r\n" + inner, nil, 400},
		"a length far away":           {head + "Content-Length:" + long + "5\r\n\r\n" + inner, nil, 400},
		"two lengths":                 {head + "Content-Length: 0\r\nContent-Length: 60\r\n\r\n" + inner, nil, 400},
		"a negative length":           {head + "Content-Length: -1\r\n\r\n" + inner, nil, 400},
		"a length with a sign":        {head + "Content-Length: +60\r\n\r\n" + inner, nil, 400},
		"a hexadecimal length":        {head + "Content-Length: 0x3c\r\n\r\n" + inner, nil, 400},
		"an empty length":             {head + "Content-Length: \r\n\r\n" + inner, nil, 400},
		"a length that is too large":  {head + "Content-Length: 99999999999999999999\r\n\r\n" + inner, nil, 400},
		"a space before a colon":      {head + "Content-Length : 60\r\n\r\n" + inner, nil, 400},
		"a space before a name":       {"POST /x HTTP/1.1\r\n Content-Length: 60\r\nHost: g\r\n{A}\r\n\r\n" + inner, nil, 400},
		"a line without a colon":      {head + "Content-Length\r\n\r\n" + inner, nil, 400},
		"NUL in a value":              {head + "X: a\x00b\r\n\r\n" + inner, nil, 400},
		"CR in a value":               {head + "X: a\rTransfer-Encoding: chunked\r\n\r\n" + inner, nil, 400},
		"CR in the request line":      {"GET /x\rHTTP/1.1 HTTP/1.1\r\nHost: g\r\n{A}\r\n\r\n", nil, 400},
		"LF ends a line":              {head + "X: a\nContent-Length: 60\r\n\r\n" + inner, nil, 400},
		"LF ends the head":            {head + "\n" + inner, nil, 400},
		"two hosts":                   {"GET /x HTTP/1.1\r\nHost: a\r\nHost: b\r\n{A}\r\n\r\n", nil, 400},
		"no host":                     {"GET /x HTTP/1.1\r\n{A}\r\n\r\n", nil, 400},
		"HTTP/0.9":                    {"GET /x\r\n\r\n", nil, 400},
		"HTTP/1.10":                   {"GET /x HTTP/1.10\r\nHost: g\r\n{A}\r\n\r\n", nil, 400},
		"a request line of two":       {"GET /x HTTP/1.1 HTTP/1.1\r\nHost: g\r\n{A}\r\n\r\n", nil, 400},
		"a chunk of a negative size":  {head + "Transfer-Encoding: chunked\r\n\r\n-1\r\n" + inner, []string{"POST /base HTTP/1.1"}, 400},
		"a chunk with a long size":    {head + "Transfer-Encoding: chunked\r\n\r\n" + strings.Repeat("0", 5000) + "1\r\na\r\n0\r\n\r\n", []string{"POST /base HTTP/1.1"}, 400},
		"a chunk of 2^64":             {head + "Transfer-Encoding: chunked\r\n\r\n10000000000000000\r\n" + inner, []string{"POST /base HTTP/1.1"}, 400},
		"a chunk that is too short":   {head + "Transfer-Encoding: chunked\r\n\r\n5\r\nabc\r\n0\r\n\r\n" + inner, []string{"POST /base HTTP/1.1"}, 400},
		"LF in a chunk size":          {head + "Transfer-Encoding: chunked\r\n\r\n3\nabc\r\n0\r\n\r\n" + inner, []string{"POST /base HTTP/1.1"}, 400},
		"CR in a chunk extension":     {head + "Transfer-Encoding: chunked\r\n\r\n3;a=\rb\r\nabc\r\n0\r\n\r\n", []string{"POST /base HTTP/1.1"}, 400},
		"a chunk extension":           {head + "Transfer-Encoding: chunked\r\n\r\n3;a=\"b\"\r\nabc\r\n0\r\n\r\n", []string{"POST /base HTTP/1.1"}, 200},
		"a trailer that frames":       {head + "Transfer-Encoding: chunked\r\n\r\n0\r\nContent-Length: 60\r\n\r\n", []string{"POST /base HTTP/1.1"}, 200},
		"a request in a body":         {head + "Content-Length: 40\r\n\r\n" + inner, []string{"POST /base HTTP/1.1"}, 200},
		"a request in a GET's body":   {"GET /x HTTP/1.1\r\nHost: g\r\n{A}\r\nContent-Length: 40\r\n\r\n" + inner, []string{"GET /base HTTP/1.1"}, 200},
		"two encodings of one name":   {head + "Transfer-Encoding: CHUNKED\r\n\r\n0\r\n\r\n", []string{"POST /base HTTP/1.1"}, 200},
		"equal lengths":               {head + "Content-Length: 2\r\nContent-Length: 2\r\n\r\nab", []string{"POST /base HTTP/1.1"}, 200},
		"encoded line ends":           {strings.Replace(head, "/x", "/x/%0d%0a%0d%0aGET%20/smuggled", 1) + "Content-Length: 0\r\n\r\n", []string{"POST /base/%0d%0a%0d%0aGET%20/smuggled HTTP/1.1"}, 200},
		"pipelined":                   {get1("/x/1") + post("/x/2", "ab") + get1("/x/3"), []string{"GET /base/1 HTTP/1.1", "POST /base/2 HTTP/1.1", "GET /base/3 HTTP/1.1"}, 200},
		"the absolute form":           {"GET http://user:" + testKey + "@h/x HTTP/1.1\r\nHost: g\r\n{A}\r\n\r\n", []string{"GET /base HTTP/1.1"}, 200},
		"the credential's connection": {"GET /x HTTP/1.1\r\nHost: g\r\n{A}\r\nConnection: close, Authorization, Content-Length\r\n\r\n", []string{"GET /base HTTP/1.1"}, 200},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			raw := make(chan string, 10)
			got := make(chan message, 10)
			b.vendor.play(func(c *conn) {
				var all strings.Builder
				c.r.Reset(io.TeeReader(c.Conn, &all))
				defer func() { raw <- all.String() }()
				for {
					m, err := readHead(c.r)
					if err != nil {
						return
					}
					if m.readBody(c.r, false); m.err != nil {
						return
					}
					got <- m
					c.send("%s", okReply)
				}
			})
			c := b.dial()
			c.send("%s", auth(tc.send))
			closeWrite(c)
			first := c.answer("POST")
			if first.status() != tc.code {
				t.Errorf("got %q %q, want %d", first.first, first.body, tc.code)
			}
			_ = c.SetReadDeadline(time.Now().Add(patience))
			_, _ = io.Copy(io.Discard, c.r) // all answers, and the end
			b.vendor.stop()
			close(got)
			close(raw)
			var lines []string
			for m := range got {
				lines = append(lines, m.first)
				if len(all(m.headers, "Content-Length"))+len(all(m.headers, "Transfer-Encoding")) > 1 {
					t.Errorf("two framings: %q", m.headers)
				}
			}
			// Of a body that is malformed the target may have got the beginning.
			if tc.code == 200 && !slices.Equal(lines, tc.want) || tc.code != 200 && len(lines) > 0 {
				t.Errorf("the target got %q, want %q", lines, tc.want)
			}
			for text := range raw {
				if tc.want == nil && text != "" {
					t.Errorf("the target got %q", text)
				}
				if strings.Contains(text, testKey) {
					t.Errorf("the key reached the target: %q", text)
				}
			}
		})
	}
}

// closeWrite says that nothing more will come. The other side may have closed the connection before.
func closeWrite(c *conn) {
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		_ = half.CloseWrite()
	}
}

// Guarantee: a head that does not end in time, or at all, costs a connection and nothing else.
func TestSlowHead(t *testing.T) {
	t.Parallel()
	b := newBench(t, func(o *options) {
		o.server.HeaderTimeout = 100 * time.Millisecond
		o.server.IdleTimeout = 100 * time.Millisecond
	})
	for name, send := range map[string]string{
		"half a line":   "GET /x HT",
		"half a head":   "GET /x HTTP/1.1\r\nHost: g\r\n",
		"nothing":       "",
		"after another": auth(get1("/free")),
	} {
		c := b.dial()
		c.send("%s", send)
		if name == "after another" {
			c.answer("GET")
		}
		_ = c.SetReadDeadline(time.Now().Add(patience))
		if _, err := io.ReadAll(c.r); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}
