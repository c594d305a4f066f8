package vendor

import (
	"bytes"
	"io"
	"log"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
)

// Field is one header line.
type Field struct{ Name, Value string }

// Request is what came over the wire.
type Request struct {
	Method string
	URI    string // the request target, byte for byte
	Proto  string
	Host   string

	// Header has the lines in the order and the spelling they came in, Host
	// included. Over HTTP/2 and TLS it is sorted and without Host instead.
	Header  []Field
	Body    []byte // decoded from chunks
	BodyErr error  // why the body ended before its end
	Trailer http.Header
	Remote  string // the client's end of the connection
}

// Get is the first value of a header, whatever its case; empty if absent.
func (r Request) Get(name string) string {
	if all := r.Values(name); len(all) > 0 {
		return all[0]
	}
	return ""
}

// Values are all values of a header in their order.
func (r Request) Values(name string) []string {
	var all []string
	for _, f := range r.Header {
		if strings.EqualFold(f.Name, name) {
			all = append(all, f.Value)
		}
	}
	return all
}

// Has says whether a header is there, even if empty.
func (r Request) Has(name string) bool { return r.Values(name) != nil }

// recorded is a request that may still be arriving.
type recorded struct {
	mu  sync.Mutex // guards req
	req Request
	tap *tapConn
}

func newRecorded(r *http.Request) *recorded {
	rec := &recorded{req: Request{Method: r.Method, URI: r.RequestURI, Proto: r.Proto, Host: r.Host, Remote: r.RemoteAddr}}
	if t, ok := r.Context().Value(tapKey{}).(*tapConn); ok && r.ProtoMajor == 1 {
		rec.req.Header = t.head(r.Method + " " + r.RequestURI + " ")
		rec.tap = t
	}
	if rec.req.Header == nil {
		for name, values := range r.Header {
			for _, v := range values {
				rec.req.Header = append(rec.req.Header, Field{name, v})
			}
		}
		slices.SortStableFunc(rec.req.Header, func(a, b Field) int { return strings.Compare(a.Name, b.Name) })
	}
	return rec
}

// Write adds to the body.
func (rec *recorded) Write(p []byte) (int, error) {
	rec.mu.Lock()
	defer rec.mu.Unlock()
	rec.req.Body = append(rec.req.Body, p...)
	return len(p), nil
}

func (rec *recorded) end(r *http.Request, err error) {
	rec.mu.Lock()
	defer rec.mu.Unlock()
	rec.req.Trailer, rec.req.BodyErr = r.Trailer.Clone(), err
	if rec.tap != nil {
		rec.tap.skip(len(rec.req.Body))
	}
}

func (rec *recorded) snapshot() Request {
	rec.mu.Lock()
	defer rec.mu.Unlock()
	r := rec.req
	r.Header, r.Body = slices.Clone(r.Header), bytes.Clone(r.Body)
	return r
}

// tapListener notes what connections receive: net/http keeps headers in a map,
// which has lost their order and spelling.
type tapListener struct{ net.Listener }

func (l tapListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &tapConn{Conn: c}, nil
}

type tapKey struct{}

type tapConn struct {
	net.Conn
	mu  sync.Mutex // guards raw
	raw []byte     // received and not yet accounted for
}

// maxRaw bounds what is kept of a body that is not read through a request.
const maxRaw = 1 << 20

func (c *tapConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.mu.Lock()
	if c.raw = append(c.raw, p[:n]...); len(c.raw) > 2*maxRaw {
		c.raw = slices.Clone(c.raw[len(c.raw)-maxRaw:])
	}
	c.mu.Unlock()
	return n, err
}

// head takes the header lines of the request that begins with start.
func (c *tapConn) head(start string) []Field {
	c.mu.Lock()
	defer c.mu.Unlock()
	_, rest, ok := bytes.Cut(c.raw, []byte(start))
	if !ok {
		return nil
	}
	head, body, ok := bytes.Cut(rest, []byte("\r\n\r\n"))
	if !ok {
		return nil
	}
	c.raw = body
	_, lines, _ := strings.Cut(string(head), "\r\n") // without the request line
	fields := []Field{}
	for line := range strings.SplitSeq(lines, "\r\n") {
		if name, value, ok := strings.Cut(line, ":"); ok {
			fields = append(fields, Field{name, strings.Trim(value, " \t")})
		}
	}
	return fields
}

// skip drops a body of n bytes, so that a request line quoted in it is not
// taken for one. What chunking adds may stay; it looks like no request line.
func (c *tapConn) skip(n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.raw = c.raw[min(n, len(c.raw)):]
}

// quiet drops net/http's own log: broken connections are what tests ask for.
func quiet() *log.Logger { return log.New(io.Discard, "", 0) }
