package proxy

import (
	"errors"
	"io"
	"syscall"
	"testing"
	"time"
)

// Guarantee: a head that does not end in time, or at all, costs a connection and nothing else.
func TestSlowHead(t *testing.T) {
	t.Parallel()
	b := newBench(t, func(o *options) {
		o.server.HeaderTimeout = 100 * time.Millisecond
		o.server.IdleTimeout = 100 * time.Millisecond
	})
	for name, send := range map[string]string{
		"half a line":   "GET /x HT",
		"half a head":   "GET /x HTTP/1.1\r\nHost: g\r\n",
		"nothing":       "",
		"after another": auth(get1("/free")),
	} {
		c := b.dial()
		c.send("%s", send)
		if name == "after another" {
			c.answer("GET")
		}
		_ = c.SetReadDeadline(time.Now().Add(patience))
		// A machine that has other things to do may send when the connection is closed already, and hears that it was reset.
		if _, err := io.ReadAll(c.r); err != nil && !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
