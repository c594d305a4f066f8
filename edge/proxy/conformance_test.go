package proxy

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

const okReply = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

// conformance is one exchange on raw TCP: what the caller sends, what the vendor gets and answers, and
// what the caller gets. {K} stands for a key of the gateway, {A} for an Authorization line with it.
type conformance struct {
	name  string // begins with the numbers of the forwarding checks that it covers
	send  string
	reply string // okReply if empty

	vendor      string   // request line that the vendor gets; "-": no request reaches it
	vendorHas   []string // header lines that it gets, exactly
	vendorLacks []string // names that it does not get
	vendorBody  string

	client      string // beginning of the status line
	clientHas   []string
	clientLacks []string
	clientBody  string
}

func post(path, body string, headers ...string) string {
	return request("POST", path, append([]string{"{A}", fmt.Sprintf("Content-Length: %d", len(body))}, headers...)...) + body
}

func get1(path string, headers ...string) string {
	return request("GET", path, append([]string{"{A}"}, headers...)...)
}

func request(method, path string, headers ...string) string {
	return method + " " + path + " HTTP/1.1\r\nHost: gateway.example\r\n" + lines(headers...) + "\r\n"
}

func lines(headers ...string) string {
	var b strings.Builder
	for _, h := range headers {
		b.WriteString(h + "\r\n")
	}
	return b.String()
}

func reply(status string, body string, headers ...string) string {
	return "HTTP/1.1 " + status + "\r\n" + lines(append(headers, fmt.Sprintf("Content-Length: %d", len(body)))...) + "\r\n" + body
}

var conformances = []conformance{
	// Encoding.
	{
		name: "17 event stream with a length", send: get1("/x"), reply: reply("200 OK", "data: 1\n\ndata: 2\n\n", "Content-Type: text/event-stream"),
		clientHas: []string{"Content-Length: 18", "Content-Type: text/event-stream"}, clientBody: "data: 1\n\ndata: 2\n\n",
	},
	{name: "18 no Accept-Encoding is added", send: get1("/x"), vendorLacks: []string{"Accept-Encoding"}},
	{
		name: "19 Accept-Encoding and compressed bytes pass", send: get1("/x", "Accept-Encoding: gzip, br, zstd"),
		reply:     reply("200 OK", "\x1f\x8b\x08\x00not really", "Content-Encoding: gzip", `ETag: "a"`),
		vendorHas: []string{"Accept-Encoding: gzip, br, zstd"},
		clientHas: []string{"Content-Encoding: gzip", "Content-Length: 14", `Etag: "a"`}, clientBody: "\x1f\x8b\x08\x00not really",
	},
	{
		name: "23 truncated gzip with chunks", send: get1("/x", "Accept-Encoding: gzip"),
		reply:     "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n3\r\n\x1f\x8b\x08\r\n0\r\n\r\n",
		clientHas: []string{"Content-Encoding: gzip"}, clientBody: "\x1f\x8b\x08",
	},
	{
		name: "24 nothing is compressed here", send: get1("/x", "Accept-Encoding: gzip"),
		reply:       reply("200 OK", strings.Repeat("data: x\n\n", 500), "Content-Type: text/event-stream"),
		clientLacks: []string{"Content-Encoding"}, clientBody: strings.Repeat("data: x\n\n", 500),
	},
	{
		name: "25 no-transform and X-Accel-Buffering pass", send: get1("/x"), reply: reply("200 OK", "", "Cache-Control: no-transform", "X-Accel-Buffering: yes"),
		clientHas: []string{"Cache-Control: no-transform", "X-Accel-Buffering: yes"},
	},

	// Methods and status.
	{
		name: "41 HEAD keeps Content-Length", send: request("HEAD", "/x/f", "{A}"), reply: "HTTP/1.1 200 OK\r\nContent-Length: 12345\r\n\r\n",
		vendor: "HEAD /base/f HTTP/1.1", clientHas: []string{"Content-Length: 12345"},
	},
	{
		name: "42 range", send: get1("/x", "Range: bytes=0-1", `If-Range: "a"`), reply: reply("206 Partial Content", "ab", "Content-Range: bytes 0-1/9"),
		vendorHas: []string{"Range: bytes=0-1", `If-Range: "a"`}, vendorLacks: []string{"Accept-Encoding"},
		client: "HTTP/1.1 206 ", clientHas: []string{"Content-Range: bytes 0-1/9"}, clientBody: "ab",
	},
	{
		name: "42 range that cannot be", send: get1("/x", "Range: bytes=9-"), reply: reply("416 Range Not Satisfiable", "", "Content-Range: bytes */9"),
		client: "HTTP/1.1 416 ", clientHas: []string{"Content-Range: bytes */9"},
	},
	{
		name: "42 not modified", send: get1("/x", `If-None-Match: "a"`), reply: "HTTP/1.1 304 Not Modified\r\nETag: \"a\"\r\n\r\n",
		vendorHas: []string{`If-None-Match: "a"`}, client: "HTTP/1.1 304 ", clientHas: []string{`Etag: "a"`}, clientLacks: []string{"Content-Length", "Content-Type"},
	},
	{name: "43 no content", send: get1("/x"), reply: "HTTP/1.1 204 No Content\r\n\r\n", client: "HTTP/1.1 204 ", clientLacks: []string{"Content-Length", "Content-Type", "Transfer-Encoding"}},
	{name: "43 reset content", send: get1("/x"), reply: "HTTP/1.1 205 Reset Content\r\nContent-Length: 0\r\n\r\n", client: "HTTP/1.1 205 ", clientLacks: []string{"Content-Type"}},
	{name: "44 OPTIONS", send: request("OPTIONS", "/x/a", "{A}"), vendor: "OPTIONS /base/a HTTP/1.1", vendorLacks: []string{"Content-Length", "Transfer-Encoding"}},
	{name: "44 PATCH with a body", send: request("PATCH", "/x/a", "{A}", "Content-Length: 3") + "abc", vendor: "PATCH /base/a HTTP/1.1", vendorHas: []string{"Content-Length: 3"}, vendorBody: "abc"},
	{
		name: "44 PUT with chunks", send: request("PUT", "/x/a", "{A}", "Transfer-Encoding: chunked") + "3\r\nabc\r\n0\r\n\r\n", vendor: "PUT /base/a HTTP/1.1",
		vendorHas: []string{"Transfer-Encoding: chunked"}, vendorLacks: []string{"Content-Length"}, vendorBody: "abc",
	},
	{name: "44 DELETE without a body", send: request("DELETE", "/x/a", "{A}"), vendor: "DELETE /base/a HTTP/1.1", vendorLacks: []string{"Content-Length", "Transfer-Encoding"}},
	{name: "44 DELETE with length 0", send: request("DELETE", "/x/a", "{A}", "Content-Length: 0"), vendor: "DELETE /base/a HTTP/1.1", vendorHas: []string{"Content-Length: 0"}},
	{name: "44 DELETE with a body", send: request("DELETE", "/x/a", "{A}", "Content-Length: 2") + "ab", vendor: "DELETE /base/a HTTP/1.1", vendorBody: "ab"},
	{name: "44 a method of its own", send: request("PURGE", "/x/a", "{A}"), vendor: "PURGE /base/a HTTP/1.1"},
	{
		name: "45 redirects are not followed", send: get1("/x"), reply: reply("307 Temporary Redirect", "", "Location: http://elsewhere.example/"),
		client: "HTTP/1.1 307 ", clientHas: []string{"Location: http://elsewhere.example/"},
	},
	{name: "50 299", send: get1("/x"), reply: reply("299 Odd", ""), client: "HTTP/1.1 299 "},
	{name: "50 418", send: get1("/x"), reply: reply("418 Teapot", ""), client: "HTTP/1.1 418 "},
	{name: "50 529", send: get1("/x"), reply: reply("529 Overloaded", "busy"), client: "HTTP/1.1 529 ", clientBody: "busy"},
	{name: "50 599 without a reason", send: get1("/x"), reply: "HTTP/1.1 599 \r\nContent-Length: 0\r\n\r\n", client: "HTTP/1.1 599 "},
	{
		name: "51 an error passes as it is", send: get1("/x"), reply: reply("429 Too Many Requests", `{"e": 1 }`, "Retry-After: 7", "X-Ratelimit-Remaining: 0", "Request-Id: r1", "Content-Type: application/json"),
		client: "HTTP/1.1 429 ", clientHas: []string{"Retry-After: 7", "X-Ratelimit-Remaining: 0", "Request-Id: r1", "X-Tollgate-Cost: 0.00"}, clientBody: `{"e": 1 }`,
	},

	// Headers.
	{
		name: "62 connection headers stay here", send: get1("/x", "Connection:", "Connection: keep-alive, X-Mine", "X-Mine: 1", "Keep-Alive: timeout=5", "TE: gzip", "Proxy-Authorization: Basic eDp5", "Proxy-Connection: close", "X-Kept: 1"),
		reply:       reply("200 OK", "", "Connection: X-Theirs", "X-Theirs: 1", "Keep-Alive: timeout=9", "Proxy-Authenticate: Basic", "X-Kept: 2"),
		vendorLacks: []string{"Connection", "X-Mine", "Keep-Alive", "TE", "Proxy-Authorization", "Proxy-Connection"}, vendorHas: []string{"X-Kept: 1"},
		clientLacks: []string{"X-Theirs", "Keep-Alive", "Proxy-Authenticate"}, clientHas: []string{"X-Kept: 2"},
	},
	{name: "63 Connection cannot take the vendor's credential away", send: get1("/x", "Connection: Authorization, close"), vendorHas: []string{"Authorization: Bearer " + vendorKey}},
	{
		name: "66 repeated, empty and foreign values", send: get1("/x", "X-Many: a", "X-Many: b", "X-Many: a", "X-Empty:", "X-Bytes: caf\xe9 \xe2\x82\xac"),
		reply:     reply("200 OK", "", "X-Many: 1", "X-Many: 2", "X-Many: 1", "X-Empty:", "X-Bytes: \xff\xe9"),
		vendorHas: []string{"X-Many: a", "X-Many: b", "X-Many: a", "X-Empty: ", "X-Bytes: caf\xe9 \xe2\x82\xac"},
		clientHas: []string{"X-Many: 1", "X-Many: 2", "X-Many: 1", "X-Empty: ", "X-Bytes: \xff\xe9"},
	},
	{
		name: "67 nothing is invented", send: get1("/x", "X-Forwarded-For: 1.2.3.4", "Forwarded: for=1.2.3.4", "X-Forwarded-Email: me", "X-Real-Ip: 1.2.3.4"), reply: reply("200 OK", "<html>"),
		vendorLacks: []string{"X-Forwarded-Email", "X-Real-Ip", "User-Agent", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "Forwarded", "Via", "Accept-Encoding", "Content-Type", "Traceparent"},
		clientLacks: []string{"Content-Type", "Date", "Via", "Server"}, clientBody: "<html>",
	},
	{name: "68 Host is the target's", send: get1("/x"), vendorHas: []string{"Host: {V}"}},
	{name: "68 Host as configured", send: get1("/host"), vendorHas: []string{"Host: other.example", "X-Two: 1", "X-Two: 2"}},
	{
		name: "69 Date and Server of the vendor", send: get1("/x"), reply: reply("200 OK", "", "Date: Thu, 01 Jan 1970 00:00:00 GMT", "Server: theirs"),
		clientHas: []string{"Date: Thu, 01 Jan 1970 00:00:00 GMT", "Server: theirs"}, clientLacks: []string{"Via"},
	},
	{name: "70 100 headers of 60 KB", send: get1("/x", manyHeaders(100, 560)...), vendorHas: []string{manyHeaders(100, 560)[99]}},
	{name: "70 more lines than the limit", send: get1("/x", manyHeaders(300, 1)...), vendor: "-", client: "HTTP/1.1 431 "},
	{name: "70 more than the limit", send: get1("/x", manyHeaders(200, 560)...), vendor: "-", client: "HTTP/1.1 431 "},
	{
		name: "71 cookies stay apart", send: get1("/x"), reply: reply("200 OK", "", "Set-Cookie: a=1; Path=/", "Set-Cookie: b=2", "Set-Cookie: c=3"),
		clientHas: []string{"Set-Cookie: a=1; Path=/", "Set-Cookie: b=2", "Set-Cookie: c=3"},
	},
	{
		name: "72 both framings", send: request("POST", "/x", "{A}", "Content-Length: 5", "Transfer-Encoding: chunked") + "3\r\nabc\r\n0\r\n\r\n",
		vendor: "-", client: "HTTP/1.1 400 ",
	},
	{name: "72 two lengths", send: request("POST", "/x", "{A}", "Content-Length: 5", "Content-Length: 6") + "abcdef", vendor: "-", client: "HTTP/1.1 400 "},
	{name: "72 a list of lengths", send: request("POST", "/x", "{A}", "Content-Length: 5, 6") + "abcdef", vendor: "-", client: "HTTP/1.1 400 "},
	{name: "72 bare LF in a header", send: "GET /x HTTP/1.1\r\nHost: g\r\n{A}\nX: 1\r\n\r\n", vendor: "-", client: "HTTP/1.1 400 "},
	{name: "72 bare LF at the end of the head", send: "GET /x HTTP/1.1\r\nHost: g\r\n{A}\r\n\n", vendor: "-", client: "HTTP/1.1 400 "},
	{name: "72 space before a colon", send: "GET /x HTTP/1.1\r\nHost: g\r\n{A}\r\nX : 1\r\n\r\n", vendor: "-", client: "HTTP/1.1 400 "},
	{name: "73 configured headers win", send: get1("/x", "X-Api-Key: mine"), vendorHas: []string{"Authorization: Bearer " + vendorKey, "X-Api-Key: mine"}},
	{
		name: "73 safe list", send: post("/safe", "{}", "Content-Type: application/json", "Accept: */*", "User-Agent: me", "Idempotency-Key: i", "Anthropic-Version: 1", "X-Request-Id: r", "Cookie: a=1", "X-Other: 1", "X-Api-Key: mine", "Referer: http://r/", "Traceparent: 00-x"),
		vendorHas:   []string{"Content-Type: application/json", "Accept: */*", "User-Agent: me", "Idempotency-Key: i", "Anthropic-Version: 1", "X-Request-Id: r", "Content-Length: 2", "Authorization: Bearer " + vendorKey},
		vendorLacks: []string{"Cookie", "X-Other", "X-Api-Key", "Referer", "Traceparent"}, vendorBody: "{}",
	},
	{
		name: "73 none but the body's", send: post("/none", "{}", "Content-Type: application/json", "Accept: */*", "User-Agent: me", "Content-Encoding: identity"),
		vendorHas: []string{"Content-Type: application/json", "Content-Encoding: identity", "Content-Length: 2"}, vendorLacks: []string{"Accept", "User-Agent"}, vendorBody: "{}",
	},

	// URLs.
	{name: "75 path bytes", send: get1("/x/a%2Fb//c/../d%20e"), vendor: "GET /base/a%2Fb//c/../d%20e HTTP/1.1"},
	{name: "75 unusual path bytes", send: get1("/x/a|b\"c{d}^`<>\\%7e~é"), vendor: "GET /base/a|b\"c{d}^`<>\\%7e~é HTTP/1.1"},
	{name: "75 two slashes at a target without a path", send: get1("/root//a/b"), vendor: "GET //a/b HTTP/1.1"},
	{name: "76 query bytes", send: get1("/x?x=1;y=2&z&q=a+b%2B&a=%zz"), vendor: "GET /base?x=1;y=2&z&q=a+b%2B&a=%zz HTTP/1.1"},
	{name: "77 bare question mark", send: get1("/x/a?"), vendor: "GET /base/a? HTTP/1.1"},
	{name: "77 second question mark", send: get1("/x/a?b?c"), vendor: "GET /base/a?b?c HTTP/1.1"},
	{name: "77 fragment", send: get1("/x/a#b"), vendor: "-", client: "HTTP/1.1 400 "},
	{name: "77 absolute form", send: get1("http://anything.example/x/a?b"), vendor: "GET /base/a?b HTTP/1.1"},
	{name: "77 absolute form without a path", send: get1("http://anything.example"), vendor: "-", client: "HTTP/1.1 404 "},
	{name: "77 asterisk", send: request("OPTIONS", "*", "{A}"), vendor: "-", client: "HTTP/1.1 400 "},
	{name: "77 CONNECT", send: request("CONNECT", "vendor.example:443", "{A}"), vendor: "-", client: "HTTP/1.1 405 "},
	{name: "CONNECT with a path", send: request("CONNECT", "/x", "{A}"), vendor: "-", client: "HTTP/1.1 405 ", clientHas: []string{"Allow: DELETE, GET, HEAD, OPTIONS, PATCH, POST, PUT"}},
	{name: "TRACE would show the vendor's credential", send: request("TRACE", "/x", "{A}"), vendor: "-", client: "HTTP/1.1 405 "},
	{name: "trace in small letters", send: request("trace", "/x", "{A}"), vendor: "-", client: "HTTP/1.1 405 "},
	{name: "78 the prefix itself", send: get1("/x"), vendor: "GET /base HTTP/1.1"},
	{name: "78 the prefix with a slash", send: get1("/x/"), vendor: "GET /base/ HTTP/1.1"},
	{name: "78 not a segment", send: get1("/xy"), vendor: "-", client: "HTTP/1.1 404 "},
	{name: "79 the target's own query", send: get1("/query?a=1"), vendor: "GET /base?timeout=60&a=1 HTTP/1.1"},
	{name: "79 the target's own query alone", send: get1("/query/b"), vendor: "GET /base/b?timeout=60 HTTP/1.1"},
	{name: "80 encoded dots", send: get1("/x/%2e%2e/admin"), vendor: "-", client: "HTTP/1.1 400 "},
	{name: "80 dots", send: get1("/x/a/../../admin"), vendor: "-", client: "HTTP/1.1 400 "},
	{name: "81 by method: GET", send: get1("/m"), vendor: "GET /get HTTP/1.1"},
	{name: "81 by method: POST", send: post("/m", ""), vendor: "POST /post HTTP/1.1"},
	{name: "81 by method: neither", send: request("PUT", "/m", "{A}", "Content-Length: 0"), vendor: "-", client: "HTTP/1.1 405 ", clientHas: []string{"Allow: GET, POST"}},

	// Bodies.
	{
		name: "84 multipart", send: post("/x", "--b\r\nContent-Disposition: form-data; name=\"f\"\r\n\r\n\x00\xff\r\n--b--\r\n", "Content-Type: multipart/form-data; boundary=b"),
		vendorHas: []string{"Content-Type: multipart/form-data; boundary=b"}, vendorBody: "--b\r\nContent-Disposition: form-data; name=\"f\"\r\n\r\n\x00\xff\r\n--b--\r\n",
	},
	{
		name: "85 octets", send: post("/x", "\x00\x01\xfe\xff", "Content-Type: application/octet-stream"), reply: reply("200 OK", "\x00\xff\x00", "Content-Type: audio/mpeg"),
		vendorBody: "\x00\x01\xfe\xff", clientBody: "\x00\xff\x00",
	},
	{name: "86 invalid JSON", send: post("/x", `{"a":`, "Content-Type: application/json"), vendorBody: `{"a":`},
	{
		name: "88 JSON as it was written", send: post("/x", `{ "a":1.0,"a":1e3,"é":"\u00e9","n":1152921504606846976 }`),
		vendorBody: `{ "a":1.0,"a":1e3,"é":"\u00e9","n":1152921504606846976 }`,
	},
	{name: "89 empty POST", send: post("/x", ""), vendorHas: []string{"Content-Length: 0"}, vendorLacks: []string{"Transfer-Encoding"}},
	{name: "89 GET with a body", send: request("GET", "/x", "{A}", "Content-Length: 3") + "abc", vendorHas: []string{"Content-Length: 3"}, vendorBody: "abc"},

	// What the gateway itself answers.
	{name: "no key", send: request("GET", "/x"), vendor: "-", client: "HTTP/1.1 401 ", clientHas: []string{"X-Tollgate-Endpoint: x", "X-Tollgate-Cost: 0.00"}},
	{name: "unknown key", send: request("GET", "/x", "Authorization: Bearer tgk_nobody"), vendor: "-", client: "HTTP/1.1 401 "},
	{name: "upgrade", send: get1("/x", "Connection: Upgrade", "Upgrade: websocket"), vendor: "-", client: "HTTP/1.1 501 "},
	{name: "59 h2c upgrade is not taken and not passed on", send: get1("/x", "Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMAAABkAAQCAAAAAAIAAAAA"), vendorLacks: []string{"Upgrade", "HTTP2-Settings", "Connection"}},
	{name: "length over the limit", send: post("/small", "12345678901"), vendor: "-", client: "HTTP/1.1 413 "},
	{name: "length at the limit", send: post("/small", "1234567890"), vendorBody: "1234567890"},
	{name: "secret that cannot be read", send: get1("/unset"), vendor: "-", client: "HTTP/1.1 500 "},
	{name: "the gateway's own paths", send: get1("/-/elsewhere"), vendor: "-", client: "HTTP/1.1 404 "},
	{name: "health", send: request("GET", "/-/healthz"), vendor: "-", clientBody: "ok\n"},
	{name: "readiness", send: request("GET", "/-/readyz"), vendor: "-", clientBody: "ready\n"},
	{
		name: "names of ours that the vendor made up", send: get1("/free"), reply: reply("200 OK", "", "X-Tollgate-Anything: 1", "X-Tollgate-Budget-Remaining: 1"),
		clientLacks: []string{"X-Tollgate-Anything", "X-Tollgate-Budget-Remaining"},
	},
	{
		name: "underscores for dashes", send: get1("/own", "Authorization_: 1", "X_My_Key: mine", "X_Forwarded_For: 1.2.3.4", "Transfer_Encoding: chunked", "Content_Length: 5", "api_token: kept"),
		vendorHas: []string{"Api_token: kept"}, vendorLacks: []string{"X_Forwarded_For", "Transfer_Encoding", "Content_Length"},
	},
	{name: "underscores for a configured header", send: get1("/host", "X_Two: mine"), vendorHas: []string{"X-Two: 1", "X-Two: 2"}, vendorLacks: []string{"X_Two"}},
	{name: "204 with a length", send: get1("/x"), reply: "HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\nhello", client: "HTTP/1.1 204 ", clientLacks: []string{"Content-Length", "Transfer-Encoding"}},
	{name: "304 with a length", send: get1("/x"), reply: "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n", client: "HTTP/1.1 304 ", clientLacks: []string{"Transfer-Encoding"}},
	{
		name: "52 trailers stay here, both ways", send: request("POST", "/x", "{A}", "TE: trailers", "Trailer: X-End", "Transfer-Encoding: chunked") + "3\r\nabc\r\n0\r\nX-End: {K}\r\n\r\n",
		reply:      "HTTP/1.1 200 OK\r\nTrailer: X-Sum\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nX-Sum: 1\r\n\r\n",
		vendorBody: "abc", vendorLacks: []string{"Trailer", "X-End"}, clientLacks: []string{"Trailer", "X-Sum"}, clientBody: "ok",
	},
	{
		name: "headers of ours replace the vendor's", send: get1("/x"), reply: reply("200 OK", "", "X-Tollgate-Cost: 99", "X-Tollgate-Endpoint: forged", "X-Tollgate-Request-Id: forged", "X-Tollgate-Budget-Remaining: 1", "Server-Timing: db"),
		clientHas: []string{"X-Tollgate-Cost: 2.00", "X-Tollgate-Endpoint: x", "X-Tollgate-Budget-Remaining: 98.00"},
	},
	{name: "free", send: get1("/free"), clientHas: []string{"X-Tollgate-Cost: 0.00"}, clientLacks: []string{"X-Tollgate-Budget-Remaining"}},
}

func manyHeaders(n, size int) []string {
	out := make([]string, n)
	for i := range out {
		out[i] = fmt.Sprintf("X-H%d: %s", i, strings.Repeat("v", size))
	}
	return out
}

// Guarantee: what is named by each case of the forwarding checks, byte for byte on both sides.
func TestConformance(t *testing.T) {
	t.Parallel()
	for _, tc := range conformances {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			if tc.reply == "" {
				tc.reply = okReply
				if tc.clientBody == "" && tc.vendor != "-" && !strings.HasPrefix(tc.send, "HEAD") {
					tc.clientBody = "ok"
				}
			}
			if tc.client == "" {
				tc.client = "HTTP/1.1 200 "
			}
			got := b.vendor.answer(tc.reply)
			fill := strings.NewReplacer("{A}", "Authorization: Bearer "+testKey, "{K}", testKey, "{V}", b.vendor.addr)

			c := b.dial()
			c.send("%s", fill.Replace(tc.send))
			method, _, _ := strings.Cut(tc.send, " ")
			m := c.answer(method)
			if m.err != nil || !strings.HasPrefix(m.first, tc.client) {
				t.Errorf("caller got %q and %v, want %s\n%s", m.first, m.err, tc.client, m.body)
			}
			checkHeaders(t, "caller", m, tc.clientHas, tc.clientLacks)
			if tc.clientBody != "" && m.body != tc.clientBody {
				t.Errorf("caller got the body %q, want %q", m.body, tc.clientBody)
			}
			if strings.Contains(m.body+strings.Join(m.headers, "\n"), vendorKey) {
				t.Error("the vendor's credential reached the caller")
			}

			if tc.vendor == "-" {
				select {
				case v := <-got:
					t.Errorf("the vendor got %q", v.first)
				default:
				}
				return
			}
			v := receive(t, got, "request at the vendor")
			if tc.vendor != "" && v.first != tc.vendor {
				t.Errorf("vendor got %q, want %q", v.first, tc.vendor)
			}
			has := make([]string, len(tc.vendorHas))
			for i, h := range tc.vendorHas {
				has[i] = fill.Replace(h)
			}
			checkHeaders(t, "vendor", v, has, tc.vendorLacks)
			if v.body != tc.vendorBody || v.err != nil {
				t.Errorf("vendor got the body %q and %v, want %q", v.body, v.err, tc.vendorBody)
			}
			if strings.Contains(v.first+strings.Join(v.headers, "\n"), testKey) {
				t.Errorf("the key reached the vendor: %q %q", v.first, v.headers)
			}
		})
	}
}

// checkHeaders compares lines by name, in the order within each name. Lines of a name that has lists
// must be all of that name.
func checkHeaders(t *testing.T, who string, m message, has, lacks []string) {
	t.Helper()
	want := map[string][]string{}
	for _, h := range has {
		name, value, _ := strings.Cut(h, ":")
		want[name] = append(want[name], strings.TrimSpace(value))
	}
	for name, values := range want {
		if got := all(m.headers, name); !slices.Equal(got, values) {
			t.Errorf("%s got %s: %q, want %q", who, name, got, values)
		}
	}
	for _, name := range lacks {
		if got := all(m.headers, name); len(got) > 0 {
			t.Errorf("%s got %s: %q, want none", who, name, got)
		}
	}
}
