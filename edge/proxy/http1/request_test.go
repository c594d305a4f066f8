package http1

import (
	"reflect"
	"strings"
	"testing"

	"tollgate/edge/proxy"
)

// headCase is the head of a request, in which "¶" is CR LF.
type headCase struct {
	why     string // by RFC 9112, unless another is named
	text    string
	verdict Verdict
}

func (c headCase) bytes() []byte { return []byte(strings.ReplaceAll(c.text, "¶", "\r\n")) }

// requestCases are heads of requests, with every trick that makes two servers read different ones.
var requestCases = []headCase{
	// 3: the first line.
	{"3: a request", "GET / HTTP/1.1¶Host: a¶¶", Plain},
	{"3: every method", "HEAD /a HTTP/1.1¶Host: a¶¶", Plain},
	{"3: every method", "PUT /a HTTP/1.1¶Host: a¶Content-Length: 0¶¶", Plain},
	{"3: every method", "PATCH /a HTTP/1.1¶Host: a¶Content-Length: 1¶¶", Plain},
	{"3: every method", "DELETE /a HTTP/1.1¶Host: a¶¶", Plain},
	{"3: every method", "OPTIONS /a HTTP/1.1¶Host: a¶¶", Plain},
	{"3: bytes of a target", "GET /a;b,c:d@e!f$g&h'i(j)k*l+m=n~o%20p%2Fq?r=s/t?u&%zz{|}\"<>\\^` HTTP/1.1¶Host: a¶¶", Plain},
	{"3: dots", "GET /./a/../b//c HTTP/1.1¶Host: a¶¶", Plain},
	{"3.2.1: two slashes are a path", "GET //evil/a HTTP/1.1¶Host: a¶¶", Plain},
	{"2.2: an empty line before it", "¶GET / HTTP/1.1¶Host: a¶¶", Strange},
	{"2.2: a bare LF before it", "\nGET / HTTP/1.1¶Host: a¶¶", Strange},
	{"2.2: a bare CR before it", "\rGET / HTTP/1.1¶Host: a¶¶", Strange},
	{"2.2: a line that ends in LF", "GET / HTTP/1.1\nHost: a\n\n", Strange},
	{"2.2: the first line ends in LF", "GET / HTTP/1.1\nHost: a¶¶", Strange},
	{"2.2: a header ends in LF", "GET / HTTP/1.1¶Host: a\n¶", Strange},
	{"2.2: the empty line is LF", "GET / HTTP/1.1¶Host: a¶\n", Strange},
	{"2.2: the empty line has two CR", "GET / HTTP/1.1¶Host: a¶\r\r\n", Strange},
	{"2.2: a bare CR in the first line", "GET /\rHTTP/1.1¶Host: a¶¶", Strange},
	{"2.2: a bare CR at its end", "GET / HTTP/1.1\r¶Host: a¶¶", Strange},
	{"2.2: a bare CR between lines", "GET / HTTP/1.1¶Host: a\rX: b¶¶", Strange},
	{"3: a method in lower case", "get / HTTP/1.1¶Host: a¶¶", Strange},
	{"3: an unknown method", "BREW / HTTP/1.1¶Host: a¶¶", Strange},
	{"3: TRACE", "TRACE / HTTP/1.1¶Host: a¶¶", Strange},
	{"3.2.3: CONNECT", "CONNECT a:443 HTTP/1.1¶Host: a:443¶¶", Strange},
	{"3: a long method", "GETGETGETGET / HTTP/1.1¶Host: a¶¶", Strange},
	{"3: no method", " / HTTP/1.1¶Host: a¶¶", Strange},
	{"3: a tab behind the method", "GET\t/ HTTP/1.1¶Host: a¶¶", Strange},
	{"3: two spaces behind the method", "GET  / HTTP/1.1¶Host: a¶¶", Strange},
	{"3: two spaces behind the target", "GET /  HTTP/1.1¶Host: a¶¶", Strange},
	{"3: a tab behind the target", "GET /\tHTTP/1.1¶Host: a¶¶", Strange},
	{"3: a space in the target", "GET /a b HTTP/1.1¶Host: a¶¶", Strange},
	{"3: a space at the end", "GET / HTTP/1.1 ¶Host: a¶¶", Strange},
	{"3: no target", "GET HTTP/1.1¶Host: a¶¶", Strange},
	{"3: no version", "GET /¶Host: a¶¶", Strange},
	{"3.2.2: absolute form", "GET http://a/ HTTP/1.1¶Host: a¶¶", Strange},
	{"3.2.3: authority form", "GET a:80 HTTP/1.1¶Host: a¶¶", Strange},
	{"3.2.4: asterisk form", "OPTIONS * HTTP/1.1¶Host: a¶¶", Strange},
	{"3.2: a fragment", "GET /a#b HTTP/1.1¶Host: a¶¶", Strange},
	{"3.2: a fragment in the query", "GET /a?b#c HTTP/1.1¶Host: a¶¶", Strange},
	{"3.2: no fragment was meant", "GET /a%23 HTTP/1.1¶Host: a¶¶", Plain},
	{"3.2: a path without its code", "GET /a%zz HTTP/1.1¶Host: a¶¶", Strange},
	{"3.2: a path with half a code", "GET /a%2 HTTP/1.1¶Host: a¶¶", Strange},
	{"3.2: a path with no code", "GET /a% HTTP/1.1¶Host: a¶¶", Strange},
	{"3.2: NUL in the target", "GET /a\x00b HTTP/1.1¶Host: a¶¶", Strange},
	{"3.2: a control character in the target", "GET /a\x0bb HTTP/1.1¶Host: a¶¶", Strange},
	{"3.2: DEL in the target", "GET /a\x7fb HTTP/1.1¶Host: a¶¶", Strange},
	{"3.2: a high byte in the target", "GET /\xe4 HTTP/1.1¶Host: a¶¶", Strange},
	{"3.2: a high byte in the query", "GET /?\xff HTTP/1.1¶Host: a¶¶", Strange},
	{"2.3: HTTP/1.0", "GET / HTTP/1.0¶Host: a¶¶", Strange},
	{"2.3: HTTP/1.2", "GET / HTTP/1.2¶Host: a¶¶", Strange},
	{"2.3: HTTP/2.0", "GET / HTTP/2.0¶Host: a¶¶", Strange},
	{"2.3: the preface of HTTP/2", "PRI * HTTP/2.0¶¶SM¶¶", Strange},
	{"2.3: a version in lower case", "GET / http/1.1¶Host: a¶¶", Strange},
	{"2.3: a version with more digits", "GET / HTTP/1.10¶Host: a¶¶", Strange},
	{"2.3: a version with zeros", "GET / HTTP/01.1¶Host: a¶¶", Strange},
	{"2.3: HTTP/0.9", "GET /¶", Strange},
	{"not HTTP: TLS", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", Strange},

	// 3.2: Host.
	{"3.2: a port", "GET / HTTP/1.1¶Host: a.example:8080¶¶", Plain},
	{"3.2: an address", "GET / HTTP/1.1¶Host: 127.0.0.1:80¶¶", Plain},
	{"3.2: an address of IPv6", "GET / HTTP/1.1¶Host: [::1]¶¶", Plain},
	{"3.2: an address of IPv6 and a port", "GET / HTTP/1.1¶Host: [2001:db8::1.2.3.4]:443¶¶", Plain},
	{"3.2: an underscore", "GET / HTTP/1.1¶hOsT: my_service.local¶¶", Plain},
	{"3.2: none", "GET / HTTP/1.1¶¶", Strange},
	{"3.2: none, but another", "GET / HTTP/1.1¶Hosts: a¶¶", Strange},
	{"3.2: two", "GET / HTTP/1.1¶Host: a¶Host: b¶¶", Strange},
	{"3.2: twice the same", "GET / HTTP/1.1¶Host: a¶Host: a¶¶", Strange},
	{"3.2: twice in two spellings", "GET / HTTP/1.1¶Host: a¶hOST: a¶¶", Strange},
	{"3.2: empty", "GET / HTTP/1.1¶Host:¶¶", Strange},
	{"3.2: a port alone", "GET / HTTP/1.1¶Host: :80¶¶", Strange},
	{"3.2: no port", "GET / HTTP/1.1¶Host: a:¶¶", Strange},
	{"3.2: a port that is none", "GET / HTTP/1.1¶Host: a:http¶¶", Strange},
	{"3.2: two ports", "GET / HTTP/1.1¶Host: a:80:81¶¶", Strange},
	{"3.2: an empty part of a name", "GET / HTTP/1.1¶Host: a..b¶¶", Strange},
	{"3.2: an empty part in brackets", "GET / HTTP/1.1¶Host: [1..2]¶¶", Strange},
	{"3.2: a list", "GET / HTTP/1.1¶Host: a, b¶¶", Strange},
	{"3.2: two names", "GET / HTTP/1.1¶Host: a b¶¶", Strange},
	{"3.2: a path", "GET / HTTP/1.1¶Host: a/b¶¶", Strange},
	{"3.2: a user", "GET / HTTP/1.1¶Host: u@a¶¶", Strange},
	{"3.2: a query", "GET / HTTP/1.1¶Host: a?b¶¶", Strange},
	{"3.2: a fragment", "GET / HTTP/1.1¶Host: a#b¶¶", Strange},
	{"3.2: a code", "GET / HTTP/1.1¶Host: a%2eb¶¶", Strange},
	{"3.2: a high byte", "GET / HTTP/1.1¶Host: \xc3\xa4¶¶", Strange},
	{"3.2: an open bracket", "GET / HTTP/1.1¶Host: [::1¶¶", Strange},
	{"3.2: a closed bracket", "GET / HTTP/1.1¶Host: ::1]¶¶", Strange},
	{"3.2: an empty bracket", "GET / HTTP/1.1¶Host: []¶¶", Strange},
	{"3.2: a name in brackets", "GET / HTTP/1.1¶Host: [host]¶¶", Strange},
	{"3.2: a zone", "GET / HTTP/1.1¶Host: [fe80::1%25eth0]¶¶", Strange},
	{"3.2: a name behind brackets", "GET / HTTP/1.1¶Host: [::1]a¶¶", Strange},
	{"3.2: brackets and no port", "GET / HTTP/1.1¶Host: [::1]:¶¶", Strange},
	{"3.2: brackets and a port that is none", "GET / HTTP/1.1¶Host: [::1]:x¶¶", Strange},

	// 5: headers.
	{"5: no space behind the colon", "GET / HTTP/1.1¶Host:a¶X:b¶¶", Plain},
	{"5: spaces around a value, and tabs in it", "GET / HTTP/1.1¶Host:   a  ¶X:   b \tc   ¶¶", Plain},
	{"5: an empty value", "GET / HTTP/1.1¶Host: a¶X:¶Y:   ¶¶", Plain},
	{"5: a tab before a value, which nginx takes for a part of it", "GET / HTTP/1.1¶Host: a¶X: \tb¶¶", Strange},
	{"5: a tab before a length", "POST / HTTP/1.1¶Host: a¶Content-Length:\t5¶¶", Strange},
	{"5: a tab behind a length", "POST / HTTP/1.1¶Host: a¶Content-Length: 5\t¶¶", Strange},
	{"5: a tab before a host", "GET / HTTP/1.1¶Host:\ta¶¶", Strange},
	{"5: a tab behind a host", "GET / HTTP/1.1¶Host: a \t ¶¶", Strange},
	{"5: a colon in a value", "GET / HTTP/1.1¶Host: a¶X: b: c¶¶", Plain},
	{"9110, 5.5: high bytes in a value", "GET / HTTP/1.1¶Host: a¶X: \x80\xff\xc3\xa4¶¶", Plain},
	{"9110, 5.6.2: all bytes of a name", "GET / HTTP/1.1¶Host: a¶!#$%&'*+-.^_`|~09azAZ: b¶¶", Plain},
	{"5.1: a space before the colon", "GET / HTTP/1.1¶Host : a¶¶", Strange},
	{"5.1: a space before the colon of a length", "POST / HTTP/1.1¶Host: a¶Content-Length : 5¶¶", Strange},
	{"5.1: a tab before the colon", "GET / HTTP/1.1¶Host: a¶X\t: b¶¶", Strange},
	{"5.1: a space in a name", "GET / HTTP/1.1¶Host: a¶X Y: b¶¶", Strange},
	{"5.1: a space before the first name", "GET / HTTP/1.1¶ Host: a¶¶", Strange},
	{"5: no colon", "GET / HTTP/1.1¶Host: a¶X¶¶", Strange},
	{"5: no name", "GET / HTTP/1.1¶Host: a¶: b¶¶", Strange},
	{"5: a name in quotes", "GET / HTTP/1.1¶Host: a¶\"X\": b¶¶", Strange},
	{"5: NUL in a name", "GET / HTTP/1.1¶Host: a¶X\x00: b¶¶", Strange},
	{"5: a high byte in a name", "GET / HTTP/1.1¶Host: a¶\xc3\xa4: b¶¶", Strange},
	{"5: a space of another kind in a name", "POST / HTTP/1.1¶Host: a¶Transfer-Encoding\xa0: chunked¶¶", Strange},
	{"5.2: a folded value", "GET / HTTP/1.1¶Host: a¶X: b¶ c¶¶", Strange},
	{"5.2: a value folded with a tab", "GET / HTTP/1.1¶Host: a¶X: b¶\tc¶¶", Strange},
	{"5.2: a folded length", "POST / HTTP/1.1¶Host: a¶Content-Length:¶ 5¶¶", Strange},
	{"5.2: a fold without a value", "GET / HTTP/1.1¶Host: a¶ ¶¶", Strange},
	{"9110, 5.5: NUL in a value", "GET / HTTP/1.1¶Host: a¶X: b\x00c¶¶", Strange},
	{"9110, 5.5: a bare CR in a value", "GET / HTTP/1.1¶Host: a¶X: b\rc¶¶", Strange},
	{"9110, 5.5: a bare LF in a value", "GET / HTTP/1.1¶Host: a¶X: b\nc¶¶", Strange},
	{"9110, 5.5: a bare CR before CR LF", "GET / HTTP/1.1¶Host: a¶X: b\r¶¶", Strange},
	{"9110, 5.5: a control character in a value", "GET / HTTP/1.1¶Host: a¶X: b\x01c¶¶", Strange},
	{"9110, 5.5: a vertical tab before a value", "GET / HTTP/1.1¶Host: a¶X:\x0bb¶¶", Strange},
	{"9110, 5.5: a form feed behind a value", "GET / HTTP/1.1¶Host: a¶X: b\x0c¶¶", Strange},
	{"9110, 5.5: DEL in a value", "GET / HTTP/1.1¶Host: a¶X: 12345678\x7f0¶¶", Strange},

	// 6: what frames a body.
	{"6.2: a length", "POST / HTTP/1.1¶Host: a¶Content-Length: 5¶¶", Plain},
	{"6.2: a length in another spelling", "POST / HTTP/1.1¶Host: a¶cONTENT-lENGTH:5 ¶¶", Plain},
	{"6.2: the length of a GET", "GET / HTTP/1.1¶Host: a¶Content-Length: 3¶¶", Plain},
	{"6.2: a large length", "PUT / HTTP/1.1¶Host: a¶Content-Length: 999999999999999999¶¶", Plain},
	{"6.2: a header with a similar name", "POST / HTTP/1.1¶Host: a¶Content_Length: 5¶X-Content-Length: 6¶Content-Lengths: 7¶¶", Plain},
	{"6.3: two lengths", "POST / HTTP/1.1¶Host: a¶Content-Length: 5¶Content-Length: 6¶¶", Strange},
	{"6.3: two equal lengths", "POST / HTTP/1.1¶Host: a¶Content-Length: 5¶content-length: 5¶¶", Strange},
	{"6.3: two lengths of nothing", "POST / HTTP/1.1¶Host: a¶Content-Length: 0¶Content-Length: 5¶¶", Strange},
	{"6.3: a list of lengths", "POST / HTTP/1.1¶Host: a¶Content-Length: 5, 5¶¶", Strange},
	{"6.3: a list of two lengths", "POST / HTTP/1.1¶Host: a¶Content-Length: 5,6¶¶", Strange},
	{"6.2: an empty length", "POST / HTTP/1.1¶Host: a¶Content-Length:¶¶", Strange},
	{"6.2: a sign", "POST / HTTP/1.1¶Host: a¶Content-Length: +5¶¶", Strange},
	{"6.2: a negative length", "POST / HTTP/1.1¶Host: a¶Content-Length: -5¶¶", Strange},
	{"6.2: hexadecimal", "POST / HTTP/1.1¶Host: a¶Content-Length: 0x5¶¶", Strange},
	{"6.2: zeros", "POST / HTTP/1.1¶Host: a¶Content-Length: 005¶¶", Strange},
	{"6.2: two zeros", "POST / HTTP/1.1¶Host: a¶Content-Length: 00¶¶", Strange},
	{"6.2: underscores", "POST / HTTP/1.1¶Host: a¶Content-Length: 1_0¶¶", Strange},
	{"6.2: a space", "POST / HTTP/1.1¶Host: a¶Content-Length: 1 0¶¶", Strange},
	{"6.2: a fraction", "POST / HTTP/1.1¶Host: a¶Content-Length: 5.0¶¶", Strange},
	{"6.2: an exponent", "POST / HTTP/1.1¶Host: a¶Content-Length: 1e1¶¶", Strange},
	{"6.2: quotes", "POST / HTTP/1.1¶Host: a¶Content-Length: \"5\"¶¶", Strange},
	{"6.2: a high digit", "POST / HTTP/1.1¶Host: a¶Content-Length: \xd9\xa5¶¶", Strange},
	{"6.2: a length of many digits", "POST / HTTP/1.1¶Host: a¶Content-Length: 18446744073709551621¶¶", Strange},
	{"6.2: a vertical tab", "POST / HTTP/1.1¶Host: a¶Content-Length:\x0b5¶¶", Strange},
	{"6.2: a length behind many spaces", "POST / HTTP/1.1¶Host: a¶Content-Length:" + strings.Repeat(" ", 200) + "5¶¶", Strange},
	{"6.1: chunks", "POST / HTTP/1.1¶Host: a¶Transfer-Encoding: chunked¶¶", Strange},
	{"6.1: chunks beside a length", "POST / HTTP/1.1¶Host: a¶Content-Length: 5¶Transfer-Encoding: chunked¶¶", Strange},
	{"6.1: a length beside chunks", "POST / HTTP/1.1¶Host: a¶tRANSFER-eNCODING: chunked¶Content-Length: 5¶¶", Strange},
	{"6.1: an empty encoding", "POST / HTTP/1.1¶Host: a¶Transfer-Encoding:¶Content-Length: 5¶¶", Strange},
	{"6.1: no encoding", "POST / HTTP/1.1¶Host: a¶Transfer-Encoding: identity¶Content-Length: 5¶¶", Strange},
	{"6.1: an encoding that is none", "POST / HTTP/1.1¶Host: a¶Transfer-Encoding: xchunked¶Content-Length: 5¶¶", Strange},
	{"6.1: a list of encodings", "POST / HTTP/1.1¶Host: a¶Transfer-Encoding: gzip, chunked¶¶", Strange},
	{"6.1: two encodings", "POST / HTTP/1.1¶Host: a¶Transfer-Encoding: chunked¶Transfer-Encoding: cow¶¶", Strange},
	{"6.1: a tab before the encoding", "POST / HTTP/1.1¶Host: a¶Transfer-Encoding:\tchunked¶¶", Strange},
	{"6.1: a similar name", "POST / HTTP/1.1¶Host: a¶Transfer-Encodings: chunked¶Content-Length: 5¶¶", Plain},

	// What changes what follows.
	{"9110, 7.8: an upgrade", "GET / HTTP/1.1¶Host: a¶Connection: upgrade¶Upgrade: websocket¶¶", Strange},
	{"9110, 7.8: an upgrade to HTTP/2", "GET / HTTP/1.1¶Host: a¶UPGRADE: h2c¶HTTP2-Settings: AAMAAABk¶¶", Strange},
	{"9113, 3.2: settings", "GET / HTTP/1.1¶Host: a¶http2-settings: AAMAAABk¶¶", Strange},
	{"9110, 10.1.1: an expectation", "POST / HTTP/1.1¶Host: a¶Content-Length: 5¶Expect: 100-continue¶¶", Strange},
	{"9110, 10.1.1: another", "POST / HTTP/1.1¶Host: a¶Content-Length: 5¶expect: x¶¶", Strange},
}

var testLimits = Limits{Bytes: 4 << 10, Lines: 40}

// Guarantee: A request head is vouched for only if RFC 9112 leaves one way to read it; of everything else somebody else decides.
func TestRequestVerdicts(t *testing.T) {
	t.Parallel()
	for _, c := range requestCases {
		t.Run(c.why, func(t *testing.T) {
			t.Parallel()
			head := c.bytes()
			var r Request
			n, v := r.Parse(append(head, "GET /next"...), testLimits)
			if v != c.verdict {
				t.Errorf("%q: verdict %d, want %d", head, v, c.verdict)
			}
			if v == Plain && n != len(head) {
				t.Errorf("%q: %d bytes, want %d", head, n, len(head))
			}
			if v != Plain && n != 0 {
				t.Errorf("%q: %d bytes were used up", head, n)
			}
			prefixes(t, head, c.verdict, func(buf []byte) Verdict {
				var r Request
				_, v := r.Parse(buf, testLimits)
				return v
			})
		})
	}
}

// prefixes checks that a head which has not all come is never taken for one, and one that is plain never refused.
func prefixes(t *testing.T, head []byte, whole Verdict, parse func([]byte) Verdict) {
	t.Helper()
	before := Incomplete
	for i := 0; i < len(head); i += stride(head) {
		v := parse(head[:i:i])
		if v == Plain || v == Strange && whole == Plain || v != Strange && before == Strange {
			t.Fatalf("%q: verdict %d after %d", head[:i], v, before)
		}
		before = v
	}
}

// Guarantee: The strings of a head are those that were sent, and stay so when the buffer is used for something else.
func TestRequestStrings(t *testing.T) {
	t.Parallel()
	buf := []byte("POST /a%2Fb?c=%zz HTTP/1.1\r\nx-First: 1\r\nHost:  a.example:80 \r\nX-FIRST:  2\t3 \r\nContent-Length: 12\r\n" +
		"Connection: keep-alive\r\nX-Empty:\r\n\r\nbody")
	want := Request{
		Method: "POST", Target: "/a%2Fb?c=%zz", Host: "a.example:80", Length: 12, Sized: true,
		Headers: []proxy.Header{{Name: "x-First", Value: "1"}, {Name: "X-FIRST", Value: "2\t3"}, {Name: "Connection", Value: "keep-alive"}, {Name: "X-Empty"}},
	}
	var r Request
	n, v := r.Parse(buf, Limits{})
	if v != Plain || string(buf[n:]) != "body" {
		t.Fatalf("verdict %d, and %q follows", v, buf[n:])
	}
	for i := range buf {
		buf[i] = 'x'
	}
	if !reflect.DeepEqual(r, want) {
		t.Errorf("got %+v\nwant %+v", r, want)
	}
}

// Guarantee: A request leaves nothing in the next one that is read into the same memory, and does not change what was kept of it.
func TestRequestAgain(t *testing.T) {
	t.Parallel()
	var r, fresh Request
	first := []byte("POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 7\r\nConnection: close\r\nX: y\r\n\r\n")
	if _, v := r.Parse(first, Limits{}); v != Plain || !r.Close || r.Length != 7 {
		t.Fatalf("%d: %+v", v, r)
	}
	kept := r.Headers[1]
	second := []byte("GET /b HTTP/1.1\r\nHost: b\r\nZ: z\r\n\r\n")
	r.Parse(second, Limits{})
	fresh.Parse(second, Limits{})
	if !reflect.DeepEqual(r, fresh) {
		t.Errorf("got %+v\nwant %+v", r, fresh)
	}
	if kept != (proxy.Header{Name: "X", Value: "y"}) {
		t.Errorf("what was kept became %+v", kept)
	}
}

// Guarantee: A caller's wish to close is found in any Connection header, however it is written, and in no other word (RFC 9110, 7.6.1).
func TestRequestClose(t *testing.T) {
	t.Parallel()
	for lines, want := range map[string]bool{
		"":                                    false,
		"Connection: close\r\n":               true,
		"connection:CLOSE\r\n":                true,
		"Connection: x , close\r\n":           true,
		"Connection: x\r\nConnection: ,close": true,
		"Connection: keep-alive\r\n":          false,
		"Connection: closed\r\n":              false,
		"Connection: disclose\r\n":            false,
		"Connections: close\r\n":              false,
		"Proxy-Connection: close\r\n":         false,
	} {
		var r Request
		head := "GET / HTTP/1.1\r\nHost: a\r\n" + strings.TrimSuffix(lines, "\r\n") + "\r\n\r\n"
		if lines == "" {
			head = "GET / HTTP/1.1\r\nHost: a\r\n\r\n"
		}
		if _, v := r.Parse([]byte(head), Limits{}); v != Plain || r.Close != want {
			t.Errorf("%q: verdict %d, close %t", lines, v, r.Close)
		}
	}
}

// Guarantee: A head that is larger than the limits, or has more lines, is not taken, whether it has come whole or not; one that is just
// within them is.
func TestRequestLimits(t *testing.T) {
	t.Parallel()
	head := []byte("GET / HTTP/1.1\r\nHost: a\r\nX: y\r\n\r\n")
	for _, c := range []struct {
		limits  Limits
		verdict Verdict
	}{
		{Limits{}, Plain},
		{Limits{Bytes: len(head)}, Plain},
		{Limits{Bytes: len(head) - 1}, Strange},
		{Limits{Bytes: 4}, Strange},
		{Limits{Lines: 2}, Plain},
		{Limits{Lines: 1}, Strange},
	} {
		var r Request
		if _, v := r.Parse(head, c.limits); v != c.verdict {
			t.Errorf("%+v: verdict %d, want %d", c.limits, v, c.verdict)
		}
	}
	var r Request
	for n := range head {
		_, v := r.Parse(head[:n], Limits{Bytes: 10})
		if want := n >= 10; (v == Strange) != want {
			t.Errorf("of %d bytes: verdict %d", n, v)
		}
	}
	endless := []byte("GET /" + strings.Repeat("a", 1<<20))
	if _, v := r.Parse(endless, Limits{Bytes: 1 << 16}); v != Strange {
		t.Errorf("an endless target: verdict %d", v)
	}
	many := []byte("GET / HTTP/1.1\r\nHost: a\r\n" + strings.Repeat("X: y\r\n", 1000) + "\r\n")
	if _, v := r.Parse(many, Limits{}); v != Plain || len(r.Headers) != 1000 {
		t.Errorf("many headers: verdict %d, %d of them", v, len(r.Headers))
	}
}

// Guarantee: Reading a head takes one piece of memory, and reading another into the same takes no more.
func TestHeadAllocations(t *testing.T) {
	var r Request
	var a Response
	for what, f := range map[string]func() Verdict{
		"request": func() Verdict { _, v := r.Parse(benchRequest, testLimits); return v },
		"answer":  func() Verdict { _, v := a.Parse(benchResponse, "POST", testLimits); return v },
	} {
		if v := f(); v != Plain {
			t.Fatalf("%s: verdict %d", what, v)
		}
		if n := testing.AllocsPerRun(100, func() { f() }); n > 1 {
			t.Errorf("%s: %v allocations", what, n)
		}
	}
}
