package vendor

import (
	"bufio"
	"bytes"
	"errors"
	"strconv"
)

// errUnserved is that of a request which no load sends and no proxy should make of one.
var errUnserved = errors.New("not served")

// request is what a head says that matters here.
type request struct {
	what      string // last segment of the path
	length    int
	socketKey string
}

// readHead reads up to the empty line.
func readHead(in *bufio.Reader) (request, error) {
	var r request
	line, err := in.ReadSlice('\n')
	if err != nil {
		return r, err
	}
	parts := bytes.Fields(line)
	if len(parts) != 3 {
		return r, errUnserved
	}
	path, _, _ := bytes.Cut(parts[1], []byte("?"))
	r.what = intern(path[bytes.LastIndexByte(path, '/')+1:])
	for {
		line, err := in.ReadSlice('\n')
		if err != nil {
			return r, err
		}
		line = bytes.TrimRight(line, "\r\n")
		if len(line) == 0 {
			return r, nil
		}
		name, value, _ := bytes.Cut(line, []byte(":"))
		switch len(name) { // most are told by it alone
		case len("Content-Length"):
			if bytes.EqualFold(name, []byte("Content-Length")) {
				if r.length, err = strconv.Atoi(string(bytes.TrimSpace(value))); err != nil || r.length < 0 {
					return r, errUnserved
				}
			}
		case len("Transfer-Encoding"):
			if bytes.EqualFold(name, []byte("Transfer-Encoding")) || bytes.EqualFold(name, []byte("Sec-WebSocket-Key")) {
				if name[0]|0x20 == 't' {
					return r, errUnserved
				}
				r.socketKey = string(bytes.TrimSpace(value))
			}
		}
	}
}

// intern is text as a string, without an allocation where it names what is served.
func intern(text []byte) string {
	for _, one := range [...]string{Small, Large, Upload, Paced, AtOnce, Silent, Socket} {
		if string(text) == one {
			return one
		}
	}
	return ""
}
