package clienttest

import (
	"context"
	"io"
	"net"
	"strings"
	"testing"

	"tollgate/edge/proxy"
)

// Handle is what a server does with an exchange, as a function.
type Handle func(ctx context.Context, x *proxy.Exchange)

// Serve calls it.
func (h Handle) Serve(ctx context.Context, x *proxy.Exchange) { h(ctx, x) }

// Stop has nothing to do.
func (Handle) Stop() {}

// Reply answers with a text.
func Reply(x *proxy.Exchange, text string, headers ...proxy.Header) {
	x.Out.Begin(200, headers, int64(len(text)))
	_, _ = io.Copy(x.Out, strings.NewReader(text))
}

// Serve runs a server until the test ends, whose listener is made of a plain one, and returns where it is.
func Serve(tb testing.TB, listener func(net.Listener) net.Listener, serve func(net.Listener) error, shutdown func(context.Context) error) string {
	tb.Helper()
	l, err := (&net.ListenConfig{}).Listen(tb.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- serve(listener(l)) }()
	tb.Cleanup(func() {
		ctx, cancel := context.WithCancel(context.Background())
		cancel() // whatever a test leaves open is cut off
		_ = shutdown(ctx)
		if err := <-done; err != nil {
			tb.Errorf("serve: %v", err)
		}
	})
	return l.Addr().String()
}
