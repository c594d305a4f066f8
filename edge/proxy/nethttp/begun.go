package nethttp

import (
	"crypto/tls"
	"net"
)

// Begun is a connection on which another engine has begun, as a listener may yield it: what that engine has read and not served
// comes before the rest of it.
type Begun struct {
	net.Conn           // as it was accepted
	TLS      *tls.Conn // on top of it, whose handshake was tried; nil without
	Head     []byte    // what was read
}

// open is the connection as the server reads it. No more TLS is made on it.
func (b *Begun) open(c *strictConn) {
	c.tls, c.Conn = b.TLS, b.Conn
	if b.TLS != nil {
		c.Conn = b.TLS
	}
	if len(b.Head) > 0 {
		c.Conn = &ahead{Conn: c.Conn, head: b.Head}
	}
}

// ahead is a connection of which the beginning was read already.
type ahead struct {
	net.Conn
	head []byte
}

// Read reads what was read already, and then on.
func (a *ahead) Read(p []byte) (int, error) {
	if len(a.head) == 0 {
		return a.Conn.Read(p)
	}
	n := copy(p, a.head)
	if a.head = a.head[n:]; len(a.head) == 0 {
		a.head = nil
	}
	return n, nil
}

// CloseWrite is that of the connection.
func (a *ahead) CloseWrite() error {
	if half, ok := a.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return nil
}
