package http1

import (
	"strings"
	"testing"
)

var (
	benchRequest = []byte("POST /openai/v1/chat/completions?stream=true HTTP/1.1\r\nHost: gateway.example.com\r\n" +
		"User-Agent: OpenAI/Python 1.99.1\r\nAccept: application/json\r\nAccept-Encoding: gzip, deflate\r\nConnection: keep-alive\r\n" +
		"Authorization: Bearer tg_live_0123456789abcdefghijklmnopqrstuvwxyz\r\nContent-Type: application/json\r\nContent-Length: 1024\r\n" +
		"X-Stainless-Lang: python\r\nX-Stainless-Package-Version: 1.99.1\r\nX-Stainless-Os: Linux\r\nX-Stainless-Runtime: CPython\r\n\r\n")
	benchResponse = []byte("HTTP/1.1 200 OK\r\nDate: Mon, 23 Nov 2026 10:00:00 GMT\r\nContent-Type: application/json\r\nContent-Length: 1536\r\n" +
		"Connection: keep-alive\r\nX-Request-Id: req_0123456789abcdef\r\nX-Ratelimit-Remaining-Requests: 4999\r\nServer: vendor\r\n" +
		"Strict-Transport-Security: max-age=31536000; includeSubDomains\r\n\r\n")
)

func BenchmarkParseRequest(b *testing.B) {
	b.SetBytes(int64(len(benchRequest)))
	b.ReportAllocs()
	var r Request
	for b.Loop() {
		if _, v := r.Parse(benchRequest, Limits{64 << 10, 256}); v != Plain {
			b.Fatal(v)
		}
	}
}

func BenchmarkParseResponse(b *testing.B) {
	b.SetBytes(int64(len(benchResponse)))
	b.ReportAllocs()
	var r Response
	for b.Loop() {
		if _, v := r.Parse(benchResponse, "POST", Limits{64 << 10, 256}); v != Plain {
			b.Fatal(v)
		}
	}
}

func BenchmarkChunks(b *testing.B) {
	body := []byte(strings.Repeat("64\r\n"+strings.Repeat("x", 100)+"\r\n", 100) + "0\r\n\r\n")
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	var c Chunks
	for b.Loop() {
		c.Reset()
		for rest := body; ; {
			_, n, err := c.Next(rest)
			if rest = rest[n:]; err != nil {
				break
			}
		}
		if c.part != inNothing {
			b.Fatal("not at the end")
		}
	}
}

func BenchmarkAppendHeader(b *testing.B) {
	b.ReportAllocs()
	var r Request
	r.Parse(benchRequest, Limits{})
	buf := make([]byte, 0, 4096)
	for b.Loop() {
		buf = AppendRequest(buf[:0], r.Method, r.Target, r.Host)
		for _, h := range r.Headers {
			buf = AppendHeader(buf, h.Name, h.Value)
		}
	}
}
