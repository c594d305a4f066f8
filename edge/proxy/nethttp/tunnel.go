package nethttp

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"golang.org/x/net/http/httpguts"

	"tollgate/edge/proxy"
)

// websocket is the one protocol that callers may switch to.
const websocket = "websocket"

// upgradeOf is the protocol that a request of HTTP/1.1 asks to switch to, if it does so as it should.
// What the connection still follows as requests is not handed over.
func upgradeOf(r *http.Request, conn *strictConn) string {
	if !conn.opaque.Load() || r.Method != http.MethodGet || !r.ProtoAtLeast(1, 1) || r.ContentLength != 0 {
		return ""
	}
	asked := r.Header["Upgrade"]
	if len(asked) != 1 || !strings.EqualFold(strings.TrimSpace(asked[0]), websocket) {
		return ""
	}
	for _, line := range r.Header["Connection"] {
		for option := range strings.SplitSeq(line, ",") {
			if strings.EqualFold(strings.TrimSpace(option), "upgrade") {
				return websocket
			}
		}
	}
	return ""
}

// tunnel is a connection that was switched to another protocol.
type tunnel struct {
	conn    *strictConn
	early   *bufio.Reader // what the caller had sent behind its request; nil when it was taken
	timeout time.Duration
	last    time.Time // when the write deadline was set
}

// Read reads on, beginning with what came together with the request.
func (t *tunnel) Read(p []byte) (int, error) {
	if t.early != nil {
		if n := t.early.Buffered(); n > 0 {
			return t.early.Read(p[:min(n, len(p))])
		}
		t.early = nil
	}
	return t.conn.Conn.Read(p)
}

// Write sends a piece. A caller who does not take it in time is gone.
func (t *tunnel) Write(p []byte) (int, error) {
	if now := time.Now(); t.timeout > 0 && now.Sub(t.last) > t.timeout/8 {
		t.last = now
		if err := t.conn.SetWriteDeadline(now.Add(t.timeout)); err != nil {
			return 0, fmt.Errorf("set deadline: %w", err)
		}
	}
	return t.conn.Conn.Write(p)
}

// CloseWrite says that nothing more will be written.
func (t *tunnel) CloseWrite() error { return t.conn.CloseWrite() }

// Close ends the connection.
func (t *tunnel) Close() error { return t.conn.Close() }

// Switch hands over the connection. The end of the exchange, which a stop of the server can force, is
// the end of the connection too.
func (o *responder) Switch(headers []proxy.Header) (proxy.Conn, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.begun || !o.upgrade {
		return nil, errors.ErrUnsupported
	}
	o.begun = true
	_, buffered, err := o.control.Hijack()
	if err != nil {
		return nil, fmt.Errorf("take over the connection: %w", err)
	}
	o.watcher.stop() // from here on the two sides find out for themselves when the other one leaves
	o.tunnel = &tunnel{conn: o.conn, early: buffered.Reader, timeout: o.timeout}
	context.AfterFunc(o.ctx, func() { o.conn.Close() })
	head := []byte("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: " + websocket + "\r\n")
	for _, h := range headers {
		if !httpguts.ValidHeaderFieldName(h.Name) || !httpguts.ValidHeaderFieldValue(h.Value) || strings.EqualFold(h.Name, "content-length") {
			continue // net/http would not write it either, and there is no body
		}
		head = append(append(append(append(head, h.Name...), ": "...), h.Value...), "\r\n"...)
	}
	if _, err := o.tunnel.Write(append(head, "\r\n"...)); err != nil {
		return nil, fmt.Errorf("send the head: %w", err)
	}
	return o.tunnel, nil
}
