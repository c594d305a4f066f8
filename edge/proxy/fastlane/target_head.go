package fastlane

import (
	"net/http"
	"strconv"
	"strings"

	"golang.org/x/net/http/httpguts"

	"tollgate/edge/proxy"
	"tollgate/edge/proxy/http1"
)

// plain says whether an attempt is one that the lane can make, but for what its head says.
func plain(a *proxy.Attempt) bool {
	switch a.Method {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodOptions:
	default:
		return false
	}
	if a.Upgrade != "" || a.Continue || a.Body != nil && a.Length <= 0 {
		return false
	}
	// The general lane has other forms for what could be taken for an authority, and its own words for what is no path.
	if len(a.URI) == 0 || a.URI[0] != '/' || strings.HasPrefix(a.URI, "//") {
		return false
	}
	return true
}

// headSize is about how long the head of an attempt is, and not less.
func headSize(a *proxy.Attempt, host string) int {
	n := len(a.Method) + len(a.URI) + len(host) + len("  HTTP/1.1\r\nHost: \r\nContent-Length: \r\n\r\n") + 20
	for i := range a.Headers {
		n += len(a.Headers[i].Name) + len(a.Headers[i].Value) + len(": \r\n")
	}
	return n
}

// appendHead appends the head of an attempt, as the general lane would write it but for the spelling and the order of headers.
// Without ok it is one that only the general lane can write, or say what is wrong with.
func appendHead(dst []byte, a *proxy.Attempt, host string) (head []byte, ok bool) {
	if !httpguts.ValidHostHeader(host) || strings.IndexByte(host, '%') >= 0 || !visible(a.URI) {
		return dst, false
	}
	dst = http1.AppendRequest(dst, a.Method, a.URI, host)
	agent := false
	for i := range a.Headers {
		h := &a.Headers[i]
		if !http1.ValidHeader(h.Name, h.Value) {
			return dst, false
		}
		switch frames(h.Name) {
		case framesNothing:
		case framesMessage:
			return dst, false
		case namesProgram:
			// The general lane writes one, and none that is empty.
			if agent || h.Value == "" {
				continue
			}
			agent = true
		case framesBody:
			continue
		}
		dst = http1.AppendHeader(dst, h.Name, strings.Trim(h.Value, " \t"))
	}
	if a.Body != nil || states(a) {
		dst = append(dst, "Content-Length: "...)
		length := a.Length
		if a.Body == nil {
			length = 0
		}
		dst = append(strconv.AppendInt(dst, length, 10), "\r\n"...)
	}
	return append(dst, "\r\n"...), true
}

// states says whether a request without a body states so.
func states(a *proxy.Attempt) bool {
	switch a.Method {
	case http.MethodPost, http.MethodPut, http.MethodPatch:
		return true // many servers want it
	case http.MethodGet, http.MethodHead:
		return false
	default:
		return a.EmptyBody
	}
}

// What a header is about.
type about uint8

const (
	framesNothing about = iota
	framesBody          // which the attempt says by itself
	framesMessage       // or the connection, in a way that is not the lane's
	namesProgram
)

func frames(name string) about {
	switch len(name) {
	case len("Host"):
		if strings.EqualFold(name, "Host") {
			return framesBody
		}
	case len("Expect"):
		if strings.EqualFold(name, "Expect") {
			return framesMessage
		}
	case len("Upgrade"): // and Trailer
		if strings.EqualFold(name, "Upgrade") {
			return framesMessage
		}
		if strings.EqualFold(name, "Trailer") {
			return framesBody
		}
	case len("Connection"): // and User-Agent
		if strings.EqualFold(name, "Connection") {
			return framesMessage
		}
		if strings.EqualFold(name, "User-Agent") {
			return namesProgram
		}
	case len("Content-Length"):
		if strings.EqualFold(name, "Content-Length") {
			return framesBody
		}
	case len("Transfer-Encoding"):
		if strings.EqualFold(name, "Transfer-Encoding") {
			return framesBody
		}
	}
	return framesNothing
}

// visible says whether s is all of visible ASCII.
func visible(s string) bool {
	for i := range len(s) {
		if s[i] <= ' ' || s[i] >= 0x7f {
			return false
		}
	}
	return true
}
