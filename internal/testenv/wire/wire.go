// Package wire reads HTTP/1.1 requests out of bytes in two ways that owe nothing to net/http: as strictly as
// RFC 9112 allows, and as leniently as the worst servers do. Tests use it to find bytes that two servers
// would take for different requests.
//
// It judges only how requests are framed: where each begins and ends. It is no server, and never meant to
// be quick.
package wire

import (
	"errors"
	"io"
	"strings"
)

// Header is one header line.
type Header struct{ Name, Value string }

// Request is a request as one of the readers sees it.
type Request struct {
	Method, Target, Proto string
	Headers               []Header
	Body                  string
}

// Same says whether two readers saw the same request.
func (r *Request) Same(o *Request) bool {
	return r.Method == o.Method && r.Target == o.Target && r.Body == o.Body
}

// Values are the values of the headers of a name.
func (r *Request) Values(name string) []string {
	var out []string
	for _, h := range r.Headers {
		if strings.EqualFold(h.Name, name) {
			out = append(out, h.Value)
		}
	}
	return out
}

// ErrInvalid is what a reader has no reading for.
var ErrInvalid = errors.New("not a request")

// Reader takes the first request off data. The error is ErrInvalid, io.EOF where there is nothing, or
// io.ErrUnexpectedEOF where the request has no end.
type Reader func(data string) (r Request, rest string, err error)

// All reads until there is an error, which is nil at the end of data.
func All(read Reader, data string) (all []Request, err error) {
	for {
		r, rest, err := read(data)
		if errors.Is(err, io.EOF) {
			return all, nil
		}
		if err != nil {
			return all, err
		}
		all, data = append(all, r), rest
	}
}
