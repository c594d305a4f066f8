package proxy

import (
	"fmt"
	"strings"
)

const okReply = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

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
