package replay

import (
	"fmt"
	"slices"
	"strings"

	"pgregory.net/rapid"
)

// smuggled is what an attacker wants a target to take for a request.
const smuggled = "GET /base/smuggled HTTP/1.1\r\nHost: h\r\n\r\n"

// seldom draws the first of some alternatives, which is the sound one, nine times out of ten.
func seldom[T any](t *rapid.T, label string, sound T, others ...T) T {
	if rapid.IntRange(0, 9).Draw(t, label+"?") < 9 {
		return sound
	}
	return rapid.SampledFrom(others).Draw(t, label)
}

// lineEnd is nearly always the right one.
func lineEnd(t *rapid.T) string {
	if rapid.IntRange(0, 49).Draw(t, "end?") < 49 {
		return "\r\n"
	}
	return rapid.SampledFrom([]string{"\n", "\r", "\r\r\n", " \r\n", "\n\r\n", "\x00\r\n", "\r\n ", "\x0b\r\n"}).Draw(t, "end")
}

// ambiguous draws a request that servers may disagree about, most often in one place or in none. Its path
// has a number by which it is known again.
func ambiguous(t *rapid.T, n int) string {
	path := fmt.Sprintf("/x/%d", n)
	target := seldom(t, "target", path, path+"?a=1&b=%zz;c", path+"//a", "/x//"+path[3:], path+"/%2e%2e/b", path+"/../../b", path+"/a%2Fb", "http://h"+path,
		"http://h:1@i"+path, "//h"+path, path+"#f", path+"\x00", path+"%0d%0aX:%20y", path+" HTTP/1.1\r\nX: y", path+"\tb", path+"\x80", "*", "h:80", "")
	method := seldom(t, "method", rapid.SampledFrom([]string{"GET", "POST", "PUT", "DELETE", "HEAD", "OPTIONS"}).Draw(t, "usual"),
		"get", "PURGE", "M-SEARCH", "G\x00T", "GE T", " GET", "G:T", "CONNECT", "TRACE", "", "\r\nPOST", "\nPOST", "PRI")
	version := seldom(t, "version", "HTTP/1.1", "HTTP/1.0", "HTTP/1.0", "HTTP/0.9", "HTTP/2.0", "HTTP/1.2", "HTTP/1.1 ", "http/1.1", "HTTP/01.1", "")
	lines := []string{method + " " + target + " " + version, seldom(t, "host", "Host: g", "Host: g\r\nHost: h", "X: y", "host:g", "Host: g/x", "Host:"), "Authorization: Bearer " + key}

	body := rapid.SampledFrom([]string{"", "abc", smuggled, "0\r\n\r\n" + smuggled, "5\r\nabcde\r\n0\r\n\r\n", strings.Repeat("a", 300)}).Draw(t, "body")
	var framings []string
	if rapid.Bool().Draw(t, "chunked") {
		body = chunks(t, body)
		framings = append(framings, codingName(t)+codingValue(t))
	} else if body != "" {
		framings = append(framings, lengthName(t)+lengthValue(t, len(body)))
	}
	switch seldom(t, "more", "", "length", "coding", "both", "same") {
	case "length":
		framings = append(framings, lengthName(t)+lengthValue(t, rapid.IntRange(0, len(body)).Draw(t, "other length")))
	case "coding":
		framings = append(framings, codingName(t)+codingValue(t))
	case "both":
		framings = append(framings, lengthName(t)+lengthValue(t, len(body)), codingName(t)+codingValue(t))
	case "same":
		framings = append(framings, framings...)
	}
	if len(framings) > 1 && rapid.Bool().Draw(t, "turned") {
		slices.Reverse(framings)
	}
	lines = append(lines, framings...)
	lines = append(lines, seldom(t, "other", "X-A: b", "X-A: b\r\n c", "X-A: a\rb", "X-A: a\x00b", "X-A", ": b", "X A: b", "X-A: \xff", "X-A:", "Connection: close, Content-Length",
		"Connection: Transfer-Encoding", "Connection: keep-alive", "Trailer: Content-Length", "Upgrade: h2c\r\nConnection: upgrade, HTTP2-Settings\r\nHTTP2-Settings: AAA", "Expect: 100-continue", "TE: trailers, chunked", "Content_Length: 99",
		"Content-Length\x00: 3", "X-Pass-Content-Length: 7", "Transfer-Encoding\r\n : chunked", "X: "+strings.Repeat("b", 300)))
	var out strings.Builder
	for _, l := range lines {
		out.WriteString(l + lineEnd(t))
	}
	out.WriteString(lineEnd(t) + body)
	return out.String()
}

func lengthName(t *rapid.T) string {
	return seldom(t, "length name", "Content-Length: ", "content-length:", "Content-Length : ", "Content-Length\t: ", " Content-Length: ", "Content_Length: ", "Content-Length:\t", "Content-Length:\r\n ", "X:\nContent-Length: ", "X:\rContent-Length: ")
}

func lengthValue(t *rapid.T, n int) string {
	d := fmt.Sprint(n)
	return seldom(t, "length", d, "+"+d, "-"+d, "0"+d, d+" ", d+","+d, d+", "+d, d+"\x0b", d+"\x00", "0x"+d, d+".0", d+"e0", `"`+d+`"`, "", "18446744073709551616", d+" "+d, d+";a")
}

func codingName(t *rapid.T) string {
	return seldom(t, "coding name", "Transfer-Encoding: ", "transfer-encoding:", "Transfer-Encoding : ", " Transfer-Encoding: ", "Transfer_Encoding: ", "Transfer-Encoding:\x0b", "Transfer-Encoding:\r\n\t", "X:\nTransfer-Encoding: ", "Transfer-Encoding\x00: ")
}

func codingValue(t *rapid.T) string {
	return seldom(t, "coding", "chunked", "Chunked", "chunked ", "\tchunked", "xchunked", "chunked, identity", "identity, chunked", "identity", "gzip, chunked", "chunked, chunked", "chunked\x00", `"chunked"`, "chunked;q=1", "", ",chunked", "chu\xffnked")
}

// chunks frames a body.
func chunks(t *rapid.T, body string) string {
	var out strings.Builder
	for len(body) > 0 {
		n := rapid.IntRange(1, len(body)).Draw(t, "chunk")
		size := seldom(t, "size", fmt.Sprintf("%x", n), fmt.Sprintf("%X", n), fmt.Sprintf("0%x", n), fmt.Sprintf("0x%x", n), fmt.Sprintf("+%x", n), fmt.Sprintf(" %x", n), fmt.Sprintf("%x ", n), fmt.Sprintf("%x", n+1), fmt.Sprintf("%x", n-1),
			fmt.Sprintf("1000000000000000%x", n), fmt.Sprintf("%x\x00", n), "-1", "")
		extension := seldom(t, "extension", "", ";a", ";a=b", `;a="b;c"`, ";a=\n", ";a\r", "; a = b", ";"+strings.Repeat("a", 200), " ;a", ";\x00")
		out.WriteString(size + extension + lineEnd(t) + body[:n] + lineEnd(t))
		body = body[n:]
	}
	out.WriteString(seldom(t, "last", "0", "00", "0;a=b", "000000000000000000", "0x0", " 0", "") + lineEnd(t))
	out.WriteString(seldom(t, "trailer", "", "X-Sum: 1\r\n", "Content-Length: 5\r\n", "Transfer-Encoding: chunked\r\n", "Host: other\r\n", "Authorization: Bearer x\r\n", "X: a\r\n b\r\n", "X: a\nGET /base/smuggled HTTP/1.1\r\n", "X\r\n", smuggled))
	out.WriteString(lineEnd(t))
	return out.String()
}
