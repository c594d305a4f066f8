package fastlane

import (
	"bufio"
	"errors"
	"io"
	"math"
	"net/http"
	"time"

	"tollgate/edge/proxy"
	"tollgate/edge/proxy/nethttp"
)

// odd is an answer that the lane's own codec will not vouch for: net/http reads it, from what was read and the connection, which is
// not used again.
type odd struct {
	from     limitedWire
	response *http.Response
	buf      []byte
	ended    bool
}

// limitedWire reads a connection up to a limit.
type limitedWire struct {
	wire *wire
	left int64
}

var errLargeHead = errors.New("headers exceeded the limit")

func (l *limitedWire) Read(p []byte) (int, error) {
	if l.left <= 0 {
		return 0, errLargeHead
	}
	if len(l.wire.bytes()) == 0 {
		if err := l.wire.fill(len(p)); err != nil {
			return 0, err
		}
	}
	n := copy(p[:min(int64(len(p)), l.left)], l.wire.bytes())
	l.wire.consume(n)
	l.left -= int64(n)
	return n, nil
}

// unusable is an answer that cannot be passed on, and why.
type unusable struct{ text string }

func (e *unusable) Error() string { return e.text }

// readOdd reads the head of such an answer, after so many that came before it.
func (c *targetConn) readOdd(client *Client, interims int) error {
	c.odd = &odd{from: limitedWire{&c.wire, 0}}
	in := bufio.NewReader(&c.odd.from)
	for {
		c.odd.from.left = client.cfg.MaxHeader
		response, err := http.ReadResponse(in, &http.Request{Method: c.a.Method}) //nolint:bodyclose // the connection ends with it
		if err != nil {
			if c.odd.from.left <= 0 {
				err = errLargeHead
			}
			return err
		}
		if status := response.StatusCode; status >= 100 && status < 200 && status != http.StatusSwitchingProtocols {
			if interims++; interims > maxInterims {
				return errInterims
			}
			c.interim(status, nethttp.HeadersOf(response))
			continue
		}
		if text := nethttp.Unusable(response, c.a, client.cfg.MaxLines); text != "" {
			return &unusable{text}
		}
		c.odd.from.left = math.MaxInt64
		c.odd.response = response
		return nil
	}
}

func (o *odd) answer(out *proxy.Answer) {
	r := o.response
	out.Status, out.Headers, out.Length = r.StatusCode, nethttp.HeadersOf(r), r.ContentLength
	if len(r.TransferEncoding) > 0 {
		out.Trailers = func() []proxy.Header { return nethttp.TrailersOf(r) }
	}
}

func (o *odd) over() bool { return o.ended }

// next is a piece of the body, in memory that the answer has for it.
func (o *odd) next(c *targetConn, longest time.Duration) ([]byte, error) {
	if o.buf == nil {
		o.buf = make([]byte, littleBuffer)
	}
	if longest > 0 {
		c.alarm.set(moment(), longest)
	}
	n, err := o.read(c, o.buf)
	if longest > 0 && !c.alarm.clear() {
		c.stop(errSilent) // if the alarm comes late
		if err == nil {
			err = errSilent
		}
	}
	return o.buf[:n], err
}

func (o *odd) read(c *targetConn, p []byte) (int, error) {
	n, err := o.response.Body.Read(p)
	if err != nil {
		o.ended = true
		if cause := c.why(); cause != nil && !errors.Is(err, io.EOF) {
			err = cause
		}
	}
	return n, err
}
