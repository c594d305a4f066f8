package http1

import (
	"reflect"
	"testing"

	"tollgate/edge/proxy"
)

// answerCase is the head of an answer, and what it says of what follows.
type answerCase struct {
	headCase
	method  string // GET if empty
	length  int64
	chunked bool
	closes  bool
}

func answer(why, text string, length int64) answerCase {
	return answerCase{headCase: headCase{why, text, Plain}, length: length}
}

func strange(why, text string) answerCase { return answerCase{headCase: headCase{why, text, Strange}} }

func (c answerCase) to(method string) answerCase { c.method = method; return c }
func (c answerCase) inChunks() answerCase        { c.chunked = true; return c }
func (c answerCase) last() answerCase            { c.closes = true; return c }

// answerCases are heads of answers, by RFC 9112 unless another is named.
var answerCases = []answerCase{
	answer("4: an answer", "HTTP/1.1 200 OK¶Content-Length: 5¶¶", 5),
	answer("4: no reason", "HTTP/1.1 200 ¶Content-Length: 5¶¶", 5),
	answer("4: no reason and no space", "HTTP/1.1 200¶Content-Length: 5¶¶", 5),
	answer("4: a reason with high bytes", "HTTP/1.1 404 pas trouv\xe9¶Content-Length: 0¶¶", 0),
	answer("4: a status that nobody knows", "HTTP/1.1 999 x y\tz¶Content-Length: 0¶¶", 0),
	strange("4: a reason with a control character", "HTTP/1.1 200 O\x00K¶Content-Length: 5¶¶"),
	strange("4: a bare CR", "HTTP/1.1 200 O\rK¶Content-Length: 5¶¶"),
	strange("2.2: a line that ends in LF", "HTTP/1.1 200 OK\nContent-Length: 5\n\n"),
	strange("2.2: an empty line before it", "¶HTTP/1.1 200 OK¶Content-Length: 5¶¶"),
	strange("4: two digits", "HTTP/1.1 20 OK¶Content-Length: 5¶¶"),
	strange("4: four digits", "HTTP/1.1 2000 OK¶Content-Length: 5¶¶"),
	strange("4: a status below 100", "HTTP/1.1 099 x¶Content-Length: 5¶¶"),
	strange("4: a status below 100, and nothing else", "HTTP/1.1 099 x¶¶"),
	strange("4: a sign", "HTTP/1.1 +20 x¶Content-Length: 5¶¶"),
	strange("4: two spaces", "HTTP/1.1  200 OK¶Content-Length: 5¶¶"),
	strange("4: a tab", "HTTP/1.1\t200 OK¶Content-Length: 5¶¶"),
	strange("4: a reason without a space", "HTTP/1.1 200OK¶Content-Length: 5¶¶"),
	strange("4: a tab before the reason", "HTTP/1.1 200\tOK¶Content-Length: 5¶¶"),
	strange("2.3: HTTP/1.2", "HTTP/1.2 200 OK¶Content-Length: 5¶¶"),
	strange("2.3: HTTP/2", "HTTP/2.0 200 OK¶Content-Length: 5¶¶"),
	strange("2.3: lower case", "http/1.1 200 OK¶Content-Length: 5¶¶"),
	strange("not HTTP", "SSH-2.0-OpenSSH_9.6¶"),

	answer("6.3: chunks", "HTTP/1.1 200 OK¶Transfer-Encoding: chunked¶¶", -1).inChunks(),
	answer("6.3: chunks in another spelling", "HTTP/1.1 200 OK¶transfer-encoding:\tCHUNKED ¶¶", -1).inChunks(),
	answer("6.3: until its end", "HTTP/1.1 200 OK¶X: y¶¶", -1).last(),
	answer("6.3: until its end, which it says", "HTTP/1.1 200 OK¶Connection: close¶¶", -1).last(),
	answer("9.6: a length, and the end", "HTTP/1.1 200 OK¶Content-Length: 5¶Connection: Close¶¶", 5).last(),
	answer("9.6: chunks, and the end", "HTTP/1.1 200 OK¶Transfer-Encoding: chunked¶Connection: x, close¶¶", -1).inChunks().last(),
	answer("9110, 6.5: trailers", "HTTP/1.1 200 OK¶Trailer: X-Sum, Y¶Transfer-Encoding: chunked¶¶", -1).inChunks(),
	strange("9110, 6.5.1: trailers that frame", "HTTP/1.1 200 OK¶Trailer: X, content-LENGTH¶Transfer-Encoding: chunked¶¶"),
	strange("9110, 6.5.1: trailers that encode", "HTTP/1.1 200 OK¶Transfer-Encoding: chunked¶trailer: Transfer-Encoding¶¶"),
	answer("9110, 6.5: without chunks none can come", "HTTP/1.1 200 OK¶Trailer: Content-Length¶Content-Length: 5¶¶", 5),

	answer("6.3: to HEAD", "HTTP/1.1 200 OK¶Content-Length: 5¶¶", 0).to("HEAD"),
	answer("6.3: to HEAD, chunks", "HTTP/1.1 200 OK¶Transfer-Encoding: chunked¶¶", 0).to("HEAD"),
	answer("6.3: to HEAD, no length", "HTTP/1.1 200 OK¶X: y¶¶", 0).to("HEAD"),
	answer("6.3: 304", "HTTP/1.1 304 Not Modified¶Content-Length: 5¶¶", 0),
	answer("6.3: 304 with chunks", "HTTP/1.1 304 Not Modified¶Transfer-Encoding: chunked¶¶", 0),
	answer("6.3: 204", "HTTP/1.1 204 No Content¶X: y¶¶", 0),
	answer("9110, 8.6: 204 says that it has nothing", "HTTP/1.1 204 No Content¶Content-Length: 0¶¶", 0),
	strange("9110, 8.6: 204 with a length", "HTTP/1.1 204 No Content¶Content-Length: 5¶¶"),
	strange("6.1: 204 with chunks", "HTTP/1.1 204 No Content¶Transfer-Encoding: chunked¶¶"),
	answer("9110, 15.2: 1xx", "HTTP/1.1 103 Early Hints¶Link: </a>¶¶", 0),
	answer("9110, 15.2: 100", "HTTP/1.1 100 Continue¶¶", 0),
	strange("9110, 8.6: 1xx with a length", "HTTP/1.1 103 Early Hints¶Content-Length: 5¶¶"),
	strange("6.1: 1xx with chunks", "HTTP/1.1 103 Early Hints¶Transfer-Encoding: chunked¶¶"),
	strange("9110, 15.2.2: a switch that nobody asked for", "HTTP/1.1 101 Switching Protocols¶Upgrade: x¶¶"),

	strange("6.3: two lengths", "HTTP/1.1 200 OK¶Content-Length: 5¶Content-Length: 6¶¶"),
	strange("6.3: two equal lengths", "HTTP/1.1 200 OK¶Content-Length: 5¶Content-Length: 5¶¶"),
	strange("6.3: a list of lengths", "HTTP/1.1 200 OK¶Content-Length: 5, 5¶¶"),
	strange("6.2: a sign", "HTTP/1.1 200 OK¶Content-Length: +5¶¶"),
	strange("6.2: zeros", "HTTP/1.1 200 OK¶Content-Length: 05¶¶"),
	strange("6.2: hexadecimal", "HTTP/1.1 200 OK¶Content-Length: 0x5¶¶"),
	strange("6.2: an empty length", "HTTP/1.1 200 OK¶Content-Length: ¶¶"),
	strange("6.2: a length of many digits", "HTTP/1.1 200 OK¶Content-Length: 18446744073709551621¶¶"),
	strange("6.2: two lengths to HEAD", "HTTP/1.1 200 OK¶Content-Length: 5¶Content-Length: 6¶¶").to("HEAD"),
	strange("6.3: a length beside chunks", "HTTP/1.1 200 OK¶Content-Length: 5¶Transfer-Encoding: chunked¶¶"),
	strange("6.3: a length beside chunks, to HEAD", "HTTP/1.1 200 OK¶Transfer-Encoding: chunked¶Content-Length: 5¶¶").to("HEAD"),
	strange("6.1: another encoding", "HTTP/1.1 200 OK¶Transfer-Encoding: gzip¶¶"),
	strange("6.1: two encodings in one", "HTTP/1.1 200 OK¶Transfer-Encoding: gzip, chunked¶¶"),
	strange("6.1: two encodings", "HTTP/1.1 200 OK¶Transfer-Encoding: chunked¶Transfer-Encoding: chunked¶¶"),
	strange("6.1: no encoding", "HTTP/1.1 200 OK¶Transfer-Encoding: identity¶¶"),
	strange("6.1: an empty encoding", "HTTP/1.1 200 OK¶Transfer-Encoding:¶¶"),
	strange("6.1: quotes", "HTTP/1.1 200 OK¶Transfer-Encoding: \"chunked\"¶¶"),
	strange("5.1: a space before the colon", "HTTP/1.1 200 OK¶Content-Length : 5¶¶"),
	strange("5.2: a folded value", "HTTP/1.1 200 OK¶X: y¶ z¶Content-Length: 5¶¶"),
	strange("5.2: a folded encoding", "HTTP/1.1 200 OK¶Transfer-Encoding:¶ chunked¶¶"),
	strange("5: no colon", "HTTP/1.1 200 OK¶X¶¶"),
	strange("9110, 5.5: NUL", "HTTP/1.1 200 OK¶X: \x00¶¶"),

	answer("2.3: HTTP/1.0", "HTTP/1.0 200 OK¶Content-Length: 5¶¶", 5).last(),
	answer("2.3: HTTP/1.0 until its end", "HTTP/1.0 200 OK¶¶", -1).last(),
	answer("C.2.2: HTTP/1.0 that stays", "HTTP/1.0 200 OK¶Content-Length: 5¶Connection: Keep-Alive¶¶", 5),
	answer("C.2.2: HTTP/1.0 that would stay, until its end", "HTTP/1.0 200 OK¶Connection: keep-alive¶¶", -1).last(),
	answer("C.2.2: HTTP/1.0 that stays and does not", "HTTP/1.0 200 OK¶Content-Length: 5¶Connection: keep-alive, close¶¶", 5).last(),
	strange("6.1: HTTP/1.0 with chunks", "HTTP/1.0 200 OK¶Transfer-Encoding: chunked¶¶"),
}

// Guarantee: The head of an answer is vouched for only if RFC 9112 leaves one way to tell where it ends.
func TestResponseVerdicts(t *testing.T) {
	t.Parallel()
	for _, c := range answerCases {
		t.Run(c.why, func(t *testing.T) {
			t.Parallel()
			if c.method == "" {
				c.method = "GET"
			}
			head := c.bytes()
			var r Response
			n, v := r.Parse(append(head, "body"...), c.method, testLimits)
			if v != c.verdict {
				t.Fatalf("%q: verdict %d, want %d", head, v, c.verdict)
			}
			if v == Plain && (n != len(head) || r.Length != c.length || r.Chunked != c.chunked || r.Close != c.closes) {
				t.Errorf("%q: %d bytes, %+v", head, n, r)
			}
			prefixes(t, head, c.verdict, func(buf []byte) Verdict {
				var r Response
				_, v := r.Parse(buf, c.method, testLimits)
				return v
			})
		})
	}
}

// Guarantee: Of an answer all headers are kept as they were sent, but for the encoding, and nothing of an answer before it.
func TestResponseStrings(t *testing.T) {
	t.Parallel()
	var r Response
	r.Parse([]byte("HTTP/1.0 500 x\r\nContent-Length: 9\r\nA: b\r\n\r\n"), "GET", Limits{})
	buf := []byte("HTTP/1.1 201 Created\r\ncontent-type:  a/b\t\r\nTransfer-Encoding: chunked\r\nConnection: x\r\nTrailer: Sum\r\nX:\r\n\r\n3\r\n")
	want := Response{Status: 201, Length: -1, Declared: -1, Chunked: true, Headers: []proxy.Header{
		{Name: "content-type", Value: "a/b"}, {Name: "Connection", Value: "x"}, {Name: "Trailer", Value: "Sum"}, {Name: "X"},
	}}
	n, v := r.Parse(buf, "POST", Limits{})
	if v != Plain || string(buf[n:]) != "3\r\n" {
		t.Fatalf("verdict %d, and %q follows", v, buf[n:])
	}
	for i := range buf {
		buf[i] = 'x'
	}
	if !reflect.DeepEqual(r, want) {
		t.Errorf("got %+v\nwant %+v", r, want)
	}
	head := []byte("HTTP/1.1 200 OK\r\nContent-Length: 1234\r\n\r\n")
	if _, v := r.Parse(head, "HEAD", Limits{}); v != Plain || r.Length != 0 || r.Declared != 1234 || r.Chunked {
		t.Errorf("to HEAD: %d, %+v", v, r)
	}
}

// Guarantee: An answer's head that is larger than the limits is not taken.
func TestResponseLimits(t *testing.T) {
	t.Parallel()
	head := []byte("HTTP/1.1 200 OK\r\nA: b\r\nContent-Length: 5\r\n\r\n")
	for limits, want := range map[Limits]Verdict{
		{}:                       Plain,
		{Bytes: len(head)}:       Plain,
		{Lines: 2}:               Plain,
		{Bytes: len(head) - 1}:   Strange,
		{Lines: 1}:               Strange,
		{Bytes: len("HTTP/1.1")}: Strange,
	} {
		var r Response
		if _, v := r.Parse(head, "GET", limits); v != want {
			t.Errorf("%+v: verdict %d, want %d", limits, v, want)
		}
	}
}
