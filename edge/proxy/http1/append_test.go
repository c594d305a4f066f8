package http1

import (
	"bufio"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strconv"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"tollgate/edge/proxy"
)

var (
	names   = rapid.StringMatching("[A-Za-z][!#-'*+.^_`|~0-9A-Za-z-]{0,20}").Filter(func(s string) bool { return !framing[strings.ToLower(s)] })
	values  = rapid.StringMatching(`([!-~\x{80}-\x{ff}]([\t -~]{0,30}[!-~])?)?`)
	headers = rapid.SliceOfN(rapid.Custom(func(t *rapid.T) proxy.Header {
		return proxy.Header{Name: names.Draw(t, "name"), Value: values.Draw(t, "value")}
	}), 0, 40)
	framing = map[string]bool{
		"host": true, "content-length": true, "transfer-encoding": true, "upgrade": true, "expect": true, "http2-settings": true,
		"connection": true, "trailer": true,
	}
)

// Guarantee: A request that is written is read as the same one.
func TestWhatIsWrittenIsReadAgain(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		want := Request{
			Method:  rapid.SampledFrom(methods).Draw(t, "method"),
			Target:  rapid.StringMatching(`/([!$&-.0->@-~]|%[0-9A-F]{2}){0,20}(\?[!$-~]{0,20})?`).Draw(t, "target"),
			Host:    rapid.StringMatching(`[a-z0-9_-]{1,9}([.][a-z0-9_-]{1,9}){0,2}(:[0-9]{1,5})?`).Draw(t, "host"),
			Headers: headers.Draw(t, "headers"),
		}
		if !ValidRequest(want.Method, want.Target, want.Host) {
			t.Fatal("not to be written")
		}
		buf := AppendRequest(nil, want.Method, want.Target, want.Host)
		for _, h := range want.Headers {
			if !ValidHeader(h.Name, h.Value) {
				t.Fatalf("%q is not to be written", h)
			}
			buf = AppendHeader(buf, h.Name, h.Value)
		}
		buf = append(buf, "\r\n"...)
		var got Request
		if n, v := got.Parse(append(buf, "rest"...), Limits{}); v != Plain || n != len(buf) {
			t.Fatalf("%q: verdict %d, %d bytes", buf, v, n)
		}
		if len(got.Headers) == 0 && len(want.Headers) == 0 {
			got.Headers, want.Headers = nil, nil
		}
		if !reflect.DeepEqual(got, want) {
			t.Fatalf("got %+v\nwant %+v", got, want)
		}
	})
}

// Guarantee: An answer that is written in chunks is read as the same one.
func TestAnswersAreReadAgain(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		status := rapid.IntRange(200, 999).Filter(func(n int) bool { return n != 204 && n != 304 }).Draw(t, "status")
		want, trailers := headers.Draw(t, "headers"), headers.Draw(t, "trailers")
		buf := AppendStatus(nil, status)
		for _, h := range want {
			buf = AppendHeader(buf, h.Name, h.Value)
		}
		buf = AppendHeader(buf, "Transfer-Encoding", "chunked")
		buf = append(buf, "\r\n"...)
		head := len(buf)
		body := ""
		for _, piece := range rapid.SliceOfN(rapid.StringN(0, 300, -1), 0, 8).Draw(t, "pieces") {
			body += piece
			if buf = AppendChunk(buf, len(piece)); piece != "" {
				buf = append(append(buf, piece...), "\r\n"...)
			}
		}
		buf = AppendEnd(buf, trailers)
		var got Response
		n, v := got.Parse(buf, "GET", Limits{})
		if v != Plain || n != head || got.Status != status || !got.Chunked || !same(got.Headers, want) {
			t.Fatalf("%q: verdict %d, %d bytes, %+v", buf[:head], v, n, got)
		}
		size := 0
		for _, h := range trailers {
			size += len(h.Name) + len(h.Value) + len(": \r\n")
		}
		var c Chunks
		data, used, err := unchunk(&c, buf[n:], rapid.IntRange(0, len(buf)-n).Draw(t, "cut"))
		if size+len("\r\n") > longestTrailers {
			if !errors.Is(err, ErrChunk) {
				t.Fatalf("trailers of %d bytes: %v", size, err)
			}
			return
		}
		if !errors.Is(err, io.EOF) || string(data) != body || n+used != len(buf) || !same(c.Trailers(), trailers) {
			t.Fatalf("%q: %q, %v, %+v", buf[n:], data, err, c.Trailers())
		}
	})
}

func same(a, b []proxy.Header) bool { return len(a) == 0 && len(b) == 0 || reflect.DeepEqual(a, b) }

// Guarantee: Whatever is given as a header, what is written is that one header and nothing else, or nothing; and ValidHeader says which
// are written as they are.
func TestNoHeaderBecomesTwo(t *testing.T) {
	t.Parallel()
	wild := rapid.Map(rapid.SliceOfN(rapid.OneOf(rapid.Byte(), rapid.SampledFrom([]byte("\r\n\x00: aX"))), 0, 30), func(b []byte) string { return string(b) })
	rapid.Check(t, func(t *rapid.T) {
		name, value := rapid.OneOf(wild, names).Draw(t, "name"), wild.Draw(t, "value")
		out := AppendHeader(nil, name, value)
		if valid := ValidHeader(name, value); valid != (string(out) == name+": "+value+"\r\n") {
			t.Fatalf("%q: %q became %q, and valid is %t", name, value, out, valid)
		}
		if len(out) == 0 {
			return
		}
		l, next, _, v := header(out, 0)
		if v != Plain || next != len(out) || string(out[l.name:l.colon]) != name {
			t.Fatalf("%q: %q became %q", name, value, out)
		}
	})
}

// Guarantee: What cannot be in a value becomes a space, as it does where net/http writes headers, and a name that is none takes its
// header along.
func TestHeadersThatAreNone(t *testing.T) {
	t.Parallel()
	for h, want := range map[proxy.Header]string{
		{Name: "A", Value: "b\tc \xff"}:         "A: b\tc \xff\r\n",
		{Name: "A", Value: "b\r\nX: c\x00\x7f"}: "A: b  X: c  \r\n",
		{Name: "A"}:                             "A: \r\n",
		{Name: "A: b\r\nX", Value: "c"}:         "",
		{Name: "A ", Value: "c"}:                "",
		{Name: "", Value: "c"}:                  "",
	} {
		if got := string(AppendHeader(nil, h.Name, h.Value)); got != want {
			t.Errorf("%q: %q", h, got)
		}
	}
}

// Guarantee: Whatever is given as a request, what is written is one first line and one Host.
func TestNoRequestBecomesTwo(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		method, target, host string
		valid                bool
		want                 string
	}{
		{"GET", "/a?b", "a:80", true, "GET /a?b HTTP/1.1\r\nHost: a:80\r\n"},
		{"BREW", "*", "[::1]", true, "BREW * HTTP/1.1\r\nHost: [::1]\r\n"},
		{"GET", "/\xff", "a", true, "GET /\xff HTTP/1.1\r\nHost: a\r\n"},
		{"GET", "/a HTTP/1.1\r\nX: y", "a", false, "GET /aHTTP/1.1X:y HTTP/1.1\r\nHost: a\r\n"},
		{"GET", "/a\x00\x7f\tb", "a", false, "GET /ab HTTP/1.1\r\nHost: a\r\n"},
		{"GET /evil\r\n", "/", "a", false, "GET/evil / HTTP/1.1\r\nHost: a\r\n"},
		{"GET", "/", "a\r\nX: y", false, "GET / HTTP/1.1\r\nHost: aX:y\r\n"},
		{"GET", "/", "a/b", false, "GET / HTTP/1.1\r\nHost: a/b\r\n"},
		{"", "/", "a", false, " / HTTP/1.1\r\nHost: a\r\n"},
		{"GET", "", "a", false, "GET  HTTP/1.1\r\nHost: a\r\n"},
		{"GET", "/", "", false, "GET / HTTP/1.1\r\nHost: \r\n"},
	} {
		if got := ValidRequest(c.method, c.target, c.host); got != c.valid {
			t.Errorf("%q %q %q: valid is %t", c.method, c.target, c.host, got)
		}
		if got := string(AppendRequest(nil, c.method, c.target, c.host)); got != c.want {
			t.Errorf("%q %q %q became %q", c.method, c.target, c.host, got)
		}
	}
}

// Guarantee: The first line of an answer is the one that net/http writes, whatever the status.
func TestStatusLine(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		status, err := strconv.Atoi(r.URL.Path[1:])
		if err != nil {
			panic(err)
		}
		w.WriteHeader(status)
	}))
	t.Cleanup(server.Close)
	conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", server.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	lines := bufio.NewReader(conn)
	for status := 200; status < 1000; status++ {
		request := AppendRequest(nil, "HEAD", "/"+strconv.Itoa(status), "a")
		if _, err := conn.Write(append(request, "\r\n"...)); err != nil {
			t.Fatal(err)
		}
		line, err := lines.ReadString('\n')
		if want := string(AppendStatus(nil, status)); err != nil || line != want {
			t.Fatalf("got %q, want %q, %v", line, want, err)
		}
		for line != "\r\n" {
			if line, err = lines.ReadString('\n'); err != nil {
				t.Fatal(err)
			}
		}
	}
}
