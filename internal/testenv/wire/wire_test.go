package wire_test

import (
	"bufio"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"

	"tollgate/internal/testenv/wire"
)

// Guarantee: the two readers agree on what is beyond doubt, and part where a request is ambiguous; were
// they the same, a comparison of them would find nothing.
func TestReaders(t *testing.T) {
	t.Parallel()
	const head = "POST /a HTTP/1.1\r\nHost: h\r\n"
	for name, tc := range map[string]struct {
		data            string
		strict, lenient string // bodies, each in brackets; "!" at the end for an error
	}{
		"nothing":           {"", "", ""},
		"without a body":    {head + "\r\n", "[]", "[]"},
		"a length":          {head + "Content-Length: 3\r\n\r\nabc", "[abc]", "[abc]"},
		"two requests":      {head + "Content-Length: 1\r\n\r\na\r\n" + head + "\r\n", "[a][]", "[a][]"},
		"chunks":            {head + "Transfer-Encoding: chunked\r\n\r\n2;x=y\r\nab\r\n1\r\nc\r\n0\r\nT: v\r\n\r\n" + head + "\r\n", "[abc][]", "[abc][]"},
		"equal lengths":     {head + "Content-Length: 1\r\nContent-Length: 1\r\n\r\na", "[a]", "[a]"},
		"different lengths": {head + "Content-Length: 1\r\nContent-Length: 2\r\n\r\nab", "!", "[ab]"},
		"length and chunks": {head + "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "!", "[]"},
		"chunks in 1.0":     {strings.Replace(head, "1.1", "1.0", 1) + "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "!", "[]"},
		"a space":           {head + "Content-Length : 1\r\n\r\na", "!", "[a]"},
		"a folded line":     {head + "X: a\r\n b\r\n\r\n", "!", "[]"},
		"LF":                {"GET / HTTP/1.1\nHost: h\n\n", "!", "[]"},
		"LF in a chunk":     {head + "Transfer-Encoding: chunked\r\n\r\n1\na\r\n0\r\n\r\n", "!", "[a]"},
		"a signed length":   {head + "Content-Length: +1\r\n\r\na", "!", "[a]"},
		"a long chunk":      {head + "Transfer-Encoding: chunked\r\n\r\n1\r\nabc\r\n0\r\n\r\n", "!", "[a]"},
		"a CR":              {head + "X: a\rb\r\n\r\n", "!", "[]"},
		"NUL":               {head + "X: a\x00\r\n\r\n", "!", "[]"},
		"another version":   {"GET / HTTP/2.0\r\n\r\n", "!", "[]"},
		"half a head":       {head, "!", "!"},
		"half a body":       {head + "Content-Length: 3\r\n\r\nab", "!", "!"},
		"half a chunk":      {head + "Transfer-Encoding: chunked\r\n\r\n3\r\nab", "!", "!"},
		"no size":           {head + "Transfer-Encoding: chunked\r\n\r\nx\r\n", "!", "!"},
		"half a line":       {"GET / HT", "!", "!"},
		"a word":            {"GET\r\n\r\n", "!", "!"},
		"no length":         {head + "Content-Length: x\r\n\r\n", "!", "!"},
	} {
		if got := bodies(wire.Strict, tc.data); got != tc.strict {
			t.Errorf("%s: the strict reader sees %s, not %s", name, got, tc.strict)
		}
		if got := bodies(wire.Lenient, tc.data); got != tc.lenient {
			t.Errorf("%s: the lenient reader sees %s, not %s", name, got, tc.lenient)
		}
	}
}

func bodies(read wire.Reader, data string) string {
	var out strings.Builder
	all, err := wire.All(read, data)
	for _, r := range all {
		out.WriteString("[" + r.Body + "]")
	}
	if err != nil {
		out.WriteString("!")
	}
	return out.String()
}

// FuzzReaders: what the strict reader takes, the lenient one and net/http read alike.
func FuzzReaders(f *testing.F) {
	f.Add("POST /a HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n2;x=y\r\nab\r\n0\r\nT: v\r\n\r\nGET / HTTP/1.0\r\n\r\n")
	f.Add("\r\nPUT http://h/ HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\nab")
	f.Fuzz(func(t *testing.T, data string) {
		one, rest, err := wire.Strict(data)
		if err != nil {
			return
		}
		two, restTwo, err := wire.Lenient(data)
		if err != nil || !one.Same(&two) || rest != restTwo {
			t.Errorf("%q is %q %q, and to the lenient reader %q %q %v", data, one, rest, two, restTwo, err)
		}
		for strings.HasPrefix(data, "\r\n") {
			data = data[2:] // net/http's server skips none, its parser neither
		}
		r, err := http.ReadRequest(bufio.NewReader(strings.NewReader(data)))
		if err != nil {
			return // it judges targets and hosts as well
		}
		defer r.Body.Close()
		body, err := io.ReadAll(r.Body)
		if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) {
			return // and the size of trailers
		}
		if r.Method != one.Method || r.RequestURI != one.Target || string(body) != one.Body {
			t.Errorf("%q is %q, and to net/http %q %q %q %v", data, one, r.Method, r.RequestURI, body, err)
		}
	})
}
