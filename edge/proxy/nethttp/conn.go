package nethttp

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"sync/atomic"
	"time"

	"tollgate/internal/fault"
)

// errFraming ends a connection whose caller sends what is refused. It makes net/http answer 400, which
// becomes the answer with the reason.
var errFraming = errors.New("the request can be read in two ways or is too large")

// strictListener refuses requests about whose end two servers might not agree, which is what request
// smuggling is made of. net/http takes a line that ends in LF alone, a header that is folded over two
// lines, and chunks beside a length; so do some proxies and not others. It also limits how large a head
// is, and of how many lines, each of which costs memory however short it is.
//
// TLS is made here as well, below net/http, because the framing is in what was encrypted. To net/http
// every connection is one without TLS: it then finds HTTP/2 by its preface on both kinds, and one
// server on one listener serves all versions. What it would otherwise check of TLS is checked here.
type strictListener struct {
	net.Listener
	limits limits
	tls    *tls.Config   // nil for none
	wait   time.Duration // for a handshake
	log    *slog.Logger
}

func (l strictListener) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	c := &strictConn{Conn: conn, framing: framing{limits: l.limits}, wait: l.wait, log: l.log}
	if begun, ok := conn.(*Begun); ok {
		begun.open(c)
		return c, nil
	}
	if l.tls != nil {
		c.tls = tls.Server(conn, l.tls)
		c.Conn = c.tls
	}
	return c, nil
}

// strictConn follows the framing of what it reads. It changes nothing; where it and the server
// disagreed about a body, a good request would be refused and none let through. The preface of HTTP/2
// ends this, and so does a request to switch to another protocol.
type strictConn struct {
	net.Conn
	tls     *tls.Conn // of Conn; nil without
	framing framing
	wait    time.Duration
	log     *slog.Logger

	opened bool   // it is known which version is spoken
	head   []byte // what was read to find out, and is still to be handed over
	h2     bool   // HTTP/2 is spoken; nothing is followed

	err     error        // returned when the bytes before it were taken
	reason  *fault.Error // for err
	told    bool         // err was returned, so that it can be why net/http refuses
	serving bool         // an exchange runs, so that what is written is its answer
	opaque  atomic.Bool  // what comes is another protocol's, or nothing
	broken  atomic.Bool
}

// prefaceOfHTTP2 is what a caller who knows that HTTP/2 is spoken here begins with.
const prefaceOfHTTP2 = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

func (c *strictConn) Read(p []byte) (int, error) {
	if !c.opened {
		if err := c.open(); err != nil {
			return 0, err
		}
	}
	if c.err != nil {
		c.told = true
		return 0, c.err
	}
	n, err := c.next(p)
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, os.ErrDeadlineExceeded) {
		c.broken.Store(true) // by a reset: the caller has not just closed its sending side
	}
	if c.h2 {
		return n, err
	}
	good := c.framing.follow(p[:n])
	if c.framing.part == inOpaque {
		c.opaque.Store(true)
	}
	if good == n {
		return n, err
	}
	c.err = errFraming
	if c.framing.excess {
		c.reason = c.framing.limits.tooLarge()
	} else {
		c.reason = malformed("Two servers could read the request in two ways: %s.", c.framing.why)
	}
	if good == 0 {
		c.told = true
		return 0, c.err
	}
	return good, nil
}

// next reads from what was kept, then from the connection.
func (c *strictConn) next(p []byte) (int, error) {
	if len(c.head) == 0 {
		return c.Conn.Read(p)
	}
	n := copy(p, c.head)
	if c.head = c.head[n:]; len(c.head) == 0 {
		c.head = nil
	}
	return n, nil
}

// open makes TLS, and finds out which version of HTTP follows. It keeps what is the beginning of a
// preface until it is known to be one. The read deadline is that of the first request's head.
func (c *strictConn) open() error {
	allowed, demanded := true, false
	if c.tls != nil {
		if err := c.handshake(); err != nil {
			c.opened, c.err = true, io.EOF // net/http answers nothing then
			return c.err
		}
		// Over TLS the two sides have agreed on a version before the first byte of it.
		demanded = c.tls.ConnectionState().NegotiatedProtocol == protoH2
		allowed = demanded
	}
	var buf [len(prefaceOfHTTP2)]byte
	have := 0
	for {
		n, err := c.Conn.Read(buf[have:])
		have += n
		same := have <= len(prefaceOfHTTP2) && string(buf[:have]) == prefaceOfHTTP2[:have]
		switch {
		case same && have == len(prefaceOfHTTP2) && allowed:
			c.h2 = true
		case same && allowed && err == nil:
			continue
		case err != nil && have == 0:
			return err
		case demanded:
			c.opened, c.err = true, io.EOF
			return c.err
		}
		c.opened, c.head = true, append(c.head, buf[:have]...)
		return nil
	}
}

// Names of versions in TLS.
const (
	protoH2 = "h2"
	protoH1 = "http/1.1"
)

func (c *strictConn) handshake() error {
	if c.wait > 0 {
		if err := c.SetWriteDeadline(time.Now().Add(c.wait)); err != nil {
			return fmt.Errorf("set deadline: %w", err)
		}
	}
	// The context is that of no request: closing the connection ends the handshake.
	err := c.tls.HandshakeContext(context.Background())
	if err != nil {
		if plain, ok := errors.AsType[tls.RecordHeaderError](err); ok && plain.Conn != nil && looksLikeHTTP(plain.RecordHeader) {
			c.Conn, c.tls = plain.Conn, nil
			c.refuse(malformed("This address takes HTTPS, and the request came without TLS.").WithHint("Send the request to https://…"))
		}
		c.log.Debug("no TLS with a caller", "remote", c.RemoteAddr().String(), "err", err)
		return err
	}
	return c.SetWriteDeadline(time.Time{})
}

func looksLikeHTTP(record [5]byte) bool {
	switch string(record[:]) {
	case "GET /", "HEAD ", "POST ", "PUT /", "OPTIO", "PATCH", "DELET", "PRI *":
		return true
	}
	return false
}

// Write sends what is the answer of an exchange. Outside of one, net/http itself refuses what it could
// not read, with a text that becomes an error of the catalogue.
func (c *strictConn) Write(p []byte) (int, error) {
	if c.serving || c.h2 {
		return c.Conn.Write(p)
	}
	reason := refusalOf(p)
	if c.told && c.reason != nil && bytes.HasPrefix(p, []byte("HTTP/1.1 400 Bad Request\r\n")) {
		reason = c.reason
	}
	c.refuse(reason)
	return len(p), nil
}

// refuse answers with an error and ends the sending side. It takes what the caller still sends, so
// that the caller sees the answer and not a reset.
func (c *strictConn) refuse(f *fault.Error) {
	c.log.Debug("request refused before it was one", "remote", c.RemoteAddr().String(), "err", f)
	if c.SetDeadline(time.Now().Add(LingerFor)) != nil {
		return
	}
	if _, err := c.Conn.Write(refusal(f)); err == nil && c.CloseWrite() == nil {
		_, _ = io.CopyN(io.Discard, c.Conn, LingerBytes) // whatever comes of it, the connection ends
	}
}

// CloseWrite lets the server end its side first when the caller is still sending.
func (c *strictConn) CloseWrite() error {
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return nil
}
